//! How much Nix fetches and builds, and how far it is. Pure.

use std::time::Duration;

use crate::common::event::BuildEffort;
use crate::common::nix_event::NixEvent;

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
    /// Derivations that are built, and how many there are.
    pub(in crate::ui) built: (u64, u64),
    /// How many of them are built under emulation, if that is known.
    pub(in crate::ui) emulated: Option<u64>,
    /// Store paths that are fetched, and how many there are.
    pub(in crate::ui) fetched: (u64, u64),
    /// Bytes of them that are downloaded, and how many there are.
    pub(in crate::ui) downloaded: (u64, u64),
    /// Whether Nix forecast how many derivations it will build.
    forecast: bool,
}

impl NixCounts {
    /// Updates the counts with an event that has one.
    pub(super) fn apply(&mut self, event: &NixEvent) {
        if *event == NixEvent::Restarted {
            self.built.1 = self.built.0;
            self.fetched.1 = self.fetched.0;
            self.downloaded.1 = self.downloaded.0;
            self.emulated = None;
        } else if let NixEvent::WillBuild { derivations } = event {
            // What one process of Nix still has to do: another one may follow it.
            let all = self.built.0.saturating_add(*derivations);
            grow(&mut self.built, 0, all);
            self.forecast = true;
        } else if let NixEvent::WillEmulate { derivations } = event {
            self.emulated = Some(*derivations);
        } else if let NixEvent::WillFetch {
            paths, download, ..
        } = event
        {
            let all = self.fetched.0.saturating_add(*paths);
            grow(&mut self.fetched, 0, all);
            let bytes = self.downloaded.0.saturating_add(*download);
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
        self.downloaded.0 = self.downloaded.0.saturating_add(bytes);
    }

    /// Whether nearly all that is left of these units are downloads: how long derivations take to build is not known as well.
    pub(super) fn mostly_downloads(&self, (done, total): (u64, u64)) -> bool {
        let left = self.downloaded.1.saturating_sub(self.downloaded.0);
        left > 0 && left.saturating_mul(5) >= total.saturating_sub(done).saturating_mul(4)
    }

    /// Whether what was to be downloaded is there, but for what Nix's rounding of sizes may amount to.
    pub(super) fn has_downloaded(&self) -> bool {
        let left = self.downloaded.1.saturating_sub(self.downloaded.0);
        left <= ROUNDED_BYTES
    }

    /// Derivations that are built, and how many there are, once Nix has forecast that.
    pub(super) fn forecast_builds(&self) -> Option<(u64, u64)> {
        self.forecast.then_some(self.built)
    }

    /// Whether this build has as much to do as an `earlier` one: a fifth more or less, as far as Nix has forecast it.
    pub(super) fn is_like(&self, earlier: &BuildEffort) -> bool {
        let is_near = |now: u64, then: u64, slack: u64| now.abs_diff(then) <= (then / 5).max(slack);
        self.forecast
            && is_near(self.built.1, earlier.built, 0)
            && is_near(self.downloaded.1, earlier.downloaded, SMALL_DOWNLOAD)
    }

    /// The work that is done and all work, in bytes of a download, if derivations were built in the time `building` and `rest` is left
    /// of that; 0 of 0 before the forecast.
    pub(super) fn units(&self, building: Duration, rest: Duration) -> (u64, u64) {
        let (fetched, to_fetch) = self.fetched;
        let (bytes, to_download) = self.downloaded;
        if self.built.1 == 0 && to_fetch == 0 && to_download == 0 {
            return (0, 0);
        }
        let weigh = |builds: Duration, paths: u64, bytes: u64| {
            let builds = u64::try_from(builds.as_millis()).unwrap_or(u64::MAX);
            let builds = builds.saturating_mul(BYTES_PER_MILLI);
            let paths = paths.saturating_mul(FETCH_WEIGHT);
            builds.saturating_add(paths).saturating_add(bytes)
        };
        let done = weigh(building, fetched, bytes.min(to_download));
        let all = building.saturating_add(rest);
        (done, weigh(all, to_fetch, to_download))
    }
}

fn grow(counts: &mut (u64, u64), done: u64, all: u64) {
    *counts = (counts.0.max(done), counts.1.max(all));
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
        assert_eq!(counted(&events).built, (70, 102));
        events.push(built(102, 103));
        assert_eq!(counted(&events).built, (102, 102));
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
            let units = counts.units(Duration::ZERO, Duration::from_secs(1));
            counts.mostly_downloads(units)
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
        assert_eq!(counted(&events).built, (295, 585));
        assert_eq!(counted(&[built(1, 9)]).built, (1, 9));
    }

    /// Nix inspects the image of an earlier build and its outputs.
    #[test]
    fn what_nix_only_inspects_is_not_counted() {
        let counts = counted(&[built(0, 2)]);
        let units = counts.units(Duration::ZERO, Duration::ZERO);
        assert_eq!((counts.built, units), ((0, 0), (0, 0)));
    }
}
