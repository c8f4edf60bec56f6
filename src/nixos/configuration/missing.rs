//! What may be meant by a configuration that is not there.

use std::fs;
use std::io;
use std::path::Path;

use crate::common::failure::{Class, Failure};
use crate::common::flake_ref::FLAKE_FILE;
use crate::common::nearest::nearest;
use crate::common::shell_word::quoted;
use crate::common::shown_path::shown_path;

/// Modules that a hint lists; the rest is counted.
const MAX_MODULES: usize = 5;
/// The name of a configuration unless the user names another one.
const USUAL: &str = "sd-card.nix";
/// Files of Nix that are packages and shells, and no configurations.
const PACKAGES: [&str; 2] = ["default.nix", "shell.nix"];

/// The command line that a hint suggests for another configuration.
#[derive(Clone, Copy, Debug)]
pub struct SuggestedCommand {
    name: &'static str,
    /// The flag before the path of a configuration; `None` where the path is an argument, which may be a directory.
    config_flag: Option<&'static str>,
}

impl SuggestedCommand {
    /// The subcommand `name` whose argument is the path of a configuration.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            config_flag: None,
        }
    }

    /// The same for a subcommand that takes the path of a file with `flag`.
    #[must_use]
    pub fn with_flag(self, flag: &'static str) -> Self {
        Self {
            config_flag: Some(flag),
            ..self
        }
    }

    /// What its path may be.
    fn takes(self) -> &'static str {
        match self.config_flag {
            None => "file or directory",
            Some(_) => "file",
        }
    }

    /// The command line with `path`, which is quoted for a shell.
    fn with(self, path: &str) -> String {
        let flag = self.config_flag.map(|flag| format!("{flag} "));
        format!("sdbuild {} {}{path}", self.name, flag.unwrap_or_default())
    }
}

/// The configuration `path` cannot be read: how to get one, if there is none.
pub(super) fn not_readable(path: &Path, error: io::Error, command: SuggestedCommand) -> Failure {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let failure = Failure::new(Class::Usage, error)
        .context(format!("read the configuration {}", path.display()));
    let flake = path.with_file_name(FLAKE_FILE);
    if let (true, Ok(target)) = (is_missing, fs::read_link(path)) {
        failure.hint(format!(
            "it is a symbolic link to {}, which does not exist",
            target.display()
        ))
    } else if is_missing && flake.is_file() {
        failure.hint(flake_hint(&flake, path, command))
    } else if is_missing {
        failure.hint(missing_hint(path, command))
    } else {
        failure.hint("the file and its directory must be readable")
    }
}

/// What may be meant by a configuration that does not exist.
fn missing_hint(path: &Path, command: SuggestedCommand) -> String {
    let directory = path.parent().unwrap_or(Path::new(""));
    let modules = modules_in(directory);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let shown = |module: &str| quoted(&shown_path(&directory.join(module)));
    if name != USUAL {
        return match nearest(&name, modules.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {}?", shown(meant)),
            None => modules_hint(directory, &modules, command)
                .unwrap_or_else(|| path_hint(command).to_owned()),
        };
    }
    nearby_hint(directory, modules, command).unwrap_or_else(|| no_module_hint(directory, command))
}

/// The configuration that may be meant in the current directory, which has neither `sd-card.nix` nor `flake.nix`: another
/// file, or one of a directory below or above it. `None` if there is none.
pub fn configuration_nearby(command: SuggestedCommand) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    nearby_hint(&here, modules_in(&here), command)
}

/// The names of the files of Nix in `directory`.
fn modules_in(directory: &Path) -> Vec<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let modules = files.filter(|file| file.path().extension().is_some_and(|e| e == "nix"));
    let mut modules: Vec<String> = modules
        .filter_map(|file| file.file_name().into_string().ok())
        .collect();
    modules.sort();
    modules
}

/// Which configuration may be meant in `directory`, which has `modules` and no `sd-card.nix`.
fn nearby_hint(
    directory: &Path,
    mut modules: Vec<String>,
    command: SuggestedCommand,
) -> Option<String> {
    modules.retain(|module| !PACKAGES.contains(&module.as_str()));
    let usual = modules.iter().find(|module| *module == "configuration.nix");
    if let Some(module) = usual.or(modules.first().filter(|_| modules.len() == 1)) {
        let shown = quoted(&shown_path(&directory.join(module)));
        return Some(format!("to use {module} instead: {}", command.with(&shown)));
    }
    modules_hint(directory, &modules, command)
        .or_else(|| subdirectory_hint(directory, command))
        .or_else(|| parent_hint(directory, command).filter(|_| is_here(directory)))
}

