//! Block maps as files: the XML format bmap 2.0 of `bmaptool`.
//!
//! Considered: bmap-parser 0.2.3 does not write maps, has no limits and ignores the checksum of the file.

use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};

use super::BlockMap;
use super::Range;
use sdbuild_core::hash::{Hasher, Sha256Hash};

/// Bytes of the largest file that is read. The maps of [`Builder`](super::Builder) have less than 4 MiB. `bmaptool` joins no ranges, and a range
/// has 100 bytes: 600,000 ranges are read, while the 2 million of a 16 GiB image in which every second block is a
/// hole are refused.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Nodes of the XML tree, about 50 bytes of memory each: two for each of a million ranges, and some room.
const MAX_NODES: u32 = 4_000_000;
/// Attributes of one tag: a block map has one, an XML declaration three.
const MAX_TAG_ATTRIBUTES: usize = 8;
/// Attributes of the whole file, about 80 bytes of memory each: one for each range, and some room.
const MAX_ATTRIBUTES: usize = 1_000_000;
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
        refuse_costly(text)?;
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: MAX_NODES,
            ..ParsingOptions::default()
        };
        let tree = Document::parse_with_options(text, options)
            .map_err(|e| BadMap(format!("it is not XML: {e}")))?;
        let root = tree.root_element();
        let version = root.attribute("version").unwrap_or_default();
        if root.tag_name().name() != "bmap" || !version.starts_with("2.") {
            return bad("it is not a block map of version 2");
        }
        if child_text(root, "ChecksumType")?.1 != "sha256" {
            return bad("its hashes are not SHA-256");
        }
        verify_checksum(text, root)?;
        let map = Self {
            image_size: number(root, "ImageSize")?,
            block_size: block_size(root)?,
            ranges: Vec::new(),
        };
        let map = Self {
            ranges: ranges(child(root, "BlockMap")?, map.blocks())?,
            ..map
        };
        let counts = [
            ("BlocksCount", map.blocks()),
            ("MappedBlocksCount", map.mapped_blocks()),
        ];
        for (name, counted) in counts {
            if number(root, name)? != counted {
                return bad(format!(
                    "{name} is not {counted}, which the rest of it adds up to"
                ));
            }
        }
        Ok(map)
    }
}

/// Refuses what would cost the parser more than a multiple of the file's size: it compares each attribute of a tag with
/// all others of it, and copies the namespaces of a tag for each tag inside.
fn refuse_costly(text: &str) -> Result<(), BadMap> {
    // An attribute has a `=` that belongs to it, and no tag has a `<` inside.
    let attributes = |piece: &str| piece.bytes().filter(|byte| *byte == b'=').count();
    let mut total = 0usize;
    for count in text.split('<').map(attributes) {
        total = total.saturating_add(count);
        if count > MAX_TAG_ATTRIBUTES {
            return bad("a tag in it has too many attributes");
        }
    }
    if total > MAX_ATTRIBUTES {
        return bad(format!("it has more than {MAX_ATTRIBUTES} attributes"));
    }
    if text.contains("xmlns") {
        return bad("it has XML namespaces");
    }
    Ok(())
}

/// The only child `name`.
fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Result<Node<'a, 'i>, BadMap> {
    let mut found = of.children().filter(|node| node.has_tag_name(name));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => bad(format!("it has no {name}")),
        (Some(_), Some(_)) => bad(format!("it has {name} more than once")),
    }
}

/// The text of the only child `name`, and its position in the file.
fn child_text<'a>(of: Node<'a, '_>, name: &str) -> Result<(usize, &'a str), BadMap> {
    let node = child(of, name)?;
    let text = node.first_child().filter(Node::is_text);
    let Some((at, text)) = text.and_then(|t| Some((t.range().start, t.text()?))) else {
        return bad(format!("{name} is empty"));
    };
    let leading = text.len() - text.trim_start().len();
    Ok((at.saturating_add(leading), text.trim()))
}

fn number(of: Node<'_, '_>, name: &str) -> Result<u64, BadMap> {
    let (_, text) = child_text(of, name)?;
    digits(text).ok_or_else(|| BadMap(format!("{name} is not a number: {text:.40}")))
}

/// A number without a sign, which `parse` would accept.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn block_size(root: Node<'_, '_>) -> Result<u32, BadMap> {
    let size = number(root, "BlockSize")?;
    if BLOCK_SIZES.contains(&size) && size.is_power_of_two() {
        return u32::try_from(size).or_else(|_| bad("BlockSize is too large"));
    }
    bad(format!("{size} is not a block size"))
}

/// Verifies the checksum of the file, which is computed with zeros in its place.
fn verify_checksum(text: &str, root: Node<'_, '_>) -> Result<(), BadMap> {
    let (at, expected) = child_text(root, "BmapFileChecksum")?;
    let end = at.saturating_add(NO_CHECKSUM.len());
    // The file may have an entity where the tree has a character.
    let (Some(before), Some(digits), Some(after)) =
        (text.get(..at), text.get(at..end), text.get(end..))
    else {
        return bad("BmapFileChecksum is not a SHA-256");
    };
    if digits != expected {
        return bad("BmapFileChecksum is not a SHA-256");
    }
    let mut hasher = Hasher::new();
    for part in [before, NO_CHECKSUM, after] {
        hasher.update(part.as_bytes());
    }
    if parse_hash(expected) == Some(hasher.finish().sha256) {
        Ok(())
    } else {
        bad("its own checksum is wrong: it was changed or is incomplete")
    }
}

fn ranges(of: Node<'_, '_>, blocks: u64) -> Result<Vec<Range>, BadMap> {
    let mut ranges: Vec<Range> = Vec::new();
    for node in of.children().filter(Node::is_element) {
        let range = range(node)?;
        let free = ranges
            .last()
            .map_or(0, |before| before.last.saturating_add(1));
        if range.first < free || range.first > range.last || range.last >= blocks {
            let (first, last) = (range.first, range.last);
            return bad(format!(
                "range {first}-{last} is out of order or outside the image"
            ));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// A SHA-256 with digits of either case.
fn parse_hash(text: &str) -> Option<Sha256Hash> {
    text.to_ascii_lowercase().parse().ok()
}

/// `X-Y`, `X - Y` or `X`.
fn range(node: Node<'_, '_>) -> Result<Range, BadMap> {
    let text = node.text().unwrap_or_default();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first.trim()), digits(last.trim()));
    let Some((first, last)) = first.zip(last).filter(|_| node.has_tag_name("Range")) else {
        return bad(format!("it has an invalid range: {text:.40}"));
    };
    let Some(hash) = node.attribute("chksum") else {
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
