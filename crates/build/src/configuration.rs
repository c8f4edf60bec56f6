//! The user's configuration: a file, and its directory, which is uploaded with it.
//!
//! The whole directory is uploaded, including hidden files, except: `.git`; files that `.gitignore` (also without a
//! repository) and `.sdbuildignore` list; images (`*.img`, also `.zst`, `.xz`, `.gz`) with their sidecars, which sdbuild
//! writes there by default; symbolic links into `/nix/store`, which `nix-build` creates; sockets, pipes and devices; the
//! files that sdbuild's own output goes to;
//! and, when the directory is the user's home, all hidden files, because keys and tokens are kept in them. The
//! configuration file itself is always uploaded. Symbolic links that stay inside the directory are uploaded as links,
//! all others are refused.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::{fs, io};

use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, OrFail};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::{shown_dir, shown_path};
use sdbuild_core::terminal::output_files;
use sdbuild_image::image_name::{is_image, is_output};
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text, flakes_below};
use sdbuild_nix::flake_file::may_have_configuration;

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
    /// The symbolic link that the user named, if it leads out of its directory.
    link: Option<String>,
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
        let meta = fs::metadata(path).map_err(|error| not_readable(path, error))?;
        if !meta.is_file() {
            let problem = if meta.is_dir() {
                "is a directory"
            } else {
                "is not a file"
            };
            let failure = Failure::usage(format!("the configuration {shown} {problem}"));
            let inner = path.join(CONFIG_NAME);
            return Err(failure.hint(if inner.is_file() {
                format!("name the file: --config {}", quoted(&shown_path(&inner)))
            } else {
                "name a file with a NixOS configuration".to_owned()
            }));
        }
        refuse_output(path)?;
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
            link: leads_out(path, &dir).then(|| shown_path(path)),
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

    /// The configuration as messages name it, with the link that the user named.
    pub(super) fn in_words(&self) -> String {
        let shown = format!("{}{}", self.shown, self.file);
        match &self.link {
            Some(link) => format!("the configuration {shown}, to which {link} links"),
            None => format!("the configuration {shown}"),
        }
    }

    /// Lists the directory; warns about large directories and files that are not uploaded.
    pub(super) fn collect(&self, cancel: &Cancel, events: &Events) -> Result<ConfigDir, Failure> {
        if self.home {
            events.warn(HOME_WARNING);
        }
        // Otherwise the user has said which directory is uploaded.
        if let Some(link) = self.link.as_ref().filter(|_| self.root == self.dir) {
            let target = self.path();
            events.notice(format!(
                "{link} is a link to {}, so the files beside its target are uploaded",
                target.display()
            ));
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

/// Whether `path` is a symbolic link to a file in another directory, `dir`.
fn leads_out(path: &Path, dir: &Path) -> bool {
    path.is_symlink()
        && parent_dir(path)
            .canonicalize()
            .is_ok_and(|own| !dir.starts_with(own))
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

/// Refuses what a build wrote.
fn refuse_output(path: &Path) -> Result<(), Failure> {
    if !is_output(path) {
        return Ok(());
    }
    let shown = path.display();
    let name = path.file_name().map(OsStr::to_string_lossy);
    if !name.is_some_and(|name| is_image(&name)) {
        let text = format!("{shown} was written by a build and is not a configuration");
        return Err(Failure::usage(text));
    }
    let name = quoted(&shown_path(path));
    let text = format!("{shown} is an image, not a configuration");
    let hint = format!(
        "that is an image. `sdbuild boot {name}` starts it, and `sdbuild flash {name}` writes it to a card"
    );
    Err(Failure::usage(text).hint(hint))
}

/// The configuration `path` cannot be read, with the hint that fits best.
fn not_readable(path: &Path, error: io::Error) -> Failure {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let failure = Failure::new(Class::Usage, error)
        .context(format!("read the configuration {}", path.display()));
    let directory = path.parent().unwrap_or(Path::new(""));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !is_missing {
        return failure.hint("the file and its directory must be readable");
    }
    if let Ok(target) = fs::read_link(path) {
        let target = target.display();
        return failure.hint(format!(
            "it is a symbolic link to {target}, which does not exist"
        ));
    }
    if let Some(text) = flake_text(directory) {
        let is_named = may_have_configuration(&text, &name);
        let name = if is_named {
            format!("#{name}")
        } else {
            String::new()
        };
        let reference = quoted(&format!("{}{name}", shown_directory(directory)));
        return failure.hint(format!("a {FLAKE_FILE} is there: --flake {reference}"));
    }
    let usual = directory.join(CONFIG_NAME);
    if usual.is_file() {
        let usual = quoted(&shown_path(&usual));
        return failure.hint(format!("the configuration there is {usual}"));
    }
    failure.hint(flakes_below(directory).unwrap_or_else(|| {
        "`sdbuild init` writes a configuration into the current directory".to_owned()
    }))
}

/// The directory as the value of a flag.
fn shown_directory(directory: &Path) -> String {
    match shown_path(directory).as_str() {
        "" => ".".to_owned(),
        shown => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

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
            assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
            assert!(!failure.hints.is_empty());
            assert!(!failure.hints.concat().contains("/sd-card.nix"));
        }
        fs::write(dir.path().join("sd-card.nix"), "{ }").unwrap();
        let named = Configuration::open(dir.path(), None).unwrap_err().hints;
        assert!(named[0].contains("/sd-card.nix"), "{named:?}");
    }

    #[test]
    fn what_a_build_wrote_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = |name: &str| {
            let path = dir.path().join(name);
            fs::write(&path, "").unwrap();
            Configuration::open(&path, None).unwrap_err()
        };
        let image = refused("a.img.zst");
        assert!(image.to_string().contains("is an image"), "{image}");
        assert!(image.hints.concat().contains("sdbuild flash "), "{image:?}");
        let hash = refused("a.img.zst.sha256");
        assert!(
            hash.to_string().contains("was written by a build"),
            "{hash}"
        );
        assert!(hash.hints.is_empty(), "{hash:?}");
    }

    #[test]
    fn a_missing_configuration_has_one_fitting_hint() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |name: &str| {
            let failure = Configuration::open(&dir.path().join(name), None).unwrap_err();
            let [hint] = failure.hints.try_into().unwrap();
            hint
        };
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        assert!(hint("sd-card.nix").contains("`sdbuild init`"));
        write("flake.nix", "{ a.sd-card = 1; b.pi = 2; }");
        assert!(hint("sd-card.nix").contains("--flake ") && !hint("sd-card.nix").contains('#'));
        assert!(hint("pi").contains("--flake ") && hint("pi").contains("#pi"));
        std::os::unix::fs::symlink("/nowhere/pi.nix", dir.path().join("link.nix")).unwrap();
        assert_eq!(
            hint("link.nix"),
            "it is a symbolic link to /nowhere/pi.nix, which does not exist"
        );
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
        let words = format!("real.nix, to which {} links", a.join("out.nix").display());
        assert!(out.in_words().ends_with(&words), "{}", out.in_words());
        let told = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&told);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        out.collect(&Cancel::new(), &events).unwrap();
        let told = format!("{:?}", told.lock().unwrap());
        assert!(told.contains("out.nix is a link to "), "{told}");
        let inside = Configuration::open(&a.join("in.nix"), None).unwrap();
        assert!(!inside.in_words().contains("links"));
        assert_eq!(
            (inside.root(), inside.file()),
            (a.canonicalize().unwrap().as_path(), "in.nix")
        );
    }
}
