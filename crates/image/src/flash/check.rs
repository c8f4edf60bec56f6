//! Compares the image with its sidecars while it is written.

use std::sync::mpsc::{Receiver, SyncSender};

use super::pieces::ImagePiece;
use super::source::{FlashSource, check_hash};
use crate::blockmap::{BlockMap, Builder, Checker, Mismatch};
use crate::checksum::{ChecksumTarget, Expected};
use sdbuild_core::failure::Failure;
use sdbuild_core::hash::Hasher;

/// The block map: the one beside the image, or one that is made of the pieces.
enum MapCheck {
    Compare(Checker),
    Build(Builder),
}

impl MapCheck {
    fn push(&mut self, piece: &ImagePiece) -> Result<(), Failure> {
        match (self, piece) {
            (Self::Compare(checker), ImagePiece::Data(_, buffer)) => {
                checker.push(buffer.bytes()).map_err(other_image)
            }
            (Self::Compare(checker), ImagePiece::Blank(_, count)) => {
                checker.blank(*count).map_err(other_image)
            }
            (Self::Build(builder), ImagePiece::Data(_, buffer)) => {
                builder.push(buffer.bytes());
                Ok(())
            }
            (Self::Build(builder), ImagePiece::Blank(_, count)) => {
                builder.blank(*count);
                Ok(())
            }
        }
    }

    fn finish(self) -> Result<BlockMap, Failure> {
        match self {
            Self::Compare(checker) => checker.finish().map_err(other_image),
            Self::Build(builder) => match builder.finish() {
                map if map.image_size == 0 => {
                    Err(Failure::usage("the image decompresses to nothing"))
                }
                map => Ok(map),
            },
        }
    }
}

/// Hashes the pieces and passes them on; fails at the first one that differs from the block map. Returns
/// the block map of the image.
pub(super) fn check(
    source: &FlashSource,
    pieces: &Receiver<Result<ImagePiece, Failure>>,
    checked: &SyncSender<ImagePiece>,
) -> Result<BlockMap, Failure> {
    let mut map = match &source.map {
        Some(map) => MapCheck::Compare(Checker::new(map.clone())),
        None => MapCheck::Build(Builder::new()),
    };
    let expected = source.expected.as_ref();
    let raw = expected.filter(|expected| expected.of == ChecksumTarget::Raw);
    let mut raw: Option<(&Expected, Hasher)> = raw.map(|expected| (expected, Hasher::new()));
    for piece in pieces {
        let piece = piece?;
        // A compressed image, the only one with a hash of its decompressed bytes, has no blank pieces.
        if let (Some((_, hasher)), ImagePiece::Data(_, buffer)) = (&mut raw, &piece) {
            hasher.update(buffer.bytes());
        }
        map.push(&piece)?;
        if checked.send(piece).is_err() {
            // The writer is gone, and reports its own failure.
            return Err(Failure::interrupted());
        }
    }
    if let Some((expected, hasher)) = raw {
        check_hash(expected, hasher.finish().sha256)?;
    }
    map.finish()
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn other_image(mismatch: Mismatch) -> Failure {
    let text = format!("the image does not match its block map: {mismatch}");
    Failure::usage(text)
        .hint("the image is damaged, or the block map beside it is of another image")
}
