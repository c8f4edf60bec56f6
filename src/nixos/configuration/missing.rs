//! What to do about a configuration that is not there: the command line for one that is near.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE, configuration_in, flake_text};
use crate::nixos::flake::configuration_meant;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::nearest::nearest;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;

/// Modules that a hint lists.
const MAX_MODULES: usize = 5;
/// Files of Nix that are packages and shells, and no configurations.
const PACKAGES: [&str; 2] = ["default.nix", "shell.nix"];
/// The mode bit of a directory that everybody may write to.
const WORLD_WRITABLE: u32 = 0o002;

/// The command that a hint suggests for another configuration.
#[derive(Clone, Copy, Debug)]
pub struct SuggestedCommand {
    name: &'static str,
    takes: Takes,
}

/// How a command is given its configuration.
#[derive(Clone, Copy, Debug)]
enum Takes {
    /// As an argument: a file or a directory.
    Path,
    /// As the value of this flag: a file; a flake with `--flake`.
    File(&'static str),
    /// Not at all, it takes that of the current directory; a flake with `--flake`.
    CurrentDirectory,
}

impl SuggestedCommand {
    /// The subcommand `name` whose argument is the path of a configuration.
    #[must_use]
    pub fn new(name: &'static str) -> Self {
        let takes = Takes::Path;
        Self { name, takes }
    }

    /// The same for a subcommand that takes the path of a file with `flag`.
    #[must_use]
    pub fn with_flag(self, flag: &'static str) -> Self {
        let takes = Takes::File(flag);
        Self { takes, ..self }
    }

    /// The same for a subcommand that takes the configuration of the current directory.
    #[must_use]
    pub fn in_current_directory(self) -> Self {
        let takes = Takes::CurrentDirectory;
        Self { takes, ..self }
    }

    /// The command line with the file `path`; `None` if it takes none.
    fn with_file(self, path: &Path) -> Option<String> {
        let (name, shown) = (self.name, quoted(&shown_path(path)));
        match self.takes {
            Takes::Path => Some(format!("sdbuild {name} {shown}")),
            Takes::File(flag) => Some(format!("sdbuild {name} {flag} {shown}")),
            Takes::CurrentDirectory => None,
        }
    }

    /// The command line with the directory `path`, which has a file `configuration`.
    fn with_directory(self, path: &str, configuration: &str) -> String {
        let (name, shown) = (self.name, quoted(path));
        match self.takes {
            Takes::Path => format!("sdbuild {name} {shown}"),
            Takes::File(_) | Takes::CurrentDirectory if configuration == FLAKE_FILE => {
                format!("sdbuild {name} --flake {shown}")
            }
            Takes::File(flag) => {
                let file = quoted(&format!("{path}/{configuration}"));
                format!("sdbuild {name} {flag} {file}")
            }
            Takes::CurrentDirectory => format!("cd {shown} && sdbuild {name}"),
        }
    }

