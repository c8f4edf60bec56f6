//! What to write in place of the token at which Nix's parser stopped, where the text around it tells.

use super::brackets::{imbalance, open_brackets};
use super::module_arguments::ARGUMENTS;
use crate::nixos::log::Position;

/// The hint for a calculation in a list.
const PARENTHESES: &str =
    "an element of a list that is more than one value needs parentheses: [ (a + b) ]";
/// Characters that cannot be seen: of no width, marks of the direction, a soft hyphen, a byte order mark.
const INVISIBLE: [char; 8] = [
    '\u{200b}', '\u{200c}', '\u{200d}', '\u{200e}', '\u{200f}', '\u{2060}', '\u{ad}', '\u{feff}',
];
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

    /// Whether the next definition follows in the line.
    fn begins_definition(&self) -> bool {
        let is_name = |c: char| c.is_alphanumeric() || "_-.\"".contains(c);
        let rest = self.after.trim_start_matches(is_name);
        rest.len() < self.after.len() && rest.trim_start().starts_with('=')
    }

    /// The option that the list around it is the value of.
    fn option_of_list(&self) -> Option<&'a str> {
        let (before, _) = self.before.rsplit_once('[')?;
        let before = before.trim_end().strip_suffix('=')?.trim_end();
        before.split_whitespace().next_back()
    }

    /// The name in front of it, with its dots.
    fn name_before(&self) -> &'a str {
        let is_part = |c: char| c.is_alphanumeric() || "_-'.".contains(c);
        let before = self.before.trim_end();
        let rest = before.trim_end_matches(is_part);
        before.get(rest.len()..).unwrap_or_default()
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
    in_list(&place, summary)
        .or_else(|| among_definitions(&place, summary))
        .or_else(|| comma(&place, summary))
        .or_else(|| missing(&place, summary))
        .or_else(|| behind_name(&place, summary))
        .or_else(|| dot(&place, summary))
}

