//! Comments as other languages have them.

use super::place::Place;
use crate::nixos::diagnosis::evidence::MAX_SHOWN;

/// What comments begin with in other languages.
pub(in crate::nixos::diagnosis) const SIGNS: [&str; 4] = ["<!--", "//", "--", ";"];
/// The hint for a comment that begins with one of these signs.
pub(super) fn hint(place: &Place<'_>) -> Option<String> {
    let sign = SIGNS.iter().find(|sign| place.here.starts_with(**sign))?;
    let written = place.here.strip_prefix(sign)?;
    let text = written.trim_matches(|c: char| c.is_whitespace() || "-/;>".contains(c));
    let is_code = written.contains(['=', '{', '}', '[', ']', '"']);
    let has_words = text.split_whitespace().nth(1).is_some();
    let is_comment = match (*sign, place.begun().is_empty()) {
        // Another `;` may only be one too many.
        (";", true) => !is_code && !written.contains(';') && !text.is_empty(),
        (_, true) => true,
        ("--", false) => place.is_in_list && written.starts_with(' '),
        (_, false) => place.is_in_list && written.starts_with(' ') && has_words && !is_code,
    };
    let line = place.before.matches('\n').count() + 1;
    let is_shown = !text.is_empty() && !is_code && text.len() <= MAX_SHOWN;
    let right = if is_shown {
        format!(": # {text}")
    } else {
        String::new()
    };
    is_comment
        .then(|| format!("a comment begins with `#`, not with the `{sign}` of line {line}{right}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Position;

    #[test]
    fn comments_of_other_languages_are_told_from_code() {
        let told = |line: &str, sign: &str| {
            let column = u64::try_from(line.find(sign).unwrap() + 1).unwrap();
            let text = format!("{{\n{line}\n}}");
            let position = Position {
                file: String::new(),
                line: 2,
                column,
            };
            hint(&Place::find(&text, &position).unwrap())
        };
        for (line, sign, right) in [
            ("; the zone", ";", "the `;` of line 2: # the zone"),
            ("// a = \"b\";", "//", "the `//` of line 2"),
            ("<!-- a b -->", "<!--", "the `<!--` of line 2: # a b"),
            ("a = [ b -- c", "--", "the `--` of line 2: # c"),
        ] {
            let hint = told(line, sign).unwrap();
            assert!(hint.ends_with(right), "{hint}");
        }
        for (line, sign) in [
            ("; a = 1;", ";"),
            ("a = b // c d;", "//"),
            ("a = [ b // c", "//"),
            ("a = [ --b", "--"),
        ] {
            assert_eq!(told(line, sign), None, "{line}");
        }
    }
}
