//! The image, and a firmware that was named, into the emulator's container: as it is unpacked, in one
//! stream, whatever its size.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::path::Path;
use std::time::Instant;

use crate::boot::BootRequest;
use crate::boot::disk::{Disk, LARGEST};
use crate::common::disk_space;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Failure, OrFail as _};
use crate::common::human_bytes::human_bytes;
use crate::common::plain_file;
use crate::engine::{Container, EngineError};

/// The container's own directory, for what goes in and what the machine writes.
pub(super) const DIR: &str = "/machine";
/// The image in it.
pub(super) const CARD: &str = "card.img";
/// The firmware in it.
pub(super) const FIRMWARE: &str = "firmware.bin";
/// What an image takes there.
const ROOM: &str = "the engine's disk needs room for the whole image, unpacked";
/// Who runs QEMU there.
pub(super) const USER: u64 = 1000;

/// Copies what the machine is made of (`Phase::CopyIn`). `there` is where the engine keeps it, when that is
/// a directory of this machine.
pub(super) async fn copy_in(
    container: &Container,
    (request, disk, there): (&BootRequest, &Disk, Option<&Path>),
    events: &Events,
) -> Result<(), Failure> {
    let card = File::open(disk.path()).or_environment("open the image again")?;
    let mut files = vec![(CARD, card)];
    if let Some(named) = &request.firmware {
        let file = plain_file::open(named);
        let file = file.or_usage(format!("open the firmware {}", named.display()))?;
        files.push((FIRMWARE, file));
    }
    fits(files.iter_mut().map(|(_, file)| file), there)?;
    let start = Instant::now();
    events.emit(Event::Started(Phase::CopyIn));
    let told = events.clone();
    let pack = move |out: &mut dyn Write| {
        let mut tar = tar::Builder::new(out);
        for (name, file) in files {
            append(&mut tar, (name, file), &told)?;
        }
        tar.finish()
    };
    container.upload(DIR, pack).await.map_err(refused)?;
    events.emit(Event::Finished(Phase::CopyIn, start.elapsed()));
    Ok(())
}

/// Whether the disk of the directory `there` can take `files`, which have no holes any more there.
fn fits<'a>(
    files: impl Iterator<Item = &'a mut File>,
    there: Option<&Path>,
) -> Result<(), Failure> {
    let Some(free) = there.and_then(disk_space::free_space) else {
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
    let text = format!(
        "the image is {size} when it is unpacked, and the engine's disk has room for {free}"
    );
    Err(Failure::environment(text).hint(ROOM))
}

fn refused(error: EngineError) -> Failure {
    let is_full = error.to_string().contains("no space left on device");
    let failure = Failure::from(error);
    if is_full { failure.hint(ROOM) } else { failure }
}

fn append(
    tar: &mut tar::Builder<&mut dyn Write>,
    (name, mut file): (&str, File),
    events: &Events,
) -> io::Result<()> {
    // Its metadata do not know the size of a disk.
    let total = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if total > LARGEST {
        return Err(io::Error::other("no image is so long"));
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_uid(USER);
    header.set_gid(USER);
    header.set_mtime(1);
    header.set_size(total);
    let whole = Whole {
        file,
        done: 0,
        total,
        events,
    };
    tar.append_data(&mut header, name, whole)
}

/// A file of exactly so many bytes: one that shrinks meanwhile is an error, not a broken archive.
struct Whole<'a> {
    file: File,
    done: u64,
    total: u64,
    events: &'a Events,
}

impl Read for Whole<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.total - self.done;
        let n = Read::by_ref(&mut self.file).take(left).read(buffer)?;
        if n == 0 && left > 0 && !buffer.is_empty() {
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

    fn packed(claimed: u64) -> io::Result<Vec<u8>> {
        let mut file = tempfile::tempfile()?;
        file.write_all(&[7; 3000])?;
        file.rewind()?;
        let mut whole = Whole {
            file,
            done: 0,
            total: claimed,
            events: &Events::none(),
        };
        let mut read = Vec::new();
        whole.read_to_end(&mut read)?;
        Ok(read)
    }

    #[test]
    fn what_grows_or_shrinks_meanwhile_breaks_no_archive() {
        assert_eq!(packed(3000).unwrap().len(), 3000);
        assert_eq!(packed(1000).unwrap().len(), 1000);
        let error = packed(3001).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn room_is_only_asked_for_where_it_is_lacking() {
        let hints = |message: &str| {
            let (operation, message) = ("upload".into(), message.into());
            let error = EngineError::Refused {
                operation,
                status: 500,
                message,
            };
            refused(error).hints
        };
        assert!(hints("write /machine/card.img: no space left on device").contains(&ROOM.into()));
        assert!(!hints("the container is gone").contains(&ROOM.into()));
    }

    #[test]
    fn what_is_larger_than_the_engines_disk_is_not_sent() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        let free = disk_space::free_space(dir.path()).unwrap();
        file.set_len(free / 2).unwrap();
        fits([&mut file].into_iter(), Some(dir.path())).unwrap();
        file.set_len(free * 2).unwrap();
        let failure = fits([&mut file].into_iter(), Some(dir.path())).unwrap_err();
        assert_eq!(failure.class, Class::Environment);
        assert!(failure.to_string().contains("has room for"), "{failure}");
        fits([&mut file].into_iter(), None).unwrap();
    }

    /// It would take as much of the engine's disk as it claims to hold.
    #[test]
    fn a_hole_that_is_longer_than_any_image_is_not_sent() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(LARGEST + 1).unwrap();
        let mut sent = Vec::new();
        let mut tar = tar::Builder::new(&mut sent as &mut dyn Write);
        let error = append(&mut tar, (CARD, file), &Events::none()).unwrap_err();
        assert_eq!(error.to_string(), "no image is so long");
    }
}
