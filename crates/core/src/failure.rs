//! What went wrong, in one value: the first error, its class, hints, and what the teardown left behind.
//!
//! A [`Failure`] is made where it is known what a user can do about it; `ui::report` formats it.

use std::fmt;
use std::path::PathBuf;

use super::flake_caches::CacheAnswer;
use super::text::without_os_errors;

/// The kind of a failure, which decides the exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Wrong flags, settings or configuration (exit code 2).
    Usage,
    /// This machine, its disk, its network or the engine (exit code 3).
    Environment,
    /// The Nix build itself failed, or what it made does not boot (exit code 4).
    Build,
    /// The configuration would build, but the machine would not boot or would allow no login (exit code 6).
    CheckFailed,
    /// The machine returned to the system that it ran before (exit code 7).
    RolledBack,
    /// The command that the user ran on the booted machine ended with this code, which is also ours.
    Command(u8),
    /// The shell or command in the builder ended with this code, which is also ours; the user saw its output.
    Shell(u8),
    /// The user answered no: what was asked about was not done (exit code 2).
    Declined,
    /// A signal interrupted the run (128 + signal).
    Interrupted,
    /// A bug in sdbuild (exit code 70).
    Internal,
}

/// What the user has to decide before the work that ended with it can succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Question {
    /// Whether the image may replace this file.
    #[error("{} already exists and was not written by a build of this configuration", .0.display())]
    Replace(PathBuf),
    /// Whether the binary caches of a flake are used; not accepted yet.
    #[error("whether to use the binary caches of the flake has not been decided")]
    AcceptCaches(CacheAnswer),
}

/// Something that could not be removed, with the command that removes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leftover {
    /// Its kind and name, for instance `container sdbuild-builder-0123456789ab`.
    pub what: String,
    /// Why it could not be removed.
    pub why: String,
    /// The command a user can run to remove it.
    pub remedy: String,
}

/// The first error of a run, with everything that a user needs to act on it.
///
/// An error of the teardown never replaces it, but is added to `teardown`.
#[derive(Debug)]
pub struct Failure {
    /// Decides the exit code.
    pub class: Class,
    /// The cause chain, outermost operation first.
    pub error: anyhow::Error,
    /// Further problems that were found at the same time.
    pub others: Vec<Failure>,
    /// What to do about it, most likely first.
    pub hints: Vec<String>,
    /// The last lines of the build log, if they show the reason.
    pub log_tail: Vec<String>,
    /// The file with the whole build log.
    pub log: Option<PathBuf>,
    /// Store path of the derivation that failed, for `sdbuild shell`.
    pub derivation: Option<String>,
    /// Objects that could not be removed.
    pub teardown: Vec<Leftover>,
    /// Whether the error begins with what was tried, such as `read a.img`.
    pub names_operation: bool,
    /// Whether the configuration makes no image, or none for this system: not every machine of a flake has one.
    pub has_no_image: bool,
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
            names_operation: false,
            has_no_image: false,
        }
    }

    /// A failure of `class` with `message` and no further cause.
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

    /// The user answered no, and `what` follows from it.
    pub fn declined(what: impl fmt::Display) -> Self {
        Self::message(Class::Declined, what)
    }

    /// The run was interrupted.
    pub fn interrupted() -> Self {
        Self::message(Class::Interrupted, "interrupted")
    }

    /// The question that has to be answered before the same work can succeed, if that is the error.
    pub fn question(&self) -> Option<&Question> {
        self.error.downcast_ref()
    }

    /// The same, whose question counts as one only if the user can be asked.
    #[must_use]
    pub fn asked_if(mut self, can_ask: bool) -> Self {
        if let Some(question) = self.question().filter(|_| !can_ask) {
            self.error = anyhow::anyhow!("{question}");
        }
        self
    }

    /// The error and its causes as a sentence: `could not read a.img: it is empty`.
    pub fn sentence(&self) -> String {
        let operation = if self.names_operation {
            "could not "
        } else {
            ""
        };
        format!("{operation}{self}")
    }

    /// Adds the operation that failed, with its object, in front of the cause: `read a.img`.
    #[must_use]
    pub fn context(mut self, operation: impl fmt::Display) -> Self {
        self.error = self.error.context(operation.to_string());
        self.names_operation = true;
        self
    }

    /// The same for an operation that may have been interrupted: where that was is of no interest.
    #[must_use]
    pub fn during(self, operation: impl fmt::Display) -> Self {
        if self.class == Class::Interrupted {
            self
        } else {
            self.context(operation)
        }
    }

    /// Adds what follows from the cause in front of it: `the machine switched itself off`.
    #[must_use]
    pub fn consequence(mut self, text: impl fmt::Display) -> Self {
        self.error = self.error.context(text.to_string());
        self.names_operation = false;
        self
    }

    /// Adds a hint; the first one added is shown first.
    #[must_use]
    pub fn hint(mut self, hint: impl fmt::Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Adds what the teardown could not remove.
    #[must_use]
    pub fn with_teardown(mut self, leftovers: Vec<Leftover>) -> Self {
        self.teardown.extend(leftovers);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&without_os_errors(&format!("{:#}", self.error)))
    }
}

/// Turns errors of other types into a [`Failure`].
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
