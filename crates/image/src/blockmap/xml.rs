//! Block maps as files: the XML format bmap 2.0 of `bmaptool`.
//!
//! Considered: bmap-parser 0.2.3 does not write maps, has no limits and ignores the checksum of the file.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use super::BlockMap;
use super::Range;
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::to_usize::to_usize;

/// Bytes of the largest file that is read. The maps of [`Builder`](super::Builder) have less than 4 MiB. `bmaptool` joins no ranges, and a range
/// has 100 bytes: 600,000 ranges are read, while the 2 million of a 16 GiB image in which every second block is a
/// hole are refused.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// The digits of the checksum while it is computed.
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// The block sizes of file systems.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 512..=1 << 20;

/// Why a text is not a usable block map.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMap(String);

/// Fails with this message.
fn bad<T>(what: impl Into<String>) -> Result<T, BadMap> {
    Err(BadMap(what.into()))
}

impl BlockMap {
    /// The map in format 2.0.
    pub fn to_xml(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n");
        for (word, value) in [
            ("ImageSize", self.image_size),
            ("BlockSize", self.block_size.into()),
            ("BlocksCount", self.blocks()),
            ("MappedBlocksCount", self.mapped_blocks()),
        ] {
            writeln!(text, "    <{word}> {value} </{word}>").ok();
        }
        text.push_str("    <ChecksumType> sha256 </ChecksumType>\n    <BmapFileChecksum> ");
        let at = text.len();
        writeln!(text, "{NO_CHECKSUM} </BmapFileChecksum>\n    <BlockMap>").ok();
        for Range {
            first,
            last,
            sha256,
        } in &self.ranges
        {
            writeln!(
                text,
                "        <Range chksum=\"{sha256}\"> {first}-{last} </Range>"
            )
            .ok();
        }
        text.push_str("    </BlockMap>\n</bmap>\n");
        let checksum = Sha256Hash::of(text.as_bytes()).to_string();
        text.replace_range(at..at.saturating_add(NO_CHECKSUM.len()), &checksum);
        text
    }

    /// Parses a map in format 2.x with SHA-256 hashes, as sdbuild and `bmaptool` write it.
    pub fn parse(text: &str) -> Result<Self, BadMap> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return bad(format!("it is larger than {MAX_FILE_BYTES} bytes"));
        }
        let file = MapFile::read(text)?;
        if !file.version.starts_with("2.") {
            return bad("it is not a block map of version 2");
        }
        if file.field("ChecksumType")?.1 != "sha256" {
            return bad("its hashes are not SHA-256");
        }
        file.verify_checksum()?;
        let map = Self {
            image_size: file.number("ImageSize")?,
            block_size: file.block_size()?,
            ranges: Vec::new(),
        };
        let counts = ["BlocksCount", "MappedBlocksCount"].map(|name| (name, file.number(name)));
        let map = Self {
            ranges: file.into_ranges(map.blocks())?,
            ..map
        };
        for ((name, stated), counted) in counts.into_iter().zip([map.blocks(), map.mapped_blocks()])
        {
            if stated? != counted {
                return bad(format!(
                    "{name} is not {counted}, which the rest of it adds up to"
                ));
            }
        }
        Ok(map)
    }
}

/// The name of the element with the ranges.
const RANGES: &str = "BlockMap";
/// Names of elements in the root that are read.
const FIELDS: [&str; 7] = [
    "BlockSize",
    "BlocksCount",
    "BmapFileChecksum",
    "ChecksumType",
    "ImageSize",
    "MappedBlocksCount",
    RANGES,
];

/// What a file has. It is read in one pass, and only the ranges of a map are kept.
#[derive(Debug, Default)]
struct MapFile<'a> {
    text: &'a str,
    version: String,
    /// The position of each element's text, and the text.
    fields: BTreeMap<&'static str, (usize, &'a str)>,
    ranges: Vec<Range>,
    /// The element in the root that is open.
    open: Option<&'static str>,
    /// The hash of the range that is open.
    hash: Option<String>,
    /// The text of the element that is open.
    content: Option<(usize, &'a str)>,
}

/// A block map has elements of three levels. The reader remembers each that is open.
const MAX_DEPTH: u64 = 8;

impl<'a> MapFile<'a> {
    fn read(text: &'a str) -> Result<Self, BadMap> {
        let not_xml = |why: &dyn fmt::Display| BadMap(format!("it is not XML: {why}"));
        let mut file = Self {
            text,
            ..Self::default()
        };
        let mut reader = Reader::from_str(text);
        let mut depth = 0u64;
        loop {
            match reader.read_event().map_err(|error| not_xml(&error))? {
                Event::Start(tag) => {
                    depth += 1;
                    if depth > MAX_DEPTH {
                        return Err(not_xml(&"elements are nested too deeply"));
                    }
                    file.begin(depth, &tag)?;
                }
                Event::Empty(tag) => {
                    file.begin(depth + 1, &tag)?;
                    file.end(depth + 1)?;
                }
                Event::Text(part) => file.part(reader.buffer_position(), part.len()),
                Event::End(_) => {
                    file.end(depth)?;
                    depth -= 1;
                }
                Event::Eof if depth == 0 => return Ok(file),
                Event::Eof => return Err(not_xml(&"it ends within an element")),
                Event::CData(_) | Event::DocType(_) | Event::GeneralRef(_) => {
                    return Err(not_xml(&"a block map has no entities"));
                }
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            }
        }
    }

