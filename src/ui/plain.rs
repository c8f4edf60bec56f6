//! The view of what is no terminal: a line per change, and now and then one of what takes long. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::event::{Event, NixEvent};
use crate::common::transcript::short_name;
use crate::ui::frame::doing;
use crate::ui::state::{Kind, State};
use crate::ui::words;

/// The least time between two lines of one build, and between two of how far a phase is.
const INTERVAL: Duration = Duration::from_secs(10);
/// A build of which nothing new is heard has a line that often: who watches shall know that it lives.
const SILENCE: Duration = Duration::from_secs(60);
/// How often the view is asked: lines are late by that much at most.
pub(super) const LOOK: Duration = Duration::from_secs(1);

/// When a build had its last line, and how many changes that knew of.
#[derive(Debug)]
struct Told {
    at: Duration,
    changes: u64,
}

/// Knows what was said when.
#[derive(Debug, Default)]
pub(super) struct Plain {
    builds: HashMap<u64, Told>,
    far_at: Duration,
    far: Option<String>,
}

impl Plain {
    /// The lines for `event`; `before` is the state that does not know of it yet.
    pub(super) fn note(&mut self, event: &Event, before: &State, at: Duration) -> Option<String> {
        if matches!(event, Event::Started(_)) {
            self.builds.clear();
            self.far_at = at;
            self.far = None;
        }
        if let Event::Nix(NixEvent::BuildStarted { id, derivation }) = event {
            self.builds.insert(*id, Told { at, changes: 0 });
            return Some(format!("building {}", short_name(derivation)));
        }
        if let Event::Nix(NixEvent::Stopped { id }) = event {
            self.builds.remove(id)?;
            let activity = before.activity(*id)?;
            let took = at.saturating_sub(activity.since);
            let told = format!("{} ended after {}", activity.name, words::duration(took));
            // Quick ones have had their line.
            return Some(told).filter(|_| took >= INTERVAL);
        }
        None
    }

    /// The lines that are due: how far the phase is and, unless their log is shown anyway, what
    /// long builds are at.
    pub(super) fn tick(&mut self, state: &State, at: Duration, with_builds: bool) -> Vec<String> {
        let mut lines: Vec<String> = self.how_far(state, at).into_iter().collect();
        if with_builds {
            lines.extend(self.builds(state, at));
        }
        lines
    }

    fn how_far(&mut self, state: &State, at: Duration) -> Option<String> {
        let (phase, _) = state.phase()?;
        let far = state.how_far()?;
        let due = at.saturating_sub(self.far_at) >= INTERVAL && self.far.as_ref() != Some(&far);
        if !due {
            return None;
        }
        self.far_at = at;
        let line = format!("{}: {far}", words::phase(phase));
        self.far = Some(far);
        Some(line)
    }

    fn builds(&mut self, state: &State, at: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, activity) in state.active().filter(|(_, a)| a.kind == Kind::Build) {
            let Some(told) = self.builds.get_mut(&id) else {
                continue;
            };
            let silent = at.saturating_sub(told.at);
            if silent < INTERVAL || told.changes == activity.changes && silent < SILENCE {
                continue;
            }
            *told = Told {
                at,
                changes: activity.changes,
            };
            let elapsed = words::duration(at.saturating_sub(activity.since));
            lines.push(format!("[{elapsed}] {}", doing(activity)));
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::event::Phase;

    /// A view that is asked every second.
    #[derive(Default)]
    struct Watched {
        plain: Plain,
        state: State,
        said: Vec<(u64, String)>,
    }

    impl Watched {
        fn hear(&mut self, second: u64, event: &Event) {
            let at = Duration::from_secs(second);
            let line = self.plain.note(event, &self.state, at);
            self.said.extend(line.map(|line| (second, line)));
            self.state.apply(event, at);
        }

        fn watch(
            &mut self,
            seconds: std::ops::Range<u64>,
            mut each: impl FnMut(u64) -> Option<NixEvent>,
        ) {
            for second in seconds {
                if let Some(event) = each(second) {
                    self.hear(second, &Event::Nix(event));
                }
                let lines = self
                    .plain
                    .tick(&self.state, Duration::from_secs(second), true);
                self.said
                    .extend(lines.into_iter().map(|line| (second, line)));
            }
        }
    }

    fn began(id: u64, name: &str) -> Event {
        let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
        Event::Nix(NixEvent::BuildStarted { id, derivation })
    }

    #[test]
    fn a_running_build_has_a_line_in_ten_seconds_at_most() {
        let mut watched = Watched::default();
        watched.hear(0, &Event::Started(Phase::Build));
        watched.hear(1, &began(1, "kernel"));
        watched.watch(1..35, |second| {
            let line = format!("line {second}");
            Some(NixEvent::BuildLine { id: 1, line })
        });
        watched.hear(60, &Event::Nix(NixEvent::Stopped { id: 1 }));
        let said: Vec<_> = watched
            .said
            .iter()
            .map(|(at, line)| (*at, line.as_str()))
            .collect();
        assert_eq!(
            said,
            [
                (1, "building kernel"),
                (10, "build with Nix: evaluating the configuration"),
                (11, "[10 s] building kernel: line 11"),
                (21, "[20 s] building kernel: line 21"),
                (31, "[30 s] building kernel: line 31"),
                (60, "kernel ended after 59 s"),
            ]
        );
    }

    #[test]
    fn a_silent_build_is_told_of_once_a_minute_and_a_quick_one_once() {
        let mut watched = Watched::default();
        watched.hear(0, &Event::Started(Phase::Build));
        watched.hear(0, &began(1, "kernel"));
        watched.hear(1, &began(2, "quick"));
        watched.hear(3, &Event::Nix(NixEvent::Stopped { id: 2 }));
        watched.watch(4..150, |_| None);
        let kernel = watched
            .said
            .iter()
            .filter(|(_, line)| line.contains("kernel"));
        assert_eq!(kernel.map(|(at, _)| *at).collect::<Vec<_>>(), [0, 60, 120]);
        let quick = watched
            .said
            .iter()
            .filter(|(_, line)| line.contains("quick"));
        assert_eq!(quick.count(), 1);
    }

    #[test]
    fn how_far_is_said_when_it_changed() {
        let mut watched = Watched::default();
        watched.hear(0, &Event::Started(Phase::Build));
        watched.watch(0..100, |second| {
            (second < 50).then_some(NixEvent::Built {
                done: second,
                expected: 60,
            })
        });
        let at: Vec<u64> = watched.said.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [10, 20, 30, 40, 50]);
    }
}
