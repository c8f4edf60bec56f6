//! The nixpkgs of a build: what the user can give (`--nixpkgs`), and what is uploaded.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::lock::Requested;
use super::stored_tree::{TreeFiles, TreeSummary, check_unchanged, forget, remembered, summarize};
use super::tar_writer::TarWriter;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::hash::Sha256Hash;

/// The file in `state_dir` with the hashes of directories, which may be removed at any time.
pub(crate) fn hashes_file(state_dir: &Path) -> PathBuf {
    state_dir.join("tree-hashes.json")
}

/// A file that only the miniature nixpkgs has: its options of its own.
const OF_MINIATURE: &str = "nixos/modules/mini.nix";

/// The value of `--nixpkgs`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nixpkgs {
    /// A local directory.
    Dir(PathBuf),
    /// An archive, which is fetched and locked: by its URL (`https://…/nixexprs.tar.xz`), or that of a release of NixOS
    /// (`26.05`, `unstable`, `26.05-small`).
    Remote(Requested),
}

impl FromStr for Nixpkgs {
    type Err = Failure;

    /// URLs and releases are recognised by their form. Anything else is a directory if it contains a slash, begins with
    /// a dot or exists.
    fn from_str(text: &str) -> Result<Self, Failure> {
        let release = text.strip_prefix("nixos-").unwrap_or(text);
        if text.starts_with("https://") || text.starts_with("http://") {
            Ok(Self::Remote(Requested::Url(text.to_owned())))
        } else if is_release(release) {
            Ok(Self::Remote(Requested::Release(release.to_owned())))
        } else if text.contains('/') && !text.contains(':')
            || text.starts_with('.')
            || Path::new(text).is_dir()
        {
            Ok(Self::Dir(PathBuf::from(text)))
        } else {
            let hint = "give a release (26.05), the URL of an archive, or a directory (./nixpkgs)";
            Err(Failure::usage(format!("{text:?} is not a nixpkgs")).hint(hint))
        }
    }
}

/// Whether `text` is a release: `26.05` or `unstable`, also with `-small`.
fn is_release(text: &str) -> bool {
    let text = text.strip_suffix("-small").unwrap_or(text);
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    let is_month = |(year, month): (&str, &str)| two_digits(year) && two_digits(month);
    text == "unstable" || text.split_once('.').is_some_and(is_month)
}

impl Nixpkgs {
    /// Whether it is a directory with the miniature nixpkgs, whose packages come from a Debian mirror.
    pub(crate) fn is_miniature(&self) -> bool {
        match self {
            Self::Dir(dir) => dir.join(OF_MINIATURE).is_file(),
            Self::Remote(_) => false,
        }
    }

    /// A usage error when it is a directory that is not a nixpkgs; URLs and releases are checked when they are fetched.
    pub fn check(&self) -> Result<(), Failure> {
        match self {
            Self::Dir(dir) => check_dir(dir),
            Self::Remote(_) => Ok(()),
        }
    }
}

fn check_dir(dir: &Path) -> Result<(), Failure> {
    let shown = dir.display();
    if dir.join("nixos/default.nix").is_file() {
        return Ok(());
    }
    let text = if dir.is_dir() {
        format!("{shown} is not a nixpkgs: it has no nixos/default.nix")
    } else if dir.is_file() {
        format!("{shown} is a file, not the directory of a nixpkgs")
    } else {
        format!("the nixpkgs directory {shown} does not exist")
    };
    Err(Failure::usage(text).hint("name the top directory of a nixpkgs tree"))
}

/// A local nixpkgs with known content, ready to be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalNixpkgs {
    /// A directory, identified by the digest of its content.
    Tree {
        /// The directory.
        root: PathBuf,
        /// SHA-256 of its NAR.
        digest: Sha256Hash,
        /// Bytes of that.
        size: u64,
        /// The file with the hashes of directories.
        hashes: PathBuf,
    },
    /// An archive with a single top directory, identified by its hash.
    Archive {
        /// The verified file.
        file: PathBuf,
        /// SHA-256 of the archive.
        sha256: Sha256Hash,
        /// Length of the archive in bytes.
        size: u64,
    },
}