    /// The command line with the flake `reference`.
    fn with_flake(self, reference: &str) -> String {
        let flag = match self.takes {
            Takes::Path => "",
            Takes::File(_) | Takes::CurrentDirectory => "--flake ",
        };
        format!("sdbuild {} {flag}{}", self.name, quoted(reference))
    }
}

/// The configuration `path` cannot be read: how to get one, if there is none.
pub(super) fn not_readable(path: &Path, error: io::Error, command: SuggestedCommand) -> Failure {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let failure = Failure::new(Class::Usage, error)
        .context(format!("read the configuration {}", path.display()));
    if !is_missing {
        return failure.hint("the file and its directory must be readable");
    }
    if let Ok(target) = fs::read_link(path) {
        let target = target.display();
        return failure.hint(format!(
            "it is a symbolic link to {target}, which does not exist"
        ));
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let similar = similar_file(directory, path);
    let hint = in_flake(path, command)
        .or(similar)
        .or_else(|| nearby(directory, command));
    let failure = hint.into_iter().fold(failure, Failure::hint);
    if path.file_name().is_some_and(|name| name == CONFIG_NAME) {
        failure.hint("`sdbuild init` writes a configuration")
    } else {
        failure
    }
}

/// The configuration that may be used in place of the one that the current directory does not have; `None` if there is none.
pub fn configuration_nearby(command: SuggestedCommand) -> Option<String> {
    nearby(&std::env::current_dir().ok()?, command)
}

/// The file in the `directory` of `path` with a similar name.
fn similar_file(directory: &Path, path: &Path) -> Option<String> {
    let name = path.file_name()?.to_str()?;
    let modules = modules_in(directory);
    let similar = nearest(name, modules.iter().map(String::as_str))?;
    let similar = shown_path(&directory.join(similar));
    Some(format!("did you mean {}?", quoted(&similar)))
}

/// The configuration with the name of the missing `path`, or of its directory, in a flake beside it.
fn in_flake(path: &Path, command: SuggestedCommand) -> Option<String> {
    let directory = path.parent()?;
    let of_directory = directory.parent().map(|above| (above, directory));
    let mut places = [Some((directory, path)), of_directory]
        .into_iter()
        .flatten();
    places.find_map(|(place, named)| {
        let name = configuration_meant(&flake_text(place)?, named.file_name()?.to_str()?)?;
        let place = if is_here(place) {
            ".".to_owned()
        } else {
            shown_path(place)
        };
        let line = command.with_flake(&format!("{place}#{name}"));
        Some(format!("{name} is a configuration of a flake: {line}"))
    })
}

/// A configuration above `directory`, in it under another name, or in a directory below it.
fn nearby(directory: &Path, command: SuggestedCommand) -> Option<String> {
    above(directory, command)
        .or_else(|| modules_hint(directory, command))
        .or_else(|| below(directory, command))
}

/// The nearest directory above the current `directory` with a configuration, as far as the git repository goes, and as far as only
/// the user can write to the directories.
fn above(directory: &Path, command: SuggestedCommand) -> Option<String> {
    if !is_here(directory) {
        return None;
    }
    // Above the top of a repository another project begins.
    let inner = directory
        .ancestors()
        .take_while(|dir| !dir.join(".git").exists());
    let parents = inner.filter_map(Path::parent);
    let mut parents = parents.take_while(|dir| is_the_users_own(dir)).enumerate();
    let (index, name) =
        parents.find_map(|(index, parent)| Some((index, configuration_in(parent)?)))?;
    let up = vec![".."; index + 1].join("/");
    let line = command.with_directory(&up, name);
    Some(format!("the directory {up} has {name}: {line}"))
}

/// Whether `dir` belongs to the user, and nobody else can put a file there; not the home directory, where a `flake.nix` is
/// mostly another system's.
fn is_the_users_own(dir: &Path) -> bool {
    let is_own =
        |meta: fs::Metadata| meta.uid() == geteuid().as_raw() && meta.mode() & WORLD_WRITABLE == 0;
    let is_home = std::env::home_dir().is_some_and(|home| home == dir);
    !is_home && dir.parent().is_some() && fs::metadata(dir).is_ok_and(is_own)
}

/// The first directory in `directory` with a configuration.
fn below(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let dirs = files.filter_map(|file| Some((file.path(), configuration_in(&file.path())?)));
    let (dir, name) = dirs.min()?;
    let shown = shown_path(&dir);
    let line = command.with_directory(&shown, name);
    Some(format!("{} has {name}: {line}", quoted(&shown)))
}

/// The files in `directory` that may be configurations: the only one, or the one with NixOS's usual name, or all of them.
fn modules_hint(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let mut modules = modules_in(directory);
    modules.retain(|module| !PACKAGES.contains(&module.as_str()));
    let usual = modules.iter().find(|module| *module == "configuration.nix");
    let only = modules.first().filter(|_| modules.len() == 1);
    if let Some(module) = usual.or(only) {
        let line = command.with_file(&directory.join(module))?;
        return Some(format!("to use {module} instead: {line}"));
    }
    let listed: Vec<&str> = modules
        .iter()
        .take(MAX_MODULES)
        .map(String::as_str)
        .collect();
    let line = command.with_file(Path::new("FILE"))?;
    (!listed.is_empty()).then(|| format!("there are {}: {line}", listed.join(", ")))
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

fn is_here(directory: &Path) -> bool {
    std::env::current_dir().is_ok_and(|here| here == directory)
}
