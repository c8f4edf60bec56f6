//! Which lines about failed phases are due. Pure.

use crate::common::event::{Event, Phase, Stop};
use crate::ui::state::{Ended, State};

/// Remembers which failures were told.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Whether the run has a header. Below it each phase has a line; without one, the error alone says what failed.
    has_header: bool,
    told: Vec<Phase>,
}

impl Failures {
    /// The phases whose failure is told now that `event` has happened. `state` already includes the event.
    ///
    /// A failure is told when it happens, before anything is cleaned up. What waits for an answer is told at the end, if it was not
    /// done after the answer. An interruption is none, and the errors say what the checks found.
    pub(super) fn due(&mut self, event: &Event, state: &State) -> Vec<Ended> {
        let is_end = *event == Event::WorkEnded;
        let has_failed = matches!(event, Event::Stopped(_, _, Stop::Failed));
        self.has_header |= matches!(event, Event::RunStarted(_));
        if !(is_end || has_failed && self.has_header) {
            return Vec::new();
        }
        let is_due = |ended: &&Ended| match ended.stop {
            _ if ended.phase == Phase::Preflight || self.told.contains(&ended.phase) => false,
            Some(Stop::Failed) => true,
            Some(Stop::Question) => is_end,
            Some(Stop::Interrupted) | None => false,
        };
        let due: Vec<Ended> = state.ended().iter().filter(is_due).copied().collect();
        self.told.extend(due.iter().map(|ended| ended.phase));
        due
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::common::event::RunSummary;

    const SECOND: Duration = Duration::from_secs(1);

    /// The phases that each of the events tells.
    fn told(events: &[Event]) -> Vec<Vec<Phase>> {
        let (mut failures, mut state) = (Failures::default(), State::default());
        let told = events.iter().map(|event| {
            state.apply(event, SECOND);
            let due = failures.due(event, &state);
            due.iter().map(|ended| ended.phase).collect()
        });
        told.collect()
    }

    fn header() -> Event {
        Event::RunStarted(RunSummary::default())
    }

    fn stopped(phase: Phase, stop: Stop) -> Event {
        Event::Stopped(phase, SECOND, stop)
    }

    #[test]
    fn a_failure_is_told_once_when_it_happens() {
        let events = [
            header(),
            stopped(Phase::Build, Stop::Failed),
            stopped(Phase::Release, Stop::Failed),
            Event::WorkEnded,
        ];
        let none = vec![];
        let each = [none.clone(), vec![Phase::Build], vec![Phase::Release], none];
        assert_eq!(told(&events), each);
    }

    #[test]
    fn without_a_header_a_failure_is_told_at_the_end() {
        let events = [stopped(Phase::Boot, Stop::Failed), Event::WorkEnded];
        assert_eq!(told(&events), [vec![], vec![Phase::Boot]]);
    }

    #[test]
    fn neither_checks_nor_interruptions_are_told_as_failures() {
        let events = [
            header(),
            stopped(Phase::Preflight, Stop::Failed),
            stopped(Phase::Build, Stop::Interrupted),
            Event::WorkEnded,
        ];
        assert!(told(&events).concat().is_empty());
    }

    #[test]
    fn what_waits_for_an_answer_has_failed_only_at_the_end() {
        let asks = stopped(Phase::CopyOut, Stop::Question);
        let events = [header(), asks.clone(), Event::WorkEnded];
        assert_eq!(told(&events), [vec![], vec![], vec![Phase::CopyOut]]);
        let done = Event::Finished(Phase::CopyOut, SECOND);
        let events = [header(), asks, done, Event::WorkEnded];
        assert!(told(&events).concat().is_empty());
    }
}
