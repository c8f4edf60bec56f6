//! The user's configuration: a file, and its directory, which is uploaded with it.
//!
//! The whole directory is uploaded, including hidden files, except: `.git`; files that `.gitignore` (also without a
//! repository) and `.sdbuildignore` list; images (`*.img`, also `.zst`, `.xz`, `.gz`) with their sidecars, which sdbuild
//! writes there by default; symbolic links into `/nix/store`, which `nix-build` creates; sockets, pipes and devices; the
//! files that sdbuild's own output goes to;
//! and, when the directory is the user's home, all hidden files, because keys and tokens are kept in them. The
//! configuration file itself is always uploaded. Symbolic links that stay inside the directory are uploaded as links,
//! all others are refused.

use std::fs;
use std::path::{Path, PathBuf};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::{shown_dir, shown_path};
use sdbuild_core::terminal::output_files;
use sdbuild_image::image_name::is_output;
use sdbuild_nix::configuration_file::{FLAKE_FILE, flakes_below};

use super::config_dir::{ConfigDir, HOME_WARNING, has_home};
use super::config_dir::{Files, Selection};

/// An existing configuration file in a directory that may be uploaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    root: PathBuf,
    /// The file's own directory.
    dir: PathBuf,
    /// The path below the root.
    file: String,
    shown: String,
    home: bool,
}

impl Configuration {
    /// The configuration file `path`, which is uploaded with its directory; `home` is the user's home directory. A usage
    /// error when it is not a file or its directory must not be uploaded.
    pub fn open(path: &Path, home: Option<&Path>) -> Result<Self, Failure> {
        Self::open_below(path, None, home)
    }

    /// The same with another directory `root` above the file that is uploaded (`--root`).
    pub fn open_below(
        path: &Path,
        root: Option<&Path>,
        home: Option<&Path>,
    ) -> Result<Self, Failure> {
        let shown = path.display();
        let meta = fs::metadata(path)
            .or_usage(format!("read the configuration {shown}"))
            .map_err(|failure| failure.hint(other_configuration(path)))?;
        if !meta.is_file() {
            let text = format!("the configuration {shown} is not a file");
            return Err(Failure::usage(text).hint("name a file with a NixOS configuration"));
        }
        if is_output(path) {
            let text = format!("{shown} was written by a build and is not a configuration");
            return Err(Failure::usage(text));
        }
        let (dir, name) = split_path(path).or_usage(format!("read the configuration {shown}"))?;
        let (root, name, shown_root) = match root {
            None => (dir.clone(), PathBuf::from(name), shown_parent(path, &dir)),
            Some(root) => below(root, &dir.join(name))?,
        };
        let Some(file) = name.to_str().filter(|n| !n.chars().any(char::is_control)) else {
            return Err(
                Failure::usage(format!("the name of {shown} is not plain UTF-8"))
                    .hint("rename the file"),
            );
        };
        if root == Path::new("/") {
            return Err(Failure::usage("the configuration is in the root directory, and its whole directory would be uploaded")
                .hint("move it into a directory of its own"));
        }
        let home = has_home(&root, home);
        Ok(Self {
            shown: shown_root,
            dir,
            file: file.to_owned(),
            root,
            home,
        })
    }

    /// The directory that is uploaded.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file's own directory, where its lock is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Path of the file below the directory.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Path of the file.
    pub fn path(&self) -> PathBuf {
        self.root.join(&self.file)
    }

    /// The directory in messages: empty for the current one, otherwise with a slash at the end.
    pub fn shown_dir(&self) -> &str {
        &self.shown
    }

    /// The configuration as messages name it.
    pub(super) fn in_words(&self) -> String {
        format!("the configuration {}{}", self.shown, self.file)
    }

    /// Lists the directory; warns about large directories and files that are not uploaded.
    pub(super) fn collect(&self, cancel: &Cancel, events: &Events) -> Result<ConfigDir, Failure> {
        if self.home {
            events.warn(HOME_WARNING);
        }
        let selection = Selection {
            files: Files::NotIgnored {
                no_hidden: self.home,
            },
            always: vec![self.file.clone()],
            excluded: output_files(),
            is_input: false,
        };
        ConfigDir::collect(&self.root, selection, cancel, events)
    }
}

