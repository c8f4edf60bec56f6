//! The image as a file that QEMU can read: itself, or unpacked into a file without a name.

use std::fs::File;
use std::io::{self, Read, Seek as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::boot::BootRequest;
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::event::{Event, Events, Phase};
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::plain_file;
use crate::image::{compression, decoder, wants_memory};

/// How much is unpacked at a time, and the size of a hole.
const CHUNK: usize = 256 * 1024;
const BLOCK: usize = 4096;
/// The largest image: the largest cards hold a little more, no system does.
pub(super) const LARGEST: u64 = 256 << 30;

/// An image that stays readable as long as this lives.
#[derive(Debug)]
pub(super) struct Disk(File);

impl Disk {
    /// A name for other processes of this user. It holds no comma, nobody can put another file there,
    /// and a file without a name has one too.
    pub(super) fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()).into()
    }
}

/// Makes of the opened image what QEMU can read: unpacks it when it is packed.
pub(super) async fn ready(
    mut file: File,
    request: &BootRequest,
    (cancel, events): (&Cancel, &Events),
) -> Result<Disk, Failure> {
    let image = request.image.as_path();
    let mut start = Vec::new();
    let read = file.by_ref().take(8).read_to_end(&mut start);
    read.and_then(|_| file.rewind())
        .or_environment(format!("read {}", image.display()))?;
    let packing = compression(&start);
    if start.is_empty() {
        return Err(Failure::usage(format!("{} is empty", image.display())));
    }
    if packing == Compression::None {
        return Ok(Disk(file));
    }
    // Nobody is left waiting for a thread: it looks at the cancellation between two chunks.
    let job = Unpacking {
        image: image.to_owned(),
        scratch: request.scratch.clone(),
        cancel: cancel.clone(),
        events: events.clone(),
    };
    let start = Instant::now();
    events.emit(Event::Started(Phase::Unpack));
    let unpack = tokio::task::spawn_blocking(move || job.unpack(file, packing));
    let file = unpack.await.or_internal("unpack the image")??;
    events.emit(Event::Finished(Phase::Unpack, start.elapsed()));
    Ok(Disk(file))
}

/// Opens the image, to be read only.
pub(super) fn open_image(image: &Path) -> Result<File, Failure> {
    if image.is_dir() {
        return Err(Failure::usage(format!(
            "{} is a directory",
            image.display()
        )));
    }
    plain_file::open_or_disk(image).or_usage(format!("open {}", image.display()))
}

struct Unpacking {
    image: PathBuf,
    scratch: PathBuf,
    cancel: Cancel,
    events: Events,
}

impl Unpacking {
    fn unpack(&self, packed: File, packing: Compression) -> Result<File, Failure> {
        let damaged = |error: io::Error| {
            let hint = if wants_memory(&error) {
                "it takes more than 80 MiB of memory to unpack: unpack it with its own tool first"
            } else {
                "the file is damaged or not whole: copy or build it again"
            };
            Failure::new(Class::Build, error)
                .context(format!("unpack {}", self.image.display()))
                .hint(hint)
        };
        let mut plain = decoder(packing, packed).map_err(damaged)?;
        let writing = format!("write the unpacked image to {}", self.scratch.display());
        std::fs::create_dir_all(&self.scratch).or_environment(&writing)?;
        let file = tempfile::tempfile_in(&self.scratch).or_environment(&writing)?;
        let mut chunk = vec![0; CHUNK];
        let mut position = 0;
        loop {
            if self.cancel.is_cancelled() {
                return Err(Failure::interrupted());
            }
            let n = fill(&mut plain, &mut chunk).map_err(damaged)?;
            if position > LARGEST {
                return Err(damaged(io::Error::other(
                    "no image is so long when it is unpacked",
                )));
            }
            let bytes = chunk.get(..n).unwrap_or_default();
            write_sparse(&file, bytes, position).or_environment(&writing)?;
            position += n as u64;
            self.events.bytes(Phase::Unpack, position, None);
            if n < CHUNK {
                break;
            }
        }
        // Also when it ends in a hole.
        file.set_len(position).or_environment(&writing)?;
        Ok(file)
    }
}

/// Reads until `buffer` is full or the end has come; how much there was.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while let Some(rest) = buffer.get_mut(have..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(n) => have += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(have)
}

/// Writes `bytes` at `position` of a file that holds nothing there; zeros stay holes.
fn write_sparse(file: &File, bytes: &[u8], position: u64) -> io::Result<()> {
    let hole = |block: &[u8]| block.iter().all(|byte| *byte == 0);
    let mut at = position;
    let blocks: Vec<&[u8]> = bytes.chunks(BLOCK).collect();
    for run in blocks.chunk_by(|a, b| hole(a) == hole(b)) {
        for block in run {
            if !hole(block) {
                file.write_all_at(block, at)?;
            }
            at += block.len() as u64;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    fn unpack(bytes: &[u8]) -> Result<File, Failure> {
        let dir = tempfile::tempdir().unwrap();
        let image = dir.path().join("a,b.img.zst");
        std::fs::write(&image, bytes).unwrap();
        let scratch = dir.path().join("scratch");
        let job = Unpacking {
            image: image.clone(),
            scratch: scratch.clone(),
            cancel: Cancel::new(),
            events: Events::none(),
        };
        let file = job.unpack(File::open(image).unwrap(), compression(bytes));
        assert_eq!(
            std::fs::read_dir(scratch).unwrap().count(),
            0,
            "it has no name"
        );
        file
    }

    fn image() -> Vec<u8> {
        let mut image = vec![0; (3 << 20) + 512];
        image[..512].fill(7);
        image[(1 << 20) + 5] = 9;
        image
    }

    fn packed() -> [Vec<u8>; 3] {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&image()).unwrap();
        let options = lzma_rust2::XzOptions::with_preset(0);
        let mut xz = lzma_rust2::XzWriter::new(Vec::new(), options).unwrap();
        xz.write_all(&image()).unwrap();
        [
            zstd::encode_all(image().as_slice(), 1).unwrap(),
            gzip.finish().unwrap(),
            xz.finish().unwrap(),
        ]
    }

    #[test]
    fn every_packing_gives_the_image_with_its_holes() {
        for bytes in packed() {
            let file = unpack(&bytes).unwrap();
            let disk = Disk(file);
            assert!(std::fs::read(disk.path()).unwrap() == image());
            assert!(disk.0.metadata().unwrap().blocks() * 512 <= 64 << 10);
        }
    }

    #[test]
    fn a_packed_image_that_is_not_whole_is_said_to_be_so() {
        for bytes in packed() {
            let failure = unpack(&bytes[..bytes.len() - 9]).unwrap_err();
            assert_eq!(failure.class, Class::Build, "{failure}");
            assert!(failure.to_string().starts_with("unpack /"), "{failure}");
        }
    }

    #[test]
    fn a_plain_image_is_told_by_its_bytes() {
        assert_eq!(compression(&image()), Compression::None);
        assert_eq!(compression(&[]), Compression::None);
    }

    /// A window of 1 GiB, as `zstd --long=30` asks for it.
    #[test]
    fn what_wants_much_memory_gets_none() {
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, (30 - 10) << 3, 0x01, 0, 0];
        let failure = unpack(&frame).unwrap_err();
        assert!(failure.hints[0].contains("more than 80 MiB"), "{failure:?}");
    }
}
