//! What becomes of an image's bytes in the output directory: a sparse file, a compressed one, or the
//! build's own compressed one as it came.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};

use super::encode::Encoder;
use super::sparse::SparseWriter;
use super::stages::{Pieces, StageError};
use super::writeback::Writeback;
use crate::common::cancel::Cancel;
use crate::common::compression::{Compression, CompressionOptions};
use crate::common::hash::{Hashed, HashingWriter};

/// Compressors hand out small pieces; this many bytes go to the file at once.
const BUFFER: usize = 256 * 1024;

/// The last stage.
#[derive(Debug)]
pub(super) struct ImageWriter<'a> {
    /// Where the bytes go.
    pub(super) file: &'a File,
    /// As what.
    pub(super) shape: ImageShape,
}

/// The form that the image gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageShape {
    /// Raw, zeros as holes.
    Sparse,
    /// Compressed here; the image's length, where it is known before its end.
    Packed(CompressionOptions, Option<u64>),
    /// The build's compressed image, byte by byte.
    AsItCame,
}

impl ImageWriter<'_> {
    /// Whether it takes what the engine sends, rather than what is unpacked.
    pub(super) fn passes_through(&self) -> bool {
        self.shape == ImageShape::AsItCame
    }

    /// Writes everything; length and hash of the file, unless they are the image's own. `unpacking` tells
    /// whether a decoder runs beside it.
    pub(super) fn take(
        &self,
        pieces: &Pieces,
        unpacking: bool,
        cancel: &Cancel,
    ) -> Result<Option<Hashed>, StageError> {
        let written = match self.shape {
            ImageShape::Sparse => self.sparse(pieces, cancel).map(|()| None),
            ImageShape::Packed(how, size) => {
                let how = (how, size, how.workers(unpacking));
                self.packed(how, pieces, cancel)
            }
            ImageShape::AsItCame => {
                let how = CompressionOptions {
                    format: Compression::None,
                    level: None,
                };
                self.packed((how, None, 1), pieces, cancel)
            }
        };
        // Also when the compressor failed for a reason of its own: it had half an image then.
        if cancel.is_cancelled() {
            return Err(StageError::Stopped);
        }
        written.map_err(StageError::Target)
    }

    fn sparse(&self, pieces: &Pieces, cancel: &Cancel) -> io::Result<()> {
        let mut writer = SparseWriter::new(self.file);
        for piece in pieces.iter().take_while(|_| !cancel.is_cancelled()) {
            writer.write(&piece)?;
        }
        writer.finish()
    }

    fn packed(
        &self,
        (how, size, workers): (CompressionOptions, Option<u64>, u32),
        pieces: &Pieces,
        cancel: &Cancel,
    ) -> io::Result<Option<Hashed>> {
        let to = BufWriter::with_capacity(BUFFER, HashingWriter::new(Writeback::new(self.file)));
        let mut encoder = Encoder::new(how, size, workers, to)?;
        for piece in pieces {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            encoder.write_all(&piece)?;
        }
        let written = encoder.finish()?;
        let written = written
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        Ok(Some(written.finish()))
    }
}
