//! The state that every view shows, computed from the events: phase, progress, Nix activities, slowest builds. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::event::{Event, NixEvent, Phase};
use crate::common::transcript::short_name;
use crate::ui::words;

/// Maximum number of activities that are tracked, more than any build has at once; the oldest are dropped first.
pub(super) const MAX_ACTIVE: usize = 1024;
/// Number of derivations in the table of the slowest.
const SLOWEST_SHOWN: usize = 5;
/// Maximum characters of a builder's last line that are kept; no terminal shows more.
const MAX_LAST_LINE: usize = 500;

/// The kind of a Nix activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ActivityKind {
    Build,
    Fetch,
}

/// A build or a download in progress.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) kind: ActivityKind,
    pub(super) name: String,
    /// When it started.
    pub(super) since: Duration,
    /// The current phase of the builder, such as `buildPhase`.
    pub(super) phase: Option<String>,
    /// The last line of the builder's log.
    pub(super) last: Option<String>,
    /// Bytes downloaded so far, and in total (0 while unknown).
    pub(super) moved: Option<(u64, u64)>,
    /// Incremented with each change of the phase or the log.
    pub(super) changes: u64,
}

/// A phase that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) phase: Phase,
    pub(super) took: Duration,
    /// Whether it succeeded.
    pub(super) succeeded: bool,
}

/// The progress of a run. Times are relative to the start of the view.
#[derive(Debug, Default)]
pub(super) struct State {
    phase: Option<(Phase, Duration)>,
    /// Bytes of the phase so far, in total, and the time since the phase started.
    bytes: Option<(u64, Option<u64>, Duration)>,
    built: (u64, u64),
    /// Whether Nix forecast how many derivations it will build.
    forecast: bool,
    fetched: (u64, u64),
    to_download: u64,
    downloaded: u64,
    active: BTreeMap<u64, Activity>,
    began: Option<Duration>,
    ended: Vec<Ended>,
    slowest: Vec<(String, Duration)>,
}

