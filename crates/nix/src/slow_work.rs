//! Warnings of work that takes hours: programs that no binary cache has, and caches that send hardly anything.
//!
//! A kernel that is compiled under emulation can take a night, so users are warned before it begins, from the list that Nix prints.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::nix_event::NixEvent;
use sdbuild_core::transcript::short_name;

/// Programs that take hours to compile, more under emulation. Their derivations are called `NAME-1.2.3`; derivations
/// made from them have longer names (`linux-6.12-modules-shrunk`).
const EXPENSIVE_PROGRAMS: [&str; 20] = [
    "linux",
    "linux-rpi",
    "linux_rpi-bcmrpi",
    "linux_rpi-bcm2709",
    "linux_rpi-bcm2711",
    "linux_rpi-bcm2712",
    "gcc",
    "llvm",
    "clang",
    "rustc",
    "ghc",
    "go",
    "nodejs",
    "chromium",
    "chromium-unwrapped",
    "firefox-unwrapped",
    "webkitgtk",
    "qtwebengine",
    "qtbase",
    "python3",
];
/// What names of sources have behind a version.
const NO_PROGRAMS: [&str; 4] = [".tar", ".patch", ".diff", ".zip"];
/// Names that are reported in a run.
const MAX_NAMES: usize = 8;
/// Characters of a name: no store path has a longer one.
const MAX_NAME_CHARS: usize = 211;

/// Collects expensive derivations from Nix's list until the first of them is started. Each is reported once.
#[derive(Debug, Default)]
pub struct ExpensiveBuilds {
    names: Vec<String>,
    reported: usize,
}

impl ExpensiveBuilds {
    /// Handles one event. Returns the names of the list at the first build or fetch after it, otherwise nothing.
    pub fn note(&mut self, event: &NixEvent) -> Vec<String> {
        if let NixEvent::Message { level: 3, text } = event {
            let path = text.trim_start().strip_prefix("/nix/store/");
            let file = path.and_then(|path| path.strip_suffix(".drv"));
            let name = file.and_then(|file| file.split_once('-'));
            let name = name.map(|(_, name)| name).filter(|name| is_expensive(name));
            let name = name.filter(|name| !self.names.iter().any(|known| known == name));
            if let Some(name) = name {
                self.add(name);
            }
        }
        let work_begun = matches!(
            event,
            NixEvent::BuildStarted { .. } | NixEvent::FetchStarted { .. }
        );
        if work_begun {
            self.finish()
        } else {
            Vec::new()
        }
    }

    /// Adds a name to those that are not reported yet, kernels first: they take longest, and some caches have them.
    fn add(&mut self, name: &str) {
        let is_kernel = name.starts_with("linux");
        let at = if is_kernel {
            self.reported
        } else {
            self.names.len()
        };
        self.names.insert(at, name.to_owned());
        self.names.truncate(MAX_NAMES);
    }

    /// The names of a list after which no build or fetch was started.
    pub fn finish(&mut self) -> Vec<String> {
        let new = self.names.get(self.reported..).unwrap_or_default().to_vec();
        self.reported = self.names.len();
        new
    }
}

/// Whether the derivation `name` compiles an expensive program.
fn is_expensive(name: &str) -> bool {
    if name.len() > MAX_NAME_CHARS {
        return false;
    }
    let mut programs = EXPENSIVE_PROGRAMS.iter();
    programs.any(|program| is_of_program(name, program))
}

/// What the tag of the sources of a Raspberry Pi's kernel begins with.
const VERSION_TAGS: [&str; 3] = ["stable_", "1+rpt", "1.20"];

/// Whether `name` is that of the derivation which makes `program`, `PROGRAM-1.2.3`. The versions of the Raspberry Pi's kernels have
/// the tag of their sources as well: `6.12.47-stable_20250916`, `6.12.75-1+rpt1`, `6.1.63-1.20231123`.
fn is_of_program(name: &str, program: &str) -> bool {
    let rest = name.strip_prefix(program).and_then(|r| r.strip_prefix('-'));
    let rest = rest.map(without_platform);
    let Some(version) = rest.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) else {
        return false;
    };
    match version.split_once('-') {
        // Such derivations download sources.
        None => !NO_PROGRAMS.iter().any(|end| version.contains(end)),
        Some((_, tag)) => {
            let begins = VERSION_TAGS.iter().any(|start| tag.starts_with(start));
            begins && program.contains("rpi") && !tag.contains('-')
        }
    }
}

