//! The state that every view shows, computed from the events: phase, progress, Nix activities, slowest builds. Pure.

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

/// How many are done, and how many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Progress {
    pub(super) done: u64,
    pub(super) all: u64,
}

/// A phase that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) phase: Phase,
    pub(super) took: Duration,
    /// Why it did not succeed; `None` if it did.
    pub(super) stop: Option<Stop>,
}

/// Bytes that a phase has processed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Transfer {
    pub(super) done: u64,
    pub(super) total: Option<u64>,
    /// The time since the phase started.
    pub(super) took: Duration,
}

/// A text, and since when it is true.
#[derive(Debug)]
pub(super) struct Since {
    pub(super) text: String,
    pub(super) since: Duration,
}

/// A report about a step within a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Step {
    unit: StepUnit,
    done: u64,
    expected: u64,
}

impl Step {
    /// What is done of all of it, for users: `12 of 42 MB`, `3 of 9 store paths`.
    pub(super) fn words(&self) -> String {
        let done = self.done.min(self.expected);
        match self.unit {
            StepUnit::Bytes => words::amount(done, self.expected),
            StepUnit::Paths => format!("{done} of {} store paths", self.expected),
        }
    }
}

/// A share of 1 in the numbers of [`Fraction`].
const WHOLE: u64 = 1_000_000_000;

/// The share of a phase that is done. It never decreases: when more work turns up, the share stays, and the rest takes longer to fill.
#[derive(Debug, Default)]
pub(super) struct Fraction {
    share: u64,
    done: u64,
    is_known: bool,
}

impl Fraction {
    /// Notes how many units are done.
    fn update(&mut self, progress: Progress) {
        let Progress { done, all } = progress;
        self.is_known = true;
        let more = done.saturating_sub(self.done);
        let rest = all.saturating_sub(self.done);
        if more == 0 || rest == 0 {
            return;
        }
        let step = u128::from(WHOLE - self.share) * u128::from(more.min(rest)) / u128::from(rest);
        self.share += u64::try_from(step).unwrap_or(0);
        self.done = done;
    }

    /// Whole per cent, rounded down; 100 is left to the end of the phase.
    pub(super) fn percent(&self) -> u64 {
        (self.share / (WHOLE / 100)).min(99)
    }
}

/// The phase that runs.
#[derive(Debug)]
struct Current {
    phase: Phase,
    since: Duration,
    transfer: Option<Transfer>,
    detail: Option<Since>,
    console: Option<Since>,
    fraction: Fraction,
}

/// The progress of a run. Times are relative to the start of the view.
#[derive(Debug, Default)]
pub(super) struct State {
    current: Option<Current>,
    nix: NixCounts,
    activities: Activities,
    began: Option<Duration>,
    last_times: PhaseTimes,
    to_come: Vec<Phase>,
    ended: Vec<Ended>,
}

