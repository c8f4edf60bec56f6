//! Images with the fields of their structures at extremes: any result is correct, but reading must end with one,
//! soon, with little memory and without a panic.
//!
//! Case N is the same in every run. The suite runs the first [`CASES`], or as many of [`ALL_CASES`] as four minutes take; `SDBUILD_IMAGE_MUTATIONS=1000000` runs as many,
//! and `SDBUILD_IMAGE_MUTATIONS=4711..4712` one:
//!
//! ```text
//! SDBUILD_IMAGE_MUTATIONS=1000000 cargo test --release --test image mutations:: -- --nocapture
//! ```

mod cluster_fields;
mod disks;
mod doors;
mod ext_fields;
mod fat32;
mod fat_fields;
mod field;
mod iso_fields;
mod packed_fields;
mod patched;

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sdbuild_image::boot::BootReport;
use sdbuild_image::report::Layout;

use super::*;
use disks::{Disk, disks};
use field::Field;
use patched::Patched;

/// Cases of each test that `scripts/test` runs, and `scripts/test --all`.
const CASES: u64 = 300;
const ALL_CASES: u64 = 100_000;
/// How long the cases of one test may take in all: the rest of them is left out.
const MAX_TEST_TIME: Duration = Duration::from_mins(4);
/// How long one image may take on a busy machine: of a million, the slowest took 4.2 s at the lowest priority.
const MAX_TIME: Duration = Duration::from_secs(20);
/// Memory of the whole test: some 30 MiB of it are the images that are changed.
const MAX_MEMORY_KIB: u64 = 200 << 10;
/// Bytes that a disk's sections may be asked for besides four times its length.
const EXTRA_READ_BYTES: u64 = 256 << 20;

/// The numbers of the cases.
fn cases() -> Range<u64> {
    let Ok(text) = std::env::var("SDBUILD_IMAGE_MUTATIONS") else {
        let runs_all = std::env::var("NEXTEST_PROFILE").is_ok_and(|profile| profile == "all");
        return 0..if runs_all { ALL_CASES } else { CASES };
    };
    let number = |text: &str| text.parse().unwrap();
    match text.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => 0..number(&text),
    }
}

/// Runs `case` for every number; prints how long that took.
fn run_cases(name: &str, case: impl Fn(u64)) {
    let (mut cases, start) = (cases(), Instant::now());
    let mut slowest = (Duration::ZERO, 0);
    for number in cases.clone() {
        let begun = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| case(number)));
        assert!(result.is_ok(), "{name}: case {number} panicked");
        slowest = slowest.max((begun.elapsed(), number));
        assert!(slowest.0 < MAX_TIME, "{name}: case {number} took too long");
        if start.elapsed() > MAX_TEST_TIME {
            cases.end = number + 1;
            break;
        }
    }
    let memory = peak_memory_kib();
    eprintln!(
        "{name}: cases {cases:?} in {:.1?}; the slowest took {:.3?} (case {}); {memory} KiB of memory",
        start.elapsed(),
        slowest.0,
        slowest.1
    );
    assert!(memory < MAX_MEMORY_KIB, "{name}: {memory} KiB");
}

/// The most memory that this process had.
fn peak_memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let words: Vec<_> = line.unwrap().split_whitespace().collect();
    words[0].parse().unwrap()
}

/// Sets some fields to extremes, or to the values of their neighbours: then structures overlap or form circles.
fn change(image: &mut Patched, groups: &[Vec<Field>], random: &mut fastrand::Rng) {
    let count = [1, 1, 1, 1, 2, 2, 2, 3, 4, 6][random.usize(..10)];
    for _ in 0..count {
        let group = &groups[random.usize(..groups.len())];
        let (field, other) =
            (group[random.usize(..group.len())], group[random.usize(..group.len())]);
        let (value, neighbour) = (image.get(field), image.get(other));
        image.set(field, field.extreme(value, neighbour, random));
    }
}

