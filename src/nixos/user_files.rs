//! The user's files, as far as they explain an error of the builder: the text of those that are uploaded, and why others
//! are not.

mod imported;
mod naming;
mod places;
mod similar;

use std::io::Read as _;
use std::path::{Component, Path, PathBuf};

use super::ignore_rules::{OWN_IGNORE_FILE, ignoring_rule};
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_name::is_output;
use sdbuild_nix::layout;
use sdbuild_nix::layout::{CONFIG_DIR, HOME_OF_NIX};

/// Bytes that are read of a file at most; a configuration has some thousand.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// What `nixos-generate-config` writes about the machine that it runs on.
pub(super) const HARDWARE_FILE: &str = "hardware-configuration.nix";
/// What to do about a line that names it: instructions for a PC begin with it.
pub(super) const REMOVE_HARDWARE_FILE: &str = "That file describes the disks of an installed machine, and the image has \
 its own. Remove its path from the imports";

/// The configuration's directory on this machine.
#[derive(Clone, Debug)]
pub(super) struct UserFiles {
    root: PathBuf,
    /// Whether only those are uploaded that git tracks.
    by_git: bool,
    /// The configuration itself, which is searched first.
    first: Option<PathBuf>,
}

impl UserFiles {
    /// The files below `root`, the directory that was uploaded.
    pub(super) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            by_git: false,
            first: None,
        }
    }

    /// The same, of which the file `name` is the configuration itself.
    pub(super) fn beginning_with(self, name: &str) -> Self {
        Self {
            first: Some(self.root.join(name)),
            ..self
        }
    }

    /// The files below `root` that git tracks.
    pub(super) fn tracked(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            by_git: true,
            first: None,
        }
    }

    /// The file of this machine, or the file in the home directory, that the builder looked for at `path`, above the directory that
    /// was uploaded; `None` for every other path.
    pub(super) fn local_path(&self, path: &str) -> Option<String> {
        let of_home = path
            .strip_prefix(HOME_OF_NIX)
            .map(|name| format!("~{name}"));
        of_home.or_else(|| {
            let written = self.naming(path).and_then(|written| written.local);
            let above = self.above(path, written)?;
            Some(above.to_string_lossy().into_owned())
        })
    }

    /// The same in the directories above only, where the configuration names the file `written` of this machine.
    fn above(&self, path: &str, written: Option<PathBuf>) -> Option<PathBuf> {
        let outside = written.filter(|local| !local.starts_with(&self.root));
        outside.or_else(|| Some(self.root.parent()?.join(layout::beside_config(path)?)))
    }

    /// What to do about the file `local`, which is in a directory above the one that was uploaded.
    fn sending(&self, local: &Path, copy: &str) -> String {
        let common = local.ancestors().find(|dir| self.root.starts_with(dir));
        // Nobody wants to upload a whole machine.
        match common.filter(|dir| dir.parent().is_some()) {
            Some(common) => {
                let word = quoted(&common.to_string_lossy());
                format!("give --root {word}, or {copy}")
            }
            None => copy.to_owned(),
        }
    }

    /// The text of the file that the builder has at `path`, as far as it is UTF-8; `None` for everything but the configuration's
    /// own files.
    pub(super) fn text(&self, path: &str) -> Option<String> {
        let name = own_name(path)?;
        let bytes = plain_file::read(&self.root.join(name), MAX_MODULE_BYTES).ok()?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// What to do about the file `name`, which does not exist in the configuration's directory, and no other one is like it.
    fn to_put_there(&self, name: &str) -> String {
        let is_key = Path::new(name).extension().is_some_and(|end| end == "pub");
        if !is_key {
            return "Check the path".to_owned();
        }
        // `ssh-keygen` gives the most common one this name.
        let path = self.root.join(name);
        format!(
            "Put your public key there: cp ~/.ssh/id_ed25519.pub {}",
            quoted(&path.to_string_lossy())
        )
    }

    /// Whether the configuration has a file of its own that the builder has at `path`.
    pub(super) fn has_file(&self, path: &str) -> bool {
        own_name(path).is_some_and(|name| self.root.join(name).is_file())
    }

    /// Why the builder does not have the file at `path`, which it looked for, and what to do. The place that names it begins with `shown_dir`.
    pub(super) fn why_absent(&self, path: &str, shown_dir: &str) -> String {
        let root = self.root.display();
        if let Some(name) = own_name(path) {
            return self.why_not_sent(name, shown_dir);
        }
        if let Some(name) = path.strip_prefix(HOME_OF_NIX) {
            let written = written_name(Path::new(name));
            let why = format!("~{name} is in your home directory, but the builder has only {root}");
            if !is_plain_name(name) {
                return format!("{why}. Copy it there and write ./{written}");
            }
            let dir = quoted(&format!("{root}/"));
            return format!("{why}. Write ./{written}, and copy the file there: cp ~{name} {dir}");
        }
        let written = self.naming(path);
        let above = self.above(
            path,
            written.as_ref().and_then(|written| written.local.clone()),
        );
        let local = above.clone().unwrap_or_else(|| PathBuf::from(path));
        let shown = local.display();
        let place = written.map(|written| written.place);
        if path.rsplit('/').next() == Some(HARDWARE_FILE) {
            let is_named =
                place.map_or_else(String::new, |at| format!("{shown_dir}{at} names {shown}. "));
            return format!("{is_named}{REMOVE_HARDWARE_FILE}");
        }
        let beside = place.as_ref().and_then(|place| place.rsplit_once(':'));
        let beside = beside.map_or("into that directory".to_owned(), |(file, _)| {
            format!("next to {file}")
        });
        let copy = format!("copy it {beside} and write ./{}", written_name(&local));
        let what = match &place {
            Some(place) => format!("{shown_dir}{place} names {shown}, which"),
            None => shown.to_string(),
        };
        match (above.is_some(), local.exists()) {
            (true, true) => format!(
                "{what} is outside {root}, the only directory that is uploaded, so {}",
                self.sending(&local, &copy)
            ),
            (false, true) => {
                format!(
                    "{what} is a file of this machine, but the builder has only {root}, so {copy}"
                )
            }
            (false, false) if let Some(file) = self.beside_place(place.as_deref(), path) => {
                format!(
                    "{path} begins at the root directory of the machine. For the file {beside}, write ./{file}"
                )
            }
            (_, false) => format!(
                "{what} does not exist on this machine either. Put the file {beside} and write ./{}",
                written_name(&local)
            ),
        }
    }

    /// The file that is meant by the absolute `path`, if the file of `place` has one of that name beside it.
    fn beside_place<'a>(&self, place: Option<&str>, path: &'a str) -> Option<&'a str> {
        let (module, _) = place?.rsplit_once(':')?;
        let file = path.strip_prefix('/').filter(|file| is_plain_name(file))?;
        let beside = self.root.join(module).with_file_name(file);
        beside.is_file().then_some(file)
    }

    /// That there is no file `name` on this machine either, and what to do; `None` if there is one. The place that names it begins with
    /// `shown_dir`.
    pub(super) fn why_missing(&self, name: &str, shown_dir: &str) -> Option<String> {
        if self.root.join(name).symlink_metadata().is_ok() {
            return None;
        }
        let path = format!("{CONFIG_DIR}{name}");
        // A directory stands for the file in it.
        let directory = path.strip_suffix("/default.nix");
        let named = self.naming(&path).or_else(|| self.naming(directory?));
        let root = match self.root.display().to_string() {
            root if root == "." => "this directory".to_owned(),
            root => root,
        };
        let lacks = match &named {
            Some(written) => format!(
                "{shown_dir}{} names {name}, which does not exist in {root}",
                written.place
            ),
            None => format!("there is no {name} in {root}"),
        };
        let place = named.map(|written| written.place).unwrap_or_default();
        let advice = if name.rsplit('/').next() == Some(HARDWARE_FILE) {
            REMOVE_HARDWARE_FILE.to_owned()
        } else {
            self.meant(name, &place)
                .unwrap_or_else(|| self.to_put_there(name))
        };
        Some(format!("{lacks}. {advice}"))
    }

    /// Whether the file that the builder has at `path` is one of the configuration's own, in UTF-16: by its byte order mark, or as
    /// one of its first two bytes is zero, where Nix has ASCII characters.
    pub(super) fn is_utf_16(&self, path: &str) -> bool {
        let file = own_name(path).map(|name| plain_file::open(&self.root.join(name)));
        let mut begin = [0; 2];
        let is_read =
            file.is_some_and(|file| file.is_ok_and(|mut f| f.read_exact(&mut begin).is_ok()));
        let has_mark = [[0xff, 0xfe], [0xfe, 0xff]].contains(&begin);
        is_read && (has_mark || (begin[0] == 0) != (begin[1] == 0))
    }

    /// Why git does not track `name`, which the ignore file `rule` lists, if there is one.
    fn why_not_tracked(&self, name: &str, rule: Option<PathBuf>) -> String {
        let word = quoted(name);
        // sdbuild's own ignore file says nothing to git.
        match rule.filter(|rule| !rule.ends_with(OWN_IGNORE_FILE)) {
            Some(rule) => {
                let rule = rule.strip_prefix(&self.root).unwrap_or(&rule).display();
                format!(
                    "{name} is there, but git does not track it, because {rule} lists it. Remove it from {rule}, or run \
                     git add --force {word}"
                )
            }
            None => format!(
                "{name} is there, but git does not track it, so it is not part of the flake: git add {word}"
            ),
        }
    }

    fn why_not_sent(&self, name: &str, shown_dir: &str) -> String {
        if let Some(why) = self.why_missing(name, shown_dir) {
            return why;
        }
        let rule = ignoring_rule(&self.root, name);
        if self.by_git {
            return self.why_not_tracked(name, rule.map(|(rule, _)| rule));
        }
        match rule {
            Some((rule, _)) if rule.ends_with(OWN_IGNORE_FILE) => {
                format!("{name} is there, but {OWN_IGNORE_FILE} names it, so it is not uploaded")
            }
            Some((rule, entry)) => {
                let rule = rule.strip_prefix(&self.root).unwrap_or(&rule).display();
                format!(
                    "{name} is there, but {rule} names it, so it is not uploaded. Put the line !{entry} into \
                     {OWN_IGNORE_FILE} next to the configuration"
                )
            }
            None if is_output(&self.root.join(name)) => format!(
                "{name} is there, but it has the name of an image, and images are not uploaded. Give it another name, \
                 such as {name}.bin"
            ),
            None => format!(
                "{name} is there, but sdbuild does not upload .git, links to the Nix store and, in a home directory, \
                 hidden files"
            ),
        }
    }
}

/// The name below the configuration's directory of a path in the builder. `None` for any other path.
fn own_name(path: &str) -> Option<&str> {
    let name = path.strip_prefix(layout::CONFIG)?.strip_prefix('/')?;
    let is_plain = |part: Component<'_>| matches!(part, Component::Normal(_));
    (!name.is_empty() && Path::new(name).components().all(is_plain)).then_some(name)
}

/// The name of `file` as a path of Nix ends with it; a word for it if Nix needs more than the name.
fn written_name(file: &Path) -> String {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    if name.is_empty() || !is_plain_name(&name) {
        return "FILE".to_owned();
    }
    name.into_owned()
}

/// Whether Nix reads `path` as part of a path.
fn is_plain_name(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    path.chars().all(is_plain)
}

#[cfg(test)]
mod tests;
