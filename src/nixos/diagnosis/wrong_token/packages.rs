//! What to write in place of a token in a list of packages: a version, `with`, or what is to be added by `+=`.

use super::place::Place;
use crate::common::nix_name::is_of_path;
use crate::nixos::diagnosis::names::SEARCH;
use crate::nixos::diagnosis::unquoted_name::{is_list_of_packages, takes_a_package};
use crate::nixos::programs::{package_called, package_of};

/// The hint for a version after the name of a package, as other package managers have it: `nodejs@20`, `python==3.12`.
pub(super) fn with_version(place: &Place<'_>, summary: &str) -> Option<String> {
    let signs = ["==", "@", "="];
    let is_unexpected = ["'@'", "EQ", "'='"]
        .iter()
        .any(|token| summary.contains(&format!("unexpected {token}")));
    let sign = signs.iter().find(|sign| place.here.starts_with(**sign))?;
    let version = place.here.strip_prefix(sign)?;
    let path = place.name_before();
    let name = path.rsplit('.').next().unwrap_or_default();
    let is_version = version.starts_with(|c: char| c.is_ascii_digit());
    let is_whole = place.before.ends_with(path) && !name.is_empty();
    let attribute = |option: &str| option.rsplit('.').next().unwrap_or_default().to_owned();
    let of_list = place.option_of_list().filter(|_| place.is_in_list);
    let is_package = path.starts_with("pkgs.")
        || of_list.is_some_and(|option| is_list_of_packages(&attribute(option)))
        || takes_a_package(&attribute(defined(place)));
    if !(is_unexpected && is_version && is_whole && is_package) {
        return None;
    }
    let is_of_pkgs = path == name || path.strip_prefix("pkgs.") == Some(name);
    let known = package_called(name).or_else(|| package_of(name));
    let Some(package) = known.filter(|_| is_of_pkgs) else {
        return Some(format!(
            "a name has no `{sign}`. nixpkgs has one version of most packages, and of some it has others with their own \
             names: {SEARCH}{name}"
        ));
    };
    let is_in_scope = path == name && place.is_in_with_pkgs();
    let pkgs = if is_in_scope { "" } else { "pkgs." };
    Some(format!(
        "a name has no `{sign}`. Write {pkgs}{package} for the version that this nixpkgs has. Other versions, if it has \
         any, have their own names: {SEARCH}{package}"
    ))
}

/// The name of the definition whose value is in front of the place, up to it.
fn defined<'a>(place: &Place<'a>) -> &'a str {
    let value = place.before.strip_suffix(place.name_before());
    let name = value.and_then(|value| value.trim_end().strip_suffix('='));
    let last = name.and_then(|name| name.split_whitespace().next_back());
    last.unwrap_or_default()
}

/// The hint for the packages with these `names`, with `pkgs.` or without, outside a list.
pub(super) fn installed(names: &[&str]) -> String {
    let are_whole = names.iter().all(|name| name.starts_with("pkgs."));
    let list = if are_whole {
        format!("[ {} ]", names.join(" "))
    } else {
        let names = names.iter();
        let names = names.map(|name| name.strip_prefix("pkgs.").unwrap_or(name));
        let names: Vec<&str> = names.collect();
        format!("with pkgs; [ {} ]", names.join(" "))
    };
    format!("write packages as a list: environment.systemPackages = {list};")
}

/// The hint for `with` inside of a list.
pub(super) fn with_inside(place: &Place<'_>) -> Option<String> {
    let set = place.here.strip_prefix("with")?.split(';').next()?.trim();
    if set.is_empty() || !set.chars().all(is_of_path) {
        return None;
    }
    let list = match place.option_of_list() {
        Some(option) => format!("{option} = with {set}; [ … ];"),
        None => format!("(with {set}; [ … ])"),
    };
    Some(format!("write `with {set};` before the list: {list}"))
}

/// The hint for `+=`.
pub(super) fn added(text: &str, place: &Place<'_>, summary: &str) -> Option<String> {
    let is_sign = summary.contains("unexpected '+', expecting '.' or '='");
    let is_sign = is_sign && place.here.starts_with("+=");
    let name = Some(place.name_before()).filter(|name| is_sign && !name.is_empty())?;
    let defines = |line: &&str| {
        let rest = line.trim_start().strip_prefix(name);
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    let mut lines = (1..).zip(text.lines());
    let earlier = lines.find(|(_, line)| defines(line));
    if let Some((line, _)) = earlier {
        return Some(format!(
            "Nix has no `+=`, and a file defines an option once. Put the value into the definition of line {line}"
        ));
    }
    let definition = place.redefined(name, "+=", "");
    let definition = definition.unwrap_or_else(|| format!("{name} = …;"));
    Some(format!(
        "Nix has no `+=`. Write {definition} (NixOS joins the lists of several files anyway)"
    ))
}
