//! How much Nix fetches and builds, and how far it is. Pure.

use std::time::Duration;

use crate::common::build_shares::PlannedWork;
use crate::common::event::BuildEffort;
use crate::common::nix_event::NixEvent;
use crate::common::progress::Progress;

/// What a millisecond of building weighs in the progress: the bytes of a download at 10 MB/s.
const BYTES_PER_MILLI: u64 = 10_000;
/// What a fetched path weighs beside its bytes: a request to the cache, and its registration.
const FETCH_WEIGHT: u64 = 200_000;

/// Nix rounds the size of all downloads to hundredths of a MiB, or of a GiB.
const ROUNDED_BYTES: u64 = 6_000_000;
/// Bytes that make no difference for how long a build takes.
const SMALL_DOWNLOAD: u64 = 20_000_000;

/// Counts of all processes of Nix together. None of them decreases, except that a new start forgets what was left.
#[derive(Debug, Default)]
pub(in crate::ui) struct NixCounts {
    /// Derivations that are built.
    pub(in crate::ui) built: Progress,
    /// How many of them are built under emulation, if that is known.
    pub(in crate::ui) emulated: Option<u64>,
    /// Store paths that are fetched.
    pub(in crate::ui) fetched: Progress,
    /// Bytes of them that are downloaded.
    pub(in crate::ui) downloaded: Progress,
    /// Whether Nix forecast how many derivations it will build.
    forecast: bool,
}

impl NixCounts {
    /// Updates the counts with an event that has one.
    pub(super) fn apply(&mut self, event: &NixEvent) {
        if *event == NixEvent::Restarted {
            self.built.all = self.built.done;
            self.fetched.all = self.fetched.done;
            self.downloaded.all = self.downloaded.done;
            self.emulated = None;
        } else if let NixEvent::WillBuild { derivations } = event {
            // What one process of Nix still has to do: another one may follow it.
            let all = self.built.done.saturating_add(*derivations);
            grow(&mut self.built, 0, all);
            self.forecast = true;
        } else if let NixEvent::WillEmulate { derivations } = event {
            self.emulated = Some(*derivations);
        } else if let NixEvent::WillFetch {
            paths, download, ..
        } = event
        {
            let all = self.fetched.done.saturating_add(*paths);
            grow(&mut self.fetched, 0, all);
            let bytes = self.downloaded.done.saturating_add(*download);
            grow(&mut self.downloaded, 0, bytes);
        } else if let NixEvent::Built { done, expected, .. } = event {
            // Expected counts include derivations that Nix only inspects; its forecast is complete. Until one is built, it may be that none will.
            let all = if self.forecast || *done == 0 {
                done
            } else {
                expected
            };
            grow(&mut self.built, *done, *all);
        } else if let NixEvent::Fetched { done, .. } = event {
            // The expected count includes paths that Nix tries to fetch and then builds.
            grow(&mut self.fetched, *done, *done);
        } else if let NixEvent::ToDownload { bytes } = event {
            grow(&mut self.downloaded, 0, *bytes);
        }
    }

    /// Counts `bytes` of a store path that were downloaded.
    pub(super) fn add_downloaded(&mut self, bytes: u64) {
        self.downloaded.done = self.downloaded.done.saturating_add(bytes);
    }

    /// Whether nearly all that is left of these units are downloads: how long derivations take to build is not known as well.
    pub(super) fn mostly_downloads(&self, units: Progress) -> bool {
        let left = self.downloaded.all.saturating_sub(self.downloaded.done);
        left > 0 && left.saturating_mul(5) >= units.all.saturating_sub(units.done).saturating_mul(4)
    }

    /// Whether what was to be downloaded is there, but for what Nix's rounding of sizes may amount to.
    pub(super) fn has_downloaded(&self) -> bool {
        let left = self.downloaded.all.saturating_sub(self.downloaded.done);
        left <= ROUNDED_BYTES
    }

