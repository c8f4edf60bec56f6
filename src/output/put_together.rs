//! An archive of a few files that is put together while they are copied: the same bytes for the same files.

use std::io::{self, Read, Write};

use super::archive::first_file;
use super::failures::unusable_result;
use sdbuild_core::failure::{Failure, OrFail as _};

/// Bytes of a header of a tar archive, to whose multiples contents are padded.
const BLOCK: u64 = 512;
/// The time stamp of everything in the store, and in the archive.
const MTIME: u64 = 1;

/// A file in the builder.
pub(super) struct StoreFile<R> {
    /// Its name in the archive.
    pub(super) name: String,
    /// Its length in bytes.
    pub(super) size: u64,
    /// The engine's archive of it.
    pub(super) archive: R,
}

/// Why an archive could not be put together.
#[derive(Debug)]
pub(super) enum PutTogetherError {
    /// The reader is gone.
    ReaderGone,
    /// Anything else.
    Failed(Failure),
}

/// The length in bytes of the archive of files of these lengths in one directory.
pub(super) fn archive_size(sizes: impl Iterator<Item = u64>) -> u64 {
    let files: u64 = sizes.map(|size| BLOCK + size.next_multiple_of(BLOCK)).sum();
    BLOCK + files + 2 * BLOCK
}

/// Writes the archive of `files` in the directory `dir` to `to`.
pub(super) fn put_together<R: Read>(
    dir: &str,
    files: Vec<StoreFile<R>>,
    to: impl Write,
) -> Result<(), PutTogetherError> {
    let mut archive = tar::Builder::new(to);
    let mut top = header(&format!("{dir}/"), 0, 0o755)?;
    top.set_entry_type(tar::EntryType::Directory);
    top.set_cksum();
    archive.append(&top, io::empty()).map_err(failed)?;
    for mut file in files {
        let mut source = tar::Archive::new(&mut file.archive);
        let (mut entry, size) = first_file(&mut source)?;
        if size != file.size {
            return Err(
                unusable_result(format!("{} changes while it is copied", file.name)).into(),
            );
        }
        let is_program = entry.header().mode().is_ok_and(|mode| mode & 0o111 != 0);
        let mode = if is_program { 0o755 } else { 0o644 };
        let header = header(&format!("{dir}/{}", file.name), size, mode)?;
        archive.append(&header, &mut entry).map_err(failed)?;
    }
    archive.finish().map_err(failed)
}

fn header(path: &str, size: u64, mode: u32) -> Result<tar::Header, PutTogetherError> {
    let mut header = tar::Header::new_ustar();
    header.set_path(path).map_err(failed)?;
    header.set_size(size);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header.set_entry_type(tar::EntryType::Regular);
    header.set_cksum();
    Ok(header)
}

fn failed(error: io::Error) -> PutTogetherError {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return PutTogetherError::ReaderGone;
    }
    let failed: io::Result<()> = Err(error);
    match failed.or_environment("copy the files of the image") {
        Err(failure) => PutTogetherError::Failed(failure),
        Ok(()) => PutTogetherError::ReaderGone,
    }
}

impl From<Failure> for PutTogetherError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The engine's archive of a file of the store.
    fn sent(name: &str, content: &[u8], mode: u32) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(mode);
        header.set_mtime(7);
        header.set_uid(1000);
        header.set_cksum();
        builder.append_data(&mut header, name, content).unwrap();
        builder.into_inner().unwrap()
    }

    fn file(name: &str, size: u64, archive: &[u8]) -> StoreFile<io::Cursor<Vec<u8>>> {
        StoreFile {
            name: name.to_owned(),
            size,
            archive: io::Cursor::new(archive.to_vec()),
        }
    }

    #[test]
    fn the_archive_has_the_files_in_one_directory() {
        let script = sent("xyz-kexec-boot", b"#!/bin/sh\n", 0o555);
        let initrd = sent("initrd", &[7; 1000], 0o444);
        let files = vec![file("run", 10, &script), file("initrd", 1000, &initrd)];
        let mut out = Vec::new();
        put_together("kexec", files, &mut out).unwrap();
        assert_eq!(out.len() as u64, archive_size([10, 1000].into_iter()));
        let mut archive = tar::Archive::new(out.as_slice());
        let entries = archive.entries().unwrap().map(|entry| {
            let entry = entry.unwrap();
            let header = entry.header();
            assert_eq!((header.mtime().unwrap(), header.uid().unwrap()), (1, 0));
            let path = entry.path().unwrap().display().to_string();
            (path, header.mode().unwrap(), entry.size())
        });
        let expected = [
            ("kexec/".to_owned(), 0o755, 0),
            ("kexec/run".to_owned(), 0o755, 10),
            ("kexec/initrd".to_owned(), 0o644, 1000),
        ];
        assert_eq!(entries.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_file_of_another_length_is_refused() {
        let files = vec![file("a", 9, &sent("a", b"0123456789", 0o444))];
        let error = put_together("x", files, io::sink()).unwrap_err();
        assert!(matches!(error, PutTogetherError::Failed(_)), "{error:?}");
    }
}
