//! The view without a terminal: lines about what takes long, at most one every ten seconds. Pure.

use std::time::Duration;

use crate::ui::progress;
use crate::ui::state::{Activity, ActivityKind, Fraction, State};
use crate::ui::words;
use sdbuild_core::event::Event;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::short_name;

/// Minimum time between two lines about the progress of a phase.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// How much progress is worth a line: per cent.
const STEP: u64 = 10;
/// Maximum time between two lines, to show that the run goes on.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(60);
/// A build or a download that took so long gets a line when it has ended.
const LONG_PROGRESS_INTERVAL: Duration = Duration::from_secs(60);
/// Builds and downloads that a line names.
const MAX_NAMES: usize = 3;
/// How often [`Plain::tick`] is called; lines are late by at most this much.
pub(super) const TICK_INTERVAL: Duration = Duration::from_secs(1);

/// Remembers what was written when.
#[derive(Debug, Default)]
pub(super) struct Plain {
    written_at: Duration,
    percent: u64,
}

impl Plain {
    /// The line for `event`, if it has one; `before` is the state before the event.
    /// `verbose` names every build that starts.
    pub(super) fn line(
        &mut self,
        event: &Event,
        before: &State,
        at: Duration,
        verbose: bool,
    ) -> Option<String> {
        if matches!(event, Event::Started(_)) {
            *self = Self {
                written_at: at,
                percent: 0,
            };
        } else if let Event::Nix(NixEvent::BuildStarted { derivation, .. }) = event {
            return verbose.then(|| format!("building {}", short_name(derivation)));
        } else if let Event::Nix(NixEvent::Stopped { id }) = event {
            return before
                .activity(*id)
                .and_then(|activity| ended(activity, at));
        }
        None
    }

    /// The line that is due now, if there is one.
    pub(super) fn tick(&mut self, state: &State, at: Duration) -> Option<String> {
        let (phase, since) = state.phase()?;
        let percent = state.fraction().map_or(0, Fraction::percent);
        let silent = at.saturating_sub(self.written_at);
        let advanced = percent >= self.percent + STEP || self.written_at == since;
        if silent < PROGRESS_INTERVAL || !advanced && silent < KEEPALIVE_INTERVAL {
            return None;
        }
        (self.written_at, self.percent) = (at, percent);
        let mut parts = Vec::new();
        parts.extend(state.fraction().map(|_| format!("{percent} %")));
        parts.push(words::seconds(at.saturating_sub(since)));
        parts.extend(progress::counts(state));
        parts.extend(active(state, at));
        Some(format!("{}: {}", words::phase(phase), parts.join(" · ")))
    }
}

/// The line about a build or a download that took long.
fn ended(activity: &Activity, at: Duration) -> Option<String> {
    let took = at.saturating_sub(activity.since);
    let verb = match activity.kind {
        ActivityKind::Build => "built",
        ActivityKind::Fetch => "fetched",
    };
    let line = format!("{}: {verb} in {}", activity.name, words::duration(took));
    Some(line).filter(|_| took >= LONG_PROGRESS_INTERVAL)
}

/// What is built and fetched now: `building linux (50 s), initrd (3 s) and 2 more`.
fn active(state: &State, at: Duration) -> Option<String> {
    let mut builds = progress::listed(state);
    builds.retain(|(activity, _)| activity.kind == ActivityKind::Build);
    let (first, rest) = builds.split_at(builds.len().min(MAX_NAMES));
    let names = first.iter().map(|(activity, count)| {
        let took = words::seconds(at.saturating_sub(activity.since));
        format!("{} ({took})", progress::name(activity, *count))
    });
    let names: Vec<String> = names.collect();
    let more: usize = rest.iter().map(|(_, count)| count).sum();
    let more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    (!names.is_empty()).then(|| format!("building {}{more}", names.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::event::Phase;

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
            let line = self.plain.line(event, &self.state, at, false);
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
                let line = self.plain.tick(&self.state, Duration::from_secs(second));
                self.lines.extend(line.map(|line| (second, line)));
            }
        }

        fn at(&self) -> Vec<u64> {
            self.lines.iter().map(|(at, _)| *at).collect()
        }
    }

    fn began(id: u64, name: &str) -> Event {
        let derivation = format!("/nix/store/{}-{name}.drv", "a".repeat(32));
        Event::Nix(NixEvent::BuildStarted {
            id,
            derivation,
            machine: String::new(),
        })
    }

    #[test]
    fn long_build_is_named_and_its_end_has_a_line() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::Build));
        recorder.handle(1, &began(1, "kernel"));
        recorder.handle(1, &began(2, "quick"));
        recorder.handle(3, &Event::Nix(NixEvent::Stopped { id: 2 }));
        recorder.watch(4..75, |_| None);
        recorder.handle(80, &Event::Nix(NixEvent::Stopped { id: 1 }));
        let lines: Vec<_> = recorder
            .lines
            .iter()
            .map(|(at, l)| (*at, l.as_str()))
            .collect();
        assert_eq!(
            lines,
            [
                (
                    10,
                    "Build: 10 s · evaluating the configuration · building kernel (9 s)"
                ),
                (
                    70,
                    "Build: 1 min 10 s · evaluating the configuration · building kernel (1 min 09 s)"
                ),
                (80, "kernel: built in 1 min 19 s"),
            ]
        );
    }

    #[test]
    fn line_needs_ten_seconds_and_ten_per_cent() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::CopyOut));
        for second in 0..=300 {
            let (phase, done, total) = (Phase::CopyOut, second, Some(300));
            recorder.handle(second, &Event::Bytes { phase, done, total });
            recorder.watch(second..second + 1, |_| None);
        }
        // The first line after ten seconds, then one for each tenth.
        assert_eq!(
            recorder.at(),
            [10, 40, 70, 100, 130, 160, 190, 220, 250, 280]
        );
        let line = &recorder.lines[4].1;
        assert_eq!(line, "Image: 43 % · 2 min 10 s · 130 of 300 B · 1 B/s");
    }

    /// Their total differed from the size in the result.
    #[test]
    fn estimated_sizes_of_container_images_are_not_told() {
        let mut recorder = Recorder::default();
        let phase = Phase::ContainerImages;
        recorder.handle(0, &Event::Started(phase));
        let (done, total) = (10_000_000, Some(107_000_000));
        recorder.handle(9, &Event::Bytes { phase, done, total });
        recorder.watch(10..11, |_| None);
        assert_eq!(recorder.lines[0].1, "Container images: 9 % · 10 s");
        let size = progress::outcome(&recorder.state);
        assert_eq!(size.as_deref(), Some("10 MB"), "at its end");
    }

    #[test]
    fn phase_without_news_gets_a_line_every_minute() {
        let mut recorder = Recorder::default();
        recorder.handle(0, &Event::Started(Phase::Boot));
        recorder.watch(0..80, |_| None);
        let detail = "until a login succeeds".to_owned();
        recorder.handle(80, &Event::Detail(Phase::Boot, detail));
        recorder.watch(80..150, |_| None);
        assert_eq!(recorder.at(), [10, 70, 130]);
        assert_eq!(recorder.lines[1].1, "Boot: 1 min 10 s");
        let last = &recorder.lines[2].1;
        assert_eq!(last, "Boot: 2 min 10 s · until a login succeeds");
    }
}
