//! Compressed images and the fields of their headers, indexes and trailers.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;

use sdbuild_core::cancel::Cancel;
use sdbuild_image::{ImageFile, ImageKind};

use super::field::Field;
use super::patched::Patched;
use crate::{crc32, find, fs, noise};

/// Decompressed bytes after which reading stops.
const MAX_BYTES: usize = 8 << 20;

/// A compressed image.
pub struct Packed {
    pub bytes: Arc<Vec<u8>>,
    pub groups: Vec<Vec<Field>>,
    is_xz: bool,
}

/// The output of a tool that compresses.
fn pack(line: &str, input: &[u8]) -> Vec<u8> {
    let mut words = line.split(' ');
    let mut command = Command::new(find(words.next().unwrap()).unwrap());
    let command = command.args(words).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    // Fits into the buffer of a pipe, so the tool never waits for a reader.
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{line}");
    output.stdout
}

/// Every byte of the first and of the last `count`, and wider numbers at the same places.
fn edges(length: usize, count: usize) -> Vec<Vec<Field>> {
    let starts = [0, length.saturating_sub(count)];
    let group = |start: usize| {
        (start..(start + count).min(length) - 8)
            .flat_map(|at| [1, 2, 4, 8].map(|width| Field { at, width }))
            .collect::<Vec<_>>()
    };
    starts.map(group).to_vec()
}

/// Images as the tools make them.
pub fn images() -> Vec<Packed> {
    let data = [noise(6000), vec![0; 20_000], noise(3000)].concat();
    [
        "xz --stdout -0",
        "xz --stdout -0 --block-size=5000",
        "xz --stdout --check=sha256 --x86 --lzma2=preset=0",
        "zstd -q --stdout",
        "zstd -q --stdout -19 --long=26",
        "gzip --stdout",
    ]
    .map(|line| {
        let bytes = pack(line, &data);
        Packed {
            groups: edges(bytes.len(), 48),
            bytes: Arc::new(bytes),
            is_xz: line.starts_with("xz"),
        }
    })
    .into()
}

impl Packed {
    /// Makes the checksums of xz's header, first block header, index and footer right again.
    pub fn fix_checksums(&self, image: &mut Patched) {
        if !self.is_xz {
            return;
        }
        let length = self.bytes.len();
        let get =
            |image: &Patched, at, width| usize::try_from(image.get(Field { at, width })).unwrap();
        let block = (get(image, 12, 1) + 1) * 4;
        let index = (get(image, length - 8, 4).saturating_add(1)).saturating_mul(4);
        let mut parts = vec![(6, 8), (12, 12 + block - 4)];
        if let Some(start) = (length - 12).checked_sub(index) {
            parts.push((start, length - 16));
        }
        parts.push((length - 8, length - 2));
        for (start, end) in parts {
            let checksum = crc32(&image.slice(start, end - start)).to_le_bytes();
            // The footer has its checksum before the fields.
            let at = if end == length - 2 { length - 12 } else { end };
            if at + 4 <= length {
                image.write(at, &checksum);
            }
        }
    }
}

/// Reads an image file from its start; stops after [`MAX_BYTES`].
pub fn unpack(bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    fs::write(&path, bytes).unwrap();
    let (Ok(image), cancel) = (ImageFile::open(&path, ImageKind::File), Cancel::new()) else {
        return;
    };
    let Ok(mut reader) = image.reader(&cancel, &|_| ()) else { return };
    let (mut buffer, mut count) = (vec![0; 256 << 10], 0);
    while let Ok(length) = reader.fill(&mut buffer) {
        count += length;
        if length < buffer.len() || count > MAX_BYTES {
            return;
        }
    }
}
