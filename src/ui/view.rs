//! What is said of which event, and what of it may be left out when nobody reads. Pure.

use std::time::Duration;

use crate::common::event::{Event, NixEvent};
use crate::common::transcript::{Transcript, forecast};
use crate::ui::frame::{self, Size, frame};
use crate::ui::json::{self, Json};
use crate::ui::plain::{self, Plain};
use crate::ui::sanitize::message;
use crate::ui::state::State;
use crate::ui::{colour, summary, words};

/// What an event comes to on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A line about the run itself, without its end: never left out.
    Line(String),
    /// A line of somebody's log, without its end: the log file has it too.
    Log(String),
    /// How far something is, without its end: the next one says it as well.
    Progress(String),
    /// The terminal is another's from here on.
    Closed,
    /// The terminal is another's for a moment.
    Paused,
}

/// How the events are shown.
#[derive(Debug)]
pub(super) enum Kind {
    /// Lines above a live view.
    Live,
    /// Lines.
    Plain(Plain),
    /// Objects for programs.
    Json(Json),
}

/// The fold of events to lines; knows the state that the live view shows.
#[derive(Debug)]
pub(super) struct View {
    kind: Kind,
    /// 0: the run; 1: the builder's log as well; 2: all that the log file gets.
    verbose: u8,
    coloured: bool,
    state: State,
    transcript: Transcript,
    /// The longest lists of what is to be built and fetched that were told.
    foretold: (u64, u64),
}

impl View {
    /// A view of that kind, `verbose` from 0 to 2.
    pub(super) fn new(kind: Kind, verbose: u8, coloured: bool) -> Self {
        Self {
            kind,
            verbose,
            coloured,
            state: State::default(),
            transcript: Transcript::default(),
            foretold: (0, 0),
        }
    }

    /// Takes note of `event`, which happened `at`; the items that it comes to, in order.
    pub(super) fn hear(&mut self, event: &Event, at: Duration) -> Vec<Item> {
        let mut items = Vec::new();
        if let Kind::Plain(plain) = &mut self.kind {
            let line = plain.note(event, &self.state, at);
            items.extend(line.map(|line| Item::Line(message(&line))));
        }
        self.state.apply(event, at);
        match &mut self.kind {
            Kind::Json(json) => {
                if self.verbose > 0 || !is_log(event) {
                    items.extend(json.line(event, &self.state, at).map(item_of(event)));
                }
            }
            Kind::Live | Kind::Plain(_) => items.extend(self.lines(event, at)),
        }
        if *event == Event::TerminalGiven {
            items.push(Item::Closed);
        }
        items
    }

    /// The lines for people.
    fn lines(&mut self, event: &Event, at: Duration) -> Vec<Item> {
        let line = |text: &str| vec![Item::Line(self.paint(message(text)))];
        match event {
            Event::Finished(phase, took) => {
                let (phase, took) = (words::phase(*phase), words::duration(*took));
                line(&format!("{phase}: done in {took}"))
            }
            Event::Warning(text) => line(&format!("warning: {text}")),
            Event::Notice(text) => line(text),
            Event::LogFile(path) => line(&format!("log: {}", path.display())),
            Event::Nix(event) => {
                let forecast = self.foretold(event).map(|text| Item::Line(message(&text)));
                let spoken = self.spoken(event).map(|text| Item::Log(message(&text)));
                forecast.or(spoken).into_iter().collect()
            }
            Event::Console(text) if self.verbose > 0 => vec![Item::Log(message(text))],
            Event::WorkEnded => {
                let table = summary::table(&self.state, at).into_iter();
                table.map(|row| Item::Line(message(&row))).collect()
            }
            Event::Started(_) | Event::Bytes { .. } | Event::Console(_) | Event::TerminalGiven => {
                Vec::new()
            }
        }
    }

    /// Nix's forecast, unless it is a shorter one of a later step.
    fn foretold(&mut self, event: &NixEvent) -> Option<String> {
        let (told, amount) = if let NixEvent::WillBuild { derivations } = event {
            (&mut self.foretold.0, *derivations)
        } else if let NixEvent::WillFetch { paths, .. } = event {
            (&mut self.foretold.1, *paths)
        } else if let NixEvent::WillEmulate { .. } = event {
            return forecast(event);
        } else {
            return None;
        };
        let more = amount > *told;
        *told = amount.max(*told);
        forecast(event).filter(|_| more)
    }

    /// The line of the builder's log that this event is, when it is asked for.
    fn spoken(&mut self, event: &NixEvent) -> Option<String> {
        let line = self.transcript.line(event)?;
        // warnings are told in any case
        let to_people = |level| level <= 3 && level != 1;
        let log = matches!(event, NixEvent::BuildLine { .. } | NixEvent::Other(_))
            || matches!(event, NixEvent::Message { level, .. } if to_people(*level));
        let asked_for = if log { 1 } else { 2 };
        (self.verbose >= asked_for).then_some(line)
    }

    /// The terminal is no longer ours to draw on: what takes long is told in lines from here on.
    pub(super) fn end_live(&mut self) {
        if matches!(self.kind, Kind::Live) {
            self.kind = Kind::Plain(Plain::default());
        }
    }

    /// The lines that are due without an event.
    pub(super) fn tick(&mut self, at: Duration) -> Vec<Item> {
        let Kind::Plain(plain) = &mut self.kind else {
            return Vec::new();
        };
        let lines = plain.tick(&self.state, at, self.verbose == 0);
        lines.iter().map(|line| Item::Line(message(line))).collect()
    }

    /// The live view; `None` where there is none.
    pub(super) fn frame(&self, at: Duration, size: Size) -> Option<Vec<String>> {
        matches!(self.kind, Kind::Live).then(|| frame(&self.state, at, size))
    }

    /// How often something changes without an event; `None`: never.
    pub(super) fn rhythm(&self) -> Option<Duration> {
        self.state.phase()?;
        match self.kind {
            Kind::Live => Some(frame::TURN),
            Kind::Plain(_) => Some(plain::LOOK),
            Kind::Json(_) => None,
        }
    }

    /// What stands for `lines` of a log that nobody read in time.
    pub(super) fn left_out(&self, lines: u64) -> String {
        match self.kind {
            Kind::Json(_) => json::left_out(lines),
            Kind::Live | Kind::Plain(_) => {
                format!("({lines} lines that nobody read in time are left out)")
            }
        }
    }

    fn paint(&self, text: String) -> String {
        if self.coloured {
            colour::paint(&text)
        } else {
            text
        }
    }
}

/// What an object that tells of `event` is.
fn item_of(event: &Event) -> fn(String) -> Item {
    let counts = matches!(
        event,
        Event::Bytes { .. } | Event::Nix(NixEvent::Moved { .. })
    );
    match () {
        () if is_log(event) => Item::Log,
        () if counts => Item::Progress,
        () => Item::Line,
    }
}

/// Whether `event` is a line of a log, of which there may be any number.
fn is_log(event: &Event) -> bool {
    use NixEvent::{BuildLine, Message, Other};
    matches!(
        event,
        Event::Console(_) | Event::Nix(BuildLine { .. } | Other(_) | Message { .. })
    )
}
