//! The builds and downloads of Nix that are in progress, and the slowest builds. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::step::Step;
use crate::common::progress::Progress;
use crate::common::running_builds::RunningBuilds;
use crate::common::transcript::short_name;

/// Maximum number of activities that are tracked, more than any build has at once; the oldest are dropped first.
pub(super) const MAX_ACTIVE: usize = 1024;
/// Number of derivations in the table of the slowest.
const SLOWEST_SHOWN: usize = 5;

/// A derivation that took less in an earlier build ends before anybody has compared.
const MIN_LAST_TIME: Duration = Duration::from_secs(5);

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
    /// How long derivations of this name took in an earlier build, if that was [`MIN_LAST_TIME`] or longer.
    pub(in crate::ui) last_time: Option<Duration>,
    /// The current phase of the builder, such as `buildPhase`.
    pub(in crate::ui) phase: Option<String>,
    /// The last line of the builder's log.
    pub(in crate::ui) last: Option<String>,
    /// Bytes downloaded so far, and in total (0 while unknown).
    pub(in crate::ui) moved: Option<Progress>,
    /// The step that was last reported.
    pub(in crate::ui) step: Option<Step>,
}

impl Activity {
    /// One on the store path `path` that begins now.
    fn new(kind: ActivityKind, path: &str, since: Duration) -> Self {
        Self {
            kind,
            name: short_name(path).to_owned(),
            since,
            last_time: None,
            phase: None,
            last: None,
            moved: None,
            step: None,
        }
    }
}

/// The activities in progress, by their id, and how long the slowest builds took.
#[derive(Debug, Default)]
pub(super) struct Activities {
    active: BTreeMap<u64, Activity>,
    /// Which of the builds among them have not ended.
    running: RunningBuilds,
    slowest: Vec<(String, Duration)>,
}

impl Activities {
    /// Forgets what is in progress: activities of a builder that was lost never report their end.
    pub(super) fn clear(&mut self) {
        self.active.clear();
        self.running = RunningBuilds::default();
    }

    /// Adds the build of a derivation that took the time `last_time` in an earlier build.
    pub(super) fn begin_build(
        &mut self,
        id: u64,
        derivation: &str,
        last_time: Option<Duration>,
        since: Duration,
    ) {
        let build = Activity {
            last_time: last_time.filter(|last| *last >= MIN_LAST_TIME),
            ..Activity::new(ActivityKind::Build, derivation, since)
        };
        self.begin(id, build);
        self.running.begin(id);
    }

    /// Adds the download of the store path `path`.
    pub(super) fn begin_fetch(&mut self, id: u64, path: &str, since: Duration) {
        self.begin(id, Activity::new(ActivityKind::Fetch, path, since));
    }

    fn begin(&mut self, id: u64, activity: Activity) {
        if self.active.len() >= MAX_ACTIVE
            && let Some((oldest, _)) = self.active.pop_first()
        {
            self.running.forget(oldest);
        }
        self.active.insert(id, activity);
    }

    /// Changes an activity that had an event, if it is known.
    pub(super) fn change(&mut self, id: u64, at: Duration, change: impl FnOnce(&mut Activity)) {
        let Some(activity) = self.active.get_mut(&id) else {
            return;
        };
        change(activity);
        self.running.speak(id, at);
    }

    /// Removes an activity that has ended.
    pub(super) fn stop(&mut self, id: u64, at: Duration) {
        let activity = self.active.remove(&id);
        let ended = self.running.stop(id, at);
        let Some((activity, ended)) = activity.zip(ended) else {
            return;
        };
        let took = ended.saturating_sub(activity.since);
        self.slowest.push((activity.name, took));
        self.slowest.sort_by(|(_, a), (_, b)| b.cmp(a));
        self.slowest.truncate(SLOWEST_SHOWN);
    }

    /// Records that `running` builds run at the time `at`.
    pub(super) fn set_running(&mut self, running: u64, at: Duration) {
        self.running.set_count(running, at);
    }

    /// The builds and downloads in progress, in the order in which they started.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Activity> {
        let active = self.active.iter();
        let in_progress = active.filter(|(id, activity)| {
            activity.kind == ActivityKind::Fetch || self.running.is_running(**id)
        });
        in_progress.map(|(_, activity)| activity)
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

/// Whether `line` is `30+0 records out`, or another count that `dd` ends with: it says nothing about what follows.
pub(super) fn is_count_of_dd(line: &str) -> bool {
    let records = [" records in", " records out"];
    let count = records.iter().find_map(|end| line.strip_suffix(end));
    count.is_some_and(|count| count.chars().all(|c| c == '+' || c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn started(builds: &[(u64, u32)]) -> Activities {
        let mut activities = Activities::default();
        for (id, at) in builds {
            let path = format!("/nix/store/{}-p{id}.drv", "a".repeat(32));
            activities.begin_build(*id, &path, None, SECOND * *at);
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
