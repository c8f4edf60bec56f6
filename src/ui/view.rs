//! What is said of which event, and what of it may be left out when nobody reads. Pure.

use crate::event::{Event, NixEvent};
use crate::ui::sanitize::message;
use crate::ui::words;

/// What an event comes to on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Item {
    /// A phase began.
    Began,
    /// A phase ended.
    Ended,
    /// A line about the run itself, without its end: never left out.
    Line(String),
    /// A line of somebody's log, without its end: the log file has it too.
    Log(String),
    /// The terminal is another's from here on.
    Closed,
}

/// The items of `event`, in order; `verbose` adds the builder's log.
pub(super) fn items(event: &Event, verbose: bool) -> Vec<Item> {
    let line = |text: &str| vec![Item::Line(message(text))];
    let log = |text: &str| vec![Item::Log(message(text))];
    match event {
        Event::Started(_) => vec![Item::Began],
        Event::Finished(phase, took) => {
            let (phase, took) = (words::phase(*phase), words::duration(*took));
            vec![Item::Ended, Item::Line(format!("{phase}: done in {took}"))]
        }
        Event::Warning(text) => line(&format!("warning: {text}")),
        Event::Notice(text) => line(text),
        Event::LogFile(path) => line(&format!("log: {}", path.display())),
        Event::Nix(event) if verbose => spoken(event).map(log).unwrap_or_default(),
        Event::Console(text) if verbose => log(text),
        Event::TerminalGiven => vec![Item::Closed],
        Event::Nix(_) | Event::Bytes { .. } | Event::Console(_) => Vec::new(),
    }
}

/// What Nix says to people.
fn spoken(event: &NixEvent) -> Option<&str> {
    match event {
        NixEvent::BuildLine { line, .. } | NixEvent::Other(line) => Some(line),
        NixEvent::Message { level, text } if *level <= 3 => Some(text),
        NixEvent::Message { .. }
        | NixEvent::BuildStarted { .. }
        | NixEvent::FetchStarted { .. }
        | NixEvent::Stopped { .. }
        | NixEvent::BuildPhase { .. }
        | NixEvent::Built { .. }
        | NixEvent::Fetched { .. } => None,
    }
}
