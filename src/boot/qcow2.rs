//! An empty qcow2 file over an image: what the machine writes goes there, and the disk may be larger than the image
//! (<https://www.qemu.org/docs/master/interop/qcow2.html>). The header and one empty table are written: crates that do, such as `imago`, write
//! the whole format.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The size of a cluster as a power of two: QEMU's default.
const CLUSTER_BITS: u32 = 16;
const CLUSTER_BYTES: usize = 1 << CLUSTER_BITS;
/// Bytes of the disk that an entry of the first table stands for: a cluster of entries of 8 bytes each.
const BYTES_PER_ENTRY: u64 = (CLUSTER_BYTES as u64 / 8) << CLUSTER_BITS;
/// Bytes of the header of version 3.
const HEADER_BYTES: u32 = 104;
/// The extension that names the format of the image, which is not guessed.
const FORMAT_EXTENSION: u32 = 0xe279_2aca;
/// Clusters in use: header, table of reference counts, reference counts, first table.
const CLUSTERS: usize = 4;

/// The bytes of a disk of `size` bytes over the raw image `backing`, which QEMU opens by that path.
pub(super) fn overlay(backing: &Path, size: u64) -> io::Result<Vec<u8>> {
    let name = backing.as_os_str().as_bytes();
    let entries = size.div_ceil(BYTES_PER_ENTRY);
    let fits = name.len() <= 1023 && entries <= CLUSTER_BYTES as u64 / 8;
    let (true, Ok(name_bytes), Ok(entries)) =
        (fits, u32::try_from(name.len()), u32::try_from(entries))
    else {
        return Err(io::Error::other("the image is too large"));
    };
    let cluster = |number: u64| number << CLUSTER_BITS;
    // The extension has 8 + 8 bytes, the end of the extensions 8.
    let name_at = u64::from(HEADER_BYTES) + 24;
    let mut file = Vec::with_capacity(CLUSTERS * CLUSTER_BYTES);
    let mut add = |bytes: &[u8]| file.extend_from_slice(bytes);
    add(b"QFI\xfb");
    add(&3u32.to_be_bytes());
    add(&name_at.to_be_bytes());
    add(&name_bytes.to_be_bytes());
    add(&CLUSTER_BITS.to_be_bytes());
    add(&size.to_be_bytes());
    add(&0u32.to_be_bytes()); // not encrypted
    add(&entries.to_be_bytes());
    add(&cluster(3).to_be_bytes());
    add(&cluster(1).to_be_bytes());
    add(&1u32.to_be_bytes()); // clusters of the table of reference counts
    add(&[0; 4 + 8 + 3 * 8]); // no snapshots, no features
    add(&4u32.to_be_bytes()); // reference counts of 16 bits
    add(&HEADER_BYTES.to_be_bytes());
    add(&FORMAT_EXTENSION.to_be_bytes());
    add(&3u32.to_be_bytes());
    add(b"raw\0\0\0\0\0");
    add(&[0; 8]);
    add(name);
    file.resize(CLUSTER_BYTES, 0);
    file.extend_from_slice(&cluster(2).to_be_bytes());
    file.resize(2 * CLUSTER_BYTES, 0);
    for _ in 0..CLUSTERS {
        file.extend_from_slice(&1u16.to_be_bytes());
    }
    file.resize(CLUSTERS * CLUSTER_BYTES, 0);
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_has_the_size_and_the_image() {
        let file = overlay(Path::new("/proc/7/fd/9"), 4 << 30).unwrap();
        assert_eq!(file.len(), 4 << 16);
        assert_eq!(&file[..8], b"QFI\xfb\0\0\0\x03");
        assert_eq!(file[24..32], (4u64 << 30).to_be_bytes());
        assert_eq!(file[36..40], 8u32.to_be_bytes());
        let name_at = usize::from(file[15]);
        assert_eq!(&file[name_at..name_at + 12], b"/proc/7/fd/9");
        assert!(overlay(Path::new("/x"), 1 << 50).is_err());
    }

    /// What `qemu-img check` looks at. QEMU itself reads the file in a test that boots.
    #[test]
    fn tables_are_in_the_file_and_exactly_its_clusters_are_counted() {
        let file = overlay(Path::new("/card.img"), 4 << 30).unwrap();
        let number = |at: usize| u64::from_be_bytes(file[at..at + 8].try_into().unwrap());
        let table = |at: usize| {
            let offset = usize::try_from(number(at)).unwrap();
            assert!(offset.is_multiple_of(CLUSTER_BYTES) && offset < file.len());
            &file[offset..offset + CLUSTER_BYTES]
        };
        // Nothing of the disk is in this file: all is in the image.
        assert!(table(40).iter().all(|byte| *byte == 0));
        let blocks_at = usize::try_from(number(48)).unwrap();
        let (counts, further) = (table(blocks_at), &table(48)[8..]);
        assert!(further.iter().all(|byte| *byte == 0));
        let (used, free) = counts.split_at(2 * file.len() / CLUSTER_BYTES);
        assert!(used.chunks(2).all(|count| count == [0, 1]), "{used:?}");
        assert!(free.iter().all(|byte| *byte == 0));
    }
}
