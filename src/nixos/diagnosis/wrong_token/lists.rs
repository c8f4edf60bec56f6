//! Lists in other brackets than their own, or with signs between their elements, and numbers with a colon.

use super::super::secret_values::is_name_of_secret;
use super::place::{Place, as_definitions};
use crate::common::nix_name::{is_of_name, is_of_path, path_of};
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::diagnosis::misread::end_of_definition;

/// The hint for `${pkgs.hello}/bin/hello` without quotes.
pub(super) fn path_with_variable(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_wrong = summary.contains("DOLLAR_CURLY") || summary.contains("unexpected '${'");
    let (variable, rest) = place.here.split_once('}')?;
    let end = |c: char| c.is_whitespace() || ";])".contains(c);
    let rest = rest.split(end).next()?;
    let is_plain = !variable.contains(['"', '{']) || variable.matches('{').count() == 1;
    let is_path = rest.starts_with('/') && !rest.contains(['"', '$', '\\']);
    (is_wrong && is_plain && is_path && (place.follows("=") || place.is_in_list))
        .then(|| format!("put a path with `${{…}}` in double quotes: \"{variable}}}{rest}\""))
}

/// The hint for a variable that is a whole value, as a shell has it: `domain = ${DOMAIN};`.
pub(super) fn whole_variable(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_wrong = summary.contains("DOLLAR_CURLY") || summary.contains("unexpected '${'");
    let (variable, rest) = place.here.strip_prefix("${")?.split_once('}')?;
    let variable = path_of(variable).filter(|_| is_wrong && place.follows("="))?;
    rest.trim_start().starts_with(';').then(|| {
        format!(
            "`${{…}}` is allowed only in a string. Write a variable without it, {variable}, and put text in double \
             quotes"
        )
    })
}

/// The hint for a package with a comma in place of its dot: `[ pkgs.vim pkgs,htop ]`.
pub(super) fn comma_in_package(place: &Place<'_>, summary: &str) -> Option<String> {
    let behind = place.here.strip_prefix(',')?;
    let set = place.name_before();
    let before = place.before.strip_suffix(set)?.trim_end();
    let rest = behind.trim_start_matches(is_of_path);
    let name = path_of(behind.strip_suffix(rest)?)?;
    let is_set = set == "pkgs" || set.starts_with("pkgs.") && set.ends_with("Packages");
    let is_value = place.is_in_list || before.ends_with('=');
    (summary.contains("unexpected ','") && is_set && is_value && behind.starts_with(name))
        .then(|| format!("write a dot instead of the comma: {set}.{name}"))
}

/// The hint for a list in braces or parentheses, or with commas, that is a whole value: `ports = { 80, 443 };`.
pub(super) fn in_other_brackets(place: &Place<'_>) -> Option<String> {
    let (before, value) = place.before.rsplit_once('=')?;
    let (with, value) = with_of(value.trim_start());
    let opens = value.chars().next()?;
    let closes = match opens {
        '{' => '}',
        '(' => ')',
        '[' => ']',
        _ => return None,
    };
    let first = value.strip_prefix(opens)?;
    let (second, rest) = place.here.split_once(closes)?;
    let inside = format!("{first}{second}");
    if !rest.trim_start().starts_with(';') || opens != '{' && !inside.contains(',') {
        return None;
    }
    let name = before.split_whitespace().next_back()?;
    if opens == '{'
        && let Some(hint) = string_in_braces(name, inside.trim())
    {
        return Some(hint);
    }
    // A name in braces may be a definition without a value.
    let elements = elements(&inside, opens != '{')?;
    if is_name_of_secret(name) && opens != '[' {
        return Some(format!("write one string: {name} = \"…\";"));
    }
    let list = format!("{name} = {with}[ {} ];", elements.join(" "));
    let list = if list.len() > MAX_SHOWN {
        format!("{name} = {with}[ … ];")
    } else {
        list
    };
    Some(if opens == '[' {
        format!("remove the commas between the elements of the list: {list}")
    } else {
        format!("write a list in square brackets, with spaces between its elements: {list}")
    })
}

