//! What helps against errors in the syntax of `sdbuild.toml`. Pure.

use std::ops::Range;

use super::STORE;
use super::options::Options;
use super::value::WRITE_A_LIST;

/// How values are written.
const HOW_TO_WRITE: &str =
    "put strings in quotes and lists in brackets, and write true and false in lower case";

const NO_SECTION: &str = "a setting is a line `SETTING = VALUE`, and no section";

/// Quotes that word processors make.
const QUOTES: [char; 5] = ['“', '”', '„', '‘', '’'];

/// What to write in place of what is at the byte `at` of `text`, for an error with this `message` of the parser.
pub(super) fn hint(text: &str, at: usize, message: &str) -> String {
    let of_message = if message.contains("duplicate key") {
        Some("a setting can be set only once; remove one of the two lines")
    } else if message.contains("missing comma") && begins_setting(text, at) {
        Some("the list above is not closed: a `]` is missing")
    } else if message.contains("missing comma between array elements") {
        Some("the elements of a list are separated by commas: [\"a\", \"b\"]")
    } else if message.contains("extra comma in array") {
        Some("there is one comma too many in the list")
    } else if message.contains("unclosed array") || message.contains("`=` in array") {
        Some("a list ends with `]`")
    } else {
        None
    };
    if let Some(hint) = of_message {
        return hint.to_owned();
    }
    of_line(line_at(text, at)).unwrap_or_else(|| HOW_TO_WRITE.to_owned())
}

/// What to write in place of the value at `span` of `text`, which has another type than its setting.
pub(super) fn of_type(text: &str, span: &Range<usize>) -> String {
    let value = text.get(span.clone()).unwrap_or_default();
    if line_at(text, span.start).starts_with('[') {
        return NO_SECTION.to_owned();
    }
    let hint = key_at(text, span.start).and_then(|key| of_typed_value(key, value));
    hint.unwrap_or_else(|| HOW_TO_WRITE.to_owned())
}

/// The hint for the `value` of the setting `key`, which is TOML of another type than the setting has.
fn of_typed_value(key: &str, value: &str) -> Option<String> {
    let of_list = value
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(elements) = of_list {
        let line = format!("{key} = {}", elements.trim());
        let is_right = toml::from_str::<Options>(&line).is_ok();
        return is_right.then(|| format!("the setting has one value, without brackets: {line}"));
    }
    if value.starts_with(['"', '\'']) && !value.contains('\n') {
        let line = format!("{key} = [{value}]");
        let is_list = match toml::from_str::<Options>(&line) {
            Ok(_) => true,
            // What is wrong with the element is said when it is one.
            Err(error) => !error.message().starts_with("invalid type"),
        };
        if is_list {
            return Some(format!("the setting is a list: {line}"));
        }
        let switch = switch(value.trim_matches(['"', '\'']))?;
        let line = format!("{key} = {switch}");
        let is_right = toml::from_str::<Options>(&line).is_ok();
        return is_right.then(|| format!("write true or false, without quotes: {line}"));
    }
    let is_plain = !value.is_empty() && !value.contains(['"', '[', '{', '\n']);
    let is_switch = matches!(value, "true" | "false");
    match Kind::of(key) {
        Some(Kind::Text) if is_plain && is_switch => Some(format!(
            "the setting is a string, not true or false: {key} = \"…\""
        )),
        Some(Kind::OneOf(message)) => Some(format!("a string is in quotes; {message}")),
        _ => quoted(key, value).filter(|_| is_plain),
    }
}

/// A right value in place of the refused one at `span` of `text`: a number that is too small, a name without its beginning. `None`
/// where no value is right for certain.
pub(super) fn of_refused_value(text: &str, span: &Range<usize>) -> Option<String> {
    let (key, value) = (key_at(text, span.start)?, text.get(span.clone())?);
    let proposed = if value == "0" || value.starts_with('-') {
        "1".to_owned()
    } else {
        let word = value.trim_matches(['"', '\'']);
        format!("\"{STORE}-{word}\"")
    };
    let line = format!("{key} = {proposed}");
    let is_right = (key == "store" || proposed == "1") && toml::from_str::<Options>(&line).is_ok();
    is_right.then(|| format!("for instance {line}"))
}

/// What a setting takes.
enum Kind {
    /// Any string.
    Text,
    /// One of several words: the error for any other.
    OneOf(String),
    Number,
    Other,
}

impl Kind {
    /// By what the setting `key` says to a string that is no value of any setting with a choice; `None` if there is no such setting.
    fn of(key: &str) -> Option<Self> {
        let Err(error) = toml::from_str::<Options>(&format!("{key} = \"?\"\n")) else {
            return Some(Self::Text);
        };
        let message = error.message();
        if message.starts_with("unknown field") {
            return None;
        }
        let expected = message.rsplit(", expected ").next().unwrap_or_default();
        Some(if message.contains("is not one of") {
            Self::OneOf(message.replace("`?` is not one of", "it is one of"))
        } else if expected.contains("number") {
            Self::Number
        } else {
            Self::Other
        })
    }
}

