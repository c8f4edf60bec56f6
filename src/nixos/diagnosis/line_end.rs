//! What is missing at the end of a line, of which Nix notices only the next one. Pure.

use super::brackets::open_brackets;
use crate::common::attribute_path;
use crate::common::nix_name::is_of_path;

/// What to write at the end of `text`, if several brackets are open there.
pub(super) fn missing_end(text: &str) -> Option<String> {
    let closing = |bracket: &char| match bracket {
        '[' => "]",
        '(' => ")",
        _ => "}",
    };
    let open = open_brackets(text);
    let end: Vec<&str> = open.iter().rev().map(closing).collect();
    (end.len() > 1 && !open.contains(&'$')).then(|| {
        let end = end.join("; ");
        format!(", nor one before it. If nothing else is missing, end the file with {end}")
    })
}

/// What is wrong with a line with this `text`, after which a `;` is missing.
pub(super) fn missing_semicolon(text: &str, line: u64) -> String {
    if text.trim_end().ends_with(";\"") {
        format!(
            "the `;` of line {line} is inside the string. Write it after the closing quote: \"…\";"
        )
    } else {
        format!("a `;` is missing at the end of line {line}")
    }
}

/// What is missing after the `=` that ends a line with this `text`, where the definition `next` follows in place of a value;
/// `is_closed` if the set is closed that does not begin.
pub(super) fn missing_value(text: &str, next: &str, line: u64, is_closed: bool) -> Option<String> {
    let code = text.split('#').next()?.trim_end();
    let name = code.strip_suffix('=')?.rsplit(['{', ';']).next()?.trim();
    // Words such as `let` stand outside of quotes.
    let mut unquoted = name.split('"').step_by(2);
    let is_path =
        attribute_path::parse(name).is_ok() && unquoted.all(|part| part.chars().all(is_of_path));
    let indent = |text: &str| text.len() - text.trim_start().len();
    let missing = format!("a value is missing after the `=` of line {line}");
    Some(if !is_path || name.is_empty() {
        missing
    } else if is_closed {
        format!("{missing}. Write `{{` there: {name} = {{")
    } else if indent(next) > indent(text) {
        format!("{missing}. Put the definitions below it into a set: {name} = {{ … }};")
    } else {
        format!("{missing}: {name} = …;")
    })
}

/// What is missing after a line with this `text`, which ends with what is before an expression: the colon of a function,
/// the `in` of a `let`, or a whole `with`.
pub(super) fn missing_body(text: &str, line: u64) -> Option<String> {
    let code = text.split('#').next()?.trim();
    let set =
        format!("a `{{` is missing at the end of line {line}, before the definitions below it");
    if code.ends_with(':') || code.split_whitespace().next_back() == Some("in") {
        return Some(set);
    }
    let (before, name) = code.strip_suffix(';')?.rsplit_once("with ")?;
    let is_set = before.is_empty() || before.trim_end().ends_with(':');
    name.chars().all(is_of_path).then(|| {
        if is_set {
            set
        } else {
            format!("a value is missing after the `with {name};` of line {line}")
        }
    })
}
