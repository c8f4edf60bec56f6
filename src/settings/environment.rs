//! The only place that reads the process's environment.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use sdbuild_build::Proxies;
use sdbuild_core::aws_variables::AwsVariables;

/// Prefix of the variables that are settings.
const PREFIX: &str = "SDBUILD_";
/// The one setting of which an empty variable is a value: no binary cache.
const MAY_BE_EMPTY: &str = "SDBUILD_SUBSTITUTERS";

/// The variables that sdbuild reads. An empty one counts as unset, and so does a text that is not UTF-8.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "these are variables of others, which are set or not"
)]
pub struct Environment {
    /// `SDBUILD_` variables by name.
    pub settings: BTreeMap<String, String>,
    /// `DOCKER_HOST`: the engine's endpoint.
    pub docker_host: Option<String>,
    /// `DOCKER_CONTEXT`: the Docker context to use instead of the current one.
    pub docker_context: Option<String>,
    /// `DOCKER_CONFIG`: Docker's configuration directory.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`: any value means yes, as for Docker's client.
    pub docker_tls_verify: Option<String>,
    /// `DOCKER_CERT_PATH`: the directory with the certificates for TLS.
    pub docker_cert_path: Option<PathBuf>,
    /// `HOME`.
    pub home: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
    /// `XDG_CACHE_HOME`: the parent of the cache directory.
    pub cache_home: Option<PathBuf>,
    /// `XDG_CONFIG_HOME`: the parent of the user's settings directory.
    pub config_home: Option<PathBuf>,
    /// `XDG_STATE_HOME`: the parent of the state directory.
    pub state_home: Option<PathBuf>,
    /// `SSH_AUTH_SOCK`: the socket of the running ssh-agent.
    pub ssh_agent: Option<PathBuf>,
    /// `LC_ALL` or `LANG`: the user's language.
    pub locale: Option<String>,
    /// The proxies for downloads.
    pub proxies: Proxies,
    /// `NIX_SSL_CERT_FILE` or `SSL_CERT_FILE`: certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// The variables of AWS's own tools.
    pub aws: AwsVariables,
    /// `SDBUILD_GITHUB`: base URL of GitHub, for tests.
    pub github: Option<String>,
    /// `SDBUILD_MINI_NIXPKGS`: a directory that replaces the built-in miniature nixpkgs of `try`.
    pub mini_nixpkgs: Option<PathBuf>,
    /// `SOURCE_DATE_EPOCH`, not parsed yet.
    pub source_date_epoch: Option<String>,
    /// `PATH`.
    pub path: Option<OsString>,
    /// `SUDO_UID` and `SUDO_GID`: user and group of the user who ran `sudo`.
    pub sudo: Option<(u32, u32)>,
    /// `COLUMNS`: the columns of the terminal, for a process that writes to a pager.
    pub columns: Option<usize>,
    /// `TERM`: the type of the user's terminal.
    pub terminal: Option<String>,
    /// Whether `TERM` is `dumb`.
    pub dumb_terminal: bool,
    /// Whether a CI service runs it: `CI` is set to anything but `false`.
    pub ci: bool,
    /// Whether `NO_COLOR` is set (no-color.org).
    pub no_color: bool,
    /// Whether `CLICOLOR_FORCE` is set to anything but 0 (bixense.com/clicolors).
    pub force_color: bool,
}

impl Environment {
    /// The directories of programs: `PATH`, or the usual ones without it.
    pub fn program_path(&self) -> OsString {
        let usual = || "/usr/bin:/bin".into();
        self.path.clone().unwrap_or_else(usual)
    }

    /// The user's home directory: `HOME`, otherwise that of the user's account.
    pub fn home_dir(&self) -> Option<PathBuf> {
        // Without a valid `HOME` the standard library returns the invalid one.
        let of_account = || std::env::home_dir().filter(|home| home.is_absolute());
        self.home.clone().or_else(of_account)
    }

    /// Reads the process's own environment.
    pub fn read() -> Self {
        Self::from(std::env::vars_os())
    }

