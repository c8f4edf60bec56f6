//! What a text is that stands in place of a public SSH key. Pure.

use sdbuild_core::ssh_key::{KEY_TYPES, is_complete, text_before_key, type_in};
use sdbuild_core::text::truncate;

/// Characters of a text that are shown.
const SHOWN_CHARS: usize = 40;

/// What the `text` among the authorized keys is, or what is wrong with it; `None` if that is not certain.
pub(super) fn kind(text: &str) -> Option<String> {
    let line = text.trim();
    if let Some(before) = text_before_key(line) {
        let before = truncate(before, SHOWN_CHARS);
        return Some(format!(
            "the text before the key, \"{before}\", is not an option of the SSH server"
        ));
    }
    let mut words = line.split_whitespace();
    let first = words.next()?;
    let second = words.next();
    if ["~", "/", "./", "../"]
        .iter()
        .any(|start| line.starts_with(start))
    {
        return Some("a path, not the content of the file".to_owned());
    }
    if ["http://", "https://"]
        .iter()
        .any(|start| line.starts_with(start))
    {
        return Some("an address, not a key from there".to_owned());
    }
    if ["…", "...", "REPLACE-ME"]
        .iter()
        .any(|part| line.contains(part))
    {
        return Some("a placeholder".to_owned());
    }
    if let Some(own) = type_in(first) {
        return Some(format!("the type {own} is missing before the key"));
    }
    match second {
        None => KEY_TYPES
            .contains(&first)
            .then(|| "a type without a key".to_owned()),
        Some(key) => wrong_pair(first, key),
    }
}

/// What is wrong with `key` as a key of type `key_type`.
fn wrong_pair(key_type: &str, key: &str) -> Option<String> {
    let own = type_in(key);
    match own {
        Some(own) if own != key_type && is_complete(own, key) => {
            Some(format!("the type of this key is {own}"))
        }
        Some(own) if own == key_type => Some("the key is cut short or damaged".to_owned()),
        None if KEY_TYPES.contains(&key_type) && !key.starts_with("AAAA") => {
            Some("what follows the type is not a key".to_owned())
        }
        Some(_) | None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::KEY;
    use super::kind;

    #[test]
    fn says_what_stands_in_place_of_a_key() {
        let (key_type, key) = KEY.trim_end_matches(" me").split_once(' ').unwrap();
        for (text, said) in [
            (
                format!("ssh-ed25519 {KEY}"),
                "the text before the key, \"ssh-ed25519\", is not an option of the SSH server",
            ),
            (
                format!("~/.ssh/id_ed25519.pub {KEY}"),
                "the text before the key, \"~/.ssh/id_ed25519.pub\", is not an option of the SSH server",
            ),
            (
                format!("ssh-ed2519 {key} me"),
                "the type of this key is ssh-ed25519",
            ),
            (
                format!("ssh-rsa {key}"),
                "the type of this key is ssh-ed25519",
            ),
            (
                key.to_owned(),
                "the type ssh-ed25519 is missing before the key",
            ),
            (
                format!("{key_type} {}", key.split_at(40).0),
                "the key is cut short or damaged",
            ),
            (
                "~/.ssh/id_ed25519.pub".to_owned(),
                "a path, not the content of the file",
            ),
            (
                "https://github.com/ann.keys".to_owned(),
                "an address, not a key from there",
            ),
            ("ssh-ed25519 AAAA... me".to_owned(), "a placeholder"),
            (
                "ssh-ed25519 REPLACE-ME-WITH-YOUR-KEY".to_owned(),
                "a placeholder",
            ),
            (
                "ssh-ed25519 my-key".to_owned(),
                "what follows the type is not a key",
            ),
            ("ssh-ed25519".to_owned(), "a type without a key"),
        ] {
            assert_eq!(kind(&text).as_deref(), Some(said), "{text}");
        }
        for unclear in ["hello", "my key", "ssh-ed25519 AAAA me", "", "ssh-dss AAAA"] {
            assert_eq!(kind(unclear), None, "{unclear}");
        }
    }
}
