//! Everything that a user reads: the only user of indicatif, standard output and standard error.
//!
//! Promises: results go to standard output, talk to standard error; no foreign control character
//! reaches a terminal; showing an event never blocks or fails the run, whatever becomes of the reader: who
//! hangs up, closes the pipe or stops reading is nobody, and no run fails for nobody. Only a result that
//! somebody waits for and cannot be told (standard output on a full disk) is a failure. Calls no other room.

mod colour;
mod frame;
mod json;
pub mod layout;
mod plain;
pub mod report;
mod sanitize;
mod screen;
mod secret;
mod state;
mod summary;
#[cfg(test)]
mod tests;
mod view;
pub mod words;
mod writer;

use std::fs::File;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::mpsc;
use std::time::Duration;

use nix::libc::EIO;

use crate::common::event::{Event, Events};
use crate::common::failure::{Failure, OrFail as _};
pub use colour::Colour;
use json::Json;
pub use sanitize::sanitize;
use screen::Screen;
pub use secret::Hidden;
use view::{Kind, View};
use writer::Writer;

/// How long the end of a run waits for somebody who does not read.
const GOODBYE: Duration = Duration::from_secs(3);

/// How much is said, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputOptions {
    /// In which way.
    pub mode: OutputMode,
    /// 1: the builder's log as well; 2: all that the log file gets.
    pub verbose: u8,
    /// Whether in colours.
    pub colour: Colour,
}

/// The ways to options.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputMode {
    /// Nothing but errors.
    Quiet,
    /// Lines, with a live view below them on a terminal.
    #[default]
    Live,
    /// Lines, also on a terminal (`TERM=dumb`).
    Plain,
    /// An object per line, for programs.
    Json,
}

/// The view of a run; [`Ui::events`] feeds it.
#[derive(Clone, Debug)]
pub struct Ui {
    writer: Option<Writer>,
}

impl Ui {
    /// The view that fits `options` and the terminal.
    pub fn new(options: OutputOptions) -> Self {
        let terminal = io::stderr().is_terminal();
        let live = options.mode == OutputMode::Live && terminal;
        let (kind, screen) = match options.mode {
            OutputMode::Quiet => return Self { writer: None },
            OutputMode::Json => (Kind::Json(Json::default()), Screen::plain(io::stderr())),
            _ if live => {
                let screen = Screen::live(io::stderr(), console::Term::buffered_stderr());
                (Kind::Live, screen)
            }
            OutputMode::Plain | OutputMode::Live => {
                let plain = Kind::Plain(plain::Plain::default());
                (plain, Screen::plain(io::stderr()))
            }
        };
        let coloured = options.mode != OutputMode::Json && options.colour.on(terminal);
        let view = View::new(kind, options.verbose, coloured);
        Self {
            writer: Writer::start(screen, view).ok(),
        }
    }

    /// Where the run's events go.
    pub fn events(&self) -> Events {
        let Some(writer) = self.writer.clone() else {
            return Events::none();
        };
        Events::new(move |event| {
            writer.take(&event);
            if event == Event::TerminalGiven {
                // Whoever has it next must not find our line on it.
                writer.close(GOODBYE);
            }
        })
    }

    /// Takes the live line away for good: results, questions and reports are on the same terminal.
    pub fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close(GOODBYE);
        }
    }

    /// Writes a result line to standard output.
    pub fn result(&self, text: &str) -> Result<(), Failure> {
        self.close();
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if nobody_listens(&e, &out) => Ok(()),
            written => written.or_environment("write the result to standard output"),
        }
    }

    /// Writes a file's content to standard output: as it is, but made safe when that is a terminal.
    /// `false` when whoever reads it has had enough.
    pub fn data(&self, bytes: &[u8]) -> Result<bool, Failure> {
        self.close();
        let mut out = io::stdout().lock();
        let written = if out.is_terminal() {
            // By lines: what makes a text safe also bounds its length.
            String::from_utf8_lossy(bytes)
                .split_inclusive('\n')
                .try_for_each(|line| out.write_all(sanitize(line).as_bytes()))
        } else {
            out.write_all(bytes)
        };
        match written.and_then(|()| out.flush()) {
            Err(e) if nobody_listens(&e, &out) => Ok(false),
            written => written
                .map(|()| true)
                .or_environment("write to standard output"),
        }
    }

    /// Standard output itself, for a machine's console that a user has.
    pub fn screen(&self) -> Result<File, Failure> {
        let screen = io::stdout().as_fd().try_clone_to_owned();
        Ok(screen.or_environment("open standard output again")?.into())
    }

    /// Asks on the terminal; only `y` and `yes` are a yes. `None` when standard input is no terminal.
    /// Blocks until there is an answer.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        if let Some(writer) = &self.writer {
            writer.pause(GOODBYE);
        }
        report(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        if let Some(writer) = &self.writer {
            writer.resume();
        }
        read.or_environment("read the answer")?;
        let answer = answer.trim().to_ascii_lowercase();
        Ok(Some(matches!(answer.as_str(), "y" | "yes")))
    }
}

/// Tells how the run failed, in the way in which it talked.
pub fn report_failure(failure: &Failure, options: OutputOptions) {
    let text = report::failure(failure);
    report(&match options.mode {
        OutputMode::Json => json::failure(failure),
        _ if options.colour.on(io::stderr().is_terminal()) => colour::paint(&text),
        OutputMode::Quiet | OutputMode::Live | OutputMode::Plain => text,
    });
}

/// Writes a report to standard error; there is nobody to tell when that fails or does not end.
pub fn report(report: &str) {
    let (done, written) = mpsc::channel();
    let report = report.to_owned();
    // On a thread of its own, which goes with the process: whoever stopped reading holds nobody up.
    let told = std::thread::Builder::new().spawn(move || {
        write!(io::stderr().lock(), "{report}").unwrap_or(());
        done.send(()).unwrap_or(());
    });
    if told.is_ok() {
        written.recv_timeout(GOODBYE).unwrap_or(());
    }
}

/// Whether `error` of writing to `stream` says that its reader is gone: a closed pipe, or a terminal that
/// hung up (the same error of a file is its disk's).
fn nobody_listens(error: &io::Error, stream: impl AsFd) -> bool {
    let is_device = || {
        let file = stream.as_fd().try_clone_to_owned().map(File::from);
        file.and_then(|file| file.metadata())
            .is_ok_and(|meta| meta.file_type().is_char_device())
    };
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO) && is_device()
}