/// The hint for a string in braces, if that is all that is `inside`: the option `name` decides whether a list may be meant.
fn string_in_braces(name: &str, inside: &str) -> Option<String> {
    let content = inside.strip_prefix('"')?.strip_suffix('"')?;
    if content.contains('"') {
        return None;
    }
    let string = format!("write a string without braces: {name} = {inside};");
    let attribute = name.rsplit('.').next().unwrap_or_default();
    Some(if ["imports", "modules"].contains(&attribute) {
        format!("write a list in square brackets: {name} = [ {inside} ];")
    } else if is_name_of_secret(name) {
        string
    } else {
        format!("{string} or write a list of strings in square brackets: {name} = [ {inside} ];")
    })
}

/// The hint for names in braces that are a whole value, `groups = { wheel, gpio };`, which Nix takes for the arguments of a function.
pub(super) fn names_in_braces(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_wrong = summary.contains("unexpected ';', expecting ':'");
    let value = place
        .before
        .trim_end()
        .strip_suffix('}')
        .filter(|_| is_wrong)?;
    let (before, names) = value.rsplit_once('{')?;
    let name = before
        .trim_end()
        .strip_suffix('=')?
        .split_whitespace()
        .next_back()?;
    if names.trim() == "enable" {
        return Some(format!(
            "in braces, each name has a value: {name} = {{ enable = true; }};"
        ));
    }
    let names = names
        .split([',', ' ', '\n'])
        .filter(|name| !name.is_empty());
    let are_plain = names.clone().all(|name| name.chars().all(is_of_name));
    let strings: Vec<String> = names.map(|name| format!("\"{name}\"")).collect();
    let list = Some(strings.join(" ")).filter(|list| are_plain && list.len() <= MAX_SHOWN);
    let list = list.unwrap_or_else(|| "…".to_owned());
    Some(format!(
        "write a list in square brackets, with its text in double quotes: {name} = [ {list} ];"
    ))
}

/// The hint for several values with commas between them, without brackets: `ports = 80, 443;`.
pub(super) fn several_values(place: &Place<'_>) -> String {
    let list = || {
        let (name, first) = place.begun().split_once('=')?;
        let rest = end_of_definition(place.here)?;
        let values = format!("{first}{rest}");
        let elements = elements(&values, true)?;
        as_definitions(format!("{} = [ {} ];", name.trim(), elements.join(" ")))
    };
    let list = list().unwrap_or_else(|| "[ a b ]".to_owned());
    format!("put several values into a list, in brackets and without commas: {list}")
}

/// The `with …;` that `value` begins with, and what follows it.
fn with_of(value: &str) -> (&str, &str) {
    let end = value.find(';').filter(|_| value.starts_with("with "));
    let rest = end.and_then(|end| value.get(end + 1..));
    let rest = rest.map_or(value, str::trim_start);
    let with = value.strip_suffix(rest).unwrap_or_default();
    (with, rest)
}

/// The numbers, strings, paths and attributes in `text`, and names if they may be elements, without the signs between them; `None` if
/// something else is there.
fn elements(text: &str, may_be_names: bool) -> Option<Vec<&str>> {
    let is_between = |c: char| c.is_whitespace() || ",;".contains(c);
    let mut rest = text.trim_matches(is_between);
    let mut found = Vec::new();
    while !rest.is_empty() {
        let end = match rest.strip_prefix('"') {
            Some(string) => string.find('"')? + 2,
            None => rest.find(is_between).unwrap_or(rest.len()),
        };
        let (element, behind) = rest.split_at_checked(end)?;
        let is_part = |c: char| c.is_alphanumeric() || "_-'./".contains(c);
        let is_name = element.chars().all(is_part);
        let is_certain =
            element.starts_with("pkgs.") || element.contains('/') || element.parse::<u64>().is_ok();
        let is_string = element.starts_with('"') && !element.contains(['$', '\\']);
        if !(is_string || is_name && (is_certain || may_be_names)) {
            return None;
        }
        found.push(element);
        rest = behind.trim_start_matches(is_between);
        // Nothing is between two of them: they are something else.
        if rest.len() == behind.len() && !rest.is_empty() {
            return None;
        }
    }
    (!found.is_empty()).then_some(found)
}

