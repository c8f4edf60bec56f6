//! The only place that reads the process's environment.

use std::ffi::OsString;
use std::path::PathBuf;

/// The variables that sdbuild looks at; an empty one counts as unset.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The engine's endpoint.
    pub docker_host: Option<String>,
    /// The Docker context to take instead of the current one.
    pub docker_context: Option<String>,
    /// Docker's configuration directory.
    pub docker_config: Option<PathBuf>,
    /// `DOCKER_TLS_VERIFY`, whatever it says: as Docker's client takes it.
    pub docker_tls_verify: Option<String>,
    /// Where the certificates for that are.
    pub docker_cert_path: Option<PathBuf>,
    /// The user's home directory.
    pub home: Option<PathBuf>,
    /// The run-time directory (`XDG_RUNTIME_DIR`).
    pub runtime_dir: Option<PathBuf>,
    /// The cache directory's parent (`XDG_CACHE_HOME`).
    pub cache_home: Option<PathBuf>,
    /// The parent of the directory with settings (`XDG_CONFIG_HOME`).
    pub config_home: Option<PathBuf>,
    /// The state directory's parent (`XDG_STATE_HOME`).
    pub state_home: Option<PathBuf>,
    /// The Debian mirror to ask first.
    pub debian_mirror: Option<String>,
    /// `SDBUILD_STALL_TIMEOUT`, as it was written.
    pub stall_timeout: Option<String>,
    /// A directory with locks that replace the built-in ones.
    pub locks: Option<PathBuf>,
    /// Where release channels are (`SDBUILD_CHANNELS`).
    pub channels: Option<String>,
    /// `SDBUILD_NIXPKGS`.
    pub nixpkgs: Option<String>,
    /// The socket of the running ssh-agent (`SSH_AUTH_SOCK`).
    pub ssh_agent: Option<PathBuf>,
    /// The language that the user reads (`LC_ALL`, else `LANG`).
    pub locale: Option<String>,
    /// Where accounts have their keys (`SDBUILD_GITHUB`).
    pub github: Option<String>,
    /// Another miniature nixpkgs than the one that is built in (`SDBUILD_MINI_NIXPKGS`).
    pub mini_nixpkgs: Option<PathBuf>,
    /// `SDBUILD_SUBSTITUTERS`: here an empty one means none at all.
    pub substituters: Option<String>,
    /// `SDBUILD_TRUSTED_PUBLIC_KEYS`.
    pub trusted_public_keys: Option<String>,
    /// `SDBUILD_GLUE`, as it was written.
    pub glue: Option<String>,
    /// `SDBUILD_CORES`, as it was written.
    pub cores: Option<String>,
    /// `SDBUILD_JOBS`, as it was written.
    pub jobs: Option<String>,
    /// `SDBUILD_COMPRESS`.
    pub compress: Option<String>,
    /// `SOURCE_DATE_EPOCH`, as it was written.
    pub source_date_epoch: Option<String>,
    /// The store volume (`SDBUILD_STORE`).
    pub store: Option<String>,
    /// Where programs are (`PATH`).
    pub path: Option<OsString>,
    /// The user behind `sudo`: user and group number.
    pub sudo: Option<(u32, u32)>,
    /// The user's kind of terminal (`TERM`).
    pub terminal: Option<String>,
    /// `TERM=dumb`.
    pub dumb_terminal: bool,
    /// `NO_COLOR` (no-color.org).
    pub no_color: bool,
    /// `CLICOLOR_FORCE`, unless it is 0 (bixense.com/clicolors).
    pub force_color: bool,
}

impl Environment {
    /// Reads the real one.
    pub fn read() -> Self {
        #[expect(clippy::disallowed_methods, reason = "settings read the environment")]
        Self::from(|name| std::env::var_os(name))
    }

    /// Takes each variable from `get`.
    pub fn from(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let some = |name: &str| get(name).filter(|v| !v.is_empty());
        let text = |name: &str| some(name).and_then(|v| v.into_string().ok());
        let path = |name: &str| some(name).map(PathBuf::from);
        // The base-directory rules say that a relative path is to be ignored.
        let base = |name: &str| path(name).filter(|p| p.is_absolute());
        let number = |name: &str| text(name).and_then(|v| v.parse().ok());
        Self {
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
            debian_mirror: text("SDBUILD_DEBIAN_MIRROR"),
            stall_timeout: text("SDBUILD_STALL_TIMEOUT"),
            locks: path("SDBUILD_LOCKS"),
            channels: text("SDBUILD_CHANNELS"),
            nixpkgs: text("SDBUILD_NIXPKGS"),
            ssh_agent: path("SSH_AUTH_SOCK"),
            locale: text("LC_ALL").or_else(|| text("LANG")),
            github: text("SDBUILD_GITHUB"),
            mini_nixpkgs: path("SDBUILD_MINI_NIXPKGS"),
            substituters: get("SDBUILD_SUBSTITUTERS").and_then(|v| v.into_string().ok()),
            trusted_public_keys: text("SDBUILD_TRUSTED_PUBLIC_KEYS"),
            glue: text("SDBUILD_GLUE"),
            cores: text("SDBUILD_CORES"),
            jobs: text("SDBUILD_JOBS"),
            compress: text("SDBUILD_COMPRESS"),
            source_date_epoch: text("SOURCE_DATE_EPOCH"),
            store: text("SDBUILD_STORE"),
            path: some("PATH"),
            sudo: number("SUDO_UID").zip(number("SUDO_GID")),
            terminal: text("TERM"),
            dumb_terminal: text("TERM").as_deref() == Some("dumb"),
            no_color: some("NO_COLOR").is_some(),
            force_color: some("CLICOLOR_FORCE").is_some_and(|v| v != "0"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_is_unset_and_relative_base_dirs_are_ignored() {
        let env = Environment::from(|name| match name {
            "DOCKER_HOST" | "SUDO_UID" => Some(OsString::new()),
            "SUDO_GID" => Some("7".into()),
            "XDG_CACHE_HOME" => Some("relative".into()),
            "XDG_STATE_HOME" => Some("/state".into()),
            _ => None,
        });
        assert_eq!(env.docker_host, None);
        assert_eq!(env.sudo, None);
        assert_eq!(env.cache_home, None);
        assert_eq!(env.state_home, Some(PathBuf::from("/state")));
    }
}
