//! What to write in place of a value that is no set, for options whose sets are known. Pure.

use std::collections::BTreeSet;

use super::option_names::USER_OPTIONS;
use super::switches;
use crate::common::attribute_path;

/// Characters that a name in double quotes has as they are.
fn is_plain(c: char) -> bool {
    !c.is_control() && !['"', '\\', '$', '*'].contains(&c)
}

/// The definition in place of `option = value;`, where `value` is shown by Nix and no set.
pub(super) fn definition(option: &str, value: &str) -> Option<String> {
    let names = attribute_path::parse(option).ok()?;
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let text = value
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    let name = text.filter(|text| !text.is_empty() && text.chars().all(is_plain));
    if let Some(set) = assignments(option, value) {
        return Some(set);
    }
    match names.as_slice() {
        ["users", "users"] => {
            let is_user = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric());
            let user = name.filter(is_user).unwrap_or("NAME");
            Some(format!(
                "write {option}.{user} = {{ isNormalUser = true; }};"
            ))
        }
        ["users", "users", "root"] => Some(format!(
            "write the user as a set: {option}.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];"
        )),
        ["users", "users", part] if USER_OPTIONS.contains(part) => Some(format!(
            "write each user as a set with its name: users.users.NAME = {{ {part} = …; }};"
        )),
        ["users", "users", _] => Some(format!("write {option} = {{ isNormalUser = true; }};")),
        ["users", "groups"] => Some(groups(option, value)),
        // Not the name that is in the value, which may be the passphrase.
        ["networking", "wireless", "networks"] => Some(format!(
            "write each network with its name and its passphrase: {option}.\"NAME\".psk = \"…\";"
        )),
        ["networking", "wireless", "networks", _] => Some(format!(
            "put the passphrase into the option psk: {option}.psk = \"…\";"
        )),
        ["environment", "variables" | "sessionVariables"] => Some(format!(
            "define each variable by its name: {option}.NAME = \"…\";"
        )),
        ["environment", "shellAliases"] => Some(format!(
            "define each alias by its name: {option}.ll = \"ls -l\";"
        )),
        _ => switches::switch(option, value),
    }
}

/// The groups whose names are the text or the list `value`, each with its definition.
fn groups(option: &str, value: &str) -> String {
    let list = value
        .strip_prefix("[ ")
        .and_then(|list| list.strip_suffix(" ]"));
    let names = list.unwrap_or(value).split(' ').map(|name| {
        let name = name.strip_prefix('"')?.strip_suffix('"')?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        (is_name && name.chars().all(is_part)).then_some(name)
    });
    let names: Option<Vec<&str>> = names.collect();
    let names = names.unwrap_or_else(|| vec!["NAME"]);
    let definitions = names.iter().map(|name| format!("{option}.{name} = {{ }};"));
    format!(
        "write each group as a set: {}",
        definitions.collect::<Vec<_>>().join(" ")
    )
}

/// Words of Nix's language, which no name is that has no quotes.
const KEYWORDS: [&str; 9] = [
    "assert", "else", "if", "in", "inherit", "let", "rec", "then", "with",
];

/// The set that is meant by the list `value` of texts such as `EDITOR=vim`; `None` if a name is there twice, or needs quotes.
pub(super) fn assignments(option: &str, value: &str) -> Option<String> {
    let elements = value.strip_prefix("[ \"")?.strip_suffix("\" ]")?;
    let definitions = elements.split("\" \"").map(|element| {
        let (name, value) = element.split_once('=')?;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_number = name.starts_with(|c: char| c.is_ascii_digit());
        let is_whole = !name.is_empty() && name.chars().all(is_name) && value.chars().all(is_plain);
        let is_plain = is_whole && !is_number && !KEYWORDS.contains(&name);
        is_plain.then(|| (name, format!("{name} = \"{value}\";")))
    });
    let definitions: Option<Vec<(&str, String)>> = definitions.collect();
    let (names, definitions): (Vec<&str>, Vec<String>) = definitions?.into_iter().unzip();
    let different: BTreeSet<&str> = names.iter().copied().collect();
    (different.len() == names.len())
        .then(|| format!("write {option} = {{ {} }};", definitions.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::definition;

    #[test]
    fn options_of_a_user_are_in_the_set_of_one() {
        assert_eq!(
            definition("users.users.isNormalUser", "true").as_deref(),
            Some(
                "write each user as a set with its name: users.users.NAME = { isNormalUser = …; };"
            )
        );
    }

    #[test]
    fn each_group_is_a_set() {
        for (value, expected) in [
            (
                "[ \"gpio\" \"i2c\" ]",
                "write each group as a set: users.groups.gpio = { }; users.groups.i2c = { };",
            ),
            (
                "true",
                "write each group as a set: users.groups.NAME = { };",
            ),
        ] {
            let told = definition("users.groups", value);
            assert_eq!(told.as_deref(), Some(expected), "{value}");
        }
    }

    #[test]
    fn sets_that_are_known_are_written_out() {
        for (option, value, expected) in [
            (
                "users.users",
                "\"ada\"",
                Some("write users.users.ada = { isNormalUser = true; };"),
            ),
            (
                "users.users",
                "[ ]",
                Some("write users.users.NAME = { isNormalUser = true; };"),
            ),
            (
                "users.users.ada",
                "\"x\"",
                Some("write users.users.ada = { isNormalUser = true; };"),
            ),
            (
                "networking.wireless.networks",
                "\"My home\"",
                Some(
                    "write each network with its name and its passphrase: networking.wireless.networks.\"NAME\".psk \
                     = \"…\";",
                ),
            ),
            (
                "networking.wireless.networks.\"My home\"",
                "\"12345678\"",
                Some(
                    "put the passphrase into the option psk: networking.wireless.networks.\"My home\".psk = \"…\";",
                ),
            ),
            (
                "services.samba",
                "true",
                Some("write services.samba.enable = true;"),
            ),
            ("services.samba", "\"nas\"", None),
            (
                "systemd.services.a.environment",
                "[ \"A=1\" \"B_C=x y\" ]",
                Some("write systemd.services.a.environment = { A = \"1\"; B_C = \"x y\"; };"),
            ),
            (
                "environment.variables",
                "[ \"A=1\" ]",
                Some("write environment.variables = { A = \"1\"; };"),
            ),
            (
                "environment.variables",
                "[ \"A=1\" \"A=2\" ]",
                Some("define each variable by its name: environment.variables.NAME = \"…\";"),
            ),
            ("a.environment", "[ \"1A=1\" ]", None),
            ("a.environment", "[ \"in=1\" ]", None),
            ("boot.tmp", "[ \"A\" ]", None),
            ("boot.tmp", "true", None),
        ] {
            assert_eq!(definition(option, value).as_deref(), expected, "{option}");
        }
    }
}
