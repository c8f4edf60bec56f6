//! Memory buffers that the kernel can pass to a disk without a copy (`O_DIRECT`).

use sdbuild_core::to_usize::to_usize;

/// The alignment in bytes of buffers, reads and writes, and of their lengths: the size of a page, and the
/// largest logical block of disks.
pub(super) const ALIGN: u64 = 4096;
/// Bytes in a buffer: the erase block of many SD cards.
pub(super) const BUFFER_BYTES: usize = 4 << 20;
/// Buffers in use: one is filled, one hashed, one written, and one waits before each of two steps.
pub(super) const BUFFER_COUNT: usize = 5;

/// A buffer of [`BUFFER_BYTES`] that begins at a multiple of [`ALIGN`].
#[derive(Debug)]
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(super) fn new() -> Self {
        let align = to_usize(ALIGN);
        let memory = vec![0; BUFFER_BYTES.saturating_add(align)];
        // A vector's memory stays in place when the vector moves.
        let start = memory.as_ptr().align_offset(align).min(align);
        Self {
            memory,
            start,
            len: 0,
        }
    }

    /// The whole buffer, to be filled.
    pub(super) fn space(&mut self) -> &mut [u8] {
        let space = self.memory.split_at_mut(self.start).1;
        space.split_at_mut(BUFFER_BYTES).0
    }

    /// Sets the length in bytes of the content, [`BUFFER_BYTES`] at most.
    pub(super) fn set_len(&mut self, len: usize) {
        self.len = len.min(BUFFER_BYTES);
    }

    /// Sets the length of the content and returns it, to be overwritten.
    pub(super) fn resize(&mut self, len: usize) -> &mut [u8] {
        self.set_len(len);
        let len = self.len;
        self.space().split_at_mut(len).0
    }

    /// The content.
    pub(super) fn bytes(&self) -> &[u8] {
        self.first(self.len)
    }

    /// Sets the bytes between the end of the content and `end` to zero.
    pub(super) fn zero_until(&mut self, end: usize) {
        let start = self.len;
        if let Some(rest) = self.space().get_mut(start..end) {
            rest.fill(0);
        }
    }

    /// The first `len` bytes of the buffer, [`BUFFER_BYTES`] at most, whatever the length of the content.
    pub(super) fn first(&self, len: usize) -> &[u8] {
        let space = self.memory.split_at(self.start).1;
        space.split_at(len.min(BUFFER_BYTES)).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffer_is_aligned_and_zero_padded() {
        let mut buffer = Buffer::new();
        assert_eq!(buffer.space().as_ptr().align_offset(4096), 0);
        buffer.space().fill(1);
        assert_eq!(buffer.resize(3).len(), 3);
        buffer.zero_until(5);
        assert_eq!(buffer.bytes(), [1, 1, 1]);
        assert_eq!(buffer.first(6), [1, 1, 1, 0, 0, 1]);
        assert_eq!(buffer.space().len(), BUFFER_BYTES);
    }
}
