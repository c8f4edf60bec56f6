//! A number in an image, and its extremes.

/// A little-endian number.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The position in bytes.
    pub at: usize,
    /// The length in bytes: 1, 2, 4 or 8.
    pub width: usize,
}

impl Field {
    /// The fields at these positions and of these lengths, from `base`.
    pub fn list(base: usize, fields: &[(usize, usize)]) -> Vec<Self> {
        let field = |(at, width): &(usize, usize)| Self { at: base + at, width: *width };
        fields.iter().map(field).collect()
    }

    fn max(self) -> u64 {
        u64::MAX >> (64 - self.width * 8)
    }

    /// Another value: an extreme, one near `value`, or the one of another field.
    pub fn extreme(self, value: u64, other: u64, random: &mut fastrand::Rng) -> u64 {
        let max = self.max();
        let power = 1 << random.usize(..self.width * 8);
        let values = [
            0,
            1,
            2,
            max,
            max - 1,
            max / 2,
            max / 2 + 1,
            power,
            power - 1,
            power + 1,
            power ^ value,
            value.wrapping_add(1),
            value.wrapping_sub(1),
            value.wrapping_mul(2),
            other,
            other,
            random.u64(..),
        ];
        values[random.usize(..values.len())] & max
    }
}
