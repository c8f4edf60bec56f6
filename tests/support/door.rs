//! A door: a reader of bytes that others may have made, tried with changed ones.
//!
//! Any result is correct, but reading must end with one, without a panic, in a process whose limits the kernel enforces. Case N is the
//! same in every run. `scripts/test` runs the first [`CASES`], `scripts/test --all` [`ALL_CASES`], and
//! `SDBUILD_DOOR_CASES=4711..4712 scripts/test --quick DOOR` one.

use std::any::type_name_of_val;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, setrlimit};
use nix::time::{ClockId, clock_gettime};

const CASES: u64 = 300;
const ALL_CASES: u64 = 100_000;
/// Memory of the process, with what it asks for and never touches; the examples are part of it.
const MAX_MEMORY: u64 = 200 << 20;
/// Seconds of computing for one case.
const MAX_SECONDS: u64 = 20;
/// The numbers of the cases that run.
const RANGE: &str = "SDBUILD_DOOR_CASES";
/// Set in the process that has the limits: the file in which it notes the case it has begun.
const NOTE: &str = "SDBUILD_DOOR_NOTE";

/// Bytes of most texts, and of some, one in a thousand: some readers refuse one that long.
const BYTES: usize = 2000;
const MOST_BYTES: usize = 5 << 20;
/// Pieces of the languages of all doors.
const PIECES: [&str; 20] = [
    "{",
    "[",
    "\"",
    "'",
    "\\",
    "\n",
    "*",
    "[!a]",
    "{a,b}",
    "**/",
    "=",
    "<a>",
    "&",
    "\0",
    "é",
    "\u{202e}",
    "PRIVATE KEY-----",
    "://u:p@",
    "- a\n",
    "@nix {\"action\":\"start\",\"id\":1,\"type\":105,\"fields\":[\"/nix/store/a.drv\"]}\n",
];
const NUMBERS: [&str; 6] = ["0", "-1", "65536", "18446744073709551615", "77777777777", "1e999"];

/// Has `read` read changed `examples` with few kilobytes, some with megabytes, in a directory of its own.
pub(crate) fn enter(examples: &[&[u8]], read: impl Fn(&Path, &[u8])) {
    let test = type_name_of_val(&read);
    run_cases(test, || {
        // In memory, if there is one: 100,000 cases write as many files.
        let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        for example in examples {
            read(dir.path(), example);
        }
        move |number| read(dir.path(), &changed(number, examples))
    });
}

/// One of `examples` with some pieces changed.
pub(crate) fn changed(number: u64, examples: &[&[u8]]) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(number);
    let mut bytes = examples[random.usize(..examples.len())].to_vec();
    let is_long = number.is_power_of_two() || number.is_multiple_of(1000);
    let most = if is_long { MOST_BYTES } else { bytes.len().max(BYTES) };
    let doublings = if is_long { 18 } else { 8 };
    for _ in 0..random.usize(1..6) {
        let start = random.usize(..=bytes.len());
        let end = (start + random.usize(..200)).min(bytes.len());
        let times = 1 << random.usize(..doublings);
        let piece = match random.usize(..8) {
            0 => Vec::new(),
            1 | 2 => bytes[start..end].repeat(times),
            3 => random.choice(PIECES).unwrap().repeat(times).into(),
            4 => examples[random.usize(..examples.len())].to_vec(),
            5 => random.choice(NUMBERS).unwrap().into(),
            // In place: what follows stays where it is.
            6 => {
                let number = random.choice(NUMBERS).unwrap().bytes();
                bytes[start..].iter_mut().zip(number).for_each(|(to, from)| *to = from);
                continue;
            }
            _ => vec![random.u8(..)],
        };
        let room = (most + end - start).saturating_sub(bytes.len());
        bytes.splice(start..end, piece.into_iter().take(room));
    }
    bytes
}

/// Makes the checksums of tar's headers right: readers look no further behind a wrong one.
pub(crate) fn fix_tar(bytes: &mut [u8]) {
    for header in bytes.chunks_exact_mut(512).filter(|header| header[257..262] == *b"ustar") {
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
}

/// Runs what `prepare` makes for every number. `test` is the name of a type of the test's function.
#[expect(clippy::disallowed_methods, reason = "tests read variables of their own")]
pub(crate) fn run_cases<C: Fn(u64)>(test: &str, prepare: impl FnOnce() -> C) {
    let test = test.split_once("::").unwrap().1.split("::{{").next().unwrap();
    match std::env::var(NOTE) {
        Ok(note) => run_here(test, &File::options().write(true).open(note).unwrap(), prepare()),
        Err(_) => run_limited(test),
    }
}

/// Runs the same test in a process with limits.
fn run_limited(test: &str) {
    let note = tempfile::NamedTempFile::new().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(NOTE, note.path())
        .status()
        .unwrap();
    let case = fs::read_to_string(note.path()).unwrap();
    assert!(status.success(), "{test}: {status} in case {case}");
    assert!(!case.is_empty(), "no test is called {test}");
}

fn run_here(test: &str, note: &File, case: impl Fn(u64)) {
    let (cases, start) = (numbers(), Instant::now());
    let mut slowest = (Duration::ZERO, 0);
    setrlimit(Resource::RLIMIT_DATA, MAX_MEMORY, MAX_MEMORY).unwrap();
    for number in cases.clone() {
        let begun = computed();
        let end = begun.as_secs() + MAX_SECONDS;
        setrlimit(Resource::RLIMIT_CPU, end, u64::MAX).unwrap();
        note.write_all_at(format!("{number:<9}").as_bytes(), 0).unwrap();
        let result = catch_unwind(AssertUnwindSafe(|| case(number)));
        assert!(result.is_ok(), "case {number} panicked");
        slowest = slowest.max((computed().saturating_sub(begun), number));
    }
    eprintln!(
        "{test}: cases {cases:?} in {:.1?} ({:.1?} of computing), {} MiB; the slowest took {:.3?} (case {})",
        start.elapsed(),
        computed(),
        peak_kib() >> 10,
        slowest.0,
        slowest.1
    );
}

#[expect(clippy::disallowed_methods, reason = "tests read variables of their own")]
fn numbers() -> std::ops::Range<u64> {
    let Ok(text) = std::env::var(RANGE) else {
        let runs_all = std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "all");
        return 0..if runs_all { ALL_CASES } else { CASES };
    };
    let (first, end) = text.split_once("..").unwrap();
    first.parse().unwrap()..end.parse().unwrap()
}

/// How long this process has computed, by the clock of `RLIMIT_CPU`, which counts ticks: it can be many seconds ahead of
/// `CLOCK_PROCESS_CPUTIME_ID` (`MAKE_PROCESS_CPUCLOCK(0, CPUCLOCK_PROF)` of Linux's posix-timers).
fn computed() -> Duration {
    clock_gettime(ClockId::from_raw(!0 << 3)).unwrap().into()
}

/// The most memory that this process had.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap().split_whitespace().next().unwrap().parse().unwrap()
}
