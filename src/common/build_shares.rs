//! How much of a build's time each derivation takes, and from that of an earlier build, how long the rest of one takes. Pure.
//!
//! Of the derivations that are built at the same time, each gets an equal part of that time. All parts together are the time in
//! which anything was built, however many derivations were built in parallel.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::common::nix_event::NixEvent;
use crate::common::running_builds::RunningBuilds;
use crate::common::transcript::short_name;

/// Derivations whose times are counted; no build of an image has that many. With more, nothing is estimated.
const MAX_DERIVATIONS: usize = 8192;
/// A build that takes longer than twice its earlier time and this long is another one than it was.
const SLACK: Duration = Duration::from_secs(10);
/// Hexadecimal digits of a git revision in a version, at least.
const MIN_REVISION_CHARS: usize = 7;

/// The time of each derivation by its name, in milliseconds; of several with one name their mean.
pub type BuildTimes = BTreeMap<String, u64>;

/// A derivation whose build began, and whose end Nix has not reported.
#[derive(Debug)]
struct Begun {
    name: String,
    share: Duration,
}

/// Counts the time of each derivation of a build from Nix's events.
#[derive(Debug, Default)]
pub struct BuildShares {
    /// Store paths of what Nix has forecast and not begun to build.
    waiting: BTreeSet<String>,
    /// Whether the derivations of a forecast are being listed.
    is_listing: bool,
    /// By activity number.
    begun: BTreeMap<u64, Begun>,
    /// Which of them have not ended.
    running: RunningBuilds,
    /// All time of a name, and of how many derivations.
    ended: BTreeMap<String, (Duration, u32)>,
    counted_until: Duration,
}

impl BuildShares {
    /// Counts an event at the time `at`, which never decreases.
    pub fn apply(&mut self, event: &NixEvent, at: Duration) {
        self.count_until(at);
        let was_listing = std::mem::take(&mut self.is_listing);
        if let NixEvent::WillBuild { .. } = event {
            self.is_listing = true;
        } else if let NixEvent::Message { text, .. } = event {
            if let Some(derivation) = listed_derivation(text).filter(|_| was_listing) {
                self.is_listing = true;
                if self.waiting.len() < MAX_DERIVATIONS {
                    self.waiting.insert(derivation.to_owned());
                }
            }
        } else if let NixEvent::BuildStarted { id, derivation, .. } = event {
            self.waiting.remove(derivation);
            let (name, share) = (general_name(derivation), Duration::ZERO);
            self.begun.insert(*id, Begun { name, share });
            self.running.begin(*id);
        } else if let NixEvent::Stopped { id } = event {
            self.stop(*id, at);
        } else if let NixEvent::Built { running, .. } = event {
            self.running.set_count(*running, at);
        } else if let Some(id) = build_of(event) {
            self.running.speak(id, at);
        } else if *event == NixEvent::Restarted {
            self.restart();
        }
    }

    /// The times of all derivations whose build has ended.
    pub fn times(&self) -> BuildTimes {
        let mean = |(all, count): &(Duration, u32)| {
            u64::try_from((*all / (*count).max(1)).as_millis()).unwrap_or(u64::MAX)
        };
        let begun = self.begun.iter();
        let over = begun.filter(|(id, _)| !self.running.is_running(**id));
        let over = over.map(|(_, build)| (build.name.clone(), mean(&(build.share, 1))));
        let ended = self
            .ended
            .iter()
            .map(|(name, all)| (name.clone(), mean(all)));
        over.chain(ended).collect()
    }

    /// How long what is left to build takes, if all of it takes as long as in an `earlier` build; `None` if that has not built all
    /// of it, or one of them takes much longer than in that one.
    pub fn left(&self, earlier: &BuildTimes, at: Duration) -> Option<Duration> {
        // Of a list that is not read to its end, the rest is unknown.
        if self.is_listing || self.waiting.len() >= MAX_DERIVATIONS {
            return None;
        }
        let time_of = |name: &str| earlier.get(name).copied().map(Duration::from_millis);
        let since = self.part_of(at.saturating_sub(self.counted_until));
        let mut left = Duration::ZERO;
        for derivation in &self.waiting {
            left += time_of(&general_name(derivation))?;
        }
        for build in self.running.iter().filter_map(|id| self.begun.get(&id)) {
            let (all, done) = (time_of(&build.name)?, build.share + since);
            if done > all * 2 + SLACK {
                return None;
            }
            left += all.saturating_sub(done);
        }
        (!left.is_zero()).then_some(left)
    }

    /// What each derivation that is being built gets of `time`.
    fn part_of(&self, time: Duration) -> Duration {
        let count = self.running.iter().len().try_into().unwrap_or(u32::MAX);
        time.checked_div(count).unwrap_or_default()
    }

