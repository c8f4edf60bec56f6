//! Names that are not bound, and what may be meant by them.

use std::ffi::OsStr;
use std::path::Path;

use super::evidence::ExitContext;
use super::module_arguments::{ARGUMENTS, Header};
use super::names::quoted_after;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::nearest::{is_slip, similar_names};
use crate::common::ssh_key::KEY_TYPES;
use crate::nixos::flake::{InputNames, SELF};
use crate::nixos::log::{NixError, Position};

/// The syntax around a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    /// It is the whole value of an attribute: `a = NAME;`.
    Definition,
    /// It is an element of a list.
    List,
    Other,
}

/// What the names of most options begin with.
const NAMESPACES: [&str; 14] = [
    "boot",
    "environment",
    "fileSystems",
    "hardware",
    "i18n",
    "networking",
    "programs",
    "sdImage",
    "security",
    "services",
    "system",
    "systemd",
    "users",
    "virtualisation",
];

/// Groups of NixOS that users are often put into, whose names no package has.
const GROUPS: [&str; 8] = [
    "wheel",
    "networkmanager",
    "audio",
    "video",
    "input",
    "dialout",
    "plugdev",
    "gpio",
];

/// The value that another language writes as `name`.
fn boolean(name: &str) -> Option<bool> {
    match name {
        "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
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
    if let Some(value) = boolean(name) {
        return format!("write {value}: an option that is on or off is true or false");
    }
    if KEY_TYPES.contains(&name) {
        return format!("a key is a text, in double quotes: \"{name} …\"");
    }
    if let Some(hint) = argument_of_outputs(context, error, name) {
        return hint;
    }
    let mut arguments = ARGUMENTS.into_iter();
    if let Some(meant) = arguments.find(|known| is_slip(name, known)) {
        return format!("did you mean {meant}?");
    }
    let position = error.position.as_ref();
    let text = position.and_then(|position| context.files?.text(&position.file));
    let placed = position.zip(text.as_deref());
    let is_set = placed
        .and_then(|(position, text)| parts(text, name, position))
        .is_some_and(|(_, after)| after.starts_with('.'));
    if is_set && NAMESPACES.contains(&name) {
        return format!("the value of another option begins with config: write config.{name}");
    }
    let around = placed.map(|(position, text)| around(text, name, position));
    if around == Some(Around::List) && GROUPS.contains(&name) {
        return format!("a group is a text, in double quotes: \"{name}\"");
    }
    match around.unwrap_or(Around::Other) {
        Around::Definition => format!(
            "a string is written in quotes: \"{name}\"; if it is a package, write pkgs.{name}"
        ),
        Around::List => format!(
            "if it is a package, write pkgs.{name}, or `with pkgs;` before the list: with pkgs; [ {name} … ]"
        ),
        Around::Other => {
            format!("if it is a package, write pkgs.{name}; otherwise check its spelling")
        }
    }
}

/// How a module with this `text`, of a flake, gets at the flake's inputs; `None` for any other name.
fn argument_of_module(context: &ExitContext<'_>, name: &str, text: &str) -> Option<String> {
    let is_of_flake = context.in_words.starts_with("the flake");
    let header = Header::find(text).filter(|_| is_of_flake && name == "inputs")?;
    Some(format!(
        "add inputs to the {{ … }}: of line {}, and specialArgs = {{ inherit inputs; }}; beside the modules in flake.nix",
        header.line
    ))
}

/// How the outputs of a flake get at its input `name`: `None` for anything else.
fn argument_of_outputs(context: &ExitContext<'_>, error: &NixError, name: &str) -> Option<String> {
    let file = &error.position.as_ref()?.file;
    let text = context.files?.text(file)?;
    let is_flake = Path::new(file).file_name() == Some(OsStr::new(FLAKE_FILE));
    if !is_flake {
        return argument_of_module(context, name, &text);
    }
    let names = InputNames::read(&text);
    let is_declared = names.inputs.contains(name) || name == SELF;
    let known = names.inputs.iter().chain(&names.arguments);
    let known = known.map(String::as_str).chain(["builtins"]);
    if let Some(similar) = similar_names(name, known).filter(|_| !is_declared) {
        return Some(format!("did you mean {similar}?"));
    }
    // As in `agenix.nixosModules.default`.
    let is_set = error
        .position
        .as_ref()
        .and_then(|position| parts(&text, name, position))
        .is_some_and(|(_, after)| after.starts_with('.'));
    if !is_declared && name != "nixpkgs" && !is_set {
        return None;
    }
    let get = match &names.all {
        Some(all) if name != SELF => format!("write {all}.{name}"),
        Some(_) | None => format!("add {name} to the {{ … }} of the outputs"),
    };
    Some(if is_declared {
        get
    } else {
        format!("{get}, and declare the input: inputs.{name}.url = \"…\";")
    })
}

/// What stands around the `name` at `position` of `text`.
fn around(text: &str, name: &str, position: &Position) -> Around {
    let Some((before, after)) = parts(text, name, position) else {
        return Around::Other;
    };
    let before = before.trim_end();
    if before.ends_with('=') && !before.ends_with("==") && after.trim_start().starts_with(';') {
        return Around::Definition;
    }
    let mut depth = 0_u64;
    for c in before.chars().rev() {
        match c {
            ']' | ')' | '}' => depth += 1,
            '[' if depth == 0 => return Around::List,
            // A definition ends, or another expression begins.
            '(' | '{' | ';' | '=' if depth == 0 => return Around::Other,
            '[' | '(' | '{' => depth -= 1,
            _ => {}
        }
    }
    Around::Other
}

/// `text` before and after the `name` at `position`.
fn parts<'a>(text: &'a str, name: &str, position: &Position) -> Option<(&'a str, &'a str)> {
    let line = usize::try_from(position.line).ok()?.checked_sub(1)?;
    let column = usize::try_from(position.column).ok()?.checked_sub(1)?;
    let start: usize = text.split_inclusive('\n').take(line).map(str::len).sum();
    let (before, rest) = text.split_at_checked(start + column)?;
    Some((before, rest.strip_prefix(name)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_around_a_name_is_found() {
        for (text, expected) in [
            ("{ a = x; }", Around::Definition),
            ("{ a =\n  x\n; }", Around::Definition),
            ("{ a = [ x ]; }", Around::List),
            ("{ a = [\n  (f [ ])\n  \"b\"\n  x\n]; }", Around::List),
            ("{ a = [ (f x) ]; }", Around::Other),
            ("{ a = [ b ] ++ x; }", Around::Other),
            ("{ a = b == x; }", Around::Other),
            ("x", Around::Other),
        ] {
            let (before, _) = text.split_once('x').unwrap();
            let lines = before.matches('\n').count();
            let column = before.rsplit('\n').next().unwrap().len();
            let position = Position {
                file: String::new(),
                line: lines as u64 + 1,
                column: column as u64 + 1,
            };
            assert_eq!(around(text, "x", &position), expected, "{text}");
        }
        let nowhere = Position {
            file: String::new(),
            line: 9,
            column: 0,
        };
        assert_eq!(around("ä", "x", &nowhere), Around::Other);
    }
}
