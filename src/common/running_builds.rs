//! Which of the builds that Nix began are still running. Pure.
//!
//! Nix reports the end of a build that it was asked for by name only when its whole process ends. Its count of running
//! builds is exact: when fewer run than are known here, the newest ones are taken to have ended, until another event of one
//! of them comes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The builds whose end Nix has not reported, by activity number, which grows with time.
#[derive(Debug, Default)]
pub struct RunningBuilds {
    running: BTreeSet<u64>,
    /// Those that are taken to have ended, and when.
    ended: BTreeMap<u64, Duration>,
    /// How many run, by Nix's last count.
    count: Option<usize>,
}

impl RunningBuilds {
    /// Adds a build that begins.
    pub fn begin(&mut self, id: u64) {
        self.running.insert(id);
    }

    /// Notes an event of a build, which therefore has not ended: another one has.
    pub fn speak(&mut self, id: u64, at: Duration) {
        if self.ended.remove(&id).is_some() {
            self.running.insert(id);
            self.settle(Some(id), at);
        }
    }

    /// Removes a build whose end is reported at the time `at`. Returns when it ended; `None` if it is not known.
    pub fn stop(&mut self, id: u64, at: Duration) -> Option<Duration> {
        if let Some(ended) = self.ended.remove(&id) {
            return Some(ended);
        }
        if !self.running.remove(&id) {
            return None;
        }
        self.revive();
        Some(at)
    }

    /// Records that `count` builds run at the time `at`.
    pub fn set_count(&mut self, count: u64, at: Duration) {
        self.count = usize::try_from(count).ok();
        self.settle(None, at);
    }

    /// Whether a build runs, as far as is known.
    pub fn is_running(&self, id: u64) -> bool {
        self.running.contains(&id)
    }

    /// When a build is taken to have ended whose end Nix has not reported.
    pub fn ended_at(&self, id: u64) -> Option<Duration> {
        self.ended.get(&id).copied()
    }

    /// The builds that run, as far as is known.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = u64> + ExactSizeIterator {
        self.running.iter().copied()
    }

    /// Forgets a build.
    pub fn forget(&mut self, id: u64) {
        self.running.remove(&id);
        self.ended.remove(&id);
    }

    /// Takes the newest builds, but not `except`, to have ended until no more than Nix counts are left.
    fn settle(&mut self, except: Option<u64>, at: Duration) {
        let Some(count) = self.count else {
            return;
        };
        let surplus = self.running.len().saturating_sub(count);
        let newest = self.iter().rev().filter(|id| except != Some(*id));
        let newest: Vec<u64> = newest.take(surplus).collect();
        for id in newest {
            self.running.remove(&id);
            self.ended.insert(id, at);
        }
    }

    /// Restores the build that was last taken to have ended, because another one has ended in its place.
    fn revive(&mut self) {
        let last = self.ended.iter().max_by_key(|(_, at)| **at);
        if let Some(id) = last.map(|(id, _)| *id)
            && self.count.is_some_and(|count| self.running.len() < count)
        {
            self.ended.remove(&id);
            self.running.insert(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn begun(ids: &[u64]) -> RunningBuilds {
        let mut builds = RunningBuilds::default();
        for id in ids {
            builds.begin(*id);
        }
        builds
    }

    fn running(builds: &RunningBuilds) -> Vec<u64> {
        builds.iter().collect()
    }

    #[test]
    fn the_newest_build_ends_when_fewer_are_counted() {
        let mut builds = begun(&[1, 2]);
        builds.set_count(2, SECOND);
        builds.set_count(1, SECOND * 2);
        assert_eq!(running(&builds), [1]);
        builds.set_count(0, SECOND * 3);
        assert_eq!(builds.stop(1, SECOND * 90), Some(SECOND * 3));
        assert_eq!(builds.stop(2, SECOND * 90), Some(SECOND * 2));
        assert_eq!(builds.stop(3, SECOND * 90), None);
    }

    #[test]
    fn a_reported_end_revives_the_build_that_ended_last() {
        let mut builds = begun(&[1, 2, 3, 4]);
        builds.set_count(3, SECOND);
        builds.speak(4, SECOND * 2);
        // 3 has ended then, and next the newest, 4, and last 2.
        builds.set_count(2, SECOND * 4);
        builds.set_count(1, SECOND * 5);
        assert_eq!(running(&builds), [1]);
        builds.stop(1, SECOND * 6);
        assert_eq!(running(&builds), [2]);
    }

    #[test]
    fn a_build_that_goes_on_speaking_has_not_ended() {
        let mut builds = begun(&[1, 2]);
        builds.set_count(1, SECOND);
        builds.speak(2, SECOND * 2);
        assert_eq!(running(&builds), [2]);
        builds.speak(9, SECOND * 3);
        assert_eq!(running(&builds), [2]);
        assert!(builds.is_running(2) && !builds.is_running(1));
    }
}
