//! How much of a build's time each derivation takes, and from that of an earlier build, or from what is typical, how long the rest
//! of one takes. Pure.
//!
//! Of the derivations that are built at the same time, each gets an equal part of that time. All parts together are the time in
//! which anything was built, however many derivations were built in parallel.

mod begun;
mod names;
mod plan;
mod times;
mod typical;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::common::nix_event::NixEvent;
use crate::common::progress::Progress;
use crate::common::running_builds::RunningBuilds;
use begun::Begun;
use names::{general_name, listed_derivation};
pub use plan::PlannedWork;
use plan::{Plan, Plans};
use times::Ended;
pub use times::{BuildTime, BuildTimes};

/// Derivations whose times are counted; no build of an image has that many. With more, nothing is estimated.
const MAX_DERIVATIONS: usize = 8192;
/// A build that takes longer than twice its earlier time and this long is another one than it was.
const SLACK: Duration = Duration::from_secs(10);
/// Derivations of so much time count as if they had taken as long as in the earlier build: the first ones alone do not show how fast
/// this one is.
const WEIGHT_OF_EARLIER: Duration = Duration::from_secs(5);
/// The same for times that are only typical.
const WEIGHT_OF_TYPICAL: Duration = Duration::from_secs(1);
/// So much time counts as built without a pause, because the first pauses do not show how much time passes between derivations.
const NEVER_IDLE: Duration = Duration::from_secs(1);
/// More time than this, by the time in which anything was built, passes only while something else is waited for, such as a download.
const MAX_ELAPSED_PER_BUILDING: f64 = 1.5;
/// A derivation that is taken to have ended for so long has.
const SETTLING: Duration = Duration::from_millis(500);
/// A build of which more than this part is new, a fifth, is another one than the one before.
const NEW_PART: u64 = 5;

/// The time in which anything was built, and about that of the rest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    pub building: Duration,
    pub rest: Duration,
}

/// Counts the time of each derivation of a build from Nix's events.
#[derive(Debug, Default)]
pub struct BuildShares {
    /// Store paths of what Nix has forecast and not begun to build, each with its name.
    waiting: BTreeMap<String, String>,
    /// Whether the derivations of a forecast are being listed.
    pub is_listing: bool,
    /// By activity number.
    begun: BTreeMap<u64, Begun>,
    /// Which of them have not ended.
    running: RunningBuilds,
    /// What each of these gets beside its share: added to the shares before others run, for there may be thousands of them.
    due: Duration,
    /// By name.
    ended: BTreeMap<String, Ended>,
    /// The time in which anything was built.
    building: Duration,
    /// Whether this Nix has begun a build.
    has_begun: bool,
    /// The time since then in which nothing was built.
    idle: Duration,
    counted_until: Duration,
}

impl BuildShares {
    /// Counts an event at the time `at`, which never decreases.
    pub fn apply(&mut self, event: &NixEvent, at: Duration) {
        self.count_until(at);
        let was_listing = std::mem::take(&mut self.is_listing);
        if let NixEvent::WillBuild { .. } = event {
            self.is_listing = true;
        } else if let NixEvent::Message { text, .. } = event {
            if let Some(derivation) = listed_derivation(text).filter(|_| was_listing) {
                self.is_listing = true;
                if self.waiting.len() < MAX_DERIVATIONS {
                    let name = general_name(derivation);
                    self.waiting.insert(derivation.to_owned(), name);
                }
            }
        } else if let NixEvent::BuildStarted { id, derivation, .. } = event {
            self.waiting.remove(derivation);
            self.has_begun = true;
            self.share_out();
            let begun = Begun::new(general_name(derivation), at);
            self.begun.insert(*id, begun);
            self.running.begin(*id);
        } else if let NixEvent::Stopped { id } = event {
            self.share_out();
            self.stop(*id, at);
        } else if let NixEvent::Built { running, .. } = event {
            self.share_out();
            self.running.set_count(*running, at);
        } else if let Some(id) = build_of(event) {
            if !self.running.is_running(id) {
                self.share_out();
            }
            self.running.speak(id, at);
            if let Some(build) = self.begun.get_mut(&id) {
                build.look(event);
            }
        } else if *event == NixEvent::Restarted {
            self.restart();
        }
    }