    /// Derivations that are built, and how many there are, once Nix has forecast that.
    pub(super) fn forecast_builds(&self) -> Option<Progress> {
        self.forecast.then_some(self.built)
    }

    /// Whether this build has as much to do as an `earlier` one: a fifth more or less, as far as Nix has forecast it.
    pub(super) fn is_like(&self, earlier: &BuildEffort) -> bool {
        let is_near = |now: u64, then: u64, slack: u64| now.abs_diff(then) <= (then / 5).max(slack);
        self.forecast
            && is_near(self.built.all, earlier.built, 0)
            && is_near(self.downloaded.all, earlier.downloaded, SMALL_DOWNLOAD)
    }

    /// The work that is done and all work, in bytes of a download, with that `planned` for derivations; nothing before the forecast.
    pub(super) fn units(&self, planned: PlannedWork) -> Progress {
        let (fetched, downloaded) = (self.fetched, self.downloaded);
        if self.built.all == 0 && fetched.all == 0 && downloaded.all == 0 {
            return Progress::default();
        }
        let weigh = |builds: Duration, paths: u64, bytes: u64| {
            let builds = u64::try_from(builds.as_millis()).unwrap_or(u64::MAX);
            let builds = builds.saturating_mul(BYTES_PER_MILLI);
            let paths = paths.saturating_mul(FETCH_WEIGHT);
            builds.saturating_add(paths).saturating_add(bytes)
        };
        let bytes = downloaded.done.min(downloaded.all);
        Progress {
            done: weigh(planned.done, fetched.done, bytes),
            all: weigh(planned.all, fetched.all, downloaded.all),
        }
    }
}

fn grow(counts: &mut Progress, done: u64, all: u64) {
    *counts = Progress {
        done: counts.done.max(done),
        all: counts.all.max(all),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(events: &[NixEvent]) -> NixCounts {
        let mut counts = NixCounts::default();
        for event in events {
            counts.apply(event);
        }
        counts
    }

    fn of(done: u64, all: u64) -> Progress {
        Progress { done, all }
    }

    fn built(done: u64, expected: u64) -> NixEvent {
        let running = 1;
        NixEvent::Built {
            done,
            expected,
            running,
        }
    }

    /// The forecast of the whole, then those of the two processes that build it.
    #[test]
    fn forecast_of_a_part_does_not_change_the_whole() {
        let will = |derivations| NixEvent::WillBuild { derivations };
        let mut events = vec![will(102), will(70), built(70, 71), will(32)];
        assert_eq!(counted(&events).built, of(70, 102));
        events.push(built(102, 103));
        assert_eq!(counted(&events).built, of(102, 102));
    }

    #[test]
    fn only_downloads_can_be_estimated() {
        let will = NixEvent::WillFetch {
            paths: 2,
            download: 100_000_000,
            unpacked: 1,
        };
        let mut counts = counted(&[will, NixEvent::WillBuild { derivations: 3 }]);
        let mostly_downloads = |counts: &NixCounts| {
            let planned = PlannedWork {
                done: Duration::ZERO,
                all: Duration::from_secs(1),
                ..PlannedWork::default()
            };
            counts.mostly_downloads(counts.units(planned))
        };
        assert!(mostly_downloads(&counts));
        counts.add_downloaded(90_000_000);
        assert!(!mostly_downloads(&counts));
        assert!(!mostly_downloads(&counted(&[])));
    }

    #[test]
    fn build_that_begins_anew_adds_to_the_whole() {
        let will = |derivations| NixEvent::WillBuild { derivations };
        let events = [will(300), built(295, 300), will(290)];
        assert_eq!(counted(&events).built, of(295, 585));
        assert_eq!(counted(&[built(1, 9)]).built, of(1, 9));
    }

    /// Nix inspects the image of an earlier build and its outputs.
    #[test]
    fn what_nix_only_inspects_is_not_counted() {
        let counts = counted(&[built(0, 2)]);
        let units = counts.units(PlannedWork::default());
        assert_eq!((counts.built, units), (of(0, 0), of(0, 0)));
    }
}