impl State {
    /// Updates the state with `event`, which happened at the time `at`.
    pub(super) fn apply(&mut self, event: &Event, at: Duration) {
        match event {
            Event::Started(phase) => {
                self.current = Some(Current {
                    phase: *phase,
                    since: at,
                    transfer: None,
                    detail: None,
                    console: None,
                    fraction: Fraction::default(),
                });
                let follows = |other: &Phase| other != phase && *phase != Phase::Release;
                self.to_come.retain(follows);
                self.began.get_or_insert(at);
                self.activities.clear();
            }
            Event::Finished(phase, took) => self.end(*phase, *took, None),
            Event::Stopped(phase, took, stop) => self.end(*phase, *took, Some(*stop)),
            Event::Bytes { phase, done, total } => {
                if let Some(current) = self.current_in(*phase) {
                    let (done, total) = (*done, *total);
                    let took = at.saturating_sub(current.since);
                    current.transfer = Some(Transfer { done, total, took });
                    if let Some(all) = total {
                        current.fraction.update(Progress { done, all });
                    }
                }
            }
            Event::Detail(phase, text) => {
                if let Some(current) = self.current_in(*phase) {
                    let text = Some(text.clone()).filter(|text| !text.is_empty());
                    current.detail = text.map(|text| Since { text, since: at });
                }
            }
            Event::Console(line) if !line.trim().is_empty() => {
                if let Some(current) = self.current_in(Phase::Boot) {
                    let text = line.chars().take(MAX_LAST_LINE).collect();
                    current.console = Some(Since { text, since: at });
                }
            }
            Event::Nix(event) => self.apply_nix(event, at),
            Event::LastTimes(times) => self.last_times.extend(times),
            Event::ToCome(phases) => self.to_come.clone_from(phases),
            Event::RunStarted(_)
            | Event::AuthorizedKeys(_)
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

    fn apply_nix(&mut self, event: &NixEvent, at: Duration) {
        let activities = &mut self.activities;
        match event {
            NixEvent::BuildStarted { id, derivation, .. } => {
                activities.begin(*id, ActivityKind::Build, derivation, at);
            }
            NixEvent::FetchStarted { id, path, .. } => {
                activities.begin(*id, ActivityKind::Fetch, path, at);
            }
            NixEvent::Stopped { id } => activities.stop(*id, at),
            NixEvent::BuildLine { id, line } => activities.change(*id, at, |activity| {
                let line = Some(line).filter(|line| !is_count_of_dd(line));
                activity.last = line.map(|line| line.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::BuildPhase { id, phase } => activities.change(*id, at, |activity| {
                activity.phase = Some(phase.chars().take(MAX_LAST_LINE).collect());
            }),
            NixEvent::Moved { id, done, expected } => {
                let nix = &mut self.nix;
                activities.change(*id, at, |activity| {
                    let (done, all) = (*done, *expected);
                    let before = activity.moved.replace(Progress { done, all });
                    if activity.kind == ActivityKind::Fetch {
                        nix.add_downloaded(done.saturating_sub(before.unwrap_or_default().done));
                    }
                });
            }
            NixEvent::Step {
                id,
                unit,
                done,
                expected,
            } => activities.change(*id, at, |activity| {
                // In place of the last line of its log.
                activity.step = Some(Step {
                    unit: *unit,
                    done: *done,
                    expected: *expected,
                });
                activity.last = None;
            }),
            NixEvent::Built { running, .. } => {
                activities.set_running(*running, at);
                self.nix.apply(event);
            }
            NixEvent::WillBuild { .. }
            | NixEvent::WillEmulate { .. }
            | NixEvent::WillFetch { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::Restarted
            | NixEvent::ToDownload { .. } => self.nix.apply(event),
            NixEvent::Message { .. } | NixEvent::Other(_) => {}
        }
        let units = self.nix.units();
        if let Some(current) = self.current_in(Phase::Build) {
            if *event == NixEvent::Restarted {
                // What is done again may be less than what was done.
                current.fraction.done = units.done;
            } else if units.all > 0 {
                current.fraction.update(units);
            }
        }
    }

    fn current_in(&mut self, phase: Phase) -> Option<&mut Current> {
        self.current.as_mut().filter(|c| c.phase == phase)
    }

    fn end(&mut self, phase: Phase, took: Duration, stop: Option<Stop>) {
        self.current.take_if(|current| current.phase == phase);
        if matches!(stop, Some(Stop::Failed | Stop::Refused | Stop::Interrupted)) {
            self.to_come.clear();
        }
        // After an answer a phase is done again.
        self.ended
            .retain(|ended| ended.stop.is_none() || ended.phase != phase);
        self.ended.push(Ended { phase, took, stop });
    }

    /// The current phase and when it started.
    pub(super) fn phase(&self) -> Option<(Phase, Duration)> {
        let current = self.current.as_ref()?;
        Some((current.phase, current.since))
    }

    /// How long the current phase took last time, if that was long enough to be compared.
    pub(super) fn last_time(&self) -> Option<Duration> {
        let (phase, _) = self.phase()?;
        let millis = self.last_times.get(&phase)?;
        let last = Duration::from_millis(*millis);
        (last >= MIN_LAST_TIME).then_some(last)
    }

    /// The phases that follow, as far as they are known.
    pub(super) fn to_come(&self) -> &[Phase] {
        &self.to_come
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn active(&self) -> impl Iterator<Item = &Activity> {
        self.activities.iter()
    }

    /// The activity with this id, if it is known.
    pub(super) fn activity(&self, id: u64) -> Option<&Activity> {
        self.activities.get(id)
    }

    /// The phases that have ended, in order.
    pub(super) fn ended(&self) -> &[Ended] {
        &self.ended
    }

    /// The slowest derivations and their build times, slowest first.
    pub(super) fn slowest(&self) -> &[(String, Duration)] {
        self.activities.slowest()
    }

    /// When the first phase started.
    pub(super) fn began(&self) -> Option<Duration> {
        self.began
    }

    /// How much of the current phase is done, if that is known.
    pub(super) fn fraction(&self) -> Option<&Fraction> {
        Some(&self.current.as_ref()?.fraction).filter(|fraction| fraction.is_known)
    }

    /// The bytes that the current phase has processed.
    pub(super) fn transfer(&self) -> Option<Transfer> {
        self.current.as_ref()?.transfer
    }

    /// What the current phase does or came to.
    pub(super) fn detail(&self) -> Option<&str> {
        Some(&self.current.as_ref()?.detail.as_ref()?.text)
    }

    /// When the machine that boots came to where it is: no number says how far that is.
    pub(super) fn reached(&self) -> Option<Duration> {
        let current = self.current.as_ref().filter(|c| c.phase == Phase::Boot)?;
        Some(current.detail.as_ref()?.since)
    }

    /// The last line on the console of the machine that boots, and when it came.
    pub(super) fn console(&self) -> Option<&Since> {
        self.current.as_ref()?.console.as_ref()
    }

    /// What Nix fetches and builds.
    pub(super) fn nix(&self) -> &NixCounts {
        &self.nix
    }
}

/// Whether `line` is `30+0 records out`, or another count that `dd` ends with: it says nothing about what follows.
fn is_count_of_dd(line: &str) -> bool {
    let records = [" records in", " records out"];
    let count = records.iter().find_map(|end| line.strip_suffix(end));
    count.is_some_and(|count| count.chars().all(|c| c == '+' || c.is_ascii_digit()))
}

/// Maximum number of activities that are tracked, more than any build has at once; the oldest are dropped first.
const MAX_ACTIVE: usize = 1024;
/// Number of derivations in the table of the slowest.
const SLOWEST_SHOWN: usize = 5;

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
    pub(super) moved: Option<Progress>,
    /// The step that was last reported.
    pub(super) step: Option<Step>,
    /// When it is taken to have ended, although Nix has not reported it.
    ended: Option<Duration>,
}

impl Activity {
    fn is_running_build(&self) -> bool {
        self.kind == ActivityKind::Build && self.ended.is_none()
    }
}

/// The activities in progress, by their id, which grows with time, and how long the slowest builds took.
///
/// Nix reports the end of a build that it was asked for by name only when its whole process ends. Its count of running
/// builds is exact: when fewer run than are known here, the newest ones are taken to have ended, until another event of one
/// of them comes.
#[derive(Debug, Default)]
struct Activities {
    active: BTreeMap<u64, Activity>,
    /// How many builds run, by Nix's last count.
    running: Option<usize>,
    slowest: Vec<(String, Duration)>,
}

impl Activities {
    /// Forgets what is in progress: activities of a builder that was lost never report their end.
    fn clear(&mut self) {
        self.active.clear();
        self.running = None;
    }

    /// Adds the build of the derivation `path`, or the download of the store path `path`.
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
            step: None,
            ended: None,
        };
        self.active.insert(id, activity);
    }

    /// Changes an activity that had an event, if it is known: it has not ended.
    fn change(&mut self, id: u64, at: Duration, change: impl FnOnce(&mut Activity)) {
        let Some(activity) = self.active.get_mut(&id) else {
            return;
        };
        change(activity);
        if activity.ended.take().is_some() {
            self.settle(Some(id), at);
        }
    }

    /// Removes an activity that has ended.
    fn stop(&mut self, id: u64, at: Duration) {
        let Some(activity) = self.active.remove(&id) else {
            return;
        };
        if activity.kind == ActivityKind::Fetch {
            return;
        }
        if activity.ended.is_none() {
            self.revive();
        }
        let took = activity.ended.unwrap_or(at).saturating_sub(activity.since);
        self.slowest.push((activity.name, took));
        self.slowest
            .sort_by_key(|(_, took)| std::cmp::Reverse(*took));
        self.slowest.truncate(SLOWEST_SHOWN);
    }

    /// Records that `running` builds run at the time `at`.
    fn set_running(&mut self, running: u64, at: Duration) {
        self.running = usize::try_from(running).ok();
        self.settle(None, at);
    }

    /// Takes the newest builds, but not `except`, to have ended until no more than Nix counts are left.
    fn settle(&mut self, except: Option<u64>, at: Duration) {
        let Some(count) = self.running else {
            return;
        };
        let surplus = self.count_running().saturating_sub(count);
        let builds = self.active.iter_mut().rev();
        let others = builds.filter(|(id, one)| one.is_running_build() && except != Some(**id));
        others
            .take(surplus)
            .for_each(|(_, one)| one.ended = Some(at));
    }

    /// Restores the build that was last taken to have ended, because another one has ended in its place.
    fn revive(&mut self) {
        let running = self.count_running();
        if self.running.is_some_and(|count| running < count) {
            let ended = self.active.values_mut().filter(|one| one.ended.is_some());
            if let Some(last) = ended.max_by_key(|one| one.ended) {
                last.ended = None;
            }
        }
    }

    fn count_running(&self) -> usize {
        let builds = self.active.values();
        builds.filter(|one| one.is_running_build()).count()
    }

    /// The builds and downloads in progress, in the order in which they started.
    fn iter(&self) -> impl Iterator<Item = &Activity> {
        self.active.values().filter(|one| one.ended.is_none())
    }

    /// The activity with this id, if it is known.
    fn get(&self, id: u64) -> Option<&Activity> {
        self.active.get(&id)
    }

    /// The slowest derivations and their build times, slowest first.
    fn slowest(&self) -> &[(String, Duration)] {
        &self.slowest
    }
}

/// What a derivation weighs in the progress of a build: the bytes that are downloaded in a second at 10 MB/s.
const BUILD_WEIGHT: u64 = 10_000_000;
/// What a fetched path weighs beside its bytes: a request to the cache, and its registration.
const FETCH_WEIGHT: u64 = 200_000;

/// Counts of all processes of Nix together. None of them decreases, except that a new start forgets what was left.
#[derive(Debug, Default)]
pub(super) struct NixCounts {
    /// Derivations that are built.
    pub(super) built: Progress,
    /// How many of them are built under emulation, if that is known.
    pub(super) emulated: Option<u64>,
    /// Store paths that are fetched.
    pub(super) fetched: Progress,
    /// Bytes of them that are downloaded.
    pub(super) downloaded: Progress,
    /// Whether Nix forecast how many derivations it will build.
    forecast: bool,
}

impl NixCounts {
    /// Updates the counts with an event that has one.
    fn apply(&mut self, event: &NixEvent) {
        if *event == NixEvent::Restarted {
            self.built.all = self.built.done;
            self.fetched.all = self.fetched.done;
            self.downloaded.all = self.downloaded.done;
            self.emulated = None;
        } else if let NixEvent::WillBuild { derivations } = event {
            // What one process of Nix still has to do: another one may follow it.
            let all = self.built.done.saturating_add(*derivations);
            grow(&mut self.built, 0, all);
            self.forecast = true;
        } else if let NixEvent::WillEmulate { derivations } = event {
            self.emulated = Some(*derivations);
        } else if let NixEvent::WillFetch {
            paths, download, ..
        } = event
        {
            let all = self.fetched.done.saturating_add(*paths);
            grow(&mut self.fetched, 0, all);
            let bytes = self.downloaded.done.saturating_add(*download);
            grow(&mut self.downloaded, 0, bytes);
        } else if let NixEvent::Built { done, expected, .. } = event {
            // Expected counts include derivations that Nix only inspects; its forecast is complete. Until one is built, it may be that none will.
            let all = if self.forecast || *done == 0 {
                done
            } else {
                expected
            };
            grow(&mut self.built, *done, *all);
        } else if let NixEvent::Fetched { done, .. } = event {
            // The expected count includes paths that Nix tries to fetch and then builds.
            grow(&mut self.fetched, *done, *done);
        } else if let NixEvent::ToDownload { bytes } = event {
            grow(&mut self.downloaded, 0, *bytes);
        }
    }

    /// Counts `bytes` of a store path that were downloaded.
    fn add_downloaded(&mut self, bytes: u64) {
        self.downloaded.done = self.downloaded.done.saturating_add(bytes);
    }

    /// The work that is done and all work, in bytes of a download; nothing before the forecast.
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
}

fn grow(counts: &mut Progress, done: u64, all: u64) {
    *counts = Progress {
        done: counts.done.max(done),
        all: counts.all.max(all),
    };
}

#[cfg(test)]
mod tests;
