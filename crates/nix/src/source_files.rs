//! The user's files, as explanations of errors and findings look at them. Reading them is left to the caller.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Component, Path, PathBuf};

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_LIST, NODE_PAREN, NODE_PATH_REL, NODE_WITH,
};
use rnix::SyntaxNode;

use super::layout::CONFIG_DIR;
use super::nix_definitions::{defined_path, defines, is_variable};
use super::nix_syntax::parse;

/// What `nixos-generate-config` writes about the machine that it runs on.
pub const HARDWARE_FILE: &str = "hardware-configuration.nix";
/// Files that are followed at most.
const MAX_IMPORTED: usize = 200;

/// A path in a file of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenPath {
    /// The file and the line, as `sd-card.nix:4`.
    pub place: String,
    /// The line, counted from 1.
    pub line: usize,
    /// Characters before the path in its line.
    pub column: usize,
    /// The file of this machine that a relative path leads to. In the builder, too many `..` lead to its root.
    pub local: Option<PathBuf>,
}

/// The files of the directory that is uploaded. Paths of the builder begin with [`CONFIG_DIR`].
pub trait SourceFiles: fmt::Debug {
    /// The content of the file that the builder has at `path`; `None` for everything but the configuration's own files.
    fn bytes(&self, path: &str) -> Option<Vec<u8>>;
    /// The path of the configuration itself below the directory.
    fn configuration(&self) -> Option<&Path>;
    /// The paths below the directory of the files of Nix, and their contents, the configuration itself first.
    fn modules(&self) -> Vec<(PathBuf, Vec<u8>)>;
    /// Where the configuration names the file `missing`, a path of the builder or one below nixpkgs.
    fn naming(&self, missing: &str) -> Option<WrittenPath>;
    /// The file of this machine that the builder looked for at `path`, outside the directory that was uploaded.
    fn local_path(&self, path: &str) -> Option<String>;
    /// Why the builder does not have the file at `path`, which it looked for, and what to do. The place that names it begins with
    /// `shown_dir`.
    fn why_absent(&self, path: &str, shown_dir: &str) -> String;
    /// That there is no file `name` on this machine either, and what to do; `None` if there is one.
    fn why_missing(&self, name: &str, shown_dir: &str) -> Option<String>;
}

impl dyn SourceFiles + '_ {
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

    /// The first place in the configuration that is not UTF-8, as `sd-card.nix:4`.
    pub fn place_that_is_not_utf_8(&self) -> Option<String> {
        self.modules().iter().find_map(|(module, bytes)| {
            let valid = std::str::from_utf8(bytes).err()?.valid_up_to();
            let before = bytes.iter().take(valid);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            Some(format!("{}:{line}", module.display()))
        })
    }

    /// The file and line of the only thing that `find` finds in the files of the configuration, with what else is found there; `None`
    /// if there are several.
    pub fn only_place<T>(&self, find: impl Fn(&str) -> Vec<(usize, T)>) -> Option<(String, T)> {
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
        is_only.then(|| (format!("{}:{line}", module.display()), what))
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
            waiting.extend(paths.iter().filter_map(|path| below(&dir, path)));
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

/// The path `written` in a file in `dir`, without `.` and `..`; `None` if it leads out of the directory that was uploaded.
fn below(dir: &Path, written: &Path) -> Option<PathBuf> {
    let mut path = dir.to_owned();
    for part in written.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                if !path.pop() {
                    return None;
                }
            }
            Component::Normal(name) => path.push(name),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}
