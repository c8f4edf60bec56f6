//! The keys of `sdbuild.toml`: those that exist, and what is meant by others. Pure.

use super::options::Options;
use crate::common::nixos_option::NAMESPACES;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::nearest::{is_slip, is_typo, nearest};

/// A key of the file.
pub(super) struct Key<'a> {
    pub(super) name: &'a str,
    /// The number of its line, counted from 1.
    pub(super) line: usize,
    /// Whether it has keys of its own, as `[name]` begins.
    pub(super) is_section: bool,
}

/// Every key of the file.
pub(super) fn known_keys() -> Result<Vec<String>, Failure> {
    let options = serde_json::to_value(Options::default()).or_internal("list the settings")?;
    let fields = options.as_object();
    let keys = fields.map(|fields| fields.keys().cloned().collect());
    keys.ok_or_else(|| Failure::message(Class::Internal, "settings are not an object"))
}

/// Refuses an unknown key, and suggests the one that it may mean.
pub(super) fn check_keys<'a>(keys: impl Iterator<Item = Key<'a>>) -> Result<(), Failure> {
    let known = known_keys()?;
    let keys: Vec<Key<'a>> = keys.collect();
    refuse_options_of_nixos(&keys)?;
    // The parser sorts them by name.
    let unknown = keys
        .into_iter()
        .filter(|key| !known.iter().any(|one| one == key.name));
    let Some(key) = unknown.min_by_key(|key| key.line) else {
        return Ok(());
    };
    let Key {
        name: unknown,
        line,
        is_section,
    } = key;
    if is_section && letters(unknown) != "set" {
        let text = format!("line {line}: `{unknown}` is a section, and the settings have none");
        return Err(
            Failure::usage(text).hint("write the settings without a line in brackets above them")
        );
    }
    let failure = Failure::usage(format!("line {line}: `{unknown}` is not a setting"));
    if let Some(instead) = set_elsewhere(unknown) {
        return Err(failure.hint(instead));
    }
    // As the variable of a setting is called, too.
    let plain = unknown.to_lowercase().replace('_', "-");
    let plain = plain.strip_prefix("sdbuild-").unwrap_or(&plain);
    let similar = nearest(plain, known.iter().map(String::as_str));
    let is_meant =
        |key: &&str| letters(plain) == letters(key) || is_typo(&letters(plain), &letters(key));
    Err(match similar.filter(is_meant) {
        Some(key) => failure.hint(format!("did you mean `{key}`?")),
        None => failure.hint(format!("the settings are {}", known.join(", "))),
    })
}

/// Refuses a key with parts that is an option of NixOS, also where its first name is that of a setting.
fn refuse_options_of_nixos(keys: &[Key<'_>]) -> Result<(), Failure> {
    // `nixpkgs` is a setting, and one without parts.
    let is_namespace = |name: &str| name == "nixpkgs" || NAMESPACES.contains(&name);
    let is_option = |key: &&Key<'_>| key.is_section && is_namespace(key.name);
    let Some(key) = keys.iter().filter(is_option).min_by_key(|key| key.line) else {
        return Ok(());
    };
    let text = format!(
        "line {}: `{}` is an option of NixOS, not a setting of sdbuild",
        key.line, key.name
    );
    Err(Failure::usage(text).hint(
        "set it in the configuration, such as sd-card.nix, or for one build by --set OPTION=VALUE",
    ))
}

/// What a file cannot set, without punctuation, and where it is set.
const SET_ELSEWHERE: [(&[&str], &str); 12] = [
    (
        &["config"],
        "give the configuration on the command line: `sdbuild build PATH`",
    ),
    (
        &["dockerhost", "engine"],
        "sdbuild uses the engine of DOCKER_HOST, of DOCKER_CONTEXT or of the current Docker context",
    ),
    (
        &["experimentalfeatures"],
        "remove the line; flakes are always enabled in the builder",
    ),
    (
        &["hostname", "imagename", "name"],
        "set the host name in the configuration, as networking.hostName, or for one build with `sdbuild build --hostname \
         NAME`",
    ),
    (&["loginkey"], "give --login-key FILE"),
    (&["overrideinput"], "give --override-input INPUT DIR"),
    (&["root"], "give --root DIR"),
    (
        &["set"],
        "give --set OPTION=VALUE, or set the option in the configuration",
    ),
    (
        &["sshkey"],
        "give --ssh-key FILE, or set users.users.root.openssh.authorizedKeys.keys in the configuration",
    ),
    (&["timezone"], "set time.timeZone in the configuration"),
    (&["user", "users"], "set users.users in the configuration"),
    (
        &["ssid", "wifi", "wireless"],
        "set networking.wireless in the configuration; `sdbuild init --wifi NAME` writes it",
    ),
];

/// What to do instead with a setting that a file cannot have, also if its name is mistyped.
pub(super) fn set_elsewhere(key: &str) -> Option<&'static str> {
    /// Letters from which on a similar name can only be a slip.
    const MIN_LETTERS: usize = 6;
    let key = letters(key);
    let is_meant = |name: &&str| key == *name || key.len() >= MIN_LETTERS && is_slip(&key, name);
    let row = SET_ELSEWHERE
        .iter()
        .find(|(names, _)| names.iter().any(is_meant));
    row.map(|(_, instead)| *instead)
}

/// A key without what differs between ways to write it, as `trusted_public_keys` and `trustedPublicKeys`.
fn letters(key: &str) -> String {
    key.replace(['-', '_'], "").to_lowercase()
}
