//! The only place that reads the process's environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use sdbuild_build::Proxies;
use sdbuild_core::aws_variables::AwsVariables;

/// The one setting of which an empty variable is a value: no binary cache.
const MAY_BE_EMPTY: &str = "SDBUILD_SUBSTITUTERS";

/// The variables of a process. An empty one counts as unset, and so does a text that is not UTF-8.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<OsString, OsString>);

impl fmt::Debug for Environment {
    /// Without the values, some of which are secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<N: Into<OsString>, V: Into<OsString>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter();
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let is_set =
            |(name, value): &(OsString, OsString)| !value.is_empty() || name == MAY_BE_EMPTY;
        Self(variables.filter(is_set).collect())
    }
}

impl Environment {
    /// Reads the process's own environment.
    pub fn read() -> Self {
        std::env::vars_os().collect()
    }

    /// The text of the variable `name`.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(OsStr::new(name))?.to_str()
    }

    /// The path in the variable `name`.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        self.0.get(OsStr::new(name)).map(PathBuf::from)
    }

    /// The absolute path in the variable `name`: the XDG base directory specification says to ignore relative ones.
    pub fn absolute_path(&self, name: &str) -> Option<PathBuf> {
        self.path(name).filter(|path| path.is_absolute())
    }

    /// The number in the variable `name`.
    pub fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.text(name)?.parse().ok()
    }

    /// The directories of programs: `PATH`, or the usual ones without it.
    pub fn program_path(&self) -> OsString {
        let usual = || "/usr/bin:/bin".into();
        self.path("PATH")
            .map_or_else(usual, PathBuf::into_os_string)
    }

    /// The user's home directory: `HOME`, otherwise that of the user's account.
    pub fn home_dir(&self) -> Option<PathBuf> {
        // Without a valid `HOME` the standard library returns the invalid one.
        let of_account = || std::env::home_dir().filter(|home| home.is_absolute());
        self.absolute_path("HOME").or_else(of_account)
    }

    /// User and group of the user who ran `sudo`.
    pub fn sudo(&self) -> Option<(u32, u32)> {
        self.number("SUDO_UID").zip(self.number("SUDO_GID"))
    }

    /// The proxies for downloads.
    pub(super) fn proxies(&self) -> Proxies {
        Proxies::from(|name: &str| self.text(name).map(str::to_owned))
    }

    /// The variables of AWS's own tools.
    pub fn aws(&self) -> AwsVariables {
        let text = |name: &str| self.text(name).map(str::to_owned);
        AwsVariables {
            access_key_id: text("AWS_ACCESS_KEY_ID"),
            secret_access_key: text("AWS_SECRET_ACCESS_KEY"),
            session_token: text("AWS_SESSION_TOKEN"),
            profile: text("AWS_PROFILE"),
            region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
            endpoint_url: text("AWS_ENDPOINT_URL"),
            own_address_url: text("SDBUILD_OWN_ADDRESS_URL"),
            config_file: self.path("AWS_CONFIG_FILE"),
            credentials_file: self.path("AWS_SHARED_CREDENTIALS_FILE"),
            home: self.absolute_path("HOME"),
            path: self.path("PATH").unwrap_or_default().into(),
        }
    }
}

/// The file `name` in sdbuild's directory among the user's settings; `None` if no home directory is known.
pub fn user_file(env: &Environment, name: &str) -> Option<PathBuf> {
    let config = env.absolute_path("XDG_CONFIG_HOME");
    let config = config.or_else(|| Some(env.home_dir()?.join(".config")));
    config.map(|config| config.join("sdbuild").join(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_relative_base_directories_are_ignored() {
        let variables = [
            ("DOCKER_HOST", ""),
            ("SUDO_UID", ""),
            ("SUDO_GID", "7"),
            ("XDG_CACHE_HOME", "relative"),
            ("XDG_STATE_HOME", "/state"),
            ("SDBUILD_CORES", ""),
            ("SDBUILD_JOBS", "2"),
            ("SDBUILD_SUBSTITUTERS", ""),
        ];
        let env: Environment = variables.into_iter().collect();
        assert_eq!(env.text("DOCKER_HOST"), None);
        assert_eq!(env.sudo(), None);
        assert_eq!(env.absolute_path("XDG_CACHE_HOME"), None);
        let state = env.absolute_path("XDG_STATE_HOME");
        assert_eq!(state, Some(PathBuf::from("/state")));
        assert_eq!(env.text("SDBUILD_CORES"), None);
        assert_eq!(env.text("SDBUILD_JOBS"), Some("2"));
        let none = env.text("SDBUILD_SUBSTITUTERS");
        assert_eq!(none, Some(""), "no binary cache at all");
    }
}