impl State {
    /// Updates the state with `event`, which happened at the time `at`.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Started(phase) => {
                // A phase that is followed by another without having finished has failed.
                if let Some((phase, since)) = self.phase {
                    let took = at.saturating_sub(since);
                    self.end(phase, took, false);
                }
                self.phase = Some((*phase, at));
                self.began.get_or_insert(at);
                self.bytes = None;
                // Activities of a lost builder never report their end.
                self.active.clear();
            }
            Event::Finished(phase, took) => {
                self.end(*phase, *took, true);
                if self.phase.is_some_and(|(current, _)| current == *phase) {
                    self.phase = None;
                }
            }
            Event::Bytes { phase, done, total } => {
                if let Some((_, since)) = self.phase.filter(|(current, _)| current == phase) {
                    self.bytes = Some((*done, *total, at.saturating_sub(since)));
                }
            }
            Event::Nix(event) => self.apply_nix(event, at),
            Event::WorkEnded => {
                if let Some((phase, since)) = self.phase.take() {
                    self.end(phase, at.saturating_sub(since), false);
                }
            }
            Event::Warning(_)
            | Event::Notice(_)
            | Event::LogFile(_)
            | Event::Console(_)
            | Event::TerminalGiven => {}
        }
    }

    fn apply_nix(&mut self, event: &NixEvent, at: Duration) {
        match event {
            NixEvent::BuildStarted { id, derivation } => {
                self.begin(*id, ActivityKind::Build, derivation, at);
            }
            NixEvent::FetchStarted { id, path } => self.begin(*id, ActivityKind::Fetch, path, at),
            NixEvent::Stopped { id } => self.stop(*id, at),
            NixEvent::BuildLine { id, line } => self.change(*id, |activity| {
                activity.last = Some(line.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::BuildPhase { id, phase } => self.change(*id, |activity| {
                activity.phase = Some(phase.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::Moved { id, done, expected } => {
                if let Some(activity) = self.active.get_mut(id) {
                    let before = activity.moved.replace((*done, *expected));
                    if activity.kind == ActivityKind::Fetch {
                        let more = done.saturating_sub(before.map_or(0, |(done, _)| done));
                        self.downloaded = self.downloaded.saturating_add(more);
                    }
                }
            }
            // Nix's expected counts grow during the build; its forecast is complete.
            NixEvent::WillBuild { derivations } => {
                self.built.1 = self.built.1.max(*derivations);
                self.forecast = true;
            }
            NixEvent::WillFetch {
                paths, download, ..
            } => {
                self.fetched.1 = self.fetched.1.max(*paths);
                self.to_download = self.to_download.max(*download);
            }
            // Later expected counts include derivations that Nix only inspects.
            NixEvent::Built { done, .. } if self.forecast => {
                count(&mut self.built, (*done, *done));
            }
            NixEvent::Built { done, expected } => count(&mut self.built, (*done, *expected)),
            // Nix's expected count includes paths that it tries to fetch and then builds.
            NixEvent::Fetched { done, .. } => count(&mut self.fetched, (*done, *done)),
            NixEvent::ToDownload { bytes } => self.to_download = self.to_download.max(*bytes),
            NixEvent::Message { .. } | NixEvent::Other(_) | NixEvent::WillEmulate { .. } => {}
        }
    }

    fn end(&mut self, phase: Phase, took: Duration, succeeded: bool) {
        // A phase that ran beside another was recorded as failed when the other one started.
        self.ended
            .retain(|ended| ended.succeeded || ended.phase != phase);
        self.ended.push(Ended {
            phase,
            took,
            succeeded,
        });
    }

    fn begin(&mut self, id: u64, kind: ActivityKind, path: &str, since: Duration) {
        if self.active.len() >= MAX_ACTIVE {
            self.active.pop_first();
        }
        let activity = Activity {
            kind,
            name: short_name(path).to_owned(),
            since,
            phase: None,
            last: None,
            moved: None,
            changes: 0,
        };
        self.active.insert(id, activity);
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Activity)) {
        if let Some(activity) = self.active.get_mut(&id) {
            change(activity);
            activity.changes += 1;
        }
    }

    fn stop(&mut self, id: u64, at: Duration) {
        let Some(activity) = self.active.remove(&id) else {
            return;
        };
        if activity.kind == ActivityKind::Build {
            let took = at.saturating_sub(activity.since);
            self.slowest.push((activity.name, took));
            self.slowest.sort_by(|(_, a), (_, b)| b.cmp(a));
            self.slowest.truncate(SLOWEST_SHOWN);
        }
    }

    /// The current phase and when it started.
    pub(super) fn phase(&self) -> Option<(Phase, Duration)> {
        self.phase
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn active(&self) -> impl Iterator<Item = (u64, &Activity)> {
        self.active.iter().map(|(id, activity)| (*id, activity))
    }

    /// The activity with this id, if it is in progress.
    pub(super) fn activity(&self, id: u64) -> Option<&Activity> {
        self.active.get(&id)
    }

    /// The phases that have ended, in order.
    pub(super) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The slowest derivations and their build times, slowest first.
    pub(super) fn slowest(&self) -> &[(String, Duration)] {
        &self.slowest
    }

    /// When the first phase started.
    pub(super) fn began(&self) -> Option<Duration> {
        self.began
    }

    /// The progress of the current phase, if it is known: `12 MB of 42 MB`, `built 3/62, …`.
    pub(super) fn progress(&self) -> Option<String> {
        if self.phase.is_some_and(|(phase, _)| phase == Phase::Build) {
            return Some(self.nix_progress());
        }
        let (done, total, took) = self.bytes?;
        let has_rate = matches!(self.phase, Some((Phase::Flash | Phase::Verify, _)));
        let rate = has_rate.then(|| words::rate(done, total, took));
        let of = total.map(|total| format!(" of {}", words::human_bytes(total)));
        let (of, rate) = (of.unwrap_or_default(), rate.unwrap_or_default());
        Some(format!("{}{of}{rate}", words::human_bytes(done)))
    }

    fn nix_progress(&self) -> String {
        let mut parts = Vec::new();
        if self.fetched.1 > 0 {
            let (done, expected) = self.fetched;
            let bytes = (self.to_download > 0).then(|| {
                let (done, all) = (self.downloaded, self.to_download);
                format!(
                    " ({} of {})",
                    words::human_bytes(done.min(all)),
                    words::human_bytes(all)
                )
            });
            parts.push(format!(
                "fetched {done}/{expected}{}",
                bytes.unwrap_or_default()
            ));
        }
        if self.built.1 > 0 {
            parts.push(format!("built {}/{}", self.built.0, self.built.1));
        }
        if parts.is_empty() {
            return "evaluating the configuration".to_owned();
        }
        parts.join(", ")
    }
}

/// Updates a count that never decreases: Nix resets its counts between two builds.
fn count(shown: &mut (u64, u64), reported: (u64, u64)) {
    *shown = (shown.0.max(reported.0), shown.1.max(reported.1));
}

#[cfg(test)]
mod tests;
