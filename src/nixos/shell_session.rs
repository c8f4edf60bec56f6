//! A shell in the builder, in the place of `nix-build`: what runs there. Pure.

use super::layout;
use super::store_path::is_derivation;
use crate::common::failure::Failure;
use crate::common::transcript::short_name;

/// A derivation's store path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derivation(String);

impl Derivation {
    /// `path`, when it is one.
    pub fn new(path: impl Into<String>) -> Option<Self> {
        let path = path.into();
        is_derivation(&path).then_some(Self(path))
    }

    /// Its name, without hash and `.drv`.
    pub fn name(&self) -> &str {
        short_name(&self.0)
    }

    /// Its path.
    pub fn path(&self) -> &str {
        &self.0
    }
}

/// What a user runs in the builder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellSession {
    /// Whose environment; that of the builder when `None`.
    pub derivation: Option<Derivation>,
    /// Shell text in the place of a prompt.
    pub command: Option<String>,
    /// The user's kind of terminal, when they sit at one.
    pub terminal: Option<String>,
}

impl ShellSession {
    /// Whether what runs there has a terminal.
    pub(super) fn attended(&self) -> bool {
        self.terminal.is_some()
    }

    /// The program and its arguments; the first one is the entry that leads the rest.
    pub(super) fn arguments(&self) -> Vec<String> {
        let mut all = vec!["/bin/sh".to_owned(), layout::ENTRY.to_owned()];
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
        } else if self.derivation.is_some() && !self.attended() {
            // Its own shell would not read what it is given: it was given the environment.
            all.extend([flag.to_owned(), ". /dev/stdin".to_owned()]);
        }
        all
    }

    /// What the entry and the shell need to know besides what a build knows.
    pub(super) fn environment(&self) -> Result<Vec<(String, String)>, Failure> {
        let dir = match &self.derivation {
            Some(_) => "",
            None => layout::CONFIG,
        };
        let mut all = vec![("SDBUILD_SHELL".to_owned(), dir.to_owned())];
        if let Some(terminal) = &self.terminal {
            if terminal.chars().any(char::is_control) {
                return Err(Failure::usage("TERM has control characters in it"));
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
        words[2..].join(" ").replace(&"a".repeat(32), "A")
    }

    #[test]
    fn a_shell_is_bash_and_that_of_a_derivation_nix_shell() {
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
    fn only_a_derivation_is_one_and_it_has_a_name() {
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
    fn a_terminals_kind_cannot_smuggle_anything_in() {
        let session = ShellSession {
            terminal: Some("x\ny".into()),
            ..ShellSession::default()
        };
        assert!(session.environment().is_err());
    }
}
