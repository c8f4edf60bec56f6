//! Which nixpkgs: what a user may say, and what of it reaches the builder.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::nixpkgs_tree::{self, TreeDigest};
use super::tar_writer::TarWriter;
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, OrFail};

/// What `--nixpkgs` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nixpkgs {
    /// A local tree.
    Dir(PathBuf),
    /// An archive somewhere: `https://…/nixexprs.tar.xz`.
    Url(String),
    /// A release of NixOS: `26.05`, `unstable`, `26.05-small`.
    Release(String),
}

impl FromStr for Nixpkgs {
    type Err = Failure;

    /// A path is whatever has a slash or a dot in front; a release never has.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let release = text.strip_prefix("nixos-").unwrap_or(text);
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(Self::Url(text.to_owned()))
        } else if is_release(release) {
            Ok(Self::Release(release.to_owned()))
        } else if text.contains('/') || text.starts_with('.') || Path::new(text).is_dir() {
            Ok(Self::Dir(PathBuf::from(text)))
        } else {
            Err(Failure::usage(format!("{text:?} is no nixpkgs"))
                .hint("give a release (26.05), the URL of an archive, or a directory (./nixpkgs)"))
        }
    }
}

impl Nixpkgs {
    /// Looks whether a directory is a nixpkgs; nothing else can be known before it is fetched.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Dir(dir) => check_dir(dir),
            Self::Url(_) | Self::Release(_) => Ok(()),
        }
    }
}

fn check_dir(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    if dir.join("nixos/default.nix").is_file() {
        return Ok(());
    }
    let text = if dir.is_dir() {
        format!("{shown} is no nixpkgs: it has no nixos/default.nix")
    } else {
        format!("the nixpkgs directory {shown} does not exist")
    };
    Err(Failure::usage(text).hint("name the top directory of a nixpkgs tree"))
}

/// `26.05`, `unstable`, and either with `-small`.
fn is_release(text: &str) -> bool {
    let text = text.strip_suffix("-small").unwrap_or(text);
    let number = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    text == "unstable"
        || text
            .split_once('.')
            .is_some_and(|(a, b)| number(a) && number(b))
}

/// A nixpkgs that is here and whose content is known: what the builder uploads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NixpkgsIn {
    /// A directory, by the digest of its content.
    Tree {
        /// The directory.
        root: PathBuf,
        /// SHA-256 over paths, modes and contents.
        digest: [u8; 32],
        /// Bytes of all files.
        size: u64,
    },
    /// An archive with one directory at its top, by its hash.
    Archive {
        /// The verified file.
        file: PathBuf,
        /// Its SHA-256.
        sha256: [u8; 32],
        /// Its length.
        size: u64,
    },
}

impl NixpkgsIn {
    /// Hashes a directory on a blocking thread: some seconds for the whole of nixpkgs.
    pub async fn dir(root: &Path, cancel: &Cancel) -> Result<Self, Failure> {
        let shown = root.display();
        check_dir(root)?;
        let (dir, token) = (root.to_path_buf(), cancel.clone());
        let work = tokio::task::spawn_blocking(move || nixpkgs_tree::read_tree(&dir, &token, None));
        let measured = cancel.race(work).await?.or_internal("read nixpkgs")?;
        let measured = measured.or_usage(format!("read nixpkgs in {shown}"))?;
        Ok(Self::Tree {
            root: root.to_path_buf(),
            digest: measured.digest,
            size: measured.size,
        })
    }

    /// An archive that was downloaded and verified.
    pub fn archive(file: PathBuf, sha256: [u8; 32]) -> Result<Self, Failure> {
        let meta = file
            .metadata()
            .or_environment(format!("read {}", file.display()))?;
        Ok(Self::Archive {
            size: meta.len(),
            file,
            sha256,
        })
    }

    /// Name of its directory on the store volume: the same content, the same name.
    pub fn name(&self) -> String {
        let (kind, digest) = match self {
            Self::Tree { digest, .. } => ("tree", digest),
            Self::Archive { sha256, .. } => ("archive", sha256),
        };
        format!("{kind}-{}", hex::encode(digest))
    }

    /// SHA-256 of the archive or of the directory's content, in hex.
    pub fn sha256(&self) -> String {
        let (Self::Tree { digest, .. } | Self::Archive { sha256: digest, .. }) = self;
        hex::encode(digest)
    }

    /// Bytes to upload.
    pub fn size(&self) -> u64 {
        match self {
            Self::Tree { size, .. } | Self::Archive { size, .. } => *size,
        }
    }

    /// Packs it below `incoming`: a tree under its name, an archive as `NAME.tar`.
    pub(super) fn pack(
        &self,
        packer: &mut TarWriter<'_>,
        incoming: &str,
        cancel: &Cancel,
    ) -> io::Result<()> {
        let place = format!("{incoming}/{}", self.name());
        match self {
            Self::Tree { root, digest, .. } => {
                packer.open_directory(&place)?;
                let measured = nixpkgs_tree::read_tree(root, cancel, Some((packer, &place)))?;
                unchanged(&measured.digest, digest)
            }
            Self::Archive { file, size, .. } => {
                packer.file(&format!("{place}.tar"), (*size, false), File::open(file)?)
            }
        }
    }
}

/// The name on the volume promises this content: never let another one in under it.
fn unchanged(packed: &TreeDigest, promised: &TreeDigest) -> io::Result<()> {
    if packed == promised {
        Ok(())
    } else {
        Err(io::Error::other("nixpkgs changed while it was uploaded"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tar_writer::Owner;
    use super::*;

    #[test]
    fn what_people_write() {
        let of = |text: &str| text.parse::<Nixpkgs>().unwrap();
        for (text, release) in [
            ("26.05", "26.05"),
            ("nixos-26.05", "26.05"),
            ("unstable", "unstable"),
            ("26.05-small", "26.05-small"),
        ] {
            assert_eq!(of(text), Nixpkgs::Release(release.into()));
        }
        assert_eq!(
            of("https://a/b.tar.xz"),
            Nixpkgs::Url("https://a/b.tar.xz".into())
        );
        assert_eq!(of("./nixpkgs"), Nixpkgs::Dir("./nixpkgs".into()));
        assert_eq!(of("/x/nixpkgs"), Nixpkgs::Dir("/x/nixpkgs".into()));
        for text in ["", "2605", "26.5", "master", "26.05; rm"] {
            assert!(text.parse::<Nixpkgs>().is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn a_dir_must_be_a_nixpkgs() {
        let dir = tempfile::tempdir().unwrap();
        let failure = NixpkgsIn::dir(dir.path(), &Cancel::new())
            .await
            .unwrap_err();
        assert_eq!(failure.class, crate::common::failure::Class::Usage);
        std::fs::create_dir(dir.path().join("nixos")).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        let tree = NixpkgsIn::dir(dir.path(), &Cancel::new()).await.unwrap();
        assert_eq!((tree.size(), tree.name().len()), (2, 69));
    }

    #[tokio::test]
    async fn a_tree_that_changed_is_not_uploaded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("nixos")).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        let tree = NixpkgsIn::dir(dir.path(), &Cancel::new()).await.unwrap();
        let pack = |tree: &NixpkgsIn| {
            let mut out = Vec::new();
            let mut packer = TarWriter::new(
                &mut out,
                Owner {
                    uid: 1000,
                    gid: 1000,
                },
            );
            tree.pack(&mut packer, "incoming", &Cancel::new())
        };
        pack(&tree).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "[]").unwrap();
        assert!(pack(&tree).unwrap_err().to_string().contains("changed"));
    }
}
