//! How a person wants aarch64 programs to run.

use crate::cli;

/// `--emulation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Emulate {
    /// None where the engine's machine runs the system itself, else register.
    Auto,
    /// Add a handler to the kernel for the time of the run.
    Register,
    /// Use the handler that is there already.
    Host,
    /// Not at all.
    None,
}

impl From<Option<cli::EmulationChoice>> for Emulate {
    fn from(choice: Option<cli::EmulationChoice>) -> Self {
        match choice {
            None | Some(cli::EmulationChoice::Auto) => Self::Auto,
            Some(cli::EmulationChoice::Register) => Self::Register,
            Some(cli::EmulationChoice::Host) => Self::Host,
            Some(cli::EmulationChoice::None) => Self::None,
        }
    }
}
