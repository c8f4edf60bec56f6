//! Turns events into lines, and marks which lines may be dropped when the reader is too slow. Pure.

use std::time::Duration;

use crate::ui::OutputMode;
use crate::ui::colour;
use crate::ui::colour::Paint;
use crate::ui::json;
use crate::ui::json::Json;
use crate::ui::layout;
use crate::ui::lines;
use crate::ui::lines::{Form, Frame, Size};
use crate::ui::sanitize::message;
use crate::ui::screen::SPINNER_INTERVAL;
use crate::ui::state::{Current, Ended, State};
use crate::ui::words;
use sdbuild_core::event::{Event, Phase, Stop};
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::{Transcript, forecast};

/// Minimum time between two lines about the progress of a phase.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// How much progress is worth a line: per cent.
const STEP: u64 = 10;
/// Maximum time between two lines, to show that the run goes on.
const KEEPALIVE_INTERVAL: Duration = Duration::from_mins(1);
/// Builds that a line names.
const MAX_NAMES: usize = 3;
/// How often a view without a live view is ticked; lines are late by at most this much.
const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// One item of output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A line, without newline.
    Text(Kind, String),
    /// The live view is removed for the rest of the run.
    Closed,
    /// The live view is removed until [`Item::Resumed`].
    Paused,
    /// The live view is shown again, below what another program has written.
    Resumed,
}

/// What happens to a line when the reader is too slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Of sdbuild itself: never dropped. The number of these lines does not depend on the builder.
    Own,
    /// Caused by the builder and no line of a log: dropped when the reader is far behind.
    Builder,
    /// Of a log: dropped, the log file has it too.
    Log,
    /// About progress: dropped, a later one supersedes it.
    Progress,
}

/// Turns events into lines, and keeps the state that the live view shows.
#[derive(Debug)]
pub(super) struct View {
    kind: OutputMode,
    /// 0: the run; 1: also the builder's log; 2: everything that the log file contains.
    verbose: u8,
    /// Its columns are those of the terminal, also after the end of the live view.
    form: Form,
    state: State,
    transcript: Transcript,
    json: Json,
    /// Warnings that were shown.
    warnings: usize,
    /// Whether the run has a header. Below it each phase has a line; without one, the error says what failed.
    has_header: bool,
    /// When the last line about the progress of the phase was shown, and with how many per cent.
    progress_shown: (Duration, u64),
}

impl View {
    /// A view of this kind; `verbose` is 0 to 2.
    pub(super) fn new(kind: OutputMode, verbose: u8, coloured: bool) -> Self {
        Self {
            kind,
            verbose,
            form: Form {
                columns: (kind == OutputMode::Live).then_some(layout::COLUMNS),
                paint: Paint(coloured),
            },
            state: State::default(),
            transcript: Transcript::default(),
            json: Json::default(),
            warnings: 0,
            has_header: false,
            progress_shown: (Duration::ZERO, 0),
        }
    }

    /// Sets the width of the terminal, which can change at any time.
    pub(super) fn set_columns(&mut self, columns: usize) {
        self.form.columns = self.form.columns.map(|_| columns);
    }

    /// Updates the view with `event`, which happened at the time `at`; returns the items to show, in order.
    pub(super) fn handle(&mut self, event: &Event, at: Duration) -> Vec<Item> {
        let forecast =
            |state: &State| (state.built.all, state.fetched.all, state.emulated.is_some());
        let before = forecast(&self.state);
        let outcome = matches!(event, Event::Finished(..)).then(|| lines::outcome(&self.state));
        self.state.apply(event, at);
        if matches!(event, Event::Configuration(_)) {
            (self.warnings, self.has_header) = (0, false);
        }
        self.warnings += usize::from(matches!(event, Event::Warning(_)));
        self.has_header |= matches!(event, Event::RunStarted(_));
        if matches!(event, Event::Started(_)) {
            self.progress_shown = (at, 0);
        }
        let mut items = Vec::new();
        if self.kind == OutputMode::Json {
            if self.verbose > 0 || !is_log(event) {
                let line = self.json.line(event, &self.state, at);
                items.extend(line.map(|line| Item::Text(kind_of(event), line)));
            }
        } else {
            let is_new = forecast(&self.state) != before;
            items.extend(if let Event::Nix(event) = event {
                self.nix_item(event, is_new)
            } else if let Event::Console(text) = event {
                (self.verbose > 0).then(|| Item::Text(Kind::Log, message(text)))
            } else {
                None
            });
            let lines = self.lines(event, outcome.flatten().as_deref());
            items.extend(lines.into_iter().map(|line| Item::Text(Kind::Own, line)));
        }
        if *event == Event::TerminalGiven {
            items.push(Item::Closed);
        }
        items
    }