    fn count_until(&mut self, at: Duration) {
        let part = self.part_of(at.saturating_sub(self.counted_until));
        self.counted_until = self.counted_until.max(at);
        if part.is_zero() {
            return;
        }
        for id in self.running.iter() {
            if let Some(build) = self.begun.get_mut(&id) {
                build.share += part;
            }
        }
    }

    fn stop(&mut self, id: u64, at: Duration) {
        self.running.stop(id, at);
        if let Some(build) = self.begun.remove(&id) {
            self.note_end(build);
        }
    }

    /// Forgets what waits and runs: Nix was stopped. The time of a build that it did not end is no time of the derivation.
    fn restart(&mut self) {
        self.waiting.clear();
        let running = std::mem::take(&mut self.running);
        for (id, build) in std::mem::take(&mut self.begun) {
            if !running.is_running(id) {
                self.note_end(build);
            }
        }
    }

    fn note_end(&mut self, build: Begun) {
        if self.ended.len() < MAX_DERIVATIONS {
            let (all, count) = self.ended.entry(build.name).or_default();
            *all += build.share;
            *count += 1;
        }
    }
}

/// The build that an event comes from, which therefore runs.
fn build_of(event: &NixEvent) -> Option<u64> {
    if let NixEvent::BuildLine { id, .. }
    | NixEvent::BuildPhase { id, .. }
    | NixEvent::Moved { id, .. }
    | NixEvent::Step { id, .. } = event
    {
        Some(*id)
    } else {
        None
    }
}

/// The store path in a line of Nix's forecast, if it is one of a derivation.
fn listed_derivation(text: &str) -> Option<&str> {
    let path = text.strip_prefix("  ")?;
    let name = path.strip_prefix("/nix/store/")?.strip_suffix(".drv")?;
    (!name.contains(char::is_whitespace)).then_some(path)
}

/// The name of a derivation without the numbers of its version, and the git revision behind them, which change from one build to
/// the next: `nixos-system-pi-26.05.20260102.abc12de` is `nixos-system-pi-0`.
fn general_name(derivation: &str) -> String {
    let mut name = String::new();
    for word in short_name(derivation).split_inclusive('-') {
        let (text, end) = match word.strip_suffix('-') {
            Some(text) => (text, "-"),
            None => (word, ""),
        };
        let version = match text.rsplit_once('.') {
            Some((version, revision)) if is_revision(revision) => version,
            Some(_) | None => text,
        };
        for c in version.chars() {
            let is_number = c.is_ascii_digit() || c == '.';
            if !is_number {
                name.push(c);
            } else if !name.ends_with('0') {
                name.push('0');
            }
        }
        name.push_str(end);
    }
    name
}

