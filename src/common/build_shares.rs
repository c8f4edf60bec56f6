//! How much of a build's time each derivation takes, and from that of an earlier build, how long the rest of one takes. Pure.
//!
//! Of the derivations that are built at the same time, each gets an equal part of that time. All parts together are the time in
//! which anything was built, however many derivations were built in parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::common::nix_event::NixEvent;
use crate::common::running_builds::RunningBuilds;
use crate::common::transcript::short_name;

/// Derivations whose times are counted; no build of an image has that many. With more, nothing is estimated.
const MAX_DERIVATIONS: usize = 8192;
/// A build that takes longer than twice its earlier time and this long is another one than it was.
const SLACK: Duration = Duration::from_secs(10);
/// What took less time in an earlier build does not show how fast this one is.
const MIN_COMPARED: Duration = Duration::from_secs(10);
/// A build of which more than this part is new, a fifth, is another one than the one before.
const NEW_PART: u64 = 5;
/// Hexadecimal digits of a git revision in a version, at least.
const MIN_REVISION_CHARS: usize = 7;

/// The time of each derivation by its name, in milliseconds; of several with one name their mean.
pub type BuildTimes = BTreeMap<String, u64>;

/// A derivation whose build began, and whose end Nix has not reported.
#[derive(Debug)]
struct Begun {
    name: String,
    share: Duration,
}

