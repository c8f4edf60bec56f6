//! Values of options that take one of some texts. Pure.

use super::wrong_value::Wrong;
use sdbuild_core::nearest::nearest;

/// What is better than `yes` where sshd takes both.
const KEYS_ONLY: &str = "\"prohibit-password\"";

/// The texts, in their quotes, of the type `kind`, which is `one of "a", "b"`.
pub(super) fn choices(kind: &str) -> Option<Vec<&str>> {
    let values: Vec<&str> = kind.strip_prefix("one of ")?.split(", ").collect();
    let is_string =
        |value: &&str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    values.iter().all(is_string).then_some(values)
}

/// What to write in place of a Boolean for a word, or of a word that is like one of those that are taken; `None` if that is not certain.
pub(super) fn hint(wrong: &Wrong<'_>) -> Option<String> {
    let choices = choices(wrong.kind)?;
    let words: &[&str] = match wrong.shown {
        "true" => &[KEYS_ONLY, "\"yes\"", "\"on\"", "\"true\""],
        "false" => &["\"no\"", "\"off\"", "\"false\""],
        _ => &[],
    };
    let word = || words.iter().copied().find(|word| choices.contains(word));
    let is_text = wrong.shown.starts_with('"');
    let near = || nearest(wrong.shown, choices.iter().copied()).filter(|_| is_text);
    let meant = word().or_else(near)?;
    let write = format!("write {}", wrong.definition(meant, wrong.shown));
    let is_login = wrong.shown == "true" && meant == KEYS_ONLY;
    Some(if is_login {
        format!("{write} for logins with a key, or \"yes\" to allow a password, too")
    } else {
        write
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_meant_by_a_boolean_or_a_slip() {
        let kind = "one of \"yes\", \"prohibit-password\", \"no\"";
        for (kind, shown, expected) in [
            (kind, "false", Some("write a.b = \"no\";")),
            (
                kind,
                "true",
                Some(
                    "write a.b = \"prohibit-password\"; for logins with a key, or \"yes\" to allow a password, too",
                ),
            ),
            (
                "one of \"yes\", \"no\"",
                "true",
                Some("write a.b = \"yes\";"),
            ),
            (
                kind,
                "\"prohibit-pasword\"",
                Some("write a.b = \"prohibit-password\";"),
            ),
            (kind, "\"sometimes\"", None),
            (kind, "1", None),
            ("one of 1, 2", "true", None),
            ("string", "true", None),
        ] {
            let told = hint(&Wrong::at("a.b", false, kind, shown));
            assert_eq!(told.as_deref(), expected, "{kind} {shown}");
        }
    }
}
