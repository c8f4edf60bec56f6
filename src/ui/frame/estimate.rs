//! How long a phase and the whole run still take, as text beside what the live view counts. Pure.

use std::time::Duration;

use console::measure_text_width;

use crate::common::event::Phase;
use crate::ui::state::{State, UnknownTimeLeft};
use crate::ui::words;

/// Columns of the longest estimate: `longer than last time`.
const ESTIMATE_COLUMNS: usize = 21;
/// What the time of the whole run begins with.
const WHOLE_RUN: &str = "in all: ";

/// The time that something still takes.
pub(super) struct Estimate {
    pub(super) text: String,
    /// The columns of the longest such text.
    pub(super) columns: usize,
}

impl Estimate {
    /// That of the current phase, with its name if others follow.
    fn of_phase(state: &State, at: Duration) -> Option<Self> {
        let left = left_of_phase(state, at)?;
        let phase = state.phase().filter(|_| !state.to_come().is_empty());
        let of = phase.map(|(phase, _)| format!("{}: ", words::phase(phase)));
        let of = of.unwrap_or_default();
        Some(Self {
            columns: of.len() + ESTIMATE_COLUMNS,
            text: of + &left,
        })
    }
}

/// The time that stands beside what the phase counts: of the phase if others follow, else of the whole run.
pub(super) fn left_beside_counts(
    state: &State,
    at: Duration,
    room: usize,
    has_next: bool,
) -> Option<Estimate> {
    let of_phase = || Estimate::of_phase(state, at);
    if !has_next || !state.is_part() {
        of_phase()
    } else if state.to_come().is_empty() {
        of_run(state, at, room)
    } else {
        // Two of them would be read as a contradiction.
        of_phase().filter(|_| left_of_run(state, at).is_none())
    }
}

/// How long the whole run has taken and still takes, as much of it as there is room for, in columns.
pub(super) fn of_run(state: &State, at: Duration, room: usize) -> Option<Estimate> {
    if !state.is_part() {
        return None;
    }
    let so_far = format!("{} so far", words::seconds(at));
    let longest = so_far.len() + 2 + ESTIMATE_COLUMNS;
    // What stands there must not change its form when an estimate appears.
    let name = if room < WHOLE_RUN.len() + longest {
        ""
    } else {
        WHOLE_RUN
    };
    let texts = match left_of_run(state, at) {
        Some(left) => [format!("{name}{so_far}, {left}"), left],
        None => [format!("{name}{so_far}"), String::new()],
    };
    let fits = |text: &String| (1..=room).contains(&measure_text_width(text));
    let text = texts.into_iter().find(fits)?;
    // An estimate that appears must not move the time to another line.
    let is_near = !state.to_come().contains(&Phase::Build);
    let columns = if is_near {
        name.len() + longest
    } else {
        text.len()
    };
    Some(Estimate { text, columns })
}

/// How long the current phase and those that follow still take, or why that is unknown.
fn left_of_run(state: &State, at: Duration) -> Option<String> {
    let whole = state.whole_time_left(at).map(words::time_left);
    whole.or_else(|| state.unknown_time_left(at).map(unknown_time))
}

/// How long the current phase still takes, or why that is unknown.
fn left_of_phase(state: &State, at: Duration) -> Option<String> {
    let left = state.time_left(at).map(words::time_left);
    left.or_else(|| state.unknown_time_left(at).map(unknown_time))
}

/// What stands in place of an estimate.
fn unknown_time(why: UnknownTimeLeft) -> String {
    let text = match why {
        UnknownTimeLeft::Late => "longer than last time",
        UnknownTimeLeft::New => "time left unknown",
    };
    text.to_owned()
}