    /// The times of all derivations whose build has ended.
    pub fn times(&self) -> BuildTimes {
        let begun = self.begun.iter();
        let over = begun.filter_map(|(id, build)| Some((build, self.running.ended_at(*id)?)));
        let over = over.map(|(build, ended)| {
            (
                build.name.clone(),
                BuildTime::mean(build.share, build.took(ended), 1),
            )
        });
        let ended = self.ended.iter();
        let ended = ended.map(|(name, ended)| (name.clone(), ended.mean()));
        over.chain(ended).collect()
    }

    /// How long what is left to build takes, if all of it takes as long as in an `earlier` build; `None` if that has not built all
    /// of it, or one of them takes much longer than in that one.
    pub fn left(&self, earlier: &BuildTimes, at: Duration) -> Option<Duration> {
        // Of a list that is not read to its end, the rest is unknown.
        if self.is_listing || self.waiting.len() >= MAX_DERIVATIONS {
            return None;
        }
        let since = self.due(at);
        let slowdown = self.slowdown(earlier);
        let (mut left, mut longest) = (Duration::ZERO, Duration::ZERO);
        for name in self.waiting.values() {
            left += earlier.get(name)?.share().mul_f64(slowdown);
        }
        for build in self.running() {
            let (time, took) = (earlier.get(&build.name)?, build.took(at));
            if took > time.whole() * 2 + SLACK {
                return None;
            }
            let share = time.share().mul_f64(slowdown);
            left += share.saturating_sub(build.share + since);
            // What was built beside it may not be built now.
            longest = longest.max(time.whole().saturating_sub(took));
        }
        let left = left.mul_f64(self.elapsed_per_building()).max(longest);
        (!left.is_zero()).then_some(left)
    }

    /// The time that passes for each unit of the time in which anything is built: Nix takes some between two derivations.
    fn elapsed_per_building(&self) -> f64 {
        let idle = self.idle.div_duration_f64(self.building + NEVER_IDLE);
        (1.0 + idle).min(MAX_ELAPSED_PER_BUILDING)
    }

    /// How much longer one that is being built takes already than in an `earlier` build; of several, the latest.
    pub fn late(&self, earlier: &BuildTimes, at: Duration) -> Duration {
        let late = |build: &Begun| {
            let expected = earlier.get(&build.name)?.whole();
            Some(build.took(at).saturating_sub(expected))
        };
        self.running().filter_map(late).max().unwrap_or_default()
    }

    /// How many times as long as in an `earlier` build those derivations took that were built so far; at least once as long.
    pub fn slowdown(&self, earlier: &BuildTimes) -> f64 {
        let time_of = |name: &str, _| earlier.get(name).copied().map(BuildTime::share);
        let (now, then) = self.built_times(WEIGHT_OF_EARLIER, time_of);
        now.div_duration_f64(then).max(1.0)
    }

    /// The time that those derivations took that were built, and what `time_of` says of them. It gets the name and the time that one of
    /// them took. As many as took the time `before` count as if they took as long.
    fn built_times(
        &self,
        before: Duration,
        time_of: impl Fn(&str, Duration) -> Option<Duration>,
    ) -> (Duration, Duration) {
        let (mut now, mut then) = (before, before);
        for (name, ended) in &self.ended {
            if let Some(expected) = time_of(name, ended.share / ended.count.max(1)) {
                now += ended.share;
                then += expected * ended.count;
            }
        }
        (now, then)
    }

