//! Turns events into lines, and marks which lines may be dropped when the reader is too slow. Pure.

use std::time::Duration;

use crate::ui::colour::Paint;
use crate::ui::failures::Failures;
use crate::ui::frame;
use crate::ui::frame::{Size, frame};
use crate::ui::json;
use crate::ui::json::Json;
use crate::ui::plain;
use crate::ui::plain::Plain;
use crate::ui::run_lines;
use crate::ui::run_lines::Form;
use crate::ui::sanitize::message;
use crate::ui::state::{Ended, State};
use crate::ui::{colour, layout, progress, summary, wrap};
use sdbuild_core::counted::counted;
use sdbuild_core::event::Event;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::{Transcript, forecast};

/// One item of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A line of sdbuild itself, without newline: never dropped. Their number does not depend on the builder.
    Line(String),
    /// A line that the builder caused and that is not a log line, without newline: dropped when the reader is far behind.
    Builder(String),
    /// A line of a log, without newline: may be dropped, the log file has it too.
    Log(String),
    /// A progress line, without newline: may be dropped, a later one supersedes it.
    Progress(String),
    /// The live view is removed for the rest of the run.
    Closed,
    /// The live view is removed until [`Item::Resumed`].
    Paused,
    /// The live view is shown again, below what another program has written.
    Resumed,
}

/// The form in which events are shown.
#[derive(Debug)]
pub(super) enum ViewKind {
    /// Lines above a live view.
    Live,
    /// Lines.
    Plain(Plain),
    /// JSON objects.
    Json(Json),
}

/// Turns events into lines, and keeps the state that the live view shows.
#[derive(Debug)]
pub(super) struct View {
    kind: ViewKind,
    /// 0: the run; 1: also the builder's log; 2: everything that the log file contains.
    verbose: u8,
    paint: Paint,
    /// Whether a terminal shows it.
    on_terminal: bool,
    /// Columns of the terminal.
    columns: usize,
    /// Whether the last line is empty.
    ends_empty: bool,
    state: State,
    transcript: Transcript,
    /// The largest forecast shown so far: derivations to build, paths to fetch.
    forecast_shown: (u64, u64),
    /// Whether the number of emulated derivations was shown.
    emulated_shown: bool,
    /// Warnings that were shown.
    warnings: usize,
    failures: Failures,
}

impl View {
    /// A view of this kind; `verbose` is 0 to 2.
    pub(super) fn new(kind: ViewKind, verbose: u8, coloured: bool) -> Self {
        Self {
            on_terminal: matches!(kind, ViewKind::Live),
            kind,
            verbose,
            paint: Paint(coloured),
            columns: layout::COLUMNS,
            ends_empty: false,
            state: State::default(),
            transcript: Transcript::default(),
            forecast_shown: (0, 0),
            emulated_shown: false,
            warnings: 0,
            failures: Failures::default(),
        }
    }

    /// Sets the width of the terminal, which can change at any time.
    pub(super) fn set_columns(&mut self, columns: usize) {
        self.columns = columns;
    }

    /// Updates the view with `event`, which happened at the time `at`; returns the items to show, in order.
    pub(super) fn handle(&mut self, event: &Event, at: Duration) -> Vec<Item> {
        let mut items = Vec::new();
        if let ViewKind::Plain(plain) = &mut self.kind {
            let line = plain.line(event, &self.state, at, self.verbose == 1);
            items.extend(line.map(|line| Item::Builder(message(&line))));
        }
        let has_ended = matches!(event, Event::Finished(..));
        let outcome = || progress::outcome(&self.state);
        let outcome = has_ended.then(outcome).flatten();
        self.state.apply(event, at);
        self.warnings += usize::from(matches!(event, Event::Warning(_)));
        match &mut self.kind {
            ViewKind::Json(json) => {
                if self.verbose > 0 || !is_log(event) {
                    items.extend(json.line(event, &self.state, at).map(item_of(event)));
                }
            }
            ViewKind::Live | ViewKind::Plain(_) => {
                items.extend(self.lines(event, outcome.as_deref(), at));
            }
        }
        if let Some(
            Item::Line(last) | Item::Builder(last) | Item::Log(last) | Item::Progress(last),
        ) = items.last()
        {
            self.ends_empty = last.is_empty();
        }
        if *event == Event::TerminalGiven {
            items.push(Item::Closed);
        }
        items
    }

