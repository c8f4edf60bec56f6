//! Real images with random changes: any result is correct, but reading must end with one.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use sdbuild_image::boot::BootReport;
use sdbuild_image::report::Layout;
use sdbuild_image::table;

/// Images without checksums, so that changes reach the structures behind them; one with the block maps of ext2.
static IMAGES: LazyLock<Option<[Vec<u8>; 2]>> = LazyLock::new(|| {
    have(&IMAGE_TOOLS).then(|| {
        let big = |tree: &Path| fs::write(tree.join("big"), noise(400_000)).unwrap();
        ["-b 1024 -O ^metadata_csum", "-b 1024 -O ^metadata_csum,^extent,^64bit"]
            .map(|options| image(options, big))
    })
});

/// Positions of bytes that are not the content of files: boot sectors, tables, directories, inodes.
fn metadata_positions(image: &[u8]) -> Vec<usize> {
    let fat = (1 << 20)..(1 << 20) + 40_000;
    let ext = (3 << 20) + 1024..(3 << 20) + 200_000;
    (446..512).chain(fat).chain(ext).filter(|at| image[*at] != 0).collect()
}

/// Reads all files and checks how long that takes and how many bytes they have.
fn read_all(bytes: Vec<u8>) {
    let start = Instant::now();
    let disk = section(bytes);
    let Ok(layout) = Layout::read(&disk) else { return };
    drop(BootReport::find(&layout.volumes));
    for volume in &layout.volumes {
        for dir in ["/", "/overlays", "/boot/nixos", "/nix/store", "/lost+found"] {
            for entry in volume.fs.list(dir).unwrap_or_default() {
                let path = format!("{dir}/{}", entry.name);
                let mut length = 0;
                let copied = volume.fs.copy(&path, &mut |piece| {
                    length += piece.len() as u64;
                    Ok(true)
                });
                drop(copied);
                assert!(length <= disk.len(), "{length} bytes out of {}", disk.len());
            }
        }
    }
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn changed_images_are_read_to_an_end(
        which in 0usize..2,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
    ) {
        let Some(images) = &*IMAGES else { return Ok(()) };
        let mut bytes = images[which].clone();
        let positions = metadata_positions(&bytes);
        for (index, value) in changes {
            bytes[positions[index.index(positions.len())]] = value;
        }
        read_all(bytes);
    }

    #[test]
    fn truncated_images_are_read_to_an_end(which in 0usize..2, keep in 0usize..(9 << 20)) {
        let Some(images) = &*IMAGES else { return Ok(()) };
        read_all(images[which][..keep].to_vec());
    }

    #[test]
    fn any_bytes_are_read_to_an_end(bytes in proptest::collection::vec(any::<u8>(), 0..5000), kind in 0..4) {
        let mut bytes = bytes;
        bytes.resize(8192, 0);
        match kind {
            0 => bytes[510..512].copy_from_slice(&[0x55, 0xaa]),
            1 => {
                bytes[446] = 0;
                bytes[450] = 0xee;
                bytes[510..520].copy_from_slice(b"\x55\xaaEFI PART");
            }
            2 => bytes[1024 + 0x38..1024 + 0x3a].copy_from_slice(&[0x53, 0xef]),
            _ => {
                bytes[0] = 0xeb;
                bytes[11..14].copy_from_slice(&[0, 2, 1]);
                bytes[16] = 2;
                bytes[21] = 0xf8;
                bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
            }
        }
        drop(table::read(&section(bytes.clone())));
        read_all(bytes);
    }
}

/// An ext4 file system with a changed field at `at` of the inode of `/big`.
fn with_inode(at: usize, value: &[u8]) -> Option<FileSystem> {
    let images = IMAGES.as_ref()?;
    let mut bytes = images[0][3 << 20..].to_vec();
    let size = 400_000u32.to_le_bytes();
    // The length, and the magic number of an extent tree: no other bytes look like that.
    let is_inode =
        |i: usize| bytes[i + 4..i + 8] == size && bytes[i + 0x28..i + 0x2a] == [0x0a, 0xf3];
    let inode = (0..bytes.len() - 256).step_by(128).find(|i| is_inode(*i)).unwrap();
    bytes[inode + at..inode + at + value.len()].copy_from_slice(value);
    FileSystem::detect(&section(bytes)).unwrap()
}

#[test]
fn inode_with_extreme_values_is_refused() {
    let copied = |at, value: &[u8]| {
        let fs = with_inode(at, value)?;
        Some(fs.copy("/big", &mut |_| Ok(true)).unwrap_err().to_string())
    };
    let Some(long) = copied(4, &[0xff; 4]) else { return };
    assert!(long.contains("longer (4294967295 bytes)"), "{long}");
    let depth = copied(0x28 + 6, &[9, 0]).unwrap();
    assert_eq!(depth, "an extent tree is damaged");
    let count = copied(0x28 + 2, &[0xff, 0xff]).unwrap();
    assert_eq!(count, "an extent tree is damaged");
    let away = copied(0x28 + 12 + 8, &[0xff; 4]).unwrap();
    assert!(away.contains("does not exist"), "{away}");
    // A symbolic link of that length is not read into memory.
    let fs = with_inode(0, &[0xff, 0xa1]).unwrap();
    let error = fs.list("/").unwrap_err().to_string();
    assert_eq!(error, "the target of a symbolic link is too long");
}