/// `rest` of a name without the platform that cross-compiled packages have before their version: `aarch64-unknown-linux-gnu-`.
fn without_platform(rest: &str) -> &str {
    let parts = rest.split_once("-unknown-linux-");
    let parts = parts.filter(|(architecture, _)| !architecture.contains('-'));
    parts
        .and_then(|(_, libc)| libc.split_once('-'))
        .map_or(rest, |(_, version)| version)
}

/// Whether the derivation `name` is the kernel of a vendor, which nixpkgs' cache does not have.
pub fn is_vendor_kernel(name: &str) -> bool {
    let rest = name.strip_prefix("linux-").map(without_platform);
    let is_plain = rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    name.starts_with("linux") && !is_plain
}

/// The binary cache of github.com/nvmd/nixos-raspberrypi, with its key, and the kernels of boards that it has: `pkgs/linux-rpi.nix` there.
const VENDOR_CACHE: &str = "https://nixos-raspberrypi.cachix.org";
const VENDOR_KEY: &str =
    "nixos-raspberrypi.cachix.org-1:4iMO9LXa8BqhU+Rpg6LQKiGa2lsNh/j2oiYLNOQ5sPI=";
const VENDOR_KERNELS: [&str; 2] = ["linux_rpi-bcm2711", "linux_rpi-bcm2712"];

/// The flags that add the vendor's cache to a build, if it may have one of `derivations` and is not among the `used` addresses.
fn cache_for(derivations: &[String], used: &[String]) -> Option<String> {
    let is_used = used
        .iter()
        .any(|url| url.trim_end_matches('/') == VENDOR_CACHE);
    let has = |name: &String| {
        VENDOR_KERNELS
            .iter()
            .any(|kernel| is_of_program(name, kernel))
    };
    (!is_used && derivations.iter().any(has)).then(|| {
        format!("--extra-substituters {VENDOR_CACHE} --extra-trusted-public-keys {VENDOR_KEY}")
    })
}

/// What is known of a build that compiles something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Compilation<'a> {
    /// The addresses of the binary caches.
    pub caches: &'a [String],
    /// Whether one of them answered.
    pub is_answered: bool,
    /// Whether derivations are built under emulation.
    pub emulates: bool,
    /// Whether nothing is built now, and the causes are said anyway.
    pub is_forecast: bool,
}

/// The warning that the derivations `names` are compiled.
pub fn compile_warning(names: &[String], of: &Compilation<'_>) -> String {
    let why = match (of.caches.is_empty(), of.is_answered) {
        (true, _) => "there is no binary cache",
        (false, false) => "no binary cache answered",
        (false, true) => "no binary cache has it",
    };
    let slower = if of.emulates {
        ", and ten times as long under emulation"
    } else {
        ""
    };
    let cache = cache_for(names, of.caches).filter(|_| of.is_answered);
    let cache = cache.map(|cache| format!(". A cache that may have it: {cache}"));
    let stop = match (of.is_forecast, of.is_answered) {
        (true, _) => "",
        (false, true) => {
            ". To stop, press Ctrl-C. `sdbuild build --dry-run` says why no cache has it"
        }
        (false, false) => ". To stop, press Ctrl-C, and check the network",
    };
    format!(
        "{why}, so this is compiled here: {}. That takes hours{slower}{}{stop}",
        names.join(", "),
        cache.unwrap_or_default()
    )
}

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
pub struct SlowFetches {
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
    pub fn new(window: Duration) -> Self {
        Self {
            window,
            running: BTreeMap::new(),
            total: 0,
            samples: VecDeque::new(),
            warned: BTreeSet::new(),
        }
    }

    /// Takes note of `event`.
    pub fn note(&mut self, event: &NixEvent) {
        if let NixEvent::FetchStarted { id, path, cache } = event {
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
        } else if let NixEvent::Moved { id, done, expected } = event {
            if let Some(fetch) = self.running.get_mut(id) {
                let more = done.saturating_sub(fetch.done);
                self.total = self.total.saturating_add(more);
                fetch.done = fetch.done.max(*done);
                fetch.complete = *expected > 0 && done >= expected;
            }
        } else if let NixEvent::Stopped { id } = event {
            self.running.remove(id);
        }
    }

