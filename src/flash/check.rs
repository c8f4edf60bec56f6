//! Whether the image is the one that the files beside it describe, while it goes by.

use std::sync::mpsc::{Receiver, SyncSender};

use sha2::{Digest as _, Sha256};

use super::pieces::Piece;
use super::source::Source;
use crate::blockmap::{BlockMap, Builder, Checker, Mismatch};
use crate::common::failure::Failure;
use crate::image::checksum::{ChecksumTarget, Expected};

/// What pieces are compared with.
enum Against {
    Map(Checker),
    Nothing(Builder),
}

/// Hashes what comes and passes it on; stops at what is not the image's.
pub(super) fn check(
    source: &Source,
    read: &Receiver<Result<Piece, Failure>>,
    checked: &SyncSender<Piece>,
) -> Result<BlockMap, Failure> {
    let mut against = match &source.map {
        Some(map) => Against::Map(Checker::new(map.clone())),
        None => Against::Nothing(Builder::new()),
    };
    let raw = source
        .expected
        .as_ref()
        .filter(|e| e.of == ChecksumTarget::Raw);
    let mut raw: Option<(&Expected, Sha256)> = raw.map(|e| (e, Sha256::new()));
    for piece in read {
        let piece = piece?;
        if let (Some((_, hash)), Piece::Data(_, buffer)) = (&mut raw, &piece) {
            hash.update(buffer.bytes());
        }
        match (&mut against, &piece) {
            (Against::Map(map), Piece::Data(_, buffer)) => {
                map.push(buffer.bytes()).or_else(other)?;
            }
            (Against::Map(map), Piece::Blank(_, count)) => map.blank(*count).or_else(other)?,
            (Against::Nothing(map), Piece::Data(_, buffer)) => map.push(buffer.bytes()),
            (Against::Nothing(map), Piece::Blank(_, count)) => map.blank(*count),
        }
        if checked.send(piece).is_err() {
            // The writer has a reason of its own.
            return Err(Failure::interrupted());
        }
    }
    if let Some((expected, hash)) = raw {
        expected.matches(hash)?;
    }
    match against {
        Against::Map(map) => map.finish().or_else(other),
        Against::Nothing(map) => match map.finish() {
            map if map.image_size == 0 => Err(Failure::usage("the image decompresses to nothing")),
            map => Ok(map),
        },
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `or_else` hands it over")]
fn other<T>(mismatch: Mismatch) -> Result<T, Failure> {
    let hint = "the image is damaged, or the block map beside it is that of another image";
    Err(Failure::usage(format!(
        "the image is not the one of its block map: {mismatch}"
    ))
    .hint(hint))
}
