//! What a flash destroys: the contents of a disk, from sysfs, udev and the disk itself.

use std::fs::File;
use std::io::{Seek as _, SeekFrom};
use std::path::Path;

use super::devices::{Disk, Part};
use super::refusal::describe_with_size;
use crate::disk::Section;
use crate::report::{Layout, PartitionReport};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::human_bytes::human_bytes;

/// A line about the disk, then one about each of its partitions.
pub(super) fn lines(disk: &Disk, device: &Path, cancel: &Cancel) -> Vec<String> {
    let mut lines = vec![format!("{}: {}", disk.node(), describe_with_size(disk))];
    let found = read_partitions(device, cancel);
    let (whole, parts) = disk
        .parts
        .split_first()
        .map_or((None, [].as_slice()), |(whole, parts)| (Some(whole), parts));
    if parts.is_empty() && found.is_empty() {
        let kind = whole.and_then(|whole| whole.kind.as_deref());
        lines.push(format!("  {}", kind.unwrap_or("no partitions")));
    } else if parts.is_empty() {
        lines.extend(found.iter().map(unknown_to_kernel));
    } else {
        lines.extend(parts.iter().map(|part| {
            let number = |found: &PartitionReport| u64::from(found.partition.number);
            line(
                part,
                found.iter().find(|found| number(found) == part.number),
            )
        }));
    }
    lines
}

/// Whether the kernel's partitions of the disk are those of the table on it.
pub(super) fn kernel_has_table(disk: &Disk, device: &Path, cancel: &Cancel) -> bool {
    let found = read_partitions(device, cancel);
    let table = found.iter().map(|found| &found.partition);
    let table = table.filter(|partition| partition.number > 0);
    let table: Vec<_> = table.map(|p| (u64::from(p.number), p.size)).collect();
    let parts = disk.parts.iter().skip(1);
    let kernel: Vec<_> = parts.map(|part| (part.number, part.size)).collect();
    table == kernel
}

/// A line about a partition. udev's facts come first, then those on the disk.
fn line(part: &Part, found: Option<&PartitionReport>) -> String {
    let fs = found.and_then(|found| found.file_system.as_ref());
    let kind = part.kind.clone().or_else(|| fs.map(|fs| fs.kind.clone()));
    let label = part.label.clone();
    let label = label.or_else(|| fs.and_then(|fs| fs.label.clone()));
    let mounted = part.mounted.iter();
    let mut words = vec![human_bytes(part.size)];
    words.extend(kind);
    words.extend(label.map(|label| format!("label {label}")));
    words.extend(mounted.map(|point| format!("mounted at {}", point.display())));
    format!("  {}: {}", part.name, words.join(", "))
}

/// A line about a partition that only the disk has.
fn unknown_to_kernel(found: &PartitionReport) -> String {
    let part = Part {
        name: match found.partition.number {
            0 => "file system".to_owned(),
            number => format!("partition {number}"),
        },
        number: found.partition.number.into(),
        size: found.partition.size,
        kind: None,
        label: None,
        mounted: Vec::new(),
    };
    line(&part, Some(found))
}

/// The partitions on the disk itself; none when it cannot be read.
fn read_partitions(device: &Path, cancel: &Cancel) -> Vec<PartitionReport> {
    let read = || {
        let mut file = File::open(device).ok()?;
        let size = file.seek(SeekFrom::End(0)).ok()?;
        Layout::read(&Section::whole(file, size, cancel)).ok()
    };
    read().map(|layout| layout.partitions).unwrap_or_default()
}