    /// The items of `event` in text form. `outcome` is what a phase came to that has finished.
    fn lines(&mut self, event: &Event, outcome: Option<&str>, at: Duration) -> Vec<Item> {
        let stopped = self.failures.due(event);
        let line = |text: &str| vec![Item::Line(self.paint(self.wrapped(message(text))))];
        let lines = |lines: Vec<String>| lines.into_iter().map(Item::Line).collect();
        let (form, paint, all) = (self.form(), self.paint, self.verbose > 0);
        match event {
            Event::RunStarted(run) => lines(run_lines::header(run, form, paint)),
            Event::Finished(phase, took) => {
                let shown = run_lines::succeeded(*phase, *took, outcome, all, form, paint);
                lines(shown)
            }
            Event::Warning(text) => line(&format!("warning: {text}")),
            Event::Notice(text) => line(text),
            Event::Next(last) => match form {
                Form::Columns(columns) => lines(run_lines::last_lines(last, columns, paint)),
                Form::Plain => line(&run_lines::last_text(last)),
            },
            // On a terminal it stands beside the error that makes it interesting.
            Event::LogFile(_) if matches!(form, Form::Columns(_)) && !all => Vec::new(),
            Event::LogFile(path) => line(&format!("log: {}", path.display())),
            Event::ImageDone(image) => {
                let mut told = run_lines::image(image, form, paint);
                // Nothing was shown since the first lines when the image is up to date.
                if self.ends_empty && told.first().is_some_and(String::is_empty) {
                    told.remove(0);
                }
                // Of a build, many lines may have come since, and a warning may be that nobody can log in.
                if matches!(form, Form::Columns(_)) && self.warnings > 0 && !image.up_to_date {
                    let mark = paint.attention("!");
                    let warnings = counted(self.warnings, "warning", "warnings");
                    // Above the image: the last lines are those to go on with.
                    let at = usize::from(told.first().is_some_and(String::is_empty));
                    told.insert(at, format!(" {mark} {warnings} above"));
                }
                lines(told)
            }
            Event::Nix(event) => {
                let forecast = self
                    .forecast_line(event)
                    .map(|text| Item::Builder(message(&text)));
                let log = self.log_line(event).map(|text| Item::Log(message(&text)));
                forecast.or(log).into_iter().collect()
            }
            Event::Console(text) if all => vec![Item::Log(message(text))],
            Event::WorkEnded if all => {
                let table = summary::table(&self.state, at);
                lines(table.iter().map(|row| message(row)).collect())
            }
            Event::WorkEnded | Event::Stopped(..) => {
                let line = |ended: &Ended| run_lines::not_succeeded(ended, form, paint);
                lines(stopped.iter().map(line).collect())
            }
            Event::Started(_)
            | Event::Bytes { .. }
            | Event::Detail(..)
            | Event::Console(_)
            | Event::LastTimes(_)
            | Event::ToCome(_)
            | Event::AuthorizedKeys(_)
            | Event::TerminalGiven
            | Event::Suspended
            | Event::Resumed => Vec::new(),
        }
    }

    fn form(&self) -> Form {
        match self.kind {
            ViewKind::Live => Form::Columns(self.columns),
            // After the live view, on the same terminal.
            ViewKind::Plain(_) if self.on_terminal => Form::Columns(self.columns),
            ViewKind::Plain(_) | ViewKind::Json(_) => Form::Plain,
        }
    }

