//! What `--ssh-key` names: a public key goes into the image, a private one is tried on it.

use std::path::{Path, PathBuf};

use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::common::ssh_key;

/// No key is longer.
const LONGEST: u64 = 64 << 10;

/// A key by which somebody shall get in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshKey {
    /// It is laid over the configuration.
    Public {
        /// The file.
        path: PathBuf,
        /// Kind, key and comment.
        line: String,
    },
    /// Its public half is in the configuration already.
    Private(PathBuf),
}

impl SshKey {
    /// Looks which of the two the file is.
    pub(super) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = plain_file::read(path, LONGEST).or_usage(format!("read the SSH key {shown}"))?;
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

    /// A private key is of no use but to be tried.
    pub(super) fn fits(&self, boot_test: bool) -> Result<(), Failure> {
        match self {
            Self::Private(path) if !boot_test => Err(Failure::usage(format!(
                "{} is not a public SSH key",
                path.display()
            ))
            .hint("name the .pub file beside it; a private key is for --boot-test alone")),
            Self::Private(_) | Self::Public { .. } => Ok(()),
        }
    }

    /// The file that was named.
    pub fn path(&self) -> &Path {
        match self {
            Self::Public { path, .. } | Self::Private(path) => path,
        }
    }

    /// What is laid over the configuration.
    pub fn public(&self) -> Option<&str> {
        match self {
            Self::Public { line, .. } => Some(line),
            Self::Private(_) => None,
        }
    }

    /// What is tried on the image: of a public key the one beside it, where there is one.
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
    fn a_public_key_goes_into_the_image_and_its_other_half_is_tried() {
        let dir = tempfile::tempdir().unwrap();
        let (private, public) = (dir.path().join("id"), dir.path().join("id.pub"));
        let line =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c me";
        std::fs::write(&public, format!("\n{line}\nssh-rsa AAAA other\n")).unwrap();
        let key = SshKey::read(&public).unwrap();
        assert_eq!((key.public(), key.private()), (Some(line), None));
        key.fits(false).unwrap();
        std::fs::write(&private, "-----BEGIN OPENSSH PRIVATE KEY-----\n").unwrap();
        assert_eq!(key.private(), Some(private.clone()));
        let key = SshKey::read(&private).unwrap();
        assert_eq!((key.public(), key.private()), (None, Some(private)));
        key.fits(true).unwrap();
        let refused = key.fits(false).unwrap_err();
        assert!(refused.hints[0].contains(".pub"), "{refused:?}");
        assert!(SshKey::read(&dir.path().join("none")).is_err());
    }
}
