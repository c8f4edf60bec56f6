//! Nix's settings: the text of `NIX_CONFIG`, and those that are environment variables. Pure.
//!
//! The text has one setting per line, so values with spaces or line ends are refused.

use std::time::Duration;

use super::layout;
use sdbuild_core::failure::Failure;
use sdbuild_core::flake_caches::CachePolicy;
use sdbuild_core::system::System;

/// The settings of every run.
const FIXED: [&str; 9] = [
    // The container is the sandbox: it has one user and no capabilities.
    "build-users-group =",
    "sandbox = false",
    // qemu-user does not emulate seccomp (NixOS/nix#5258)
    "filter-syscalls = false",
    "require-drop-supplementary-groups = false",
    "experimental-features = nix-command flakes",
    // A flake names its inputs itself, and its nixConfig is not trusted.
    "flake-registry =",
    "use-registries = false",
    "accept-flake-config = false",
    // Seconds between looks at a lock that another build holds on a derivation; at Nix's own five, builds that share a store wait
    // for each other longer than they build.
    "build-poll-interval = 1",
];
/// How often Nix asks a binary cache for a file: its own default, which outlives some seconds in which a server answers 503.
const DOWNLOAD_ATTEMPTS: u32 = 5;

/// Nix's settings that differ between runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NixSettings {
    /// Cores that one derivation may use; 0: all of them.
    pub cores: u32,
    /// Derivations built in parallel, at least 1; `None`: as many as there are cores.
    pub jobs: Option<u32>,
    /// Parallel connections to binary caches, and parallel substitutions; `None`: Nix's defaults.
    pub connections: Option<u32>,
    /// URLs of binary caches; may be empty.
    pub substituters: Vec<String>,
    /// Trusted public keys of binary caches.
    pub keys: Vec<String>,
    /// Whether to build what a binary cache has but fails to deliver.
    pub fallback: bool,
    /// Whether there is a file with user names and passwords.
    pub has_netrc: bool,
    /// Time without data after which sdbuild's own downloads are tried again. Nix asks a cache again after half of it.
    pub stall_timeout: Duration,
    /// Whether no server can be reached: none is asked twice.
    pub offline: bool,
    /// The remote builders, one line of Nix's setting each.
    pub builders: Vec<String>,
    /// Which of the binary caches that a flake names are used in addition.
    pub flake_caches: CachePolicy,
    /// Initial heap of the evaluator in bytes, which saves garbage collections; `None`: its default. An environment
    /// variable, not part of the text.
    pub heap: Option<u64>,
}

impl NixSettings {
    /// The text of `NIX_CONFIG`: Nix builds in `build_dir`, also for `platform`. A usage error when a value is not a
    /// single word.
    pub fn text(&self, platform: Option<System>, build_dir: &str) -> Result<String, Failure> {
        let mut lines: Vec<String> = FIXED.map(str::to_owned).into();
        let jobs = self.jobs.map(|n| n.max(1).to_string());
        lines.extend([
            format!("build-dir = {build_dir}"),
            format!("cores = {}", self.cores),
            format!("max-jobs = {}", jobs.as_deref().unwrap_or("auto")),
        ]);
        // Nix's own figure is five minutes for each attempt. With the pauses between them, five attempts of half the timeout take
        // as long as the three tries of sdbuild's own downloads: measured 61 s at the default of 20 s, then the next cache is asked.
        let stalled = (self.stall_timeout.as_secs() / 2).max(1);
        let attempts = if self.offline { 1 } else { DOWNLOAD_ATTEMPTS };
        lines.extend([
            format!("connect-timeout = {stalled}"),
            format!("stalled-download-timeout = {stalled}"),
            format!("download-attempts = {attempts}"),
            format!("fallback = {}", self.fallback),
        ]);
        if self.has_netrc {
            lines.push(format!("netrc-file = {}", layout::NETRC));
        }
        if let Some(connections) = self.connections {
            lines.push(format!("http-connections = {connections}"));
            lines.push(format!("max-substitution-jobs = {connections}"));
        }
        if self.builders.is_empty() {
            // The hook that looks for a remote builder costs a process per derivation.
            lines.push("build-hook =".to_owned());
        } else {
            lines.push(format!("builders = {}", self.builders.join(" ; ")));
            // What a cache has need not be sent.
            lines.push("builders-use-substitutes = true".to_owned());
        }
        if let Some(platform) = platform {
            lines.push(format!("extra-platforms = {platform}"));
        }
        // While it hopes for HTTP/2, which needs TLS, libcurl begins no other download before a connection has been answered: a
        // cache that closes its connections is asked for one file at a time, and one that hangs holds up all files until their
        // time is out (curl/curl#15838, curl/curl#13227).
        let speaks_tls = |url: &String| url.starts_with("https://");
        if !self.substituters.iter().any(speaks_tls) {
            lines.push("http2 = false".to_owned());
        }
        lines.push(words("substituters", &self.substituters)?);
        lines.push(words("trusted-public-keys", &self.keys)?);
        Ok(lines.join("\n"))
    }
}

