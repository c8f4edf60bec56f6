//! A partition of which only some blocks are known, and GNU tar's archives of it as a sparse file.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::iter;
use std::ops::Range;

use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::to_usize::to_usize;
use sdbuild_image::Error;
use sdbuild_image::blockmap::is_blank;
use sdbuild_image::disk::Section;
use tar::{EntryType, GnuExtSparseHeader, GnuHeader, GnuSparseHeader, Header};

/// Bytes that are read at once.
const PIECE_BYTES: u64 = 1 << 20;
/// Bytes in the least segment of a sparse file, but for the last one: a page.
const MIN_SEGMENT_BYTES: u64 = 4096;
/// Bytes of a partition that are not zero and that the programs get: they are in memory up to four times.
const MAX_BYTES: u64 = 32 << 20;
/// The name of the sparse file.
pub(super) const NAME: &str = "partition";

/// Blocks of a partition by their number; all others are zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Blocks {
    /// Bytes in a block: the programs write these as a whole, or know what they have.
    pub(super) unit: u64,
    pub(super) len: u64,
    pub(super) known: BTreeMap<u64, Vec<u8>>,
}

impl Blocks {
    /// The blocks of `section` in `ranges`, as far as they are not zero.
    ///
    /// # Errors
    ///
    /// That are more than [`MAX_BYTES`], or they cannot be read.
    pub(super) fn read(section: &Section, ranges: &[Range<u64>], unit: u64) -> Result<Self, Error> {
        let len = section.len();
        let mut blocks = Self {
            unit,
            len,
            known: BTreeMap::new(),
        };
        let mut ranges: Vec<_> = ranges
            .iter()
            .map(|range| range.start / unit..range.end.min(len).div_ceil(unit))
            .collect();
        ranges.sort_by_key(|range| range.start);
        // One read takes what follows each other.
        ranges.dedup_by(|next, last| {
            let is_next = next.start <= last.end;
            last.end = if is_next {
                last.end.max(next.end)
            } else {
                last.end
            };
            is_next
        });
        let mut bytes = 0;
        for range in ranges {
            let mut at = range.start.saturating_mul(unit);
            let end = range.end.saturating_mul(unit).min(len);
            while at < end {
                let mut piece = vec![0; to_usize(PIECE_BYTES.min(end - at))];
                section.read(at, &mut piece)?;
                let numbers = at / unit..;
                for (number, block) in numbers.zip(piece.chunks(to_usize(unit))) {
                    if !is_blank(block) {
                        bytes += block.len() as u64;
                        if bytes > MAX_BYTES {
                            return Err(too_much());
                        }
                        blocks.known.insert(number, block.to_vec());
                    }
                }
                at = at.saturating_add(piece.len() as u64);
            }
        }
        Ok(blocks)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.known.values().map(|block| block.len() as u64).sum()
    }

    /// Blocks of `self` that differ from those of `before`.
    pub(super) fn changed_since(&self, before: &Self) -> BTreeMap<u64, Vec<u8>> {
        let mut changed = BTreeMap::new();
        for (number, block) in &self.known {
            if before.known.get(number) != Some(block) {
                changed.insert(*number, block.clone());
            }
        }
        for (number, block) in &before.known {
            if !self.known.contains_key(number) {
                changed.insert(*number, vec![0; block.len()]);
            }
        }
        changed
    }