/// The line of `text` with the byte `at`, without spaces around it.
fn line_at(text: &str, at: usize) -> &str {
    let before = text.get(..at).unwrap_or_default().matches('\n').count();
    text.lines().nth(before).unwrap_or_default().trim()
}

/// The name of the setting in the line of `text` with the byte `at`.
pub(super) fn key_at(text: &str, at: usize) -> Option<&str> {
    key_and_rest(line_at(text, at)).map(|(key, _)| key)
}

/// The name of a setting with which `line` begins, and what is behind it.
fn key_and_rest(line: &str) -> Option<(&str, &str)> {
    let is_key = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let rest = line.trim_start_matches(is_key);
    let key = line.strip_suffix(rest).filter(|key| !key.is_empty())?;
    Some((key, rest.trim_start()))
}

/// Whether `KEY =` stands at the byte `at` of `text`, or begins the line after it.
fn begins_setting(text: &str, at: usize) -> bool {
    let rest = text.get(at..).unwrap_or_default().trim_start();
    key_and_rest(rest).is_some_and(|(_, behind)| behind.starts_with('='))
}

fn of_line(line: &str) -> Option<String> {
    let fixed = if line.starts_with("//") || line.starts_with(';') || line.starts_with("--") {
        "a comment begins with `#`"
    } else if line.starts_with('[') {
        NO_SECTION
    } else if line.starts_with(['{', '}']) {
        "the file has a line `SETTING = VALUE` for each setting, without braces around them"
    } else {
        return of_setting(line);
    };
    Some(fixed.to_owned())
}

/// The hint for a line that begins with the name of a setting.
fn of_setting(line: &str) -> Option<String> {
    let (key, behind) = key_and_rest(line)?;
    match behind.strip_prefix('=') {
        Some(value) => of_value(key, value.trim()),
        None if behind.starts_with(':') => Some("write `=` instead of `:`".to_owned()),
        None => Some(format!(
            "a setting and its value have a `=` between them: {key} = …"
        )),
    }
}

/// The hint for the `value` of the setting `key`.
fn of_value(key: &str, value: &str) -> Option<String> {
    if value.is_empty() {
        return Some("a value is missing after the `=`".to_owned());
    }
    if let Some(text) = value.strip_prefix(QUOTES) {
        let text = text.split(QUOTES).next().unwrap_or_default();
        return Some(format!(
            "strings are in straight quotes: {key} = \"{text}\""
        ));
    }
    if value.ends_with([',', ';']) {
        let value = value.trim_end_matches([',', ';']);
        return Some(format!(
            "a line has nothing after its value: {key} = {value}"
        ));
    }
    if value.starts_with('"') && value.contains("\" \"") {
        return Some("several values are a list: [\"a\", \"b\"]".to_owned());
    }
    if let Some(switch) = switch(value) {
        let line = format!("{key} = {switch}");
        if value == switch.to_string() {
            // Right as it is: the mistake is elsewhere.
            return None;
        }
        if toml::from_str::<Options>(&line).is_ok() {
            let how = if value.eq_ignore_ascii_case(&switch.to_string()) {
                format!("{switch} is written in lower case")
            } else {
                "write true or false".to_owned()
            };
            return Some(format!("{how}: {line}"));
        }
    }
    if value.starts_with(|c: char| c.is_ascii_digit())
        && let Some(Kind::Number) = Kind::of(key)
    {
        return of_digits(key, value);
    }
    let is_word = value.starts_with(|c: char| c.is_alphabetic() || "./~".contains(c));
    let is_plain = !value.contains(['"', '\'', '[', '#', ' ']);
    (is_word && is_plain).then(|| quoted(key, value)).flatten()
}

/// The value of a switch that users write as the word `value`.
fn switch(value: &str) -> Option<bool> {
    match value.to_lowercase().as_str() {
        "yes" | "on" | "true" => Some(true),
        "no" | "off" | "false" => Some(false),
        _ => None,
    }
}

/// The hint for the number `value`, which is none of TOML.
fn of_digits(key: &str, value: &str) -> Option<String> {
    let (value, _) = value.split_once('#').unwrap_or((value, ""));
    let number = value.trim().trim_start_matches('0');
    if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("a number has no zeros in front: {key} = {number}"));
    }
    let has_unit = value.contains(|c: char| c.is_alphabetic());
    has_unit.then(|| "write a number, without quotes and without a unit".to_owned())
}

/// The hint to write the word `value` of the setting `key` in quotes, in a list if the setting is one.
fn quoted(key: &str, value: &str) -> Option<String> {
    let line = format!("{key} = \"{value}\"");
    let Err(error) = toml::from_str::<Options>(&line) else {
        return Some(format!("a string is in quotes: {line}"));
    };
    let message = error.message();
    if message.starts_with(WRITE_A_LIST) {
        return Some(format!(
            "the setting is a list of strings: {key} = [\"{value}\"]"
        ));
    }
    let expected = message.rsplit(", expected ").next()?;
    if expected.contains("number") {
        return Some("the value is a number, in digits".to_owned());
    }
    let is_switch = expected.contains("boolean");
    is_switch.then(|| "the value is true or false".to_owned())
}

#[cfg(test)]
mod tests;
