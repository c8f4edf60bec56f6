//! How long the phases of a run still take, by how long they took before. Pure.

use std::time::Duration;

use super::time_left::is_longer;
use super::{State, WHOLE};
use crate::common::event::Phase;

/// How long a machine takes to switch itself off where nothing is known of it: no more than the estimate of all may be wrong by.
const USUAL_POWER_OFF: Duration = Duration::from_secs(3);
/// Of the last time of a phase, the part in which its bar grows with the time: nine tenths.
const STEADY: f64 = 0.9;

impl State {
    /// How long this phase took in the last run that had it, if that tells how long it takes now. What a build has to do is not known
    /// before it runs, and what a command of the user does never.
    fn last_time(&self, phase: Phase) -> Option<Duration> {
        if matches!(phase, Phase::Build | Phase::Command) {
            return None;
        }
        let millis = self.earlier.phases.get(&phase);
        millis.copied().map(Duration::from_millis)
    }

    /// The current phase's last time if it has nothing to count, and takes as long each time.
    fn steady_time(&self) -> Option<Duration> {
        let (phase, _) = self.phase()?;
        let is_steady = matches!(phase, Phase::Boot | Phase::PowerOff);
        let last = self.last_time(phase).filter(|_| is_steady)?;
        (last >= Duration::from_secs(1)).then_some(last)
    }

    /// How long the current phase took last time, and whether it takes longer now, if it has nothing to count.
    pub(in crate::ui) fn last_steady_time(&self, at: Duration) -> Option<(Duration, bool)> {
        let (last, (_, since)) = (self.steady_time()?, self.phase()?);
        Some((last, is_longer(at.saturating_sub(since), last)))
    }

    /// The share of a phase that has nothing to count, by its last time.
    pub(super) fn share_by_last_time(&self, at: Duration) -> Option<u64> {
        let (last, (_, since)) = (self.steady_time()?, self.phase()?);
        let part = at.saturating_sub(since).div_duration_f64(last);
        let thousandths = Duration::from_secs(1).mul_f64(slowed(part)).as_nanos();
        Some(u64::try_from(thousandths).unwrap_or(WHOLE).min(WHOLE - 1))
    }

    /// The time that the current phase still takes if it takes as long as last time; `None` once it has taken longer.
    pub(super) fn left_by_last_time(&self, at: Duration) -> Option<Duration> {
        let (phase, since) = self.phase()?;
        let left = self.last_time(phase)?;
        let left = left.checked_sub(at.saturating_sub(since))?;
        (!left.is_zero()).then_some(left)
    }

    /// The time that this phase and those that follow still take, if the time of each one is known.
    pub(in crate::ui) fn whole_time_left(&self, at: Duration) -> Option<Duration> {
        let of_others = self.to_come.iter().map(|phase| {
            let last = self.last_time(*phase);
            last.or((*phase == Phase::PowerOff).then_some(USUAL_POWER_OFF))
        });
        let rest = of_others.sum::<Option<Duration>>()?;
        let left = self.time_left(at).or_else(|| self.left_by_last_time(at));
        let is_built = || self.is_built().then_some(Duration::ZERO);
        Some(left.or_else(is_built)? + rest)
    }

    /// Whether all is built in the phase that builds, and only the builder has to be stopped.
    fn is_built(&self) -> bool {
        let is_build = self.phase().is_some_and(|(phase, _)| phase == Phase::Build);
        let built = self.nix.forecast_builds();
        is_build && built.is_some_and(|built| built.all > 0 && built.done >= built.all)
    }

    /// Whether the current phase is one of several of the work of a run.
    pub(in crate::ui) fn is_part(&self) -> bool {
        let Some((phase, since)) = self.phase() else {
            return false;
        };
        let is_work = !matches!(phase, Phase::Release | Phase::GiveBack);
        !self.to_come.is_empty() || is_work && self.began.is_some_and(|began| began < since)
    }
}

/// The share that is shown when this part of the last time has passed: at its end it grows ever slower, and never gets to 1.
fn slowed(part: f64) -> f64 {
    if part <= STEADY {
        return part;
    }
    let rest = 1.0 - STEADY;
    1.0 - rest / (1.0 + (part - STEADY) / rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::event::{EarlierBuilds, Event, PhaseTimes};

    const SECOND: Duration = Duration::from_secs(1);

    /// The state of a run that begins with this phase at the time 0, of phases that took these seconds last time.
    fn running(phase: Phase, to_come: &[Phase], seconds: &[(Phase, u64)]) -> State {
        let mut state = State::default();
        let phases = seconds
            .iter()
            .map(|(phase, seconds)| (*phase, seconds * 1000));
        let earlier = EarlierBuilds {
            phases: phases.collect::<PhaseTimes>(),
            ..EarlierBuilds::default()
        };
        state.apply(&Event::EarlierBuilds(earlier), Duration::ZERO);
        state.apply(&Event::ToCome(to_come.to_vec()), Duration::ZERO);
        state.apply(&Event::Started(phase), Duration::ZERO);
        state
    }

    #[test]
    fn a_boot_fills_its_bar_in_the_time_of_the_last_one() {
        let mut state = running(Phase::Boot, &[], &[(Phase::Boot, 20)]);
        let mut at = |second| {
            state.tick(SECOND * second);
            let percent = state.fraction().map(super::super::Fraction::percent);
            (percent, state.time_left(SECOND * second))
        };
        assert_eq!(at(0), (Some(0), Some(SECOND * 20)));
        assert_eq!(at(10), (Some(50), Some(SECOND * 10)));
        assert_eq!(at(18), (Some(90), Some(SECOND * 2)));
        assert_eq!(at(20), (Some(95), None));
        assert_eq!(at(40).0, Some(99));
        assert_eq!(at(40_000).0, Some(99));
        assert!(
            state
                .fraction()
                .is_some_and(|fraction| fraction.share() < WHOLE)
        );
    }

    #[test]
    fn a_first_boot_has_no_bar() {
        let mut state = running(Phase::Boot, &[], &[(Phase::PowerOff, 3)]);
        state.tick(SECOND * 9);
        assert!(state.fraction().is_none());
        assert_eq!(state.time_left(SECOND * 9), None);
    }

    #[test]
    fn what_all_phases_take_is_the_sum_of_them() {
        let (image, boot, off) = (Phase::CopyOut, Phase::Boot, Phase::PowerOff);
        let known = [(image, 30), (boot, 12), (off, 4)];
        let left = |to_come: &[Phase], known: &[(Phase, u64)]| {
            let state = running(image, to_come, known);
            state
                .whole_time_left(SECOND * 10)
                .map(|left| left.as_secs())
        };
        assert_eq!(left(&[boot, off], &known), Some(20 + 12 + 4));
        assert_eq!(left(&[off], &[(image, 30)]), Some(20 + 3));
        assert_eq!(left(&[boot, off], &[(image, 30), (off, 4)]), None);
        let command = (Phase::Command, 5);
        assert_eq!(left(&[command.0], &[(image, 30), command]), None);
        assert_eq!(left(&[boot], &[(boot, 12)]), None, "what runs is not known");
        assert_eq!(left(&[], &known), Some(20), "only this phase");
        assert_eq!(
            left(&[Phase::Build], &[(image, 30), (Phase::Build, 9)]),
            None
        );
    }
}
