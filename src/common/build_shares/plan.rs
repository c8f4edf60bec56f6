//! The times that are planned for derivations, from which the share of a build that is done is computed. Pure.

use std::time::Duration;

use super::times::{BuildTime, BuildTimes};
use super::typical;

/// This part of the planned time counts as it passes; what a derivation takes longer counts less and less.
const STEADY_PART: f64 = 0.9;
/// Half of a derivation whose time is unknown counts as done after this: if it is one of the many small ones, it has ended before.
const HALF_OF_UNKNOWN: Duration = Duration::from_secs(5);
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
    /// The time that those took already that are being built, of which nothing is known, and which are no small ones.
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
            let is_small = took <= typical::MAX_SMALL;
            self.unknown += if is_small { Duration::ZERO } else { took };
        }
    }

    /// Whether so much of the work is of unknown length that no number says how much of it is done.
    pub fn is_unknown(&self) -> bool {
        self.unknown * UNKNOWN_PART > self.all
    }

    /// Adds `count` derivations that wait.
    pub(super) fn add_waiting(&mut self, plan: &Plan, count: u32) {
        self.all += plan.time * count;
    }
}

impl Plan {
    /// That of a derivation of which nothing is known.
    pub(super) const UNKNOWN: Self = Self {
        time: typical::SMALL,
        whole: None,
    };

    /// That of a derivation with this general name.
    pub(super) fn of(name: &str, earlier: &BuildTimes) -> Self {
        let range = |time: Duration| time.clamp(MIN_TIME, MAX_TIME);
        known(name, earlier).map_or(Self::UNKNOWN, |time| Self {
            time: range(time.share()),
            whole: Some(range(time.whole())),
        })
    }

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

    #[test]
    fn a_running_derivation_counts_as_its_time_passes() {
        let earlier = BuildTimes::from([("linux-0".to_owned(), 40_000.into())]);
        let plan = Plan::of("linux-0", &earlier);
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
        work.add_ended(&Plan::of("etc", &earlier), u32::MAX, SECOND);
        work.add_running(&Plan::of("etc", &earlier), SECOND, SECOND);
        assert!(work.done < work.all);
    }

    #[test]
    fn one_of_unknown_length_stays_within_its_own_slot() {
        let plan = Plan::of("blink", &BuildTimes::new());
        let credits = [1, 5, 60, 3600].map(|seconds| plan.credit(SECOND * seconds));
        assert!(credits.is_sorted_by(|before, after| before < after));
        assert_eq!(credits[1], typical::SMALL / 2);
        assert!(credits[3] < typical::SMALL, "{credits:?}");
    }

    #[test]
    fn one_of_unknown_length_weighs_as_much_as_it_takes() {
        let plan = Plan::of("blink", &BuildTimes::new());
        let with = |took: u32| {
            let mut work = PlannedWork::default();
            work.add_ended(&Plan::of("initrd", &BuildTimes::new()), 1, SECOND);
            work.add_running(&plan, SECOND * took, SECOND * took);
            work
        };
        let initrd = with(0).all.saturating_sub(typical::SMALL);
        for (took, is_unknown) in [(1, false), (3, true), (30, true)] {
            let work = with(took);
            assert_eq!(work.all, initrd + SECOND * took);
            assert_eq!(work.is_unknown(), is_unknown, "{work:?}");
        }
        let mut work = with(0);
        work.add_ended(&plan, 2, SECOND * 9);
        assert_eq!(work.done, initrd + SECOND * 9);
    }
}