    /// The line for a forecast of Nix, unless a larger one was shown before.
    fn forecast_line(&mut self, event: &NixEvent) -> Option<String> {
        if matches!(self.kind, ViewKind::Live) && self.verbose == 0 {
            // The live view counts it.
            return None;
        }
        let (shown, amount) = if let NixEvent::WillBuild { derivations } = event {
            (&mut self.forecast_shown.0, *derivations)
        } else if let NixEvent::WillFetch { paths, .. } = event {
            (&mut self.forecast_shown.1, *paths)
        } else if let NixEvent::WillEmulate { .. } = event {
            let first = !std::mem::replace(&mut self.emulated_shown, true);
            return forecast(event).filter(|_| first);
        } else if *event == NixEvent::Restarted {
            (self.forecast_shown, self.emulated_shown) = (Default::default(), false);
            return None;
        } else {
            return None;
        };
        let more = amount > *shown;
        *shown = amount.max(*shown);
        forecast(event).filter(|_| more)
    }

    /// The log line of `event`, if the verbosity includes it.
    fn log_line(&mut self, event: &NixEvent) -> Option<String> {
        let line = self.transcript.line(event)?;
        // Warnings (level 1) are shown at any verbosity.
        let is_for_users = |level| level <= 3 && level != 1;
        let log = matches!(event, NixEvent::BuildLine { .. } | NixEvent::Other(_))
            || matches!(event, NixEvent::Message { level, .. } if is_for_users(*level));
        let required = if log { 1 } else { 2 };
        (self.verbose >= required).then_some(line)
    }

    /// Continues without live view: from now on progress is written in lines.
    pub(super) fn end_live(&mut self) {
        if matches!(self.kind, ViewKind::Live) {
            self.kind = ViewKind::Plain(Plain::default());
        }
    }

    /// The lines that are due because time has passed.
    pub(super) fn tick(&mut self, at: Duration) -> Vec<Item> {
        let ViewKind::Plain(plain) = &mut self.kind else {
            return Vec::new();
        };
        let lines = plain.tick(&self.state, at);
        lines.iter().map(|line| Item::Line(message(line))).collect()
    }

    /// The lines of the live view; `None` if this view has none.
    pub(super) fn frame(&self, at: Duration, size: Size) -> Option<Vec<String>> {
        matches!(self.kind, ViewKind::Live).then(|| frame(&self.state, at, size, self.paint))
    }

    /// How often the view changes without an event; `None` for never.
    pub(super) fn tick_interval(&self) -> Option<Duration> {
        self.state.phase()?;
        match self.kind {
            ViewKind::Live => Some(frame::SPINNER_INTERVAL),
            ViewKind::Plain(_) => Some(plain::TICK_INTERVAL),
            ViewKind::Json(_) => None,
        }
    }

    /// The line that replaces `lines` log lines that were dropped because the reader was too slow.
    pub(super) fn dropped_lines(&self, lines: u64) -> String {
        match self.kind {
            ViewKind::Json(_) => json::dropped_lines(lines),
            ViewKind::Live | ViewKind::Plain(_) => {
                format!("({lines} log lines were left out: the output was read too slowly)")
            }
        }
    }

    fn wrapped(&self, text: String) -> String {
        // Behind the end of the live view too.
        if self.on_terminal {
            wrap::wrap_message(&text, self.columns)
        } else {
            text
        }
    }

    fn paint(&self, text: String) -> String {
        if self.paint.0 {
            colour::paint(&text)
        } else {
            text
        }
    }
}

/// The kind of item for the JSON object of `event`.
fn item_of(event: &Event) -> fn(String) -> Item {
    let counts = matches!(
        event,
        Event::Bytes { .. } | Event::Nix(NixEvent::Moved { .. } | NixEvent::Step { .. })
    );
    if is_log(event) {
        Item::Log
    } else if counts {
        Item::Progress
    } else if matches!(event, Event::Nix(_)) {
        Item::Builder
    } else {
        Item::Line
    }
}

/// Whether `event` is a log line, whose number is unbounded.
fn is_log(event: &Event) -> bool {
    use NixEvent::{BuildLine, Message, Other};
    matches!(
        event,
        Event::Console(_) | Event::Nix(BuildLine { .. } | Other(_) | Message { .. })
    )
}