    /// The warning that is due `now`, once for each cache. To be called about once a second.
    pub fn tick(&mut self, now: Instant) -> Option<String> {
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

    fn message(text: &str) -> NixEvent {
        let text = text.to_owned();
        NixEvent::Message { level: 3, text }
    }

    fn build_started() -> NixEvent {
        let derivation = "/nix/store/x-a.drv".to_owned();
        NixEvent::BuildStarted {
            id: 1,
            derivation,
            machine: String::new(),
        }
    }

    #[test]
    fn names_are_reported_once_before_the_first_build() {
        let mut expensive = ExpensiveBuilds::default();
        for text in [
            "  /nix/store/aaa-unit-a.service.drv",
            "  /nix/store/bbb-linux-6.18.3.drv",
            "  /nix/store/ccc-gcc-14.3.0",
        ] {
            assert!(expensive.note(&message(text)).is_empty());
        }
        assert_eq!(expensive.note(&build_started()), ["linux-6.18.3"]);
        assert!(expensive.note(&build_started()).is_empty());
    }

    /// A system for a Raspberry Pi without any cache: compilers of the bootstrap came first, and its kernel was not named.
    #[test]
    fn kernels_are_named_before_what_else_is_compiled() {
        let mut expensive = ExpensiveBuilds::default();
        for n in 0..MAX_NAMES {
            expensive.note(&message(&format!("  /nix/store/a-gcc-{n}.0.drv")));
        }
        expensive.note(&message(
            "  /nix/store/b-linux_rpi-bcm2712-6.12.34-stable_20250702.drv",
        ));
        let names = expensive.finish();
        assert_eq!(names.len(), MAX_NAMES);
        assert_eq!(names[0], "linux_rpi-bcm2712-6.12.34-stable_20250702");
    }

    #[test]
    fn a_flood_of_lists_is_reported_a_few_times() {
        let mut expensive = ExpensiveBuilds::default();
        let mut reported = 0;
        for n in 0..10_000 {
            expensive.note(&message(&format!("  /nix/store/a-linux-6.{}.drv", n % 100)));
            reported += usize::from(!expensive.note(&build_started()).is_empty());
        }
        assert_eq!(reported, MAX_NAMES);
    }

    #[test]
    fn only_compiling_derivations_are_expensive() {
        let names = |text: &str| {
            text.split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        for name in names(
            "linux-6.18.3 gcc-14.3.0 rustc-1.90.0 linux-6.19 linux-rpi-6.12.75-1+rpt1 linux-rpi-6.18.39-stable_20260724 \
             linux-aarch64-unknown-linux-gnu-6.18.3 linux_rpi-bcm2712-6.12.47-stable_20250916",
        ) {
            assert!(is_expensive(&name), "{name}");
        }
        for name in names(
            "linux-6.18.3-modules-shrunk linux-6.18.7.tar.xz gcc-15.2.0.tar.xz gcc-15.patch linux-headers-6.16 linux- \
             linux-config-aarch64-unknown-linux-gnu-6.18.37 linux-pam-aarch64-unknown-linux-gnu-1.7.1 linuxptp-4 \
             linux-rpi-6.12.75-1+rpt1-modules linux-6.12.75-1+rpt1 linux-6.12.107-1 gcc-wrapper-14.3.0 python3-3.13.1-env",
        ) {
            assert!(!is_expensive(&name), "{name}");
        }
    }

    #[test]
    fn kernels_of_boards_have_a_cache_that_is_not_used_yet() {
        let found =
            |name: &str, used: &str| cache_for(&[name.to_owned()], &[used.to_owned()]).is_some();
        let public = "https://cache.nixos.org";
        assert!(found("linux_rpi-bcm2712-6.12.47-stable_20250916", public));
        for other in [
            "linux-rpi-6.12.47-stable_20250916",
            "linux-6.12.30",
            "linux_rpi-bcm2712-6.12.47-modules",
        ] {
            assert!(!found(other, public), "{other}");
        }
        assert!(!found(
            "linux_rpi-bcm2711-6.6.74-1.20250127",
            &format!("{VENDOR_CACHE}/")
        ));
    }

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
