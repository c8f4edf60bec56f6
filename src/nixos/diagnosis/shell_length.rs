//! The `#` of a shell in the braces of a variable, as in `${#NAME}` and `${NAME##*/}`, in a string of Nix, for which it begins a comment.
//! Pure.

use super::brackets::{open_brackets, sign_of_string};

/// The line of the first such variable that Nix reads as its own up to `last_line` of `text`, and what to write instead.
pub(super) fn hint(text: &str, last_line: u64) -> Option<(u64, String)> {
    let (line, variable) = text.match_indices("${").find_map(|(at, begin)| {
        let before = text.get(..at)?;
        let line = before.matches('\n').count() as u64 + 1;
        let (written, _) = text.get(at + begin.len()..)?.split_once('}')?;
        let is_of_nix = || open_brackets(&format!("{before}${{")).last() == Some(&'$');
        (is_of_shell(written) && line <= last_line && is_of_nix()).then(|| {
            let variable = shell_variable(sign_of_string(before), &format!("{{{written}}}"));
            (line, variable)
        })
    })?;
    Some((line, format!("in line {line}, {variable}")))
}

/// What to write for the variable of a shell that is `written` with its braces, where `sign` makes it text in the string around it.
pub(super) fn shell_variable(sign: Option<&str>, written: &str) -> String {
    match sign {
        Some(sign) => format!("for a shell variable, write {sign}${written}"),
        None => format!(
            "for a shell variable, write ''${written} between `''` and `''`, or \\${written} between `\"` and `\"`"
        ),
    }
}

/// Whether `written` is a name with a `#` right before it or after it.
fn is_of_shell(written: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_@*[]".contains(c);
    let (name, pattern) = written.split_once('#').unwrap_or_default();
    if name.is_empty() {
        return !pattern.is_empty() && pattern.chars().all(is_part);
    }
    name.chars().all(is_part) && !pattern.contains(['\n', '{', '"'])
}

#[cfg(test)]
mod tests {
    use super::hint;

    #[test]
    fn the_length_of_a_variable_is_told() {
        for (text, expected) in [
            (
                "{\n a.script = ''\n  echo ${#B}\n ''; }",
                Some("in line 3, for a shell variable, write ''${#B}"),
            ),
            (
                "{\n a = \"x ${#B[@]}\"; }",
                Some("in line 2, for a shell variable, write \\${#B[@]}"),
            ),
            (
                "{ a = ''${b##*/}''; }",
                Some("in line 1, for a shell variable, write ''${b##*/}"),
            ),
            ("{ a = \"${b # c\n}\"; }", None),
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
