//! The fold of events that every view shows: which phase, how far, what Nix is at, what took long. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::event::{Event, NixEvent, Phase};
use crate::common::transcript::short_name;
use crate::ui::words;

/// More activities than any build has at once; the oldest ones make room for what comes after.
const MOST_ACTIVE: usize = 4096;
/// Derivations whose time is told at the end.
const SLOWEST: usize = 5;
/// Characters of a builder's last line that are kept: no terminal shows more.
const LAST_LINE: usize = 500;

/// What Nix is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Build,
    Fetch,
}

/// A build or a download that is under way.
#[derive(Debug)]
pub(super) struct Activity {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// When it began.
    pub(super) since: Duration,
    /// The phase that a builder is in.
    pub(super) phase: Option<String>,
    /// The last line of its log.
    pub(super) last: Option<String>,
    /// Bytes that it downloaded, of how many (0: unknown).
    pub(super) moved: Option<(u64, u64)>,
    /// Counts the changes of phase and of log, for whoever wants to know whether there was one.
    pub(super) changes: u64,
}

/// A phase that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) phase: Phase,
    pub(super) took: Duration,
    /// Whether it did what it was to do.
    pub(super) well: bool,
}

/// Where the run is. Times count from the start of the view.
#[derive(Debug, Default)]
pub(super) struct State {
    phase: Option<(Phase, Duration)>,
    /// Bytes of the phase, of how many, and how long it took to move them.
    bytes: Option<(u64, Option<u64>, Duration)>,
    built: (u64, u64),
    /// Whether Nix said how many it will build.
    foretold: bool,
    fetched: (u64, u64),
    to_download: u64,
    downloaded: u64,
    active: BTreeMap<u64, Activity>,
    began: Option<Duration>,
    ended: Vec<Ended>,
    slowest: Vec<(String, Duration)>,
}

impl State {
    /// Takes note of `event`, which happened `at`.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Started(phase) => {
                // One that another follows without its end has failed.
                if let Some((phase, since)) = self.phase {
                    let took = at.saturating_sub(since);
                    self.end(phase, took, false);
                }
                self.phase = Some((*phase, at));
                self.began.get_or_insert(at);
                self.bytes = None;
                // What a lost builder never ended has ended now.
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
                self.begin(*id, Kind::Build, (derivation, at));
            }
            NixEvent::FetchStarted { id, path } => self.begin(*id, Kind::Fetch, (path, at)),
            NixEvent::Stopped { id } => self.stop(*id, at),
            NixEvent::BuildLine { id, line } => self.change(*id, |activity| {
                activity.last = Some(line.chars().take(LAST_LINE).collect());
            }),
            NixEvent::BuildPhase { id, phase } => self.change(*id, |activity| {
                activity.phase = Some(phase.chars().take(LAST_LINE).collect());
            }),
            NixEvent::Moved { id, done, expected } => {
                if let Some(activity) = self.active.get_mut(id) {
                    let before = activity.moved.replace((*done, *expected));
                    if activity.kind == Kind::Fetch {
                        let more = done.saturating_sub(before.map_or(0, |(done, _)| done));
                        self.downloaded = self.downloaded.saturating_add(more);
                    }
                }
            }
            // Nix finds out bit by bit how much there is to do; its forecast is whole.
            NixEvent::WillBuild { derivations } => {
                self.built.1 = self.built.1.max(*derivations);
                self.foretold = true;
            }
            NixEvent::WillFetch {
                paths, download, ..
            } => {
                self.fetched.1 = self.fetched.1.max(*paths);
                self.to_download = self.to_download.max(*download);
            }
            // What Nix expects later on has the derivations in it that it only looks at.
            NixEvent::Built { done, .. } if self.foretold => {
                count(&mut self.built, (*done, *done));
            }
            NixEvent::Built { done, expected } => count(&mut self.built, (*done, *expected)),
            // What Nix expects here is what it tries, and most of that is built in the end.
            NixEvent::Fetched { done, .. } => count(&mut self.fetched, (*done, *done)),
            NixEvent::ToDownload { bytes } => self.to_download = self.to_download.max(*bytes),
            NixEvent::Message { .. } | NixEvent::Other(_) | NixEvent::WillEmulate { .. } => {}
        }
    }

    fn end(&mut self, phase: Phase, took: Duration, well: bool) {
        // Another one began meanwhile, and it ended well all the same.
        self.ended
            .retain(|ended| ended.well || ended.phase != phase);
        self.ended.push(Ended { phase, took, well });
    }

    fn begin(&mut self, id: u64, kind: Kind, (path, since): (&str, Duration)) {
        if self.active.len() >= MOST_ACTIVE {
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
        if activity.kind == Kind::Build {
            let took = at.saturating_sub(activity.since);
            self.slowest.push((activity.name, took));
            self.slowest.sort_by(|(_, a), (_, b)| b.cmp(a));
            self.slowest.truncate(SLOWEST);
        }
    }

    /// The current phase and when it began.
    pub(super) fn phase(&self) -> Option<(Phase, Duration)> {
        self.phase
    }

    /// What is built and fetched now, in the order in which it began.
    pub(super) fn active(&self) -> impl Iterator<Item = (u64, &Activity)> {
        self.active.iter().map(|(id, activity)| (*id, activity))
    }

    /// The activity with this number.
    pub(super) fn activity(&self, id: u64) -> Option<&Activity> {
        self.active.get(&id)
    }

    /// The phases that are over, in order.
    pub(super) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The derivations that took longest, the slowest one first.
    pub(super) fn slowest(&self) -> &[(String, Duration)] {
        &self.slowest
    }

    /// When the first phase began.
    pub(super) fn began(&self) -> Option<Duration> {
        self.began
    }

    /// How far the current phase is, when that is known: `12 MB of 42 MB`, `built 3/62, …`.
    pub(super) fn how_far(&self) -> Option<String> {
        if self.phase.is_some_and(|(phase, _)| phase == Phase::Build) {
            return Some(self.how_far_nix());
        }
        let (done, total, took) = self.bytes?;
        let paced = matches!(self.phase, Some((Phase::Flash | Phase::Verify, _)));
        let pace = paced.then(|| words::pace(done, total, took));
        let of = total.map(|total| format!(" of {}", words::human_bytes(total)));
        let (of, pace) = (of.unwrap_or_default(), pace.unwrap_or_default());
        Some(format!("{}{of}{pace}", words::human_bytes(done)))
    }

    fn how_far_nix(&self) -> String {
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

/// Nix sets its counts back between two stretches of work; what was done stays done.
fn count(shown: &mut (u64, u64), said: (u64, u64)) {
    *shown = (shown.0.max(said.0), shown.1.max(said.1));
}

#[cfg(test)]
mod tests;
