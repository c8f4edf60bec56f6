//! Everything that is written to the terminal: the only user of standard output and standard error.
//!
//! Results go to standard output, everything else to standard error. Control characters in foreign text never reach a
//! terminal. Showing an event never blocks the run and never fails it, even if the reader hangs up, closes the pipe or
//! stops reading. Only a result that cannot be written (standard output on a full disk) is a failure.

mod colour;
mod json;
pub mod layout;
mod lines;
mod questions;
mod report;
mod sanitize;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod view;
pub mod words;
mod writer;

use std::fs::File;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::mpsc;
use std::time::Duration;

use nix::libc::EIO;

pub use colour::Colour;
pub use json::failure_fields;
pub use questions::Hidden;
pub use sanitize::{sanitize, sanitize_line};
use screen::Screen;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Failure, OrFail as _};
use view::View;
use writer::Writer;

/// How long the end of a run waits until pending output is written to a reader that stalls.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Columns of help at most, as clap has it.
const MAX_HELP_COLUMNS: usize = 100;

/// How much is shown, and in which form.
#[derive(Clone, Copy, Debug, Default)]
pub struct OutputOptions {
    /// The form of the output.
    pub mode: OutputMode,
    /// 0: the run; 1: also the builder's log; 2: everything that the log file contains.
    pub verbose: u8,
    /// When output is coloured.
    pub colour: Colour,
}

/// The forms of output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OutputMode {
    /// Only errors.
    Quiet,
    /// Lines; on a terminal with a live view below them.
    #[default]
    Live,
    /// Lines only, also on a terminal (`TERM=dumb`, or a CI service).
    Plain,
    /// One JSON object per line.
    Json,
}

/// Shows the events of a run; get the sink from [`Ui::events`].
#[derive(Clone, Debug)]
pub struct Ui {
    writer: Option<Writer>,
    /// What standard error shows: a live view only on a terminal.
    shown: OutputMode,
    /// How much more is shown than usual.
    verbose: u8,
    /// Whether a user sees questions on standard error and can answer on standard input.
    asks: bool,
}

impl Ui {
    /// Chooses the view by `options` and by whether standard error is a terminal.
    pub fn new(options: OutputOptions) -> Self {
        let terminal = io::stderr().is_terminal();
        let coloured = options.colour.on(terminal);
        let shown = match options.mode {
            OutputMode::Live if !terminal => OutputMode::Plain,
            OutputMode::Live | OutputMode::Plain | OutputMode::Quiet | OutputMode::Json => {
                options.mode
            }
        };
        let start = |screen, coloured| {
            Writer::start(screen, View::new(shown, options.verbose, coloured)).ok()
        };
        let plain = || Screen::plain(io::stderr());
        let writer = match shown {
            OutputMode::Quiet => None,
            OutputMode::Json => start(plain(), false),
            OutputMode::Plain => start(plain(), coloured),
            OutputMode::Live => {
                let terminal = console::Term::buffered_stderr();
                let screen = Screen::live(io::stderr(), terminal, coloured);
                start(screen, coloured)
            }
        };
        Self {
            writer,
            shown,
            verbose: options.verbose,
            asks: terminal && shown != OutputMode::Json && io::stdin().is_terminal(),
        }
    }

    /// Whether only errors are shown.
    pub fn is_quiet(&self) -> bool {
        self.shown == OutputMode::Quiet
    }

    /// Whether more is shown than usual (`-v`).
    pub fn is_verbose(&self) -> bool {
        self.verbose > 0 && !self.is_quiet()
    }

    /// Whether one terminal shows both the events and the results, so that a result must not be shown twice.
    pub fn shows_events_and_results(&self) -> bool {
        self.shown == OutputMode::Live && io::stdout().is_terminal()
    }

    /// Columns for results that need not fit a usual width: those of the terminal that shows them. Programs that read them get
    /// whole lines.
    pub fn result_columns(&self) -> usize {
        columns_of(io::stdout())
    }

    /// The sink for the run's events.
    pub fn events(&self) -> Events {
        let Some(writer) = self.writer.clone() else {
            return Events::none();
        };
        Events::new(move |event| {
            writer.handle(&event);
            // The next program must not find the live view on its terminal.
            if event == Event::TerminalGiven {
                writer.close(FLUSH_TIMEOUT);
            } else if event == Event::Suspended {
                writer.pause(FLUSH_TIMEOUT);
            } else if event == Event::Resumed {
                writer.resume();
            }
        })
    }

