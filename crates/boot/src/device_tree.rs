//! A device tree without the devices that QEMU's model of a board lacks: a kernel would wait for them, or fault when it reads
//! their registers. QEMU itself does the same for some devices.
//!
//! What goes is overwritten with words that mean nothing, as libfdt's `fdt_nop_node` does, so nothing moves
//! (<https://www.devicetree.org/specifications>, chapter 5). Crates that read device trees (`fdt`) do not tell where a node is in the
//! file.

use std::ops::Range;

use sdbuild_image::board::AbsentDevice;
use sdbuild_image::device_tree::{
    BEGIN_NODE, END_NODE, MAGIC, MAX_TREE_BYTES, NAMES_AT, NODES_AT, NOP, PROPERTY, aligned, name,
    number, word,
};

/// The nodes end.
const END: u32 = 9;

/// A node whose end has not been read.
struct OpenNode<'a> {
    start: usize,
    absent: Option<&'a AbsentDevice>,
    properties: Vec<(&'a [u8], Range<usize>)>,
}

/// Whether `bytes` begin as a device tree does.
pub(super) fn is_device_tree(bytes: &[u8]) -> bool {
    bytes.starts_with(&MAGIC)
}

/// Removes `absent` from the device tree `tree`. One that is damaged, or larger than 2 MiB, is left as it is.
pub(super) fn remove(tree: &mut [u8], absent: &[AbsentDevice]) {
    for range in find(tree, absent).unwrap_or_default() {
        if let Some(bytes) = tree.get_mut(range) {
            let (words, _) = bytes.as_chunks_mut::<4>();
            words.fill(NOP.to_be_bytes());
        }
    }
}

/// The places of `absent` in `tree`; `None` if the tree is damaged.
fn find(tree: &[u8], absent: &[AbsentDevice]) -> Option<Vec<Range<usize>>> {
    if tree.len() > MAX_TREE_BYTES {
        return None;
    }
    let names = tree.get(number(tree, NAMES_AT)?..)?;
    let mut at = number(tree, NODES_AT)?;
    let mut open: Vec<OpenNode<'_>> = Vec::new();
    let mut found = Vec::new();
    loop {
        let start = at;
        match word(tree, at)? {
            BEGIN_NODE => {
                at = aligned(at + 4 + name(tree.get(at + 4..)?)?.len() + 1);
                open.push(OpenNode {
                    start,
                    absent: None,
                    properties: Vec::new(),
                });
            }
            PROPERTY => {
                let end = (at + 12).checked_add(number(tree, at + 4)?)?;
                let value = tree.get(at + 12..end)?;
                let name = name(names.get(number(tree, at + 8)?..)?)?;
                let node = open.last_mut()?;
                if name == b"compatible" {
                    node.absent = absent.iter().find(|device| device.is(value));
                }
                at = aligned(end);
                node.properties.push((name, start..at));
            }
            END_NODE => {
                at += 4;
                found.extend(open.pop()?.removed(at));
            }
            NOP => at += 4,
            END => return Some(found),
            _ => return None,
        }
    }
}

impl OpenNode<'_> {
    /// What goes of the node that ends at `end`.
    fn removed(self, end: usize) -> Vec<Range<usize>> {
        match self.absent {
            None => Vec::new(),
            Some(device) if device.properties.is_empty() => {
                std::iter::once(self.start..end).collect()
            }
            Some(device) => {
                let all = self.properties.into_iter();
                let is_absent =
                    |name: &[u8]| device.properties.iter().any(|p| p.as_bytes() == name);
                let gone = all.filter(|(name, _)| is_absent(name));
                gone.map(|(_, range)| range).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ABSENT: [AbsentDevice; 2] = [
        AbsentDevice {
            compatible: "x,hdmi",
            properties: &[],
        },
        AbsentDevice {
            compatible: "x,card",
            properties: &["supply"],
        },
    ];
    const NAMES: &[u8] = b"compatible\0supply\0";

    fn property(name: u32, value: &[u8]) -> Vec<u8> {
        let length = u32::try_from(value.len()).unwrap();
        let mut bytes = [PROPERTY, length, name].map(u32::to_be_bytes).concat();
        bytes.extend_from_slice(value);
        bytes.resize(aligned(bytes.len()), 0);
        bytes
    }

    fn node(name: &[u8], content: &[u8]) -> Vec<u8> {
        let mut bytes = BEGIN_NODE.to_be_bytes().to_vec();
        bytes.extend_from_slice(name);
        bytes.push(0);
        bytes.resize(aligned(bytes.len()), 0);
        [&bytes, content, &END_NODE.to_be_bytes()].concat()
    }

    fn tree(nodes: &[u8]) -> Vec<u8> {
        let nodes = [nodes, &END.to_be_bytes()].concat();
        let (at, names) = (40, 40 + u32::try_from(nodes.len()).unwrap());
        let mut tree = [0xd00d_feed, 0, at, names].map(u32::to_be_bytes).concat();
        tree.resize(40, 0);
        [&tree, &nodes[..], NAMES].concat()
    }

    fn words(count: usize) -> Vec<u8> {
        NOP.to_be_bytes().repeat(count)
    }

    #[test]
    fn devices_that_the_model_lacks_are_removed_in_place() {
        let child = node(b"port", &property(11, b"kept with its parent"));
        let hdmi = node(
            b"hdmi@1",
            &[property(0, b"x,other\0x,hdmi\0"), child].concat(),
        );
        let supply = property(11, b"1v8");
        let compatible = property(0, b"x,card\0");
        let card = |supply: &[u8]| node(b"mmc@2", &[supply, &compatible].concat());
        let other = node(b"hdmi@3", &property(0, b"x,hdmi2\0"));
        let root =
            |hdmi: &[u8], supply: &[u8]| tree(&node(b"", &[hdmi, &card(supply), &other].concat()));
        let mut whole = root(&hdmi, &supply);
        remove(&mut whole, &ABSENT);
        let expected = root(&words(hdmi.len() / 4), &words(supply.len() / 4));
        assert_eq!(whole, expected);
        remove(&mut whole, &ABSENT);
        assert_eq!(whole, expected);
    }

    /// Every property would make the whole name be read again.
    #[test]
    fn endless_names_take_no_time() {
        let mut evil = tree(&node(b"", &property(0, b"").repeat(50_000)));
        let names = evil.len() - NAMES.len();
        evil.truncate(names);
        evil.resize(MAX_TREE_BYTES, b'a');
        assert_eq!(find(&evil, &ABSENT), None);
        evil[names + 250] = 0;
        assert_eq!(find(&evil, &ABSENT), Some(Vec::new()));
        evil.push(0);
        assert_eq!(find(&evil, &ABSENT), None);
    }

    #[test]
    fn a_damaged_tree_is_left_alone() {
        let whole = tree(&node(b"", &node(b"hdmi", &property(0, b"x,hdmi\0"))));
        let structure = 40..whole.len() - NAMES.len();
        for length in 0..structure.end {
            let mut cut = whole[..length].to_vec();
            remove(&mut cut, &ABSENT);
            assert_eq!(cut, whole[..length]);
        }
        for at in structure.step_by(4).chain([8, 12]) {
            let mut damaged = whole.clone();
            damaged[at..at + 4].fill(0xff);
            remove(&mut damaged, &ABSENT);
        }
    }
}
