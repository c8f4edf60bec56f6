//! The fields of a FAT.

use super::field::Field;

fn number(bytes: &[u8], at: usize, width: usize) -> usize {
    let mut number = [0; 8];
    number[..width].copy_from_slice(&bytes[at..at + width]);
    usize::from_le_bytes(number)
}

/// The fields of the FAT at `base`: its boot sector, its table, its directories.
pub fn groups(image: &[u8], base: usize) -> Vec<Vec<Field>> {
    let fat = &image[base..];
    let boot = [
        (0, 1),
        (11, 2),
        (13, 1),
        (14, 2),
        (16, 1),
        (17, 2),
        (19, 2),
        (21, 1),
        (22, 2),
        (32, 4),
        (36, 4),
        (44, 4),
        (510, 2),
    ];
    let table = number(fat, 14, 2) * number(fat, 11, 2);
    let width = if number(fat, 22, 2) == 0 { 4 } else { 2 };
    let entries: Vec<_> = (0..64).map(|n| (table + n * width, width)).collect();
    vec![
        Field::list(base, &boot),
        Field::list(base, &entries),
        Field::list(base, &directories(fat)),
    ]
}

/// The fields of all entries in the root directory and in those that begin with `.`.
fn directories(fat: &[u8]) -> Vec<(usize, usize)> {
    let sector = number(fat, 11, 2);
    let wide = number(fat, 22, 2) == 0;
    let table = if wide { number(fat, 36, 4) } else { number(fat, 22, 2) };
    let root = (number(fat, 14, 2) + number(fat, 16, 1) * table) * sector;
    let is_directory = |at: &usize| fat[*at..].starts_with(b".          \x10");
    let inner = (root..fat.len()).step_by(sector).filter(is_directory);
    let mut fields = Vec::new();
    for start in std::iter::once(root).chain(inner) {
        for at in (start..start + sector).step_by(32) {
            if fat[at] != 0 {
                let entry = [(0, 1), (11, 1), (12, 1), (13, 1), (20, 2), (26, 2), (28, 4)];
                fields.extend(entry.map(|(offset, width)| (at + offset, width)));
            }
        }
    }
    fields
}
