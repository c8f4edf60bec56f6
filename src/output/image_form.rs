//! In which form an image is written, by what the build made and what the user chose. Pure.

use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_image::{MAX_IMAGE_BYTES, zstd_content_size};

/// The longest header of a zstd frame in bytes (RFC 8878: magic, descriptor, window, dictionary, size).
pub(super) const MAX_ZSTD_HEADER_BYTES: u64 = 18;

/// The form that an image is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ImageForm {
    /// Not compressed; blocks of zeros become holes.
    Raw,
    /// Compressed by us.
    Compressed {
        options: CompressionOptions,
        /// The length of the raw image in bytes, where it is known before its end.
        raw_size: Option<u64>,
    },
    /// The build's compressed image, byte by byte.
    AsBuilt,
}

impl ImageForm {
    /// What is done with an image to write it in this form, in words.
    pub(super) fn writing(self) -> &'static str {
        match self {
            Self::Compressed { .. } => "copying it out of the builder, and compressing it",
            Self::Raw | Self::AsBuilt => "copying it out of the builder",
        }
    }
}

/// What is known about the build's image before all of it was read.
#[derive(Clone, Copy, Debug)]
pub(super) struct BuiltImage {
    /// Its length in bytes, as the engine sends it.
    size: u64,
    compression: Compression,
    /// The length of the raw image by its zstd header.
    header_size: Option<u64>,
}

impl BuiltImage {
    /// An image of `size` bytes that begins with `header`.
    pub(super) fn new(size: u64, compression: Compression, header: &[u8]) -> Self {
        let header_size = match compression {
            Compression::Zstd => zstd_content_size(header),
            Compression::None | Compression::Xz | Compression::Gzip => None,
        };
        Self {
            size,
            compression,
            header_size,
        }
    }

    /// The form for the compression that the user chose.
    pub(super) fn form(self, options: CompressionOptions) -> ImageForm {
        let built = self.compression;
        let compressed = |raw_size| ImageForm::Compressed { options, raw_size };
        if options.format == Compression::None {
            ImageForm::Raw
        } else if built == Compression::None {
            compressed(Some(self.size))
        } else if built == options.format
            // The build may have used another level than the one that was chosen.
            && options.level.is_none()
            && (built != Compression::Zstd || self.header_size.is_some())
        {
            ImageForm::AsBuilt
        } else {
            compressed(self.header_size)
        }
    }

    /// How many bytes the image may have when it is decompressed. A zstd frame cannot have more than its header was
    /// given.
    pub(super) fn max_raw_bytes(self, form: ImageForm) -> u64 {
        match form {
            ImageForm::Compressed {
                options,
                raw_size: Some(size),
            } if options.format == Compression::Zstd && self.compression != Compression::None => {
                size.min(MAX_IMAGE_BYTES)
            }
            ImageForm::Compressed { .. } | ImageForm::Raw | ImageForm::AsBuilt => MAX_IMAGE_BYTES,
        }
    }

    /// Whether a file of this form is a zstd image whose header does not say the length of the raw image, `raw_size`,
    /// which imagers want to know.
    pub(super) fn lacks_size(self, form: ImageForm, raw_size: u64) -> bool {
        match form {
            ImageForm::Raw => false,
            // Of several frames each header has the size of its own content.
            ImageForm::AsBuilt => self.header_size.is_some_and(|size| size != raw_size),
            ImageForm::Compressed { options, raw_size } => {
                raw_size.is_none() && options.format == Compression::Zstd
            }
        }
    }
}
