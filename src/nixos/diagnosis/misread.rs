//! Names that nothing binds, because other languages read what is written there otherwise.

use super::evidence::MAX_SHOWN;
use super::secret_values::is_name_of_secret;
use super::syntax_at::{Role, top_level_names};
use super::written_values::values_of;
use crate::common::nix_name::path_of;
use crate::common::nixos_option::NAMESPACES;
use crate::nixos::log::Position;
use crate::nixos::nix_syntax::parse;

/// Operators that other languages write as words.
const OPERATORS: [(&str, &str); 3] = [("and", "&&"), ("not", "!"), ("or", "||")];

/// What to write in place of the operator `name`, which is at `position` of `text` and has the `role` of a name there.
pub(super) fn operator(
    text: &str,
    position: &Position,
    name: &str,
    role: Option<Role>,
) -> Option<String> {
    let (_, sign) = OPERATORS.iter().find(|(word, _)| *word == name)?;
    if role == Some(Role::Element) {
        return Some(format!(
            "the elements of a list are separated by spaces. Remove `{name}`"
        ));
    }
    let hint = format!("write `{sign}` instead of `{name}`");
    let line = || {
        let at = position.offset(text)?;
        // Of `or`, Nix reports the value before it.
        let word = format!(" {name} ");
        let at = match text.get(at..)? {
            rest if rest.starts_with(name) => at,
            rest => at + end_of_definition(rest)?.find(&word)? + 1,
        };
        let (before, behind) = text.split_at_checked(at)?;
        let begin = before.rsplit(['\n', ';', '{']).next()?.trim_start();
        let begin = with_signs(begin, name);
        let rest = end_of_definition(behind.strip_prefix(name)?)?;
        // `!` belongs only to the next value, and `not` to a whole comparison.
        let is_comparison = name == "not" && rest.contains(['=', '<', '>']);
        let rest = if name == "not" {
            rest.trim_start()
        } else {
            rest
        };
        let rest = with_signs(rest, name);
        let line = format!("{begin}{sign}{rest};");
        let is_nix = parse(&format!("{{ {line} }}")).errors().is_empty();
        (is_nix && !is_comparison && line.len() <= MAX_SHOWN).then_some(line)
    };
    Some(line().map_or_else(|| hint.clone(), |line| format!("{hint}: {line}")))
}

/// The `text` with signs in place of words for operators, among them `name`, unless it has a string. Of `or`, which Nix has for an
/// attribute that may be missing, only another wrong one tells that it is meant otherwise.
fn with_signs(text: &str, name: &str) -> String {
    if text.contains('"') {
        return text.to_owned();
    }
    let text = text.replace(" and ", " && ").replace(" not ", " !");
    if name == "or" {
        text.replace(" or ", " || ")
    } else {
        text
    }
}

/// What `rest`, the text from within a definition on, has of it before its `;`, if that is in the same line.
pub(super) fn end_of_definition(rest: &str) -> Option<&str> {
    let mut is_in_string = false;
    let end = rest.find(|c| {
        is_in_string ^= c == '"';
        c == '\n' || c == ';' && !is_in_string
    })?;
    let (definition, behind) = rest.split_at_checked(end)?;
    behind.starts_with(';').then_some(definition)
}

/// What to write in place of `name`, which is at `position` of the module `text`.
pub(super) fn hint(text: &str, position: &Position, name: &str) -> Option<String> {
    let (before, behind) = text.split_at_checked(position.offset(text)?)?;
    let behind = behind.strip_prefix(name)?;
    option_of_program(before, name, behind)
        .or_else(|| prefix_of_string(name, behind))
        .or_else(|| joined(name, behind))
        .or_else(|| attribute(text, name, behind))
}

/// An option of a program, in a command without quotes: `ExecStart = /bin/sh -c "true";`; or else a path with a space.
fn option_of_program(before: &str, name: &str, behind: &str) -> Option<String> {
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
    // The whole line, unless a quote in it has a backslash already.
    let end = end_of_definition(behind)
        .filter(|end| !end.contains('\\') && end.len() <= MAX_SHOWN)
        .filter(|end| {
            !end.split(' ')
                .any(|word| is_name_of_secret(word) || word.contains("${"))
        });
    let end = end.map_or_else(|| " …".to_owned(), |end| end.replace('"', "\\\""));
    command.starts_with('/').then(|| {
        format!("put {kind} in double quotes: {definition} = \"{command} {sign}{name}{end}\";")
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
        let value = values_of(text, name).pop().map(|value| value.written);
        let value = value.filter(|value| value.len() <= MAX_SHOWN && !value.contains('\n'));
        let value = value.unwrap_or_else(|| "…".to_owned());
        format!(
            "{name} is a definition of this file, not a variable. Move it before the `{{` of the definitions: let \
             {name} = {value}; in"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text without its first `|`, and the place of that.
    fn place(marked: &str) -> (String, Position) {
        let (before, after) = marked.split_once('|').unwrap();
        let position = Position {
            file: String::new(),
            line: before.matches('\n').count() as u64 + 1,
            column: before.rsplit('\n').next().unwrap().len() as u64 + 1,
        };
        (format!("{before}{after}"), position)
    }

    fn hint_at(marked: &str, name: &str) -> Option<String> {
        let (text, position) = place(marked);
        hint(&text, &position, name)
    }

    #[test]
    fn words_for_operators_are_written_as_signs() {
        for (marked, name, expected) in [
            ("{ a = b |and c; }", "and", "instead of `and`: a = b && c;"),
            ("{ a = b |and not c and d; }", "and", ": a = b && !c && d;"),
            (
                "{ a = |not b; }",
                "not",
                "write `!` instead of `not`: a = !b;",
            ),
            ("{ a = |not b == c; }", "not", "instead of `not`"),
            ("{ a = b.c or d |or e; }", "or", ": a = b.c || d || e;"),
            ("{ a = b.c or |d or e; }", "or", ": a = b.c || d || e;"),
            ("{ a = b.c or d |and e; }", "and", ": a = b.c or d && e;"),
            ("{ a = b |and\n c; }", "and", "instead of `and`"),
        ] {
            let (text, position) = place(marked);
            let hint = operator(&text, &position, name, None).unwrap();
            assert!(hint.ends_with(expected), "{marked}: {hint}");
        }
        let (text, position) = place("{ a = [ b |and c ]; }");
        let in_list = operator(&text, &position, "and", Some(Role::Element));
        assert!(in_list.unwrap().ends_with("Remove `and`"));
        assert_eq!(operator(&text, &position, "xor", None), None);
    }

    #[test]
    fn names_that_other_languages_read_otherwise() {
        for (marked, name, expected) in [
            (
                "{ a.ExecStart = /bin/sh -|c \"b\"; }",
                "c",
                "put a command in double quotes: a.ExecStart = \"/bin/sh -c \\\"b\\\"\";",
            ),
            ("{ a = /bin/b --|help; }", "help", "a = \"/bin/b --help\";"),
            ("{ a = /bin/b --|c\n  d; }", "c", "a = \"/bin/b --c …\";"),
            ("{ a = /bin/b --|c token d; }", "c", "--c …\";"),
            (
                "{ a = /etc/b -|c; }",
                "c",
                "put a path with a space in double quotes: a = \"/etc/b -c\";",
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
                "let port = 80; in",
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
