//! The options that the text of a finding names. Pure.

use crate::common::attribute_path;

/// Options whose names have no dot: other words without one are none.
const WITHOUT_DOT: [&str; 1] = ["swapDevices"];

/// An option in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedOption<'a> {
    /// Its attribute path.
    pub(super) path: Vec<String>,
    /// The number, Boolean or string in quotes behind it and `=`.
    pub(super) value: Option<&'a str>,
}

/// The path of the options of the user `name`.
pub(super) fn user_option(name: &str) -> String {
    attribute_path::text(&["users", "users", name].map(str::to_owned))
}

/// The options in `text`, outside of quotes.
pub(super) fn named_options(text: &str) -> Vec<NamedOption<'_>> {
    let mut found = Vec::new();
    let (mut before, mut rest) = (' ', text);
    while let Some(first) = rest.chars().next() {
        if let Some((_, after)) = quoted_at_start(rest) {
            (before, rest) = ('"', after);
        } else if may_precede(before) && first.is_ascii_alphabetic() {
            let (path, after) = path_at_start(rest);
            let value = value_at_start(after);
            let path = attribute_path::parse(path).unwrap_or_default();
            let is_option = match path.as_slice() {
                [only] => WITHOUT_DOT.contains(&only.as_str()),
                path => !path.is_empty(),
            };
            found.extend(is_option.then_some(NamedOption { path, value }));
            (before, rest) = ('.', after);
        } else {
            (before, rest) = (first, rest.strip_prefix(first).unwrap_or_default());
        }
    }
    found
}

/// Whether a path can begin behind `c`: not inside of words, of names of files and of addresses.
fn may_precede(c: char) -> bool {
    !c.is_alphanumeric() && !"._-/~@:\"".contains(c)
}

fn is_in_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || "_-".contains(c)
}

/// The path at the start of `text`, which begins with a letter, and what follows it.
fn path_at_start(text: &str) -> (&str, &str) {
    let mut rest = text.trim_start_matches(is_in_name);
    while let Some(more) = rest.strip_prefix('.') {
        if let Some((_, after)) = quoted_at_start(more) {
            rest = after;
        } else if more.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            rest = more.trim_start_matches(is_in_name);
        } else {
            break;
        }
    }
    text.split_at_checked(text.len() - rest.len())
        .unwrap_or((text, ""))
}

/// The text in quotes at the start of `text`, with them, and what follows it.
fn quoted_at_start(text: &str) -> Option<(&str, &str)> {
    let inner = text.strip_prefix('"')?;
    let length = inner.find('"')? + 2;
    text.split_at_checked(length)
}

/// The value behind ` = ` at the start of `text`.
fn value_at_start(text: &str) -> Option<&str> {
    let text = text.strip_prefix(" = ")?;
    if let Some((quoted, _)) = quoted_at_start(text) {
        return Some(quoted);
    }
    let word = text.split([' ', ',', ';', ':']).next()?;
    let is_number = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    (is_number || ["true", "false"].contains(&word)).then_some(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nix_would_not_read_are_quoted() {
        for (name, option) in [
            ("ann", "users.users.ann"),
            ("1a", "users.users.\"1a\""),
            ("a.b", "users.users.\"a.b\""),
        ] {
            assert_eq!(user_option(name), option);
            assert_eq!(named_options(option)[0].path, ["users", "users", name]);
        }
    }

    /// The paths and values in `text`, each as `path=value`.
    fn named(text: &str) -> Vec<String> {
        let found = named_options(text).into_iter();
        let shown = found.map(|option| {
            let path = option.path.join("/");
            match option.value {
                Some(value) => format!("{path}={value}"),
                None => path,
            }
        });
        shown.collect()
    }

    #[test]
    fn options_are_told_from_other_words() {
        let table: [(&str, &[&str]); 10] = [
            (
                "networking.hostName = \"my_pi\"",
                &["networking/hostName=\"my_pi\""],
            ),
            (
                "networking.useDHCP = networking.dhcpcd.enable = false, but no interface has an address",
                &["networking/useDHCP", "networking/dhcpcd/enable=false"],
            ),
            (
                "fileSystems.\"/a.b\".device (/dev/disk/by-label/DATA) without nofail",
                &["fileSystems//a.b/device"],
            ),
            (
                "The option `a.b-c' defined in `/build/config/sd-card.nix' has been renamed to `d.e'.",
                &["a/b-c", "d/e"],
            ),
            (
                "users.users.ann.group is unset. It is \"a.b\", see https://nixos.org/x or 127.0.0.1",
                &["users/users/ann/group"],
            ),
            (
                "the shell of users.users.git is nologin",
                &["users/users/git"],
            ),
            ("a \"b.c", &[]),
            ("swapDevices has \"/swap\"", &["swapDevices"]),
            ("sdImage.firmwareSize = 10", &["sdImage/firmwareSize=10"]),
            ("", &[]),
        ];
        for (text, expected) in table {
            assert_eq!(named(text), expected, "{text}");
        }
    }
}
