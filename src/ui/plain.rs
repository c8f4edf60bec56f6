//! The view without a terminal: a line for each change, and periodic lines for what takes long. Pure.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::event::{Event, NixEvent};
use crate::common::transcript::short_name;
use crate::ui::frame::doing;
use crate::ui::state::{ActivityKind, MAX_ACTIVE, State};
use crate::ui::words;

/// Minimum time between two lines about the same build, and between two progress lines of a phase.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often a build without new output gets a line, to show that it is still running.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// How often [`Plain::tick`] is called; lines are late by at most this much.
pub(super) const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// The last line about a build: when it was written, and the activity's change count then.
#[derive(Debug)]
struct LastLine {
    at: Duration,
    changes: u64,
}

/// Remembers which lines were written when.
#[derive(Debug, Default)]
pub(super) struct Plain {
    builds: HashMap<u64, LastLine>,
    progress_at: Duration,
    progress: Option<String>,
}

impl Plain {
    /// The line for `event`, if it has one; `before` is the state before the event.
    pub(super) fn line(&mut self, event: &Event, before: &State, at: Duration) -> Option<String> {
        if matches!(event, Event::Started(_)) {
            self.builds.clear();
            self.progress_at = at;
            self.progress = None;
        }
        if let Event::Nix(NixEvent::BuildStarted { id, derivation }) = event {
            if self.builds.len() >= MAX_ACTIVE {
                self.builds.clear();
            }
            self.builds.insert(*id, LastLine { at, changes: 0 });
            return Some(format!("building {}", short_name(derivation)));
        }
        if let Event::Nix(NixEvent::Stopped { id }) = event {
            self.builds.remove(id)?;
            let activity = before.activity(*id)?;
            let took = at.saturating_sub(activity.since);
            let line = format!("{} ended after {}", activity.name, words::duration(took));
            // A short build already had the line about its start.
            return Some(line).filter(|_| took >= INTERVAL);
        }
        None
    }

    /// The lines that are due now: the progress of the phase and, with `with_builds`, the state of long builds.
    pub(super) fn tick(&mut self, state: &State, at: Duration, with_builds: bool) -> Vec<String> {
        let mut lines: Vec<String> = self.progress_line(state, at).into_iter().collect();
        if with_builds {
            lines.extend(self.builds(state, at));
        }
        lines
    }

    fn progress_line(&mut self, state: &State, at: Duration) -> Option<String> {
        let (phase, _) = state.phase()?;
        let progress = state.progress()?;
        let due = at.saturating_sub(self.progress_at) >= INTERVAL
            && self.progress.as_ref() != Some(&progress);
        if !due {
            return None;
        }
        self.progress_at = at;
        let line = format!("{}: {progress}", words::phase(phase));
        self.progress = Some(progress);
        Some(line)
    }

    fn builds(&mut self, state: &State, at: Duration) -> Vec<String> {
        let mut lines = Vec::new();
        for (id, activity) in state
            .active()
            .filter(|(_, a)| a.kind == ActivityKind::Build)
        {
            let Some(last) = self.builds.get_mut(&id) else {
                continue;
            };
            let silent = at.saturating_sub(last.at);
            if silent < INTERVAL || last.changes == activity.changes && silent < KEEPALIVE_INTERVAL
            {
                continue;
            }
            *last = LastLine {
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

    /// A view that is ticked every second.
    #[derive(Default)]
    struct Recorder {
        plain: Plain,
        state: State,
        lines: Vec<(u64, String)>,
    }

    impl Recorder {
        fn handle(&mut self, second: u64, event: &Event) {
            let at = Duration::from_secs(second);
            let line = self.plain.line(event, &self.state, at);
            self.lines.extend(line.map(|line| (second, line)));
            self.state.apply(event, at);
        }

        fn watch(
            &mut self,
            seconds: std::ops::Range<u64>,
            mut each: impl FnMut(u64) -> Option<NixEvent>,
        ) {
            for second in seconds {
                if let Some(event) = each(second) {
                    self.handle(second, &Event::Nix(event));
                }
                let lines = self
                    .plain
                    .tick(&self.state, Duration::from_secs(second), true);
                self.lines
                    .extend(lines.into_iter().map(|line| (second, line)));
            }
        }
    }

    fn began(id: u64, name: &str) -> Event {
        let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
        Event::Nix(NixEvent::BuildStarted { id, derivation })
    }

    #[test]
    fn running_build_gets_a_line_every_ten_seconds() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::Build));
        recorder.handle(1, &began(1, "kernel"));
        recorder.watch(1..35, |second| {
            let line = format!("line {second}");
            Some(NixEvent::BuildLine { id: 1, line })
        });
        recorder.handle(60, &Event::Nix(NixEvent::Stopped { id: 1 }));
        let lines: Vec<_> = recorder
            .lines
            .iter()
            .map(|(at, line)| (*at, line.as_str()))
            .collect();
        assert_eq!(
            lines,
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
    fn silent_build_gets_a_line_every_minute() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::Build));
        recorder.handle(0, &began(1, "kernel"));
        recorder.handle(1, &began(2, "quick"));
        recorder.handle(3, &Event::Nix(NixEvent::Stopped { id: 2 }));
        recorder.watch(4..150, |_| None);
        let kernel = recorder
            .lines
            .iter()
            .filter(|(_, line)| line.contains("kernel"));
        assert_eq!(kernel.map(|(at, _)| *at).collect::<Vec<_>>(), [0, 60, 120]);
        let quick = recorder
            .lines
            .iter()
            .filter(|(_, line)| line.contains("quick"));
        assert_eq!(quick.count(), 1);
    }

    #[test]
    fn progress_is_written_when_it_changed() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::Build));
        recorder.watch(0..100, |second| {
            (second < 50).then_some(NixEvent::Built {
                done: second,
                expected: 60,
            })
        });
        let at: Vec<u64> = recorder.lines.iter().map(|(at, _)| *at).collect();
        assert_eq!(at, [10, 20, 30, 40, 50]);
    }
}
