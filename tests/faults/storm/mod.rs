//! The storm: real builds, each with one bad thing at a moment drawn from a seed over the whole life
//! of a run. Whatever was killed, filled up or unplugged, the invariants hold. Run `k` has the seed
//! `S + k`, and everything that is random about it comes from that: a failing seed replays with
//! `scripts/faults --runs 1 --seed SEED`.

#![allow(
    clippy::wildcard_enum_match_arm,
    reason = "most deeds have one thing of their own"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

mod act;
mod deeds;
mod ground;
mod invariants;
mod job;
mod live;
mod machine;
mod mirror;
mod moments;
mod private;
mod report;
mod run;
mod scene;
mod terminal;

use crate::support::*;
use deeds::{KINDS, Kind};
use ground::Ground;
use machine::Witness;
use mirror::{Manner, Mirror, Package};
use moments::{Phase, Usual};
use private::Registrars;
use report::Book;
use run::Record;

/// How often Nix checks the store that all runs share.
const VERIFY_EVERY: usize = 10;

/// What every run of a storm shares.
pub struct Storm {
    usual: Usual,
    packages: Vec<Package>,
    /// An emulator for handlers that are not ours.
    qemu: PathBuf,
    dir: tempfile::TempDir,
    machine: Witness,
    /// Engines that may be killed, one run at a time: the second one's containers outlive it.
    engines: Mutex<[Option<OwnEngine>; 2]>,
    /// Held by each run; as a whole by one that wants to be alone.
    company: RwLock<()>,
    pub registrars: Registrars,
    /// Long waits are as short as they can be.
    pub brief: bool,
}

impl Storm {
    /// Nix's own check, while nobody writes: a derivation that comes after the check has listed the
    /// directory, and before it reads the database, would be taken for one that disappeared.
    fn check_the_store(&self) -> Vec<String> {
        let _alone = self.company.write().unwrap_or_else(PoisonError::into_inner);
        invariants::store()
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {text}")),
    )
}

#[test]
fn a_bounded_sample_of_every_deed() {
    if !engine_is_here() {
        return;
    }
    let runs = number("SDBUILD_FAULTS_RUNS").unwrap_or(KINDS.len() as u64);
    let book = Book::open();
    let seeds = seeds(runs, &book);
    let workers = number("SDBUILD_FAULTS_JOBS")
        .unwrap_or(3)
        .clamp(1, runs.max(1));
    eprintln!("{runs} runs from seed {}, {workers} at a time", seeds[0]);
    let well = blow(&seeds, usize::try_from(workers).unwrap(), &book);
    let records = book.read();
    eprintln!("\n{}", report::table(&records));
    let summary = report::summary(&records);
    std::fs::write(report::dir().join("summary"), format!("{summary}\n")).unwrap();
    assert!(well, "{summary}; logs are in {}", report::dir().display());
    eprintln!("{summary}");
}

/// The seeds of `runs` runs: one after the other from where the book ends, or only those of one kind.
fn seeds(runs: u64, book: &Book) -> Vec<u64> {
    let first = number("SDBUILD_FAULTS_SEED").or_else(|| book.next_seed());
    let first = first.unwrap_or_else(|| fastrand::u64(..100_000));
    let kind = std::env::var("SDBUILD_FAULTS_KIND").ok();
    let wanted = |seed: &u64| kind.as_ref().is_none_or(|kind| kind_of(*seed).name == kind);
    if let Some(kind) = &kind {
        assert!(KINDS.iter().any(|k| k.name == kind), "no deed is a {kind}");
    }
    let seeds = (first..).filter(wanted);
    seeds.take(usize::try_from(runs).unwrap()).collect()
}

fn kind_of(seed: u64) -> &'static Kind {
    &KINDS[usize::try_from(seed % KINDS.len() as u64).unwrap()]
}

