//! The fields of an ext file system.

use super::field::Field;

/// Bytes in an extent and in the header of its node.
const EXTENT_BYTES: usize = 12;

/// The file system at `base` of an image.
struct Ext<'a> {
    bytes: &'a [u8],
    block: usize,
}

impl Ext<'_> {
    fn number(&self, at: usize, width: usize) -> usize {
        let mut number = [0; 8];
        number[..width].copy_from_slice(&self.bytes[at..at + width]);
        usize::from_le_bytes(number)
    }

    /// The positions of the inodes that are used, of the first group.
    fn inodes(&self) -> Vec<usize> {
        let descriptor = (self.number(1024 + 0x14, 4) + 1) * self.block;
        let table = self.number(descriptor + 8, 4) * self.block;
        let (count, size) = (self.number(1024 + 0x28, 4), self.number(1024 + 0x58, 2));
        (0..count).map(|index| table + index * size).filter(|at| self.number(*at, 2) != 0).collect()
    }

    fn has_extents(&self, inode: usize) -> bool {
        self.number(inode + 0x20, 4) & 0x8_0000 != 0
    }

    /// The fields of an extent tree's node.
    fn node(&self, at: usize) -> Vec<(usize, usize)> {
        let mut fields = vec![(at, 2), (at + 2, 2), (at + 4, 2), (at + 6, 2)];
        let depth = self.number(at + 6, 2);
        for entry in 1..=self.number(at + 2, 2) {
            let entry = at + entry * EXTENT_BYTES;
            fields.push((entry, 4));
            if depth == 0 {
                fields.extend([(entry + 4, 2), (entry + 6, 2), (entry + 8, 4)]);
            } else {
                fields.extend([(entry + 4, 4), (entry + 8, 2)]);
                fields.extend(self.node(self.number(entry + 4, 4) * self.block));
            }
        }
        fields
    }

    /// The fields of an inode's map, indirect blocks and leaves of the tree included.
    fn map(&self, inode: usize) -> Vec<(usize, usize)> {
        let map = inode + 0x28;
        if self.has_extents(inode) {
            return self.node(map);
        }
        let mut fields: Vec<_> = (0..15).map(|n| (map + n * 4, 4)).collect();
        let indirect = self.number(map + 48, 4) * self.block;
        let is_link = self.number(inode, 2) & 0xf000 == 0xa000;
        if indirect != 0 && !is_link {
            fields.extend((0..8).map(|n| (indirect + n * 4, 4)));
        }
        fields
    }

    /// The fields of the entries in the first block of a directory.
    fn entries(&self, inode: usize) -> Vec<(usize, usize)> {
        if self.number(inode, 2) & 0xf000 != 0x4000 {
            return Vec::new();
        }
        let map = inode + 0x28;
        let block = if self.has_extents(inode) {
            self.number(map + EXTENT_BYTES + 8, 4)
        } else {
            self.number(map, 4)
        };
        let (mut at, mut fields) = (block * self.block, Vec::new());
        let end = at + self.block;
        while at < end {
            fields.extend([(at, 4), (at + 4, 2), (at + 6, 1), (at + 7, 1)]);
            at += self.number(at + 4, 2).max(8);
        }
        fields
    }
}

/// The number of blocks of the file system at `base`.
pub fn sizes(base: usize) -> Vec<Field> {
    Field::list(base + 1024, &[(0x04, 4), (0x150, 4)])
}

/// The fields of the ext file system at `base`: superblock, group descriptor, inodes, maps, directories.
pub fn groups(image: &[u8], base: usize) -> Vec<Vec<Field>> {
    let bytes = &image[base..];
    let mut ext = Ext { bytes, block: 1024 };
    ext.block <<= ext.number(1024 + 0x18, 4);
    let superblock = [
        (0x00, 4),
        (0x04, 4),
        (0x0c, 4),
        (0x14, 4),
        (0x18, 4),
        (0x20, 4),
        (0x28, 4),
        (0x38, 2),
        (0x4c, 4),
        (0x58, 2),
        (0x5c, 4),
        (0x60, 4),
        (0x64, 4),
        (0xfe, 2),
        (0x150, 4),
        (0x158, 4),
        (0x270, 4),
    ];
    let descriptor = (ext.number(1024 + 0x14, 4) + 1) * ext.block;
    let inodes = ext.inodes();
    let fields = [(0, 2), (4, 4), (0x20, 4), (0x6c, 4), (0x7c, 2), (0x80, 2)];
    let inode = |at: &usize| fields.map(|(offset, width)| (at + offset, width));
    let inode_fields: Vec<_> = inodes.iter().flat_map(inode).collect();
    let maps: Vec<_> = inodes.iter().flat_map(|at| ext.map(*at)).collect();
    let entries: Vec<_> = inodes.iter().flat_map(|at| ext.entries(*at)).collect();
    vec![
        Field::list(base + 1024, &superblock),
        Field::list(base + descriptor, &[(8, 4), (0x28, 4)]),
        Field::list(base, &inode_fields),
        Field::list(base, &maps),
        Field::list(base, &entries),
    ]
}