impl LocalNixpkgs {
    /// The directory `root`, which is hashed on threads of its own: seconds for all of nixpkgs. The file `hashes` has those of
    /// directories that have not changed since.
    pub async fn dir(root: &Path, hashes: PathBuf, cancel: &Cancel) -> Result<Self, Failure> {
        let shown = root.display();
        check_dir(root)?;
        let (dir, file, token) = (root.to_path_buf(), hashes.clone(), cancel.clone());
        let work = move || summarize(&TreeFiles::whole(&dir, &token)?, &file, &token);
        let work = tokio::task::spawn_blocking(work);
        let summary = cancel.race(work).await?.or_internal("read nixpkgs")?;
        let summary = summary.or_usage(format!("read nixpkgs in {shown}"))?;
        Ok(Self::tree(root, summary, hashes))
    }

    /// The directory `root` as it was when it was read last; `None` if the file `hashes` does not have it. [`Self::dir`] gives the same
    /// unless it has changed since.
    pub(crate) fn remembered_dir(root: &Path, hashes: PathBuf) -> Option<Self> {
        let summary = remembered(root, &hashes)?;
        Some(Self::tree(root, summary, hashes))
    }

    fn tree(root: &Path, summary: TreeSummary, hashes: PathBuf) -> Self {
        let TreeSummary { digest, size } = summary;
        Self::Tree {
            root: root.to_path_buf(),
            digest,
            size,
            hashes,
        }
    }

    /// The archive `file`, which was downloaded and verified.
    pub fn archive(file: PathBuf, sha256: Sha256Hash) -> Result<Self, Failure> {
        let meta = file
            .metadata()
            .or_environment(format!("read {}", file.display()))?;
        Ok(Self::Archive {
            size: meta.len(),
            file,
            sha256,
        })
    }

    /// Name of its directory on the store volume, which identifies the content.
    pub fn name(&self) -> String {
        let (kind, digest) = match self {
            Self::Tree { digest, .. } => ("tree", digest),
            Self::Archive { sha256, .. } => ("archive", sha256),
        };
        format!("{kind}-{digest}")
    }

    /// SHA-256 of the archive or of the directory's content, in hex.
    pub fn sha256(&self) -> String {
        let (Self::Tree { digest, .. } | Self::Archive { sha256: digest, .. }) = self;
        digest.to_string()
    }

    /// Bytes to upload, at most.
    pub fn size(&self) -> u64 {
        match self {
            Self::Tree { size, .. } | Self::Archive { size, .. } => *size,
        }
    }

    /// Packs it below `incoming` as the archive `NAME.tar`, a directory as `NAME.nar`. An engine takes several times as long for the
    /// files of a nixpkgs as the builder does to unpack them.
    pub(super) fn pack(
        &self,
        tar: &mut TarWriter<'_>,
        incoming: &str,
        cancel: &Cancel,
    ) -> io::Result<()> {
        let path = |end: &str| format!("{incoming}/{}.{end}", self.name());
        match self {
            Self::Tree {
                root,
                digest,
                size,
                hashes,
                ..
            } => {
                let files = TreeFiles::whole(root, cancel)?;
                // A file that has grown may make the archive longer than it was to be.
                let packed = tar
                    .written_file(&path("nar"), *size, |out| files.write_nar(out, cancel))
                    .and_then(|packed| check_unchanged(packed, *digest));
                packed.inspect_err(|_| forget(hashes))
            }
            Self::Archive { file, size, .. } => {
                tar.file(&path("tar"), *size, false, File::open(file)?)
            }
        }
    }
}

#[cfg(test)]
mod tests;
