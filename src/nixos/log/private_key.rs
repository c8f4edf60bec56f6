//! Private keys in what Nix prints: a message about a wrong value quotes it.

use std::borrow::Cow;

/// What precedes the content of a key, whatever its format is (RFC 7468, OpenSSH).
const MARK: &str = "PRIVATE KEY-----";
/// Characters that end a quoted value.
const QUOTES: [char; 5] = ['"', '\'', '`', '\u{2019}', '\u{201d}'];

/// `text` with `***` in the place of the content of private keys: up to the end of the quoted value, or of the text.
pub(super) fn hide_private_keys(text: &str) -> Cow<'_, str> {
    let mut hidden = Cow::Borrowed(text);
    let mut searched = 0;
    while let Some(found) = hidden.get(searched..).and_then(|rest| rest.find(MARK)) {
        let start = searched + found + MARK.len();
        let rest = hidden.get(start..).unwrap_or_default();
        let end = start + rest.find(QUOTES).unwrap_or(rest.len());
        hidden.to_mut().replace_range(start..end, "***");
        searched = start;
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_of_a_key_is_hidden() {
        let one = "values: \"-----BEGIN OPENSSH PRIVATE KEY-----\\nb3Bl\\n-----END OPENSSH PRIVATE KEY-----\\n\", and";
        let shown = "values: \"-----BEGIN OPENSSH PRIVATE KEY-----***\", and";
        assert_eq!(hide_private_keys(one), shown);
        let two = format!("{one} {one}");
        assert_eq!(hide_private_keys(&two), format!("{shown} {shown}"));
        let cut = "\"-----BEGIN PRIVATE KEY-----\nMC4C\nAQ…";
        assert_eq!(hide_private_keys(cut), "\"-----BEGIN PRIVATE KEY-----***");
        assert!(matches!(
            hide_private_keys("a PRIVATE KEY"),
            Cow::Borrowed(_)
        ));
    }
}
