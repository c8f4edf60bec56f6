//! The terminal's settings, put back whatever became of the program that changed them.

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};

/// Puts the settings of standard input's terminal back when it is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Settings(Option<Termios>);

impl Settings {
    /// Takes note of what they are; of nothing when standard input is no terminal.
    pub(super) fn keep() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if let Some(settings) = self.0.take() {
            // A terminal that is gone needs nothing.
            tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &settings).unwrap_or(());
        }
    }
}
