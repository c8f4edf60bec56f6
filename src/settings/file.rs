//! `sdbuild.toml`, beside the configuration or in the user's own settings directory.

use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use super::options::Options;
use sdbuild_core::failure::{Class, Failure};
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
            let failure = Failure::new(Class::Usage, e);
            return Err(failure.context(format!("read {}", path.display())));
        }
    };
    parse_toml(&text)
        .map_err(|failure| failure.consequence(format!("{} is not valid", path.display())))
}

/// What the text of a file says in TOML; what is wrong is an error of class `Usage`.
pub fn parse_toml<T: DeserializeOwned>(text: &str) -> Result<T, Failure> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let text = error.to_string();
        // Of values, too, the crate says that they are no TOML; the excerpt ends with an empty line.
        let text = text.strip_prefix("TOML parse error at ").unwrap_or(&text);
        Failure::usage(text.trim_end()).hint(SYNTAX)
    })
}

#[cfg(test)]
mod tests;