    /// The lines of sdbuild itself about `event`. `outcome` is what a phase came to that has finished.
    fn lines(&self, event: &Event, outcome: Option<&str>) -> Vec<String> {
        let (form, all) = (self.form, self.verbose > 0);
        match event {
            Event::RunStarted(run) => lines::header(run, form),
            Event::Finished(phase, took) => {
                let (phase, took) = (*phase, *took);
                let stop = None;
                lines::phase(&Ended { phase, took, stop }, outcome, all, form)
            }
            // No error says which phase was interrupted.
            Event::Stopped(phase, took, stop)
                if *stop == Stop::Interrupted || *stop == Stop::Failed && self.has_header =>
            {
                let (phase, took, stop) = (*phase, *took, Some(*stop));
                self.failed(&Ended { phase, took, stop })
            }
            // What waits for an answer has failed only if it was not done after the answer.
            Event::WorkEnded => {
                let ended = self.state.ended.iter();
                let failed = ended.filter(|one| match one.stop {
                    Some(Stop::Question) => true,
                    Some(Stop::Failed) => !self.has_header,
                    None | Some(Stop::Interrupted | Stop::Tolerated) => false,
                });
                let failed = failed.flat_map(|one| self.failed(one));
                let slowest = lines::slowest(&self.state).filter(|_| all);
                let slowest = slowest.iter().flat_map(|text| self.text(text));
                failed.chain(slowest).collect()
            }
            Event::Warning(text) => self.text(&format!("warning: {text}")),
            Event::Notice(text) => self.text(text),
            Event::ImageChosen(choice) => self.text(&format!("image: {choice}")),
            Event::Next(last) => lines::last_lines(last, form),
            // On a terminal it stands beside the error that makes it interesting.
            Event::LogFile(_) if form.columns.is_some() && !all => Vec::new(),
            Event::LogFile(path) => self.text(&format!("log: {}", path.display())),
            Event::ImageDone(image) => lines::image(image, self.warnings, form),
            Event::Configuration(_)
            | Event::Started(_)
            | Event::Stopped(..)
            | Event::Bytes { .. }
            | Event::Detail(..)
            | Event::Console(_)
            | Event::LastTimes(_)
            | Event::ToCome(_)
            | Event::Nix(_)
            | Event::TerminalGiven
            | Event::Suspended
            | Event::Resumed => Vec::new(),
        }
    }

    /// The lines about a phase that did not succeed. The errors say what the checks found.
    fn failed(&self, ended: &Ended) -> Vec<String> {
        if ended.phase == Phase::Preflight && ended.stop != Some(Stop::Interrupted) {
            return Vec::new();
        }
        lines::phase(ended, None, true, self.form)
    }

    fn text(&self, text: &str) -> Vec<String> {
        let text = message(text);
        let text = match self.form.columns {
            Some(columns) => layout::wrap_message(&text, columns),
            None => text,
        };
        vec![if self.form.paint.0 {
            colour::paint(&text)
        } else {
            text
        }]
    }

    /// The line about an event of Nix. `is_new` says whether it is a larger forecast than those before.
    fn nix_item(&mut self, event: &NixEvent, is_new: bool) -> Option<Item> {
        // The live view counts it.
        let is_shown = is_new && (self.kind == OutputMode::Plain || self.verbose > 0);
        if let Some(text) = forecast(event).filter(|_| is_shown) {
            return Some(Item::Text(Kind::Builder, message(&text)));
        }
        let line = self.log_line(event)?;
        Some(Item::Text(Kind::Log, message(&line)))
    }

