//! Names that are not bound, and what may be meant by them.

use std::ffi::OsStr;
use std::path::Path;

use super::evidence::{ExitContext, MAX_SHOWN};
use super::flake_arguments::{argument_of_outputs, input_in_module, nixos_system};
use super::misread;
use super::module_arguments::{ARGUMENTS, Header};
use super::names::quoted_after;
use super::number_values;
use super::surrounding_text;
use super::switches;
use super::syntax_at::{NameAt, Role, inline_module};
use super::syntax_error::{NO_CONFIGURATION, is_prose};
use super::unquoted_name;
use super::unquoted_name::package_or_spelling;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nix_name::path_of;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::flake::InputNames;
use crate::nixos::log::{NixError, Position};
use sdbuild_core::nearest::is_slip;
use sdbuild_core::ssh_key::KEY_TYPES;

/// Endings of the names of files that configurations use.
pub(super) const FILE_TYPES: [&str; 14] = [
    "conf", "html", "ini", "json", "nix", "pem", "pub", "py", "sh", "toml", "txt", "xml", "yaml",
    "yml",
];
/// Endings of the names of systemd's units.
const UNIT_TYPES: [&str; 5] = ["mount", "service", "socket", "target", "timer"];
/// Attributes that packages have, and options do not.
const OF_PACKAGES: [&str; 7] = [
    "bin",
    "dev",
    "doc",
    "lib",
    "out",
    "override",
    "overrideAttrs",
];

/// Functions that configurations use, and that are written with `builtins.` before them.
const BUILTINS: [&str; 19] = [
    "attrNames",
    "attrValues",
    "concatStringsSep",
    "elem",
    "fetchGit",
    "filter",
    "fromJSON",
    "getEnv",
    "getFlake",
    "hashString",
    "listToAttrs",
    "mapAttrs",
    "pathExists",
    "readDir",
    "readFile",
    "replaceStrings",
    "toFile",
    "toJSON",
    "tryEval",
];

/// Names by which other languages call `null`.
const NOTHING: [&str; 10] = [
    "NONE",
    "Nil",
    "None",
    "Nothing",
    "Undefined",
    "nil",
    "none",
    "nullptr",
    "undefined",
    "unset",
];

/// Units that people write after a number: of sizes and of times.
const UNITS: [&str; 16] = [
    "B", "G", "GB", "GiB", "K", "KB", "KiB", "M", "MB", "MiB", "T", "TB", "TiB", "h", "min", "s",
];

/// The value that another language writes as `name`.
fn boolean(name: &str) -> Option<bool> {
    match name {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// The value that is meant by `name` as the whole value of an option, which says in words whether the option is on, or has a slip.
fn switch(name: &str) -> Option<bool> {
    match name {
        "enable" | "enabled" | "Enabled" => Some(true),
        "disable" | "disabled" | "Disabled" => Some(false),
        // A package.
        "tree" => None,
        _ if is_slip(name, "true") => Some(true),
        _ if is_slip(name, "false") => Some(false),
        _ => None,
    }
}

/// What may be meant by the name that `error` reports, by what stands around it in the user's file.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> String {
    let Some(name) = quoted_after(&error.summary, "undefined variable") else {
        return "check its spelling".to_owned();
    };
    if ["True", "False", "TRUE", "FALSE", "Null", "NULL"].contains(&name) {
        return format!("write {}, in lower case", name.to_lowercase());
    }
    if KEY_TYPES.contains(&name) {
        return format!("put the key in double quotes: \"{name} …\"");
    }
    let position = error.position.as_ref();
    let text = position.and_then(|position| context.files?.text(&position.file));
    let Some((position, text)) = position.zip(text) else {
        return by_spelling(name).unwrap_or_else(|| package_or_spelling(name));
    };
    if is_prose(&text) {
        return NO_CONFIGURATION.to_owned();
    }
    if let Some(hint) = surrounding_text::hint(&text) {
        return hint;
    }
    let file = File {
        path: &position.file,
        text: &text,
        is_flake: is_flake_file(&position.file),
        is_of_flake: context.is_flake,
    };
    let at = NameAt::find(&text, position);
    let role = at.as_ref().map(|at| at.role);
    if let Some(hint) = misread::operator(&text, position, name, role) {
        return hint;
    }
    if let Some(hint) = beside(&text, position, name, role) {
        return hint;
    }
    if let Some(hint) = misread::hint(&text, position, name).filter(|_| !file.is_flake) {
        return hint;
    }
    let inherited = inherited(&text, position, name);
    let system = || {
        let at = at.as_ref().filter(|_| inherited.is_none())?;
        file.system(at)
    };
    let packages = || packages(&position.file, &text, name, at.as_ref()?, position);
    at.as_ref()
        .and_then(|at| file.by_place(name, at))
        .or_else(packages)
        .or_else(system)
        .or_else(|| file.argument(context, name, at.as_ref()))
        .or_else(|| by_spelling(name))
        .or_else(|| inherited.clone())
        .unwrap_or_else(|| {
            at.map_or_else(
                || package_or_spelling(name),
                |at| unquoted_name::hint(name, &at, behind(&text, position)),
            )
        })
}

/// What to write in place of `inherit NAME;`, if that is at `position`.
fn inherited(text: &str, position: &Position, name: &str) -> Option<String> {
    let before = text.get(..position.offset(text)?)?;
    let statement = before.rsplit([';', '{', '}']).next()?;
    let mut words = statement.split_whitespace();
    let is_inherit = words.next() == Some("inherit") && !statement.contains(['(', '#', '/']);
    is_inherit.then(|| {
        format!("inherit takes the value of a variable, but none has this name. Write {name} = …;")
    })
}

/// The text from `position` on.
fn behind<'a>(text: &'a str, position: &Position) -> &'a str {
    let rest = position.offset(text).and_then(|offset| text.get(offset..));
    rest.unwrap_or_default()
}

