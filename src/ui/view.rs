//! Turns events into lines, and marks which lines may be dropped when the reader is too slow. Pure.

use std::time::Duration;

use crate::ui::colour::Paint;
use crate::ui::frame;
use crate::ui::frame::{Frame, Size, frame};
use crate::ui::json;
use crate::ui::json::Json;
use crate::ui::run_lines;
use crate::ui::run_lines::Form;
use crate::ui::sanitize::message;
use crate::ui::state::{Activity, ActivityKind, Ended, Fraction, State};
use crate::ui::{colour, layout, words};
use sdbuild_core::counted::counted;
use sdbuild_core::event::{Event, Phase, Stop};
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::{Transcript, forecast, short_name};

/// Minimum time between two lines about the progress of a phase.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// How much progress is worth a line: per cent.
const STEP: u64 = 10;
/// Maximum time between two lines, to show that the run goes on.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// A build or a download that took so long gets a line when it has ended.
const LONG_PROGRESS_INTERVAL: Duration = Duration::from_secs(60);
/// Builds and downloads that a line names.
const MAX_NAMES: usize = 3;
/// How often [`Plain::tick`] is called; lines are late by at most this much.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

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
        let outcome = || frame::outcome(&self.state);
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
                let mut lines_of_image = run_lines::image(image, form, paint);
                // Nothing was shown since the first lines when the image is up to date.
                if self.ends_empty && lines_of_image.first().is_some_and(String::is_empty) {
                    lines_of_image.remove(0);
                }
                // Of a build, many lines may have come since, and a warning may be that nobody can log in.
                if matches!(form, Form::Columns(_)) && self.warnings > 0 && !image.up_to_date {
                    let mark = paint.attention("!");
                    let warnings = counted(self.warnings, "warning", "warnings");
                    // Above the image: the last lines are those to go on with.
                    let at = usize::from(lines_of_image.first().is_some_and(String::is_empty));
                    lines_of_image.insert(at, format!(" {mark} {warnings} above"));
                }
                lines(lines_of_image)
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
                let table = run_lines::table(&self.state, at);
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

    /// Whether this view has a live view.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.kind, ViewKind::Live)
    }

    /// The live view; `None` if there is none, or between two phases.
    pub(super) fn frame(&self, at: Duration, size: Size) -> Option<Frame> {
        let frame = || frame(&self.state, at, size, self.paint);
        self.is_live().then(frame).flatten()
    }

    /// How often the view changes without an event; `None` for never.
    pub(super) fn tick_interval(&self) -> Option<Duration> {
        self.state.phase()?;
        match self.kind {
            ViewKind::Live => Some(frame::SPINNER_INTERVAL),
            ViewKind::Plain(_) => Some(TICK_INTERVAL),
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
            layout::wrap_message(&text, self.columns)
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

/// The lines without a terminal, about what takes long: at most one every ten seconds. Remembers when the last one was shown.
#[derive(Debug, Default)]
pub(super) struct Plain {
    shown_at: Duration,
    percent: u64,
}

impl Plain {
    /// The line for `event`, if it has one; `before` is the state before the event.
    /// `verbose` names every build that starts.
    pub(super) fn line(
        &mut self,
        event: &Event,
        before: &State,
        at: Duration,
        verbose: bool,
    ) -> Option<String> {
        if matches!(event, Event::Started(_)) {
            *self = Self {
                shown_at: at,
                percent: 0,
            };
        } else if let Event::Nix(NixEvent::BuildStarted { derivation, .. }) = event {
            return verbose.then(|| format!("building {}", short_name(derivation)));
        } else if let Event::Nix(NixEvent::Stopped { id }) = event {
            return before
                .activity(*id)
                .and_then(|activity| ended(activity, at));
        }
        None
    }

    /// The line that is due now, if there is one.
    pub(super) fn tick(&mut self, state: &State, at: Duration) -> Option<String> {
        let (phase, since) = state.phase()?;
        let percent = state.fraction().map_or(0, Fraction::percent);
        let silent = at.saturating_sub(self.shown_at);
        let advanced = percent >= self.percent + STEP || self.shown_at == since;
        if silent < PROGRESS_INTERVAL || !advanced && silent < KEEPALIVE_INTERVAL {
            return None;
        }
        (self.shown_at, self.percent) = (at, percent);
        let mut parts = Vec::new();
        parts.extend(state.fraction().map(|_| format!("{percent} %")));
        parts.push(words::seconds(at.saturating_sub(since)));
        parts.extend(frame::counts(state));
        parts.extend(active(state, at));
        Some(format!("{}: {}", words::phase(phase), parts.join(" · ")))
    }
}

/// The line about a build or a download that took long.
fn ended(activity: &Activity, at: Duration) -> Option<String> {
    let took = at.saturating_sub(activity.since);
    let verb = match activity.kind {
        ActivityKind::Build => "built",
        ActivityKind::Fetch => "fetched",
    };
    let line = format!("{}: {verb} in {}", activity.name, words::duration(took));
    Some(line).filter(|_| took >= LONG_PROGRESS_INTERVAL)
}

/// What is built and fetched now: `building linux (50 s), initrd (3 s) and 2 more`.
fn active(state: &State, at: Duration) -> Option<String> {
    let mut builds = frame::listed(state);
    builds.retain(|(activity, _)| activity.kind == ActivityKind::Build);
    let (first, rest) = builds.split_at(builds.len().min(MAX_NAMES));
    let names = first.iter().map(|(activity, count)| {
        let took = words::seconds(at.saturating_sub(activity.since));
        format!("{} ({took})", frame::name(activity, *count))
    });
    let names: Vec<String> = names.collect();
    let more: usize = rest.iter().map(|(_, count)| count).sum();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| format!("building {}{more}", names.join(", ")))
}

/// The lines about phases that did not succeed: remembers those that are not due yet.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Whether the run has a header. Below it each phase has a line; without one, the error alone says what failed.
    has_header: bool,
    pending: Vec<Ended>,
}

