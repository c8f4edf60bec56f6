//! `sdbuild.toml`, beside the configuration or in the user's own settings directory.

use std::io;
use std::path::Path;

use toml::de::DeTable;

use super::options::Options;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::nearest::nearest;
use sdbuild_core::plain_file;

/// Name of the settings file, beside the configuration or in the user's directory of settings.
pub const NAME: &str = "sdbuild.toml";
/// Bytes that are read at most; a settings file has some hundred.
const MAX_FILE_BYTES: u64 = 64 << 10;
/// How a setting is set.
const SYNTAX: &str = "each line is `SETTING = VALUE`: strings in quotes, lists in brackets, numbers, true and false without";

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
    let table = DeTable::parse(text).map_err(|error| not_understood(&error).hint(SYNTAX))?;
    let known = known_keys()?;
    let keys = table.get_ref().keys();
    let unknown = keys.filter(|key| !known.iter().any(|one| one == key.get_ref()));
    // The parser sorts them by name.
    if let Some(key) = unknown.min_by_key(|key| key.span().start) {
        let before = text.get(..key.span().start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        return Err(unknown_key(key.get_ref(), line, &known));
    }
    // From the text again: errors of a parsed table have no line numbers.
    toml::from_str(text).map_err(|error| not_understood(&error).hint(SYNTAX))
}

/// Every key of the file.
fn known_keys() -> Result<Vec<String>, Failure> {
    let options = serde_json::to_value(Options::default()).or_internal("list the settings")?;
    let fields = options.as_object();
    let keys = fields.map(|fields| fields.keys().cloned().collect());
    keys.ok_or_else(|| Failure::message(Class::Internal, "settings are not an object"))
}

fn unknown_key(key: &str, line: usize, known: &[String]) -> Failure {
    let failure = Failure::usage(format!("line {line}: `{key}` is not a setting"));
    // As the variable of a setting is called, too.
    let plain = key.to_lowercase().replace('_', "-");
    let plain = plain.strip_prefix("sdbuild-").unwrap_or(&plain);
    failure.hint(match nearest(plain, known.iter().map(String::as_str)) {
        Some(similar) => format!("did you mean `{similar}`?"),
        None => format!(
            "options of NixOS belong into the configuration; the settings are {}",
            known.join(", ")
        ),
    })
}

/// A text that is not TOML, or a value that a setting cannot have.
fn not_understood(error: &toml::de::Error) -> Failure {
    let text = error.to_string();
    // Of values, too, the crate says that they are no TOML; the excerpt ends with an empty line.
    let text = text.strip_prefix("TOML parse error at ").unwrap_or(&text);
    Failure::usage(text.trim_end())
}

#[cfg(test)]
mod tests;