/// What a name is by the characters right before it: a quote, a number, or a path and a space.
fn beside(text: &str, position: &Position, name: &str, role: Option<Role>) -> Option<String> {
    let before = text.get(..position.offset(text)?)?;
    if before.ends_with('"') && role != Some(Role::Element) {
        let line = with_quotes(before, text.get(before.len()..)?);
        let line = line.map_or_else(String::new, |line| format!(": {line}"));
        return Some(format!("write a quote inside a string as \\\"{line}"));
    }
    let definition = before
        .strip_suffix(' ')
        .and_then(|before| before.rsplit_once("= "));
    let path = definition.map(|(_, path)| path.rsplit("${").next().unwrap_or(path).trim_start());
    let is_path = |path: &&str| {
        let mut begins = ["./", "../", "~/"].iter();
        begins.any(|begin| path.starts_with(begin)) && !path.contains(char::is_whitespace)
    };
    if let Some((dir, file)) = path.filter(is_path).and_then(|path| path.rsplit_once('/')) {
        return Some(format!(
            "write a path with a space as {dir}/. + \"/{file} {name}…\""
        ));
    }
    let rest = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = before.get(rest.len()..)?;
    if !number.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    if let Some(definition) = number_values::with_unit(rest, &format!("{number}{name}")) {
        return Some(format!("a number has no unit. Write {definition}"));
    }
    let string = format!("the string \"{number}{name}\"");
    Some(if UNITS.contains(&name) {
        format!(
            "a number has no unit. Convert it to the unit of the option, such as MiB or seconds, or write {string}"
        )
    } else {
        format!("that is not a number. Write {string}")
    })
}

/// The definition of the string with quotes inside around the place between `before` and `behind`, if it is one line.
fn with_quotes(before: &str, behind: &str) -> Option<String> {
    let line = format!("{}{}", before.rsplit('\n').next()?, behind.lines().next()?);
    let (name, value) = line.trim().strip_suffix(';')?.split_once(" = ")?;
    let inside = value.strip_prefix('"')?.strip_suffix('"')?;
    let is_plain = !inside.contains(['\\', ';', '$']) && line.len() <= MAX_SHOWN;
    let name = path_of(name).filter(|_| is_plain)?;
    Some(format!("{name} = \"{}\";", inside.replace('"', "\\\"")))
}

/// The argument of modules that may be meant.
fn by_spelling(name: &str) -> Option<String> {
    let mut arguments = ARGUMENTS.into_iter();
    let meant = arguments.find(|known| is_slip(name, known))?;
    Some(format!("did you mean {meant}?"))
}

/// The packages by another name than modules have for them: `with nixpkgs;` and `nixpkgs.vim`.
pub(super) fn packages(
    file: &str,
    text: &str,
    name: &str,
    at: &NameAt,
    position: &Position,
) -> Option<String> {
    let attribute = at.attribute();
    let are_meant =
        unquoted_name::is_list_of_packages(attribute) || unquoted_name::takes_a_package(attribute);
    let is_in_module = || !is_flake_file(file) || inline_module(text, position).is_some();
    if !["nixpkgs", "packages"].contains(&name) || !are_meant || !is_in_module() {
        return None;
    }
    let before = text.get(..position.offset(text)?)?;
    let known = "the packages are called pkgs in a module";
    if let Some(package) = at.written.strip_prefix(name)?.strip_prefix('.') {
        let of_other = ["legacyPackages", "lib"].contains(&package.split('.').next()?);
        return (!of_other).then(|| format!("{known}. Write pkgs.{package}"));
    }
    let is_with = before.trim_end().ends_with("with");
    is_with.then(|| format!("{known}. Write with pkgs; [ … ]"))
}