    /// The log line of `event`, if the verbosity includes it.
    fn log_line(&mut self, event: &NixEvent) -> Option<String> {
        let line = self.transcript.line(event)?;
        // Warnings (level 1) are shown at any verbosity.
        let is_for_users = |level| level <= 3 && level != 1;
        let log = matches!(
            event,
            NixEvent::BuildLine { .. } | NixEvent::BuildStarted { .. } | NixEvent::Other(_)
        ) || matches!(event, NixEvent::Message { level, .. } if is_for_users(*level));
        let required = if log { 1 } else { 2 };
        (self.verbose >= required).then_some(line)
    }

    /// Without a live view: the line about the phase that is due because time has passed.
    pub(super) fn tick(&mut self, at: Duration) -> Option<Item> {
        let current = self.state.current.as_ref()?;
        if self.kind != OutputMode::Plain {
            return None;
        }
        let (shown_at, shown_percent) = self.progress_shown;
        let percent = current.percent().unwrap_or(0);
        let silent = at.saturating_sub(shown_at);
        let advanced = percent >= shown_percent + STEP || shown_at == current.since;
        if silent < PROGRESS_INTERVAL || !advanced && silent < KEEPALIVE_INTERVAL {
            return None;
        }
        self.progress_shown = (at, percent);
        let Current { phase, since, .. } = current;
        let mut parts = Vec::new();
        parts.extend(current.percent().map(|percent| format!("{percent} %")));
        parts.push(words::seconds(at.saturating_sub(*since)));
        parts.extend(lines::counts(&self.state, at));
        parts.extend(builds(&self.state, at));
        let line = format!(
            "{}: {}",
            words::phase(*phase),
            parts.join(layout::SEPARATOR)
        );
        Some(Item::Text(Kind::Own, message(&line)))
    }

    /// Continues without live view: from now on progress is written in lines.
    pub(super) fn end_live(&mut self) {
        if self.kind == OutputMode::Live {
            self.kind = OutputMode::Plain;
        }
    }

    /// Whether this view has a live view.
    pub(super) fn is_live(&self) -> bool {
        self.kind == OutputMode::Live
    }

    /// The live view; `None` if there is none, or between two phases.
    pub(super) fn frame(&self, at: Duration, size: Size) -> Option<Frame> {
        let frame = || lines::frame(&self.state, at, size, self.form.paint);
        self.is_live().then(frame).flatten()
    }

    /// How often the view changes without an event; `None` for never.
    pub(super) fn tick_interval(&self) -> Option<Duration> {
        self.state.current.as_ref()?;
        match self.kind {
            OutputMode::Live => Some(SPINNER_INTERVAL),
            OutputMode::Plain => Some(TICK_INTERVAL),
            OutputMode::Json | OutputMode::Quiet => None,
        }
    }

    /// The line that replaces `lines` log lines that were dropped because the reader was too slow.
    pub(super) fn dropped_lines(&self, lines: u64) -> String {
        match self.kind {
            OutputMode::Json => json::dropped_lines(lines),
            OutputMode::Live | OutputMode::Plain | OutputMode::Quiet => {
                format!("({lines} log lines were left out: the output was read too slowly)")
            }
        }
    }
}

/// The kind of item for the JSON object of `event`.
fn kind_of(event: &Event) -> Kind {
    let counts = matches!(
        event,
        Event::Bytes { .. } | Event::Nix(NixEvent::Moved { .. } | NixEvent::Step { .. })
    );
    if is_log(event) {
        Kind::Log
    } else if counts {
        Kind::Progress
    } else if matches!(event, Event::Nix(_)) {
        Kind::Builder
    } else {
        Kind::Own
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

/// What is built now: `building linux (50 s), initrd (3 s) and 2 more`.
fn builds(state: &State, at: Duration) -> Option<String> {
    let mut builds = lines::listed(state);
    builds.retain(|(activity, _)| !activity.is_fetch);
    let names = builds.iter().take(MAX_NAMES).map(|(activity, count)| {
        let took = words::seconds(at.saturating_sub(activity.since));
        format!("{} ({took})", lines::name(activity, *count))
    });
    let names = names.collect::<Vec<_>>().join(", ");
    let more: usize = builds.iter().skip(MAX_NAMES).map(|(_, count)| count).sum();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| format!("building {names}{more}"))
}

#[cfg(test)]
mod tests;
