//! Images that somebody crafted: each once made a reader panic, read for hours, or fill the memory.

use super::*;
use sdbuild_image::report::Layout;
use sdbuild_image::table;

/// Writes a little-endian number.
fn put(bytes: &mut [u8], at: usize, number: &[u8]) {
    bytes[at..at + number.len()].copy_from_slice(number);
}

/// A GUID partition table without a second copy, whose partition begins at 1 MiB and claims every sector that has a
/// number.
fn endless_partition() -> Vec<u8> {
    let mut disk = vec![0; 2 << 20];
    disk[450] = 0xee;
    put(&mut disk, 458, &1_u32.to_le_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    let mut entry = [0; 128];
    entry[..32].fill(7);
    put(&mut entry, 32, &2048_u64.to_le_bytes());
    put(&mut entry, 40, &(u64::MAX - 1).to_le_bytes());
    put(&mut disk, 1024, &entry);
    let header = &mut disk[512..1024];
    header[..8].copy_from_slice(b"EFI PART");
    put(header, 12, &92_u32.to_le_bytes());
    put(header, 24, &1_u64.to_le_bytes());
    put(header, 72, &2_u64.to_le_bytes());
    put(header, 80, &1_u32.to_le_bytes());
    put(header, 84, &128_u32.to_le_bytes());
    put(header, 88, &crc32(&entry).to_le_bytes());
    let checksum = crc32(&header[..92]);
    put(header, 16, &checksum.to_le_bytes());
    disk
}

/// The superblock of an ext4 with `blocks` blocks of 64 KiB and one group, whose inodes are at block `inodes`.
fn huge_ext(disk: &mut [u8], blocks: u64, inodes: u64) {
    let start = 1 << 20;
    let superblock = &mut disk[start + 1024..start + 2048];
    let halves = |number: u64| {
        let bytes = number.to_le_bytes();
        ([bytes[0], bytes[1], bytes[2], bytes[3]], [bytes[4], bytes[5], bytes[6], bytes[7]])
    };
    put(superblock, 0x04, &halves(blocks).0);
    put(superblock, 0x150, &halves(blocks).1);
    put(superblock, 0x18, &6_u32.to_le_bytes());
    put(superblock, 0x20, &u32::MAX.to_le_bytes());
    put(superblock, 0x28, &u32::MAX.to_le_bytes());
    put(superblock, 0x38, &[0x53, 0xef]);
    put(superblock, 0x4c, &1_u32.to_le_bytes());
    put(superblock, 0x58, &256_u16.to_le_bytes());
    put(superblock, 0x60, &0x80_u32.to_le_bytes());
    put(superblock, 0xfe, &64_u16.to_le_bytes());
    let descriptor = &mut disk[start + 65_536..start + 65_600];
    put(descriptor, 0x08, &halves(inodes).0);
    put(descriptor, 0x28, &halves(inodes).1);
}

/// Finding of a review: the product of a block's number and size has more than 64 bits.
#[test]
fn positions_beyond_64_bits_do_not_panic() {
    // With as many blocks as there are numbers, and with as many as have positions.
    for (blocks, inodes) in
        [(u64::MAX, 1 << 49), (u64::MAX, u64::MAX - 1), (u64::MAX >> 16, (u64::MAX >> 16) - 1)]
    {
        let mut disk = endless_partition();
        huge_ext(&mut disk, blocks, inodes);
        let layout = Layout::read(&section(disk)).unwrap();
        assert_eq!(layout.partitions[0].partition.size, u64::MAX);
        let opened = layout.volumes.first().map(|volume| volume.fs.list("/"));
        // The file system is refused at once, or its root directory is.
        assert!(opened.is_none_or(|listed| listed.is_err()), "{blocks}");
    }
}

/// An ext4 with blocks of 1 KiB whose root directory has the file `a`: the last inode of the second group, whose inodes
/// begin at the last block that has a position.
fn file_beyond_all_positions(disk: &mut [u8]) {
    let last = (u64::MAX >> 10) - 1;
    huge_ext(disk, last + 1, 8);
    let start = 1 << 20;
    let superblock = start + 1024;
    put(disk, superblock + 0x14, &1_u32.to_le_bytes());
    put(disk, superblock + 0x18, &0_u32.to_le_bytes());
    put(disk, superblock + 0x28, &16_u32.to_le_bytes());
    let descriptors = start + 2048;
    put(disk, descriptors + 0x08, &8_u32.to_le_bytes());
    let (low, high) = (last.to_le_bytes(), last >> 32);
    put(disk, descriptors + 64 + 0x08, &low[..4]);
    put(disk, descriptors + 64 + 0x28, &high.to_le_bytes()[..4]);
    let root = start + 8 * 1024 + 256;
    put(disk, root, &0x41ed_u16.to_le_bytes());
    put(disk, root + 4, &1024_u32.to_le_bytes());
    put(disk, root + 0x28, &12_u32.to_le_bytes());
    let entry = start + 12 * 1024;
    put(disk, entry, &32_u32.to_le_bytes());
    put(disk, entry + 4, &1024_u16.to_le_bytes());
    put(disk, entry + 6, &1_u16.to_le_bytes());
    put(disk, entry + 8, b"a");
}

/// Finding of the same review: so has the sum of a table's position and an inode's place in it.
#[test]
fn inodes_beyond_64_bits_do_not_panic() {
    let mut disk = endless_partition();
    file_beyond_all_positions(&mut disk);
    let layout = Layout::read(&section(disk)).unwrap();
    let fs = &layout.volumes[0].fs;
    let error = fs.copy("/a", &mut |_| Ok(true)).unwrap_err();
    assert_eq!(error.to_string(), "inode 32 does not exist");
}

/// The chain had no limit where its records name no partition: it was followed through the whole disk.
#[test]
fn chain_of_empty_records_ends() {
    let mut disk = vec![0; 1 << 20];
    put(&mut disk, 450, &[5]);
    put(&mut disk, 454, &64_u32.to_le_bytes());
    put(&mut disk, 458, &1000_u32.to_le_bytes());
    for record in 0..1000 {
        let sector = (64 + record) * 512;
        put(&mut disk, sector + 466, &[5]);
        let next = u32::try_from(record + 1).unwrap();
        put(&mut disk, sector + 470, &next.to_le_bytes());
        put(&mut disk, sector + 474, &1_u32.to_le_bytes());
        put(&mut disk, sector + 510, &[0x55, 0xaa]);
    }
    put(&mut disk, 510, &[0x55, 0xaa]);
    let table = table::read(&section(disk)).unwrap();
    assert_eq!(table.problems, ["the chain in partition 1 has more than 60 records"]);
}

/// An ext4 file system with the files in `tree`.
fn ext(mib: u64, fill: impl Fn(&Path)) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let tree = dir.path().join("tree");
    fs::create_dir(&tree).unwrap();
    fill(&tree);
    blank(&dir.path().join("ext"), mib << 20);
    let options = "-b 1024 -N 64 -O ^metadata_csum,^has_journal,^resize_inode";
    run(&format!("mkfs.ext4 -q {options} -d tree ext"), dir.path());
    fs::read(dir.path().join("ext")).unwrap()
}

