//! What to write in place of the token at which Nix's parser stopped, where the text around it tells.

use super::brackets::{imbalance, open_brackets};
use super::syntax_cause::line_of;
use crate::nixos::log::Position;

/// Characters that stand for a minus in texts.
const DASHES: [char; 4] = ['‐', '–', '—', '−'];
/// Quotes that are no quotes of Nix.
const OTHER_QUOTES: [char; 8] = ['\'', '’', '‘', '“', '”', '„', '«', '»'];

/// The text around the token.
struct Place<'a> {
    /// All of the file in front of it.
    before: &'a str,
    /// It and the rest of its line.
    here: &'a str,
    /// What the line has behind its first character.
    after: &'a str,
    /// Whether it is an element of a list.
    is_in_list: bool,
    /// Whether all brackets of the file are closed.
    is_balanced: bool,
}

impl<'a> Place<'a> {
    fn find(text: &'a str, position: &Position) -> Option<Self> {
        let before = text.get(..position.offset(text)?)?;
        let rest = text.get(before.len()..)?;
        let here = rest.lines().next().unwrap_or_default();
        let mut after = here.chars();
        after.next();
        Some(Self {
            before,
            here,
            after: after.as_str().trim_start(),
            is_in_list: open_brackets(before).last() == Some(&'['),
            is_balanced: imbalance(text).is_none(),
        })
    }

    /// Whether nothing but a comment follows in the line.
    fn ends_line(&self) -> bool {
        self.after.is_empty() || self.after.starts_with('#')
    }

    /// Whether it follows `text`, with spaces between them or none.
    fn follows(&self, text: &str) -> bool {
        self.before.trim_end().ends_with(text)
    }
}

/// What to do about the token at `position` of `text`, of which the syntax error `summary` speaks.
pub(super) fn hint(text: &str, position: &Position, summary: &str) -> Option<String> {
    let place = Place::find(text, position)?;
    if summary.contains("invalid token") {
        return invalid_character(&place, position.line);
    }
    if summary.contains("unexpected PATH, expecting INHERIT") {
        return name_with_slash(&place);
    }
    let of_line = line_of(text, position.line).unwrap_or_default();
    let fixed = in_list(&place, summary, of_line)
        .or_else(|| comma(&place, summary))
        .or_else(|| missing(&place, summary))
        .or_else(|| dot(&place, summary));
    fixed.map(str::to_owned)
}

