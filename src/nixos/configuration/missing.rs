//! What may be meant by a configuration that is not there.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::unistd::geteuid;

use super::suggested_command::{SuggestedCommand, Takes};
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE, configuration_in, flake_text};
use crate::nixos::flake::{configuration_meant, may_have_configuration};
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::nearest::nearest;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::board::{BoardName, BoardQuery};
use sdbuild_image::image_name::is_image;

/// Modules that a hint lists; the rest is counted.
const MAX_MODULES: usize = 5;
/// The same where little space is left.
const MAX_MODULES_NEARBY: usize = 3;
/// Files of Nix that are packages and shells, and no configurations.
const PACKAGES: [&str; 2] = ["default.nix", "shell.nix"];
/// The mode bit of a directory that everybody may write to.
const WORLD_WRITABLE: u32 = 0o002;

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
        let hints = missing_hints(path, command).into_iter();
        hints.fold(failure, Failure::hint)
    } else {
        failure.hint("the file and its directory must be readable")
    }
}

/// What may be meant by a configuration that does not exist.
fn missing_hints(path: &Path, command: SuggestedCommand) -> Vec<String> {
    let directory = path.parent().unwrap_or(Path::new(""));
    let modules = modules_in(directory);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if let Some(other) = misnamed(directory, &name) {
        return vec![format!("rename {} to {}", quoted(&other), quoted(&name))];
    }
    if name != CONFIG_NAME {
        let elsewhere = nixos_itself(path, command).or_else(|| without_slash(path));
        let hint = elsewhere.unwrap_or_else(|| mistyped_hint(directory, &name, &modules, command));
        return vec![hint];
    }
    if let Some(hint) = named_like_directory(directory, command) {
        return vec![hint];
    }
    if let Some(hint) = parent_hint(directory, command) {
        return vec![hint, no_module_hint(directory, command)];
    }
    let modules = configurations(modules);
    let by_name = only_file_hint(directory, &modules, command)
        .or_else(|| modules_hint(directory, &modules, MAX_MODULES, command));
    match (by_name, subdirectory_hint(directory, command)) {
        (Some(hint), _) => vec![hint],
        (None, Some(hint)) => vec![hint, no_module_hint(directory, command)],
        (None, None) => vec![no_module_hint(directory, command)],
    }
}

/// The file in `directory` that was meant to be called `name`: an editor added `.txt`, or a name that is fixed differs by upper
/// case.
fn misnamed(directory: &Path, name: &str) -> Option<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names = files.filter_map(|file| file.file_name().into_string().ok());
    names.find(|other| {
        let base = other.strip_suffix(".txt").unwrap_or(other);
        base == name || name == CONFIG_NAME && base.eq_ignore_ascii_case(name)
    })
}

/// The configuration that may be meant in the current directory, which has neither `sd-card.nix` nor `flake.nix`: that of a
/// directory above it, one of its other files, or that of a directory in it. `None` if there is none.
pub fn configuration_nearby(command: SuggestedCommand) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let modules = configurations(modules_in(&here));
    parent_hint(&here, command)
        .or_else(|| only_file_hint(&here, &modules, command))
        .or_else(|| modules_hint(&here, &modules, MAX_MODULES_NEARBY, command))
        .or_else(|| subdirectory_hint(&here, command))
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

/// Those of `modules` that may be configurations.
fn configurations(mut modules: Vec<String>) -> Vec<String> {
    modules.retain(|module| !PACKAGES.contains(&module.as_str()));
    modules
}

