//! A new SSH key pair, in OpenSSH's formats. No program of OpenSSH is needed to make one.

use std::fmt::Display;
use std::io;

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use ssh_key::private::{Ed25519Keypair, Ed25519PrivateKey};
use ssh_key::public::Ed25519PublicKey;
use ssh_key::{LineEnding, PrivateKey};

use crate::failure::{Failure, OrFail as _};

/// An Ed25519 key pair without a passphrase.
#[derive(Clone)]
pub struct KeyPair {
    /// The public key, one line as in `authorized_keys`.
    pub public: String,
    /// The text of the private key's file.
    pub private: String,
}

impl std::fmt::Debug for KeyPair {
    /// Without the private key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("KeyPair").field(&self.public).finish()
    }
}

impl KeyPair {
    /// Generates a pair whose public key ends with `comment`.
    ///
    /// # Errors
    ///
    /// When the kernel has no random numbers.
    pub fn generate(comment: &str) -> Result<Self, Failure> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(io_error)
            .or_environment("generate an SSH key")?;
        let public = public_half(&seed).or_internal("generate an SSH key")?;
        Self::in_openssh_formats(&seed, public, comment).or_internal("write an SSH key")
    }

    fn in_openssh_formats(seed: &[u8; 32], public: [u8; 32], comment: &str) -> io::Result<Self> {
        let pair = Ed25519Keypair {
            public: Ed25519PublicKey(public),
            private: Ed25519PrivateKey::from_bytes(seed),
        };
        let key = PrivateKey::new(pair.into(), comment).map_err(io_error)?;
        let private = key.to_openssh(LineEnding::LF).map_err(io_error)?;
        Ok(Self {
            public: key.public_key().to_openssh().map_err(io_error)?,
            private: private.to_string(),
        })
    }
}

/// The public key that belongs to the private key `seed`.
pub fn public_half(seed: &[u8; 32]) -> io::Result<[u8; 32]> {
    let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(io_error)?;
    pair.public_key().as_ref().try_into().map_err(io_error)
}

fn io_error(error: impl Display) -> io::Error {
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ssh_key;

    #[test]
    fn two_keys_differ_and_are_whole() {
        let [one, two] = [(); 2].map(|()| KeyPair::generate("try").unwrap());
        assert_ne!(one.public, two.public);
        assert!(ssh_key::contains_key(&one.public), "{}", one.public);
        assert!(one.public.ends_with(" try"), "{}", one.public);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }

    #[test]
    fn openssh_reads_the_private_key() {
        let path = std::ffi::OsStr::new("/usr/bin:/run/current-system/sw/bin");
        let Some(program) = crate::program::find_program("ssh-keygen", path) else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
        // The padding depends on the length of the comment.
        for length in 0..=8 {
            let pair = KeyPair::generate(&"x".repeat(length)).unwrap();
            let file = dir.path().join(length.to_string());
            std::fs::write(&file, &pair.private).unwrap();
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            std::fs::set_permissions(&file, mode).unwrap();
            let mut read = std::process::Command::new(&program);
            let read = read.args(["-y", "-f"]).arg(&file).output().unwrap();
            let public = String::from_utf8_lossy(&read.stdout);
            assert_eq!(public.trim(), pair.public.trim(), "{read:?}");
        }
    }
}
