//! Fault injection: real builds, each with one fault at a moment drawn from a seed over the whole life of a run.
//! Whatever was killed, filled up or unplugged, the invariants hold. Run `k` has the seed `S + k`, and everything that is
//! random about it comes from that: a failing seed replays with `scripts/faults --runs 1 --seed SEED`.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most matches treat a few kinds of fault apart from all others"
)]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

mod end;
mod fault_kinds;
mod fixture;
mod follow_up;
mod inject;
mod invariants;
mod live_run;
mod mirror;
mod phases;
mod private;
mod report;
mod run;
mod setup;
mod stall_watch;
mod terminal;
mod workload;

use crate::support::*;
use fault_kinds::{FAULT_KINDS, FaultKind};
use fixture::Fixture;
use mirror::{Behavior, Mirror, Package};
use phases::{Phase, PhaseDurations};
use private::Registrars;
use report::RunLog;
use run::Record;
use stall_watch::StallWatch;

/// After how many runs Nix checks the store that all runs share.
const VERIFY_EVERY: usize = 10;

/// What every run of a campaign shares.
pub struct Campaign {
    durations: PhaseDurations,
    packages: Vec<Package>,
    /// The emulator that handlers of other programs name.
    qemu: PathBuf,
    /// Where `qemu` and the file of the stall watch are.
    _dir: tempfile::TempDir,
    machine: StallWatch,
    /// Engines that may be killed, one run at a time: the second one's containers outlive it.
    engines: Mutex<[Option<OwnEngine>; 2]>,
    /// Each run holds it shared; a run that must be alone holds it exclusively.
    exclusive: RwLock<()>,
    pub registrars: Registrars,
    /// What killed runs of other users left before the first run: `clean` keeps a part of it for a day.
    left_before: BTreeSet<String>,
    /// Whether waits are only as long as the timeout that they wait for.
    pub brief: bool,
}

impl Campaign {
    /// Runs Nix's own check while no run writes: Nix would report a derivation as disappeared that was added after it
    /// listed the directory and before it read the database.
    fn verify_store(&self) -> Vec<String> {
        let _alone = self.exclusive.write().unwrap_or_else(PoisonError::into_inner);
        invariants::store()
    }
}

fn number_from_env(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn injected_faults_leave_nothing_behind() {
    needs!(engine_ready());
    let runs = number_from_env("SDBUILD_FAULTS_RUNS").unwrap_or(FAULT_KINDS.len() as u64);
    let log = RunLog::open();
    let seeds = seeds(runs, &log);
    let workers = number_from_env("SDBUILD_FAULTS_JOBS").unwrap_or(3).clamp(1, runs.max(1));
    eprintln!("{runs} runs from seed {}, {workers} at a time", seeds[0]);
    let passed = run_seeds(&seeds, usize::try_from(workers).unwrap(), &log);
    let records = log.read();
    eprintln!("\n{}", report::table(&records));
    let summary = report::summary(&records);
    std::fs::write(report::dir().join("summary"), format!("{summary}\n")).unwrap();
    assert!(passed, "{summary}; logs are in {}", report::dir().display());
    eprintln!("{summary}");
}

/// The seeds of `runs` runs: consecutive from where the log ends, or only those of one kind.
fn seeds(runs: u64, log: &RunLog) -> Vec<u64> {
    let first = number_from_env("SDBUILD_FAULTS_SEED").or_else(|| log.next_seed());
    let first = first.unwrap_or_else(|| fastrand::u64(..100_000));
    let kind = std::env::var("SDBUILD_FAULTS_KIND").ok();
    let wanted = |seed: &u64| kind.as_ref().is_none_or(|kind| kind_of(*seed).name == kind);
    if let Some(kind) = &kind {
        assert!(FAULT_KINDS.iter().any(|k| k.name == kind), "no kind of fault is called {kind}");
    }
    let seeds = (first..).filter(wanted);
    seeds.take(usize::try_from(runs).unwrap()).collect()
}

fn kind_of(seed: u64) -> &'static FaultKind {
    &FAULT_KINDS[usize::try_from(seed % FAULT_KINDS.len() as u64).unwrap()]
}

