//! How much of a phase is done: a share that never decreases and never stands still while work is done. Pure.

use std::time::Duration;

use crate::common::progress::Progress;

/// A share of 1 in the numbers of [`Fraction::share`].
pub(in crate::ui) const WHOLE: u64 = 1_000_000_000;
/// No time left is estimated before this much time has passed …
const MIN_TIME: Duration = Duration::from_secs(5);
/// … and this share was done in it: 5 %.
const MIN_SHARE: u64 = WHOLE / 20;

/// The share of a phase that is done. When more work turns up, the share stays, and the rest takes longer to fill.
#[derive(Debug, Default)]
pub(in crate::ui) struct Fraction {
    share: u64,
    done: u64,
    /// When the first work was reported.
    since: Option<Duration>,
}

impl Fraction {
    /// Notes how many units are done at the time `at`.
    pub(super) fn update(&mut self, progress: Progress, at: Duration) {
        let Progress { done, all } = progress;
        self.since.get_or_insert(at);
        let more = done.saturating_sub(self.done);
        let rest = all.saturating_sub(self.done);
        if more == 0 || rest == 0 {
            return;
        }
        let step = u128::from(WHOLE - self.share) * u128::from(more.min(rest)) / u128::from(rest);
        self.share += u64::try_from(step).unwrap_or(0);
        self.done = done;
    }

    /// Notes that `done` units count as done when the work begins anew: what is done again may be less than what was done.
    pub(super) fn restart(&mut self, done: u64) {
        self.done = done;
    }

    /// Whether it is known how much work there is.
    pub(super) fn is_known(&self) -> bool {
        self.since.is_some()
    }

    /// How much is done, of [`WHOLE`].
    pub(in crate::ui) fn share(&self) -> u64 {
        self.share
    }

    /// Whole per cent, rounded down.
    pub(in crate::ui) fn percent(&self) -> u64 {
        self.share / (WHOLE / 100)
    }

    /// The part of `all`, the time of the whole phase, in which the rest would be done.
    pub(super) fn rest_of(&self, all: Duration) -> Duration {
        let millis = all.as_millis() * u128::from(WHOLE - self.share) / u128::from(WHOLE);
        Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// Whether less is done than half of what would be if only the time `left` were left at the time `at`.
    pub(super) fn contradicts(&self, left: Duration, at: Duration) -> bool {
        let took = at.saturating_sub(self.since.unwrap_or(at)).as_millis();
        let all = took + left.as_millis();
        u128::from(self.share) * 2 * all < u128::from(WHOLE) * took
    }

    /// The time that is left if the rest is done as fast as what was done; `None` while too little is done for an estimate.
    pub(in crate::ui) fn time_left(&self, at: Duration) -> Option<Duration> {
        let took = at.saturating_sub(self.since?);
        if took < MIN_TIME || self.share < MIN_SHARE {
            return None;
        }
        let left = took.as_millis() * u128::from(WHOLE - self.share) / u128::from(self.share);
        Some(Duration::from_millis(u64::try_from(left).ok()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn of(done: u64, all: u64) -> Progress {
        Progress { done, all }
    }

    #[test]
    fn share_follows_the_work() {
        let mut fraction = Fraction::default();
        for (done, percent) in [(0, 0), (25, 25), (50, 50), (99, 99), (100, 100)] {
            fraction.update(of(done, 100), SECOND);
            assert!(fraction.percent().abs_diff(percent) <= 1, "{fraction:?}");
        }
    }

    #[test]
    fn share_grows_on_when_more_work_turns_up() {
        let mut fraction = Fraction::default();
        fraction.update(of(80, 100), SECOND);
        let before = fraction.share();
        fraction.update(of(80, 400), SECOND);
        assert_eq!(fraction.share(), before);
        fraction.update(of(81, 400), SECOND);
        assert!(fraction.share() > before);
        fraction.update(of(10, 400), SECOND);
        let kept = fraction.share();
        fraction.update(of(400, 400), SECOND);
        assert!(
            fraction.share() > kept && fraction.percent() == 100,
            "{fraction:?}"
        );
    }

    #[test]
    fn share_grows_at_once_when_work_begins_anew() {
        let mut fraction = Fraction::default();
        fraction.update(of(80, 100), SECOND);
        fraction.restart(60);
        let before = fraction.share();
        fraction.update(of(61, 100), SECOND);
        assert!(fraction.share() > before);
        fraction.update(of(100, 100), SECOND);
        assert_eq!(fraction.share(), WHOLE);
    }

    #[test]
    fn time_left_is_estimated_once_it_is_known() {
        let mut fraction = Fraction::default();
        fraction.update(of(0, 100), SECOND);
        fraction.update(of(50, 100), SECOND * 4);
        assert_eq!(fraction.time_left(SECOND * 4), None);
        let left = fraction.time_left(SECOND * 11).unwrap();
        assert!(
            left.abs_diff(SECOND * 10) < Duration::from_millis(10),
            "{left:?}"
        );
        let mut slow = Fraction::default();
        slow.update(of(1, 100), SECOND);
        assert_eq!(slow.time_left(SECOND * 500), None);
    }

    #[test]
    fn much_less_than_the_time_left_tells_contradicts_it() {
        let mut fraction = Fraction::default();
        assert!(!fraction.contradicts(SECOND, SECOND * 10));
        fraction.update(of(0, 100), SECOND);
        assert!(!fraction.contradicts(SECOND * 3, SECOND));
        fraction.update(of(19, 100), SECOND * 2);
        // Of 4 s, 1 s has passed; of 12 s, 9 s.
        assert!(!fraction.contradicts(SECOND * 3, SECOND * 2));
        assert!(fraction.contradicts(SECOND * 3, SECOND * 10));
        fraction.update(of(51, 100), SECOND * 11);
        assert!(!fraction.contradicts(SECOND * 3, SECOND * 500));
    }

    proptest::proptest! {
        #[test]
        fn share_never_decreases_or_passes_the_whole(steps in proptest::collection::vec((0u64..u64::MAX, 0u64..u64::MAX), 0..40)) {
            let mut fraction = Fraction::default();
            let mut before = 0;
            for (done, total) in steps {
                fraction.update(of(done, total), SECOND);
                proptest::prop_assert!(fraction.share() >= before && fraction.share() <= WHOLE);
                before = fraction.share();
            }
        }
    }
}
