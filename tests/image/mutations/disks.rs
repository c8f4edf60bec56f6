//! The disks that are changed: every kind of partition table and of file system, as small as they get.

use std::os::unix::fs::symlink;
use std::sync::Arc;

use super::field::Field;
use super::patched::Patched;
use super::{ext_fields, fat_fields, fat32, iso_fields};
use crate::{IMAGE_TOOLS, blank, crc32, fs, have, nixos, noise, run};

const SECTOR_BYTES: usize = 512;
/// Partitions begin at multiples of this.
const ALIGN: usize = 64 << 10;
/// The entries of a GUID partition table.
const GPT_ENTRIES: usize = 128;
const GPT_ENTRY_BYTES: usize = 128;

/// An image, its fields by structure, and the kinds of its file systems.
pub struct Disk {
    pub name: &'static str,
    pub bytes: Arc<Vec<u8>>,
    pub groups: Vec<Vec<Field>>,
    pub kinds: Vec<&'static str>,
    /// Fields that claim a size. At their ends no check of a size hides what is behind it.
    pub sizes: Vec<Field>,
    /// The sectors of the headers of a GUID partition table.
    headers: Vec<usize>,
}

/// A file system and its kind.
struct Made(&'static str, Vec<u8>);

impl Made {
    fn groups(&self, image: &[u8], base: usize) -> Vec<Vec<Field>> {
        if self.0.starts_with("fat") {
            fat_fields::groups(image, base)
        } else if self.0.starts_with("iso") {
            iso_fields::groups(base)
        } else {
            ext_fields::groups(image, base)
        }
    }

    fn sizes(&self, base: usize) -> Vec<Field> {
        if self.0.starts_with("ext") { ext_fields::sizes(base) } else { Vec::new() }
    }
}

fn fat(kind: &'static str, kib: u64) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    blank(&at.join("fat"), kib << 10);
    let bits = kind.trim_start_matches("fat");
    run(&format!("mkfs.vfat -F {bits} -s 1 -n FIRMWARE fat"), at);
    fs::write(at.join("file"), noise(2000)).unwrap();
    for command in [
        "mcopy -i fat file ::/config.txt",
        "mcopy -i fat file ::/kernel8.img",
        "mmd -i fat ::/sub",
        "mcopy -i fat file ::/sub/a-long-name-for-a-file.dtbo",
        "mmd -i fat ::/EFI",
        "mmd -i fat ::/EFI/BOOT",
        "mcopy -i fat file ::/EFI/BOOT/BOOTAA64.EFI",
    ] {
        run(command, at);
    }
    Made(kind, fs::read(at.join("fat")).unwrap())
}

fn ext(kind: &'static str, kib: u64, options: &str) -> Made {
    let dir = tempfile::tempdir().unwrap();
    let (at, tree) = (dir.path(), dir.path().join("tree"));
    fs::create_dir_all(tree.join("many")).unwrap();
    nixos(&tree);
    let mut kernel = noise(20_000);
    kernel[0x38..0x3c].copy_from_slice(b"ARM\x64");
    fs::write(tree.join("boot/nixos/k-linux-6.6.6-Image"), kernel).unwrap();
    for n in 0..12 {
        fs::write(tree.join(format!("many/{n}")), "x").unwrap();
    }
    // More pieces than an inode has room for.
    let sparse = tree.join("sparse");
    blank(&sparse, 160 << 10);
    let file = fs::OpenOptions::new().write(true).open(&sparse).unwrap();
    for island in 0..8 {
        std::os::unix::fs::FileExt::write_all_at(&file, b"x", island * 20_480).unwrap();
    }
    symlink("/many/../many", tree.join("link")).unwrap();
    symlink(format!("/{}many", "./".repeat(60)), tree.join("long")).unwrap();
    blank(&at.join("ext"), kib << 10);
    run(&format!("mkfs.{kind} -q -N 128 {options} -L NIXOS_SD -d tree ext"), at);
    Made(kind, fs::read(at.join("ext")).unwrap())
}

/// All disks; [`IMAGE_TOOLS`] are needed.
pub fn disks() -> Vec<Disk> {
    assert!(have(&IMAGE_TOOLS));
    let plain = "-b 1024 -O ^metadata_csum,^has_journal,^resize_inode,^64bit";
    let wide = "-b 4096 -O ^metadata_csum,^has_journal,^resize_inode,64bit";
    let checked = "-b 1024 -I 256 -O metadata_csum,^has_journal,^resize_inode";
    vec![
        mbr(&[
            fat("fat12", 256),
            ext("ext4", 1024, plain),
            Made("fat32", fat32::image()),
            ext("ext2", 1024, "-b 1024 -O ^resize_inode"),
        ]),
        gpt(&[
            fat("fat16", 2304),
            ext("ext4", 2048, wide),
            ext("ext2", 1024, "-b 1024 -O ^resize_inode"),
        ]),
        whole("iso9660", Made("iso9660", iso_fields::image())),
        whole("fat32 alone", Made("fat32", fat32::image())),
        whole("ext4 alone", ext("ext4", 1024, plain)),
        whole("ext4 with checksums", ext("ext4", 1024, checked)),
    ]
}

fn whole(name: &'static str, made: Made) -> Disk {
    Disk {
        name,
        groups: made.groups(&made.1, 0),
        kinds: vec![made.0],
        sizes: made.sizes(0),
        bytes: Arc::new(made.1),
        headers: Vec::new(),
    }
}

/// Appends the file system at the next position; returns the first sector and the number of sectors.
fn append(image: &mut Vec<u8>, made: &Made) -> (u32, u32) {
    image.resize(image.len().next_multiple_of(ALIGN), 0);
    let sectors = |bytes: usize| u32::try_from(bytes / SECTOR_BYTES).unwrap();
    let first = sectors(image.len());
    image.extend_from_slice(&made.1);
    (first, sectors(made.1.len()))
}

/// Writes an entry of a boot record.
fn write_entry(image: &mut [u8], sector: usize, index: usize, kind: u8, first: u32, count: u32) {
    let record = &mut image[sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES];
    let entry = 446 + index * 16;
    record[entry + 4] = kind;
    record[entry + 8..entry + 12].copy_from_slice(&first.to_le_bytes());
    record[entry + 12..entry + 16].copy_from_slice(&count.to_le_bytes());
    record[510..].copy_from_slice(&[0x55, 0xaa]);
}

fn record_fields(sector: usize) -> Vec<Field> {
    let entry = |n: usize| {
        let at = 446 + n * 16;
        [(at, 1), (at + 4, 1), (at + 8, 4), (at + 12, 4)]
    };
    let fields: Vec<_> = (0..4).flat_map(entry).chain([(510, 2)]).collect();
    Field::list(sector * SECTOR_BYTES, &fields)
}

/// Two primary partitions, and two logical ones in a chain.
fn mbr(made: &[Made; 4]) -> Disk {
    let mut image = vec![0; ALIGN];
    for (index, one) in made[..2].iter().enumerate() {
        let (first, count) = append(&mut image, one);
        write_entry(&mut image, 0, index, 0x83, first, count);
    }
    let extended = image.len().next_multiple_of(ALIGN) / SECTOR_BYTES;
    let mut records = vec![0];
    for (index, one) in made[2..].iter().enumerate() {
        let record = image.len().next_multiple_of(ALIGN) / SECTOR_BYTES;
        image.resize((record + 1) * SECTOR_BYTES, 0);
        let (first, count) = append(&mut image, one);
        let sector = u32::try_from(record).unwrap();
        write_entry(&mut image, record, 0, 0x83, first - sector, count);
        if index > 0 {
            let away = sector - u32::try_from(extended).unwrap();
            write_entry(&mut image, extended, 1, 5, away, count);
        }
        records.push(record);
    }
    let length = image.len() / SECTOR_BYTES - extended;
    let (start, length) = (extended.try_into().unwrap(), length.try_into().unwrap());
    write_entry(&mut image, 0, 2, 5, start, length);
    let sizes =
        records.iter().map(|record| Field { at: record * SECTOR_BYTES + 446 + 12, width: 4 });
    let fields = DiskFields {
        groups: vec![records.iter().copied().flat_map(record_fields).collect()],
        sizes: sizes.collect(),
    };
    finish("MBR", image, fields, made, Vec::new())
}

fn gpt(made: &[Made]) -> Disk {
    let mut image = vec![0; ALIGN];
    write_entry(&mut image, 0, 0, 0xee, 1, u32::MAX);
    let mut entries = vec![0; GPT_ENTRIES * GPT_ENTRY_BYTES];
    for (entry, one) in entries.chunks_exact_mut(GPT_ENTRY_BYTES).zip(made) {
        let (first, count) = append(&mut image, one);
        let last = u64::from(first + count - 1);
        entry[..32].fill(0x11);
        entry[32..40].copy_from_slice(&u64::from(first).to_le_bytes());
        entry[40..48].copy_from_slice(&last.to_le_bytes());
        entry[56..60].copy_from_slice(b"n\0\xe9\0");
    }
    let backup = image.len();
    image.resize(backup + entries.len() + SECTOR_BYTES, 0);
    let last = image.len() / SECTOR_BYTES - 1;
    let copies = [(1, 2, last), (last, backup / SECTOR_BYTES, 1)];
    let (mut fields, mut sizes) = (record_fields(0), Vec::new());
    for (own, at, other) in copies {
        image[at * SECTOR_BYTES..][..entries.len()].copy_from_slice(&entries);
        let header = &mut image[own * SECTOR_BYTES..(own + 1) * SECTOR_BYTES];
        header[..8].copy_from_slice(b"EFI PART");
        header[12..16].copy_from_slice(&92_u32.to_le_bytes());
        for (field, value) in [(24, own), (32, other), (72, at)] {
            header[field..field + 8].copy_from_slice(&(value as u64).to_le_bytes());
        }
        header[80..84].copy_from_slice(&128_u32.to_le_bytes());
        header[84..88].copy_from_slice(&128_u32.to_le_bytes());
        let numbers =
            [(0, 8), (12, 4), (24, 8), (32, 8), (40, 8), (48, 8), (72, 8), (80, 4), (84, 4)];
        fields.extend(Field::list(own * SECTOR_BYTES, &numbers));
        for entry in 0..made.len() + 2 {
            let base = at * SECTOR_BYTES + entry * GPT_ENTRY_BYTES;
            let numbers = [(0, 8), (8, 8), (32, 8), (40, 8), (48, 8), (56, 2)];
            fields.extend(Field::list(base, &numbers));
            sizes.extend(Field::list(base, &[(40, 8)]));
        }
    }
    let groups = vec![fields];
    let fields = DiskFields { groups, sizes };
    finish("GPT", image, fields, made, vec![1, last])
}

/// The fields of a partition table: by structure, and those that claim a size.
struct DiskFields {
    groups: Vec<Vec<Field>>,
    sizes: Vec<Field>,
}

fn finish(
    name: &'static str,
    image: Vec<u8>,
    mut fields: DiskFields,
    made: &[Made],
    headers: Vec<usize>,
) -> Disk {
    // Each file system was appended at the next position, and boot records take a sector.
    let mut from = ALIGN;
    for one in made {
        let window = |at: &usize| image[*at..].starts_with(&one.1);
        from = (from..image.len()).step_by(SECTOR_BYTES).find(window).unwrap();
        fields.groups.extend(one.groups(&image, from));
        fields.sizes.extend(one.sizes(from));
        from += one.1.len();
    }
    let mut disk = Disk {
        name,
        kinds: made.iter().map(|one| one.0).collect(),
        bytes: Arc::new(image),
        groups: fields.groups,
        sizes: fields.sizes,
        headers,
    };
    let mut checked = Patched::new(&disk.bytes);
    disk.fix_checksums(&mut checked);
    disk.bytes = Arc::new(checked.bytes());
    disk
}

impl Disk {
    /// Makes the checksums of a GUID partition table right again.
    pub fn fix_checksums(&self, image: &mut Patched) {
        for sector in &self.headers {
            let base = sector * SECTOR_BYTES;
            let get = |image: &Patched, at, width| {
                let field = Field { at: base + at, width };
                usize::try_from(image.get(field)).unwrap()
            };
            let length = get(image, 80, 4).saturating_mul(get(image, 84, 4));
            let start = get(image, 72, 8).saturating_mul(SECTOR_BYTES);
            if length <= 1 << 20 {
                let checksum = crc32(&image.slice(start, length));
                image.write(base + 88, &checksum.to_le_bytes());
            }
            image.write(base + 16, &[0; 4]);
            let size = get(image, 12, 4).min(SECTOR_BYTES);
            let checksum = crc32(&image.slice(base, size));
            image.write(base + 16, &checksum.to_le_bytes());
        }
    }
}