    /// Reads `variables`: names with values.
    fn from(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let variables: BTreeMap<OsString, OsString> = variables
            .into_iter()
            .filter(|(name, value)| !value.is_empty() || name == MAY_BE_EMPTY)
            .collect();
        let some = |name: &str| variables.get(OsStr::new(name)).cloned();
        let text = |name: &str| some(name).and_then(|v| v.into_string().ok());
        let path = |name: &str| some(name).map(PathBuf::from);
        // The XDG base directory specification says to ignore relative paths.
        let base = |name: &str| path(name).filter(|p| p.is_absolute());
        let number = |name: &str| text(name).and_then(|v| v.parse().ok());
        let settings = variables.iter().filter_map(|(name, value)| {
            let name = name.to_str().filter(|name| name.starts_with(PREFIX))?;
            Some((name.to_owned(), value.to_str()?.to_owned()))
        });
        Self {
            settings: settings.collect(),
            docker_host: text("DOCKER_HOST"),
            docker_context: text("DOCKER_CONTEXT"),
            docker_config: path("DOCKER_CONFIG"),
            docker_tls_verify: text("DOCKER_TLS_VERIFY"),
            docker_cert_path: path("DOCKER_CERT_PATH"),
            home: base("HOME"),
            runtime_dir: base("XDG_RUNTIME_DIR"),
            cache_home: base("XDG_CACHE_HOME"),
            config_home: base("XDG_CONFIG_HOME"),
            state_home: base("XDG_STATE_HOME"),
            ssh_agent: path("SSH_AUTH_SOCK"),
            locale: text("LC_ALL").or_else(|| text("LANG")),
            proxies: Proxies::from(text),
            ca_file: base("NIX_SSL_CERT_FILE").or_else(|| base("SSL_CERT_FILE")),
            aws: AwsVariables {
                access_key_id: text("AWS_ACCESS_KEY_ID"),
                secret_access_key: text("AWS_SECRET_ACCESS_KEY"),
                session_token: text("AWS_SESSION_TOKEN"),
                profile: text("AWS_PROFILE"),
                region: text("AWS_REGION").or_else(|| text("AWS_DEFAULT_REGION")),
                endpoint_url: text("AWS_ENDPOINT_URL"),
                own_address_url: text("SDBUILD_OWN_ADDRESS_URL"),
                config_file: path("AWS_CONFIG_FILE"),
                credentials_file: path("AWS_SHARED_CREDENTIALS_FILE"),
                home: base("HOME"),
                path: some("PATH").unwrap_or_default(),
            },
            github: text("SDBUILD_GITHUB"),
            mini_nixpkgs: path("SDBUILD_MINI_NIXPKGS"),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            path: some("PATH"),
            sudo: number("SUDO_UID").zip(number("SUDO_GID")),
            columns: number("COLUMNS")
                .filter(|columns| *columns > 0)
                .and_then(|columns| usize::try_from(columns).ok()),
            terminal: text("TERM"),
            dumb_terminal: text("TERM").as_deref() == Some("dumb"),
            ci: text("CI").is_some_and(|ci| ci != "false"),
            no_color: some("NO_COLOR").is_some(),
            force_color: some("CLICOLOR_FORCE").is_some_and(|v| v != "0"),
        }
    }

    /// The text of the setting's variable `name`, if it is set.
    pub(super) fn setting(&self, name: &str) -> Option<&str> {
        self.settings.get(name).map(String::as_str)
    }
}

/// The file `name` in sdbuild's directory among the user's settings; `None` if no home directory is known.
pub fn user_file(env: &Environment, name: &str) -> Option<PathBuf> {
    let config = env.config_home.clone();
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
        let env = Environment::from(variables.map(|(name, value)| (name.into(), value.into())));
        assert_eq!(env.docker_host, None);
        assert_eq!(env.sudo, None);
        assert_eq!(env.cache_home, None);
        assert_eq!(env.state_home, Some(PathBuf::from("/state")));
        assert_eq!(env.setting("SDBUILD_CORES"), None);
        assert_eq!(env.setting("SDBUILD_JOBS"), Some("2"));
        let none = env.setting("SDBUILD_SUBSTITUTERS");
        assert_eq!(none, Some(""), "no binary cache at all");
    }
}
