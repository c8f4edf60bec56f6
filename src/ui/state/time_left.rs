//! How long the current phase still takes. Pure.

use std::time::Duration;

use super::State;
use crate::common::event::Phase;

/// A time left shorter than this is shown only if the share that is done does not contradict it: whoever reads it sees whether it is right.
const SHORT_TIME_LEFT: Duration = Duration::from_secs(18);
/// What the history of builds omits of their time: it has whole seconds. Of a shorter difference nobody wants to know.
const ROUNDED_TIME: Duration = Duration::from_secs(1);

/// Why nobody knows how long a build still takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum UnknownTimeLeft {
    /// A derivation takes longer than in an earlier build.
    Late,
    /// It builds what was not built before.
    New,
}

impl State {
    /// The time that the current phase still takes, if it can be estimated and what is done does not contradict that.
    pub(in crate::ui) fn time_left(&self, at: Duration) -> Option<Duration> {
        let current = self.current.as_ref()?;
        if self.last_steady_time(at).is_some() {
            return self.left_by_last_time(at);
        }
        let is_known = current.phase != Phase::Build || self.nix.mostly_downloads(self.units(at));
        let by_rate = current.fraction.time_left(at).filter(|_| is_known);
        // A compressor takes its first bytes faster than it compresses them.
        let by_rate = by_rate.map(|left| left.max(self.left_by_last_time(at).unwrap_or_default()));
        let by_derivations = || self.left_to_build(at);
        let by_earlier = || {
            let left = by_derivations().or_else(|| self.left_as_before(at));
            left.filter(|left| self.shares.late(&self.earlier.times, at) <= *left)
        };
        let left = by_rate
            .or_else(by_earlier)
            .or_else(|| self.left_at_pace(at))?;
        let is_contradicted = left < SHORT_TIME_LEFT && current.fraction.contradicts(left, at);
        (!is_contradicted).then_some(left)
    }

    /// Why no time left is known of a build that was forecast; `None` if it is known, or too little was seen so far.
    pub(in crate::ui) fn unknown_time_left(&self, at: Duration) -> Option<UnknownTimeLeft> {
        let is_build = self.phase().is_some_and(|(phase, _)| phase == Phase::Build);
        if !is_build || self.time_left(at).is_some() {
            return None;
        }
        let is_late = self.active().any(|build| {
            let now = at.saturating_sub(build.since);
            build.last_time.is_some_and(|last| is_longer(now, last))
        });
        if is_late {
            return Some(UnknownTimeLeft::Late);
        }
        self.is_unknown(at).then_some(UnknownTimeLeft::New)
    }

    /// Whether no number says how much of the current phase is done at the time `at`, because so much of it is of unknown length.
    pub(in crate::ui) fn is_unknown(&self, at: Duration) -> bool {
        let is_build = self.phase().is_some_and(|(phase, _)| phase == Phase::Build);
        is_build && (self.has_new(at) || self.planned(at).is_unknown())
    }

    /// Whether this build, unlike earlier ones of this machine, builds much that is new.
    fn has_new(&self, at: Duration) -> bool {
        let (times, all) = (&self.earlier.times, self.nix.built.all);
        !times.is_empty() && self.shares.has_much_new(times, all, at)
    }

    /// The time that the build still takes by what was seen of it.
    fn left_at_pace(&self, at: Duration) -> Option<Duration> {
        let current = self.current.as_ref().filter(|c| c.phase == Phase::Build)?;
        current.pace.time_left(at)
    }

    /// The time that the derivations that are left took before, once nothing is downloaded any more.
    fn left_to_build(&self, at: Duration) -> Option<Duration> {
        let current = self.current.as_ref()?;
        let builds_only = current.phase == Phase::Build && self.nix.has_downloaded();
        let times = Some(&self.earlier.times).filter(|_| builds_only)?;
        self.shares.left(times, at)
    }

    /// The time that the build still takes if it is like an earlier one that did as much, best of the same configuration, and not more
    /// than the part of that time for which there is work left. It is unlike it while it builds much that was never built. Of other
    /// configurations only a download is alike: as many derivations may be other ones.
    fn left_as_before(&self, at: Duration) -> Option<Duration> {
        let current = self.current.as_ref().filter(|c| c.phase == Phase::Build)?;
        let times = &self.earlier.times;
        // What it builds is known in a moment, which says more.
        if self.has_new(at) || !times.is_empty() && self.shares.is_listing {
            return None;
        }
        let others = self.earlier.others.iter();
        let others = others.filter(|other| other.downloaded > 0);
        let mut earlier = self.earlier.same.iter().chain(others);
        let like = earlier.find(|earlier| self.nix.is_like(earlier))?;
        let took = at.saturating_sub(current.since);
        let all = Duration::from_secs(like.seconds).mul_f64(self.shares.slowdown(times));
        let left = all.checked_sub(took)?.min(current.fraction.rest_of(all));
        (!left.is_zero()).then_some(left)
    }

    /// How long the last build of this configuration took, while one runs that does as much, and whether that took longer already
    /// by more than a tenth.
    pub(in crate::ui) fn last_build(&self, at: Duration) -> Option<(Duration, bool)> {
        let current = self.current.as_ref().filter(|c| c.phase == Phase::Build)?;
        let last = self.earlier.same.filter(|last| self.nix.is_like(last))?;
        if self.has_new(at) {
            return None;
        }
        let took = Duration::from_secs(last.seconds);
        let now = at.saturating_sub(current.since);
        Some((took, is_longer(now, took)))
    }
}

/// Whether it takes longer now than the `last` time, by more than a tenth.
pub(super) fn is_longer(now: Duration, last: Duration) -> bool {
    now > (last + ROUNDED_TIME).mul_f64(1.1)
}