    /// Notes the start of an element at this depth, which is 1 for the root.
    fn begin(&mut self, depth: u64, tag: &BytesStart<'_>) -> Result<(), BadMap> {
        self.content = None;
        let name = tag.name();
        if depth == 1 && name.as_ref() == "bmap" {
            self.version = attribute(tag, "version").unwrap_or_default();
        } else if depth == 2 {
            let mut known = FIELDS.into_iter();
            self.open = known.find(|known| *known == name.as_ref());
        } else if depth == 3 && self.open == Some(RANGES) {
            self.hash = attribute(tag, "chksum");
            if name.as_ref() != "Range" {
                return bad("its BlockMap has something else than ranges");
            }
        }
        Ok(())
    }

    /// Notes the first text of an element, of `length` bytes before `end`.
    fn part(&mut self, end: u64, length: usize) {
        let end = to_usize(end);
        let start = end.saturating_sub(length);
        let text = self.text.get(start..end).unwrap_or_default();
        let leading = text.len() - text.trim_start().len();
        self.content.get_or_insert((start + leading, text.trim()));
    }

    /// Notes the end of an element at this depth.
    fn end(&mut self, depth: u64) -> Result<(), BadMap> {
        let content = self.content.take().unwrap_or((0, ""));
        match (depth, self.open) {
            (2, Some(name)) => {
                if self.fields.insert(name, content).is_some() {
                    return bad(format!("it has {name} more than once"));
                }
                self.open = None;
            }
            (3, Some(RANGES)) => {
                let hash = self.hash.take();
                self.ranges.push(range(content.1, hash.as_deref())?);
            }
            _ => {}
        }
        Ok(())
    }

    /// The text of the element `name`, and its position in the file.
    fn field(&self, name: &str) -> Result<(usize, &'a str), BadMap> {
        match self.fields.get(name) {
            Some(found) => Ok(*found),
            None => bad(format!("it has no {name}")),
        }
    }

    fn number(&self, name: &str) -> Result<u64, BadMap> {
        let (_, text) = self.field(name)?;
        digits(text).ok_or_else(|| BadMap(format!("{name} is not a number: {text:.40}")))
    }

    fn block_size(&self) -> Result<u32, BadMap> {
        let size = self.number("BlockSize")?;
        if BLOCK_SIZES.contains(&size) && size.is_power_of_two() {
            return u32::try_from(size).or_else(|_| bad("BlockSize is too large"));
        }
        bad(format!("{size} is not a block size"))
    }

    /// Verifies the checksum of the file, which is computed with zeros in its place.
    fn verify_checksum(&self) -> Result<(), BadMap> {
        let (at, expected) = self.field("BmapFileChecksum")?;
        let end = at.saturating_add(expected.len());
        let (Some(before), Some(after)) = (self.text.get(..at), self.text.get(end..)) else {
            return bad("BmapFileChecksum is not a SHA-256");
        };
        let Some(expected) = parse_hash(expected) else {
            return bad("BmapFileChecksum is not a SHA-256");
        };
        let mut hasher = Hasher::new();
        for part in [before, NO_CHECKSUM, after] {
            hasher.update(part.as_bytes());
        }
        if expected == hasher.finish().sha256 {
            Ok(())
        } else {
            bad("its own checksum is wrong: it was changed or is incomplete")
        }
    }

    /// The ranges of an image of `blocks` blocks.
    fn into_ranges(self, blocks: u64) -> Result<Vec<Range>, BadMap> {
        self.field(RANGES)?;
        let mut free = 0;
        for Range { first, last, .. } in &self.ranges {
            if *first < free || first > last || *last >= blocks {
                return bad(format!(
                    "range {first}-{last} is out of order or outside the image"
                ));
            }
            free = last.saturating_add(1);
        }
        Ok(self.ranges)
    }
}

/// The attribute `name` of `tag`. No other is compared with it.
fn attribute(tag: &BytesStart<'_>, name: &str) -> Option<String> {
    let mut attributes = tag.attributes();
    let mut found = attributes.with_checks(false).flatten();
    let found = found.find(|attribute| attribute.key.as_ref() == name)?;
    Some(found.value.into_owned())
}

/// A number without a sign, which `parse` would accept.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// A SHA-256 with digits of either case.
fn parse_hash(text: &str) -> Option<Sha256Hash> {
    text.to_ascii_lowercase().parse().ok()
}

/// `X-Y`, `X - Y` or `X`.
fn range(text: &str, hash: Option<&str>) -> Result<Range, BadMap> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first.trim()), digits(last.trim()));
    let Some((first, last)) = first.zip(last) else {
        return bad(format!("it has an invalid range: {text:.40}"));
    };
    let Some(hash) = hash else {
        return bad(format!("range {first}-{last} has no hash"));
    };
    let Some(sha256) = parse_hash(hash) else {
        return bad(format!("the hash of range {first}-{last} is invalid"));
    };
    Ok(Range {
        first,
        last,
        sha256,
    })
}
