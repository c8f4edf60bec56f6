//! Writes the volume of a seed.

use std::io::{self, Cursor, Write as _};

use fatfs::{FileSystem, FormatVolumeOptions, FsOptions};

use sdbuild_core::hash::{Hasher, Sha256Hash};

/// The label by which cloud-init finds the volume, padded to the length that FAT has.
const LABEL: [u8; 11] = *b"CIDATA     ";
/// The size of a volume is a multiple of this many bytes.
const STEP_BYTES: usize = 1 << 20;
/// Bytes for the boot sector, both tables, the root directory, and the ends of clusters.
const OVERHEAD_BYTES: usize = 128 << 10;

/// A FAT file system with `files`, by their names, in the root directory: the same bytes for the same files.
pub(super) fn volume(files: &[(&str, &[u8])]) -> io::Result<Vec<u8>> {
    let content: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    let size = (content + OVERHEAD_BYTES).next_multiple_of(STEP_BYTES);
    let mut disk = Cursor::new(vec![0; size]);
    let options = FormatVolumeOptions::new()
        .volume_label(LABEL)
        .volume_id(volume_id(files));
    fatfs::format_volume(&mut disk, options)?;
    {
        let fs = FileSystem::new(&mut disk, FsOptions::new().update_accessed_date(false))?;
        for (name, bytes) in files {
            let mut file = fs.root_dir().create_file(name)?;
            file.write_all(bytes)?;
            file.flush()?;
        }
        fs.unmount()?;
    }
    Ok(disk.into_inner())
}

/// A number that changes with the files, as that of two volumes should.
fn volume_id(files: &[(&str, &[u8])]) -> u32 {
    let [a, b, c, d, ..]: [u8; 32] = hash_of(files).into();
    u32::from_be_bytes([a, b, c, d])
}

/// The hash of names and contents, with the length before each.
pub(super) fn hash_of(files: &[(&str, &[u8])]) -> Sha256Hash {
    let mut hasher = Hasher::new();
    for part in files
        .iter()
        .flat_map(|(name, bytes)| [name.as_bytes(), *bytes])
    {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    hasher.finish().sha256
}
