//! A new SSH key pair, in OpenSSH's formats. No program of OpenSSH is needed to make one.

use std::io;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use ring::signature::{Ed25519KeyPair, KeyPair as _};

use crate::common::failure::{Failure, OrFail as _};

const KEY_TYPE: &[u8] = b"ssh-ed25519";
/// The first bytes of a private key (`AUTH_MAGIC` in OpenSSH's PROTOCOL.key).
const MAGIC: &[u8] = b"openssh-key-v1\0";
/// The private half is padded to a multiple of this many bytes: the block size of the cipher `none`.
const BLOCK: usize = 8;
/// Characters in a line of base64, as `ssh-keygen` writes them.
const LINE: usize = 70;

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
        let (mut seed, mut check) = ([0; 32], [0; 4]);
        for random in [&mut seed[..], &mut check[..]] {
            getrandom::fill(random)
                .map_err(|error| io::Error::other(error.to_string()))
                .or_environment("generate an SSH key")?;
        }
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|error| io::Error::other(error.to_string()))
            .or_internal("generate an SSH key")?;
        let point = pair.public_key().as_ref();
        let public = [string(KEY_TYPE), string(point)].concat();
        let private = private_half(check, &seed, point, comment);
        let file = [
            MAGIC.to_vec(),
            // The cipher, the key derivation and its options, and the number of keys.
            string(b"none"),
            string(b"none"),
            string(b""),
            1_u32.to_be_bytes().to_vec(),
            string(&public),
            string(&private),
        ];
        Ok(Self {
            public: format!("ssh-ed25519 {} {comment}", BASE64_STANDARD.encode(public)),
            private: armored(&BASE64_STANDARD.encode(file.concat())),
        })
    }
}

/// The part of the file that a passphrase would encrypt. It begins with `check` twice, by which a decryption is verified.
fn private_half(check: [u8; 4], seed: &[u8], point: &[u8], comment: &str) -> Vec<u8> {
    let mut half = [
        check.to_vec(),
        check.to_vec(),
        string(KEY_TYPE),
        string(point),
        string(&[seed, point].concat()),
        string(comment.as_bytes()),
    ]
    .concat();
    let missing = half.len().next_multiple_of(BLOCK) - half.len();
    half.extend((1..=u8::MAX).take(missing));
    half
}

/// `bytes` after their length, as in the protocols of SSH (RFC 4251, section 5).
fn string(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}

fn armored(base64: &str) -> String {
    let mut text = "-----BEGIN OPENSSH PRIVATE KEY-----\n".to_owned();
    for line in base64.as_bytes().chunks(LINE) {
        text.push_str(&String::from_utf8_lossy(line));
        text.push('\n');
    }
    text.push_str("-----END OPENSSH PRIVATE KEY-----\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::ssh_key;

    #[test]
    fn two_keys_differ_and_are_whole() {
        let [one, two] = [(); 2].map(|()| KeyPair::generate("try").unwrap());
        assert_ne!(one.public, two.public);
        assert!(ssh_key::contains_key(&one.public), "{}", one.public);
        assert!(one.public.ends_with(" try"), "{}", one.public);
        assert!(!format!("{one:?}").contains("PRIVATE"));
    }

    /// The padding depends on the length of the comment.
    #[test]
    fn openssh_reads_the_private_key() {
        let path = std::ffi::OsStr::new("/usr/bin:/run/current-system/sw/bin");
        let Some(program) = crate::common::program::find_program("ssh-keygen", path) else {
            return;
        };
        let dir = tempfile::tempdir().unwrap();
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
