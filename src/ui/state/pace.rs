//! How long a build still takes by what was seen of it so far: a first build has no earlier one to tell. Pure.

use std::time::Duration;

use super::nix_counts::NixCounts;
use crate::common::build_shares::Work;
use crate::common::progress::Progress;

/// No time left is estimated from work that took less time than this …
const MIN_TIME: Duration = Duration::from_secs(30);
/// … or of which less is done than this …
const MIN_DONE: u64 = 10;
/// … or less than this part of all: a tenth.
const PART: u64 = 10;
/// A shorter time is not told: the last derivations make the image, which alone may take as long.
const MIN_LEFT: Duration = Duration::from_secs(60);
/// How long an estimate takes to follow one that differs, so that what is shown never jumps.
const SETTLING: Duration = Duration::from_secs(15);

/// The time that downloads and derivations took so far, and when they will be done.
#[derive(Debug, Default)]
pub(super) struct Pace {
    counted_until: Duration,
    downloading: Duration,
    end: Option<Duration>,
    /// Whether less than the shortest time was left once: whatever takes longer then, of that nobody knows.
    is_over: bool,
}

impl Pace {
    /// That of a build that begins at the time `at`.
    pub(super) fn begin(at: Duration) -> Self {
        Self {
            counted_until: at,
            ..Self::default()
        }
    }

    /// Forgets the estimate: Nix begins anew, with other work.
    pub(super) fn restart(&mut self) {
        (self.end, self.is_over) = (None, false);
    }

    /// Counts the time until `at`, and estimates the end anew: in the time `known` if that is known better than from `counts` and the
    /// `work` of derivations.
    pub(super) fn update(
        &mut self,
        counts: &NixCounts,
        work: Work,
        known: Option<Duration>,
        at: Duration,
    ) {
        let passed = at.saturating_sub(self.counted_until);
        self.counted_until = self.counted_until.max(at);
        if !counts.has_downloaded() {
            self.downloading += passed;
        }
        let end = known.or_else(|| self.left(counts, work));
        let end = end.map(|left| at + left);
        let is_near = |end: Duration| end.saturating_sub(at) < MIN_LEFT;
        self.end = match (self.end, end) {
            (Some(before), Some(end)) => {
                let now = approached(before, end, passed);
                self.is_over |= is_near(now) && !is_near(before + passed);
                Some(now)
            }
            (_, end) => end,
        };
    }

    /// The time until the estimated end; `None` if there is no estimate, or it is too near.
    pub(super) fn time_left(&self, at: Duration) -> Option<Duration> {
        let left = self.end?.checked_sub(at).filter(|_| !self.is_over)?;
        (left >= MIN_LEFT).then_some(left)
    }

    /// The time that the rest takes if it is done as fast as what was done. Downloads and builds go on at the same time.
    fn left(&self, counts: &NixCounts, work: Work) -> Option<Duration> {
        let built = counts.forecast_builds()?;
        let builds = is_enough(work.building, built).then_some(work.rest)?;
        if counts.has_downloaded() {
            return Some(builds);
        }
        let downloads = left_at_pace(self.downloading, counts.downloaded)?;
        Some(builds.max(downloads))
    }
}

/// The time for the rest when what is done took the time `took`; `None` while that is too little for an estimate.
fn left_at_pace(took: Duration, progress: Progress) -> Option<Duration> {
    if !is_enough(took, progress) {
        return None;
    }
    let rest = progress.all.saturating_sub(progress.done);
    let left = took.as_millis() * u128::from(rest) / u128::from(progress.done);
    Some(Duration::from_millis(u64::try_from(left).ok()?))
}

/// Whether it tells something about the rest that what is done took the time `took`.
fn is_enough(took: Duration, progress: Progress) -> bool {
    let Progress { done, all } = progress;
    took >= MIN_TIME && done >= MIN_DONE && done.saturating_mul(PART) >= all
}

