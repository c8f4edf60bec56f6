//! The parameters of a Raspberry Pi's device tree or overlay: the properties of its node `__overrides__`. Crates that read device trees (`fdt`)
//! refuse overlays, which have no addresses of memory.

use std::collections::BTreeSet;

use crate::device_tree::{
    BEGIN_NODE, END_NODE, MAGIC, NAMES_AT, NODES_AT, NOP, PROPERTY, aligned, name, number, word,
};

/// The node with the parameters.
const PARAMETERS: &[u8] = b"__overrides__";

/// The names of the parameters; those before the damage of a tree that is damaged.
pub(super) fn parameters(tree: &[u8]) -> BTreeSet<Vec<u8>> {
    let mut found = BTreeSet::new();
    collect(tree, &mut found);
    found
}

/// `None` at the end, and where the tree is damaged.
fn collect(tree: &[u8], found: &mut BTreeSet<Vec<u8>>) -> Option<()> {
    if !tree.starts_with(&MAGIC) {
        return None;
    }
    let names = tree.get(number(tree, NAMES_AT)?..)?;
    let mut at = number(tree, NODES_AT)?;
    let mut open: Vec<&[u8]> = Vec::new();
    loop {
        match word(tree, at)? {
            BEGIN_NODE => {
                let name = name(tree.get(at + 4..)?)?;
                open.push(name);
                at = aligned(at + 4 + name.len() + 1);
            }
            PROPERTY => {
                if let [_, PARAMETERS] = open.as_slice() {
                    found.insert(name(names.get(number(tree, at + 8)?..)?)?.to_vec());
                }
                at = aligned((at + 12).checked_add(number(tree, at + 4)?)?);
            }
            END_NODE => {
                open.pop()?;
                at += 4;
            }
            NOP => at += 4,
            _ => return None,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A device tree with these parameters, and another node with a property.
    pub(in super::super) fn tree_with(parameters: &[&str]) -> Vec<u8> {
        let (mut nodes, mut names) = (Vec::new(), b"other\0".to_vec());
        let mut put = |words: &[u32], text: &[u8]| {
            nodes.extend(words.iter().flat_map(|word| word.to_be_bytes()));
            nodes.extend(text);
            nodes.resize(nodes.len().next_multiple_of(4), 0);
        };
        put(&[BEGIN_NODE], b"\0");
        put(&[BEGIN_NODE], b"soc\0");
        put(&[PROPERTY, 3, 0], b"abc");
        put(&[END_NODE, NOP], b"");
        put(&[BEGIN_NODE], b"__overrides__\0");
        for parameter in parameters {
            let at = u32::try_from(names.len()).unwrap();
            put(&[PROPERTY, 4, at], b"xyz\0");
            names.extend(parameter.as_bytes());
            names.push(0);
        }
        put(&[END_NODE, END_NODE, 9], b"");
        let strings = u32::try_from(40 + nodes.len()).unwrap();
        let header = [
            u32::from_be_bytes(MAGIC),
            0,
            40,
            strings,
            0,
            17,
            16,
            0,
            0,
            0,
        ];
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        header.chain(nodes).chain(names).collect()
    }

    #[test]
    fn parameters_are_those_of_the_one_node() {
        let tree = tree_with(&["audio", "spi"]);
        let expected = [b"audio".to_vec(), b"spi".to_vec()];
        assert_eq!(parameters(&tree), BTreeSet::from(expected));
        assert!(parameters(b"tree").is_empty());
        for end in 0..tree.len() {
            assert!(parameters(&tree[..end]).len() <= 2);
        }
    }

    /// Each name is a part of the one before, and none ends soon: whole ones would take gigabytes.
    #[test]
    fn endless_names_take_no_memory() {
        let mut evil = tree_with(&["a"; 1000]);
        let names = number(&evil, NAMES_AT).unwrap();
        evil[names..].fill(b'a');
        evil.resize(1 << 20, b'a');
        assert_eq!(parameters(&evil), BTreeSet::new());
    }
}
