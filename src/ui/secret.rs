//! Input that is not echoed while the user types it.

use std::io;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::report;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Switches the terminal's echo off until it is dropped.
#[derive(Debug)]
pub struct Hidden(Termios);

impl Hidden {
    /// Switches echo off. Returns `None` when standard input is not a terminal.
    pub fn begin() -> Result<Option<Self>, Failure> {
        let Ok(shown) = tcgetattr(io::stdin()) else {
            return Ok(None);
        };
        let mut hidden = shown.clone();
        hidden.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(io::stdin(), SetArg::TCSANOW, &hidden).or_environment("hide what is typed")?;
        Ok(Some(Self(shown)))
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // If this fails, the terminal is gone.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0).ok();
        // The newline that the user typed was not echoed either.
        report("\n");
    }
}
