//! How a user wants aarch64 programs to run.

use std::fmt;
use std::str::FromStr;

use crate::cli;
use crate::common::failure::Failure;

/// `--emulation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmulationChoice {
    /// None where the engine's machine runs the system itself, else register, else private, else host.
    Auto,
    /// Add a handler to the kernel for the time of the run.
    Register,
    /// A handler that the builder alone has.
    Private,
    /// Use the handler that is there already.
    Host,
    /// Not at all.
    None,
}

impl From<cli::EmulationChoice> for EmulationChoice {
    fn from(choice: cli::EmulationChoice) -> Self {
        match choice {
            cli::EmulationChoice::Auto => Self::Auto,
            cli::EmulationChoice::Register => Self::Register,
            cli::EmulationChoice::Private => Self::Private,
            cli::EmulationChoice::Host => Self::Host,
            cli::EmulationChoice::None => Self::None,
        }
    }
}

impl fmt::Display for EmulationChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Register => "register",
            Self::Private => "private",
            Self::Host => "host",
            Self::None => "none",
        })
    }
}

impl FromStr for EmulationChoice {
    type Err = Failure;

    fn from_str(text: &str) -> Result<Self, Failure> {
        let all = [
            Self::Auto,
            Self::Register,
            Self::Private,
            Self::Host,
            Self::None,
        ];
        let found = all.into_iter().find(|mode| mode.to_string() == text);
        found.ok_or_else(|| {
            Failure::usage(format!("emulation `{text}` is not known"))
                .hint("take auto, register, private, host or none")
        })
    }
}