/// What to do about a path of nothing.
fn path_hint(command: SuggestedCommand) -> &'static str {
    match command.config_flag {
        None => "check the path: it may be that of a file, or of a directory with an sd-card.nix",
        Some(_) => "check the path: it must be that of a file",
    }
}

/// The nearest directory above the current `directory` with a configuration or a flake; `None` if there is none.
fn parent_hint(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let parents = directory.ancestors().enumerate().skip(1);
    let mut parents = parents.filter(|(_, parent)| parent.file_name().is_some());
    let (levels, name) = parents.find_map(|(levels, parent)| {
        let names = [USUAL, FLAKE_FILE].into_iter();
        let mut taken = names.filter(|name| command.config_flag.is_none() || *name == USUAL);
        taken
            .find(|name| parent.join(name).is_file())
            .map(|name| (levels, name))
    })?;
    let up = vec![".."; levels].join("/");
    let given = match command.config_flag {
        None => up.clone(),
        Some(_) => format!("{up}/{name}"),
    };
    Some(format!(
        "the directory {up} has {name}: {}",
        command.with(&given)
    ))
}

/// The first subdirectory with a configuration; `None` if there is none.
fn subdirectory_hint(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let name = USUAL;
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let dirs = files.map(|file| file.path());
    let mut dirs: Vec<_> = dirs.filter(|dir| dir.join(name).is_file()).collect();
    dirs.sort();
    let first = dirs.first()?;
    let shown = quoted(&shown_path(first));
    let more = match dirs.len() - 1 {
        0 => String::new(),
        1 => ", and another directory has one".to_owned(),
        more => format!(", and {more} other directories have one"),
    };
    let given = match command.config_flag {
        None => command.with(&shown),
        Some(_) => command.with(&quoted(&shown_path(&first.join(name)))),
    };
    Some(format!("{shown} has one: {given}{more}"))
}

/// The modules that are in the directory, of which one may be meant; `None` if there is none.
fn modules_hint(directory: &Path, modules: &[String], command: SuggestedCommand) -> Option<String> {
    // Which of several is a configuration, is not known.
    let given = match modules {
        [] => return None,
        [only] => quoted(&shown_path(&directory.join(only))),
        _ => "FILE".to_owned(),
    };
    let names: Vec<&str> = modules
        .iter()
        .take(MAX_MODULES)
        .map(String::as_str)
        .collect();
    let more = match modules.len().saturating_sub(MAX_MODULES) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let place = if is_here(directory) {
        "here".to_owned()
    } else {
        format!("in {}", shown_path(directory))
    };
    let verb = if modules.len() == 1 { "is" } else { "are" };
    Some(format!(
        "{place} {verb} {}{more}: {}",
        names.join(", "),
        command.with(&given)
    ))
}

fn is_here(directory: &Path) -> bool {
    std::env::current_dir().is_ok_and(|here| here == directory)
}

/// What to do about a `directory` without any module.
fn no_module_hint(directory: &Path, command: SuggestedCommand) -> String {
    if is_here(directory) || !directory.is_dir() {
        return format!(
            "`sdbuild init` writes one into the current directory; for one elsewhere give its {}: {}",
            command.takes(),
            command.with("PATH")
        );
    }
    let shown = quoted(&shown_path(directory));
    format!("the directory {shown} has no configuration: `sdbuild init {shown}` writes one there")
}

/// What to do in a directory that has a flake and no file `path`, which may be the name of a configuration in it.
fn flake_hint(flake: &Path, path: &Path, command: SuggestedCommand) -> String {
    let directory = flake.parent().unwrap_or(Path::new(""));
    let place = if is_here(directory) {
        ".".to_owned()
    } else {
        shown_path(directory)
    };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let reference = if Path::new(&*name).extension().is_some() {
        place
    } else {
        format!("{place}#{name}")
    };
    format!(
        "{} is a flake: sdbuild {} --flake {}",
        shown_path(flake),
        command.name,
        quoted(&reference)
    )
}
