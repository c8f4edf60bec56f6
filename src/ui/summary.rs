//! The table at the end of a run: how long phases and the slowest builds took. Pure.

use std::time::Duration;

use crate::ui::state::{Ended, State};
use crate::ui::words;
use sdbuild_core::event::{Phase, Stop};
use sdbuild_core::text::truncate;

/// Width of the names, so that the table fits 80 columns.
const NAME: usize = 56;
/// Width of the times: `12 h 34 min`.
const TIME: usize = 12;

/// The phases and the slowest derivations with their times; empty if Nix did not run.
pub(super) fn table(state: &State, at: Duration) -> Vec<String> {
    if !state
        .ended()
        .iter()
        .any(|ended| ended.phase == Phase::Build)
    {
        return Vec::new();
    }
    let rows = |(name, took): &(String, Duration)| row(name, &words::duration(*took));
    let phases = state.ended().iter();
    let mut lines: Vec<String> = phases
        .map(|Ended { phase, took, stop }| {
            let how = match stop {
                None => "",
                Some(Stop::Failed | Stop::Question | Stop::Tolerated) => ": failed",
                Some(Stop::Interrupted) => ": interrupted",
                Some(Stop::Refused) => ": refused",
            };
            let name = format!("{}{how}", words::phase(*phase));
            row(&name, &words::duration(*took))
        })
        .collect();
    lines.insert(0, row("phase", "took"));
    let all = at.saturating_sub(state.began().unwrap_or(at));
    lines.push(row("total", &words::duration(all)));
    if !state.slowest().is_empty() {
        lines.push(row("slowest derivations", "took"));
        lines.extend(state.slowest().iter().map(rows));
    }
    lines
}

fn row(name: &str, took: &str) -> String {
    let name = truncate(name, NAME);
    format!("  {name:<0$}{took:>TIME$}", NAME + 2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::Event;
    use sdbuild_core::nix_event::NixEvent;

    #[test]
    fn phases_come_before_the_slowest_derivations() {
        let mut state = State::default();
        let second = Duration::from_secs(1);
        let mut apply = |event, at| state.apply(&event, second * at);
        apply(Event::Started(Phase::Fetch), 3);
        apply(Event::Finished(Phase::Fetch, second * 4), 7);
        assert!(table(&state, second).is_empty());
        let mut apply = |event, at| state.apply(&event, second * at);
        apply(Event::Started(Phase::Build), 7);
        let derivation = format!("/nix/store/{}-{}.drv", "a".repeat(32), "k".repeat(80));
        apply(
            Event::Nix(NixEvent::BuildStarted {
                id: 1,
                derivation,
                machine: String::new(),
            }),
            8,
        );
        apply(Event::Nix(NixEvent::Stopped { id: 1 }), 3700);
        apply(Event::Finished(Phase::Build, second * 3695), 3702);
        let lines = table(&state, second * 3703);
        let words: Vec<String> = lines
            .iter()
            .map(|l| l.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let kernel = format!("{}… 1 h 01 min", "k".repeat(NAME));
        assert_eq!(
            words,
            [
                "phase took",
                "Downloads 4.0 s",
                "Build 1 h 01 min",
                "total 1 h 01 min",
                "slowest derivations took",
                &kernel,
            ]
        );
        assert!(lines.iter().all(|line| line.chars().count() < 80));
    }

    #[test]
    fn failed_and_refused_phases_are_marked() {
        let second = Duration::from_secs(1);
        for (stop, marked) in [
            (Stop::Failed, "Build: failed 4.0 s"),
            (Stop::Refused, "Build: refused 4.0 s"),
        ] {
            let mut state = State::default();
            for (event, at) in [
                (Event::Started(Phase::Build), 1),
                (Event::Stopped(Phase::Build, second * 4, stop), 5),
                (Event::Started(Phase::Release), 5),
                (Event::Finished(Phase::Release, second), 6),
                (Event::WorkEnded, 6),
            ] {
                state.apply(&event, second * at);
            }
            let lines = table(&state, second * 6);
            let words = lines[1].split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!(words, marked);
            assert_eq!(lines.len(), 4, "{lines:?}");
        }
    }
}
