//! The nixpkgs of a build: what the user can give (`--nixpkgs`), and what is uploaded.

mod other_forms;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use super::lock::Requested;
use super::nixpkgs_tree::{TreeSummary, forget, pack_tree, remembered, summarize};
use super::tar_writer::TarWriter;
use crate::common::cancel::Cancel;
use crate::common::failure::{Failure, OrFail};
use crate::common::hash::Sha256Hash;
use other_forms::{
    in_place_of_bare_address, in_place_of_other_month, in_place_of_page, in_place_of_reference,
    is_release, meant_release,
};

/// The file in `state_dir` with the hashes of directories, which may be removed at any time.
pub fn hashes_file(state_dir: &Path) -> PathBuf {
    state_dir.join("nixpkgs-hashes.json")
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
            let Some(instead) = in_place_of_page(text) else {
                return Ok(Self::Remote(Requested::Url(text.to_owned())));
            };
            let text = format!("{text:?} is a page, not the archive of a nixpkgs");
            Err(Failure::usage(text).hint(instead))
        } else if is_release(release) {
            let Some(instead) = in_place_of_other_month(release) else {
                return Ok(Self::Remote(Requested::Release(release.to_owned())));
            };
            let text = format!("{text:?} is not a release of NixOS");
            Err(Failure::usage(text).hint(instead))
        } else if let Some(instead) = in_place_of_reference(text) {
            Err(Failure::usage(format!("{text:?} is not a nixpkgs")).hint(instead))
        } else if let Some(instead) =
            in_place_of_bare_address(text).filter(|_| !Path::new(text).exists())
        {
            let text = format!("{text:?} is a page, not the archive of a nixpkgs");
            Err(Failure::usage(text).hint(instead))
        } else if text.contains('/') || text.starts_with('.') || Path::new(text).is_dir() {
            Ok(Self::Dir(PathBuf::from(text)))
        } else {
            let failure = Failure::usage(format!("{text:?} is not a nixpkgs"));
            Err(match meant_release(release) {
                _ if Path::new(text).is_file() => {
                    failure.hint("it is a file: give the directory of a nixpkgs")
                }
                Some(meant) => failure.hint(format!("did you mean {meant}?")),
                None => failure.hint(
                    "give a release (26.05), the URL of an archive, or a directory (./nixpkgs)",
                ),
            })
        }
    }
}

impl Nixpkgs {
    /// Whether it is a directory with the miniature nixpkgs, whose packages come from a Debian mirror.
    pub fn is_miniature(&self) -> bool {
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
        /// SHA-256 of paths, modes and contents.
        digest: Sha256Hash,
        /// Bytes of the archive that is uploaded, at most.
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
        let work = tokio::task::spawn_blocking(move || summarize(&dir, &file, &token));
        let summary = cancel.race(work).await?.or_internal("read nixpkgs")?;
        let summary = summary.or_usage(format!("read nixpkgs in {shown}"))?;
        Ok(Self::tree(root, summary, hashes))
    }

    /// The directory `root` as it was when it was read last; `None` if the file `hashes` does not have it. [`Self::dir`] gives the same
    /// unless it has changed since.
    pub fn remembered_dir(root: &Path, hashes: PathBuf) -> Option<Self> {
        let summary = remembered(root, &hashes)?;
        Some(Self::tree(root, summary, hashes))
    }