fn changed(disk: &Disk, random: &mut fastrand::Rng) -> Patched {
    let mut image = Patched::new(&disk.bytes);
    if random.usize(..6) == 0 {
        for field in &disk.sizes {
            image.set(*field, u64::MAX - random.u64(..3));
        }
    }
    change(&mut image, &disk.groups, random);
    // Readers look no further behind a wrong checksum.
    if random.usize(..10) > 0 {
        disk.fix_checksums(&mut image);
    }
    if random.usize(..20) == 0 {
        image.truncate(random.usize(..disk.bytes.len()));
    }
    image
}

/// Reads everything that `inspect` would.
fn read_all(image: Patched) {
    let length = image.len();
    let disk = Section::whole(image, length, &Cancel::new());
    let Ok(layout) = Layout::read(&disk) else { return };
    drop(BootReport::find(&layout.volumes));
    let limit = length * 4 + EXTRA_READ_BYTES;
    for volume in layout.volumes.iter().take(20) {
        for dir in ["/", "/boot/nixos", "/many", "/sub"] {
            for entry in volume.fs.list(dir).unwrap_or_default() {
                let path = format!("{dir}/{}", entry.name);
                let mut copied = 0;
                let result = volume.fs.copy(&path, &mut |piece| {
                    copied += piece.len() as u64;
                    Ok(true)
                });
                drop(result);
                assert!(copied <= limit, "{path}: {copied} bytes out of {length}");
            }
        }
    }
}

#[test]
fn structures_at_extremes_are_read_to_an_end() {
    needs!(have(&IMAGE_TOOLS));
    let disks = disks();
    run_cases("images", |number| {
        let mut random = fastrand::Rng::with_seed(number);
        let disk = &disks[random.usize(..disks.len())];
        read_all(changed(disk, &mut random));
    });
}

#[test]
fn packed_images_at_extremes_are_read_to_an_end() {
    needs!(have(&["xz", "zstd", "gzip"]));
    let packed = packed_fields::images();
    run_cases("packed images", |number| {
        let mut random = fastrand::Rng::with_seed(number);
        let one = &packed[random.usize(..packed.len())];
        let mut image = Patched::new(&one.bytes);
        change(&mut image, &one.groups, &mut random);
        if random.usize(..10) > 0 {
            one.fix_checksums(&mut image);
        }
        packed_fields::unpack(&image.bytes());
    });
}

#[test]
fn compressed_clusters_at_extremes_are_read_to_an_end() {
    if !have(&IMAGE_TOOLS) {
        return;
    }
    let disks = disks();
    let files: Vec<_> = disks.iter().map(|disk| cluster_fields::qcow2(&disk.bytes)).collect();
    for ((bytes, _), disk) in files.iter().zip(&disks) {
        let layout = cluster_fields::read(&Patched::new(bytes)).unwrap();
        assert_eq!(layout.problems, Vec::<String>::new(), "{}", disk.name);
    }
    run_cases("qcow2", |number| {
        let mut random = fastrand::Rng::with_seed(number);
        let (bytes, groups) = &files[random.usize(..files.len())];
        let mut image = Patched::new(bytes);
        change(&mut image, groups, &mut random);
        if let Some(layout) = cluster_fields::read(&image) {
            drop(BootReport::find(&layout.volumes));
        }
    });
}

/// All structures are reached: without a change every file is read.
#[test]
fn unchanged_images_have_all_structures() {
    needs!(have(&IMAGE_TOOLS));
    for disk in disks() {
        let image = Patched::new(&disk.bytes);
        let section = Section::whole(image, disk.bytes.len() as u64, &Cancel::new());
        let layout = Layout::read(&section).unwrap();
        assert_eq!(layout.problems, Vec::<String>::new(), "{}", disk.name);
        let boot = BootReport::find(&layout.volumes).unwrap();
        assert_eq!(boot.problems, Vec::<String>::new(), "{}", disk.name);
        let kinds: Vec<_> = layout
            .partitions
            .iter()
            .filter_map(|partition| Some(partition.file_system.as_ref()?.kind.as_str()))
            .collect();
        assert_eq!(kinds, disk.kinds, "{}", disk.name);
        for group in &disk.groups {
            assert!(!group.is_empty(), "{}", disk.name);
        }
    }
}
