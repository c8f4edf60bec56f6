//! The user's files, as far as they explain an error of the builder: the content of those that are uploaded, and why others
//! are not.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_LIST, NODE_PAREN, NODE_PATH_REL, NODE_WITH,
};
use rnix::SyntaxNode;

use crate::layout::{self, CONFIG_DIR, HOME_OF_NIX};
use crate::nix_definitions::{defined_path, defines, is_variable};
use crate::nix_syntax::parse;
use sdbuild_core::nearest::nearest;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;

use super::ignore_rules::{OWN_IGNORE_FILE, ignoring_rule, walk};

/// What `nixos-generate-config` writes about the machine that it runs on.
const HARDWARE_FILE: &str = "hardware-configuration.nix";
/// Files that are followed at most.
const MAX_IMPORTED: usize = 200;
/// Bytes that are read of a file at most; a configuration has some thousand.
const MAX_MODULE_BYTES: u64 = 1 << 20;

/// Files that are searched at most.
const MAX_SEARCHED: usize = 200;

/// Characters around a path in Nix code. Those of `${…}` belong to the path.
const AROUND_PATHS: [char; 12] = [' ', '\t', '(', ')', '[', ']', '<', '>', '"', '\'', ';', '='];

/// What to do about a line that names it: instructions for a PC begin with it.
const REMOVE_HARDWARE_FILE: &str = "That file describes the disks of an installed machine, and the image has \
 its own. Remove its path from the imports";

