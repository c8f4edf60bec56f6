//! An answer that is not to be seen while it is typed.

use std::io;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::{GOODBYE, Ui, report};
use crate::common::failure::{Failure, OrFail as _};

/// While it lives the terminal does not show what is typed.
#[derive(Debug)]
pub struct Hidden(Termios);

impl Hidden {
    /// `None` when standard input is no terminal.
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
        // A terminal that is gone shows nothing.
        tcsetattr(io::stdin(), SetArg::TCSANOW, &self.0).unwrap_or(());
        // The line end that was typed was not shown either.
        report("\n");
    }
}

impl Ui {
    /// Asks for a line. Blocks until there is one.
    pub fn line(&self, question: &str) -> Result<String, Failure> {
        if let Some(writer) = &self.writer {
            writer.pause(GOODBYE);
        }
        report(question);
        let read = io::stdin().lines().next();
        if let Some(writer) = &self.writer {
            writer.resume();
        }
        read.unwrap_or(Ok(String::new()))
            .or_environment("read the answer")
    }
}
