//! How much Nix fetches and builds, and how far it is. Pure.

use super::Progress;
use sdbuild_core::nix_event::NixEvent;

/// What a derivation weighs in the progress of a build: the bytes that are downloaded in a second at 10 MB/s.
const BUILD_WEIGHT: u64 = 10_000_000;
/// What a fetched path weighs beside its bytes: a request to the cache, and its registration.
const FETCH_WEIGHT: u64 = 200_000;

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

    /// The work that is done and all work, in bytes of a download; nothing before the forecast.
    pub(super) fn units(&self) -> Progress {
        let (built, fetched, downloaded) = (self.built, self.fetched, self.downloaded);
        let weigh = |builds: u64, paths: u64, bytes: u64| {
            let builds = builds.saturating_mul(BUILD_WEIGHT);
            let paths = paths.saturating_mul(FETCH_WEIGHT);
            builds.saturating_add(paths).saturating_add(bytes)
        };
        let bytes = downloaded.done.min(downloaded.all);
        Progress {
            done: weigh(built.done, fetched.done, bytes),
            all: weigh(built.all, fetched.all, downloaded.all),
        }
    }
}

fn grow(counts: &mut Progress, done: u64, all: u64) {
    *counts = Progress {
        done: counts.done.max(done),
        all: counts.all.max(all),
    };
}
