//! What to write in place of a sign: a comma, a colon, a dot, or two minus signs.

use super::calls;
use super::lists;
use super::place::{Place, as_definitions, last_number};
use crate::common::configuration_file::CONFIG_NAME;
use crate::common::nix_name::{is_of_name, is_of_path};
use crate::nixos::diagnosis::brackets::{open_brackets, sign_of_string};
use crate::nixos::diagnosis::shell_length::shell_variable;

/// Whether `c` may be part of the arguments between the braces of a function.
fn is_of_arguments(c: char) -> bool {
    is_of_path(c) || ", ".contains(c)
}

/// The hint for a comma.
pub(super) fn comma(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    if has("unexpected ',', expecting '.' or '='") {
        return module_in_list(place).or_else(|| comma_in_name(place));
    }
    if has("unexpected ',', expecting ')'") {
        return calls::comma(place);
    }
    if has("unexpected ',', expecting ';'") && is_among_arguments(place) {
        let name = place.name_before();
        return Some(format!(
            "put the arguments of a function in braces: {{ {name}, …, ... }}: …"
        ));
    }
    if has("unexpected ',', expecting '}'") && place.follows("...") {
        return Some(format!("`...` is the last argument: {}", header(place)));
    }
    let is_digit = |c: char| c.is_ascii_digit();
    if has("unexpected ',', expecting ';'")
        && place.before.ends_with(is_digit)
        && place.after.len() + 1 == place.here.len()
        && place.after.starts_with(is_digit)
    {
        return Some(number_with_comma(place));
    } else if has("unexpected ',', expecting ';'")
        && (place.ends_line() || place.begins_definition() || place.after.starts_with('}'))
    {
        return Some(commas_after_definitions(place));
    } else if has("unexpected ',', expecting ';'") {
        return Some(lists::several_values(place));
    }
    None
}

/// The hint for `10,5`, which may be one number or two.
fn number_with_comma(place: &Place<'_>) -> String {
    let (_, first) = last_number(place.before);
    let end = |c: char| !c.is_ascii_digit();
    let second = place.after.split(end).next().unwrap_or_default();
    format!(
        "write a number with a dot instead of the comma, {first}.{second}, or several numbers as a list without commas, \
         [ {first} {second} ]"
    )
}

/// The hint for a comma after a definition, with the line as it is to be, where that follows from its signs.
fn commas_after_definitions(place: &Place<'_>) -> String {
    let before = place.before.rsplit('\n').next().unwrap_or_default();
    let line = format!("{}{}", before.trim_start(), place.here.trim_end());
    let line = with_semicolons(&line);
    let line = as_definitions(line).map_or_else(String::new, |line| format!(": {line}"));
    format!("write `;` instead of each comma, also after the last definition{line}")
}

/// The `line` with a `;` in place of each comma that is not in a string or a list, and after each definition that is the last in braces.
fn with_semicolons(line: &str) -> String {
    let (mut written, mut is_in_string, mut open) = (String::new(), false, Vec::new());
    for c in line.chars() {
        is_in_string ^= c == '"';
        let is_in_list = open.last() == Some(&'[');
        match c {
            _ if is_in_string => {}
            '[' | '{' | '(' => open.push(c),
            '}' if !written.trim_end().ends_with([';', '{']) => {
                written.truncate(written.trim_end().len());
                written.push_str("; ");
                open.pop();
            }
            ']' | '}' | ')' => {
                open.pop();
            }
            _ => {}
        }
        let is_comma = c == ',' && !is_in_string && !is_in_list;
        written.push(if is_comma { ';' } else { c });
    }
    written
}

/// The arguments in the braces around the place as Nix wants them, with `...` at their end.
pub(super) fn header(place: &Place<'_>) -> String {
    let first = place.before.rsplit_once('{').map_or("", |(_, first)| first);
    let second = place.rest.split_once('}').map_or("", |(second, _)| second);
    let written = format!("{first}{second}");
    let names = written.split([',', ';']).map(str::trim);
    let names: Vec<&str> = names
        .filter(|name| !name.trim_matches('.').is_empty())
        .collect();
    let are_plain = names.iter().all(|name| name.chars().all(is_of_name));
    let names = if are_plain && !names.is_empty() {
        names.join(", ")
    } else {
        "pkgs, lib".to_owned()
    };
    format!("{{ {names}, ... }}:")
}