fn is_revision(text: &str) -> bool {
    text.len() >= MIN_REVISION_CHARS && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn path(name: &str) -> String {
        format!("/nix/store/{}-{name}.drv", "a".repeat(32))
    }

    fn started(id: u64, name: &str) -> NixEvent {
        NixEvent::BuildStarted {
            id,
            derivation: path(name),
            machine: String::new(),
        }
    }

    fn running(running: u64) -> NixEvent {
        NixEvent::Built {
            done: 0,
            expected: 9,
            running,
        }
    }

    fn listed(name: &str) -> NixEvent {
        NixEvent::Message {
            level: 3,
            text: format!("  {}", path(name)),
        }
    }

    fn counted(events: &[(u32, NixEvent)]) -> BuildShares {
        let mut shares = BuildShares::default();
        for (at, event) in events {
            shares.apply(event, SECOND * *at);
        }
        shares
    }

    fn times(of: &[(&str, u64)]) -> BuildTimes {
        let seconds = |(name, seconds): &(&str, u64)| ((*name).to_owned(), seconds * 1000);
        of.iter().map(seconds).collect()
    }

    #[test]
    fn parallel_builds_share_the_time() {
        let stopped = |id| NixEvent::Stopped { id };
        let shares = counted(&[
            (0, started(1, "linux-6.12.1")),
            (10, started(2, "vim")),
            (20, stopped(2)),
            (21, started(3, "vim")),
            (23, stopped(3)),
            (30, stopped(1)),
        ]);
        // 10 + 5 + 1 + 1 + 7 of the kernel; 5 and 1 of the two others.
        assert_eq!(shares.times(), times(&[("linux-0", 24), ("vim", 3)]));
    }

    /// Nix reports the end of both only when it ends itself.
    #[test]
    fn build_that_nix_no_longer_counts_gets_no_time() {
        let shares = counted(&[
            (0, started(1, "a")),
            (0, running(1)),
            (5, running(0)),
            (9, started(2, "b")),
            (9, running(1)),
            (12, running(0)),
            (60, NixEvent::Stopped { id: 1 }),
            (60, NixEvent::Restarted),
        ]);
        assert_eq!(shares.times(), times(&[("a", 5), ("b", 3)]));
    }

    /// Nix reports no end of 1 and then counts one build: 2 goes on, as its log shows.
    #[test]
    fn time_goes_to_the_parallel_build_that_still_speaks() {
        let line = NixEvent::BuildLine {
            id: 2,
            line: "compiling".to_owned(),
        };
        let shares = counted(&[
            (0, started(1, "a")),
            (0, started(2, "b")),
            (10, running(1)),
            (10, line),
            (40, running(0)),
            (50, NixEvent::Stopped { id: 1 }),
            (50, NixEvent::Stopped { id: 2 }),
        ]);
        assert_eq!(shares.times(), times(&[("a", 5), ("b", 35)]));
    }

    #[test]
    fn builds_of_a_nix_that_was_stopped_get_no_time() {
        let earlier = times(&[("a", 9), ("b", 7)]);
        let mut shares = counted(&[
            (0, started(1, "a")),
            (5, NixEvent::Restarted),
            (6, started(2, "b")),
        ]);
        assert_eq!(shares.left(&earlier, SECOND * 8), Some(SECOND * 5));
        shares.apply(&NixEvent::Stopped { id: 2 }, SECOND * 9);
        assert_eq!(shares.times(), times(&[("b", 3)]));
    }

    #[test]
    fn names_have_no_version_and_no_git_revision() {
        let revisions = ["20260102.abc12de", "20260317.1234567", "1234.0f0f0f0f0f"];
        for revision in revisions {
            let system = general_name(&path(&format!("nixos-system-pi-26.05.{revision}")));
            assert_eq!(system, "nixos-system-pi-0");
            let image = format!("nixos-image-sd-card-26.05.{revision}-aarch64-linux.img.zst");
            let image = general_name(&path(&image));
            assert_eq!(image, "nixos-image-sd-card-0-aarch0-linux0img0zst");
        }
        assert_eq!(general_name(&path("unit-a.service")), "unit-a0service");
    }

    #[test]
    fn rest_takes_as_long_as_in_the_earlier_build() {
        let earlier = times(&[("linux-0", 60), ("etc", 2), ("image", 30), ("other", 500)]);
        let mut shares = counted(&[
            (0, NixEvent::WillBuild { derivations: 3 }),
            (0, listed("linux-6.13")),
            (0, listed("etc")),
            (0, listed("image")),
        ]);
        assert_eq!(shares.left(&earlier, SECOND), None, "the list may go on");
        shares.apply(&NixEvent::ToDownload { bytes: 0 }, Duration::ZERO);
        let left = |shares: &BuildShares, at| shares.left(&earlier, SECOND * at);
        assert_eq!(left(&shares, 0), Some(SECOND * 92));
        shares.apply(&started(1, "linux-6.13"), SECOND * 10);
        assert_eq!(left(&shares, 30), Some(SECOND * 72));
        shares.apply(&started(2, "etc"), SECOND * 30);
        assert_eq!(left(&shares, 32), Some(SECOND * 70));
        // The second one takes longer than it did, and then far too long.
        assert_eq!(left(&shares, 44), Some(SECOND * 63));
        assert_eq!(left(&shares, 70), None);
    }

    #[test]
    fn nothing_is_estimated_of_what_was_not_built_before() {
        let earlier = times(&[("etc", 2)]);
        let mut shares = counted(&[
            (0, NixEvent::WillBuild { derivations: 2 }),
            (0, listed("etc")),
            (0, listed("new")),
            (0, NixEvent::ToDownload { bytes: 0 }),
        ]);
        assert_eq!(shares.left(&earlier, SECOND), None);
        shares.apply(&started(1, "new"), SECOND);
        assert_eq!(shares.left(&earlier, SECOND), None);
        shares.apply(&NixEvent::Stopped { id: 1 }, SECOND * 4);
        assert_eq!(shares.left(&earlier, SECOND * 4), Some(SECOND * 2));
        shares.apply(&NixEvent::Restarted, SECOND * 5);
        assert_eq!(shares.left(&earlier, SECOND * 5), None);
    }

    #[test]
    fn only_the_list_of_a_forecast_is_read() {
        let mut shares = counted(&[(0, listed("etc"))]);
        assert!(shares.waiting.is_empty());
        shares.apply(&NixEvent::WillBuild { derivations: 1 }, SECOND);
        shares.apply(&NixEvent::Other("else".to_owned()), SECOND);
        shares.apply(&listed("etc"), SECOND);
        assert!(shares.waiting.is_empty());
        assert_eq!(listed_derivation("  /nix/store/a-b"), None);
    }
}