/// The hint for a token in a list, or at its end.
fn in_list(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    if has("unexpected ']', expecting ';'") && place.follows("]") {
        return Some("there is one `]` too many".to_owned());
    }
    if !place.is_in_list {
        return None;
    }
    if has("unexpected '-'") {
        return Some(minus_in_list(place));
    }
    let fixed = if has("unexpected '+'") {
        PARENTHESES
    } else if has("unexpected ';'") && place.is_balanced {
        "the elements of a list are separated by spaces: remove the `;`"
    } else if has("unexpected '='") && place.is_balanced {
        "an element of a list that has a `=` is a string, in double quotes: [ \"a=b\" ]"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for a minus in a list: of a range, a negative number, an option of a program or a calculation.
fn minus_in_list(place: &Place<'_>) -> String {
    let is_digit = |c: char| c.is_ascii_digit();
    let rest = place.here.get(1..).unwrap_or_default();
    let (follows_digit, is_before_digit) =
        (place.before.ends_with(is_digit), rest.starts_with(is_digit));
    let option = place.option_of_list().unwrap_or_default();
    let name = option.rsplit('.').next().unwrap_or_default();
    if let Some(kind) = name
        .strip_suffix("Ports")
        .filter(|_| follows_digit && is_before_digit)
    {
        return format!(
            "a range of ports is a set, in an option of its own: {kind}PortRanges = [ {{ from = 80; to = 90; }} ];"
        );
    }
    if is_before_digit && !follows_digit {
        return "a negative number in a list needs parentheses: [ (-1) ]".to_owned();
    }
    if rest.starts_with(|c: char| c.is_alphabetic() || c == '-') {
        return "an element of a list that begins with `-` is a string, in double quotes"
            .to_owned();
    }
    PARENTHESES.to_owned()
}

/// The hint for a token where a definition is expected.
fn among_definitions(place: &Place<'_>, summary: &str) -> Option<String> {
    let (_, token) = summary.split_once("unexpected ")?;
    let token = token.strip_suffix(", expecting INHERIT")?;
    let fixed = match token {
        "';'" if place.follows(";") => "there is one `;` too many",
        "LET" => "`let … in` stands before the `{` of the definitions",
        "IF" => {
            "`if` chooses a value; definitions that depend on a condition are lib.mkIf CONDITION { … }"
        }
        "WITH" => "`with …;` stands before a value: NAME = with pkgs; [ … ];",
        _ => return None,
    };
    Some(fixed.to_owned())
}

/// The hint for a token behind a name, where a `=` or a dot is expected.
fn behind_name(place: &Place<'_>, summary: &str) -> Option<String> {
    let (_, token) = summary.split_once("unexpected ")?;
    let token = token.strip_suffix(", expecting '.' or '='")?;
    let name = Some(place.name_before()).filter(|name| !name.is_empty())?;
    let is_name = |c: char| c.is_alphanumeric() || "_-'".contains(c);
    let rest = place.here.trim_start_matches(is_name);
    let next = place.here.get(..place.here.len() - rest.len())?;
    Some(match token {
        "'{'" | "'['" | "PATH" | "INT_LIT" | "IND_STRING_OPEN" => {
            format!("a `=` is missing between {name} and its value")
        }
        "';'" if ARGUMENTS.contains(&name) => {
            "the arguments of a module are separated by commas: { config, pkgs, ... }:".to_owned()
        }
        "';'" => match name.rsplit_once('.') {
            Some((option, value @ ("true" | "false"))) => format!("write {option} = {value};"),
            Some(_) | None => format!("{name} has no value: a definition is NAME = VALUE;"),
        },
        "ELLIPSIS" => "a `,` is missing before `...`".to_owned(),
        "ID" if name == "set" => "remove `set`: a definition is NAME = VALUE;".to_owned(),
        "ID" if rest.trim_start().starts_with(['=', '.']) => {
            let first = name.rsplit('.').next().unwrap_or_default();
            format!(
                "a dot is missing between {first} and {next}; or a name with a space, which is written in double quotes: \"{first} {next}\""
            )
        }
        _ => return None,
    })
}

/// The hint for a comma.
fn comma(place: &Place<'_>, summary: &str) -> Option<String> {
    let has = |text: &str| summary.contains(text);
    let fixed = if has("unexpected ',', expecting ';'")
        && (place.ends_line() || place.begins_definition())
    {
        "write `;` in place of the comma: it ends a definition"
    } else if has("unexpected ',', expecting ';'") {
        "several values are a list, in brackets and without commas: [ a b ]"
    } else if has("unexpected ',', expecting '}'") && place.follows("...") {
        "`...` is the last argument: { pkgs, lib, ... }:"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for a token in front of which something is missing.
fn missing(place: &Place<'_>, summary: &str) -> Option<String> {
    if summary.contains("unexpected '\"', expecting '.' or '='") {
        return before_string(place);
    }
    let fixed = if summary.contains("unexpected ';', expecting ELSE") {
        "an `if` has an `else`: if … then … else …; what is defined only sometimes is lib.mkIf CONDITION VALUE"
    } else if summary.contains("expecting THEN") {
        "an `if` has a `then`: if … then … else …"
    } else if summary.contains("unexpected ';'") && place.follows("=") {
        "a value is missing between `=` and `;`"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for a string behind a name: of `fileSystems "/" = …`, or of a value.
fn before_string(place: &Place<'_>) -> Option<String> {
    let mut parts = place.here.splitn(3, '"').skip(1);
    let (string, rest) = (parts.next().unwrap_or_default(), parts.next());
    let is_name = rest.is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
    let name = Some(place.name_before()).filter(|name| !name.is_empty())?;
    Some(if is_name {
        format!("a dot is missing between the two names: {name}.\"{string}\"")
    } else {
        "a `=` is missing between the name and the string".to_owned()
    })
}

/// The hint for a dot.
fn dot(place: &Place<'_>, summary: &str) -> Option<String> {
    let fixed = if !summary.contains("unexpected '.'") {
        return None;
    } else if place.here.starts_with("..") && summary.contains("ELLIPSIS") {
        "`...` has three dots: { pkgs, lib, ... }:"
    } else if place.follows(".") {
        "there is one dot too many"
    } else {
        return None;
    };
    Some(fixed.to_owned())
}

/// The hint for a name such as `fileSystems./boot`, which Nix takes for a path.
fn name_with_slash(place: &Place<'_>) -> Option<String> {
    let is_end = |c: char| c.is_whitespace() || "=;{".contains(c);
    let written = place.here.split(is_end).next()?;
    let (name, path) = written.split_once("./")?;
    (!name.is_empty())
        .then(|| format!("a name with a slash is written in double quotes: {name}.\"/{path}\""))
}

/// The hint for a character that means nothing in Nix.
fn invalid_character(place: &Place<'_>, line: u64) -> Option<String> {
    let found = place.here.chars().next()?;
    let code = u32::from(found);
    if OTHER_QUOTES.contains(&found) {
        return None;
    }
    Some(if INVISIBLE.contains(&found) {
        format!("line {line} has an invisible character (U+{code:04X}): delete it")
    } else if found.is_whitespace() {
        format!(
            "line {line} has the character U+{code:04X}, which looks like a space: write a space in its place"
        )
    } else if DASHES.contains(&found) && place.is_in_list {
        format!(
            "line {line} has the dash {found} (U+{code:04X}): write a minus, `-`, in its place, and what begins with it in double quotes"
        )
    } else if DASHES.contains(&found) {
        format!("line {line} has the dash {found} (U+{code:04X}): write a minus, `-`, in its place")
    } else if found == '$' {
        "Nix has no variables that begin with `$`: write the value; a string is written in double quotes: \"…\"".to_owned()
    } else if ['&', '|'].contains(&found) {
        "conditions are joined by `&&` and `||`; commands of a shell are a string: ''…''".to_owned()
    } else if found.is_ascii() {
        format!("`{found}` means nothing in Nix: a string is written in double quotes: \"…\"")
    } else if found.is_control() {
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
            ("{ a = [ |-5 ]; }", "unexpected '-'", "[ (-1) ]"),
            ("{ a = [ |-quiet ]; }", "unexpected '-'", "is a string"),
            ("{ a = [ |--disable x ]; }", "unexpected '-'", "is a string"),
            (
                "{ a.allowedUDPPorts = [\n  22\n  60000|-61000\n]; }",
                "unexpected '-'",
                "allowedUDPPortRanges = [ {",
            ),
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
                "{ a = b|, c.d = e; }",
                "unexpected ',', expecting ';'",
                "write `;`",
            ),
            (
                "{ fileSystems |\"/\" = { }; }",
                "unexpected '\"', expecting '.' or '='",
                "fileSystems.\"/\"",
            ),
            (
                "{ a.b |\"c\"; }",
                "unexpected '\"', expecting '.' or '='",
                "a `=` is missing",
            ),
            (
                "{ a, ...|, b }: a",
                "unexpected ',', expecting '}'",
                "is the last argument",
            ),
            ("{ a =|; }", "unexpected ';'", "between `=` and `;`"),
        ] {
            let found = hint_at(marked, summary).unwrap();
            assert!(found.contains(expected), "{marked}: {found}");
        }
    }

    #[test]
    fn a_character_that_means_nothing_is_explained() {
        for (marked, expected) in [
            ("{ a = b |& c; }", "joined by `&&`"),
            ("{ a = |\u{200e}b; }", "U+200E): delete it"),
            ("{ a = |%b; }", "`%` means nothing"),
            ("{ a = |→; }", "→ (U+2192)"),
        ] {
            let found = hint_at(marked, "unexpected invalid token").unwrap();
            assert!(found.contains(expected), "{marked}: {found}");
        }
    }

    #[test]
    fn a_token_in_place_of_a_definition_is_explained() {
        let inherit = |token: &str| format!("unexpected {token}, expecting INHERIT");
        let dot = |token: &str| format!("unexpected {token}, expecting '.' or '='");
        for (marked, summary, expected) in [
            ("{ a = 1;|; }", inherit("';'"), "one `;` too many"),
            (
                "{ |let x = 1; in a = x; }",
                inherit("LET"),
                "before the `{`",
            ),
            ("{ |if x { } }", inherit("IF"), "lib.mkIf"),
            ("{ |with pkgs; a = 1; }", inherit("WITH"), "before a value"),
            (
                "{ networking |{ }; }",
                dot("'{'"),
                "between networking and its value",
            ),
            ("{ pkgs.vim|; }", dot("';'"), "pkgs.vim has no value"),
            ("{ a.enable.true|; }", dot("';'"), "write a.enable = true;"),
            ("{ pkgs |... }: { }", dot("ELLIPSIS"), "`,` is missing"),
            ("{ set |a.b = 1; }", dot("ID"), "remove `set`"),
            (
                "{ a.Home |Network.psk = 1; }",
                dot("ID"),
                "\"Home Network\"",
            ),
            (
                "{ a = if true |else 1; }",
                "unexpected ELSE, expecting THEN".to_owned(),
                "if … then",
            ),
        ] {
            let found = hint_at(marked, &summary).unwrap();
            assert!(found.contains(expected), "{marked}: {found}");
        }
        let comma = hint_at("{ config|; pkgs; ... }: { }", &dot("';'")).unwrap();
        assert!(comma.contains("separated by commas"), "{comma}");
        assert_eq!(hint_at("{ pkgs |lib, ... }: { }", &dot("ID")), None);
        // The name is in quotes.
        assert_eq!(hint_at("{ a.\"b\" |{ }; }", &dot("'{'")), None);
    }

    #[test]
    fn what_is_not_certain_has_no_hint() {
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