    /// Begins a new line on the terminal of a run that was interrupted: behind `^C`, or what another program has left unfinished.
    pub fn begin_line(&self) {
        if self.shown != OutputMode::Json && io::stderr().is_terminal() {
            report("\n");
        }
    }

    /// Removes the live view for the rest of the run, so that results and reports can use the terminal.
    pub fn close(&self) {
        if let Some(writer) = &self.writer {
            writer.close(FLUSH_TIMEOUT);
        }
    }

    /// Writes a result line to standard output.
    pub fn result(&self, text: &str) -> Result<(), Failure> {
        self.close();
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            Err(e) if reader_is_gone(&e, &out) => Ok(()),
            written => written.or_environment("write the result to standard output"),
        }
    }

    /// Writes file content to standard output: unchanged, or sanitized on a terminal. Returns `false` when the reader
    /// closed the pipe.
    pub fn data(&self, bytes: &[u8]) -> Result<bool, Failure> {
        self.close();
        let mut out = io::stdout().lock();
        let written = if out.is_terminal() {
            // Line by line, because `sanitize` truncates long text.
            String::from_utf8_lossy(bytes)
                .split_inclusive('\n')
                .try_for_each(|line| out.write_all(sanitize(line).as_bytes()))
        } else {
            out.write_all(bytes)
        };
        match written.and_then(|()| out.flush()) {
            Err(e) if reader_is_gone(&e, &out) => Ok(false),
            written => written
                .map(|()| true)
                .or_environment("write to standard output"),
        }
    }

    /// A handle on standard output for the console of a virtual machine.
    pub fn screen(&self) -> Result<File, Failure> {
        let screen = io::stdout().as_fd().try_clone_to_owned();
        Ok(screen.or_environment("open standard output again")?.into())
    }
}

/// Writes `failure` to standard error in the form that `options` select.
pub fn report_failure(failure: &Failure, options: OutputOptions) {
    report(&match options.mode {
        OutputMode::Json => json::failure(failure),
        OutputMode::Quiet | OutputMode::Live | OutputMode::Plain => {
            let text = report::failure(failure);
            for_standard_error(&text, options.colour)
        }
    });
}

/// Writes what clap says about wrong arguments to standard error, whose lines have any length.
pub fn report_usage(message: &str, colour: Colour) {
    report(&for_standard_error(&sanitize(message), colour));
}

/// Columns of help: those of the terminal, or those that are `given` where there is none, but no more than are easy to read.
pub fn help_columns(given: Option<usize>) -> usize {
    let size = terminal_size::terminal_size();
    let given = given.filter(|columns| *columns > 0);
    let columns = size.map(|(columns, _)| columns.0.into()).or(given);
    columns.map_or(MAX_HELP_COLUMNS, |columns: usize| {
        MAX_HELP_COLUMNS.min(columns)
    })
}

/// Columns of the terminal that is `stream`; [`usize::MAX`] without one.
fn columns_of(stream: impl AsFd) -> usize {
    let size = terminal_size::terminal_size_of(stream);
    size.map_or(usize::MAX, |(columns, _)| columns.0.into())
}

/// `text` in lines that fit the terminal, with its first words coloured.
fn for_standard_error(text: &str, colour: Colour) -> String {
    let text = layout::wrap_message(text, columns_of(io::stderr()));
    if colour.on(io::stderr().is_terminal()) {
        colour::paint(&text)
    } else {
        text
    }
}

/// Writes `report` to standard error. Errors are ignored, and a stalled reader is given `FLUSH_TIMEOUT`.
pub fn report(report: &str) {
    let (done, written) = mpsc::channel();
    let report = report.to_owned();
    // A thread of its own, so that a reader that stopped reading cannot block the process.
    let spawned = std::thread::Builder::new().spawn(move || {
        write!(io::stderr().lock(), "{report}").ok();
        done.send(()).ok();
    });
    if spawned.is_ok() {
        written.recv_timeout(FLUSH_TIMEOUT).ok();
    }
}

/// Whether `error`, from a write to `stream`, means that the reader is gone: a closed pipe, or EIO from a terminal that
/// hung up (EIO from a file is a disk error).
fn reader_is_gone(error: &io::Error, stream: impl AsFd) -> bool {
    let is_device = || {
        let file = stream.as_fd().try_clone_to_owned().map(File::from);
        file.and_then(|file| file.metadata())
            .is_ok_and(|file| file.file_type().is_char_device())
    };
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(EIO) && is_device()
}
