//! Names that lack the quotes which they need: of wireless networks, of units with an `@`, and those that begin with a digit.

use std::net::IpAddr;

use rnix::SyntaxKind::{TOKEN_COMMENT, TOKEN_SEMICOLON, TOKEN_WHITESPACE};

use super::place::Place;
use super::texts::QUOTES;
use crate::common::nix_name::is_of_name;
use crate::nixos::nix_definitions::defines;
use crate::nixos::nix_syntax::parse;

/// The option with the wireless networks, whose names are texts of any kind.
const NETWORKS: &str = "networking.wireless.networks.";
/// The options of a wireless network.
const OF_NETWORK: [&str; 9] = [
    "auth",
    "authProtocols",
    "bssid",
    "extraConfig",
    "hidden",
    "priority",
    "psk",
    "pskRaw",
    "ssid",
];
/// Characters that a string has only with a backslash, or that end the name.
const NOT_REPEATED: [char; 7] = ['"', '\\', '$', '{', '}', ';', '#'];

/// The hint for a token that is part of a name, or begins one.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    let is_in_name = [
        "expecting '.' or '='",
        "expecting INHERIT",
        "invalid token",
        "FLOAT_LIT",
    ];
    if !is_in_name.iter().any(|text| has(text)) {
        return None;
    }
    network(place)
        .or_else(|| address(place))
        .or_else(|| with_digit(place))
        .or_else(|| with_sign(place))
}

/// The path of the definitions around the one at `place`.
fn around(place: &Place<'_>) -> Option<String> {
    let before = place.before.strip_suffix(place.begun())?;
    let mut last = parse(before).syntax().last_token()?;
    while [TOKEN_COMMENT, TOKEN_WHITESPACE].contains(&last.kind()) {
        last = last.prev_token()?;
    }
    let node = last.parent()?;
    // The definition in front of the place ends with its `;`.
    let is_end = last.kind() == TOKEN_SEMICOLON;
    Some(defines(&if is_end { node.parent()? } else { node }))
}

/// The name of a wireless network in quotes.
fn network(place: &Place<'_>) -> Option<String> {
    let (rest, _) = place.here.split_once('=')?;
    let written = format!("{}{rest}", place.begun());
    let written = written.trim();
    let around = around(place)?;
    let path = if around.is_empty() {
        written.to_owned()
    } else {
        format!("{around}.{written}")
    };
    let name = path.strip_prefix(NETWORKS)?;
    let (name, option) = match name.rsplit_once('.') {
        Some((name, option)) if OF_NETWORK.contains(&option) => (name, format!(".{option}")),
        Some(_) | None => (name, String::new()),
    };
    let name = name.trim();
    let mut words = name.split([' ', '.']);
    let has_option = words.any(|word| OF_NETWORK.contains(&word));
    let needs_quotes = !name.chars().all(is_of_name) || name.starts_with(|c: char| c.is_numeric());
    // Another sign may stand in place of the `=`.
    let has_sign = name.ends_with(['+', '-', ':', ',', '?']);
    if !needs_quotes || has_sign || has_option || name.contains(NOT_REPEATED) {
        return None;
    }
    let (prefix, _) = written.split_once(name)?;
    let mut in_other_quotes = QUOTES
        .into_iter()
        .filter_map(|(begin, end)| name.strip_prefix(begin)?.strip_suffix(end));
    let name = in_other_quotes.next().unwrap_or(name);
    Some(format!(
        "put the name of the network in double quotes: {prefix}\"{name}\"{option} = …;"
    ))
}

/// The end of the definition's name from the place on, if a dot or a `=` follows it, up to that.
fn end_of_name(here: &str) -> Option<&str> {
    let rest = here.trim_start_matches(is_of_name);
    let name = here.strip_suffix(rest)?;
    let is_end = rest.trim_start().starts_with(['=', '.']);
    (is_end && !name.is_empty()).then_some(name)
}

/// The last part of the path in front of the dot at the place, with that dot; nothing where a name begins.
fn part_before(place: &Place<'_>) -> Option<String> {
    let begun = place.begun();
    if begun.is_empty() {
        return Some(String::new());
    }
    let is_whole = place.here.starts_with('.') && begun == place.name_before();
    let last = begun.rsplit('.').next()?;
    is_whole.then(|| format!("{last}."))
}

/// An address that is a name, as in `networking.hosts`.
fn address(place: &Place<'_>) -> Option<String> {
    let before = part_before(place)?;
    let here = place.here.trim_start_matches('.');
    let is_end = |c: char| c.is_whitespace() || c == '=';
    let address = here.split(is_end).next()?;
    address.parse::<IpAddr>().ok()?;
    Some(format!(
        "put the address in double quotes: {before}\"{address}\" = …;"
    ))
}

/// A name that begins with a digit.
fn with_digit(place: &Place<'_>) -> Option<String> {
    let before = part_before(place)?;
    let name = end_of_name(place.here.trim_start_matches('.'))?;
    // Without a letter, the number may belong to the part before it, as in `eth0.100`.
    let is_certain = before.is_empty() || name.contains(|c: char| c.is_alphabetic());
    let begins = name.starts_with(|c: char| c.is_ascii_digit());
    (begins && is_certain).then(|| {
        format!("put a name that begins with a digit in double quotes: {before}\"{name}\"")
    })
}

/// A name with `@` or `!` in it, as that of the unit `getty@tty1`.
fn with_sign(place: &Place<'_>) -> Option<String> {
    let sign = place
        .here
        .chars()
        .next()
        .filter(|c| ['@', '!'].contains(c))?;
    let path = place.name_before();
    let name = end_of_name(place.here.strip_prefix(sign)?)?;
    let first = path.rsplit('.').next()?;
    let prefix = path.strip_suffix(first)?;
    let is_whole = place.before.ends_with(path) && !first.is_empty() && place.begun() == path;
    is_whole.then(|| {
        format!("put a name with `{sign}` in double quotes: {prefix}\"{first}{sign}{name}\"")
    })
}

/// The hint for a name such as `fileSystems./boot`, which Nix takes for a path.
pub(super) fn with_slash(place: &Place<'_>) -> Option<String> {
    let is_end = |c: char| c.is_whitespace() || "=;{".contains(c);
    let written = place.here.split(is_end).next()?;
    let (name, path) = written.split_once("./")?;
    (!name.is_empty())
        .then(|| format!("put a name with a slash in double quotes: {name}.\"/{path}\""))
}