    /// Appends the sparse file to an archive.
    pub(super) fn append_to(&self, out: &mut impl Write) -> io::Result<()> {
        let mut segments: Vec<Range<u64>> = Vec::new();
        for (number, block) in &self.known {
            let start = number.saturating_mul(self.unit);
            let end = start.saturating_add(block.len() as u64);
            match segments.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => segments.push(start..end),
            }
        }
        // GNU tar makes the file as long as the last segment says, which may be empty.
        segments.push(self.len..self.len);
        let mut header = Header::new_gnu();
        header.set_path(NAME)?;
        header.set_mode(0o600);
        header.set_entry_type(EntryType::GNUSparse);
        header.set_size(self.bytes());
        let mut rest = segments.chunks(4);
        let first = rest.next().unwrap_or_default();
        let after = segments.get(first.len()..).unwrap_or_default();
        let gnu = header.as_gnu_mut().ok_or(io::ErrorKind::InvalidData)?;
        gnu.set_real_size(self.len);
        gnu.set_is_extended(!after.is_empty());
        set_segments(&mut gnu.sparse, first);
        header.set_cksum();
        out.write_all(header.as_bytes())?;
        let mut more = after.chunks(21).peekable();
        while let Some(segments) = more.next() {
            let mut extension = GnuExtSparseHeader::new();
            extension.set_is_extended(more.peek().is_some());
            set_segments(extension.sparse_mut(), segments);
            out.write_all(extension.as_bytes())?;
        }
        for block in self.known.values() {
            out.write_all(block)?;
        }
        pad(out, self.bytes())
    }

    /// Reads an archive that has the sparse file with other content and nothing else, of which at most `max` bytes are no hole, in whole blocks.
    ///
    /// # Errors
    ///
    /// Of kind [`io::ErrorKind::InvalidData`] for any other archive.
    pub(super) fn changed(&self, mut archive: impl Read, max: u64) -> io::Result<Self> {
        let (unit, len) = (self.unit, self.len);
        let mut header = Header::new_gnu();
        archive.read_exact(header.as_mut_bytes())?;
        let is_sparse = header.entry_type() == EntryType::GNUSparse;
        let gnu = header
            .as_gnu()
            .ok_or_else(|| unexpected("it is not GNU tar's"))?;
        let real = if is_sparse {
            gnu.real_size()?
        } else {
            header.entry_size()?
        };
        if real != len || header.path_bytes().as_ref() != NAME.as_bytes() {
            return Err(unexpected("it has another file"));
        }
        if !is_sparse && header.entry_type() != EntryType::Regular {
            return Err(unexpected("it has no plain file"));
        }
        let segments = if is_sparse {
            segments(gnu, &mut archive, len, max)?
        } else {
            iter::once(0..len).collect()
        };
        let mut blocks = Self {
            unit,
            len,
            known: BTreeMap::new(),
        };
        let mut held = 0;
        for segment in segments {
            let mut at = segment.start;
            while at < segment.end {
                let number = at / unit;
                let start = number * unit;
                let length = unit.min(len - start);
                let end = segment.end.min(start + length);
                let block = blocks.known.entry(number).or_insert_with(|| {
                    held += length;
                    vec![0; to_usize(length)]
                });
                if held > max {
                    return Err(unexpected("more came back than can have changed"));
                }
                let part = block.get_mut(to_usize(at - start)..to_usize(end - start));
                archive.read_exact(part.unwrap_or_default())?;
                at = end;
            }
        }
        blocks.known.retain(|_, block| !is_blank(block));
        Ok(blocks)
    }
}

/// The segments of a sparse file, in order and inside it.
fn segments(
    gnu: &GnuHeader,
    archive: &mut impl Read,
    len: u64,
    max: u64,
) -> io::Result<Vec<Range<u64>>> {
    let mut all: Vec<Range<u64>> = Vec::new();
    let mut add = |headers: &[GnuSparseHeader]| {
        for header in headers.iter().filter(|header| !header.is_empty()) {
            let (start, length) = (header.offset()?, header.length()?);
            let end = start.checked_add(length).filter(|end| *end <= len);
            let end = end.ok_or_else(|| unexpected("a segment is outside"))?;
            if all.last().is_some_and(|last| start < last.end)
                || all.len() as u64 > max / MIN_SEGMENT_BYTES + 2
            {
                return Err(unexpected("its segments are not in order"));
            }
            all.push(start..end);
        }
        Ok(())
    };
    add(&gnu.sparse)?;
    let mut is_extended = gnu.is_extended();
    while is_extended {
        let mut extension = GnuExtSparseHeader::new();
        archive.read_exact(extension.as_mut_bytes())?;
        is_extended = extension.is_extended();
        if is_extended && extension.sparse().iter().any(GnuSparseHeader::is_empty) {
            return Err(unexpected("a header in it is empty"));
        }
        add(extension.sparse())?;
    }
    Ok(all)
}

fn set_segments(headers: &mut [GnuSparseHeader], segments: &[Range<u64>]) {
    for (header, segment) in headers.iter_mut().zip(segments) {
        header.set_offset(segment.start);
        header.set_length(segment.end.saturating_sub(segment.start));
    }
}

/// Appends a plain file to an archive.
pub(super) fn append_file(out: &mut impl Write, name: &str, content: &[u8]) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_path(name)?;
    header.set_mode(0o600);
    header.set_size(content.len() as u64);
    header.set_cksum();
    out.write_all(header.as_bytes())?;
    out.write_all(content)?;
    pad(out, content.len() as u64)
}

/// Fills the last record of 512 bytes after `length` bytes of an archive.
fn pad(out: &mut impl Write, length: u64) -> io::Result<()> {
    let missing = length.next_multiple_of(512).saturating_sub(length);
    out.write_all([0; 512].get(..to_usize(missing)).unwrap_or_default())
}

/// Ends an archive.
pub(super) fn end(out: &mut impl Write) -> io::Result<()> {
    out.write_all(&[0; 1024])
}

fn too_much() -> Error {
    let text = format!(
        "what a file system keeps of its files, and what deleted files left in its free space, is more than {}: files are put only into one with less",
        human_bytes(MAX_BYTES)
    );
    Error::Unsupported(text)
}

fn unexpected(why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the container's answer is not what was asked for: {why}"),
    )
}
