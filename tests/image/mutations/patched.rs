//! An image with some bytes changed, without a copy of it: a million copies would take longer than reading them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use sdbuild_image::disk::ReadAt;

use super::field::Field;

/// An image with some bytes changed.
#[derive(Clone)]
pub struct Patched {
    base: Arc<Vec<u8>>,
    changes: BTreeMap<usize, u8>,
    length: usize,
}

impl Patched {
    pub fn new(base: &Arc<Vec<u8>>) -> Self {
        Self { base: Arc::clone(base), changes: BTreeMap::new(), length: base.len() }
    }

    pub fn len(&self) -> u64 {
        self.length as u64
    }

    pub fn truncate(&mut self, length: usize) {
        self.length = length.min(self.length);
    }

    /// The bytes that exist of the `count` ones at `at`.
    pub fn slice(&self, at: usize, count: usize) -> Vec<u8> {
        let end = at.saturating_add(count).min(self.length);
        let start = at.min(end);
        let mut bytes = self.base[start..end].to_vec();
        for (at, byte) in self.changes.range(start..end) {
            bytes[at - start] = *byte;
        }
        bytes
    }

    pub fn bytes(&self) -> Vec<u8> {
        self.slice(0, self.length)
    }

    pub fn get(&self, field: Field) -> u64 {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().zip(self.slice(field.at, field.width)) {
            *to = from;
        }
        u64::from_le_bytes(bytes)
    }

    pub fn set(&mut self, field: Field, value: u64) {
        self.write(field.at, &value.to_le_bytes()[..field.width]);
    }

    pub fn write(&mut self, at: usize, bytes: &[u8]) {
        self.changes.extend((at..).zip(bytes.iter().copied()));
    }
}

impl ReadAt for Patched {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let at = usize::try_from(at).unwrap_or(usize::MAX);
        let bytes = self.slice(at, buffer.len());
        buffer[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}
