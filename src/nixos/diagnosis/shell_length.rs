//! The length of a variable of a shell, `${#NAME}`, in a string of Nix, for which the `#` begins a comment. Pure.

use super::brackets::open_brackets;

/// What begins it.
const BEGIN: &str = "${#";

/// The line of the first such length that Nix reads as its own up to `last_line` of `text`, and what to write instead.
pub(super) fn hint(text: &str, last_line: u64) -> Option<(u64, String)> {
    let (line, written) = text.match_indices(BEGIN).find_map(|(at, _)| {
        let before = text.get(..at)?;
        let line = before.matches('\n').count() as u64 + 1;
        let (name, _) = text.get(at + BEGIN.len()..)?.split_once('}')?;
        let is_part = |c: char| c.is_ascii_alphanumeric() || "_@*[]".contains(c);
        let is_name = !name.is_empty() && name.chars().all(is_part);
        let is_of_nix = || open_brackets(&format!("{before}${{")).last() == Some(&'$');
        (is_name && line <= last_line && is_of_nix()).then_some((line, format!("{{#{name}}}")))
    })?;
    let hint = format!(
        "line {line}: write ''${written} for a variable of the shell in a string that begins with '', or \\${written} in one that begins \
         with \""
    );
    Some((line, hint))
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn the_length_of_a_variable_is_told() {
        for (text, expected) in [
            (
                "{\n a.script = ''\n  echo ${#B}\n ''; }",
                Some("line 3: write ''${#B} for"),
            ),
            (
                "{\n a = \"x ${#B[@]}\"; }",
                Some("line 2: write ''${#B[@]} for"),
            ),
            ("{ a = ''b ''${#B} c''; }", None),
            ("{ a = \"b \\${#B} c\"; }", None),
            ("{ # ${#B}\n a = 1; }", None),
            ("{ a = \"${# a comment}\n b}\"; }", None),
        ] {
            let found = hint(text, 9);
            let is_told = |expected| {
                found
                    .as_ref()
                    .is_some_and(|(_, hint)| hint.starts_with(expected))
            };
            assert!(expected.map_or(found.is_none(), is_told), "{found:?}");
        }
        assert_eq!(hint("{\n a = \"${#B}\"; }", 1), None);
    }
}
