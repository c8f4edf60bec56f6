//! The user's terminal while another program uses it: its size and input, and its settings, which are restored when that
//! program has ended.

use std::fs::File;
use std::io::{IsTerminal as _, Read as _};
use std::os::fd::AsFd as _;

use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file::FileId;

/// Whether a user sits at both ends: what is typed comes from a terminal and what is said goes to one.
pub fn is_attended() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The files that this process's standard output and standard error are.
pub fn output_files() -> Vec<FileId> {
    let out = std::io::stdout().as_fd().try_clone_to_owned();
    let err = std::io::stderr().as_fd().try_clone_to_owned();
    let metadata = [out, err].map(|fd| fd.map(File::from).and_then(|file| file.metadata()));
    metadata.iter().flatten().map(FileId::of).collect()
}

/// What a program that has the terminal reads and writes, past everything that we would say.
#[derive(Debug)]
pub struct StdStreams {
    /// What is typed, or piped in.
    pub input: tokio::io::Stdin,
    /// Where its results go.
    pub output: tokio::io::Stdout,
    /// Where its complaints go.
    pub error: tokio::io::Stderr,
}

impl StdStreams {
    /// Those of this process.
    pub fn of_the_process() -> Self {
        Self {
            input: tokio::io::stdin(),
            output: tokio::io::stdout(),
            error: tokio::io::stderr(),
        }
    }
}

/// Columns and rows; `None` when there is no terminal.
pub fn size() -> Option<(u16, u16)> {
    let (terminal_size::Width(columns), terminal_size::Height(rows)) =
        terminal_size::terminal_size()?;
    Some((columns, rows))
}

/// Puts the settings of standard input's terminal back when it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Settings(Option<Termios>);

impl Settings {
    /// Takes note of what they are; of nothing when standard input is no terminal.
    pub fn keep() -> Self {
        Self(tcgetattr(std::io::stdin()).ok())
    }

    /// Has every key go to the program as it is, Ctrl-C among them.
    pub fn raw() -> Result<Self, Failure> {
        let kept = Self::keep();
        if let Self(Some(settings)) = &kept {
            let mut raw = settings.clone();
            cfmakeraw(&mut raw);
            tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &raw)
                .or_environment("hand the terminal over")?;
        }
        Ok(kept)
    }

    /// Has every key go on as it is, as QEMU does with a terminal of its own; what is written are lines as
    /// everywhere else.
    pub fn hand_on_keys(&self) {
        let Some(settings) = &self.0 else { return };
        let mut raw = settings.clone();
        cfmakeraw(&mut raw);
        raw.output_flags.insert(OutputFlags::OPOST);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).ok();
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        if let Some(settings) = self.0.take() {
            // A terminal that is gone needs nothing.
            tcsetattr(std::io::stdin(), SetArg::TCSADRAIN, &settings).ok();
        }
    }
}

/// What is typed, until standard input ends. The thread goes with the process: nobody can end its wait.
pub fn keys() -> mpsc::Receiver<Vec<u8>> {
    let (send, keys) = mpsc::channel(16);
    let read = move || {
        let mut buffer = [0; 1024];
        while let Ok(n @ 1..) = std::io::stdin().read(&mut buffer) {
            let typed = buffer.get(..n).unwrap_or_default().to_vec();
            if send.blocking_send(typed).is_err() {
                return;
            }
        }
    };
    // Without the thread nothing is typed, and the console is there all the same.
    drop(std::thread::Builder::new().spawn(read));
    keys
}