/// Blows a run for each of `seeds`, and keeps them in `book`; whether all went well.
fn blow(seeds: &[u64], workers: usize, book: &Book) -> bool {
    let begun = Instant::now();
    // First into the shared cache, which every other one is copied from.
    ground::warm_up(&User::new());
    let mut grounds: Vec<Ground> = std::thread::scope(|scope| {
        let making = (0..workers).map(|number| scope.spawn(move || Ground::new(number)));
        let making: Vec<_> = making.collect();
        making
            .into_iter()
            .map(|made| made.join().unwrap())
            .collect()
    });
    let storm = prepare(&grounds[0]);
    let minutes = number("SDBUILD_FAULTS_MINUTES").unwrap_or(u64::MAX / 60);
    let over = || begun.elapsed().as_secs() >= minutes * 60;
    let (next, well) = (AtomicUsize::new(0), AtomicBool::new(true));
    std::thread::scope(|scope| {
        for ground in &mut grounds {
            scope.spawn(|| {
                loop {
                    if over() {
                        return;
                    }
                    let nth = next.fetch_add(1, Ordering::SeqCst);
                    let Some(seed) = seeds.get(nth) else { return };
                    let mut record = one(&storm, *seed, ground);
                    if nth % VERIFY_EVERY == VERIFY_EVERY - 1 || nth + 1 == seeds.len() {
                        record.violations.extend(storm.check_the_store());
                    }
                    eprintln!("{}", record.line());
                    record.keep();
                    book.write(&record);
                    well.fetch_and(record.violations.is_empty(), Ordering::SeqCst);
                }
            });
        }
    });
    well.into_inner()
}

/// One run; should the harness itself panic, that is a violation like any other, and the storm goes on.
fn one(storm: &Storm, seed: u64, ground: &mut Ground) -> Record {
    let kind = kind_of(seed);
    // Held during the run.
    let alone = kind.deed.wants_to_be_alone();
    let _alone = alone.then(|| {
        let company = storm.company.write();
        company.unwrap_or_else(PoisonError::into_inner)
    });
    let _others = (!alone).then(|| storm.company.read().unwrap_or_else(PoisonError::into_inner));
    let mut engines = kind
        .deed
        .needs_own_engine()
        .then(|| storm.engines.lock().unwrap());
    if let Some(engines) = &mut engines {
        std::mem::swap(&mut ground.engines, &mut **engines);
    }
    let ran = catch_unwind(AssertUnwindSafe(|| run::run(storm, seed, ground)));
    if let Some(engines) = &mut engines {
        std::mem::swap(&mut ground.engines, &mut **engines);
    }
    ran.unwrap_or_else(|panic| {
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
            said: String::new(),
        }
    })
}

/// Learns how long a run takes when nobody disturbs it, and gets an emulator.
fn prepare(ground: &Ground) -> Storm {
    let packages = ground::packages();
    let dir = tempfile::tempdir().unwrap();
    let qemu = dir.path().join("qemu-aarch64");
    let tags = ground.tags();
    let registrar = tags.iter().find(|tag| {
        let there = std::process::Command::new("docker")
            .args(["image", "inspect", tag])
            .output();
        tag.contains("/registrar:") && there.unwrap().status.success()
    });
    let container = docker(&["create", registrar.unwrap()]);
    let from = format!("{}:/sdbuild/qemu-aarch64", container.trim());
    docker(&["cp", &from, qemu.to_str().unwrap()]);
    docker(&["rm", container.trim()]);

    let mirror = Mirror::open(&packages, &ground::shared_objects(), Manner::Good);
    let user = ground.user().with("SDBUILD_DEBIAN_MIRROR", mirror.url());
    ground.remove_images();
    let cache = PathBuf::from(&user.environment["XDG_CACHE_HOME"]).join("sdbuild");
    std::fs::remove_dir_all(cache.join("notes")).unwrap();
    for package in packages
        .iter()
        .filter(|p| (200_000..3_000_000).contains(&p.size))
        .take(3)
    {
        std::fs::remove_file(cache.join("sha256").join(&package.sha256)).unwrap_or(());
    }
    let registrars = Registrars::watch();
    let usual = Usual::of(&ground::undisturbed(&user));
    assert!(registrars.heard_any(), "nobody would notice a registrar");
    for phase in moments::ALL {
        eprintln!(
            "usually {:<9} {:>6} ms",
            phase.word(),
            usual.lasts(phase).as_millis()
        );
    }
    Storm {
        usual,
        packages,
        qemu,
        machine: Witness::below(dir.path()),
        dir,
        engines: Mutex::default(),
        company: RwLock::default(),
        registrars,
        brief: std::env::var_os("SDBUILD_FAULTS_BRIEF").is_some(),
    }
}