/// The hint for the arguments of the file in other brackets than braces: `[ lib, pkgs, ... ]:`.
pub(super) fn arguments(text: &str, place: &Place<'_>) -> Option<String> {
    let is_comment = |line: &&str| line.is_empty() || line.starts_with('#');
    let mut lines = text.lines().map(str::trim);
    let first = lines.find(|line| !is_comment(line))?;
    let (inside, rest) = match first.chars().next()? {
        '[' => first.strip_prefix('[')?.split_once(']')?,
        '(' => first.strip_prefix('(')?.split_once(')')?,
        _ if first.ends_with(':') && first.contains(',') => {
            first.split_at_checked(first.len() - 1)?
        }
        _ => return None,
    };
    let is_at_place = place.here.contains(rest) && !place.before.contains('{');
    (rest.starts_with(':') && inside.chars().all(is_of_arguments) && is_at_place).then(|| {
        format!(
            "put the arguments of a module in braces: {{ {} }}:",
            inside.trim()
        )
    })
}

/// The hint for arguments of a function without commas: `{ lib pkgs ... }:`.
pub(super) fn arguments_without_commas(place: &Place<'_>, summary: &str) -> Option<String> {
    let (_, first) = place.before.rsplit_once('{')?;
    let (second, rest) = place.here.split_once('}')?;
    let arguments = format!("{first}{second}");
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let are_names = words.iter().all(|word| word.chars().all(is_of_path));
    (summary.contains("unexpected ID, expecting '.' or '='") && rest.starts_with(':') && are_names)
        .then(|| {
            let arguments = words.join(", ");
            format!("separate the arguments of a function by commas: {{ {arguments} }}:")
        })
}

/// The hint for a function in a list, as in `modules = [ { pkgs, ... }: { … } ]`: Nix reads a set there.
fn module_in_list(place: &Place<'_>) -> Option<String> {
    let (before, first) = place.before.rsplit_once('{')?;
    let (second, rest) = place.here.split_once('}')?;
    let is_list = open_brackets(before).last() == Some(&'[');
    let arguments = format!("{first}{second}");
    (is_list && rest.starts_with(':') && arguments.chars().all(is_of_arguments)).then(|| {
        format!(
            "a function in a list needs parentheses: ({{ {} }}: {{ … }})",
            arguments.trim()
        )
    })
}

/// The hint for the arguments of the module without the colon after them.
pub(super) fn colon_of_module(place: &Place<'_>, summary: &str) -> Option<String> {
    let written = place.before.trim();
    let is_argument = |c: char| is_of_arguments(c) || c.is_whitespace();
    let arguments = written.strip_prefix('{')?.strip_suffix('}')?;
    let is_wrong = summary.contains("expecting ':'") && arguments.chars().all(is_argument);
    let written: Vec<&str> = written.split_whitespace().collect();
    is_wrong.then(|| {
        let written = written.join(" ");
        format!("end the arguments of the module with a colon: {written}:")
    })
}

/// The hint for the arguments of a function that is a value, as in `outputs = { nixpkgs, ... } {`, without the colon after them.
pub(super) fn colon_after_arguments(place: &Place<'_>, summary: &str) -> Option<String> {
    let (before, _) = place.before.rsplit_once('{')?;
    // All of them may have a name, as in `inputs@{ … }`.
    let before = before
        .strip_suffix('@')
        .map_or(before, |before| before.trim_end_matches(is_of_name));
    let arguments: Vec<&str> = place
        .before
        .strip_prefix(before)?
        .split_whitespace()
        .collect();
    let arguments = arguments.join(" ");
    let name = before
        .trim_end()
        .strip_suffix('=')?
        .split_whitespace()
        .next_back()?;
    let is_argument = |c: char| is_of_arguments(c) || "{}@".contains(c);
    let is_wrong = summary.contains("expecting ':'") && arguments.chars().all(is_argument);
    is_wrong.then(|| {
        format!("the arguments of a function end with a colon: {name} = {arguments}: {{ … }};")
    })
}

/// Whether the comma is in `self, nixpkgs: { … }`.
fn is_among_arguments(place: &Place<'_>) -> bool {
    let rest = place.here.trim_start_matches(is_of_arguments);
    let is_call = rest
        .strip_prefix(':')
        .is_some_and(|body| body.trim_start().starts_with('{'));
    is_call && !place.name_before().is_empty()
}

/// The hint for a comma in the name of an option: `networking,hostName = "pi";`.
fn comma_in_name(place: &Place<'_>) -> Option<String> {
    let name = place.name_before();
    let is_part = |c: char| is_of_path(c) || c == '"';
    let behind = place.here.strip_prefix(',')?;
    let rest = behind.trim_start_matches(is_part);
    let end = behind.get(..behind.len() - rest.len())?;
    // `{ a,b }` are arguments, and after a blank begins something else.
    let is_name = !name.is_empty() && !end.is_empty() && place.before.ends_with(name);
    (is_name && rest.trim_start().starts_with('='))
        .then(|| format!("write a dot instead of the comma: {name}.{end}"))
}

