//! The name of a store volume.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::STORE;
use super::value::Value;

/// Characters of a name, which every engine accepts.
const MAX_CHARS: usize = 64;

/// The name of a store volume. It begins with [`STORE`], so that sdbuild never takes another program's volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StoreName(String);

impl Default for StoreName {
    fn default() -> Self {
        Self(STORE.to_owned())
    }
}

impl FromStr for StoreName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.starts_with(STORE) && name.len() <= MAX_CHARS && name.chars().all(allowed) {
            return Ok(Self(name.to_owned()));
        }
        Err(format!(
            "`{name}` cannot be the store volume's name: it must begin with `{STORE}` and contain only lower-case letters, \
             digits and `-`, at most {MAX_CHARS}"
        ))
    }
}

impl TryFrom<String> for StoreName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}

impl fmt::Display for StoreName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Value for StoreName {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_sdbuilds_own_and_valid_for_every_engine() {
        for name in ["sdbuild-store", "sdbuild-store-2"] {
            assert_eq!(name.parse::<StoreName>().unwrap().to_string(), name);
        }
        let long = format!("{STORE}{}", "x".repeat(MAX_CHARS));
        for name in ["", "store", "SDBUILD-STORE", "sdbuild-store_2", &long] {
            let refused = name.parse::<StoreName>().unwrap_err();
            assert!(
                refused.contains("must begin with `sdbuild-store`"),
                "{refused}"
            );
        }
    }
}
