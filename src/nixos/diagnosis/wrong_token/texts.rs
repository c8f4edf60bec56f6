//! Values with a character that Nix knows only in strings: texts in other quotes, hashes of passwords, numbers with a percent sign.

use super::super::secret_values::is_hash;
use super::place::{Place, last_number};
use crate::common::nix_name::path_of;
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::diagnosis::unquoted_name::{is_list_of_packages, takes_a_package};
use crate::nixos::nix_syntax::parse;

/// How the quotes of other languages, and of printed texts, begin and end.
pub(super) const QUOTES: [(char, char); 9] = [
    ('`', '`'),
    ('\'', '\''),
    ('‘', '’'),
    ('’', '’'),
    ('“', '”'),
    ('”', '”'),
    ('„', '“'),
    ('„', '”'),
    ('«', '»'),
];
/// The hint for the character at `place`.
pub(super) fn hint(place: &Place<'_>) -> Option<String> {
    hash(place)
        .or_else(|| percentage(place))
        .or_else(|| other_quotes(place))
}

/// The name of the definition whose value begins at `place`.
fn defined<'a>(place: &Place<'a>) -> Option<&'a str> {
    let name = place.begun().trim_end().strip_suffix('=')?;
    name.split_whitespace().next_back()
}

/// The hint for the hash of a password without quotes.
fn hash(place: &Place<'_>) -> Option<String> {
    let name = defined(place)?;
    let value = place.here.split([';', ' ']).next()?;
    is_hash(value).then(|| format!("write the hash in double quotes: {name} = \"…\";"))
}

/// The hint for `50%`.
fn percentage(place: &Place<'_>) -> Option<String> {
    let rest = place.here.strip_prefix('%')?;
    let (_, number) = last_number(place.before);
    let is_end = |c: char| c.is_whitespace() || ";)]".contains(c);
    (!number.is_empty() && rest.starts_with(is_end)).then(|| {
        format!("write {number} without the `%`, or \"{number}%\" if the option takes a string")
    })
}

/// The hint for a text in other quotes.
fn other_quotes(place: &Place<'_>) -> Option<String> {
    let (text, _) = quoted(place.here)?;
    let option = defined(place).or_else(|| place.option_of_list())?;
    let attribute = option.rsplit('.').next()?;
    if is_list_of_packages(attribute) || takes_a_package(attribute) {
        let name = path_of(text)?;
        let name = name.strip_prefix("pkgs.").unwrap_or(name);
        let pkgs = if place.is_in_with_pkgs() { "" } else { "pkgs." };
        return Some(format!("write a package without quotes: {pkgs}{name}"));
    }
    let is_switch = ["true", "false"].contains(&text);
    if is_switch && place.follows("=") {
        return Some(format!(
            "write true and false without quotes: {option} = {text};"
        ));
    }
    // An option that takes a number takes no string.
    if is_switch || text.parse::<f64>().is_ok() {
        return None;
    }
    let definition = definition(place).unwrap_or_else(|| format!("\"{text}\""));
    Some(format!(
        "write a string in straight double quotes: {definition}"
    ))
}

/// The definition around `place` with the quotes of Nix, if the line has all of it.
fn definition(place: &Place<'_>) -> Option<String> {
    let (mut rest, mut definition) = (place.here, place.begun().to_owned());
    while !definition.ends_with(';') {
        if let Some((text, after)) = quoted(rest) {
            definition.extend(["\"", text, "\""]);
            rest = after;
        } else {
            let next = rest.chars().next()?;
            definition.push(next);
            rest = rest.strip_prefix(next)?;
        }
    }
    let is_right = parse(&format!("{{ {definition} }}")).errors().is_empty();
    (is_right && definition.len() <= MAX_SHOWN).then_some(definition)
}

/// The text in other quotes that `here` begins with, and what follows it; `None` if it cannot be a string of Nix as it is.
fn quoted(here: &str) -> Option<(&str, &str)> {
    let found = QUOTES.iter().filter_map(|(begin, end)| {
        let (text, rest) = here.strip_prefix(*begin)?.split_once(*end)?;
        let is_plain = !text.is_empty() && !text.contains(['"', '\\', ';']) && !text.contains("${");
        // Another text may follow, of which the quote is a part.
        let is_whole = rest.is_empty() || rest.starts_with([' ', ';', ')', ']', '}', '+']);
        (is_plain && is_whole).then_some((text, rest))
    });
    found.min_by_key(|(text, _)| text.len())
}