/// Counts the time of each derivation of a build from Nix's events.
#[derive(Debug, Default)]
pub struct BuildShares {
    /// Store paths of what Nix has forecast and not begun to build.
    waiting: BTreeSet<String>,
    /// Whether the derivations of a forecast are being listed.
    is_listing: bool,
    /// By activity number.
    begun: BTreeMap<u64, Begun>,
    /// Which of them have not ended.
    running: RunningBuilds,
    /// What each of these gets beside its share: added to the shares before others run, for there may be thousands of them.
    due: Duration,
    /// All time of a name, and of how many derivations.
    ended: BTreeMap<String, (Duration, u32)>,
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
                    self.waiting.insert(derivation.to_owned());
                }
            }
        } else if let NixEvent::BuildStarted { id, derivation, .. } = event {
            self.waiting.remove(derivation);
            self.share_out();
            let (name, share) = (general_name(derivation), Duration::ZERO);
            self.begun.insert(*id, Begun { name, share });
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
        } else if *event == NixEvent::Restarted {
            self.restart();
        }
    }

    /// The times of all derivations whose build has ended.
    pub fn times(&self) -> BuildTimes {
        let mean = |(all, count): &(Duration, u32)| {
            u64::try_from((*all / (*count).max(1)).as_millis()).unwrap_or(u64::MAX)
        };
        let begun = self.begun.iter();
        let over = begun.filter(|(id, _)| !self.running.is_running(**id));
        let over = over.map(|(_, build)| (build.name.clone(), mean(&(build.share, 1))));
        let ended = self
            .ended
            .iter()
            .map(|(name, all)| (name.clone(), mean(all)));
        over.chain(ended).collect()
    }

    /// How long what is left to build takes, if all of it takes as long as in an `earlier` build; `None` if that has not built all
    /// of it, or one of them takes much longer than in that one.
    pub fn left(&self, earlier: &BuildTimes, at: Duration) -> Option<Duration> {
        // Of a list that is not read to its end, the rest is unknown.
        if self.is_listing || self.waiting.len() >= MAX_DERIVATIONS {
            return None;
        }
        let time_of = |name: &str| earlier.get(name).copied().map(Duration::from_millis);
        let since = self.due + self.part_of(at.saturating_sub(self.counted_until));
        let slowdown = self.slowdown(earlier);
        let mut left = Duration::ZERO;
        for derivation in &self.waiting {
            left += time_of(&general_name(derivation))?.mul_f64(slowdown);
        }
        for build in self.running.iter().filter_map(|id| self.begun.get(&id)) {
            let (all, done) = (time_of(&build.name)?, build.share + since);
            if done > all * 2 + SLACK {
                return None;
            }
            left += all.mul_f64(slowdown).saturating_sub(done);
        }
        (!left.is_zero()).then_some(left)
    }

    /// How many times as long as in an `earlier` build those derivations took that were built so far, or take already; at least once as long.
    pub fn slowdown(&self, earlier: &BuildTimes) -> f64 {
        let time_of = |name: &str| earlier.get(name).copied().map(Duration::from_millis);
        let (mut now, mut then) = (Duration::ZERO, Duration::ZERO);
        for (name, (took, count)) in &self.ended {
            if let Some(before) = time_of(name) {
                now += *took;
                then += before * *count;
            }
        }
        for build in self.running.iter().filter_map(|id| self.begun.get(&id)) {
            let done = build.share + self.due;
            // How long one still takes that is not late is not known.
            if let Some(before) = time_of(&build.name).filter(|before| *before < done) {
                now += done;
                then += before;
            }
        }
        if then < MIN_COMPARED {
            return 1.0;
        }
        now.div_duration_f64(then).max(1.0)
    }

    /// How much is done of the derivations that are being built, in thousandths of one: all of one is what it took in an `earlier` build.
    pub fn part_done(&self, earlier: &BuildTimes, at: Duration) -> u64 {
        let since = self.due + self.part_of(at.saturating_sub(self.counted_until));
        let running = self.running.iter().filter_map(|id| self.begun.get(&id));
        let part = |build: &Begun| {
            let all = u128::from(*earlier.get(&build.name)?);
            let done = (build.share + since).as_millis().min(all);
            u64::try_from(done * 1000 / all.max(1)).ok()
        };
        running.filter_map(part).sum()
    }

    /// Whether more than a fifth of `all` derivations still wait or are built and have no time in an `earlier` build, or one of these is
    /// built for long.
    pub fn has_much_new(&self, earlier: &BuildTimes, all: u64) -> bool {
        let is_new = |name: &str| !earlier.contains_key(name);
        let waiting = self.waiting.iter();
        let waiting = waiting.filter(|derivation| is_new(&general_name(derivation)));
        let running = self.running.iter().filter_map(|id| self.begun.get(&id));
        let running: Vec<&Begun> = running.filter(|build| is_new(&build.name)).collect();
        let count = u64::try_from(waiting.count() + running.len()).unwrap_or(u64::MAX);
        count.saturating_mul(NEW_PART) > all
            || running.iter().any(|build| build.share + self.due > SLACK)
    }

    /// What each derivation that is being built gets of `time`.
    fn part_of(&self, time: Duration) -> Duration {
        let count = self.running.iter().len().try_into().unwrap_or(u32::MAX);
        time.checked_div(count).unwrap_or_default()
    }

    fn count_until(&mut self, at: Duration) {
        self.due += self.part_of(at.saturating_sub(self.counted_until));
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
        self.running.stop(id, at);
        if let Some(build) = self.begun.remove(&id) {
            self.note_end(build);
        }
    }

    /// Forgets what waits and runs: Nix was stopped. The time of a build that it did not end is no time of the derivation.
    fn restart(&mut self) {
        self.waiting.clear();
        self.due = Duration::ZERO;
        let running = std::mem::take(&mut self.running);
        for (id, build) in std::mem::take(&mut self.begun) {
            if !running.is_running(id) {
                self.note_end(build);
            }
        }
    }

    fn note_end(&mut self, build: Begun) {
        if self.ended.len() < MAX_DERIVATIONS {
            let (all, count) = self.ended.entry(build.name).or_default();
            *all += build.share;
            *count += 1;
        }
    }
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

/// The store path in a line of Nix's forecast, if it is one of a derivation.
fn listed_derivation(text: &str) -> Option<&str> {
    let path = text.strip_prefix("  ")?;
    let name = path.strip_prefix("/nix/store/")?.strip_suffix(".drv")?;
    (!name.contains(char::is_whitespace)).then_some(path)
}

/// The name of a derivation without the numbers of its version, and the git revision behind them, which change from one build to
/// the next: `nixos-system-pi-26.05.20260102.abc12de` is `nixos-system-pi-0`.
fn general_name(derivation: &str) -> String {
    let mut name = String::new();
    for word in short_name(derivation).split_inclusive('-') {
        let (text, end) = match word.strip_suffix('-') {
            Some(text) => (text, "-"),
            None => (word, ""),
        };
        let version = match text.rsplit_once('.') {
            Some((version, revision)) if is_revision(revision) => version,
            Some(_) | None => text,
        };
        for c in version.chars() {
            let is_number = c.is_ascii_digit() || c == '.';
            if !is_number {
                name.push(c);
            } else if !name.ends_with('0') {
                name.push('0');
            }
        }
        name.push_str(end);
    }
    name
}

fn is_revision(text: &str) -> bool {
    text.len() >= MIN_REVISION_CHARS && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
