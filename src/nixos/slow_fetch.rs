//! Notices binary caches that send hardly anything: Nix gives up only what sends nothing at all. Pure.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::short_name;

/// Bytes a second below which a download is not worth waiting for: an image takes weeks then.
const MIN_BYTES_PER_SECOND: u64 = 1024;

/// Binary caches that are warned of: more than anybody uses.
const MAX_WARNED: usize = 16;
/// Downloads that are watched, more than Nix has at once; at this number all are forgotten, so that a build cannot fill the
/// memory.
const MAX_RUNNING: usize = 1024;

/// A store path that is being downloaded.
#[derive(Debug)]
struct Fetch {
    path: String,
    cache: String,
    done: u64,
    complete: bool,
}

/// Watches the downloads of a run.
#[derive(Debug)]
pub(super) struct SlowFetches {
    window: Duration,
    running: BTreeMap<u64, Fetch>,
    /// Bytes of all downloads so far.
    total: u64,
    /// The total at earlier times, at most `window` ago but for the first.
    samples: VecDeque<(Instant, u64)>,
    /// The caches that were warned of.
    warned: BTreeSet<String>,
}

impl SlowFetches {
    /// Downloads are slow when all of them together are, for as long as `window`.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            running: BTreeMap::new(),
            total: 0,
            samples: VecDeque::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Takes note of `event`.
    pub(super) fn note(&mut self, event: &NixEvent) {
        match event {
            NixEvent::FetchStarted { id, path, cache } => {
                let fetch = Fetch {
                    path: short_name(path).to_owned(),
                    cache: cache.clone(),
                    done: 0,
                    complete: false,
                };
                if self.running.len() >= MAX_RUNNING {
                    self.running.clear();
                }
                self.running.insert(*id, fetch);
            }
            NixEvent::Moved { id, done, expected } => {
                if let Some(fetch) = self.running.get_mut(id) {
                    let more = done.saturating_sub(fetch.done);
                    self.total = self.total.saturating_add(more);
                    fetch.done = fetch.done.max(*done);
                    fetch.complete = *expected > 0 && done >= expected;
                }
            }
            NixEvent::Stopped { id } => {
                self.running.remove(id);
            }
            NixEvent::Message { .. }
            | NixEvent::WillBuild { .. }
            | NixEvent::WillEmulate { .. }
            | NixEvent::WillFetch { .. }
            | NixEvent::BuildStarted { .. }
            | NixEvent::BuildLine { .. }
            | NixEvent::BuildPhase { .. }
            | NixEvent::Step { .. }
            | NixEvent::Built { .. }
            | NixEvent::Fetched { .. }
            | NixEvent::ToDownload { .. }
            | NixEvent::Restarted
            | NixEvent::Other(_) => {}
        }
    }

    /// The warning that is due `now`, once for each cache. To be called about once a second.
    pub(super) fn tick(&mut self, now: Instant) -> Option<String> {
        // What is complete is being unpacked.
        let slow = self.running.values().find(|fetch| !fetch.complete);
        let Some(Fetch { path, cache, .. }) = slow else {
            self.samples.clear();
            return None;
        };
        self.samples.push_back((now, self.total));
        let is_old = |(at, _): &(Instant, u64)| now.duration_since(*at) >= self.window;
        let (_, before) = self.samples.front().filter(|sample| is_old(sample))?;
        let received = self.total - before;
        while self.samples.get(1).is_some_and(is_old) {
            self.samples.pop_front();
        }
        // Nix itself reports a server that sends nothing.
        let limit = MIN_BYTES_PER_SECOND * self.window.as_secs();
        if received == 0 || received >= limit || self.warned.len() >= MAX_WARNED {
            return None;
        }
        if !self.warned.insert(cache.clone()) {
            return None;
        }
        let (bytes, seconds) = (human_bytes(received), self.window.as_secs());
        Some(format!(
            "{cache} is very slow ({bytes} in {seconds} s, of {path})\nhint: press Ctrl-C, and run again with another \
             binary cache (--substituters). sdbuild keeps what it has fetched"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_flood_fills_the_memory_or_overflows() {
        let mut fetches = SlowFetches::new(Duration::from_secs(20));
        for id in 0..5000 {
            let (path, cache) = ("/nix/store/x-linux".to_owned(), format!("http://{id}"));
            fetches.note(&NixEvent::FetchStarted { id, path, cache });
            let (done, expected) = (u64::MAX, 0);
            fetches.note(&NixEvent::Moved { id, done, expected });
        }
        assert!(fetches.running.len() <= MAX_RUNNING);
        assert_eq!(fetches.total, u64::MAX);
    }

    /// The seconds of the warnings about a download of which `bytes` arrive each second.
    fn warned(bytes: u64, expected: u64) -> Vec<u64> {
        let mut fetches = SlowFetches::new(Duration::from_secs(20));
        let start = Instant::now();
        let (path, cache) = ("/nix/store/x-linux".to_owned(), "http://c".to_owned());
        fetches.note(&NixEvent::FetchStarted { id: 1, path, cache });
        let mut warned = Vec::new();
        for second in 0..100 {
            let done = second * bytes;
            fetches.note(&NixEvent::Moved {
                id: 1,
                done,
                expected,
            });
            let warning = fetches.tick(start + Duration::from_secs(second));
            if let Some(warning) = warning {
                assert!(warning.starts_with("http://c is very slow ("));
                assert!(
                    warning.contains(" in 20 s, of x-linux)\nhint: "),
                    "{warning}"
                );
                warned.push(second);
            }
        }
        warned
    }

    #[test]
    fn a_trickle_is_reported_once_after_the_window() {
        assert_eq!(warned(1, 1 << 30), [20]);
        assert_eq!(warned(0, 1 << 30), [0; 0], "Nix reports it");
        assert_eq!(warned(100_000, 1 << 30), [0; 0]);
        assert_eq!(warned(1, 1), [0; 0], "it is complete");
    }
}
