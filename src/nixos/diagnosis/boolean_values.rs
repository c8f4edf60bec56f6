//! Words and numbers in place of `true` and `false`. Pure.

use super::wrong_value::Wrong;

/// What to write in place of a value that an option which is on or off does not take; `None` if that is not certain.
pub(super) fn hint(wrong: &Wrong<'_>) -> Option<String> {
    if wrong.kind != "boolean" {
        return None;
    }
    let value = as_boolean(wrong.shown)?;
    Some(format!("write {}", wrong.definition(value, wrong.shown)))
}

/// The Boolean that is meant by `value`, a word or a number, also in quotes.
pub(super) fn as_boolean(value: &str) -> Option<&'static str> {
    Some(
        match value.trim_matches('"').to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "1" | "enable" | "enabled" => "true",
            "false" | "no" | "off" | "0" | "disable" | "disabled" => "false",
            _ => return None,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_for_on_and_off_become_booleans() {
        for (kind, shown, expected) in [
            ("boolean", "\"no\"", Some("write a.b = false;")),
            ("boolean", "\"On\"", Some("write a.b = true;")),
            ("boolean", "1", Some("write a.b = true;")),
            ("boolean", "\"maybe\"", None),
            ("string", "1", None),
        ] {
            let told = hint(&Wrong::at("a.b", false, kind, shown));
            assert_eq!(told.as_deref(), expected, "{shown}");
        }
        let part = hint(&Wrong::at("a.b", true, "boolean", "\"no\""));
        assert_eq!(part.as_deref(), Some("write false instead of \"no\""));
    }
}