/// What to do about a file `name` that `directory` does not have.
fn mistyped_hint(
    directory: &Path,
    name: &str,
    modules: &[String],
    command: SuggestedCommand,
) -> String {
    if let Some(meant) = nearest(name, modules.iter().map(String::as_str)) {
        let meant = shown_path(&directory.join(meant));
        return format!("did you mean {}?", quoted(&meant));
    }
    if is_image(name) {
        let image = quoted(name);
        return format!(
            "that is the name of an image. `sdbuild boot {image}` starts one, and `sdbuild flash {image}` writes it to a \
             card"
        );
    }
    if let Some(meant) = command.other_meaning(directory, name) {
        return meant;
    }
    let board = board(name, command).filter(|_| is_here(directory));
    let here = || {
        let here = std::env::current_dir().ok()?;
        let modules = configurations(modules_in(&here));
        modules_hint(&here, &modules, MAX_MODULES, command).filter(|_| !directory.is_dir())
    };
    board
        .or_else(|| modules_hint(directory, modules, MAX_MODULES, command))
        .or_else(here)
        .unwrap_or_else(|| path_hint(command).to_owned())
}

/// What is said of NixOS's own files in the search path of Nix, as `<nixpkgs/nixos>`.
fn nixos_itself(path: &Path, command: SuggestedCommand) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let written = path.strip_prefix(&here).unwrap_or(path).to_str()?;
    let is_in_angles = written.starts_with('<') && written.ends_with('>');
    let given = command.with_file(CONFIG_NAME).filter(|_| is_in_angles)?;
    Some(format!(
        "that is nixpkgs itself. Name the file of your configuration: {given}"
    ))
}

/// The path from the root that is meant by the `path` of nothing, which lacks its first slash.
fn without_slash(path: &Path) -> Option<String> {
    let here = std::env::current_dir().ok()?;
    let absolute = Path::new("/").join(path.strip_prefix(&here).ok()?);
    absolute
        .exists()
        .then(|| format!("did you mean {}?", quoted(&absolute.to_string_lossy())))
}

/// What is said of a `name` that means a board, to a command that may take one.
fn board(name: &str, command: SuggestedCommand) -> Option<String> {
    let Takes::Path = command.takes else {
        return None;
    };
    let BoardName(board) = BoardQuery::certain(name)?;
    let (command, board) = (command.name, board.name);
    Some(format!(
        "{name} is a board; to use it: sdbuild {command} --board {board}"
    ))
}

/// The only one of `modules`, or the one with NixOS's usual name.
fn only_file_hint(
    directory: &Path,
    modules: &[String],
    command: SuggestedCommand,
) -> Option<String> {
    let usual = modules.iter().find(|module| *module == "configuration.nix");
    let module = usual.or(modules.first().filter(|_| modules.len() == 1))?;
    let given = command.with_file(&quoted(&shown_path(&directory.join(module))))?;
    Some(format!("to use {module} instead: {given}"))
}

/// What to do about a path of nothing.
fn path_hint(command: SuggestedCommand) -> &'static str {
    match command.takes {
        Takes::Path => "check the path; it must be a file, or a directory with an sd-card.nix",
        Takes::File(_) | Takes::CurrentDirectory => "check the path; it must be a file",
    }
}

/// The nearest directory above the current `directory` with a configuration or a flake, as far as the git repository goes, and
/// as far as only the user can write to the directories; `None` if there is none.
fn parent_hint(directory: &Path, command: SuggestedCommand) -> Option<String> {
    if !is_here(directory) {
        return None;
    }
    let inner = directory.ancestors();
    // Above the top of a repository another project begins.
    let inner = inner.take_while(|dir| !dir.join(".git").exists());
    let parents = inner.filter_map(Path::parent);
    let mut parents = parents.take_while(|dir| is_the_users_own(dir)).enumerate();
    let (index, name) =
        parents.find_map(|(index, parent)| Some((index, configuration_in(parent)?)))?;
    let up = vec![".."; index + 1].join("/");
    let given = command.with_directory(&up, name);
    Some(format!("the directory {up} has {name}: {given}"))
}