/// The line of a setting whose value is a list.
fn words(name: &str, values: &[String]) -> Result<String, Failure> {
    let words: Result<Vec<_>, _> = values.iter().map(|value| one_word(name, value)).collect();
    Ok(format!("{name} = {}", words?.join(" "))
        .trim_end()
        .to_owned())
}

/// `value`; a usage error unless it is one word: Nix would read a space or a line end in it as another value or
/// setting.
fn one_word<'a>(name: &str, value: &'a str) -> Result<&'a str, Failure> {
    let is_separator = |c: char| c.is_whitespace() || c.is_control() || c == '#';
    if value.is_empty() || value.chars().any(is_separator) {
        return Err(Failure::usage(format!("{name}: {value:?} is not one word"))
            .hint("give one URL or key per entry, without spaces"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(change: impl FnOnce(&mut NixSettings)) -> String {
        let mut nix = NixSettings::default();
        change(&mut nix);
        nix.text(Some(System::Aarch64Linux), "/b").unwrap()
    }

    #[test]
    fn writes_one_line_per_setting() {
        let strings = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        let builders = "\nbuilders = ssh://a x ; ssh://b x\nbuilders-use-substitutes = true\n";
        for (config, expected) in [
            (text(|nix| nix.cores = 2), "cores = 2\nmax-jobs = auto\n"),
            (text(|nix| nix.jobs = Some(3)), "max-jobs = 3\n"),
            (
                text(|_| ()),
                "extra-platforms = aarch64-linux\nhttp2 = false\nsubstituters =\n",
            ),
            (
                text(|nix| nix.connections = Some(4)),
                "http-connections = 4\nmax-substitution-jobs = 4\n",
            ),
            (
                text(|nix| nix.keys = strings(&["a:x=", "b:y="])),
                "trusted-public-keys = a:x= b:y=",
            ),
            (text(|nix| nix.fallback = true), "\nfallback = true\n"),
            (
                text(|nix| nix.has_netrc = true),
                "\nnetrc-file = /run/sdbuild/netrc\n",
            ),
            (text(|nix| nix.offline = true), "\ndownload-attempts = 1\n"),
            (
                text(|nix| nix.builders = strings(&["ssh://a x", "ssh://b x"])),
                builders,
            ),
        ] {
            assert!(config.contains(expected), "{config}");
            assert_eq!(
                config.contains("build-hook =\n"),
                expected != builders,
                "{config}"
            );
        }
        let caches = |urls: &[&str]| text(|nix| nix.substituters = strings(urls));
        assert!(caches(&["http://a"]).contains("\nhttp2 = false\n"));
        assert!(!caches(&["http://a", "https://b"]).contains("http2"));
        for evil in ["https://a\nsandbox = true", "a b", "", "a#b"] {
            let substituters = vec![evil.to_owned()];
            let nix = NixSettings {
                substituters,
                ..NixSettings::default()
            };
            let failure = nix.text(None, "/b").unwrap_err();
            assert_eq!(failure.class, sdbuild_core::failure::Class::Usage);
        }
    }

    #[test]
    fn a_silent_cache_is_given_up_within_three_stall_timeouts() {
        for (seconds, patience) in [(20, 50), (100, 250), (1, 5)] {
            let config = text(|nix| nix.stall_timeout = Duration::from_secs(seconds));
            let number = |name: &str| -> u64 {
                let line = config.lines().find_map(|line| line.strip_prefix(name));
                line.unwrap().trim_start_matches(" = ").parse().unwrap()
            };
            for name in ["stalled-download-timeout", "connect-timeout"] {
                let waits = number(name) * number("download-attempts");
                assert_eq!(waits, patience, "{config}");
            }
        }
    }
}
