//! Questions to the user, which are asked with `--quiet` too, and input that is not echoed.

use std::io;

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};

use super::FLUSH_TIMEOUT;
use super::Ui;
use super::columns_of;
use super::layout;
use super::report;
use super::sanitize;
use sdbuild_core::failure::{Failure, OrFail as _};

impl Ui {
    /// Whether a user at a terminal sees questions and can answer them. False with JSON events, which programs read.
    pub fn can_ask(&self) -> bool {
        self.asks
    }

    /// Shows what a question is about. `text` may be foreign.
    pub fn explain(&self, text: &str) {
        let text = format!("{}\n", sanitize(text));
        self.without_view(|| report(&layout::wrap_message(&text, columns_of(io::stderr()))));
    }

    /// Asks a yes/no question; only `y` and `yes` count as yes. `None` if there is no terminal to ask on, and at the end of the input
    /// (Ctrl-D). Blocks until the user answers.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        let answer = self.line(&format!("{question} [y/N] "))?;
        let is_yes = |answer: String| {
            let answer = answer.trim().to_ascii_lowercase();
            matches!(answer.as_str(), "y" | "yes")
        };
        Ok(answer.map(is_yes))
    }

    /// Asks `question` and returns the line that the user types; `None` if there is no terminal to ask on, and at the end of the input
    /// (Ctrl-D). Blocks until then.
    pub fn line(&self, question: &str) -> Result<Option<String>, Failure> {
        if !self.asks {
            return Ok(None);
        }
        let read = self.without_view(|| {
            report(question);
            io::stdin().lines().next()
        });
        if read.is_none() {
            // What follows must not stand behind the question.
            report("\n");
        }
        read.transpose().or_environment("read the answer")
    }

    /// Runs `work` while nothing else is written to the terminal.
    fn without_view<T>(&self, work: impl FnOnce() -> T) -> T {
        if let Some(writer) = &self.writer {
            writer.pause(FLUSH_TIMEOUT);
        }
        let done = work();
        if let Some(writer) = &self.writer {
            writer.resume();
        }
        done
    }
}

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
