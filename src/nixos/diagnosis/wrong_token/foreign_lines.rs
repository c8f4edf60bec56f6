//! Whole lines that are not of Nix: those of git in a conflict, and commands for a terminal.

use super::packages::installed;
use super::place::{Place, as_definitions};
use crate::common::nix_name::path_of;
use sdbuild_core::nix_string::nix_string;

/// How the lines begin that git adds to a file with a conflict.
const CONFLICT: [&str; 3] = ["<<<<<<< ", "=======", ">>>>>>> "];

/// What to do about a whole line that is not of Nix, if the token begins one.
pub(super) fn hint(place: &Place<'_>) -> Option<&'static str> {
    if !place.begun().is_empty() {
        None
    } else if CONFLICT.iter().any(|line| place.here.starts_with(line)) {
        Some(
            "git has left a conflict in the file. Keep one of its two versions, and remove the lines with <<<<<<<, ======= \
             and >>>>>>>",
        )
    } else if place.here.starts_with("$ ") {
        Some("a command for a terminal is not part of the configuration. Remove the line")
    } else {
        None
    }
}

/// The name in brackets that is the whole `line`, as INI and TOML have it.
pub(super) fn section(line: &str) -> Option<&str> {
    let name = line.trim_end().strip_prefix('[')?.strip_suffix(']')?;
    path_of(name)
}

/// The hint for the section `name`, with the next line in it if that is a definition of Nix but for its `;`.
pub(super) fn instead_of_section(place: &Place<'_>, name: &str) -> String {
    let first = place.below.trim().trim_end_matches(';');
    let whole = as_definitions(format!("{name} = {{ {first}; }};"));
    let set = whole.unwrap_or_else(|| format!("{name} = {{ … }};"));
    format!(
        "a name in brackets begins a section in other languages. In Nix, its settings are a set: {set}"
    )
}

/// The hint for the elements of a list with a `-` in front of each.
pub(super) fn instead_of_elements(place: &Place<'_>) -> String {
    let lines = place.rest.lines();
    let elements = lines.map_while(|line| line.trim().strip_prefix("- "));
    let elements: Vec<&str> = elements.map(str::trim).collect();
    let packages = elements.iter().all(|name| path_of(name).is_some());
    let rest = if packages {
        format!("; if they are packages, {}", installed(&elements))
    } else {
        ": NAME = [ a b ];".to_owned()
    };
    format!("write the elements of a list in brackets, without `-`{rest}")
}

/// A plain scalar of YAML as Nix has it: a text in quotes, in which a secret is recognised.
fn scalar(value: &str) -> Option<String> {
    let is_number = value.chars().all(|c| c.is_ascii_digit());
    let is_text = value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    if is_number || is_text || ["true", "false"].contains(&value) {
        return Some(value.to_owned());
    }
    let is_plain = !value.contains(|c| "{}[]#&*!|>'\"`".contains(c));
    is_plain.then(|| nix_string(value))
}

/// The setting that the lines of YAML from the place on begin with, as Nix has it: `services:`, and below it `enable: true`.
pub(super) fn first_setting(place: &Place<'_>) -> Option<String> {
    let mut path = place.name_before().to_owned();
    for line in place.rest.lines().skip(1) {
        let (name, value) = line.trim().split_once(':')?;
        path = format!("{path}.{}", path_of(name)?);
        let value = value.trim();
        if !value.is_empty() {
            return as_definitions(format!("{path} = {};", scalar(value)?));
        }
    }
    None
}
