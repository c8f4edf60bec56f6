//! The user's configuration: one file, and the directory that goes along with it.
//!
//! What the directory holds is uploaded, hidden files included, except for: `.git`; what `.gitignore`
//! (also without a repository) and `.sdbuildignore` name; images (`*.img`, also `.zst`, `.xz`, `.gz`)
//! with what is beside them, because our own land beside the configuration; links into `/nix/store`, as `nix-build` leaves them;
//! sockets, pipes and devices; and, when the directory is the user's home, everything hidden, which
//! is where keys and tokens are kept. The configuration file itself always goes along. Links that stay
//! inside the directory stay links, all others are refused.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, OrFail};

pub use super::config_dir::ConfigDir;
pub use super::tar_writer::Owner;

/// A configuration file that exists, in a directory that may be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    root: PathBuf,
    file: String,
    shown: String,
    home: bool,
}

impl Configuration {
    /// Looks at `path`; `home` is the user's home directory.
    pub fn open(path: &Path, home: Option<&Path>) -> Result<Self, Failure> {
        let shown = path.display();
        let meta = fs::metadata(path)
            .or_usage(format!("read the configuration {shown}"))
            .map_err(|f| f.hint("name the file with --config, or start from the sd-card.nix that comes with sdbuild"))?;
        if !meta.is_file() {
            let what = if meta.is_dir() {
                "is a directory"
            } else {
                "is no file"
            };
            return Err(
                Failure::usage(format!("the configuration {shown} {what}")).hint(format!(
                    "name the file, for instance --config {shown}/sd-card.nix"
                )),
            );
        }
        let (root, name) = place(path).or_usage(format!("read the configuration {shown}"))?;
        let Some(file) = name.to_str().filter(|n| !n.chars().any(char::is_control)) else {
            return Err(
                Failure::usage(format!("the name of {shown} is not plain UTF-8"))
                    .hint("rename the file"),
            );
        };
        if root == Path::new("/") {
            return Err(Failure::usage("the configuration lies in the root directory, and its directory goes along into the builder")
                .hint("move it into a directory of its own"));
        }
        let home = home.and_then(|h| h.canonicalize().ok()).as_deref() == Some(&root);
        Ok(Self {
            shown: shown_parent(path, &root),
            file: file.to_owned(),
            root,
            home,
        })
    }

    /// The directory that goes along.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Name of the file in it.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Whether that directory is the user's home.
    pub(super) fn is_home(&self) -> bool {
        self.home
    }

    /// The file's whole path.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.file)
    }

    /// What stands before a file's name in messages: the directory as the user wrote it.
    pub fn shown_dir(&self) -> &str {
        &self.shown
    }

    /// Names this configuration among others on the store volume, without telling its path.
    pub(super) fn root_name(&self) -> String {
        let digest = Sha256::digest(self.path().as_os_str().as_encoded_bytes());
        hex::encode(digest.get(..16).unwrap_or_default())
    }

    /// Walks the directory on a blocking thread; warns of what is large or stays behind.
    pub async fn collect(&self, cancel: &Cancel, events: &Events) -> Result<ConfigDir, Failure> {
        let (configuration, token, sink) = (self.clone(), cancel.clone(), events.clone());
        let walk =
            tokio::task::spawn_blocking(move || ConfigDir::collect(&configuration, &token, &sink));
        cancel
            .race(walk)
            .await?
            .or_internal("walk the configuration's directory")?
    }
}

/// Directory and name of `path`. Nix follows links before it resolves relative imports, so a link that
/// leads out of its directory is followed here as well; one that stays inside is left a link.
fn place(path: &Path) -> std::io::Result<(PathBuf, std::ffi::OsString)> {
    let nameless = || std::io::Error::other("it has no file name");
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let dir = parent.canonicalize()?;
    let real = path.canonicalize()?;
    if real.starts_with(&dir) {
        let name = path.file_name().ok_or_else(nameless)?.to_owned();
        return Ok((dir, name));
    }
    let name = real.file_name().ok_or_else(nameless)?.to_owned();
    let dir = real.parent().ok_or_else(nameless)?.to_path_buf();
    Ok((dir, name))
}

/// The directory as the user wrote it, with a slash; the real one when a link led elsewhere.
fn shown_parent(path: &Path, root: &Path) -> String {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        return String::new();
    }
    let same = parent.canonicalize().is_ok_and(|real| real == root);
    let shown = if same { parent } else { root };
    format!("{}/", shown.display().to_string().trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_and_named_as_written() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("my pi ä");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("sd-card.nix"), "{}").unwrap();
        let got = Configuration::open(&root.join("sd-card.nix"), None).unwrap();
        assert_eq!(got.file(), "sd-card.nix");
        assert_eq!(got.root(), root.canonicalize().unwrap());
        assert_eq!(got.shown_dir(), format!("{}/", root.display()));
        assert_eq!(got.root_name().len(), 32);
    }

    #[test]
    fn what_is_no_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("none.nix"), dir.path().to_path_buf()] {
            let failure = Configuration::open(&path, None).unwrap_err();
            assert_eq!(failure.class, crate::common::failure::Class::Usage);
            assert!(!failure.hints.is_empty());
        }
    }

    #[test]
    fn the_root_dir_is_refused_and_home_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sd-card.nix");
        fs::write(&file, "{}").unwrap();
        assert!(
            Configuration::open(&file, Some(dir.path()))
                .unwrap()
                .is_home()
        );
        assert!(
            !Configuration::open(&file, Some(Path::new("/nowhere")))
                .unwrap()
                .is_home()
        );
    }

    #[test]
    fn a_link_out_of_the_dir_is_followed_one_inside_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("b"));
        fs::create_dir_all(a.join("sub")).unwrap();
        fs::create_dir(&b).unwrap();
        fs::write(b.join("real.nix"), "{}").unwrap();
        fs::write(a.join("sub/real.nix"), "{}").unwrap();
        std::os::unix::fs::symlink("../b/real.nix", a.join("out.nix")).unwrap();
        std::os::unix::fs::symlink("sub/real.nix", a.join("in.nix")).unwrap();
        let out = Configuration::open(&a.join("out.nix"), None).unwrap();
        assert_eq!(
            (out.root(), out.file()),
            (b.canonicalize().unwrap().as_path(), "real.nix")
        );
        assert_eq!(
            out.shown_dir(),
            format!("{}/", b.canonicalize().unwrap().display())
        );
        let inside = Configuration::open(&a.join("in.nix"), None).unwrap();
        assert_eq!(
            (inside.root(), inside.file()),
            (a.canonicalize().unwrap().as_path(), "in.nix")
        );
    }
}
