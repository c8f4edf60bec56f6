//! The share that the live view shows: it follows the share that is done, and never jumps or goes back. Pure.

use std::time::Duration;

use super::fraction::{Fraction, WHOLE};

/// The shown share moves once in this time …
const STEP_TIME: Duration = Duration::from_millis(50);
/// … by this part of what it is behind, a quarter …
const PART: u64 = 4;
/// … but no less than this, and no more, 3 %: a tenth is made up for within a second, and all of the bar in about two.
const MIN_STEP: u64 = WHOLE / 500;
const MAX_STEP: u64 = WHOLE / 100 * 3;

/// The share that is shown of a phase.
#[derive(Debug, Default)]
pub(in crate::ui) struct Bar {
    share: u64,
    moved_until: Duration,
}

impl Bar {
    /// That of a phase that begins at the time `at`.
    pub(super) fn begin(at: Duration) -> Self {
        Self {
            share: 0,
            moved_until: at,
        }
    }

    /// Moves towards what is done until the time `at`.
    pub(super) fn follow(&mut self, done: &Fraction, at: Duration) {
        while self.share < done.share() && self.moved_until + STEP_TIME <= at {
            let behind = done.share() - self.share;
            let step = (behind / PART).clamp(MIN_STEP, MAX_STEP);
            self.share += step.min(behind);
            self.moved_until += STEP_TIME;
        }
        if self.share >= done.share() {
            self.moved_until = self.moved_until.max(at);
        }
    }

    /// How much is shown, of [`WHOLE`].
    pub(in crate::ui) fn share(&self) -> u64 {
        self.share
    }

    /// Whole per cent, rounded down.
    pub(in crate::ui) fn percent(&self) -> u64 {
        self.share / (WHOLE / 100)
    }

    /// Shows what is done at the time `at`: it is counted, and stands beside the bar.
    pub(super) fn show(&mut self, done: &Fraction, at: Duration) {
        self.share = self.share.max(done.share());
        self.moved_until = self.moved_until.max(at);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::progress::Progress;

    const TICK: Duration = Duration::from_millis(50);

    fn done(percent: u64) -> Fraction {
        let mut fraction = Fraction::default();
        let (done, all) = (percent, 100);
        fraction.update(Progress { done, all }, Duration::ZERO);
        fraction
    }

    /// What is shown each 50 ms while this much is done.
    fn shown(bar: &mut Bar, percent: u64, ticks: std::ops::Range<u32>) -> Vec<u64> {
        let mut shown = Vec::new();
        for tick in ticks {
            bar.follow(&done(percent), TICK * tick);
            shown.push(bar.percent());
        }
        shown
    }

    #[test]
    fn what_is_shown_follows_within_seconds() {
        for (percent, within) in [(100, 50), (40, 30), (10, 20)] {
            let mut bar = Bar::begin(Duration::ZERO);
            let shown = shown(&mut bar, percent, 0..within);
            assert!(shown.is_sorted(), "{shown:?}");
            assert_eq!(shown[0], 0);
            // In a fifth of a second.
            assert!(shown.windows(5).all(|five| five[4] - five[0] <= 13));
            assert_eq!(bar.share(), done(percent).share());
        }
    }

    #[test]
    fn what_is_shown_does_not_depend_on_how_often_it_is_asked() {
        let (mut often, mut seldom) = (Bar::begin(TICK), Bar::begin(TICK));
        for tick in 1..=16 {
            often.follow(&done(60), TICK * tick);
        }
        seldom.follow(&done(60), TICK * 16);
        assert_eq!(often.share(), seldom.share());
        assert!(often.share() > 0);
    }

    /// A new part of the work starts after a pause: that time is not made up for.
    #[test]
    fn a_pause_does_not_make_it_jump() {
        let mut bar = Bar::begin(Duration::ZERO);
        shown(&mut bar, 10, 0..200);
        let shown = shown(&mut bar, 90, 200..204);
        assert!(shown.last() <= Some(&24), "{shown:?}");
    }
}
