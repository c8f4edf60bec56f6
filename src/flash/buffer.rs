//! Memory that the kernel can hand to a disk as it is.

/// Where buffers, reads and writes begin and what their lengths are multiples of: the largest logical
/// block of disks, and a page.
pub(super) const ALIGN: u64 = 4096;
/// Bytes in a buffer: as much as SD cards erase at a time.
pub(super) const BUFFER: usize = 4 << 20;
/// Buffers under way: one is filled, one hashed, one written, and one waits at each step.
pub(super) const BUFFERS: usize = 5;

/// Bytes that begin at a multiple of [`ALIGN`].
#[derive(Debug)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    from: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        let align = usize::try_from(ALIGN).unwrap_or(1);
        let bytes = vec![0; BUFFER.saturating_add(align)];
        // A vector's memory stays where it is when the vector moves.
        let from = bytes.as_ptr().align_offset(align).min(align);
        Self {
            bytes,
            from,
            len: 0,
        }
    }

    /// All of it, to be filled.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let end = self.from.saturating_add(BUFFER);
        self.bytes.get_mut(self.from..end).unwrap_or_default()
    }

    /// The first `len` bytes count from now on.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(BUFFER);
    }

    /// The bytes that count.
    pub(super) fn bytes(&self) -> &[u8] {
        self.padded(self.len)
    }

    /// Those, and zeros up to `len`.
    pub(super) fn zero_to(&mut self, len: usize) {
        let from = self.len;
        if let Some(rest) = self.space().get_mut(from..len) {
            rest.fill(0);
        }
    }

    /// The first `len` bytes.
    pub(super) fn padded(&self, len: usize) -> &[u8] {
        let end = self.from.saturating_add(len);
        self.bytes.get(self.from..end).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_begins_where_disks_want_it() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.space().as_ptr().align_offset(4096), 0);
        buffer.space().fill(1);
        buffer.set_len(3);
        buffer.zero_to(5);
        assert_eq!(buffer.bytes(), [1, 1, 1]);
        assert_eq!(buffer.padded(6), [1, 1, 1, 0, 0, 1]);
        assert_eq!(buffer.space().len(), BUFFER);
    }
}
