//! A shell in the builder, instead of `nix-build`: its command and environment. Pure.

use crate::layout;
use crate::store_path::is_derivation;
use sdbuild_core::failure::Failure;
use sdbuild_core::transcript::short_name;

/// A derivation's store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation(String);

impl Derivation {
    /// `path`; `None` unless it is the store path of a derivation.
    pub fn new(path: impl Into<String>) -> Option<Self> {
        let path = path.into();
        is_derivation(&path).then_some(Self(path))
    }

    /// Its name, without hash and `.drv`.
    pub fn name(&self) -> &str {
        short_name(&self.0)
    }

    /// Store path of the derivation.
    pub fn path(&self) -> &str {
        &self.0
    }
}

/// A shell or command in the builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellSession {
    /// The derivation whose build environment is used; `None`: the builder's environment.
    pub derivation: Option<Derivation>,
    /// A shell command to run instead of a prompt.
    pub command: Option<String>,
    /// The terminal's type (`TERM`); `None` without a terminal.
    pub terminal: Option<String>,
}

impl ShellSession {
    /// Whether the session has a terminal.
    pub fn is_interactive(&self) -> bool {
        self.terminal.is_some()
    }

    /// The command: the watchdog, the entry, then the shell with its arguments.
    pub fn arguments(&self) -> Vec<String> {
        let mut all = layout::COMMAND.map(str::to_owned).to_vec();
        match &self.derivation {
            Some(derivation) => all.extend(["nix-shell".into(), derivation.0.clone()]),
            None => all.push("bash".into()),
        }
        let flag = match &self.derivation {
            Some(_) => "--run",
            None => "-c",
        };
        if let Some(command) = &self.command {
            all.extend([flag.to_owned(), command.clone()]);
        } else if self.derivation.is_some() && !self.is_interactive() {
            // Without `--run`, nix-shell's bash does not read its commands from a pipe.
            all.extend([flag.to_owned(), ". /dev/stdin".to_owned()]);
        }
        all
    }

    /// Environment variables in addition to those of a build. A usage error when `TERM` has control characters.
    pub fn environment(&self) -> Result<Vec<(String, String)>, Failure> {
        let dir = match &self.derivation {
            Some(_) => "",
            None => layout::CONFIG,
        };
        let mut all = vec![("SDBUILD_SHELL".to_owned(), dir.to_owned())];
        if let Some(terminal) = &self.terminal {
            if terminal.chars().any(char::is_control) {
                return Err(Failure::usage("TERM contains control characters"));
            }
            all.push(("TERM".to_owned(), terminal.clone()));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(derivation: bool, command: Option<&str>, terminal: bool) -> String {
        let path = format!("/nix/store/{}-foo-1.0.drv", "a".repeat(32));
        let session = ShellSession {
            derivation: derivation.then(|| Derivation::new(path).unwrap()),
            command: command.map(str::to_owned),
            terminal: terminal.then(|| "xterm".to_owned()),
        };
        let words = session.arguments();
        words[layout::COMMAND.len()..]
            .join(" ")
            .replace(&"a".repeat(32), "A")
    }

    #[test]
    fn a_derivation_is_opened_with_nix_shell() {
        assert_eq!(session(false, None, true), "bash");
        assert_eq!(session(false, Some("a b"), false), "bash -c a b");
        let of = "nix-shell /nix/store/A-foo-1.0.drv";
        assert_eq!(session(true, None, true), of);
        assert_eq!(
            session(true, Some("make"), true),
            format!("{of} --run make")
        );
        let piped = format!("{of} --run . /dev/stdin");
        assert_eq!(session(true, None, false), piped);
    }

    #[test]
    fn only_derivation_paths_are_accepted() {
        let path = format!("/nix/store/{}-foo-1.0.drv", "a".repeat(32));
        assert_eq!(Derivation::new(path.as_str()).unwrap().name(), "foo-1.0");
        let outside = path.replace("/nix/store/", "/tmp/");
        for bad in [
            path.trim_end_matches(".drv"),
            "foo-1.0",
            "--help",
            &*outside,
        ] {
            assert_eq!(Derivation::new(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_terminal_type_with_control_chars_is_refused() {
        let session = ShellSession {
            terminal: Some("x\ny".into()),
            ..ShellSession::default()
        };
        assert!(session.environment().is_err());
    }
}