/// Of a token in a list, or at its end.
fn in_list(place: &Place<'_>, summary: &str, line: &str) -> Option<&'static str> {
    let has = |text: &str| summary.contains(text);
    if has("unexpected ']', expecting ';'") && place.follows("]") {
        return Some("there is one `]` too many");
    }
    if !place.is_in_list {
        return None;
    }
    if has("unexpected '-'") && line.contains("Ports") {
        return Some(
            "a range of ports is a set, in an option of its own: allowedTCPPortRanges = [ { from = 80; to = 90; } ];",
        );
    }
    if has("unexpected '+'") || has("unexpected '-'") {
        return Some(
            "an element of a list that is more than one value needs parentheses: [ (a + b) ]",
        );
    }
    if has("unexpected ';'") && place.is_balanced {
        return Some("the elements of a list are separated by spaces: remove the `;`");
    }
    if has("unexpected '='") && place.is_balanced {
        return Some(
            "an element of a list that has a `=` is a string, in double quotes: [ \"a=b\" ]",
        );
    }
    None
}

fn comma(place: &Place<'_>, summary: &str) -> Option<&'static str> {
    let has = |text: &str| summary.contains(text);
    if has("unexpected ',', expecting ';'") && place.ends_line() {
        Some("write `;` in place of the comma: it ends a definition")
    } else if has("unexpected ',', expecting ';'") {
        Some("several values are a list, in brackets and without commas: [ a b ]")
    } else if has("unexpected ',', expecting '}'") && place.follows("...") {
        Some("`...` is the last argument: { pkgs, lib, ... }:")
    } else {
        None
    }
}

/// Of something that is missing in front of the token.
fn missing(place: &Place<'_>, summary: &str) -> Option<&'static str> {
    if summary.contains("unexpected ';', expecting ELSE") {
        Some(
            "an `if` has an `else`: if … then … else …; what is defined only sometimes is lib.mkIf CONDITION VALUE",
        )
    } else if summary.contains("unexpected ';'") && place.follows("=") {
        Some("a value is missing between `=` and `;`")
    } else if summary.contains("unexpected '\"', expecting '.' or '='") {
        Some("a `=` is missing between the name and the string")
    } else {
        None
    }
}

fn dot(place: &Place<'_>, summary: &str) -> Option<&'static str> {
    if !summary.contains("unexpected '.'") {
        None
    } else if place.here.starts_with("..") && summary.contains("ELLIPSIS") {
        Some("`...` has three dots: { pkgs, lib, ... }:")
    } else if place.follows(".") {
        Some("there is one dot too many")
    } else {
        None
    }
}

/// Of a name such as `fileSystems./boot`, which Nix takes for a path.
fn name_with_slash(place: &Place<'_>) -> Option<String> {
    let is_end = |c: char| c.is_whitespace() || "=;{".contains(c);
    let written = place.here.split(is_end).next()?;
    let (name, path) = written.split_once("./")?;
    (!name.is_empty())
        .then(|| format!("a name with a slash is written in double quotes: {name}.\"/{path}\""))
}

/// Of a character that means nothing in Nix.
fn invalid_character(place: &Place<'_>, line: u64) -> Option<String> {
    let found = place.here.chars().next()?;
    let code = u32::from(found);
    if OTHER_QUOTES.contains(&found) {
        return None;
    }
    Some(if DASHES.contains(&found) {
        format!("line {line} has the dash {found} (U+{code:04X}): write a minus, `-`, in its place")
    } else if found == '$' {
        "Nix has no variables that begin with `$`: write the value; a string is written in double quotes: \"…\"".to_owned()
    } else if found.is_ascii() {
        format!("`{found}` means nothing in Nix: a string is written in double quotes: \"…\"")
    } else if found.is_whitespace() || found.is_control() {
        return None;
    } else {
        format!(
            "line {line} has the character {found} (U+{code:04X}), which only strings and comments may have: a string is written in double quotes: \"…\""
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The token is behind `|`, which is not in the text.
    fn hint_at(marked: &str, summary: &str) -> Option<String> {
        let (before, after) = marked.split_once('|').unwrap();
        let position = Position {
            file: String::new(),
            line: before.matches('\n').count() as u64 + 1,
            column: before.rsplit('\n').next().unwrap().len() as u64 + 1,
        };
        hint(&format!("{before}{after}"), &position, summary)
    }

    #[test]
    fn a_token_is_explained_by_what_is_around_it() {
        for (marked, summary, expected) in [
            ("{ a = [ b|; c ]; }", "unexpected ';'", "remove the `;`"),
            ("{ a = [ b|=c ]; }", "unexpected '='", "[ \"a=b\" ]"),
            ("{ a = [ 1 |- 2 ]; }", "unexpected '-'", "[ (a + b) ]"),
            (
                "{ a = [ b ]|]; }",
                "unexpected ']', expecting ';'",
                "one `]` too many",
            ),
            (
                "{ a = b|,\n c = d; }",
                "unexpected ',', expecting ';'",
                "write `;`",
            ),
            ("{ a = b|, c; }", "unexpected ',', expecting ';'", "[ a b ]"),
            (
                "{ a, ...|, b }: a",
                "unexpected ',', expecting '}'",
                "is the last argument",
            ),
            ("{ a =|; }", "unexpected ';'", "between `=` and `;`"),
            (
                "{ a = |%b; }",
                "unexpected invalid token",
                "`%` means nothing",
            ),
            ("{ a = |→; }", "unexpected invalid token", "→ (U+2192)"),
        ] {
            let found = hint_at(marked, summary).unwrap();
            assert!(found.contains(expected), "{marked}: {found}");
        }
        for (marked, summary) in [
            ("{ a = |‘b’; }", "unexpected invalid token"),
            ("{ a = b |- ; }", "unexpected '-'"),
            ("{ a = b|.; }", "unexpected '.'"),
            ("{ ./|x }", "unexpected PATH, expecting INHERIT"),
        ] {
            assert_eq!(hint_at(marked, summary), None, "{marked}");
        }
    }
}
