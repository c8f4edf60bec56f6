//! Names that nothing binds, because other languages read what is written there otherwise.

use super::syntax_at::top_level_names;
use crate::common::nix_name::path_of;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::log::Position;

/// What to write in place of `name`, which is at `position` of the module `text`.
pub(super) fn hint(text: &str, position: &Position, name: &str) -> Option<String> {
    let (before, behind) = text.split_at_checked(position.offset(text)?)?;
    let behind = behind.strip_prefix(name)?;
    option_of_program(before, name)
        .or_else(|| prefix_of_string(name, behind))
        .or_else(|| joined(name, behind))
        .or_else(|| attribute(text, name, behind))
}

/// An option of a program, in a command without quotes: `ExecStart = /bin/sh -c "true";`; or else a path with a space.
fn option_of_program(before: &str, name: &str) -> Option<String> {
    let command = before
        .strip_suffix(" -")
        .or_else(|| before.strip_suffix(" --"))?;
    let (definition, command) = command.rsplit(['\n', ';', '{']).next()?.split_once(" = ")?;
    let (definition, command) = (definition.trim(), command.trim());
    let option = definition.rsplit('.').next()?;
    let sign = before.rsplit(' ').next()?;
    let is_program =
        command.contains("/bin/") || option.starts_with("Exec") || option.ends_with("ommand");
    let kind = if is_program {
        "a command"
    } else {
        "a path with a space"
    };
    command.starts_with('/').then(|| {
        format!("put {kind} in double quotes: {definition} = \"{command} {sign}{name} …\";")
    })
}

/// A letter before a string, as Python has it: `f"{config.networking.hostName}.lan"`.
fn prefix_of_string(name: &str, behind: &str) -> Option<String> {
    let string = behind.strip_prefix('"')?.split('"').next()?;
    if name != "f" {
        return None;
    }
    let is_plain = !string.contains(['\\', '$', '\n']);
    let mut parts = string.split(['{', '}']);
    let are_names = parts
        .by_ref()
        .skip(1)
        .step_by(2)
        .all(|name| path_of(name) == Some(name));
    let with_variables = string.replace('{', "${");
    let is_closed = string.matches('{').count() == string.matches('}').count();
    let hint = "write a variable in a string as ${…}, without a letter before the string";
    Some(if is_plain && is_closed && are_names {
        format!("{hint}: \"{with_variables}\"")
    } else {
        hint.to_owned()
    })
}

/// A word that `+` joins with a string: `domain = pi + ".lan";`.
fn joined(name: &str, behind: &str) -> Option<String> {
    let next = behind.trim_start().strip_prefix('+')?;
    next.trim_start().starts_with('"').then(|| {
        format!("if it is text, put it in quotes: \"{name}\". Otherwise check its spelling")
    })
}

/// An attribute of the file, which is no variable: `port = 80; networking.firewall.allowedTCPPorts = [ port ];`.
fn attribute(text: &str, name: &str, behind: &str) -> Option<String> {
    // Of another option, such as `services.openssh.enable`, `config` has the value.
    let is_option = NAMESPACES.contains(&name) || behind.starts_with('.');
    let is_defined = !is_option && top_level_names(text).contains(name);
    is_defined.then(|| {
        format!(
            "{name} is a definition of this file, not a variable. Move it before the `{{` of the definitions: let \
             {name} = …; in"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hint for `name` after `|`, which is not in the text.
    fn hint_at(marked: &str, name: &str) -> Option<String> {
        let (before, after) = marked.split_once('|').unwrap();
        let position = Position {
            file: String::new(),
            line: before.matches('\n').count() as u64 + 1,
            column: before.rsplit('\n').next().unwrap().len() as u64 + 1,
        };
        hint(&format!("{before}{after}"), &position, name)
    }

    #[test]
    fn names_that_other_languages_read_otherwise() {
        for (marked, name, expected) in [
            (
                "{ a.ExecStart = /bin/sh -|c \"b\"; }",
                "c",
                "put a command in double quotes: a.ExecStart = \"/bin/sh -c …\";",
            ),
            (
                "{ a = /bin/b --|help; }",
                "help",
                "a = \"/bin/b --help …\";",
            ),
            (
                "{ a = /etc/b -|c; }",
                "c",
                "put a path with a space in double quotes: a = \"/etc/b -c …\";",
            ),
            ("{ a = |f\"{b}.lan\"; }", "f", "\"${b}.lan\""),
            (
                "{ a = |f\"{b + 1}\"; }",
                "f",
                "as ${…}, without a letter before the string",
            ),
            ("{ a = |pi + \".lan\"; }", "pi", "in quotes: \"pi\""),
            (
                "{ ... }:\n{ port = 80; a = [ |port ]; }",
                "port",
                "let port = …; in",
            ),
        ] {
            let hint = hint_at(marked, name).unwrap();
            assert!(hint.contains(expected), "{marked}: {hint}");
        }
    }

    #[test]
    fn other_names_have_no_such_hint() {
        for (marked, name) in [
            ("{ a = b -|c; }", "c"),
            ("{ a = |g\"b\"; }", "g"),
            ("{ services.a = 1; b = |services.a; }", "services"),
            ("{ a = { port = 80; }; b = |port; }", "port"),
        ] {
            assert_eq!(hint_at(marked, name), None, "{marked}");
        }
    }
}