/// The hint for `&&`, and for a `+` between two paths, in a list.
pub(super) fn joined(place: &Place<'_>) -> Option<String> {
    let sign = ["&&", "||", "+"]
        .into_iter()
        .find(|sign| place.here.starts_with(sign))?;
    let previous = place.before.split_whitespace().next_back()?;
    let next = place.here.strip_prefix(sign)?.split_whitespace().next()?;
    let is_path = |text: &str| text.starts_with("./") || text.starts_with("../");
    (is_path(previous) && is_path(next)).then(|| {
        format!("separate the elements of a list by spaces, without `{sign}`: {previous} {next}")
    })
}

/// The hint for a line of cron in a list, `*/5 * * * * root true`, and for a here document of a shell.
pub(super) fn text_of_another_program(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '*'") && place.is_in_list && place.follows("[") {
        let line = place
            .here
            .split_once(']')
            .map_or("", |(line, _)| line.trim());
        let option = place.option_of_list().unwrap_or_default();
        let definition = as_definitions(format!("{option} = [ \"{line}\" ];"));
        let definition = definition.filter(|_| !line.contains(['"', '\\', '$']));
        let shown = definition.map_or_else(String::new, |it| format!(": {it}"));
        return Some(format!(
            "put an element of a list with spaces in double quotes{shown}"
        ));
    }
    let is_document = summary.contains("unexpected '<'") && place.here.starts_with("<<");
    let name = place
        .before
        .trim_end()
        .strip_suffix('=')
        .filter(|_| is_document)?;
    let name = name.split_whitespace().next_back()?;
    Some(format!(
        "write a string of several lines between `''` and `''`: {name} = '' … '';"
    ))
}

/// The hint for a `@` in a text without quotes, as in `password = p@ss;`, of which Nix expects arguments.
pub(super) fn text_with_at(place: &Place<'_>, summary: &str) -> Option<String> {
    let line = place.before.rsplit('\n').next()?;
    let (name, first) = line.strip_suffix('@')?.rsplit_once("= ")?;
    let (second, _) = place.here.split_once(';')?;
    let is_text = |text: &str| !text.contains(['"', '{', ' ', '$', '\\', '\'']);
    let is_wrong = summary.contains("expecting '{'") && is_text(first) && is_text(second);
    is_wrong.then(|| {
        let name = name.trim();
        format!("put text with a `@` in double quotes: {name} = \"{first}@{second}\";")
    })
}

/// The hint for a number with a colon after it, as in `8080:80`.
pub(super) fn number_with_colon(place: &Place<'_>, summary: &str) -> Option<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ".:/_-".contains(c);
    let start = place.before.trim_end_matches(is_part);
    let first = place.before.strip_prefix(start)?;
    let end = place.here.trim_start_matches(is_part);
    let second = place.here.strip_suffix(end)?.strip_prefix(':')?;
    let is_number = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    if !summary.contains("unexpected ':'") || !is_number(first) || second.is_empty() {
        return None;
    }
    let text = format!("\"{first}:{second}\"");
    if let Some(before) = start.trim_end().strip_suffix('=') {
        let option = before.split_whitespace().next_back()?;
        let is_list = option.rsplit('.').next() == Some("ports");
        let value = if is_list { format!("[ {text} ]") } else { text };
        return Some(format!(
            "put a value with a colon in double quotes: {option} = {value};"
        ));
    }
    let option = place.option_of_list().unwrap_or_default();
    let kind = option
        .strip_suffix("Ports")
        .filter(|_| place.is_in_list && is_number(second));
    Some(match kind {
        Some(kind) => format!(
            "write a range of ports as a set, in its own option: {kind}PortRanges = [ {{ from = {first}; to = {second}; \
             }} ];"
        ),
        None => format!("put a value with a colon in double quotes: {text}"),
    })
}
