//! A FAT32 of half a megabyte. The smallest that mtools accepts has 33 MiB.

use crate::noise;

const SECTOR_BYTES: usize = 512;
const SECTORS: u32 = 1024;
const RESERVED: u16 = 32;
/// Sectors of each of the two tables: an entry for each cluster, which is a sector.
const TABLE: u32 = 8;
/// The end of a chain.
const END: u32 = 0x0fff_ffff;

fn position(cluster: u32) -> usize {
    let sector = u32::from(RESERVED) + 2 * TABLE + cluster - 2;
    sector as usize * SECTOR_BYTES
}

fn entry(name: &[u8; 11], attributes: u8, cluster: u16, size: u32) -> [u8; 32] {
    let mut entry = [0; 32];
    entry[..11].copy_from_slice(name);
    entry[11] = attributes;
    entry[26..28].copy_from_slice(&cluster.to_le_bytes());
    entry[28..].copy_from_slice(&size.to_le_bytes());
    entry
}

/// A piece of a long name of up to 13 characters that stands before the entry `name`.
fn long(text: &str, name: &[u8; 11]) -> [u8; 32] {
    let mut units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    units.resize(13, 0xffff);
    let mut entry = [0; 32];
    entry[0] = 0x41;
    entry[11] = 0x0f;
    entry[13] = name.iter().fold(0, |sum: u8, byte| sum.rotate_right(1).wrapping_add(*byte));
    let places = (1..11).step_by(2).chain((14..26).step_by(2)).chain([28, 30]);
    for (at, unit) in places.zip(units) {
        entry[at..at + 2].copy_from_slice(&unit.to_le_bytes());
    }
    entry
}

/// The file system: two files in the root directory and one in `/sub`, with a long name.
pub fn image() -> Vec<u8> {
    let mut image = vec![0; SECTORS as usize * SECTOR_BYTES];
    image[..3].copy_from_slice(&[0xeb, 0x58, 0x90]);
    image[11..13].copy_from_slice(&512_u16.to_le_bytes());
    image[13] = 1;
    image[14..16].copy_from_slice(&RESERVED.to_le_bytes());
    image[16] = 2;
    image[21] = 0xf8;
    image[32..36].copy_from_slice(&SECTORS.to_le_bytes());
    image[36..40].copy_from_slice(&TABLE.to_le_bytes());
    image[44..48].copy_from_slice(&2_u32.to_le_bytes());
    image[71..82].copy_from_slice(b"FIRMWARE   ");
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    // The root directory, two files of four clusters, a directory, a file.
    let chains = [2..3, 3..7, 7..11, 11..12, 12..16];
    for table in [0, TABLE] {
        let start = (u32::from(RESERVED) + table) as usize * SECTOR_BYTES;
        let mut set = |cluster: u32, next: u32| {
            let at = start + cluster as usize * 4;
            image[at..at + 4].copy_from_slice(&next.to_le_bytes());
        };
        set(0, 0x0fff_fff8);
        set(1, END);
        for chain in &chains {
            for cluster in chain.clone() {
                let is_last = cluster + 1 == chain.end;
                set(cluster, if is_last { END } else { cluster + 1 });
            }
        }
    }
    let short = b"A-LONG~1DTB";
    let root = [
        entry(b"FIRMWARE   ", 8, 0, 0),
        entry(b"CONFIG  TXT", 0, 3, 2000),
        entry(b"KERNEL8 IMG", 0, 7, 2000),
        entry(b"SUB        ", 0x10, 11, 0),
    ];
    let sub = [
        entry(b".          ", 0x10, 11, 0),
        entry(b"..         ", 0x10, 0, 0),
        long("a-long-name.d", short),
        entry(short, 0, 12, 2000),
    ];
    for (cluster, entries) in [(2, root), (11, sub)] {
        let at = position(cluster);
        image[at..at + 128].copy_from_slice(entries.as_flattened());
    }
    for cluster in [3, 7, 12] {
        let at = position(cluster);
        image[at..at + 2000].copy_from_slice(&noise(2000));
    }
    image
}