/// What the directory of `path`, which cannot be read, has in its place.
fn other_configuration(path: &Path) -> String {
    let directory = path.parent().unwrap_or(Path::new(""));
    if directory.join(FLAKE_FILE).is_file() {
        let shown = shown_path(directory);
        let shown = if shown.is_empty() { "." } else { &shown };
        return format!("a {FLAKE_FILE} is there: --flake {}", quoted(shown));
    }
    flakes_below(directory).unwrap_or_else(|| {
        "`sdbuild init` writes a configuration into the current directory".to_owned()
    })
}

/// The directory `root`, the path of `file` below it, and the directory as messages show it.
fn below(root: &Path, file: &Path) -> Result<(PathBuf, PathBuf, String), Failure> {
    let shown = root.display();
    let real = root
        .canonicalize()
        .or_usage(format!("read the directory {shown} of --root"))?;
    let name = file.strip_prefix(&real).map_err(|_| {
        let text = format!("the configuration {} is not below {shown}", file.display());
        Failure::usage(text).hint("--root names a directory above it")
    })?;
    Ok((real.clone(), name.to_owned(), shown_dir(root)))
}

/// Directory and name of `path`. Nix resolves symbolic links before relative imports, so a link that leads out of its
/// directory is resolved here as well; a link that stays inside is kept.
fn split_path(path: &Path) -> std::io::Result<(PathBuf, std::ffi::OsString)> {
    let no_name = || std::io::Error::other("it has no file name");
    let dir = parent_dir(path).canonicalize()?;
    let real = path.canonicalize()?;
    if real.starts_with(&dir) {
        let name = path.file_name().ok_or_else(no_name)?.to_owned();
        return Ok((dir, name));
    }
    let name = real.file_name().ok_or_else(no_name)?.to_owned();
    let dir = real.parent().ok_or_else(no_name)?.to_path_buf();
    Ok((dir, name))
}

/// The directory of `path` for messages, with a slash at the end or empty; `root` when a link led elsewhere.
fn shown_parent(path: &Path, root: &Path) -> String {
    let parent = path.parent().unwrap_or(Path::new(""));
    if parent.as_os_str().is_empty() {
        return String::new();
    }
    let same = parent.canonicalize().is_ok_and(|real| real == root);
    shown_dir(if same { parent } else { root })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Class;

    #[test]
    fn a_file_is_shown_as_the_user_wrote_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("my pi ä");
        fs::create_dir(&root).unwrap();
        fs::write(root.join("sd-card.nix"), "{}").unwrap();
        let got = Configuration::open(&root.join("sd-card.nix"), None).unwrap();
        assert_eq!(got.file(), "sd-card.nix");
        assert_eq!(got.root(), root.canonicalize().unwrap());
        assert_eq!(got.shown_dir(), format!("{}/", root.display()));
    }

    #[test]
    fn a_directory_above_the_file_can_be_uploaded() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("pi")).unwrap();
        fs::write(root.join("pi/sd-card.nix"), "{}").unwrap();
        fs::write(root.join("common.nix"), "{}").unwrap();
        let open = |above: &Path| {
            Configuration::open_below(&root.join("pi/sd-card.nix"), Some(above), None)
        };
        let got = open(&root).unwrap();
        assert_eq!((got.root(), got.file()), (root.as_path(), "pi/sd-card.nix"));
        assert_eq!(got.dir(), root.join("pi"));
        assert_eq!(got.path(), root.join("pi/sd-card.nix"));
        let files = got.collect(&Cancel::new(), &Events::none()).unwrap();
        let names: Vec<_> = files.names().collect();
        assert_eq!(names, ["common.nix", "pi", "pi/sd-card.nix"]);
        let failure = open(Path::new("/usr")).unwrap_err();
        assert!(
            failure.to_string().contains("is not below /usr"),
            "{failure}"
        );
    }

    #[test]
    fn missing_files_and_directories_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().join("none.nix"), dir.path().to_path_buf()] {
            let failure = Configuration::open(&path, None).unwrap_err();
            assert_eq!(failure.class, Class::Usage);
        }
    }

    #[test]
    fn what_a_build_wrote_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            Configuration::open(&path, None).unwrap_err()
        };
        for name in ["a.img.zst", "a.img.zst.sha256"] {
            assert_eq!(refused(name).class, Class::Usage, "{name}");
        }
    }

    #[test]
    fn a_home_directory_is_recognised() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("sd-card.nix");
        fs::write(&file, "{}").unwrap();
        assert!(Configuration::open(&file, Some(dir.path())).unwrap().home);
        assert!(
            !Configuration::open(&file, Some(Path::new("/nowhere")))
                .unwrap()
                .home
        );
    }

    #[test]
    fn only_links_that_lead_out_are_resolved() {
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
