//! The two views of a run: a live line on a terminal, plain lines anywhere else.

use std::io::{self, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::event::{Event, NixEvent};
use crate::ui::sanitize::{message, sanitize};
use crate::ui::state::State;
use crate::ui::words;

/// How often a view without a live line says how far a phase is.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// Turns events into lines on standard error.
#[derive(Debug)]
pub(super) struct View {
    state: State,
    terminal: bool,
    /// The live line, while a phase is under way on a terminal.
    live: Option<ProgressBar>,
    verbose: bool,
    spoke: Instant,
}

impl View {
    /// A view with a live line (`terminal`) or with plain lines; `verbose` adds the builder's log.
    pub(super) fn new(terminal: bool, verbose: bool) -> Self {
        Self {
            state: State::default(),
            terminal,
            live: None,
            verbose,
            spoke: Instant::now(),
        }
    }

    /// Shows `event`.
    pub(super) fn show(&mut self, event: &Event) {
        self.state.apply(event);
        match event {
            Event::Started(_) => {
                self.spoke = Instant::now();
                self.end_line();
                self.live = self.terminal.then(live_line);
            }
            Event::Finished(phase, took) => {
                self.end_line();
                let (phase, took) = (words::phase(*phase), words::duration(*took));
                self.line(&format!("{phase}: done in {took}"));
            }
            Event::Warning(text) => self.line(&format!("warning: {text}")),
            Event::Notice(text) => self.line(text),
            Event::LogFile(path) => self.line(&format!("log: {}", path.display())),
            Event::Nix(event) if self.verbose => self.nix(event),
            Event::Console(line) if self.verbose => self.line(line),
            Event::TerminalGiven => self.close(),
            Event::Nix(_) | Event::Bytes { .. } | Event::Console(_) => {}
        }
        self.progress();
    }

    /// Takes the live line away for good.
    pub(super) fn close(&mut self) {
        self.terminal = false;
        self.end_line();
    }

    fn end_line(&mut self) {
        if let Some(bar) = self.live.take() {
            bar.finish_and_clear();
        }
    }

    fn nix(&self, event: &NixEvent) {
        match event {
            NixEvent::BuildLine { line, .. } | NixEvent::Other(line) => self.line(line),
            NixEvent::Message { level, text } if *level <= 3 => self.line(text),
            NixEvent::Message { .. }
            | NixEvent::BuildStarted { .. }
            | NixEvent::FetchStarted { .. }
            | NixEvent::Stopped { .. }
            | NixEvent::BuildPhase { .. }
            | NixEvent::Built { .. }
            | NixEvent::Fetched { .. } => {}
        }
    }

    fn progress(&mut self) {
        let Some(phase) = self.state.phase() else {
            return;
        };
        let how_far = self
            .state
            .how_far()
            .map(|text| format!(": {text}"))
            .unwrap_or_default();
        let text = format!("{}{how_far}", words::phase(phase));
        if let Some(bar) = &self.live {
            bar.set_message(sanitize(&text).replace('\n', " "));
        } else if self.spoke.elapsed() >= PLAIN_INTERVAL {
            self.line(&text);
            self.spoke = Instant::now();
        }
    }

    fn line(&self, text: &str) {
        let text = message(text);
        match &self.live {
            Some(bar) => bar.suspend(|| say(&text)),
            None => say(&text),
        }
    }
}

/// Writes to standard error; a closed or full one must not end a run.
fn say(text: &str) {
    writeln!(io::stderr().lock(), "{text}").unwrap_or(());
}

fn live_line() -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_style(
        ProgressStyle::with_template("{spinner} {wide_msg} {elapsed}")
            .unwrap_or_else(|_| ProgressStyle::default_spinner()),
    );
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(8));
    bar.enable_steady_tick(Duration::from_millis(125));
    bar
}
