//! `sdbuild.toml`, beside the configuration or in the user's own settings directory.

use std::io;
use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::keys::{Key, check_keys, set_elsewhere};
use super::options::Options;
use super::toml_hint;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::plain_file;

/// Name of the settings file, beside the configuration or in the user's directory of settings.
pub const NAME: &str = "sdbuild.toml";
/// Bytes that are read at most; a settings file has some hundred.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Reads `dir/sdbuild.toml`; a missing file sets nothing. A file that is not understood is an error of class `Usage`.
pub(super) fn read(dir: &Path) -> Result<Options, Failure> {
    let path = dir.join(NAME);
    let text = match plain_file::read_text(&path, MAX_FILE_BYTES) {
        Ok(text) => text,
        // The configuration check reports a path that is not a directory.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Options::default());
        }
        Err(e) => {
            let failure = Failure::new(Class::Usage, e).context(format!("read {}", path.display()));
            if path.is_dir() {
                return Err(failure.hint(format!(
                    "{NAME} must be the file with the settings; rename the directory"
                )));
            }
            return Err(failure);
        }
    };
    parse(&text).map_err(|failure| failure.consequence(format!("{} is not valid", path.display())))
}

/// The settings in the text of a file.
fn parse(text: &str) -> Result<Options, Failure> {
    parse_without_tabs(text).map_err(|failure| {
        let with_blanks = parse_without_tabs(&text.replace('\t', " "));
        with_blanks.err().unwrap_or(failure)
    })
}

/// As [`parse`]. The marks below a wrong value are in the right columns only if the text has no tabs.
fn parse_without_tabs(text: &str) -> Result<Options, Failure> {
    let table = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let failure = not_understood(&error);
        // Of a setting that does not exist, how its value is written says nothing.
        let key = toml_hint::key_at(text, at);
        match key.and_then(|key| Some((key, set_elsewhere(key)?))) {
            Some((key, instead)) => {
                let before = text.get(..at).unwrap_or_default();
                let line = before.matches('\n').count() + 1;
                Failure::usage(format!("line {line}: `{key}` is not a setting")).hint(instead)
            }
            None => failure.hint(toml_hint::hint(text, at, error.message())),
        }
    })?;
    let keys = table.get_ref().iter().map(|(key, value)| {
        let before = text.get(..key.span().start).unwrap_or_default();
        Key {
            name: key.get_ref().as_ref(),
            line: before.matches('\n').count() + 1,
            is_section: matches!(value.get_ref(), DeValue::Table(_)),
        }
    });
    check_keys(keys)?;
    // From the text again: errors of a parsed table have no line numbers.
    toml::from_str(text).map_err(|error| {
        let failure = not_understood(&error);
        let message = error.message();
        let expected = message.rsplit(", expected ").next().unwrap_or_default();
        if message.starts_with("invalid type: string") && expected.contains("number") {
            let given = message.split('"').nth(1).unwrap_or_default();
            let is_number = given.parse::<u64>().is_ok();
            return failure.hint(if is_number {
                "write the number without quotes"
            } else {
                "write a number, without quotes and without a unit"
            });
        }
        if message.starts_with("invalid type: string") && expected.contains("boolean") {
            return failure.hint("write true or false without quotes");
        }
        if message.starts_with("invalid type") {
            let span = error.span().unwrap_or_default();
            return failure.hint(toml_hint::of_type(text, &span));
        }
        let right = error
            .span()
            .and_then(|span| toml_hint::of_refused_value(text, &span));
        right.into_iter().fold(failure, Failure::hint)
    })
}

/// A text that is not TOML, or a value that a setting cannot have.
fn not_understood(error: &toml::de::Error) -> Failure {
    let text = error.to_string();
    // Of values, too, the crate says that they are no TOML; the excerpt ends with an empty line.
    let text = text.strip_prefix("TOML parse error at ").unwrap_or(&text);
    let text = text.trim_end();
    // A word without quotes; the crate believes that a number was meant.
    let text = [
        "invalid float, expected `inf`",
        "invalid float, expected `nan`",
    ]
    .iter()
    .find_map(|end| text.strip_suffix(end))
    .map_or_else(
        || text.to_owned(),
        |before| format!("{before}invalid value"),
    );
    let text = match text.strip_suffix("expected a sequence") {
        Some(before) => format!("{before}expected a list"),
        None => text,
    };
    Failure::usage(text)
}

#[cfg(test)]
mod tests;
