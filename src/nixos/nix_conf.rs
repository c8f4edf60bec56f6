//! How Nix is to work: the text of `NIX_CONFIG`, and what it has no word for. Pure.
//!
//! It is made of lines, so values that could start a line of their own are refused.

use crate::common::failure::Failure;
use crate::common::system::System;

/// What is said in it for everybody.
const FIXED: [&str; 7] = [
    // the container is the sandbox: one user, no capability, nobody to change into
    "build-users-group =",
    "sandbox = false",
    // qemu-user does not emulate seccomp (NixOS/nix#5258)
    "filter-syscalls = false",
    "require-drop-supplementary-groups = false",
    "experimental-features = nix-command flakes",
    // another machine is never asked, and asking whether there is one costs a process at every step
    "build-hook =",
    "connect-timeout = 20",
];

/// How Nix is to work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NixSettings {
    /// Cores that one derivation may use; 0: all.
    pub cores: u32,
    /// Derivations built at once; `None`: as many as there are cores.
    pub jobs: Option<u32>,
    /// Connections to binary caches, and downloads unpacked at once; `None`: Nix's own numbers.
    pub connections: Option<u32>,
    /// Binary caches; may be empty.
    pub substituters: Vec<String>,
    /// Keys that binary caches sign with.
    pub keys: Vec<String>,
    /// Memory that the evaluator begins with, in bytes; `None`: its own choice, and garbage collected on the way. It is not
    /// in the text but in the environment.
    pub heap: Option<u64>,
}

impl NixSettings {
    /// The text for a Nix that builds in `build_dir`, and for `platform` as if it were its own.
    pub(super) fn text(
        &self,
        platform: Option<System>,
        build_dir: &str,
    ) -> Result<String, Failure> {
        let mut lines: Vec<String> = FIXED.map(str::to_owned).into();
        let jobs = self.jobs.map(|n| n.max(1).to_string());
        lines.extend([
            format!("build-dir = {build_dir}"),
            format!("cores = {}", self.cores),
            format!("max-jobs = {}", jobs.as_deref().unwrap_or("auto")),
        ]);
        if let Some(connections) = self.connections {
            lines.push(format!("http-connections = {connections}"));
            lines.push(format!("max-substitution-jobs = {connections}"));
        }
        if let Some(platform) = platform {
            lines.push(format!("extra-platforms = {platform}"));
        }
        lines.push(words("substituters", &self.substituters)?);
        lines.push(words("trusted-public-keys", &self.keys)?);
        Ok(lines.join("\n"))
    }
}

/// A line for a setting that is a list.
fn words(name: &str, values: &[String]) -> Result<String, Failure> {
    let words: Result<Vec<_>, _> = values.iter().map(|value| one_word(name, value)).collect();
    Ok(format!("{name} = {}", words?.join(" "))
        .trim_end()
        .to_owned())
}

/// `value`, when it is one word: a space or a line end in it would say something else to Nix.
fn one_word<'a>(name: &str, value: &'a str) -> Result<&'a str, Failure> {
    let odd = |c: char| c.is_whitespace() || c.is_control() || c == '#';
    if value.is_empty() || value.chars().any(odd) {
        return Err(Failure::usage(format!("{name}: {value:?} is not one word"))
            .hint("give one URL or key per entry, without spaces"));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_become_lines() {
        let nix = NixSettings {
            cores: 2,
            jobs: Some(3),
            connections: Some(4),
            substituters: vec![],
            keys: vec!["a-1:x=".into(), "b-1:y=".into()],
            heap: None,
        };
        let config = nix.text(Some(System::Aarch64Linux), "/b").unwrap();
        assert!(config.contains("extra-platforms = aarch64-linux\nsubstituters =\n"));
        assert!(config.contains("cores = 2\nmax-jobs = 3\n"));
        assert!(config.contains("http-connections = 4\nmax-substitution-jobs = 4\n"));
        assert!(config.ends_with("trusted-public-keys = a-1:x= b-1:y="));
    }

    #[test]
    fn a_value_cannot_smuggle_a_setting_in() {
        for evil in ["https://a\nsandbox = true", "a b", "", "a#b"] {
            let nix = NixSettings {
                substituters: vec![evil.into()],
                ..NixSettings::default()
            };
            let failure = nix.text(None, "/b").unwrap_err();
            assert_eq!(failure.class, crate::common::failure::Class::Usage);
        }
    }
}
