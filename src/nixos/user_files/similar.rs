//! Files of the configuration that may be meant by a name that none has.

use std::path::{Path, PathBuf};

use super::UserFiles;
use super::is_plain_name;
use super::naming::path_from;
use crate::nixos::ignore_rules::walk;
use sdbuild_core::nearest::nearest;

/// What a path to a directory stands for.
const DEFAULT_FILE: &str = "default.nix";
/// Files that are searched for a name at most.
const MAX_SEARCHED: usize = 2000;
/// Files of a directory that a hint names; with more, it names none.
const MAX_NAMED: usize = 5;

impl UserFiles {
    /// What may be meant by the file `name`, which does not exist; the file and line `place` names it. `None` if nothing is like it.
    pub(super) fn meant(&self, name: &str, place: &str) -> Option<String> {
        if let Some(hint) = self.files_of_directory(name, place) {
            return Some(hint);
        }
        let similar = self
            .with_ending(name)
            .or_else(|| self.similar_beside(name, place))
            .or_else(|| self.elsewhere(name, place));
        similar.map(|similar| format!("Did you mean {}?", path_from(place, &similar)))
    }

    /// The modules in a directory that has no `default.nix`, which is the file `name`.
    fn files_of_directory(&self, name: &str, place: &str) -> Option<String> {
        let dir = name.strip_suffix(DEFAULT_FILE)?.strip_suffix('/')?;
        let mut modules = self.names_in(Path::new(dir));
        modules.retain(|file| Path::new(file).extension().is_some_and(|end| end == "nix"));
        let is_named = (1..=MAX_NAMED).contains(&modules.len());
        let files: Vec<String> = modules.iter().map(|file| path_from(place, file)).collect();
        is_named.then(|| {
            format!(
                "A directory without a {DEFAULT_FILE} is not a module. Name its files: {}",
                files.join(" ")
            )
        })
    }

    /// The file `name` with the ending of modules, if that exists.
    fn with_ending(&self, name: &str) -> Option<String> {
        let file = format!("{name}.nix");
        self.root.join(&file).is_file().then_some(file)
    }

    /// The file with a name like `name` that is in the same directory, unless it is the one that names it at `place`.
    fn similar_beside(&self, name: &str, place: &str) -> Option<String> {
        let path = Path::new(name);
        let mut names = self.names_in(path.parent()?);
        let (of_place, _) = place.rsplit_once(':').unwrap_or_default();
        names.retain(|file| Path::new(file).extension() == path.extension() && file != of_place);
        let similar = nearest(name, names.iter().map(String::as_str))?;
        is_plain_name(similar).then(|| similar.to_owned())
    }

    /// The only file of the configuration with the name of the file `name`, unless it is the one that names it at `place`.
    fn elsewhere(&self, name: &str, place: &str) -> Option<String> {
        let name = Path::new(name).file_name()?;
        // Each directory may have one.
        if name == DEFAULT_FILE {
            return None;
        }
        let files = walk(&self.root, true).into_iter().flatten().flatten();
        let mut found = files
            .take(MAX_SEARCHED)
            .filter(|file| file.file_name() == Some(name) && file.is_file());
        let only = found.next().filter(|_| found.next().is_none())?;
        let below = only.strip_prefix(&self.root).ok()?.to_str()?;
        let (of_place, _) = place.rsplit_once(':').unwrap_or_default();
        (is_plain_name(below) && below != of_place).then(|| below.to_owned())
    }

    /// The paths of what is in the directory `dir` of the configuration, sorted.
    fn names_in(&self, dir: &Path) -> Vec<String> {
        let entries = self.root.join(dir).read_dir().into_iter().flatten();
        let paths = entries.filter_map(|entry| Some(dir.join(entry.ok()?.file_name())));
        let paths: Vec<PathBuf> = paths.collect();
        let mut names: Vec<String> = paths
            .iter()
            .filter_map(|path| path.to_str().map(str::to_owned))
            .collect();
        names.sort();
        names
    }
}
