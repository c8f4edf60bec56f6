//! Sets with the colons and commas of JSON.

use rnix::SyntaxKind::{NODE_ATTRPATH, NODE_IDENT, NODE_SELECT};

use super::place::Place;
use crate::common::nix_name::path_of;
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::nix_syntax::parse;

/// Names that are values.
const VALUES: [&str; 3] = ["false", "null", "true"];

/// The hint for a colon after a name, with the whole line as Nix has it.
pub(super) fn hint(place: &Place<'_>, summary: &str) -> Option<String> {
    let line = place.before.rsplit('\n').next()?;
    let line = format!("{line}{}", place.here);
    let written =
        in_nix(line.trim()).filter(|_| summary.contains("unexpected ':', expecting '.' or '='"))?;
    Some(format!(
        "write `=` instead of `:`, and end each definition with `;`: {written}"
    ))
}

/// `line` with `=` and `;` in its sets, and spaces in its lists; `None` if it has more than names, brackets and plain values.
fn in_nix(line: &str) -> Option<String> {
    let (mut open, mut has_value, mut written) = (Vec::new(), false, String::new());
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        rest = rest.strip_prefix(c)?;
        let is_in_list = open.last() == Some(&'[');
        match c {
            '"' => {
                let (text, after) = rest.split_once('"')?;
                let is_name = !has_value && !is_in_list && path_of(text) == Some(text);
                let quote = if is_name && !text.contains('.') {
                    ""
                } else {
                    "\""
                };
                written.extend([quote, text, quote]);
                rest = after;
            }
            '{' | '[' => {
                open.push(c);
                has_value = false;
                written.push(c);
            }
            '}' | ']' => {
                open.pop().filter(|open| (*open == '{') == (c == '}'))?;
                let inside = written.trim_end();
                if c == '}' && !inside.ends_with([';', '{']) {
                    written = format!("{inside}; ");
                }
                has_value = true;
                written.push(c);
            }
            ':' if has_value || is_in_list => return None,
            ':' | '=' => {
                has_value = true;
                written = format!("{} = ", written.trim_end());
                rest = rest.trim_start();
            }
            ',' if is_in_list => {}
            ',' | ';' => {
                has_value = false;
                written.push(';');
            }
            '#' | '$' | '\'' | '\\' => return None,
            _ => written.push(c),
        }
    }
    let end = if written.ends_with(';') { "" } else { ";" };
    written.push_str(end);
    (open.is_empty() && written.len() <= MAX_SHOWN && is_plain(&written)).then_some(written)
}

/// Whether the definitions that are `written` are Nix, and have no name as a value that may be a text.
fn is_plain(written: &str) -> bool {
    let parsed = parse(&format!("{{ {written} }}"));
    let around = [NODE_ATTRPATH, NODE_SELECT];
    let mut names = parsed
        .syntax()
        .descendants()
        .filter(|node| node.kind() == NODE_IDENT);
    let is_known = |name: rnix::SyntaxNode| {
        let parent = name.parent();
        parent.is_some_and(|parent| around.contains(&parent.kind()))
            || VALUES.contains(&name.text().to_string().as_str())
    };
    parsed.errors().is_empty() && names.all(is_known)
}

#[cfg(test)]
mod tests {
    use super::in_nix;

    #[test]
    fn sets_of_json_are_written_as_nix_has_them() {
        for (line, written) in [
            (
                "a.b = { \"c\": { \"d e\": \"f, g: h\" } };",
                "a.b = { c = { \"d e\" = \"f, g: h\"; }; };",
            ),
            (
                "a = { b: true, \"c\" : [1, 2] }",
                "a = { b = true; c = [1 2]; };",
            ),
            ("\"enable\": true,", "enable = true;"),
            ("a: { b = 1; };", "a = { b = 1; };"),
            ("a = { };", "a = { };"),
        ] {
            assert_eq!(in_nix(line).as_deref(), Some(written), "{line}");
        }
        for line in [
            "a: {",
            "}; a: 1",
            "a: b",
            "a: \"b\\\"\"",
            "a = b: { c: 1 };",
            "a: 1 # b",
            "a: [ b: 1 ]",
            "a: 1 2 = 3",
        ] {
            assert_eq!(in_nix(line), None, "{line}");
        }
    }
}
