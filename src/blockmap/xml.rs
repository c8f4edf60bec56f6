//! Block maps as files: the XML of bmap 2.0, whose words and odd checksum are `bmaptool`'s.

use std::fmt::Write as _;

use roxmltree::{Document, Node, ParsingOptions};
use sha2::{Digest as _, Sha256};

use super::{BlockMap, Range};

/// The longest file that is read. Ours join ranges until they are below 4 MiB. `bmaptool` joins none: a
/// range takes 100 bytes, so this is enough for 600,000 of them, and an image of 16 GiB in which every
/// second block is a hole, which has 2 million, is refused.
pub const MAX_FILE_BYTES: u64 = 64 << 20;
/// Nodes of the tree, each some 50 bytes of memory: two for each of a million ranges.
const MOST_NODES: u32 = 4_000_000;
/// The checksum's own digits count as these.
const NO_CHECKSUM: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// What `bmaptool` knows as file systems' block sizes, and a little more.
const BLOCK_SIZES: std::ops::RangeInclusive<u64> = 512..=1 << 20;

/// Why a text is not a block map that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadMap(String);

fn bad<T>(what: impl Into<String>) -> Result<T, BadMap> {
    Err(BadMap(what.into()))
}

impl BlockMap {
    /// The map as a file of format 2.0.
    pub fn to_xml(&self) -> String {
        let mut text = String::from("<?xml version=\"1.0\" ?>\n<bmap version=\"2.0\">\n");
        for (word, value) in [
            ("ImageSize", self.image_size),
            ("BlockSize", self.block_size.into()),
            ("BlocksCount", self.blocks()),
            ("MappedBlocksCount", self.mapped_blocks()),
        ] {
            writeln!(text, "    <{word}> {value} </{word}>").unwrap_or(());
        }
        text.push_str("    <ChecksumType> sha256 </ChecksumType>\n    <BmapFileChecksum> ");
        let at = text.len();
        writeln!(text, "{NO_CHECKSUM} </BmapFileChecksum>\n    <BlockMap>").unwrap_or(());
        for Range {
            first,
            last,
            sha256,
        } in &self.ranges
        {
            let hash = hex::encode(sha256);
            writeln!(
                text,
                "        <Range chksum=\"{hash}\"> {first}-{last} </Range>"
            )
            .unwrap_or(());
        }
        text.push_str("    </BlockMap>\n</bmap>\n");
        let checksum = hex::encode(Sha256::digest(&text));
        text.replace_range(at..at.saturating_add(NO_CHECKSUM.len()), &checksum);
        text
    }

    /// The map in a file of format 2.x with SHA-256, as we and `bmaptool` write it.
    pub fn parse(text: &str) -> Result<Self, BadMap> {
        if text.len() as u64 > MAX_FILE_BYTES {
            return bad(format!("it is larger than {MAX_FILE_BYTES} bytes"));
        }
        let options = ParsingOptions {
            allow_dtd: false,
            nodes_limit: MOST_NODES,
            ..ParsingOptions::default()
        };
        let tree = Document::parse_with_options(text, options)
            .map_err(|e| BadMap(format!("it is not XML: {e}")))?;
        let root = tree.root_element();
        let version = root.attribute("version").unwrap_or_default();
        if root.tag_name().name() != "bmap" || !version.starts_with("2.") {
            return bad("it is not a block map of version 2");
        }
        if word(root, "ChecksumType")?.1 != "sha256" {
            return bad("its hashes are not SHA-256");
        }
        verify(text, root)?;
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
                return bad(format!("{name} is not {counted}, as the rest of it says"));
            }
        }
        Ok(map)
    }
}

/// The only child of that name.
fn child<'a, 'i>(of: Node<'a, 'i>, name: &str) -> Result<Node<'a, 'i>, BadMap> {
    let mut found = of.children().filter(|node| node.has_tag_name(name));
    match (found.next(), found.next()) {
        (Some(node), None) => Ok(node),
        (None, _) => bad(format!("it has no {name}")),
        (Some(_), Some(_)) => bad(format!("it has {name} more than once")),
    }
}

/// The text of the only child of that name, and where it stands in the file.
fn word<'a>(of: Node<'a, '_>, name: &str) -> Result<(usize, &'a str), BadMap> {
    let node = child(of, name)?;
    let text = node.first_child().filter(Node::is_text);
    let Some((at, text)) = text.and_then(|t| Some((t.range().start, t.text()?))) else {
        return bad(format!("{name} is empty"));
    };
    let word = text.trim();
    Ok((
        at.saturating_add(text.len() - text.trim_start().len()),
        word,
    ))
}

fn number(of: Node<'_, '_>, name: &str) -> Result<u64, BadMap> {
    let (_, text) = word(of, name)?;
    digits(text).ok_or_else(|| BadMap(format!("{name} is not a number: {text:.40}")))
}

/// Digits only: no sign, unlike `parse`.
fn digits(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

fn block_size(root: Node<'_, '_>) -> Result<u32, BadMap> {
    let size = number(root, "BlockSize")?;
    if BLOCK_SIZES.contains(&size) && size.is_power_of_two() {
        return u32::try_from(size).or_else(|_| bad("BlockSize is too large"));
    }
    bad(format!("{size} is no block size"))
}

/// Compares the file's checksum of itself, which is over the file with zeros in its place.
fn verify(text: &str, root: Node<'_, '_>) -> Result<(), BadMap> {
    let (at, expected) = word(root, "BmapFileChecksum")?;
    let end = at.saturating_add(NO_CHECKSUM.len());
    // What stands in the file may be an entity where the tree has a letter.
    let (Some(before), Some(there), Some(after)) =
        (text.get(..at), text.get(at..end), text.get(end..))
    else {
        return bad("BmapFileChecksum is no SHA-256");
    };
    if there != expected {
        return bad("BmapFileChecksum is no SHA-256");
    }
    let hash = Sha256::new().chain_update(before).chain_update(NO_CHECKSUM);
    if hex::encode(hash.chain_update(after).finalize()) == expected.to_ascii_lowercase() {
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
                "range {first}-{last} is out of order or outside of the image"
            ));
        }
        ranges.push(range);
    }
    Ok(ranges)
}

/// `X-Y`, `X - Y` or `X`.
fn range(node: Node<'_, '_>) -> Result<Range, BadMap> {
    let text = node.text().unwrap_or_default();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (digits(first.trim()), digits(last.trim()));
    let Some((first, last)) = first.zip(last).filter(|_| node.has_tag_name("Range")) else {
        return bad(format!("it has a range that is none: {text:.40}"));
    };
    let mut sha256 = [0; 32];
    let Some(hash) = node.attribute("chksum") else {
        return bad(format!("range {first}-{last} has no hash"));
    };
    hex::decode_to_slice(hash, &mut sha256)
        .or_else(|_| bad(format!("the hash of range {first}-{last} is none")))?;
    Ok(Range {
        first,
        last,
        sha256,
    })
}
