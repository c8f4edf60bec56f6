//! SHA-256: one typed digest, and readers and writers that hash the bytes passing through them.
//!
//! digest-io 0.1 (`RustCrypto`) was considered: its wrappers neither count bytes nor return a digest that can be parsed, printed
//! and serialized, so every caller would wrap them again.

use std::borrow::BorrowMut;
use std::fmt;
use std::io::{self, BufReader, Read, Write};
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::choice::serialized_as_text;

/// How many bytes [`Hasher::read_to_end`] reads at a time: large enough that system calls do not count.
const READ_BUFFER: usize = 256 * 1024;

/// A SHA-256 digest; its text is 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sha256Hash([u8; 32]);

impl Sha256Hash {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The first 12 hex digits: enough for a file name or a tag.
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl From<[u8; 32]> for Sha256Hash {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl From<Sha256Hash> for [u8; 32] {
    fn from(hash: Sha256Hash) -> Self {
        hash.0
    }
}

impl fmt::Display for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Sha256Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not 64 lower-case hex digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a SHA-256 is 64 lower-case hex digits")]
pub struct InvalidHash;

impl FromStr for Sha256Hash {
    type Err = InvalidHash;

    fn from_str(text: &str) -> Result<Self, InvalidHash> {
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidHash);
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| InvalidHash)?;
        Ok(Self(bytes))
    }
}

serialized_as_text!(Sha256Hash);

/// The digest and the length of a stream of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hashed {
    /// SHA-256 of all bytes.
    pub sha256: Sha256Hash,
    /// Number of bytes that were hashed.
    pub size: u64,
}

/// Hashes and counts bytes. As a writer it never fails.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    sha256: Sha256,
    size: u64,
}

impl Hasher {
    /// A hasher of no bytes yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        self.sha256.update(bytes);
        self.size = self.size.saturating_add(bytes.len() as u64);
    }

    /// Appends everything that is left in `reader`.
    pub fn read_to_end(&mut self, reader: impl Read) -> io::Result<()> {
        let mut reader = BufReader::with_capacity(READ_BUFFER, reader);
        io::copy(&mut reader, self).map(drop)
    }

    /// How many bytes were appended.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The digest and the length of all bytes.
    pub fn finish(self) -> Hashed {
        Hashed {
            sha256: Sha256Hash(self.sha256.finalize().into()),
            size: self.size,
        }
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Hashes everything that is left in `reader`.
pub fn hash_reader(reader: impl Read) -> io::Result<Hashed> {
    let mut hasher = Hasher::new();
    hasher.read_to_end(reader)?;
    Ok(hasher.finish())
}

/// A reader or a writer that hashes what passes through it, with a hasher of its own or with a borrowed one.
#[derive(Debug)]
pub struct Hashing<T, H = Hasher> {
    inner: T,
    hasher: H,
}

impl<T> Hashing<T> {
    /// Hashes what is read from `inner`, or what it accepts.
    pub fn new(inner: T) -> Self {
        Self::with_hasher(inner, Hasher::new())
    }

    /// The digest and the length of what passed through.
    pub fn finish(self) -> Hashed {
        self.hasher.finish()
    }
}

impl<T, H: BorrowMut<Hasher>> Hashing<T, H> {
    /// Appends what passes through to `hasher`.
    pub fn with_hasher(inner: T, hasher: H) -> Self {
        Self { inner, hasher }
    }

    fn update(&mut self, bytes: &[u8], n: usize) {
        let hasher = self.hasher.borrow_mut();
        hasher.update(bytes.get(..n).unwrap_or(bytes));
    }
}

impl<R: Read, H: BorrowMut<Hasher>> Read for Hashing<R, H> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.update(buffer, n);
        Ok(n)
    }
}

impl<W: Write, H: BorrowMut<Hasher>> Write for Hashing<W, H> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.inner.write(bytes)?;
        self.update(bytes, n);
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"some bytes that are longer than one read";

    /// Reads and writes at most seven bytes at a time.
    struct Short<T>(T);

    impl<R: Read> Read for Short<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let n = buffer.len().min(7);
            self.0.read(&mut buffer[..n])
        }
    }

    impl<W: Write> Write for Short<W> {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.write(&bytes[..bytes.len().min(7)])
        }

        fn flush(&mut self) -> io::Result<()> {
            self.0.flush()
        }
    }

    #[test]
    fn readers_and_writers_hash_what_passes() {
        let whole = Hashed {
            sha256: Sha256Hash::of(TEXT),
            size: TEXT.len() as u64,
        };
        assert_eq!(hash_reader(Short(TEXT)).unwrap(), whole);

        let mut reader = Hashing::new(Short(TEXT));
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(reader.finish(), whole);

        let mut writer = Hashing::new(Short(Vec::new()));
        writer.write_all(TEXT).unwrap();
        assert_eq!(writer.inner.0, TEXT);
        assert_eq!(writer.finish(), whole);
    }

    #[test]
    fn borrowed_hasher_goes_on_after_the_reader() {
        let (first, second) = TEXT.split_at(10);
        let mut hasher = Hasher::new();
        hasher.update(first);
        let mut reader = Hashing::with_hasher(second, &mut hasher);
        io::copy(&mut reader, &mut io::sink()).unwrap();
        assert_eq!(hasher.finish().sha256, Sha256Hash::of(TEXT));
    }

    #[test]
    fn hash_text_is_strict() {
        let hash = Sha256Hash::of(TEXT);
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert!(hash.short().len() == 12 && hash.to_string().starts_with(&hash.short()));
        for text in ["", "00", &hash.to_string().to_uppercase(), &"g".repeat(64)] {
            assert_eq!(text.parse::<Sha256Hash>(), Err(InvalidHash), "{text}");
        }
    }
}
