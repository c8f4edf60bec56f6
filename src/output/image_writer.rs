//! Writes the image file in the form that was asked for: raw with holes, compressed, or as the build made it.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::FileExt as _;

use super::encode::{encoder, worker_count};
use super::image_form::ImageForm;
use super::pieces::Pieces;
use super::writeback::Writeback;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::hash::{Hashed, HashingWriter};
use sdbuild_image::sparse_writer::SparseWriter;

/// Compressors return small pieces; this many bytes are written to the file at once.
const WRITE_BUFFER_BYTES: usize = 256 * 1024;

/// The last stage of a copy.
#[derive(Debug)]
pub(super) struct ImageWriter<'a> {
    /// The empty file that the image is written to.
    pub(super) file: &'a File,
    /// The form that the image gets.
    pub(super) form: ImageForm,
}

impl ImageWriter<'_> {
    /// Whether it takes what the engine sends, rather than the decompressed image.
    pub(super) fn takes_compressed(&self) -> bool {
        self.form == ImageForm::AsBuilt
    }

    /// Writes all pieces; `decompressing` says that a decoder runs at the same time. Returns length and hash of the
    /// file, or `None` if they are those of the raw image or if it was cancelled.
    pub(super) fn write(
        &self,
        pieces: &Pieces,
        decompressing: bool,
        cancel: &Cancel,
    ) -> io::Result<Option<Hashed>> {
        match self.form {
            ImageForm::Raw => self.sparse(pieces, cancel).map(|()| None),
            ImageForm::Compressed { options, raw_size } => {
                let workers = worker_count(options, decompressing);
                self.encoded(options, raw_size, workers, pieces, cancel)
            }
            ImageForm::AsBuilt => {
                let unchanged = CompressionOptions {
                    format: Compression::None,
                    level: None,
                };
                self.encoded(unchanged, None, 1, pieces, cancel)
            }
        }
    }

    fn sparse(&self, pieces: &Pieces, cancel: &Cancel) -> io::Result<()> {
        let mut writeback = Writeback::new(self.file);
        let mut writer = SparseWriter::new(|bytes, at| {
            self.file.write_all_at(bytes, at)?;
            writeback.start_up_to(at.saturating_add(bytes.len() as u64));
            Ok(())
        });
        for piece in pieces.iter().take_while(|_| !cancel.is_cancelled()) {
            writer.write(&piece)?;
        }
        let length = writer.finish()?;
        self.file.set_len(length)
    }

    fn encoded(
        &self,
        options: CompressionOptions,
        raw_size: Option<u64>,
        workers: u32,
        pieces: &Pieces,
        cancel: &Cancel,
    ) -> io::Result<Option<Hashed>> {
        let file = HashingWriter::new(Writeback::new(self.file));
        let file = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
        let mut encoder = encoder(options, raw_size, workers, file)?;
        for piece in pieces {
            if cancel.is_cancelled() {
                return Ok(None);
            }
            encoder.write_all(&piece)?;
        }
        let file = encoder.finish()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        Ok(Some(file.finish()))
    }
}