/// Does a run for each of `seeds` and appends it to `log`; returns whether none had a violation.
fn run_seeds(seeds: &[u64], workers: usize, log: &RunLog) -> bool {
    let started = Instant::now();
    let left_before = invariants::all_objects();
    // Fills the shared cache first, which all others are copied from.
    fixture::warm_up(&TestUser::new());
    let mut fixtures: Vec<Fixture> = std::thread::scope(|scope| {
        let making = (0..workers).map(|number| scope.spawn(move || Fixture::new(number)));
        let making: Vec<_> = making.collect();
        making.into_iter().map(|made| made.join().unwrap()).collect()
    });
    // Its images need no assembly.
    let warm = fixture::warm_up(&fixtures[0].user());
    assert!(!warm.stderr.contains("ontainer images"), "{}", warm.stderr);
    let campaign = prepare(&fixtures[0], left_before);
    let minutes = number_from_env("SDBUILD_FAULTS_MINUTES").unwrap_or(u64::MAX / 60);
    let over = || started.elapsed().as_secs() >= minutes * 60;
    let (next, passed) = (AtomicUsize::new(0), AtomicBool::new(true));
    std::thread::scope(|scope| {
        for fixture in &mut fixtures {
            scope.spawn(|| {
                loop {
                    if over() {
                        return;
                    }
                    let nth = next.fetch_add(1, Ordering::SeqCst);
                    let Some(seed) = seeds.get(nth) else { return };
                    let mut record = run_one(&campaign, *seed, fixture);
                    if nth % VERIFY_EVERY == VERIFY_EVERY - 1 || nth + 1 == seeds.len() {
                        record.violations.extend(campaign.verify_store());
                    }
                    eprintln!("{}", record.line());
                    record.keep();
                    log.write(&record);
                    passed.fetch_and(record.violations.is_empty(), Ordering::SeqCst);
                }
            });
        }
    });
    passed.into_inner()
}

/// Does one run. A panic of the harness is a violation like any other, and the campaign continues.
fn run_one(campaign: &Campaign, seed: u64, fixture: &mut Fixture) -> Record {
    let kind = kind_of(seed);
    let alone = kind.fault.runs_alone();
    let _alone = alone.then(|| {
        let exclusive = campaign.exclusive.write();
        exclusive.unwrap_or_else(PoisonError::into_inner)
    });
    let _others =
        (!alone).then(|| campaign.exclusive.read().unwrap_or_else(PoisonError::into_inner));
    let mut engines = kind.fault.needs_own_engine().then(|| campaign.engines.lock().unwrap());
    if let Some(engines) = &mut engines {
        std::mem::swap(&mut fixture.engines, &mut **engines);
    }
    let outcome = catch_unwind(AssertUnwindSafe(|| run::run_seed(campaign, seed, fixture)));
    if let Some(engines) = &mut engines {
        std::mem::swap(&mut fixture.engines, &mut **engines);
    }
    outcome.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Record {
            seed,
            kind: kind.name,
            variant: String::new(),
            private: private::is_drawn(kind, seed),
            phase: Phase::Start,
            moment: Duration::ZERO,
            end: None,
            violations: vec![format!("the harness: {}", text.unwrap_or_default())],
            output: String::new(),
        }
    })
}

/// Measures how long each phase of a run takes without a fault, and extracts an emulator.
fn prepare(fixture: &Fixture, left_before: BTreeSet<String>) -> Campaign {
    let packages = fixture::packages();
    let dir = tempfile::tempdir().unwrap();
    let qemu = dir.path().join("qemu-aarch64");
    let tags = fixture.tags();
    let registrar = tags.iter().find(|tag| {
        let there = std::process::Command::new("docker").args(["image", "inspect", tag]).output();
        tag.contains("/registrar:") && there.unwrap().status.success()
    });
    let container = docker(&["create", registrar.unwrap()]);
    let from = format!("{}:/sdbuild/qemu-aarch64", container.trim());
    docker(&["cp", &from, qemu.to_str().unwrap()]);
    docker(&["rm", container.trim()]);

    let mirror = Mirror::open(&packages, &fixture::shared_objects(), Behavior::Good);
    let user = fixture.user().with("SDBUILD_DEBIAN_MIRROR", mirror.url());
    fixture.remove_images();
    let cache = PathBuf::from(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    std::fs::remove_dir_all(cache.join("notes")).unwrap();
    for package in packages.iter().filter(|p| (200_000..3_000_000).contains(&p.size)).take(3) {
        std::fs::remove_file(cache.join("sha256").join(&package.sha256)).unwrap_or(());
    }
    let registrars = Registrars::watch();
    let durations = PhaseDurations::measured_in(&fixture::build_without_fault(&user));
    assert!(registrars.saw_any(), "a registrar would go unnoticed");
    for phase in phases::ALL {
        eprintln!(
            "phase {:<9} usually takes {:>6} ms",
            phase.word(),
            durations.of_phase(phase).as_millis()
        );
    }
    Campaign {
        durations,
        packages,
        qemu,
        machine: StallWatch::below(dir.path()),
        _dir: dir,
        engines: Mutex::default(),
        exclusive: RwLock::default(),
        registrars,
        left_before,
        brief: std::env::var_os("SDBUILD_FAULTS_BRIEF").is_some(),
    }
}