/// Holes cost nothing on the disk and were not counted: a directory or a link in one was read for ever.
#[test]
fn holes_count_as_reads() {
    needs!(have(&["mkfs.ext4"]));
    let bytes = ext(4, |tree| blank(&tree.join("hole"), 3 << 20));
    let fs = FileSystem::detect(&section(bytes)).unwrap().unwrap();
    let read = || fs.copy("/hole", &mut |_| Ok(true));
    let error = (0..100).find_map(|_| read().err()).unwrap();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

/// Stands for the number of an inode that is not known yet.
const MARK: [u8; 4] = [0x5a; 4];

/// 200,000 entries may name one link, whose target may be a hole: they took 800 MB.
#[test]
fn targets_of_links_are_limited_in_all() {
    needs!(have(&["mkfs.ext4"]));
    // Blocks of a directory with 85 entries each, of one character.
    let mut block = Vec::new();
    for entry in 0..85 {
        let length = if entry == 84 { 16 } else { 12 };
        block.extend_from_slice(&MARK);
        block.extend_from_slice(&[length, 0, 1, 7, b'x', 0, 0, 0]);
    }
    block.resize(1024, 0);
    let content = block.repeat(110);
    let target = "t".repeat(900);
    let mut bytes = ext(1, |tree| {
        std::os::unix::fs::symlink(&target, tree.join("link")).unwrap();
        fs::write(tree.join("many"), &content).unwrap();
    });
    let number = |bytes: &[u8], at: usize| {
        usize::try_from(u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())).unwrap()
    };
    let size = usize::from(bytes[1024 + 0x58]) | usize::from(bytes[1024 + 0x59]) << 8;
    let table = number(&bytes, 2048 + 8) * 1024;
    let inode_of_length = |bytes: &[u8], length: usize| {
        let has = |index: &usize| number(bytes, table + index * size + 4) == length;
        (10..100).find(has).unwrap()
    };
    // The file becomes a directory, and all of its entries that link.
    let file = table + inode_of_length(&bytes, content.len()) * size;
    bytes[file + 1] = 0x41;
    // Behind its first block the target is a hole.
    let index = inode_of_length(&bytes, target.len());
    put(&mut bytes, table + index * size + 4, &4096_u32.to_le_bytes());
    let link = u32::try_from(index + 1).unwrap();
    for at in (0..bytes.len()).step_by(4) {
        if bytes[at..at + 4] == MARK {
            put(&mut bytes, at, &link.to_le_bytes());
        }
    }
    let fs = FileSystem::detect(&section(bytes)).unwrap().unwrap();
    assert_eq!(fs.list("/").unwrap().len(), 3);
    let error = fs.list("/many").unwrap_err();
    assert!(matches!(error, Error::Damaged(_)), "{error}");
}

/// The file's clusters form a circle: it was written for as long as the file system claims to be.
#[test]
fn file_longer_than_its_fat_is_refused() {
    needs!(have(&["mkfs.vfat", "mcopy"]));
    let dir = tempfile::tempdir().unwrap();
    blank(&dir.path().join("fat"), 1 << 20);
    run("mkfs.vfat -F 12 fat", dir.path());
    fs::write(dir.path().join("file"), noise(9000)).unwrap();
    run("mcopy -i fat file ::/file", dir.path());
    let mut bytes = fs::read(dir.path().join("fat")).unwrap();
    let entry = (0..bytes.len() - 32)
        .step_by(32)
        .find(|at| bytes[*at..].starts_with(b"FILE       "))
        .unwrap();
    put(&mut bytes, entry + 28, &u32::MAX.to_le_bytes());
    let fs = FileSystem::detect(&section(bytes)).unwrap().unwrap();
    let error = fs.copy("/file", &mut |_| Ok(true)).unwrap_err().to_string();
    assert_eq!(error, "/file claims to be longer (4294967295 bytes) than its file system");
}
