//! The user's terminal: its size, its input, and its settings, which are restored after another program used it.

use std::fs::File;
use std::io::{ErrorKind, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;

use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use crate::failure::{Failure, OrFail as _};
use crate::plain_file::FileId;

/// Writes messages of a program that has the terminal to standard error.
pub fn pass_on(messages: &[u8]) {
    // Nothing can be done about a terminal that is gone.
    std::io::stderr().write_all(messages).ok();
}

/// Whether standard input and standard output are terminals, so that a user can work with a program interactively.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The files that this process's standard output and standard error are.
pub fn output_files() -> Vec<FileId> {
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    let err = std::io::stderr().as_fd().try_clone_to_owned();
    let metadata = [out, err].map(|fd| fd.map(File::from).and_then(|file| file.metadata()));
    metadata.iter().flatten().map(FileId::of).collect()
}

/// The settings of standard input's terminal, which are restored when this value is dropped.
#[derive(Debug)]
#[must_use = "the settings are restored when this is dropped"]
pub struct SavedSettings(Option<Termios>);

impl SavedSettings {
    /// Saves the current settings; nothing when standard input is not a terminal.
    pub fn save() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    /// Saves the current settings and sets raw mode: every key is passed on as it is, Ctrl-C included.
    pub fn save_and_set_raw() -> Result<Self, Failure> {
        let saved = Self::save();
        if let Self(Some(settings)) = &saved {
            let mut raw = settings.clone();
            cfmakeraw(&mut raw);
            tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &raw)
                .or_environment("set the terminal's raw mode")?;
        }
        Ok(saved)
    }

    /// Sets raw mode for input only, as QEMU does with a terminal of its own: every key is passed on as it is, and line
    /// ends are still written as usual.
    pub fn set_raw_input(&self) {
        let Some(settings) = &self.0 else { return };
        let mut raw = settings.clone();
        cfmakeraw(&mut raw);
        raw.output_flags.insert(OutputFlags::OPOST);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok();
    }
}

impl Drop for SavedSettings {
    fn drop(&mut self) {
        if let Some(settings) = self.0.take() {
            // A terminal that is gone needs nothing.
            tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &settings).ok();
        }
    }
}

/// What the user types, until standard input ends. It is read by a thread that ends with the process, because nothing
/// can interrupt its read.
pub fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (send, keys) = mpsc::channel(16);
    let read = move || {
        let mut buffer = [0; 1024];
        loop {
            let typed = match std::io::stdin().read(&mut buffer) {
                Ok(n @ 1..) => buffer.get(..n).unwrap_or_default().to_vec(),
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Ok(0) | Err(_) => return,
            };
            if send.blocking_send(typed).is_err() {
                return;
            }
        }
    };
    // If the thread cannot be started, the console is shown and the keyboard has no effect.
    std::thread::Builder::new().spawn(read).ok();
    keys
}