    /// How many times as long as `time_of` says derivations take that were built so far, or take longer already.
    fn pace(
        &self,
        before: Duration,
        at: Duration,
        time_of: impl Fn(&str, Duration) -> Option<Duration>,
    ) -> f64 {
        let since = self.due(at);
        let (mut now, mut then) = self.built_times(before, &time_of);
        for (id, build) in &self.begun {
            let is_running = self.running.is_running(*id);
            let done = build.share + if is_running { since } else { Duration::ZERO };
            // How long one still takes that is not late is not known.
            let is_known = |expected: &Duration| !is_running || *expected < done;
            if let Some(expected) = time_of(&build.name, done).filter(is_known) {
                now += done;
                then += expected;
            }
        }
        now.div_duration_f64(then)
    }

    /// The time in which anything was built until `at`.
    fn building(&self, at: Duration) -> Duration {
        let is_building = self.running().next().is_some();
        let since = at.saturating_sub(self.counted_until);
        self.building + if is_building { since } else { Duration::ZERO }
    }

    /// The work when so many of all derivations are `built`: about as much time as in an `earlier` build, or else as is typical.
    pub fn work(&self, earlier: &BuildTimes, built: Progress, at: Duration) -> Work {
        let known = |name: &str| plan::known_time(name, earlier);
        let small = |took| Some(typical::SMALL).filter(|_| took < typical::MAX_SMALL);
        let pace = self.pace(WEIGHT_OF_TYPICAL, at, |name, took| {
            known(name).or_else(|| small(took))
        });
        let waiting = self.waiting.values();
        let waiting = waiting.map(|name| known(name).unwrap_or(typical::SMALL));
        let mut rest = waiting.sum::<Duration>().mul_f64(pace);
        let since = self.due(at);
        for build in self.running() {
            rest += build.rest(known(&build.name), pace, build.share + since);
        }
        // What no list and no other event has named.
        let unnamed = |count: u64, named: usize| {
            let named = u64::try_from(named).unwrap_or(u64::MAX);
            let count = count.saturating_sub(named).min(MAX_DERIVATIONS as u64);
            (typical::SMALL * count.try_into().unwrap_or(0)).mul_f64(pace)
        };
        let running = self.running().count();
        let ended = self.count_ended() + self.begun.len() - running;
        let left = built.all.saturating_sub(built.done);
        Work {
            building: self.building(at) + unnamed(built.done, ended),
            rest: rest + unnamed(left, self.waiting.len() + running),
        }
    }

    /// How much is done of what is planned when so many of all derivations are `built`: those that have ended, and of each that is
    /// being built a part of its own. What is planned for one whose time is known never changes.
    pub fn planned(&self, earlier: &BuildTimes, built: Progress, at: Duration) -> PlannedWork {
        let plans = Plans::new(&self.ended, earlier);
        let plan = |name: &str| plans.of(name);
        let since = self.due(at);
        let mut work = PlannedWork::default();
        for (name, ended) in &self.ended {
            work.add_ended(&plans.of_ended(name), ended.count, ended.share);
        }
        let mut over = 0;
        for (id, build) in &self.begun {
            let plan = plan(&build.name);
            let ended = self.running.ended_at(*id);
            // Which one has ended Nix reports right after how many run.
            if ended.is_some_and(|ended| at.saturating_sub(ended) >= SETTLING) {
                work.add_ended(&plans.of_ended(&build.name), 1, build.share);
                over += 1;
            } else if self.running.is_running(*id) {
                work.add_running(&plan, build.share + since, build.took(at));
            } else {
                work.add_running(&plan, build.share, build.took(ended.unwrap_or(at)));
            }
        }
        for name in self.waiting.values() {
            work.add_waiting(&plan(name), 1);
        }
        let ended = self.count_ended();
        let named = ended + self.begun.len() + self.waiting.len();
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let unnamed = built.all.saturating_sub(count(named));
        let unnamed = unnamed.min(MAX_DERIVATIONS as u64);
        let done = built.done.saturating_sub(count(ended + over)).min(unnamed);
        let few = |count: u64| u32::try_from(count).unwrap_or(u32::MAX);
        work.add_ended(&Plan::SMALL, few(done), Duration::ZERO);
        work.add_waiting(&plans.of_new(), few(unnamed - done));
        work
    }

