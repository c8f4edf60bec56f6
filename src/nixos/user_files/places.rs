//! Where in the user's files something stands that Nix reports without a place.

use std::path::{Path, PathBuf};

use super::MAX_MODULE_BYTES;
use super::UserFiles;
use crate::nixos::ignore_rules::walk;
use sdbuild_core::plain_file;

/// Files that are searched for a name at most.
const MAX_SEARCHED: usize = 200;

impl UserFiles {
    /// The file and line of the configuration that throws `message`, which Nix does not tell in a short trace.
    pub(in crate::nixos) fn place_that_throws(&self, message: &str) -> Option<String> {
        let forms = [
            format!("throw \"{message}\""),
            format!("abort \"{message}\""),
        ];
        let throws = |line: &str| forms.iter().any(|form| line.contains(form));
        let is_plain = !message.is_empty() && !message.contains(['"', '\\', '\n']);
        self.place(|text| {
            let line = text.lines().position(throws).filter(|_| is_plain)?;
            Some(line + 1)
        })
    }

    /// The first place in the configuration that is not UTF-8, as `sd-card.nix:4`.
    pub(in crate::nixos) fn place_that_is_not_utf_8(&self) -> Option<String> {
        self.modules().iter().find_map(|module| {
            let bytes = plain_file::read(module, MAX_MODULE_BYTES).ok()?;
            let valid = std::str::from_utf8(&bytes).err()?.valid_up_to();
            let before = bytes.iter().take(valid);
            let line = 1 + before.filter(|byte| **byte == b'\n').count();
            let module = module.strip_prefix(&self.root).ok()?.display();
            Some(format!("{module}:{line}"))
        })
    }

    /// The first file of the configuration, and its line, that `find` finds in its text.
    fn place(&self, find: impl Fn(&str) -> Option<usize>) -> Option<String> {
        let (place, ()) = self.search(|text| Some((find(text)?, ())))?;
        Some(place)
    }

    /// The file and line of the only thing that `find` finds in the files of the configuration, with what else is found there; `None`
    /// if there are several.
    pub(in crate::nixos) fn only_place<T>(
        &self,
        find: impl Fn(&str) -> Vec<(usize, T)>,
    ) -> Option<(String, T)> {
        let mut found = self.all_places(find).fuse();
        let (module, line, what) = found.next()?;
        if found.next().is_some() {
            return None;
        }
        Some((format!("{module}:{line}"), what))
    }

    /// All that `find` finds in the files of the configuration, behind the path of each file below the directory that was uploaded, and
    /// the line.
    fn all_places<T>(
        &self,
        find: impl Fn(&str) -> Vec<(usize, T)>,
    ) -> impl Iterator<Item = (String, usize, T)> {
        let mut modules = self.modules();
        modules.sort();
        modules.dedup();
        modules.into_iter().flat_map(move |module| {
            let text = plain_file::read_text(&module, MAX_MODULE_BYTES).unwrap_or_default();
            let name = module.strip_prefix(&self.root).unwrap_or(&module);
            let name = name.display().to_string();
            let found = find(&text).into_iter();
            found.map(move |(line, what)| (name.clone(), line, what))
        })
    }

    /// The same in the configuration itself; in all files if nothing is found there. Other files may belong to other configurations.
    pub(in crate::nixos) fn only_place_beginning_with_first<T>(
        &self,
        find: impl Fn(&str) -> Vec<(usize, T)>,
    ) -> Option<(String, T)> {
        let text = self
            .first
            .as_ref()
            .and_then(|first| plain_file::read_text(first, MAX_MODULE_BYTES).ok());
        let mut found = find(&text.unwrap_or_default()).into_iter();
        let Some((line, what)) = found.next() else {
            return self.only_place(find);
        };
        let first = self.first.as_ref()?.strip_prefix(&self.root).ok()?;
        let place = format!("{}:{line}", first.display());
        found.next().is_none().then_some((place, what))
    }

    /// The first file of the configuration, and its line, that `find` finds in its text, with what else is found there.
    fn search<T>(&self, find: impl Fn(&str) -> Option<(usize, T)>) -> Option<(String, T)> {
        self.search_files(|_, text| find(text))
    }

    /// The same for a search that depends on the file, whose path is below the directory that was uploaded.
    pub(super) fn search_files<T>(
        &self,
        find: impl Fn(&Path, &str) -> Option<(usize, T)>,
    ) -> Option<(String, T)> {
        self.modules().iter().find_map(|module| {
            let text = plain_file::read_text(module, MAX_MODULE_BYTES).ok()?;
            let module = module.strip_prefix(&self.root).ok()?;
            let (line, found) = find(module, &text)?;
            Some((format!("{}:{line}", module.display()), found))
        })
    }

    /// The files of the configuration that are searched, itself first.
    fn modules(&self) -> Vec<PathBuf> {
        let files = walk(&self.root, true).into_iter().flatten().flatten();
        let modules = files.filter(|file| file.extension().is_some_and(|kind| kind == "nix"));
        let mut modules: Vec<PathBuf> = modules.take(MAX_SEARCHED).collect();
        modules.sort();
        if let Some(first) = &self.first {
            modules.insert(0, first.clone());
        }
        modules
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_configuration_itself_comes_before_other_files() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("a.nix", "x"),
            ("b.nix", "x"),
            ("c.nix", ""),
            ("d.nix", "x\nx"),
        ] {
            fs::write(dir.path().join(name), text).unwrap();
        }
        let place = |files: UserFiles| {
            let lines = |text: &str| {
                let lines = text.lines().enumerate();
                lines.map(|(index, _)| (index + 1, ())).collect::<Vec<_>>()
            };
            files.only_place_beginning_with_first(lines)
        };
        let files = UserFiles::new(dir.path());
        let own = place(files.clone().beginning_with("b.nix"));
        assert_eq!(own, Some(("b.nix:1".to_owned(), ())));
        for several in ["c.nix", "d.nix"] {
            assert_eq!(place(files.clone().beginning_with(several)), None);
        }
    }

    #[test]
    fn the_line_that_throws_a_message_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let files = UserFiles::new(dir.path());
        let text = "{ ... }:\n{\n  networking.hostName = throw \"boom\";\n}\n";
        fs::write(dir.path().join("sd-card.nix"), text).unwrap();
        let found = files.place_that_throws("boom");
        assert_eq!(found.as_deref(), Some("sd-card.nix:3"));
        fs::write(dir.path().join("a.nix"), text).unwrap();
        let files = files.beginning_with("sd-card.nix");
        let found = files.place_that_throws("boom");
        assert_eq!(found.as_deref(), Some("sd-card.nix:3"));
        for message in ["", "bo", "boom\n"] {
            assert_eq!(files.place_that_throws(message), None, "{message}");
        }
    }
}
