//! A qcow2 file with compressed clusters, and its fields.

use std::io::Write as _;
use std::sync::Arc;

use sdbuild_core::cancel::Cancel;
use sdbuild_image::DiskForm;
use sdbuild_image::cluster_disk::disk_in;
use sdbuild_image::report::Layout;

use super::field::Field;
use super::patched::Patched;

/// The length of a cluster as a power of two, and in bytes.
const CLUSTER_BITS: u32 = 12;
const CLUSTER: usize = 1 << CLUSTER_BITS;
/// Marks an entry of a table of clusters as that of a compressed one.
const COMPRESSED: u64 = 1 << 62;

/// The longest disk in bytes: one table of clusters has no more entries.
pub const MAX_DISK: usize = CLUSTER * CLUSTER / 8;

/// The bytes of a file, and its fields by structure.
pub type Made = (Arc<Vec<u8>>, Vec<Vec<Field>>);

/// A file that holds `disk`, in one table of clusters, and the fields of its header and its tables.
pub fn qcow2(disk: &[u8]) -> Made {
    let mut file = vec![0; 3 * CLUSTER];
    let mut put = |at: usize, bytes: &[u8]| file[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"QFI\xfb");
    put(4, &3_u32.to_be_bytes());
    put(20, &CLUSTER_BITS.to_be_bytes());
    put(24, &(disk.len() as u64).to_be_bytes());
    put(36, &1_u32.to_be_bytes());
    put(40, &(CLUSTER as u64).to_be_bytes());
    put(100, &104_u32.to_be_bytes());
    put(CLUSTER, &(2 * CLUSTER as u64).to_be_bytes());
    for (number, bytes) in disk.chunks(CLUSTER).enumerate() {
        let mut deflate =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        deflate.write_all(bytes).unwrap();
        let packed = deflate.finish().unwrap();
        file.resize(file.len().next_multiple_of(512), 0);
        let further = (packed.len() as u64).div_ceil(512) - 1;
        let entry = COMPRESSED | further << (70 - CLUSTER_BITS) | file.len() as u64;
        file[2 * CLUSTER + number * 8..][..8].copy_from_slice(&entry.to_be_bytes());
        file.extend(packed);
    }
    let fields = |start: usize, count: usize| {
        (start..start + count)
            .flat_map(|at| [1, 2, 4, 8].map(|width| Field { at, width }))
            .collect()
    };
    let tables = fields(2 * CLUSTER, disk.len().div_ceil(CLUSTER) * 8);
    (Arc::new(file), vec![fields(0, 104), fields(CLUSTER, 8), tables])
}

/// What `inspect` reads of the disk in the file.
pub fn read(image: &Patched) -> Option<Layout> {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(&image.bytes()).unwrap();
    let disk = disk_in(file, DiskForm::Qcow2, &Cancel::new()).ok()?;
    Layout::read(&disk).ok()
}
