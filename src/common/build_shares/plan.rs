//! The times that are planned for derivations, from which the share of a build that is done is computed. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use super::times::{BuildTime, BuildTimes, Ended};
use super::typical;

/// This part of the planned time counts as it passes; what a derivation takes longer counts less and less.
const STEADY_PART: f64 = 0.9;
/// Half of a derivation whose time is unknown counts as done after this: if it is one of the many small ones, it has ended before.
const HALF_OF_UNKNOWN: Duration = Duration::from_secs(5);
/// New derivations that take longer than this on average are no small ones: how long the next one takes is a guess.
const MAX_KNOWN: Duration = Duration::from_secs(1);
/// That a new derivation is a small one weighs in the mean of new ones as much as this part of one that was built.
const WEIGHT_OF_SMALL: f64 = 0.5;
/// More than this part of all work, a fifth, is too much to be unknown.
const UNKNOWN_PART: u32 = 5;
/// No derivation is planned with less: some have taken no whole millisecond.
const MIN_TIME: Duration = Duration::from_millis(1);
/// Nor with more than ten days, whatever the history of builds says.
const MAX_TIME: Duration = Duration::from_secs(864_000);

/// The work of derivations, in the time that is planned for them; for those of which nothing is known, that which they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlannedWork {
    pub done: Duration,
    pub all: Duration,
    /// The time of those of which nothing is known and which are no small ones: what is planned for them, or what they took already.
    pub unknown: Duration,
}

/// The time that is planned for a derivation.
pub(super) struct Plan {
    time: Duration,
    /// How long it takes, if its time is known.
    whole: Option<Duration>,
}

impl PlannedWork {
    /// Adds `count` derivations that have ended and took the time `took` together.
    pub(super) fn add_ended(&mut self, plan: &Plan, count: u32, took: Duration) {
        let planned = plan.time * count;
        let time = if plan.whole.is_some() {
            planned
        } else {
            planned.max(took)
        };
        self.done += time;
        self.all += time;
    }

    /// Adds a derivation that has been built for the time `took`, and had this `share` of the time of the build.
    pub(super) fn add_running(&mut self, plan: &Plan, share: Duration, took: Duration) {
        self.done += plan.credit(took);
        if plan.whole.is_some() {
            self.all += plan.time;
        } else {
            self.all += plan.time.max(share);
            let is_small = took <= typical::MAX_SMALL && plan.time <= MAX_KNOWN;
            let unknown = plan.time.max(took);
            self.unknown += if is_small { Duration::ZERO } else { unknown };
        }
    }

    /// Whether so much of the work is of unknown length that no number says how much of it is done.
    pub fn is_unknown(&self) -> bool {
        self.unknown * UNKNOWN_PART > self.all
    }

    /// Adds `count` derivations that wait.
    pub(super) fn add_waiting(&mut self, plan: &Plan, count: u32) {
        let time = plan.time * count;
        self.all += time;
        if plan.whole.is_none() && plan.time > MAX_KNOWN {
            self.unknown += time;
        }
    }
}

impl Plan {
    /// That of a small derivation.
    pub(super) const SMALL: Self = Self {
        time: typical::SMALL,
        whole: None,
    };

    /// What is done of the derivation once it has been built for the time `took`: it grows on, and is never all.
    fn credit(&self, took: Duration) -> Duration {
        let whole = self.whole.unwrap_or(self.time);
        let (steady, half) = match self.whole {
            Some(whole) => (whole.mul_f64(STEADY_PART), whole),
            None => (Duration::ZERO, HALF_OF_UNKNOWN),
        };
        let of_whole = match took.checked_sub(steady) {
            None => took,
            Some(late) => {
                let part = late.div_duration_f64(late + half);
                steady + whole.saturating_sub(steady).mul_f64(part)
            }
        };
        of_whole.mul_f64(self.time.div_duration_f64(whole))
    }
}

/// The times that are planned for the derivations of a build.
pub(super) struct Plans<'a> {
    earlier: &'a BuildTimes,
    /// For each of which nothing is known.
    of_new: Duration,
}

impl<'a> Plans<'a> {
    /// Those of a build of which these derivations have `ended`, by their general names, after an `earlier` one.
    pub(super) fn new(ended: &BTreeMap<String, Ended>, earlier: &'a BuildTimes) -> Self {
        let is_new = |name: &str| known(name, earlier).is_none();
        let new = ended.iter().filter(|(name, _)| is_new(name));
        let new = new.map(|(_, ended)| (ended.mean().share(), ended.count));
        Self {
            earlier,
            of_new: mean_of_new(new),
        }
    }

    /// That of a derivation with this general name.
    pub(super) fn of(&self, name: &str) -> Plan {
        self.known(name).unwrap_or_else(|| self.of_new())
    }

    /// The same of one that has ended: it is known how long it took.
    pub(super) fn of_ended(&self, name: &str) -> Plan {
        self.known(name).unwrap_or(Plan::SMALL)
    }

    /// That of a derivation of which nothing is known.
    pub(super) fn of_new(&self) -> Plan {
        let (time, whole) = (self.of_new, None);
        Plan { time, whole }
    }

