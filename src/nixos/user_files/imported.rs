//! Which of the user's files are certainly part of the configuration: others may belong to other machines.

use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use rnix::SyntaxKind::{
    NODE_APPLY, NODE_ATTRPATH_VALUE, NODE_BIN_OP, NODE_LIST, NODE_PAREN, NODE_PATH_REL, NODE_WITH,
};
use rnix::SyntaxNode;

use super::MAX_MODULE_BYTES;
use super::UserFiles;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::nix_definitions::{defined_path, defines, is_variable};
use crate::nixos::nix_syntax::parse;
use sdbuild_core::plain_file;

/// Files that are followed at most.
const MAX_IMPORTED: usize = 200;

impl UserFiles {
    /// The configuration, and the files that it imports by paths that are written out: the path of each below the directory that
    /// was uploaded, and its text. None of a flake with several lists of modules, of which each may be that of another machine.
    pub(in crate::nixos) fn imported(&self) -> Vec<(PathBuf, String)> {
        let first = self.first.as_ref();
        let first = first.and_then(|first| first.strip_prefix(&self.root).ok());
        let flake = first.filter(|first| first.file_name() == Some(OsStr::new(FLAKE_FILE)));
        let mut waiting: Vec<PathBuf> = first.map(Path::to_owned).into_iter().collect();
        let mut found: Vec<(PathBuf, String)> = Vec::new();
        while let Some(name) = waiting.pop() {
            let is_known = found.iter().any(|(other, _)| *other == name);
            let path = self.root.join(&name);
            let text = plain_file::read_text(&path, MAX_MODULE_BYTES);
            let Some(text) = text.ok().filter(|_| !is_known) else {
                continue;
            };
            let is_flake = flake == Some(name.as_path());
            let Some(paths) = written_imports(&text, is_flake) else {
                return Vec::new();
            };
            let dir = name.parent().unwrap_or(Path::new("")).to_owned();
            let files = paths.iter().filter_map(|path| below(&dir, path));
            waiting.extend(files.map(|file| self.module_at(file)));
            found.push((name, text));
            if found.len() > MAX_IMPORTED {
                return Vec::new();
            }
        }
        found
    }

    /// The file that Nix reads for the path `name`: of a directory its `default.nix`.
    fn module_at(&self, name: PathBuf) -> PathBuf {
        if self.root.join(&name).is_dir() {
            name.join("default.nix")
        } else {
            name
        }
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The names of the imported files of the configuration or the flake `first`.
    fn imported(first: &str, files: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let all = UserFiles::new(dir.path()).beginning_with(first);
        let found = all.imported().into_iter();
        let mut names: Vec<String> = found.map(|(name, _)| name.display().to_string()).collect();
        names.sort();
        names
    }

    #[test]
    fn files_that_are_imported_by_written_paths_count() {
        let files = [
            (
                "pi.nix",
                "{ lib, ... }: { imports = [ ./a.nix ./dir ] ++ [ ./b.nix ]; }",
            ),
            ("a.nix", "{ imports = [ ./pi.nix ./../above.nix ]; }"),
            ("dir/default.nix", "{ imports = [ ../c.nix ./none.nix ]; }"),
            ("b.nix", "{ }"),
            ("c.nix", "{ }"),
            ("laptop.nix", "{ }"),
        ];
        let found = imported("pi.nix", &files);
        assert_eq!(
            found,
            ["a.nix", "b.nix", "c.nix", "dir/default.nix", "pi.nix"]
        );
        for uncertain in [
            "{ imports = lib.optional x ./b.nix; }",
            "{ imports = if x then [ ./b.nix ] else [ ]; }",
            "{ imports = [ (f ./b.nix) ]; }",
            "{ a.b.imports = [ ./b.nix ]; }",
            "let x = { imports = [ ./b.nix ]; }; in { }",
            "{ # imports = [ ./b.nix ];\n }",
        ] {
            let files = [("pi.nix", uncertain), ("b.nix", "{ }")];
            assert_eq!(imported("pi.nix", &files), ["pi.nix"], "{uncertain}");
        }
    }

    #[test]
    fn a_flake_has_one_list_of_modules_or_none_is_certain() {
        let host = |name: &str| {
            format!(
                "nixosConfigurations.{name} = n.lib.nixosSystem {{ modules = [ ./{name}.nix {{ imports = [ ./c.nix ]; }} ]; }};"
            )
        };
        let of = |hosts: &str| {
            let flake = format!("{{ outputs = n: {{ {hosts} }}; }}");
            let files = [
                ("flake.nix", flake.as_str()),
                ("a.nix", "{ }"),
                ("b.nix", "{ }"),
            ];
            imported("flake.nix", &files)
        };
        assert_eq!(of(&host("a")), ["a.nix", "flake.nix"]);
        assert_eq!(of(&(host("a") + &host("b"))), [""; 0]);
        assert_eq!(of(""), [""; 0]);
    }

    #[test]
    fn a_flake_may_be_in_a_directory_of_its_repository() {
        let flake = |name: &str| {
            format!("{{ outputs = n: n.lib.nixosSystem {{ modules = [ ./{name}.nix ]; }}; }}")
        };
        let (own, other) = (flake("a"), flake("pi/b"));
        let files = [
            ("pi/flake.nix", own.as_str()),
            ("flake.nix", other.as_str()),
            ("pi/a.nix", "{ }"),
            ("pi/b.nix", "{ }"),
        ];
        assert_eq!(
            imported("pi/flake.nix", &files),
            ["pi/a.nix", "pi/flake.nix"]
        );
    }
}
