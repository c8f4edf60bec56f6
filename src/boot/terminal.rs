//! The terminal's settings, put back whatever became of the program that changed them.

use std::io::Read as _;

use nix::sys::termios::{OutputFlags, SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

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

impl Settings {
    /// Hands every key on as it is, as QEMU does with a terminal of its own; `Ctrl-C` is the machine's too.
    pub(super) fn raw(&self) {
        let Some(settings) = &self.0 else { return };
        let mut raw = settings.clone();
        cfmakeraw(&mut raw);
        // What the machine and we write are lines as everywhere else.
        raw.output_flags.insert(OutputFlags::OPOST);
        tcsetattr(std::io::stdin(), SetArg::TCSANOW, &raw).unwrap_or(());
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

/// What is typed, until standard input ends. The thread goes with the process: nobody can end its wait.
pub(super) fn keys() -> mpsc::Receiver<Vec<u8>> {
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
