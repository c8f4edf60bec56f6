//! Where the value of a setting comes from.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use serde_json::Value;

/// Where a value comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "from", content = "name")]
pub enum Origin {
    /// The command line.
    Flag,
    /// The environment variable of this name.
    Environment(&'static str),
    /// `sdbuild.toml` beside the configuration.
    Project(PathBuf),
    /// The user's own `sdbuild.toml`.
    User(PathBuf),
    /// Not set anywhere.
    #[default]
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag => f.write_str("flag"),
            Self::Environment(name) => write!(f, "environment, {name}"),
            Self::Project(path) | Self::User(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A resolved setting, as `sdbuild settings` shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Setting {
    /// Its key in `sdbuild.toml`, or the flag's name.
    pub key: &'static str,
    /// Its value; `null` if the run chooses one.
    pub value: Value,
    /// Where the value comes from.
    pub origin: Origin,
}

/// Where the value of the setting `key` comes from, as a hint for a failure about it; `None` for the command line and the default.
pub(super) fn origin_hint(settings: &[Setting], key: &str) -> Option<String> {
    match &settings.iter().find(|setting| setting.key == key)?.origin {
        Origin::Environment(variable) => Some(format!("the variable {variable} sets it")),
        Origin::Project(file) | Origin::User(file) => Some(format!("{} sets it", file.display())),
        Origin::Flag | Origin::Default => None,
    }
}
