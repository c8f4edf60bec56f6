//! Public keys that are not written as the strings of a list. Pure.

use std::path::Path;

use super::listed_definitions::values;
use crate::nixos::layout::{CONFIG_DIR, HOME_OF_NIX};
use sdbuild_core::ssh_key::KEY_TYPES;

/// The last names of the option that has keys.
const KEYS: &str = ".openssh.authorizedKeys.keys";
/// The file of a key in an example.
const SOME_FILE: &str = "id.pub";

/// How to write the keys of `option` that the message `summary` of Nix calls wrong; `None` for other options and mistakes.
pub(super) fn hint(option: &str, summary: &str) -> Option<String> {
    let (user, _) = option.split_once(KEYS)?;
    let in_file = |file: &str| {
        format!(
            "copy the file next to the configuration, and write {user}.openssh.authorizedKeys.keyFiles = [ ./{file} ];"
        )
    };
    if summary.contains("---- BEGIN SSH2 PUBLIC KEY ----") {
        return Some(
            "the key is in PuTTY's format. `ssh-keygen -i -f FILE` prints the line to write"
                .to_owned(),
        );
    }
    if let Some(path) = values(summary).find(|value| is_path(value)) {
        if let Some(written) = path
            .strip_prefix(CONFIG_DIR)
            .filter(|path| Path::new(path).extension() != Some("pub".as_ref()))
        {
            let in_file = in_file("FILE");
            return Some(format!(
                "{written} is outside of the quotes, and so a path. Inside a string write \\\" for a quote. If it is the file of a key, {in_file}"
            ));
        }
        let file = path.rsplit('/').next().unwrap_or(SOME_FILE);
        let in_file = in_file(file);
        let shown = match path.strip_prefix(HOME_OF_NIX) {
            Some(below) => format!("~{below}"),
            None => path.to_owned(),
        };
        return Some(format!(
            "{shown} is a path, but a key is a string. Give the text of the key in quotes, or {in_file}"
        ));
    }
    if summary.ends_with("<function>") {
        let in_file = in_file(SOME_FILE);
        return Some(format!(
            "put a call inside a list in parentheses. For a key in a file, {in_file}"
        ));
    }
    has_several_keys(summary).then(|| {
        format!(
            "write each key as an element of the list: \"ssh-ed25519 … a\" \"ssh-ed25519 … b\". For keys in a file, \
             write {user}.openssh.authorizedKeys.keyFiles = [ ./FILE ];"
        )
    })
}

fn is_path(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-~+@".contains(c);
    value.starts_with(['/', '~']) && value.chars().all(is_plain)
}

/// Whether a value has several keys, in a line each.
fn has_several_keys(summary: &str) -> bool {
    let begins = |line: &str| {
        KEY_TYPES
            .iter()
            .any(|kind| line.trim_start().starts_with(kind))
    };
    values(summary).any(|value| value.split("\\n").skip(1).any(begins))
}