    /// How many derivations have ended, as Nix has reported.
    fn count_ended(&self) -> usize {
        self.ended.values().map(|ended| ended.count as usize).sum()
    }

    fn running(&self) -> impl Iterator<Item = &Begun> {
        self.running.iter().filter_map(|id| self.begun.get(&id))
    }

    /// Whether more than a fifth of `all` derivations still wait or are built and have no time in an `earlier` build, or one of these is
    /// built for long.
    pub fn has_much_new(&self, earlier: &BuildTimes, all: u64, at: Duration) -> bool {
        let is_new = |name: &str| !earlier.contains_key(name);
        let waiting = self.waiting.values().filter(|name| is_new(name));
        let running = self.running();
        let running: Vec<&Begun> = running.filter(|build| is_new(&build.name)).collect();
        let count = u64::try_from(waiting.count() + running.len()).unwrap_or(u64::MAX);
        count.saturating_mul(NEW_PART) > all
            || running
                .iter()
                .any(|build| build.took(at) > typical::MAX_SMALL)
    }

    /// What each derivation that is being built gets until `at`, beside its share.
    fn due(&self, at: Duration) -> Duration {
        let count = self.running.iter().len().try_into().unwrap_or(u32::MAX);
        let since = at.saturating_sub(self.counted_until);
        self.due + since.checked_div(count).unwrap_or_default()
    }

    fn count_until(&mut self, at: Duration) {
        if self.has_begun && self.running().next().is_none() {
            self.idle += at.saturating_sub(self.counted_until);
        }
        self.building = self.building(at);
        self.due = self.due(at);
        self.counted_until = self.counted_until.max(at);
    }

    /// Gives each derivation that is being built what it is due.
    fn share_out(&mut self) {
        let part = std::mem::take(&mut self.due);
        if part.is_zero() {
            return;
        }
        let mut running = self.running.iter().peekable();
        for (id, build) in &mut self.begun {
            while running.next_if(|other| other < id).is_some() {}
            if running.next_if_eq(id).is_some() {
                build.share += part;
            }
        }
    }

    fn stop(&mut self, id: u64, at: Duration) {
        let ended = self.running.stop(id, at).unwrap_or(at);
        if let Some(build) = self.begun.remove(&id) {
            self.note_end(build, ended);
        }
    }

    /// Forgets what waits and runs: Nix was stopped. The time of a build that it did not end is no time of the derivation.
    fn restart(&mut self) {
        self.has_begun = false;
        self.waiting.clear();
        self.due = Duration::ZERO;
        let running = std::mem::take(&mut self.running);
        for (id, build) in std::mem::take(&mut self.begun) {
            if let Some(ended) = running.ended_at(id) {
                self.note_end(build, ended);
            }
        }
    }

    fn note_end(&mut self, build: Begun, at: Duration) {
        if self.ended.len() < MAX_DERIVATIONS {
            let whole = build.took(at);
            let ended = self.ended.entry(build.name).or_default();
            ended.add(build.share, whole);
        }
    }
}

/// How long derivations with the general name of this one took in an `earlier` build, each from its begin to its end.
pub fn earlier_time(derivation: &str, earlier: &BuildTimes) -> Option<Duration> {
    let time = earlier.get(&general_name(derivation))?;
    Some(time.whole())
}

/// The build that an event comes from, which therefore runs.
fn build_of(event: &NixEvent) -> Option<u64> {
    if let NixEvent::BuildLine { id, .. }
    | NixEvent::BuildPhase { id, .. }
    | NixEvent::Moved { id, .. }
    | NixEvent::Step { id, .. } = event
    {
        Some(*id)
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
