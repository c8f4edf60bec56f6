//! Users who cannot become root, and those whose names are `root` with a typo. Pure.

use super::facts::ConfigFacts;
use super::named_options::user_option;
use crate::common::nearest::is_slip;

/// The user whom NixOS has.
const ROOT: &str = "root";

/// Whether the user `name` may be `root` with a wrong, a missing or a further letter.
fn may_be_root(name: &str) -> bool {
    name != ROOT && is_slip(name, ROOT)
}

/// What to ask before anything else is said of the user `name`, who may be `root` with a typo.
pub(super) fn question(name: &str) -> Option<String> {
    may_be_root(name).then(|| format!("is {} meant to be {ROOT}? ", user_option(name)))
}

/// The definition of `root` to write in place of that of the user `name`, who may be `root` with a typo.
pub(super) fn line_with_root(facts: &ConfigFacts, name: &str) -> Option<String> {
    let user = facts.users.iter().find(|user| user.name == name);
    let has_keys = user.is_some_and(|user| !user.keys.is_empty());
    let definition = if has_keys {
        ".openssh.authorizedKeys.keys = [ … ];"
    } else {
        " = { … };"
    };
    may_be_root(name).then(|| {
        format!(
            "{}{definition} # replaces {}",
            user_option(ROOT),
            user_option(name)
        )
    })
}

/// What is said of the user `name`, who can log in and cannot become root.
pub(super) fn said_of_no_administrator(facts: &ConfigFacts, name: &str) -> String {
    let user = facts.users.iter().find(|user| user.name == name);
    let is_in_wheel = user.is_some_and(|user| user.groups.iter().any(|group| group == "wheel"));
    let reason = if !facts.sudo.enable {
        format!("{}.enable = false", facts.sudo.option)
    } else if is_in_wheel {
        format!(
            "sudo asks for a password, and {} has none",
            user_option(name)
        )
    } else if may_be_root(name) {
        "the user is not in the group wheel, which may use sudo".to_owned()
    } else {
        format!(
            "{}.extraGroups does not have wheel, the group that may use sudo",
            user_option(name)
        )
    };
    let question = question(name).unwrap_or_default();
    format!("{question}{name} can log in but cannot become root, because {reason}")
}
