//! The state of a run that every view shows, computed from its events: phase, progress, Nix activities, slowest builds. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ui::words;
use sdbuild_core::event::{Event, Phase, PhaseTimes, Stop};
use sdbuild_core::nix_event::{NixEvent, StepUnit};
use sdbuild_core::transcript::short_name;

/// Maximum characters of the last line of a builder or a console that are kept; no terminal shows more.
const MAX_LAST_LINE: usize = 500;
/// A phase that took less last time ends before anybody has compared.
const MIN_LAST_TIME: Duration = Duration::from_secs(10);
/// Maximum number of activities that are tracked, more than any build has at once; the oldest are dropped first.
const MAX_ACTIVE: usize = 1024;
/// Number of derivations in the table of the slowest.
const SLOWEST_SHOWN: usize = 5;
/// What a derivation weighs in the progress of a build: the bytes that are downloaded in a second at 10 MB/s.
const BUILD_WEIGHT: u64 = 10_000_000;
/// What a fetched path weighs beside its bytes: a request to the cache, and its registration.
const FETCH_WEIGHT: u64 = 200_000;
/// A share of 1 in the numbers of [`Share`].
const WHOLE: u64 = 1_000_000_000;

/// How many are done, and how many there are: 0 while unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) all: u64,
}

impl Progress {
    /// Sets the numbers that are larger than before.
    fn grow(&mut self, done: u64, all: u64) {
        self.done = self.done.max(done);
        self.all = self.all.max(all);
    }

    /// Expects this many more.
    fn expect(&mut self, more: u64) {
        self.grow(0, self.done.saturating_add(more));
    }
}

/// The share of a phase that is done. It never decreases: when more work turns up, the share stays, and the rest takes longer to fill.
#[derive(Debug, Default)]
struct Share {
    share: u64,
    done: u64,
}

impl Share {
    fn update(&mut self, Progress { done, all }: Progress) {
        let more = done.saturating_sub(self.done);
        let rest = all.saturating_sub(self.done);
        if more == 0 || rest == 0 {
            return;
        }
        let step = u128::from(WHOLE - self.share) * u128::from(more.min(rest)) / u128::from(rest);
        self.share += u64::try_from(step).unwrap_or(0);
        self.done = done;
    }
}

/// A phase that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) phase: Phase,
    pub(super) took: Duration,
    /// Why it did not succeed; `None` if it did.
    pub(super) stop: Option<Stop>,
}

/// The phase that runs.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) phase: Phase,
    pub(super) since: Duration,
    /// The bytes that it has processed.
    pub(super) bytes: Option<Progress>,
    /// What it does or came to.
    pub(super) detail: Option<String>,
    /// The last line on the console of the machine that boots, and when it came.
    pub(super) console: Option<(String, Duration)>,
    share: Option<Share>,
}

impl Current {
    /// How much is done in whole per cent, if that is known; 100 is left to the end of the phase.
    pub(super) fn percent(&self) -> Option<u64> {
        let share = self.share.as_ref()?.share;
        Some((share / (WHOLE / 100)).min(99))
    }
}

/// A build or a download in progress.
#[derive(Debug)]
pub(super) struct Activity {
    /// Whether it downloads a store path.
    pub(super) is_fetch: bool,
    pub(super) name: String,
    /// When it started.
    pub(super) since: Duration,
    /// What it last reported: a phase of the builder, a line of its log, or how far a step is.
    pub(super) last: Option<String>,
    /// The bytes that it has downloaded.
    pub(super) moved: Option<Progress>,
    /// When it is taken to have ended, although Nix has not reported it.
    ended: Option<Duration>,
}

/// The progress of a run. Times are relative to the start of the view.
#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) current: Option<Current>,
    /// The phases that follow, as far as they are known.
    pub(super) to_come: Vec<Phase>,
    /// The phases that have ended, in order.
    pub(super) ended: Vec<Ended>,
    last_times: PhaseTimes,
    /// By their id, which grows with time.
    activities: BTreeMap<u64, Activity>,
    /// The slowest derivations and their build times, slowest first.
    pub(super) slowest: Vec<(String, Duration)>,
    /// Derivations that are built, in all processes of Nix together.
    pub(super) built: Progress,
    /// How many of them are built under emulation, if that is known.
    pub(super) emulated: Option<u64>,
    /// Store paths that are fetched.
    pub(super) fetched: Progress,
    /// Bytes of them that are downloaded.
    pub(super) downloaded: Progress,
    /// Whether Nix forecast how many derivations it will build.
    has_forecast: bool,
}

