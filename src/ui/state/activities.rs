//! The builds and downloads of Nix that are in progress, and the slowest builds. Pure.
//!
//! Nix reports the end of a build that it was asked for by name only when its whole process ends. Its count of running
//! builds is exact: when fewer run than are known here, the newest ones are taken to have ended, until another event of one
//! of them comes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Progress;
use super::Step;
use sdbuild_core::transcript::short_name;

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
    pub(in crate::ui) moved: Option<Progress>,
    /// The step that was last reported.
    pub(in crate::ui) step: Option<Step>,
    /// When it is taken to have ended, although Nix has not reported it.
    ended: Option<Duration>,
}

impl Activity {
    fn is_running_build(&self) -> bool {
        self.kind == ActivityKind::Build && self.ended.is_none()
    }
}

/// The activities in progress, by their id, which grows with time, and how long the slowest builds took.
#[derive(Debug, Default)]
pub(super) struct Activities {
    active: BTreeMap<u64, Activity>,
    /// How many builds run, by Nix's last count.
    running: Option<usize>,
    slowest: Vec<(String, Duration)>,
}

impl Activities {
    /// Forgets what is in progress: activities of a builder that was lost never report their end.
    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.running = None;
    }

    /// Adds the build of the derivation `path`, or the download of the store path `path`.
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

    /// Changes an activity that had an event, if it is known: it has not ended.
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
    pub(super) fn set_running(&mut self, running: u64, at: Duration) {
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
    pub(super) fn iter(&self) -> impl Iterator<Item = &Activity> {
        self.active.values().filter(|one| one.ended.is_none())
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
        let took = activities.slowest().iter().map(|(_, took)| took.as_secs());
        assert_eq!(took.collect::<Vec<_>>(), [3, 1]);
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
    fn build_with_another_event_has_not_ended() {
        let mut activities = started(&[(1, 0), (2, 1)]);
        activities.set_running(1, SECOND * 2);
        activities.change(2, SECOND * 3, |activity| {
            activity.last = Some("here".into());
        });
        assert_eq!(names(&activities), ["p2"]);
    }
}
