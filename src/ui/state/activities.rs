//! The builds and downloads of Nix that are in progress, and the slowest builds. Pure.
//!
//! Nix reports the end of a build that it was asked for by name only when its whole process ends. Its count of running
//! builds is exact: when fewer run than are known here, the newest ones are taken to have ended, until another event of one
//! of them comes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::step::Step;
use crate::common::transcript::short_name;

/// Maximum number of activities that are tracked, more than any build has at once; the oldest are dropped first.
pub(super) const MAX_ACTIVE: usize = 1024;
/// Number of derivations in the table of the slowest.
const SLOWEST_SHOWN: usize = 5;

/// The kind of a Nix activity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum ActivityKind {
    Build,
    Fetch,
}

/// A build or a download in progress.
#[derive(Debug)]
pub(in crate::ui) struct Activity {
    pub(in crate::ui) kind: ActivityKind,
    pub(in crate::ui) name: String,
    /// When it started.
    pub(in crate::ui) since: Duration,
    /// The current phase of the builder, such as `buildPhase`.
    pub(in crate::ui) phase: Option<String>,
    /// The last line of the builder's log.
    pub(in crate::ui) last: Option<String>,
    /// Bytes downloaded so far, and in total (0 while unknown).
    pub(in crate::ui) moved: Option<(u64, u64)>,
    /// The step that was last reported.
    pub(in crate::ui) step: Option<Step>,
    /// When it was taken to have ended.
    ended: Option<Duration>,
}

/// The activities in progress, by their id, and how long the slowest builds took.
#[derive(Debug, Default)]
pub(super) struct Activities {
    active: BTreeMap<u64, Activity>,
    /// How many builds run, by Nix's last count.
    running: Option<u64>,
    slowest: Vec<(String, Duration)>,
}

impl Activities {
    /// Forgets what is in progress: activities of a builder that was lost never report their end.
    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.running = None;
    }

    /// Adds an activity on the store path `path`.
    pub(super) fn begin(&mut self, id: u64, kind: ActivityKind, path: &str, since: Duration) {
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

    /// Changes an activity that had an event, if it is known.
    pub(super) fn change(&mut self, id: u64, at: Duration, change: impl FnOnce(&mut Activity)) {
        let Some(activity) = self.active.get_mut(&id) else {
            return;
        };
        change(activity);
        if activity.ended.take().is_some() {
            self.settle(Some(id), at);
        }
    }

    /// Removes an activity that has ended.
    pub(super) fn stop(&mut self, id: u64, at: Duration) {
        let Some(activity) = self.active.remove(&id) else {
            return;
        };
        if activity.kind != ActivityKind::Build {
            return;
        }
        if activity.ended.is_none() {
            self.revive();
        }
        let took = activity.ended.unwrap_or(at).saturating_sub(activity.since);
        self.slowest.push((activity.name, took));
        self.slowest.sort_by(|(_, a), (_, b)| b.cmp(a));
        self.slowest.truncate(SLOWEST_SHOWN);
    }

    /// Records that `running` builds run at the time `at`.
    pub(super) fn set_running(&mut self, running: u64, at: Duration) {
        self.running = Some(running);
        self.settle(None, at);
    }

    /// Takes the newest builds, but not `except`, to have ended until no more than Nix counts are left.
    fn settle(&mut self, except: Option<u64>, at: Duration) {
        let Some(running) = self.running.and_then(|n| usize::try_from(n).ok()) else {
            return;
        };
        let alive = self.builds().count();
        let newest = self.active.iter_mut().rev();
        let newest = newest.filter(|(id, activity)| is_running(activity) && except != Some(**id));
        for (_, activity) in newest.take(alive.saturating_sub(running)) {
            activity.ended = Some(at);
        }
    }

    /// Restores the build that was last taken to have ended, because another one has ended in its place.
    fn revive(&mut self) {
        let alive = u64::try_from(self.builds().count()).unwrap_or(u64::MAX);
        if self.running.is_some_and(|running| alive < running) {
            let ended = self.active.values_mut().filter(|a| a.ended.is_some());
            if let Some(last) = ended.max_by_key(|activity| activity.ended) {
                last.ended = None;
            }
        }
    }

    fn builds(&self) -> impl Iterator<Item = &Activity> {
        self.active.values().filter(|activity| is_running(activity))
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Activity> {
        let active = self.active.values();
        active.filter(|activity| activity.ended.is_none())
    }

    /// The activity with this id, if it is known.
    pub(super) fn get(&self, id: u64) -> Option<&Activity> {
        self.active.get(&id)
    }

    /// The slowest derivations and their build times, slowest first.
    pub(super) fn slowest(&self) -> &[(String, Duration)] {
        &self.slowest
    }
}

fn is_running(activity: &Activity) -> bool {
    activity.kind == ActivityKind::Build && activity.ended.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn started(builds: &[(u64, u32)]) -> Activities {
        let mut activities = Activities::default();
        for (id, at) in builds {
            let path = format!("/nix/store/{}-p{id}.drv", "a".repeat(32));
            activities.begin(*id, ActivityKind::Build, &path, SECOND * *at);
        }
        activities
    }

    fn names(activities: &Activities) -> Vec<&str> {
        activities.iter().map(|a| a.name.as_str()).collect()
    }

    #[test]
    fn build_whose_end_is_reported_late_ends_by_the_count() {
        let mut activities = started(&[(1, 0), (2, 1)]);
        activities.set_running(2, SECOND);
        activities.set_running(1, SECOND * 2);
        assert_eq!(names(&activities), ["p1"]);
        activities.set_running(0, SECOND * 3);
        activities.stop(1, SECOND * 90);
        activities.stop(2, SECOND * 90);
        let took: Vec<u64> = activities
            .slowest()
            .iter()
            .map(|(_, t)| t.as_secs())
            .collect();
        assert_eq!(took, [3, 1]);
    }

    #[test]
    fn reported_end_corrects_which_build_was_taken_to_have_ended() {
        let mut activities = started(&[(1, 0), (2, 1)]);
        activities.set_running(1, SECOND * 5);
        activities.stop(1, SECOND * 5);
        assert_eq!(names(&activities), ["p2"]);
        activities.stop(2, SECOND * 9);
        assert_eq!(activities.slowest()[0], ("p2".to_owned(), SECOND * 8));
    }

    #[test]
    fn build_that_goes_on_talking_has_not_ended() {
        let mut activities = started(&[(1, 0), (2, 1)]);
        activities.set_running(1, SECOND * 2);
        activities.change(2, SECOND * 3, |activity| {
            activity.last = Some("here".into());
        });
        assert_eq!(names(&activities), ["p2"]);
    }
}
