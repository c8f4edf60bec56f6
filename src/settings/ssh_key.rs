//! The key of `--ssh-key`: a public key is added to the image, a private key is used to log in to it.

use std::path::{Path, PathBuf};

use sdbuild_core::absolute_path::absolute;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::ssh_key;

/// Bytes that are read of a key file at most.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// An SSH key for root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// A public key, which is added to the configuration.
    Public {
        /// The file.
        path: PathBuf,
        /// Type, key and comment.
        line: String,
    },
    /// A private key, whose public key the configuration already has.
    Private(PathBuf),
}

impl SshKey {
    /// Reads the file `given`, relative to `here`, to find out which of the two it is.
    pub(super) fn read(given: &Path, here: &Path) -> Result<Self, Failure> {
        if ssh_key::is_in_place_of_file(given) {
            return Err(Failure::usage("--ssh-key takes a file, not the key itself")
                .hint("give the .pub file, or add the key to users.users.root.openssh.authorizedKeys.keys"));
        }
        let path = &absolute(given, here);
        let shown = path.display();
        let text =
            plain_file::read(path, MAX_KEY_BYTES).or_usage(format!("read the SSH key {shown}"));
        let text = text.map_err(|failure| failure.hint(ssh_key::UNREADABLE_KEY_HINT))?;
        let text = String::from_utf8_lossy(&text);
        let line = text.lines().find(|line| !line.trim().is_empty());
        let whole = |line: &&str| ssh_key::contains_key(line) && !line.contains(char::is_control);
        Ok(match line.filter(whole) {
            Some(line) => Self::Public {
                path: path.to_owned(),
                line: line.trim().to_owned(),
            },
            None => Self::Private(path.to_owned()),
        })
    }

    /// Refuses a private key without a boot test, which alone could use it.
    pub(super) fn check_use(&self, boot_test: bool) -> Result<(), Failure> {
        match self {
            Self::Private(path) if !boot_test => {
                let hint = ssh_key::hint_to_public_half(path).unwrap_or_else(|| {
                    "name the .pub file, which has the whole key; --login-key names a private key for the login of --boot-test".to_owned()
                });
                let text = format!("{} is not a public SSH key", path.display());
                Err(Failure::usage(text).hint(hint))
            }
            Self::Private(_) | Self::Public { .. } => Ok(()),
        }
    }

    /// The file that the user named.
    pub fn path(&self) -> &Path {
        match self {
            Self::Public { path, .. } | Self::Private(path) => path,
        }
    }

    /// The line to add to the configuration.
    pub fn public(&self) -> Option<&str> {
        match self {
            Self::Public { line, .. } => Some(line),
            Self::Private(_) => None,
        }
    }

    /// The private key to log in with: for a public key the one beside it, if that exists.
    pub fn private(&self) -> Option<PathBuf> {
        match self {
            Self::Public { path, .. } => {
                Some(path.with_extension("")).filter(|path| path.is_file())
            }
            Self::Private(path) => Some(path.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_in_place_of_its_file_is_refused() {
        let read = |text: &str| SshKey::read(Path::new(text), Path::new("/home/me")).unwrap_err();
        let refused = read("ssh-ed25519 AAAAC3Nza/C1lZDI1NTE5 me@pi").to_string();
        assert_eq!(refused, "--ssh-key takes a file, not the key itself");
        let refused = read("ssh-ed25519.pub").to_string();
        assert!(
            refused.starts_with("read the SSH key /home/me/"),
            "{refused}"
        );
    }

    #[test]
    fn a_public_key_is_added_and_its_private_key_logs_in() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("id"), dir.path().join("id.pub"));
        let line =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";
        std::fs::write(&public, format!("\n{line}\nssh-rsa AAAA other\n")).unwrap();
        let key = SshKey::read(&public, Path::new("/")).unwrap();
        assert_eq!((key.public(), key.private()), (Some(line), None));
        key.check_use(false).unwrap();
        std::fs::write(&private, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
        assert_eq!(key.private(), Some(private.clone()));
        let key = SshKey::read(&private, Path::new("/")).unwrap();
        assert_eq!((key.public(), key.private()), (None, Some(private)));
        key.check_use(true).unwrap();
        let refused = key.check_use(false).unwrap_err();
        assert!(refused.hints[0].contains(".pub"), "{refused:?}");
        assert!(SshKey::read(&dir.path().join("none"), Path::new("/")).is_err());
    }
}