    fn known(&self, name: &str) -> Option<Plan> {
        let time = known(name, self.earlier)?;
        Some(Plan {
            time: in_range(time.share()),
            whole: Some(in_range(time.whole())),
        })
    }
}

/// The geometric mean of these derivations, each with its time and how many took it, and of a small one: that a long one was built among
/// many small ones says little about the next one.
fn mean_of_new(built: impl Iterator<Item = (Duration, u32)>) -> Duration {
    let log = |time: Duration| in_range(time).as_secs_f64().ln();
    let one_small = (log(typical::SMALL) * WEIGHT_OF_SMALL, WEIGHT_OF_SMALL);
    let (sum, count) = built.fold(one_small, |(sum, all), (time, count)| {
        let count = f64::from(count);
        (sum + log(time) * count, all + count)
    });
    Duration::from_secs_f64((sum / count).exp()).max(typical::SMALL)
}

fn in_range(time: Duration) -> Duration {
    time.clamp(MIN_TIME, MAX_TIME)
}

/// The time of a derivation with this general name in an `earlier` build, or else what is typical.
pub(super) fn known_time(name: &str, earlier: &BuildTimes) -> Option<Duration> {
    known(name, earlier).map(|time| time.share().min(MAX_TIME))
}

fn known(name: &str, earlier: &BuildTimes) -> Option<BuildTime> {
    let time = earlier.get(name).copied();
    time.or_else(|| typical::millis(name).map(BuildTime::from))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn plan(name: &str, earlier: &BuildTimes) -> Plan {
        Plans::new(&BTreeMap::new(), earlier).of(name)
    }

    /// What is planned for a new derivation after these new ones, with their times in seconds.
    fn after(built: &[(u32, u32)]) -> Duration {
        mean_of_new(built.iter().map(|(took, count)| (SECOND * *took, *count)))
    }

    #[test]
    fn new_derivations_are_planned_by_those_that_were_built() {
        assert_eq!(after(&[]), typical::SMALL);
        // Each of a dozen takes as long.
        assert!(after(&[(4, 2)]) > SECOND && after(&[(4, 8)]) > SECOND * 2);
        assert!(after(&[(4, 8)]) < SECOND * 4);
        // One of them compiles a program.
        assert!(after(&[(60, 1)]) < SECOND * 10);
        assert!(after(&[(60, 1), (0, 40)]) < SECOND / 5);
    }

    #[test]
    fn new_derivations_that_wait_are_unknown_unless_small() {
        let with = |time| {
            let mut work = PlannedWork::default();
            work.add_ended(&Plan::SMALL, 9, SECOND * 9);
            work.add_waiting(&Plan { time, whole: None }, 5);
            work.is_unknown()
        };
        assert!(with(SECOND * 2) && !with(typical::SMALL));
    }

    #[test]
    fn a_running_derivation_counts_as_its_time_passes() {
        let earlier = BuildTimes::from([("linux-0".to_owned(), 40_000.into())]);
        let plan = plan("linux-0", &earlier);
        assert_eq!(plan.credit(SECOND * 10), SECOND * 10);
        assert_eq!(plan.credit(SECOND * 36), SECOND * 36);
        assert_eq!(plan.credit(SECOND * 76), SECOND * 38);
        let long = plan.credit(SECOND * 4000);
        assert!(long > SECOND * 39 && long < SECOND * 40, "{long:?}");
    }

    /// The times are from a file.
    #[test]
    fn no_time_is_too_long_to_be_counted() {
        let earlier = BuildTimes::from([("etc".to_owned(), u64::MAX.into())]);
        let mut work = PlannedWork::default();
        work.add_ended(&plan("etc", &earlier), u32::MAX, SECOND);
        work.add_running(&plan("etc", &earlier), SECOND, SECOND);
        assert!(work.done < work.all);
    }

    #[test]
    fn one_of_unknown_length_stays_within_its_own_slot() {
        let blink = plan("blink", &BuildTimes::new());
        let credits = [1, 5, 60, 3600].map(|seconds| blink.credit(SECOND * seconds));
        assert!(credits.is_sorted_by(|before, after| before < after));
        assert_eq!(credits[1], typical::SMALL / 2);
        assert!(credits[3] < typical::SMALL, "{credits:?}");
    }

    #[test]
    fn one_of_unknown_length_weighs_as_much_as_it_takes() {
        let blink = plan("blink", &BuildTimes::new());
        let with = |took: u32| {
            let mut work = PlannedWork::default();
            work.add_ended(&plan("initrd", &BuildTimes::new()), 1, SECOND);
            work.add_running(&blink, SECOND * took, SECOND * took);
            work
        };
        let initrd = with(0).all.saturating_sub(typical::SMALL);
        for (took, is_unknown) in [(1, false), (3, true), (30, true)] {
            let work = with(took);
            assert_eq!(work.all, initrd + SECOND * took);
            assert_eq!(work.is_unknown(), is_unknown, "{work:?}");
        }
        let mut work = with(0);
        work.add_ended(&blink, 2, SECOND * 9);
        assert_eq!(work.done, initrd + SECOND * 9);
    }
}