/// Whether `file` is a `flake.nix`.
fn is_flake_file(file: &str) -> bool {
    Path::new(file).file_name() == Some(OsStr::new(FLAKE_FILE))
}

/// The user's file with the name.
struct File<'a> {
    path: &'a str,
    text: &'a str,
    /// Whether it is a `flake.nix`.
    is_flake: bool,
    /// Whether it is evaluated as part of a flake.
    is_of_flake: bool,
}

impl File<'_> {
    /// What `name` means where it is: a boolean, a group, a file, another option.
    fn by_place(&self, name: &str, at: &NameAt) -> Option<String> {
        if let Some(value) = boolean(name) {
            return Some(boolean_hint(name, value, at));
        }
        // Words such as nil are packages too.
        let is_of_package = unquoted_name::takes_a_package(at.attribute());
        let is_value = at.role == Role::Definition && at.written == name && !is_of_package;
        if let Some(value) = switch(name).filter(|_| is_value) {
            return Some(boolean_hint(name, value, at));
        }
        if NOTHING.contains(&name) && at.role == Role::Definition && !is_of_package {
            let string = format!(", or \"{name}\" for that string");
            let string = if name == "none" {
                string
            } else {
                String::new()
            };
            return Some(format!("write null where there is no value{string}"));
        }
        if BUILTINS.contains(&name) {
            return Some(format!("write builtins.{name}"));
        }
        let written = &at.written;
        let (_, selected) = written.split_once('.')?;
        if FILE_TYPES.contains(&selected) {
            return Some(format!("for the file {written}, write ./{written}"));
        }
        if UNIT_TYPES.contains(&selected) {
            return Some(format!(
                "put the name of the unit in double quotes: \"{written}\""
            ));
        }
        let is_of_package = OF_PACKAGES
            .iter()
            .any(|of| selected.split('.').next() == Some(of));
        let is_option = NAMESPACES.contains(&name) && at.role != Role::Element && !is_of_package;
        let is_input = self.is_flake && InputNames::read(self.text).inputs.contains(name);
        (is_option && !is_input).then(|| self.other_option(&at.written))
    }

    /// What `system` means, where the packages are known: not in what they, or the modules, come from.
    fn system(&self, at: &NameAt) -> Option<String> {
        let is_in_text = [Role::Interpolated, Role::Other].contains(&at.role);
        let mut names = at.defines.split('.');
        let is_before =
            names.any(|name| ["imports", "nixpkgs", "overlays", "pkgs"].contains(&name));
        let hint = if is_before {
            "nothing has the name system there. Write the system itself in quotes, such as \"aarch64-linux\""
        } else {
            "write pkgs.stdenv.hostPlatform.system for the system of the packages, such as \"aarch64-linux\""
        };
        (at.written == "system" && is_in_text && !self.is_flake).then(|| hint.to_owned())
    }

    /// How to read the option `written`.
    fn other_option(&self, written: &str) -> String {
        let read = format!("to read another option, write config.{written}");
        let header = Header::find(self.text).filter(|_| !self.is_flake);
        match header {
            Some(header) if header.has("config") => read,
            Some(header) => {
                let line = header.line;
                match header.with(&["config"]) {
                    Some(header) => format!("{read}, and {header} in line {line}"),
                    None => format!("{read}, and add config to the {{ … }}: of line {line}"),
                }
            }
            None => format!("{read}, in a module that begins with {{ config, ... }}:"),
        }
    }

    /// How to get at the argument or the input `name` of a flake; `None` for any other name.
    fn argument(
        &self,
        context: &ExitContext<'_>,
        name: &str,
        at: Option<&NameAt>,
    ) -> Option<String> {
        let is_package = at.is_some_and(|at| {
            let is_listed = unquoted_name::is_list_of_packages(at.attribute());
            at.role == Role::Element && is_listed && !at.is_selection()
        });
        // A flake is no package.
        if is_package {
            return None;
        }
        if self.is_flake && name == "nixosSystem" {
            return Some(nixos_system(context, self.text));
        }
        if self.is_flake {
            return argument_of_outputs(context, self.text, name, at);
        }
        input_in_module(context, self.path, self.text, (name, at)).filter(|_| self.is_of_flake)
    }
}

/// What to write in place of `name`, which other languages have for `value`.
fn boolean_hint(name: &str, value: bool, at: &NameAt) -> String {
    if at.role == Role::Element {
        return format!("put a string in double quotes: \"{name}\"");
    }
    let of_set = switches::switch(&at.defines, &value.to_string());
    if let Some(hint) = of_set.filter(|_| at.role == Role::Definition && at.written == name) {
        return hint;
    }
    if at.attribute().to_lowercase().contains("enable") {
        return format!("write {value}. An option that is on or off takes true or false");
    }
    format!(
        "write {value} for an option that is on or off, or \"{name}\" for one that takes a string"
    )
}