impl Failures {
    /// The phases whose end is shown now that `event` has happened.
    ///
    /// A failure and an interruption are shown when they happen, before anything is cleaned up. What waits for an answer is shown at the
    /// end, if it was not done after the answer. A warning says what the run survives, and the errors say what the checks found.
    pub(super) fn due(&mut self, event: &Event) -> Vec<Ended> {
        match event {
            Event::RunStarted(_) => self.has_header = true,
            Event::Finished(phase, _) => self.forget(*phase),
            Event::Stopped(phase, took, stop) => return self.stopped(*phase, *took, *stop),
            Event::WorkEnded => return std::mem::take(&mut self.pending),
            Event::Started(_)
            | Event::Detail(..)
            | Event::Bytes { .. }
            | Event::LastTimes(_)
            | Event::ToCome(_)
            | Event::AuthorizedKeys(_)
            | Event::Nix(_)
            | Event::Warning(_)
            | Event::Notice(_)
            | Event::LogFile(_)
            | Event::Console(_)
            | Event::ImageDone(_)
            | Event::Next(_)
            | Event::TerminalGiven
            | Event::Suspended
            | Event::Resumed => {}
        }
        Vec::new()
    }

    fn stopped(&mut self, phase: Phase, took: Duration, stop: Stop) -> Vec<Ended> {
        self.forget(phase);
        let ended = Ended {
            phase,
            took,
            stop: Some(stop),
        };
        match stop {
            // No error says which phase that was.
            Stop::Interrupted => return vec![ended],
            _ if phase == Phase::Preflight => {}
            Stop::Failed if self.has_header => return vec![ended],
            Stop::Failed | Stop::Question => self.pending.push(ended),
            Stop::Tolerated | Stop::Refused => {}
        }
        Vec::new()
    }

    /// After an answer a phase is done again.
    fn forget(&mut self, phase: Phase) {
        self.pending.retain(|ended| ended.phase != phase);
    }
}

#[cfg(test)]
mod tests;
