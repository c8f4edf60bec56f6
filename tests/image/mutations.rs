//! Images with the fields of their structures at extremes: any result is correct, but reading must end with one,
//! soon, with little memory and without a panic.

mod cluster_fields;
mod disks;
mod doors;
mod ext_fields;
mod fat32;
mod fat_fields;
mod field;
mod iso_fields;
mod machines;
mod packed_fields;
mod patched;

use std::any::type_name_of_val;

use sdbuild_image::boot::BootReport;
use sdbuild_image::report::Layout;

use super::*;
use crate::door::run_cases;
use disks::{Disk, disks};
use field::Field;
use packed_fields::Packed;
use patched::Patched;

/// Bytes that a disk's sections may be asked for besides four times its length.
const EXTRA_READ_BYTES: u64 = 256 << 20;

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
        drop(volume.fs.ranges_for(&["/".to_owned(), "/boot/nixos".to_owned()]));
        drop(volume.fs.identities("/"));
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
    let read = |disks: &[Disk], number| {
        let mut random = fastrand::Rng::with_seed(number);
        let disk = &disks[random.usize(..disks.len())];
        read_all(changed(disk, &mut random));
    };
    run_cases(type_name_of_val(&read), || {
        let disks = disks();
        move |number| read(&disks, number)
    });
}

#[test]
fn packed_images_at_extremes_are_read_to_an_end() {
    needs!(have(&["xz", "zstd", "gzip"]));
    let read = |packed: &[Packed], number| {
        let mut random = fastrand::Rng::with_seed(number);
        let one = &packed[random.usize(..packed.len())];
        let mut image = Patched::new(&one.bytes);
        change(&mut image, &one.groups, &mut random);
        if random.usize(..10) > 0 {
            one.fix_checksums(&mut image);
        }
        packed_fields::unpack(&image.bytes());
    };
    run_cases(type_name_of_val(&read), || {
        let packed = packed_fields::images();
        move |number| read(&packed, number)
    });
}

#[test]
fn compressed_clusters_at_extremes_are_read_to_an_end() {
    needs!(have(&IMAGE_TOOLS));
    let read = |files: &[cluster_fields::Made], number| {
        let mut random = fastrand::Rng::with_seed(number);
        let (bytes, groups) = &files[random.usize(..files.len())];
        let mut image = Patched::new(bytes);
        change(&mut image, groups, &mut random);
        if let Some(layout) = cluster_fields::read(&image) {
            drop(BootReport::find(&layout.volumes));
        }
    };
    run_cases(type_name_of_val(&read), || {
        let mut disks = disks();
        disks.retain(|disk| disk.bytes.len() <= cluster_fields::MAX_DISK);
        let files: Vec<_> = disks.iter().map(|disk| cluster_fields::qcow2(&disk.bytes)).collect();
        for ((bytes, _), disk) in files.iter().zip(&disks) {
            let layout = cluster_fields::read(&Patched::new(bytes)).unwrap();
            assert_eq!(layout.problems, Vec::<String>::new(), "{}", disk.name);
        }
        move |number| read(&files, number)
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