/// The estimate `before` on its way to `end`, where it is after [`SETTLING`].
fn approached(before: Duration, end: Duration, passed: Duration) -> Duration {
    let part = passed.div_duration_f64(SETTLING).min(1.0);
    let step = before.abs_diff(end).mul_f64(part);
    if end > before {
        before + step
    } else {
        before.saturating_sub(step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::nix_event::NixEvent;

    const SECOND: Duration = Duration::from_secs(1);
    const NOTHING: Work = Work {
        building: Duration::ZERO,
        rest: Duration::ZERO,
    };

    /// What is said at each second of a build of `all` derivations, which has built as many as `built` says at that second.
    fn told(all: u64, seconds: u32, built: impl Fn(u64) -> u64) -> Vec<Option<u64>> {
        let mut counts = NixCounts::default();
        counts.apply(&NixEvent::WillBuild { derivations: all });
        let mut pace = Pace::begin(Duration::ZERO);
        let each = (0..seconds).map(|second| {
            let (done, at) = (built(second.into()), SECOND * second);
            counts.apply(&NixEvent::Built {
                done,
                expected: all,
                running: 1,
            });
            // The rest is done as fast as what was done.
            let rest =
                at * u32::try_from(all - done).unwrap() / u32::try_from(done.max(1)).unwrap();
            let building = at;
            pace.update(&counts, Work { building, rest }, None, at);
            pace.time_left(at).map(|left| left.as_secs())
        });
        each.collect()
    }

    #[test]
    fn nothing_is_said_before_enough_was_seen() {
        // One in a second: half a minute, and a tenth of all.
        for (all, first) in [(200, 30), (500, 50)] {
            let steady = told(all, 480, |second| second.min(all));
            let known = steady.iter().position(Option::is_some);
            assert_eq!(known, Some(first), "{steady:?}");
            assert_eq!(steady[first], Some(all - 30.max(all / 10)));
            assert_eq!(steady[100], Some(all - 100));
        }
        let steady = told(200, 190, |second| second);
        assert_eq!((steady[130], steady[150]), (Some(70), None));
        let few = told(9, 600, |second| (second / 60).min(9));
        assert!(few.iter().all(Option::is_none), "{few:?}");
    }

    /// Emulated derivations, and then many that only write a file.
    #[test]
    fn what_is_said_never_jumps() {
        let told = told(200, 60, |second| match second {
            0..40 => second,
            _ => (40 + (second - 40) * 30).min(200),
        });
        let known: Vec<u64> = told.into_iter().flatten().collect();
        assert!(known.len() > 12, "{known:?}");
        for (before, after) in known.iter().zip(known.iter().skip(1)) {
            assert!(before.abs_diff(*after) <= before / 4 + 1, "{known:?}");
        }
    }

    /// The last derivation, the image, takes longer than expected.
    #[test]
    fn nothing_is_said_again_once_the_end_seemed_near() {
        let (mut counts, mut pace) = (NixCounts::default(), Pace::begin(Duration::ZERO));
        counts.apply(&NixEvent::WillBuild { derivations: 100 });
        let built = NixEvent::Built {
            done: 99,
            expected: 100,
            running: 1,
        };
        counts.apply(&built);
        let told = |pace: &mut Pace, at, rest| {
            let (at, rest) = (SECOND * at, SECOND * rest);
            let building = at;
            pace.update(&counts, Work { building, rest }, None, at);
            pace.time_left(at).map(|left| left.as_secs())
        };
        assert_eq!(told(&mut pace, 60, 80), Some(80));
        assert_eq!(told(&mut pace, 80, 40), None);
        assert_eq!(told(&mut pace, 400, 200), None);
        // Nix begins anew: that is another build, whose end is as far as it says.
        pace.restart();
        assert_eq!(told(&mut pace, 401, 200), Some(200));
    }

    #[test]
    fn the_longer_of_downloads_and_builds_counts() {
        let mut counts = NixCounts::default();
        for event in [
            NixEvent::WillBuild { derivations: 100 },
            NixEvent::WillFetch {
                paths: 9,
                download: 1_000_000_000,
                unpacked: 1,
            },
            NixEvent::Built {
                done: 50,
                expected: 100,
                running: 1,
            },
        ] {
            counts.apply(&event);
        }
        let left = |counts: &NixCounts| {
            let mut pace = Pace::begin(Duration::ZERO);
            let work = Work {
                building: SECOND * 60,
                rest: SECOND * 60,
            };
            pace.update(counts, work, None, SECOND * 60);
            pace.time_left(SECOND * 60)
        };
        // Nothing of the downloads was seen.
        assert_eq!(left(&counts), None);
        counts.add_downloaded(200_000_000);
        assert_eq!(left(&counts), Some(SECOND * 240));
        counts.add_downloaded(800_000_000);
        assert_eq!(left(&counts), Some(SECOND * 60));
    }

    #[test]
    fn an_estimate_of_less_than_a_minute_is_not_shown() {
        let counts = NixCounts::default();
        let mut pace = Pace::begin(Duration::ZERO);
        pace.update(&counts, NOTHING, Some(SECOND * 200), SECOND);
        assert_eq!(pace.time_left(SECOND * 11), Some(SECOND * 190));
        assert_eq!(pace.time_left(SECOND * 150), None);
        assert_eq!(pace.time_left(SECOND * 900), None);
        pace.update(&counts, NOTHING, None, SECOND * 12);
        assert_eq!(pace.time_left(SECOND * 12), None);
    }
}
