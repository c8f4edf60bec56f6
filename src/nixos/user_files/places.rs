//! Where in the user's files something stands that Nix reports without a place.

use std::path::{Path, PathBuf};

use super::MAX_MODULE_BYTES;
use super::UserFiles;
use crate::nixos::ignore_rules::walk;
use sdbuild_core::plain_file;

/// Files that are searched for a name at most.
const MAX_SEARCHED: usize = 200;

impl UserFiles {
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