    fn tree(root: &Path, summary: TreeSummary, hashes: PathBuf) -> Self {
        let TreeSummary {
            digest,
            archive_size,
        } = summary;
        Self::Tree {
            root: root.to_path_buf(),
            digest,
            size: archive_size,
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

    /// Packs it below `incoming` as the archive `NAME.tar`. An engine takes several times as long for the files of a nixpkgs as
    /// the builder does to unpack them.
    pub(super) fn pack(
        &self,
        tar: &mut TarWriter<'_>,
        incoming: &str,
        cancel: &Cancel,
    ) -> io::Result<()> {
        let path = format!("{incoming}/{}.tar", self.name());
        match self {
            Self::Tree {
                root,
                digest,
                size,
                hashes,
                ..
            } => {
                let owner = tar.owner();
                // A file that has grown may make the archive longer than it was to be.
                let packed = tar
                    .written_file(&path, *size, |out| pack_tree(root, out, owner, cancel))
                    .and_then(|packed| check_unchanged(packed.digest, *digest));
                packed.inspect_err(|_| forget(hashes))
            }
            Self::Archive { file, size, .. } => tar.file(&path, *size, false, File::open(file)?),
        }
    }
}

/// An error when the packed content is not the one that the name on the volume stands for.
fn check_unchanged(packed: Sha256Hash, expected: Sha256Hash) -> io::Result<()> {
    if packed == expected {
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
    fn parses_directories_urls_and_releases() {
        let of = |text: &str| text.parse::<Nixpkgs>().unwrap();
        for (text, release) in [
            ("26.05", "26.05"),
            ("nixos-26.05", "26.05"),
            ("unstable", "unstable"),
            ("26.05-small", "26.05-small"),
        ] {
            let requested = Requested::Release(release.into());
            assert_eq!(of(text), Nixpkgs::Remote(requested));
        }
        assert_eq!(
            of("https://a/b.tar.xz"),
            Nixpkgs::Remote(Requested::Url("https://a/b.tar.xz".into()))
        );
        assert_eq!(of("./nixpkgs"), Nixpkgs::Dir("./nixpkgs".into()));
        assert_eq!(of("/x/nixpkgs"), Nixpkgs::Dir("/x/nixpkgs".into()));
        for text in ["", "master", "26.05; rm", "26"] {
            let refused = text.parse::<Nixpkgs>().unwrap_err();
            assert!(refused.hints[0].starts_with("give a release"), "{text}");
        }
        for text in ["2605", "26.5"] {
            let refused = text.parse::<Nixpkgs>().unwrap_err();
            assert_eq!(refused.hints, ["did you mean 26.05?"], "{text}");
        }
        for (text, given) in [
            ("github:NixOS/nixpkgs/nixos-25.11", "--nixpkgs 25.11"),
            ("channel:nixos-unstable", "--nixpkgs unstable"),
            (
                "github:me/nixpkgs/fix",
                "--nixpkgs https://github.com/me/nixpkgs/archive/fix.tar.gz",
            ),
            (
                "github:NixOS/nixpkgs",
                "--nixpkgs https://github.com/NixOS/nixpkgs/archive/master.tar.gz",
            ),
            (
                "github:me/nixpkgs/nixos-25.11",
                "--nixpkgs https://github.com/me/nixpkgs/archive/nixos-25.11.tar.gz",
            ),
        ] {
            let refused = text.parse::<Nixpkgs>().unwrap_err();
            assert!(refused.hints[0].ends_with(given), "{refused:?}");
        }
    }

    #[test]
    fn months_without_a_release_are_refused() {
        for (text, given) in [
            ("25.13", ": --nixpkgs 25.05 or --nixpkgs 25.11"),
            (
                "nixos-24.10-small",
                ": --nixpkgs 24.05-small or --nixpkgs 24.11-small",
            ),
            ("26.10", ": --nixpkgs 26.05"),
            ("30.00", ": --nixpkgs 26.05"),
            ("20.13", "such as --nixpkgs 26.05"),
        ] {
            let refused = text.parse::<Nixpkgs>().unwrap_err();
            assert!(refused.to_string().ends_with("is not a release of NixOS"));
            assert!(refused.hints[0].ends_with(given), "{refused:?}");
        }
        for text in ["14.12", "20.09", "21.05", "27.11", "unstable-small"] {
            assert!(text.parse::<Nixpkgs>().is_ok(), "{text}");
        }
    }

    #[test]
    fn pages_are_no_archives() {
        for (url, given) in [
            ("https://github.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
            ("http://www.github.com/nixos/nixpkgs.git", "--nixpkgs 26.05"),
            (
                "https://github.com/me/fork/",
                "--nixpkgs https://github.com/me/fork/archive/HEAD.tar.gz",
            ),
            (
                "https://github.com/NixOS/nixpkgs/tree/nixos-25.11",
                "--nixpkgs 25.11",
            ),
            (
                "https://github.com/NixOS/nixpkgs/commit/8f1e",
                "--nixpkgs https://github.com/NixOS/nixpkgs/archive/8f1e.tar.gz",
            ),
            (
                "https://channels.nixos.org/nixos-unstable",
                "--nixpkgs unstable",
            ),
            ("https://nixos.org/channels/nixos-25.11/", "--nixpkgs 25.11"),
            (
                "https://channels.nixos.org/nixpkgs-unstable",
                "--nixpkgs https://channels.nixos.org/nixpkgs-unstable/nixexprs.tar.xz",
            ),
            (
                "https://nixos.org/channels/nixos-25.13",
                "--nixpkgs 25.05 or --nixpkgs 25.11",
            ),
            (
                "https://github.com/NixOS/nixpkgs/tree/nixos-25.13",
                "--nixpkgs 25.05 or --nixpkgs 25.11",
            ),
            (
                "github:NixOS/nixpkgs/25.13",
                "--nixpkgs 25.05 or --nixpkgs 25.11",
            ),
            ("https://GitHub.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
            ("github.com/NixOS/nixpkgs", "--nixpkgs 26.05"),
            (
                "https://github.com/NixOS/nixpkgs?ref=nixos-25.11",
                "--nixpkgs 25.11",
            ),
            (
                "https://github.com/NixOS/nixpkgs/commits/nixos-25.11",
                "--nixpkgs 25.11",
            ),
            (
                "https://github.com/NixOS/nixpkgs/blob/nixos-25.11/lib/a.nix",
                "--nixpkgs 25.11",
            ),
            (
                "https://github.com/NixOS/nixpkgs/releases/tag/25.11",
                "--nixpkgs https://github.com/NixOS/nixpkgs/archive/25.11.tar.gz",
            ),
        ] {
            let refused = url.parse::<Nixpkgs>().unwrap_err();
            assert!(refused.hints[0].ends_with(given), "{refused:?}");
            let (_, given) = refused.hints[0].rsplit_once(' ').unwrap();
            assert!(given.parse::<Nixpkgs>().is_ok(), "{given}");
        }
        for url in [
            "https://github.com/NixOS/nixpkgs/archive/nixos-25.11.tar.gz",
            "https://github.com/NixOS/nixpkgs/tarball/master",
            "https://github.com/me/fork/releases/download/1/n.tar.xz",
            "https://channels.nixos.org/nixos-25.11/nixexprs.tar.xz",
            "https://example.org/me/nixpkgs",
            "https://github.com/me/nixpkgs/blob/feat/x/a.nix",
            "me/github.com/nixpkgs",
        ] {
            assert!(url.parse::<Nixpkgs>().is_ok(), "{url}");
        }
    }

    #[test]
    fn the_miniature_is_known_by_its_files() {
        let real = tempfile::tempdir().unwrap();
        std::fs::create_dir(real.path().join("nixos")).unwrap();
        std::fs::write(real.path().join("nixos/default.nix"), "{}").unwrap();
        let miniature = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mini-nixpkgs");
        assert!(Nixpkgs::Dir(miniature).is_miniature());
        assert!(!Nixpkgs::Dir(real.path().into()).is_miniature());
        assert!(!"26.05".parse::<Nixpkgs>().unwrap().is_miniature());
    }

    async fn dir_of(root: &Path) -> Result<LocalNixpkgs, Failure> {
        let hashes = root.join(".git/hashes");
        LocalNixpkgs::dir(root, hashes, &Cancel::new()).await
    }

    #[tokio::test]
    async fn a_directory_must_be_a_nixpkgs() {
        let dir = tempfile::tempdir().unwrap();
        let failure = dir_of(dir.path()).await.unwrap_err();
        assert_eq!(failure.class, crate::common::failure::Class::Usage);
        std::fs::create_dir(dir.path().join("nixos")).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        let tree = dir_of(dir.path()).await.unwrap();
        // Headers of two directories and a file, its content, and the end.
        let size = 4 * 512 + 1024;
        assert_eq!((tree.size(), tree.name().len()), (size, 69));
    }

    #[tokio::test]
    async fn a_changed_directory_is_not_uploaded() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("nixos")).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "{}").unwrap();
        let tree = dir_of(dir.path()).await.unwrap();
        let pack = |tree: &LocalNixpkgs| {
            let mut out = Vec::new();
            let mut writer = TarWriter::new(
                &mut out,
                Owner {
                    uid: 1000,
                    gid: 1000,
                },
            );
            tree.pack(&mut writer, "incoming", &Cancel::new())
        };
        pack(&tree).unwrap();
        std::fs::write(dir.path().join("nixos/default.nix"), "[]").unwrap();
        assert!(pack(&tree).unwrap_err().to_string().contains("changed"));
    }
}
