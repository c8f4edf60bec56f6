//! What a user loses: what is on a disk, as sysfs, udev and the disk itself tell.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use super::devices::{Disk, Part};
use super::refusal::describe;
use crate::common::cancel::Cancel;
use crate::common::human_bytes::human_bytes;
use crate::image::disk::Section;
use crate::image::report::{Layout, Slot};

/// The disk, then each of its partitions.
pub(super) fn lines(disk: &Disk, device: &Path, cancel: &Cancel) -> Vec<String> {
    let mut lines = vec![format!(
        "{}: {}, {}",
        disk.node(),
        describe(disk),
        human_bytes(disk.size)
    )];
    let slots = slots(device, cancel);
    let (whole, parts) = disk
        .parts
        .split_first()
        .map_or((None, [].as_slice()), |(w, p)| (Some(w), p));
    if parts.is_empty() && slots.is_empty() {
        let known = whole.and_then(|whole| whole.kind.as_deref());
        lines.push(known.map_or("  no partitions".to_owned(), |kind| format!("  {kind}")));
    }
    if parts.is_empty() {
        lines.extend(slots.iter().map(slot));
        return lines;
    }
    lines.extend(parts.iter().map(|part| {
        let same = |slot: &&Slot| u64::from(slot.partition.number) == part.number;
        let seen = slots.iter().find(same);
        partition(part, seen)
    }));
    lines
}

/// Whether the partitions that the kernel has are those of the disk's table.
pub(super) fn table_is_seen(disk: &Disk, device: &Path, cancel: &Cancel) -> bool {
    let slots = slots(device, cancel);
    let table = slots.iter().map(|slot| &slot.partition);
    let table = table.filter(|partition| partition.number > 0);
    let table: Vec<_> = table.map(|p| (u64::from(p.number), p.size)).collect();
    let seen: Vec<_> = disk
        .parts
        .iter()
        .skip(1)
        .map(|p| (p.number, p.size))
        .collect();
    table == seen
}

fn partition(part: &Part, seen: Option<&Slot>) -> String {
    let fs = seen.and_then(|slot| slot.file_system.as_ref());
    let kind = part.kind.clone().or_else(|| fs.map(|fs| fs.kind.clone()));
    let label = part
        .label
        .clone()
        .or_else(|| fs.and_then(|fs| fs.label.clone()));
    let mut words = vec![human_bytes(part.size)];
    words.extend(kind);
    words.extend(label.map(|label| format!("label {label}")));
    words.extend(
        part.mounted
            .iter()
            .map(|point| format!("mounted at {}", point.display())),
    );
    format!("  {}: {}", part.name, words.join(", "))
}

fn slot(slot: &Slot) -> String {
    let part = Part {
        name: match slot.partition.number {
            0 => "file system".to_owned(),
            number => format!("partition {number}"),
        },
        number: slot.partition.number.into(),
        size: slot.partition.size,
        kind: None,
        label: None,
        mounted: Vec::new(),
    };
    partition(&part, Some(slot))
}

/// What the disk itself says; nothing when it cannot be read.
fn slots(device: &Path, cancel: &Cancel) -> Vec<Slot> {
    let read = || {
        let mut file = File::open(device).ok()?;
        let size = file.seek(SeekFrom::End(0)).ok()?;
        Layout::read(&Section::whole(file, size, cancel)).ok()
    };
    read().map(|layout| layout.slots).unwrap_or_default()
}
