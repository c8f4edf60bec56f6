//! Which lines about phases that did not succeed are due. Pure.

use std::time::Duration;

use crate::ui::state::Ended;
use sdbuild_core::event::{Event, Phase, Stop};

/// Remembers the failures that are not told yet.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Whether the run has a header. Below it each phase has a line; without one, the error alone says what failed.
    has_header: bool,
    untold: Vec<Ended>,
}

impl Failures {
    /// The phases whose end is told now that `event` has happened.
    ///
    /// A failure and an interruption are told when they happen, before anything is cleaned up. What waits for an answer is told at the
    /// end, if it was not done after the answer. A warning tells what the run survives, and the errors say what the checks found.
    pub(super) fn due(&mut self, event: &Event) -> Vec<Ended> {
        match event {
            Event::RunStarted(_) => self.has_header = true,
            Event::Finished(phase, _) => self.forget(*phase),
            Event::Stopped(phase, took, stop) => return self.stopped(*phase, *took, *stop),
            Event::WorkEnded => return std::mem::take(&mut self.untold),
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
            Stop::Failed | Stop::Question => self.untold.push(ended),
            Stop::Tolerated | Stop::Refused => {}
        }
        Vec::new()
    }

    /// After an answer a phase is done again.
    fn forget(&mut self, phase: Phase) {
        self.untold.retain(|ended| ended.phase != phase);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::RunSummary;

    const SECOND: Duration = Duration::from_secs(1);

    /// The phases that each of the events tells.
    fn told(events: &[Event]) -> Vec<Vec<Phase>> {
        let mut failures = Failures::default();
        let told = events.iter().map(|event| {
            let due = failures.due(event);
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

    /// Once, a machine of an earlier run that could not be given back was told as a failure of the run, which hid a later one of its own.
    #[test]
    fn what_the_run_survives_hides_no_later_failure() {
        let tolerated = stopped(Phase::GiveBack, Stop::Tolerated);
        let events = [tolerated.clone(), header(), Event::WorkEnded];
        assert!(told(&events).concat().is_empty());
        let failed = |phase| stopped(phase, Stop::Failed);
        let events = [
            tolerated,
            header(),
            failed(Phase::Build),
            failed(Phase::GiveBack),
            failed(Phase::GiveBack),
            Event::WorkEnded,
        ];
        let expected = [Phase::Build, Phase::GiveBack, Phase::GiveBack];
        assert_eq!(told(&events).concat(), expected);
    }

    #[test]
    fn without_a_header_a_failure_is_told_at_the_end() {
        let events = [stopped(Phase::Boot, Stop::Failed), Event::WorkEnded];
        assert_eq!(told(&events), [vec![], vec![Phase::Boot]]);
    }

    /// The name of the image is taken, which shows when its configuration is evaluated.
    #[test]
    fn a_build_that_was_refused_has_not_failed() {
        let refused = stopped(Phase::Build, Stop::Refused);
        let events = [header(), refused, Event::WorkEnded];
        assert!(told(&events).concat().is_empty());
    }

    #[test]
    fn failed_checks_are_not_told() {
        let failed = stopped(Phase::Preflight, Stop::Failed);
        let events = [header(), failed, Event::WorkEnded];
        assert!(told(&events).concat().is_empty());
    }

    #[test]
    fn an_interruption_is_told_at_once_with_and_without_a_header() {
        for phase in [Phase::Preflight, Phase::Flash] {
            let interrupted = stopped(phase, Stop::Interrupted);
            assert_eq!(told(std::slice::from_ref(&interrupted)), [vec![phase]]);
            assert_eq!(told(&[header(), interrupted]), [vec![], vec![phase]]);
        }
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