/// The hint for `=>` between a name and its value.
pub(super) fn arrow(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '=', expecting ';'") && place.here.starts_with("=>") {
        return Some("write a colon after the argument of a function: x: …".to_owned());
    }
    let name = place.before.strip_suffix('=')?.trim_end();
    let is_name = name.ends_with(|c: char| is_of_name(c) || c == '"');
    (summary.contains("unexpected '>'") && is_name)
        .then(|| "write `=` instead of `=>`: NAME = VALUE;".to_owned())
}

/// The hint for `${LIST[@]}` and the like, of which the place is a part: an expression of Nix stands there.
pub(super) fn variable_of_shell(place: &Place<'_>) -> Option<String> {
    let line = place.before.rsplit('\n').next()?;
    let (_, begin) = line.rsplit_once("${")?;
    let (end, _) = place.here.split_once('}')?;
    let written = format!("{begin}{end}");
    let rest = written.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_');
    let operators = ["[", ":-", ":=", ":?", ":+", "%", "#", "//", "^", ","];
    let is_operator = rest == "?" || operators.iter().any(|operator| rest.starts_with(operator));
    let is_variable = is_operator && rest.len() < written.len() && !written.contains(['{', '}']);
    is_variable.then(|| shell_variable(sign_of_string(place.before), &format!("{{{written}}}")))
}

/// The hint for a colon between a name and its value, as YAML has it.
pub(super) fn colon(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_wrong = summary.contains("unexpected ':', expecting '.' or '='");
    let name = Some(place.name_before()).filter(|name| is_wrong && !name.is_empty())?;
    if let Some((arguments, rest)) = place.after.split_once('}')
        && let Some(names) = arguments.strip_prefix('{')
        && names.chars().all(|c| is_of_arguments(c) || c == ' ')
        && rest.trim_start().starts_with('=')
    {
        return Some(format!("write {name} = {arguments}}}: …"));
    }
    let is_yaml = place.ends_line() && is_key_of_yaml(place.below);
    let value = if is_yaml || place.after.starts_with('{') {
        "{ … }"
    } else if place.after.starts_with('[') {
        "[ … ]"
    } else {
        return None;
    };
    if let Some(setting) = super::foreign_lines::first_setting(place).filter(|_| is_yaml) {
        return Some(format!(
            "the lines are YAML. In Nix, write each setting with all its names, a `=` and a `;`: {setting}"
        ));
    }
    Some(format!("write {name} = {value};"))
}

/// Whether `line` begins with a name and a colon.
fn is_key_of_yaml(line: &str) -> bool {
    let line = line.trim_start();
    let rest = line.trim_start_matches(is_of_name);
    rest.len() < line.len() && rest.starts_with(':')
}

/// The hint for a dot.
pub(super) fn dot(place: &Place<'_>, summary: &str) -> Option<String> {
    if place.here.starts_with("..")
        && summary.contains("unexpected '.', expecting ")
        && summary.contains("ELLIPSIS")
    {
        return Some(format!("`...` has three dots: {}", header(place)));
    }
    let fixed = if !summary.contains("unexpected '.'") {
        return None;
    } else if summary.contains("expecting INHERIT") {
        "a definition begins with a name. Remove the dot, or write what belongs before it"
    } else if place.follows(".") {
        "there is one dot too many"
    } else {
        return alone(place);
    };
    Some(fixed.to_owned())
}

/// The hint for a dot that is to be the directory of the file.
fn alone(place: &Place<'_>) -> Option<String> {
    let rest = place.here.strip_prefix('.')?;
    if !rest.starts_with([';', ']', ' ']) {
        return None;
    }
    let is_value = place.follows("=");
    let next = rest.trim_start();
    let is_whole = if is_value {
        next.starts_with(';')
    } else {
        !next.starts_with(['+', '/'])
    };
    if !is_whole {
        return None;
    }
    let defined = match place.before.trim_end().strip_suffix('=') {
        Some(before) => before.split_whitespace().next_back(),
        None => place.option_of_list(),
    }?;
    let name = defined.rsplit('.').next().unwrap_or_default();
    match name {
        "modules" => Some(format!(
            "name the files of the modules in a list, such as {defined} = [ ./{CONFIG_NAME} ];"
        )),
        "imports" => Some(format!(
            "name the files in a list, such as {defined} = [ ./FILE.nix ];"
        )),
        _ => is_value.then(|| {
            format!("write the directory of this file as ./. with a slash: {defined} = ./.;")
        }),
    }
}
