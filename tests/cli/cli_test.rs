//! A test of one command line, with its files and variables and what it must print:
//!
//! ```text
//! CliTest::new(&["settings"])
//!     .file("sdbuild.toml", "jobs = 0")
//!     .exit_code(2)
//!     .stderr("`0` is not between 1 and 4096")
//!     .run();
//! ```

use crate::support::{Outcome, TestUser, run};
use crate::{GOOD, user};

/// One run of sdbuild in a new home directory, without an engine.
pub struct CliTest<'a> {
    args: &'a [&'a str],
    user: TestUser,
    exit_code: i32,
    stdout: Vec<&'a str>,
    stderr: Vec<&'a str>,
}

impl<'a> CliTest<'a> {
    /// Runs `sdbuild` with `args`; without further calls it must exit with 0.
    pub fn new(args: &'a [&'a str]) -> Self {
        Self { args, user: user(), exit_code: 0, stdout: Vec::new(), stderr: Vec::new() }
    }

    /// Writes a file to the home directory, which is the current directory too.
    pub fn file(self, name: &str, text: &str) -> Self {
        self.user.write(name, text);
        self
    }

    /// Writes a valid configuration.
    pub fn config(self) -> Self {
        self.file("sd-card.nix", GOOD)
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.user = self.user.with(name, value);
        self
    }

    /// The expected exit code.
    pub fn exit_code(mut self, code: i32) -> Self {
        self.exit_code = code;
        self
    }

    /// A text that standard output must contain.
    pub fn stdout(mut self, part: &'a str) -> Self {
        self.stdout.push(part);
        self
    }

    /// A text that standard error must contain.
    pub fn stderr(mut self, part: &'a str) -> Self {
        self.stderr.push(part);
        self
    }

    /// Runs it and asserts what is expected; returns the outcome for further assertions.
    #[track_caller]
    pub fn run(self) -> Outcome {
        let outcome = run(&mut self.user.sdbuild(self.args))
            .assert_exit_code(self.exit_code)
            .assert_stderr_contains(&self.stderr);
        for part in self.stdout {
            let text = &outcome.stdout;
            assert!(text.contains(part), "`{part}` is not in:\n{text}");
        }
        outcome
    }
}