impl State {
    /// Updates the state with `event`, which happened at the time `at`.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Started(phase) => {
                self.current = Some(Current {
                    phase: *phase,
                    since: at,
                    bytes: None,
                    detail: None,
                    console: None,
                    share: None,
                });
                let follows = |other: &Phase| other != phase && *phase != Phase::Release;
                self.to_come.retain(follows);
                // Activities of a builder that was lost never report their end.
                self.activities.clear();
            }
            Event::Finished(phase, took) => self.end(*phase, *took, None),
            Event::Stopped(phase, took, stop) => self.end(*phase, *took, Some(*stop)),
            Event::Bytes { phase, done, total } => {
                if let Some(current) = self.current_in(*phase) {
                    let (done, all) = (*done, total.unwrap_or(0));
                    current.bytes = Some(Progress { done, all });
                    if total.is_some() {
                        let share = current.share.get_or_insert_default();
                        share.update(Progress { done, all });
                    }
                }
            }
            Event::Detail(phase, text) => {
                if let Some(current) = self.current_in(*phase) {
                    current.detail = Some(text.clone()).filter(|text| !text.is_empty());
                }
            }
            Event::Console(line) if !line.trim().is_empty() => {
                if let Some(current) = self.current_in(Phase::Boot) {
                    current.console = Some((bounded(line), at));
                }
            }
            Event::Nix(event) => self.apply_nix(event, at),
            Event::LastTimes(times) => self.last_times.extend(times),
            Event::ToCome(phases) => self.to_come.clone_from(phases),
            Event::Configuration(_) => *self = Self::default(),
            Event::RunStarted(_)
            | Event::ImageChosen(_)
            | Event::ImageDone(_)
            | Event::Next(_)
            | Event::WorkEnded
            | Event::Warning(_)
            | Event::Notice(_)
            | Event::LogFile(_)
            | Event::Console(_)
            | Event::TerminalGiven
            | Event::Suspended
            | Event::Resumed => {}
        }
    }

    #[expect(clippy::too_many_lines, reason = "a few lines for each event")]
    fn apply_nix(&mut self, event: &NixEvent, at: Duration) {
        match event {
            NixEvent::BuildStarted { id, derivation, .. } => self.begin(*id, false, derivation, at),
            NixEvent::FetchStarted { id, path, .. } => self.begin(*id, true, path, at),
            NixEvent::Stopped { id } => self.stop(*id, at),
            NixEvent::BuildLine { id, line: text } | NixEvent::BuildPhase { id, phase: text } => {
                self.report(*id, text);
            }
            NixEvent::Step {
                id,
                unit,
                done,
                expected,
            } => {
                let done = (*done).min(*expected);
                let text = match unit {
                    StepUnit::Bytes => words::amount(done, *expected),
                    StepUnit::Paths => format!("{done} of {expected} store paths"),
                };
                self.report(*id, &text);
            }
            NixEvent::Moved { id, done, expected } => {
                if let Some(activity) = self.activities.get_mut(id) {
                    let (done, all) = (*done, *expected);
                    let before = activity.moved.replace(Progress { done, all });
                    if activity.is_fetch {
                        let more = done.saturating_sub(before.unwrap_or_default().done);
                        self.downloaded.done = self.downloaded.done.saturating_add(more);
                    }
                }
            }
            NixEvent::Restarted => {
                for counts in [&mut self.built, &mut self.fetched, &mut self.downloaded] {
                    counts.all = counts.done;
                }
                self.emulated = None;
            }
            NixEvent::WillBuild { derivations } => {
                self.built.expect(*derivations);
                self.has_forecast = true;
            }
            NixEvent::WillEmulate { derivations } => self.emulated = Some(*derivations),
            NixEvent::WillFetch {
                paths, download, ..
            } => {
                self.fetched.expect(*paths);
                self.downloaded.expect(*download);
            }
            NixEvent::Built {
                done,
                expected,
                running,
            } => {
                self.set_running(*running, at);
                // Expected counts include derivations that Nix only inspects; its forecast is complete. Until one is built, it may be that none will.
                let is_known = self.has_forecast || *done == 0;
                self.built
                    .grow(*done, if is_known { *done } else { *expected });
            }
            // The expected count includes paths that Nix tries to fetch and then builds.
            NixEvent::Fetched { done, .. } => self.fetched.grow(*done, *done),
            NixEvent::ToDownload { bytes } => self.downloaded.grow(0, *bytes),
            NixEvent::Message { .. } | NixEvent::Other(_) => {}
        }
        let units = self.units();
        if let Some(current) = self.current_in(Phase::Build) {
            if *event == NixEvent::Restarted {
                // What is done again may be less than what was done.
                current.share.get_or_insert_default().done = units.done;
            } else if units.all > 0 {
                current.share.get_or_insert_default().update(units);
            }
        }
    }

    fn current_in(&mut self, phase: Phase) -> Option<&mut Current> {
        self.current.as_mut().filter(|c| c.phase == phase)
    }

    fn end(&mut self, phase: Phase, took: Duration, stop: Option<Stop>) {
        self.current.take_if(|current| current.phase == phase);
        if matches!(stop, Some(Stop::Failed | Stop::Interrupted)) {
            self.to_come.clear();
        }
        // After an answer a phase is done again.
        self.ended
            .retain(|ended| ended.stop.is_none() || ended.phase != phase);
        self.ended.push(Ended { phase, took, stop });
    }

    fn begin(&mut self, id: u64, is_fetch: bool, path: &str, since: Duration) {
        if self.activities.len() >= MAX_ACTIVE {
            self.activities.pop_first();
        }
        let activity = Activity {
            is_fetch,
            name: short_name(path).to_owned(),
            since,
            last: None,
            moved: None,
            ended: None,
        };
        self.activities.insert(id, activity);
    }

    fn report(&mut self, id: u64, text: &str) {
        if let Some(activity) = self.activities.get_mut(&id) {
            activity.last = Some(bounded(text));
            activity.ended = None;
        }
    }

    fn stop(&mut self, id: u64, at: Duration) {
        let Some(activity) = self.activities.remove(&id) else {
            return;
        };
        if !activity.is_fetch {
            let took = activity.ended.unwrap_or(at).saturating_sub(activity.since);
            self.slowest.push((activity.name, took));
            self.slowest
                .sort_by_key(|(_, took)| std::cmp::Reverse(*took));
            self.slowest.truncate(SLOWEST_SHOWN);
        }
    }

    /// Records that `running` builds run at the time `at`. Nix reports the end of a build that it was asked for by name only when
    /// its whole process ends, but its count is exact: of more builds the newest are taken to have ended.
    fn set_running(&mut self, running: u64, at: Duration) {
        let builds = self.activities.values_mut().filter(|one| !one.is_fetch);
        for (before, build) in (0..).zip(builds) {
            if before < running {
                build.ended = None;
            } else {
                build.ended.get_or_insert(at);
            }
        }
    }

    /// The work of Nix that is done and all work, in bytes of a download; nothing before the forecast.
    fn units(&self) -> Progress {
        let (built, fetched, downloaded) = (self.built, self.fetched, self.downloaded);
        let weigh = |builds: u64, paths: u64, bytes: u64| {
            let builds = builds.saturating_mul(BUILD_WEIGHT);
            let paths = paths.saturating_mul(FETCH_WEIGHT);
            builds.saturating_add(paths).saturating_add(bytes)
        };
        let bytes = downloaded.done.min(downloaded.all);
        Progress {
            done: weigh(built.done, fetched.done, bytes),
            all: weigh(built.all, fetched.all, downloaded.all),
        }
    }

    /// How long the current phase took last time, if that was long enough to be compared.
    pub(super) fn last_time(&self) -> Option<Duration> {
        let millis = self.last_times.get(&self.current.as_ref()?.phase)?;
        let last = Duration::from_millis(*millis);
        (last >= MIN_LAST_TIME).then_some(last)
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn active(&self) -> impl Iterator<Item = &Activity> {
        self.activities.values().filter(|one| one.ended.is_none())
    }
}

fn bounded(line: &str) -> String {
    line.chars().take(MAX_LAST_LINE).collect()
}

#[cfg(test)]
mod tests;
