//! The fold of events that both views show: which phase, how far, what Nix is at.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::event::{Event, NixEvent, Phase};
use crate::ui::words;

/// More activities than any build has at once; the oldest ones make room for what comes after.
const MOST_ACTIVE: usize = 4096;

/// Where the run is.
#[derive(Debug, Default)]
pub(super) struct State {
    phase: Option<Phase>,
    bytes: Option<(u64, Option<u64>)>,
    /// When the phase began, for those whose pace a person wants to know.
    timed: Option<Instant>,
    built: (u64, u64),
    fetched: (u64, u64),
    active: BTreeMap<u64, String>,
}

impl State {
    /// Takes note of `event`.
    pub(super) fn apply(&mut self, event: &Event) {
        match event {
            Event::Started(phase) => {
                self.phase = Some(*phase);
                self.bytes = None;
                let timed = matches!(phase, Phase::Flash | Phase::Verify);
                self.timed = timed.then(Instant::now);
            }
            Event::Finished(phase, _) => {
                if self.phase == Some(*phase) {
                    self.phase = None;
                }
            }
            Event::Bytes { phase, done, total } => {
                if self.phase == Some(*phase) {
                    self.bytes = Some((*done, *total));
                }
            }
            Event::Nix(event) => self.apply_nix(event),
            Event::Warning(_)
            | Event::Notice(_)
            | Event::LogFile(_)
            | Event::Console(_)
            | Event::TerminalGiven => {}
        }
    }

    fn apply_nix(&mut self, event: &NixEvent) {
        match event {
            NixEvent::BuildStarted { id, derivation } => {
                self.begin(*id, format!("building {}", short(derivation)));
            }
            NixEvent::FetchStarted { id, path } => {
                self.begin(*id, format!("fetching {}", short(path)));
            }
            NixEvent::Stopped { id } => {
                self.active.remove(id);
            }
            NixEvent::Built { done, expected } => self.built = (*done, *expected),
            NixEvent::Fetched { done, expected } => self.fetched = (*done, *expected),
            NixEvent::Message { .. }
            | NixEvent::BuildLine { .. }
            | NixEvent::BuildPhase { .. }
            | NixEvent::Other(_) => {}
        }
    }

    fn begin(&mut self, id: u64, activity: String) {
        if self.active.len() >= MOST_ACTIVE {
            self.active.pop_first();
        }
        self.active.insert(id, activity);
    }

    /// The current phase.
    pub(super) fn phase(&self) -> Option<Phase> {
        self.phase
    }

    /// How far the current phase is, when that is known: `12 MB of 42 MB`, `built 3/62, …`.
    pub(super) fn how_far(&self) -> Option<String> {
        if self.phase == Some(Phase::Build) {
            return self.how_far_nix();
        }
        self.bytes.map(|(done, total)| {
            let pace = self
                .timed
                .map(|since| words::pace(done, total, since.elapsed()));
            let pace = pace.unwrap_or_default();
            match total {
                Some(total) => format!("{} of {}{pace}", words::bytes(done), words::bytes(total)),
                None => format!("{}{pace}", words::bytes(done)),
            }
        })
    }

    fn how_far_nix(&self) -> Option<String> {
        let mut parts = Vec::new();
        for (verb, (done, expected)) in [("fetched", self.fetched), ("built", self.built)] {
            if expected > 0 {
                parts.push(format!("{verb} {done}/{expected}"));
            }
        }
        parts.extend(self.active.values().next_back().cloned());
        (!parts.is_empty()).then(|| parts.join(", "))
    }
}

/// A store path without folder, hash and `.drv`.
fn short(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.split_once('-').map_or(name, |(_, rest)| rest);
    name.strip_suffix(".drv").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nix_is_told_in_counts_and_the_newest_activity() {
        let mut state = State::default();
        state.apply(&Event::Started(Phase::Build));
        assert_eq!(state.how_far(), None);
        for event in [
            NixEvent::Built {
                done: 3,
                expected: 62,
            },
            NixEvent::BuildStarted {
                id: 7,
                derivation: "/nix/store/abc-kernel-6.12.drv".into(),
            },
            NixEvent::FetchStarted {
                id: 8,
                path: "/nix/store/abc-bash".into(),
            },
            NixEvent::Stopped { id: 8 },
        ] {
            state.apply(&Event::Nix(event));
        }
        assert_eq!(state.how_far().unwrap(), "built 3/62, building kernel-6.12");
    }

    #[test]
    fn activities_that_never_end_do_not_pile_up() {
        let mut state = State::default();
        state.apply(&Event::Started(Phase::Build));
        for id in 0..10_000 {
            let path = format!("/nix/store/abc-p{id}");
            state.apply(&Event::Nix(NixEvent::FetchStarted { id, path }));
        }
        assert_eq!(state.active.len(), MOST_ACTIVE);
        assert_eq!(state.how_far().unwrap(), "fetching p9999");
    }

    #[test]
    fn bytes_of_another_phase_are_not_shown() {
        let mut state = State::default();
        state.apply(&Event::Started(Phase::CopyOut));
        state.apply(&Event::Bytes {
            phase: Phase::Fetch,
            done: 1,
            total: None,
        });
        assert_eq!(state.how_far(), None);
        state.apply(&Event::Bytes {
            phase: Phase::CopyOut,
            done: 1000,
            total: Some(2000),
        });
        assert_eq!(state.how_far().unwrap(), "1.0 kB of 2.0 kB");
    }
}
