//! Copies the image, and a firmware that the user named, into the emulator's container: decompressed, in
//! one stream of any size.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::boot::disk::Disk;
use crate::boot::request::BootRequest;
use crate::common::context::Context;
use crate::common::disk_space;
use crate::common::event::{Events, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::human_bytes::human_bytes;
use crate::common::plain_file;
use crate::engine::{Container, EngineError};
use crate::image::MAX_IMAGE_BYTES;

/// The directory in the container for the copies and for what the machine writes.
pub(super) const MACHINE_DIR: &str = "/machine";
/// The name of the image in that directory.
const IMAGE_NAME: &str = "card.img";
/// The name of the firmware in that directory.
pub(super) const FIRMWARE_NAME: &str = "firmware.bin";
/// The names there of what a board's firmware would have loaded: card, kernel, device tree and initial RAM disk.
pub(super) const START_NAMES: [&str; 4] = ["card.qcow2", "kernel.bin", "tree.dtb", "initrd.bin"];
/// The name there of the seed.
pub(super) const SEED_NAME: &str = "seed.img";
/// The user that runs QEMU in the container.
pub(super) const QEMU_UID: u64 = 1000;

/// The path of the image in the container.
pub(super) fn image_in_container() -> PathBuf {
    format!("{MACHINE_DIR}/{IMAGE_NAME}").into()
}

const SPACE_HINT: &str = "the engine's disk needs room for the whole image, unpacked";

/// Copies the files of the machine (`Phase::CopyIn`): the image, a firmware that the user named, and `more` by their names. `storage` is the directory where the engine stores
/// containers, when it is on this machine: its free space is checked first.
pub(super) async fn copy_in(
    container: &Container,
    request: &BootRequest,
    disk: &Disk,
    more: Vec<(&'static str, File)>,
    storage: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    let image = File::open(disk.path()).or_environment("open the image again")?;
    let mut files = vec![(IMAGE_NAME, image)];
    if let Some(path) = &request.firmware {
        let firmware = plain_file::open(path);
        let firmware = firmware.or_usage(format!("open the firmware {}", path.display()))?;
        files.push((FIRMWARE_NAME, firmware));
    }
    files.extend(more);
    check_space(files.iter_mut().map(|(_, file)| file), storage)?;
    let progress = context.events.clone();
    let pack = move |out: &mut dyn Write| {
        let mut tar = tar::Builder::new(out);
        for (name, file) in files {
            append(&mut tar, name, file, &progress)?;
        }
        tar.finish()
    };
    let upload = async {
        let uploaded = container.upload(MACHINE_DIR, pack).await;
        uploaded.map_err(upload_failure)
    };
    context.phase(Phase::CopyIn, upload).await
}

/// Checks that the disk of `storage` has space for `files`, whose holes are not preserved there.
fn check_space<'a>(
    files: impl Iterator<Item = &'a mut File>,
    storage: Option<&Path>,
) -> Result<(), Failure> {
    let Some(free) = storage.and_then(disk_space::free_space) else {
        return Ok(());
    };
    let sizes = files.map(|file| file.seek(SeekFrom::End(0)));
    let size: u64 = sizes
        .sum::<io::Result<u64>>()
        .or_environment("read the image")?;
    if size <= free {
        return Ok(());
    }
    let (size, free) = (human_bytes(size), human_bytes(free));
    let text = format!("the unpacked image has {size}, but the engine's disk has only {free} free");
    Err(Failure::environment(text).hint(SPACE_HINT))
}

fn upload_failure(error: EngineError) -> Failure {
    let is_full = error.to_string().contains("no space left on device");
    let failure = Failure::from(error);
    if is_full {
        failure.hint(SPACE_HINT)
    } else {
        failure
    }
}

fn append(
    tar: &mut tar::Builder<&mut dyn Write>,
    name: &str,
    mut file: File,
    events: &Events,
) -> io::Result<()> {
    // The metadata of a block device do not have its size.
    let total = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if total > MAX_IMAGE_BYTES {
        let text = format!("the image is longer than {MAX_IMAGE_BYTES} bytes");
        return Err(io::Error::other(text));
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_uid(QEMU_UID);
    header.set_gid(QEMU_UID);
    header.set_mtime(1);
    header.set_size(total);
    let exact = ExactReader {
        file,
        done: 0,
        total,
        events,
    };
    tar.append_data(&mut header, name, exact)
}

/// Reads exactly `total` bytes of a file: one that shrinks meanwhile is an error, not a broken archive.
struct ExactReader<'a> {
    file: File,
    done: u64,
    total: u64,
    events: &'a Events,
}

impl Read for ExactReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.total - self.done;
        let n = Read::by_ref(&mut self.file).take(rest).read(buffer)?;
        if n == 0 && rest > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.done += n as u64;
        self.events
            .bytes(Phase::CopyIn, self.done, Some(self.total));
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    /// The bytes read from a file of 3000 bytes that is expected to have `total`.
    fn read_exact(total: u64) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&[7; 3000])?;
        file.rewind()?;
        let mut exact = ExactReader {
            file,
            done: 0,
            total,
            events: &Events::none(),
        };
        let mut read = Vec::new();
        exact.read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn file_that_changes_its_length_breaks_no_archive() {
        assert_eq!(read_exact(3000).unwrap().len(), 3000);
        assert_eq!(read_exact(1000).unwrap().len(), 1000);
        let error = read_exact(3001).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn full_engine_disk_gets_a_hint() {
        let hints = |message: &str| {
            let (operation, message) = ("upload".into(), message.into());
            let error = EngineError::Refused {
                operation,
                status: 500,
                message,
            };
            upload_failure(error).hints
        };
        let hint = SPACE_HINT.to_owned();
        assert!(hints("write /machine/card.img: no space left on device").contains(&hint));
        assert!(!hints("the container is gone").contains(&hint));
    }

    #[test]
    fn image_larger_than_the_engines_disk_is_not_sent() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let free = disk_space::free_space(dir.path()).unwrap();
        file.set_len(free / 2).unwrap();
        check_space([&mut file].into_iter(), Some(dir.path())).unwrap();
        file.set_len(free * 2).unwrap();
        let failure = check_space([&mut file].into_iter(), Some(dir.path())).unwrap_err();
        assert_eq!(failure.class, Class::Environment);
        assert!(
            failure.to_string().contains("the engine's disk has only "),
            "{failure}"
        );
        check_space([&mut file].into_iter(), None).unwrap();
    }

    /// It would take as much of the engine's disk as its length.
    #[test]
    fn hole_longer_than_any_image_is_not_sent() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(MAX_IMAGE_BYTES + 1).unwrap();
        let mut sent = Vec::new();
        let mut tar = tar::Builder::new(&mut sent as &mut dyn Write);
        let error = append(&mut tar, IMAGE_NAME, file, &Events::none()).unwrap_err();
        assert!(error.to_string().contains("longer than"), "{error}");
    }
}