/// A path in a file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPath {
    /// The file, below the directory that was uploaded.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// Characters before the path in its line.
    pub column: usize,
    /// The file of this machine that a relative path leads to. In the builder, too many `..` lead to its root.
    pub local: Option<PathBuf>,
}

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

    /// The file with a name like `name` that is in the same directory, unless it is `naming` it.
    fn similar_beside(&self, name: &str, naming: Option<&str>) -> Option<String> {
        let path = Path::new(name);
        let entries = self.root.join(path.parent()?).read_dir().ok()?;
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let of_kind = |file: &String| Path::new(file).extension() == path.extension();
        let names: Vec<String> = names
            .filter(|file| of_kind(file) && Some(file.as_str()) != naming)
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

impl UserFiles {
    /// The content of the file that the builder has at `path`; `None` for everything but the configuration's own files.
    fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        plain_file::read(&self.root.join(own_name(path)?), MAX_MODULE_BYTES).ok()
    }

    /// The path of the configuration itself below the directory.
    fn configuration(&self) -> Option<&Path> {
        self.first.as_ref()?.strip_prefix(&self.root).ok()
    }

    /// The paths below the directory of the files of Nix, and their contents, the configuration itself first.
    pub fn modules(&self) -> Vec<(PathBuf, Vec<u8>)> {
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

    /// Where the configuration names the file `missing`, a path of the builder or one below nixpkgs.
    pub fn naming(&self, missing: &str) -> Option<WrittenPath> {
        self.modules().iter().find_map(|(module, bytes)| {
            let dir = module.parent().unwrap_or(Path::new(""));
            let (line, column, word) = path_to(missing, dir, std::str::from_utf8(bytes).ok()?)?;
            Some(WrittenPath {
                file: module.display().to_string(),
                line,
                column,
                local: is_relative(word).then(|| normal(&self.root.join(dir).join(word))),
            })
        })
    }

    /// The file of this machine that the builder looked for at `path`, outside the directory that was uploaded.
    pub fn local_path(&self, path: &str) -> Option<String> {
        if let Some(name) = path.strip_prefix(HOME_OF_NIX) {
            return Some(format!("~{name}"));
        }
        let written = self.naming(path).and_then(|written| written.local);
        Some(self.above(path, written)?.to_string_lossy().into_owned())
    }

    /// Why the builder does not have the file at `path`, which it looked for, and what to do. The place that names it begins with
    /// `shown_dir`.
    pub fn why_absent(&self, path: &str, shown_dir: &str) -> String {
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
        let above = self.above(path, written.as_ref().and_then(|path| path.local.clone()));
        let local = above.clone().unwrap_or_else(|| PathBuf::from(path));
        let shown = local.display();
        let named = written
            .as_ref()
            .map(|it| format!("{shown_dir}{}:{} names {shown}", it.file, it.line));
        if path.rsplit('/').next() == Some(HARDWARE_FILE) {
            let is_named = named.map_or_else(String::new, |named| format!("{named}. "));
            return format!("{is_named}{REMOVE_HARDWARE_FILE}");
        }
        let beside = written.map_or("into that directory".to_owned(), |it| {
            format!("next to {}", it.file)
        });
        let copy = format!("copy it {beside} and write ./{}", written_name(&local));
        let what = named.map_or_else(|| shown.to_string(), |named| format!("{named}, which"));
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

    /// That there is no file `name` on this machine either, and what to do; `None` if there is one.
    pub fn why_missing(&self, name: &str, shown_dir: &str) -> Option<String> {
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
                "{shown_dir}{}:{} names {name}, which does not exist in {root}",
                written.file, written.line
            ),
            None => format!("there is no {name} in {root}"),
        };
        let advice = if name.rsplit('/').next() == Some(HARDWARE_FILE) {
            REMOVE_HARDWARE_FILE.to_owned()
        } else {
            match self.similar_beside(name, named.as_ref().map(|it| it.file.as_str())) {
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

impl UserFiles {
    /// The text of the file that the builder has at `path`, as far as it is UTF-8.
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = self.bytes(path)?;
        Some(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Whether the configuration has a file of its own that the builder has at `path`.
    pub fn has_file(&self, path: &str) -> bool {
        self.bytes(path).is_some()
    }

    /// Whether the file at `path` is in UTF-16: by its byte order mark, or as one of its first two bytes is zero, where Nix has ASCII
    /// characters.
    pub fn is_utf_16(&self, path: &str) -> bool {
        self.bytes(path)
            .is_some_and(|bytes| match *bytes.as_slice() {
                [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => true,
                [first, second, ..] => (first == 0) != (second == 0),
                _ => false,
            })
    }

    /// The file and line of the first place in the configuration that is not UTF-8.
    pub fn place_that_is_not_utf_8(&self) -> Option<(String, usize)> {
        self.modules().iter().find_map(|(module, bytes)| {
            let valid = std::str::from_utf8(bytes).err()?.valid_up_to();
            let before = bytes.iter().take(valid);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            Some((module.display().to_string(), line))
        })
    }

    /// The file and line of the only thing that `find` finds in the files of the configuration, with what else is found there; `None`
    /// if there are several.
    pub fn only_place<T>(
        &self,
        find: impl Fn(&str) -> Vec<(usize, T)>,
    ) -> Option<(String, usize, T)> {
        let mut modules = self.modules();
        modules.sort();
        modules.dedup();
        let found = modules.iter().flat_map(|(module, bytes)| {
            let found = find(std::str::from_utf8(bytes).unwrap_or_default());
            found.into_iter().map(move |found| (module, found))
        });
        let mut found = found.fuse();
        let (module, (line, what)) = found.next()?;
        let is_only = found.next().is_none();
        is_only.then(|| (module.display().to_string(), line, what))
    }

    /// The configuration, and the files that it certainly imports, by paths that are written out: others may belong to other machines. The
    /// path of each below the directory that was uploaded, and its text. None of a flake with several lists of modules, of which each may
    /// be that of another machine.
    pub fn imported(&self) -> Vec<(PathBuf, String)> {
        let first = self.configuration();
        let flake = first.filter(|first| first.file_name() == Some(OsStr::new("flake.nix")));
        let mut waiting: Vec<PathBuf> = first.map(Path::to_owned).into_iter().collect();
        let mut found: Vec<(PathBuf, String)> = Vec::new();
        while let Some(name) = waiting.pop() {
            let Some((name, text)) = self.module_at(name) else {
                continue;
            };
            if found.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let Some(paths) = written_imports(&text, flake == Some(name.as_path())) else {
                return Vec::new();
            };
            let dir = name.parent().unwrap_or(Path::new("")).to_owned();
            let path = |written| normal(&Path::new(layout::CONFIG).join(&dir).join(written));
            let paths = paths.iter().map(path);
            waiting.extend(paths.filter_map(|path| Some(own_name(path.to_str()?)?.into())));
            found.push((name, text));
            if found.len() > MAX_IMPORTED {
                return Vec::new();
            }
        }
        found
    }

    /// The file that Nix reads for the path `name`, and its text: of a directory its `default.nix`.
    fn module_at(&self, name: PathBuf) -> Option<(PathBuf, String)> {
        let inner = name.join("default.nix");
        [name, inner].into_iter().find_map(|name| {
            let bytes = self.bytes(&format!("{CONFIG_DIR}{}", name.to_str()?))?;
            Some((name, String::from_utf8(bytes).ok()?))
        })
    }
}

/// The paths in the imports of the module, or the modules of the flake, with `text`, as they are written. `None` for a flake
/// without exactly one list of modules.
fn written_imports(text: &str, is_flake: bool) -> Option<Vec<PathBuf>> {
    let root = parse(text).syntax();
    let last_name = |path: &str| path.rsplit('.').next() == Some("modules");
    if is_flake {
        let mut lists = root
            .descendants()
            .filter(|node| defined_path(node).is_some_and(|path| last_name(&path)));
        lists.next().filter(|_| lists.next().is_none())?;
    }
    let names_module = |node: &SyntaxNode| {
        let path = defines(node);
        if is_flake {
            last_name(path.strip_suffix(".imports").unwrap_or(&path))
        } else {
            path == "imports" && !is_argument_or_variable(node)
        }
    };
    let paths = root
        .descendants()
        .filter(|node| node.kind() == NODE_PATH_REL && is_element(node) && names_module(node));
    Some(
        paths
            .map(|node| PathBuf::from(node.text().to_string()))
            .collect(),
    )
}

/// Whether `node` is certainly an element of the list that the definition around it defines.
fn is_element(node: &SyntaxNode) -> bool {
    let is_listed = node.parent().is_some_and(|list| list.kind() == NODE_LIST);
    let around = node.ancestors().skip(1);
    let mut around = around.take_while(|node| node.kind() != NODE_ATTRPATH_VALUE);
    let kinds = [NODE_LIST, NODE_PAREN, NODE_BIN_OP, NODE_WITH];
    is_listed && around.all(|node| kinds.contains(&node.kind()))
}

/// Whether `node` is in what is given to a function, or in a variable: neither need be part of the module.
fn is_argument_or_variable(node: &SyntaxNode) -> bool {
    let mut around = node.ancestors();
    around.any(|node| node.kind() == NODE_APPLY) || is_variable(node)
}

#[cfg(test)]
mod tests;
