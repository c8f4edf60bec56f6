//! An ISO 9660 file system with names of Rock Ridge, and its fields.

use super::field::Field;

const SECTOR: usize = 2048;
/// Sectors of the root directory, of what continues its records, and of the files.
const ROOT: u32 = 18;
const CONTINUATION: u32 = 19;
const FILES: u32 = 20;

/// Little- and big-endian, as most numbers are there.
fn both(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// A record of a directory with the fields `extra` of Rock Ridge.
fn record(name: &[u8], sector: u32, size: u32, flags: u8, extra: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0];
    bytes.extend(both(sector));
    bytes.extend(both(size));
    bytes.extend([0; 7]);
    bytes.extend([flags, 0, 0, 1, 0, 0, 1, u8::try_from(name.len()).unwrap()]);
    bytes.extend(name);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes.extend(extra);
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    bytes[0] = u8::try_from(bytes.len()).unwrap();
    bytes
}

/// A field of Rock Ridge.
fn rock_ridge(kind: [u8; 2], content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(4 + content.len()).unwrap();
    [&kind[..], &[length, 1], content].concat()
}

/// The file system.
pub fn image() -> Vec<u8> {
    let mut image = vec![0; SECTOR * 32];
    let mut put = |sector: u32, at: usize, bytes: &[u8]| {
        let at = usize::try_from(sector).unwrap() * SECTOR + at;
        image[at..at + bytes.len()].copy_from_slice(bytes);
    };
    put(16, 0, b"\x01CD001\x01");
    put(16, 40, b"NIXOS                           ");
    put(16, 80, &both(32));
    put(16, 128, &[0, 8, 8, 0]);
    put(16, 156, &record(&[0], ROOT, 2048, 2, &[]));
    put(17, 0, b"\xffCD001\x01");
    let continued = rock_ridge(*b"CE", &[both(CONTINUATION), both(0), both(256)].concat());
    let records = [
        record(&[0], ROOT, 2048, 2, &[]),
        record(&[1], ROOT, 2048, 2, &[]),
        record(b"A.;1", FILES, 2000, 0, &rock_ridge(*b"NM", b"\0a-name")),
        record(b"B.;1", FILES, 2048, 0x80, &[]),
        record(b"B.;1", FILES + 1, 100, 0, &continued),
        record(b"LINK.;1", FILES, 0, 0, &rock_ridge(*b"SL", b"\0\0\x01a\x08\0\x02\0")),
        record(b"SUB", ROOT, 2048, 2, &[]),
    ];
    put(ROOT, 0, &records.concat());
    put(CONTINUATION, 0, &rock_ridge(*b"NM", b"\x01more-of-a-name-").repeat(9));
    image
}

/// The fields of its descriptor, its directory and what continues that, from the byte `base` on.
pub fn groups(base: usize) -> Vec<Vec<Field>> {
    let fields = |start: usize, count: usize| {
        let start = base + start;
        (start..start + count).flat_map(|at| [1, 2, 4].map(|width| Field { at, width })).collect()
    };
    let sector = |number: u32| usize::try_from(number).unwrap() * SECTOR;
    vec![fields(sector(16) + 80, 110), fields(sector(ROOT), 420), fields(sector(CONTINUATION), 180)]
}