/// Whether `dir` belongs to the user, and nobody else can put a file there; not the home directory, where a `flake.nix` is
/// mostly another system's.
fn is_the_users_own(dir: &Path) -> bool {
    let is_own =
        |meta: fs::Metadata| meta.uid() == geteuid().as_raw() && meta.mode() & WORLD_WRITABLE == 0;
    let is_home = std::env::home_dir().is_some_and(|home| home == dir);
    !is_home && dir.parent().is_some() && fs::metadata(dir).is_ok_and(is_own)
}

/// The first subdirectory with a configuration or a flake; `None` if there is none.
fn subdirectory_hint(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let files = fs::read_dir(directory).into_iter().flatten().flatten();
    let dirs = files.map(|file| file.path());
    let mut found: Vec<_> = dirs
        .filter_map(|dir| Some((configuration_in(&dir)?, dir)))
        .collect();
    // The names are in the order in which they are taken.
    found.sort_by(|(a, x), (b, y)| b.cmp(a).then_with(|| x.cmp(y)));
    let (name, first) = found.first()?;
    let shown = shown_path(first);
    let more = match found.len() - 1 {
        0 => String::new(),
        1 => ", and another directory has one".to_owned(),
        more => format!(", and {more} other directories have one"),
    };
    let given = command.with_directory(&shown, name);
    Some(format!("{} has {name}: {given}{more}", quoted(&shown)))
}

/// The first `max` modules that are in the directory, of which one may be meant; `None` if there is none.
fn modules_hint(
    directory: &Path,
    modules: &[String],
    max: usize,
    command: SuggestedCommand,
) -> Option<String> {
    // Which of several is a configuration, is not known.
    let given = match modules {
        [] => return None,
        [only] => command.with_file(&quoted(&shown_path(&directory.join(only))))?,
        _ => command.with_file("FILE")?,
    };
    let names: Vec<&str> = modules.iter().take(max).map(String::as_str).collect();
    let more = match modules.len().saturating_sub(max) {
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
        "{place} {verb} {}{more}: {given}",
        names.join(", ")
    ))
}

fn is_here(directory: &Path) -> bool {
    std::env::current_dir().is_ok_and(|here| here == directory)
}

/// What to do about a `directory` without any module.
fn no_module_hint(directory: &Path, command: SuggestedCommand) -> String {
    if is_here(directory) || !directory.is_dir() || directory.parent().is_none() {
        let kind = match command.takes {
            Takes::Path => "file or directory",
            Takes::File(_) | Takes::CurrentDirectory => "file",
        };
        let init = "`sdbuild init` writes one into the current directory";
        return match command.with_file("PATH") {
            Some(given) => format!("{init}; for one elsewhere give its {kind}: {given}"),
            None => init.to_owned(),
        };
    }
    let shown = quoted(&shown_path(directory));
    format!("the directory {shown} has no configuration: `sdbuild init {shown}` writes one there")
}

/// What to do about a `directory` without a configuration beside a flake that may have one of its name: `pi` for `.#pi`.
fn named_like_directory(directory: &Path, command: SuggestedCommand) -> Option<String> {
    let above = directory.parent()?;
    let name = directory.file_name()?.to_string_lossy();
    let text = flake_text(above)?;
    may_have_configuration(&text, &name)
        .then(|| flake_hint(&above.join(FLAKE_FILE), directory, command))
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
    let text = flake_text(directory).unwrap_or_default();
    let meant = configuration_meant(&text, &name);
    let name = meant.as_ref().map(|name| format!("#{name}"));
    let reference = quoted(&format!("{place}{}", name.unwrap_or_default()));
    let flag = match command.takes {
        Takes::Path => "",
        Takes::File(_) | Takes::CurrentDirectory => "--flake ",
    };
    let (shown, command) = (shown_path(flake), command.name);
    let run = format!("sdbuild {command} {flag}{reference}");
    match meant {
        Some(name) => format!("write the configuration {name} of a flake after a `#`: {run}"),
        None => format!("{shown} is a flake: {run}"),
    }
}
