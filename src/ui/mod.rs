//! Everything that a person reads: the only user of indicatif, standard output and standard error.
//!
//! Promises: results go to standard output, talk to standard error; no foreign control character
//! reaches a terminal; showing an event never blocks or fails the run. Calls no other room.

pub mod report;
mod sanitize;
mod state;
mod view;
pub mod words;

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::sync::{Arc, Mutex, PoisonError};

use crate::event::Events;
use crate::failure::{Failure, OrFail as _};
pub use sanitize::sanitize;
use view::View;

/// How much is said, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Talk {
    /// Nothing but errors.
    pub quiet: bool,
    /// The builder's log as well.
    pub verbose: bool,
    /// No live line even on a terminal (`TERM=dumb`).
    pub plain: bool,
}

/// The view of a run; [`Ui::events`] feeds it.
#[derive(Clone, Debug)]
pub struct Ui {
    view: Option<Arc<Mutex<View>>>,
}

impl Ui {
    /// The view that fits `talk` and the terminal.
    pub fn new(talk: Talk) -> Self {
        let terminal = io::stderr().is_terminal() && !talk.plain;
        let view = (!talk.quiet).then(|| Arc::new(Mutex::new(View::new(terminal, talk.verbose))));
        Self { view }
    }

    /// Where the run's events go.
    pub fn events(&self) -> Events {
        match &self.view {
            None => Events::none(),
            Some(view) => {
                let view = Arc::clone(view);
                Events::new(move |event| {
                    view.lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .show(&event);
                })
            }
        }
    }

    /// Takes the live line away for good: results, questions and reports are on the same terminal.
    pub fn close(&self) {
        if let Some(view) = &self.view {
            view.lock().unwrap_or_else(PoisonError::into_inner).close();
        }
    }

    /// Writes a result line to standard output.
    pub fn result(&self, text: &str) -> Result<(), Failure> {
        self.close();
        let mut out = io::stdout().lock();
        match writeln!(out, "{text}").and_then(|()| out.flush()) {
            // Whoever closed the pipe does not want to know.
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
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
            Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            written => written
                .map(|()| true)
                .or_environment("write to standard output"),
        }
    }

    /// Asks on the terminal; only `y` and `yes` are a yes. `None` when standard input is no terminal.
    /// Blocks until there is an answer.
    pub fn confirm(&self, question: &str) -> Result<Option<bool>, Failure> {
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        self.close();
        tell(&format!("{question} [y/N] "));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        read.or_environment("read the answer")?;
        let answer = answer.trim().to_ascii_lowercase();
        Ok(Some(matches!(answer.as_str(), "y" | "yes")))
    }
}

/// Writes a report to standard error; there is nobody to tell when that fails.
pub fn tell(report: &str) {
    write!(io::stderr().lock(), "{report}").unwrap_or(());
}
