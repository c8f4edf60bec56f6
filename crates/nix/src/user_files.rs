//! The user's files, as far as they explain an error of the builder: the content of those that are uploaded, and why others
//! are not.

use std::path::{Component, Path, PathBuf};

use crate::layout::{self, CONFIG_DIR, HOME_OF_NIX};
use crate::source_files::{HARDWARE_FILE, SourceFiles, WrittenPath};
use sdbuild_core::nearest::nearest;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;

use super::ignore_rules::{OWN_IGNORE_FILE, ignoring_rule, walk};

/// Bytes that are read of a file at most; a configuration has some thousand.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// Files that are searched at most.
const MAX_SEARCHED: usize = 200;

/// Characters around a path in Nix code. Those of `${…}` belong to the path.
const AROUND_PATHS: [char; 12] = [' ', '\t', '(', ')', '[', ']', '<', '>', '"', '\'', ';', '='];

/// What to do about a line that names it: instructions for a PC begin with it.
const REMOVE_HARDWARE_FILE: &str = "That file describes the disks of an installed machine, and the image has \
 its own. Remove its path from the imports";

/// The configuration's directory on this machine.
#[derive(Clone, Debug)]
pub struct UserFiles {
    root: PathBuf,
    /// Whether only those are uploaded that git tracks.
    by_git: bool,
    /// The configuration itself, which is searched first.
    first: Option<PathBuf>,
}

impl UserFiles {
    /// The files below `root`, the directory that was uploaded.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            by_git: false,
            first: None,
        }
    }

    /// The same, of which the file `name` is the configuration itself.
    #[must_use]
    pub fn beginning_with(self, name: &str) -> Self {
        Self {
            first: Some(self.root.join(name)),
            ..self
        }
    }

    /// The files below `root` that git tracks.
    pub fn tracked(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            by_git: true,
            first: None,
        }
    }

    /// The file at `path` in the directories above the one that was uploaded, where the configuration names the file `written` of this
    /// machine.
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

    /// The file with a name like `name` that is in the same directory, unless it is the one that names it at `place`.
    fn similar_beside(&self, name: &str, place: &str) -> Option<String> {
        let path = Path::new(name);
        let entries = self.root.join(path.parent()?).read_dir().ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let of_place = place.rsplit_once(':').map_or("", |(file, _)| file);
        let of_kind = |file: &String| Path::new(file).extension() == path.extension();
        let names: Vec<String> = names
            .filter(|file| of_kind(file) && file != of_place)
            .collect();
        let similar = nearest(
            path.file_name()?.to_str()?,
            names.iter().map(String::as_str),
        )?;
        Some(path.with_file_name(similar).to_string_lossy().into_owned())
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
            None => format!(
                "{name} is there, but sdbuild does not upload images, .git, links to the Nix store and, in a home \
                 directory, hidden files"
            ),
        }
    }
}

impl SourceFiles for UserFiles {
    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        plain_file::read(&self.root.join(own_name(path)?), MAX_MODULE_BYTES).ok()
    }

    fn configuration(&self) -> Option<&Path> {
        self.first.as_ref()?.strip_prefix(&self.root).ok()
    }

    fn modules(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let files = walk(&self.root, true).into_iter().flatten().flatten();
        let modules = files.filter(|file| file.extension().is_some_and(|kind| kind == "nix"));
        let mut modules: Vec<PathBuf> = modules.take(MAX_SEARCHED).collect();
        modules.sort();
        let modules = self.first.iter().chain(&modules);
        let read = |module: &PathBuf| {
            let bytes = plain_file::read(module, MAX_MODULE_BYTES).ok()?;
            Some((module.strip_prefix(&self.root).ok()?.to_owned(), bytes))
        };
        modules.filter_map(read).collect()
    }

    fn naming(&self, missing: &str) -> Option<WrittenPath> {
        self.modules().iter().find_map(|(module, bytes)| {
            let dir = module.parent().unwrap_or(Path::new(""));
            let (line, column, word) = path_to(missing, dir, std::str::from_utf8(bytes).ok()?)?;
            Some(WrittenPath {
                place: format!("{}:{line}", module.display()),
                line,
                column,
                local: is_relative(word).then(|| normal(&self.root.join(dir).join(word))),
            })
        })
    }

    fn local_path(&self, path: &str) -> Option<String> {
        if let Some(name) = path.strip_prefix(HOME_OF_NIX) {
            return Some(format!("~{name}"));
        }
        let written = self.naming(path).and_then(|written| written.local);
        Some(self.above(path, written)?.to_string_lossy().into_owned())
    }

    fn why_absent(&self, path: &str, shown_dir: &str) -> String {
        let root = self.root.display();
        if let Some(name) = own_name(path) {
            return self.why_not_sent(name, shown_dir);
        }
        if let Some(name) = path.strip_prefix(HOME_OF_NIX) {
            let written = written_name(Path::new(name));
            return format!(
                "~{name} is in your home directory, but the builder has only {root}. Copy it there and write ./{written}"
            );
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
            (_, false) => format!(
                "{what} does not exist on this machine either. Put the file {beside} and write ./{}",
                written_name(&local)
            ),
        }
    }

    fn why_missing(&self, name: &str, shown_dir: &str) -> Option<String> {
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
            match self.similar_beside(name, &place) {
                Some(similar) => format!("Did you mean {similar}?"),
                None => "Check the path".to_owned(),
            }
        };
        Some(format!("{lacks}. {advice}"))
    }
}

/// Line and column of the first path to `missing` in the `text` of a file in `dir`, a directory of the configuration, and the path
/// as it is written.
fn path_to<'a>(missing: &str, dir: &Path, text: &'a str) -> Option<(usize, usize, &'a str)> {
    (1..).zip(text.lines()).find_map(|(line, text)| {
        let code = text.split('#').next().unwrap_or_default();
        let mut words = code.split(AROUND_PATHS);
        let word = words.find(|word| leads_to(word, dir, missing))?;
        let column = word.as_ptr().addr() - code.as_ptr().addr();
        let before = code.get(..column).unwrap_or_default();
        Some((line, before.chars().count(), word))
    })
}

/// Whether `written` in a file of `dir` is a path to `missing`. What an expression such as `${modulesPath}` stands for is not known:
/// then the rest of the path decides.
fn leads_to(written: &str, dir: &Path, missing: &str) -> bool {
    if is_relative(written) {
        let path = Path::new(layout::CONFIG).join(dir).join(written);
        return normal(&path) == Path::new(missing);
    }
    let Some((first, rest)) = written.split_once('/') else {
        return false;
    };
    let is_address = first.ends_with(':');
    let is_end = |rest: &str| missing == rest || missing.ends_with(&format!("/{rest}"));
    !is_address && !rest.is_empty() && is_end(rest)
}

fn is_relative(written: &str) -> bool {
    written.starts_with("./") || written.starts_with("../")
}

/// `path` without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    path.components()
        .fold(PathBuf::new(), |mut normal, component| {
            match component {
                Component::CurDir => {}
                Component::ParentDir => {
                    normal.pop();
                }
                Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                    normal.push(component);
                }
            }
            normal
        })
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
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    if name.is_empty() || !name.chars().all(is_plain) {
        return "FILE".to_owned();
    }
    name.into_owned()
}

#[cfg(test)]
mod tests;
