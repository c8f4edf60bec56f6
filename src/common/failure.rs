//! What went wrong, in one value: the first error, its class, hints, and what teardown left behind.
//!
//! Part of the hall: every room may use it, it uses none. Rooms build a [`Failure`] where a user
//! can act on it; words for the terminal are put together in `ui::report` alone.

use std::fmt;
use std::path::PathBuf;

/// The kind of a failure; `main` turns it into the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wrong flags, settings or configuration (exit code 2).
    Usage,
    /// This machine, its disk, its network or the engine (exit code 3).
    Environment,
    /// The Nix build itself failed, or what it made does not boot (exit code 4).
    Build,
    /// The configuration would build, but the machine would not boot or nobody would get in (exit code 6).
    CheckFailed,
    /// What the user had run on the booted machine ended with this code, which is ours then too.
    Command(u8),
    /// What the user ran in a shell of ours ended with this code; they have seen why.
    Shell(u8),
    /// The user or the system asked us to stop (128 + signal).
    Interrupted,
    /// A bug in sdbuild (exit code 70).
    Internal,
}

/// Something that should be gone and is not, with the command that removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// What is left, for instance `container sdbuild-builder-0123456789ab`.
    pub what: String,
    /// Why it could not be removed.
    pub why: String,
    /// The command a user can run to remove it.
    pub remedy: String,
}

/// The first error of a run, with everything that a user needs to act on it.
///
/// `teardown` rides along: an error while cleaning up never replaces the first one.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub class: Class,
    /// The cause chain, outermost operation first.
    pub error: anyhow::Error,
    /// Further problems of the same kind, found by a check that lists everything at once.
    pub others: Vec<Failure>,
    /// What to do about it, most likely first.
    pub hints: Vec<String>,
    /// The end of the builder's log, when that is where the reason stands.
    pub log_tail: Vec<String>,
    /// Where the whole log is.
    pub log: Option<PathBuf>,
    /// The derivation that failed, whose environment `sdbuild shell` gives.
    pub derivation: Option<String>,
    /// What could not be removed.
    pub teardown: Vec<Leftover>,
    /// Whether only the way that was tried is barred: another one to the same end may be open.
    pub try_next_mode: bool,
}

impl Failure {
    /// A failure of `class` whose innermost cause is `error`.
    pub fn new(class: Class, error: impl Into<anyhow::Error>) -> Self {
        Self {
            class,
            error: error.into(),
            others: Vec::new(),
            hints: Vec::new(),
            log_tail: Vec::new(),
            log: None,
            derivation: None,
            teardown: Vec::new(),
            try_next_mode: false,
        }
    }

    /// A failure of `class` that is described by `message` alone.
    pub fn message(class: Class, message: impl fmt::Display) -> Self {
        Self::new(class, anyhow::anyhow!("{message}"))
    }

    /// Wrong flags, settings or configuration.
    pub fn usage(message: impl fmt::Display) -> Self {
        Self::message(Class::Usage, message)
    }

    /// Something about this machine or the engine.
    pub fn environment(message: impl fmt::Display) -> Self {
        Self::message(Class::Environment, message)
    }

    /// The run was asked to stop.
    pub fn interrupted() -> Self {
        Self::message(Class::Interrupted, "interrupted")
    }

    /// Adds the operation and the object around the cause.
    #[must_use]
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.error = self.error.context(operation.to_string());
        self
    }

    /// Adds a hint; the first one added is shown first.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Says that another way to the same end may be open.
    #[must_use]
    pub fn try_next_mode(mut self) -> Self {
        self.try_next_mode = true;
        self
    }

    /// Adds what teardown could not remove.
    #[must_use]
    pub fn with_teardown(mut self, leftovers: Vec<Leftover>) -> Self {
        self.teardown.extend(leftovers);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Adds class and context to foreign errors on their way up.
pub trait OrFail<T> {
    /// Wraps the error as a [`Class::Environment`] failure of `operation`.
    fn or_environment(self, operation: impl fmt::Display) -> Result<T, Failure>;
    /// Wraps the error as a [`Class::Usage`] failure of `operation`.
    fn or_usage(self, operation: impl fmt::Display) -> Result<T, Failure>;
    /// Wraps the error as a [`Class::Internal`] failure of `operation`.
    fn or_internal(self, operation: impl fmt::Display) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrFail<T> for Result<T, E> {
    fn or_environment(self, operation: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure::new(Class::Environment, e).context(operation))
    }
    fn or_usage(self, operation: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure::new(Class::Usage, e).context(operation))
    }
    fn or_internal(self, operation: impl fmt::Display) -> Result<T, Failure> {
        self.map_err(|e| Failure::new(Class::Internal, e).context(operation))
    }
}
