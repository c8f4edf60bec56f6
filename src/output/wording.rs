//! What went wrong on the way out, for people.

use std::io;
use std::path::Path;

use super::copy_out::refuse;
use super::product::Product;
use super::publish::PublishError;
use super::stages::StageError;
use crate::common::failure::{Class, Failure};

/// Why the image is not whole.
pub(super) fn failed(trouble: StageError, size: u64, (product, dir): (&Product, &Path)) -> Failure {
    match trouble {
        StageError::Source(error) => Failure::new(Class::Environment, error)
            .context("read the image from the engine"),
        StageError::Short(came) => {
            let text = format!("the engine sent {came} of the image's {size} bytes");
            Failure::environment(text).hint("check that the engine still runs: `docker info`")
        }
        StageError::Packed(error) => Failure::new(Class::Build, error)
            .context(format!("unpack the image that was built, {}", product.packed_name())),
        StageError::TooLarge => refuse(format!(
            "the image that was built, {}, unpacks to more than its header says, or than any image has",
            product.packed_name()
        ))
        .hint("have the build leave its image uncompressed: sdImage.compressImage = false"),
        StageError::Target(error) => cannot_write(dir, error),
        StageError::Stopped => Failure::interrupted(),
        StageError::Gone | StageError::Panicked => {
            Failure::message(Class::Internal, "a stage of the copy failed without a reason")
        }
    }
}

/// Why a whole image was not published in `dir`.
pub(super) fn not_published(error: PublishError, dir: &Path) -> Failure {
    let (name, error) = match error {
        PublishError::Interrupted => return Failure::interrupted(),
        PublishError::Name { name, error } => (name, error),
    };
    let place = dir.join(name);
    let shown = place.display();
    if error.kind() == io::ErrorKind::AlreadyExists {
        return Failure::usage(format!("{shown} exists already"))
            .hint("give --force to replace it, or --output for another directory")
            .hint("nothing is lost: the result is kept, and the next run takes seconds");
    }
    if error.kind() == io::ErrorKind::IsADirectory {
        return Failure::usage(format!(
            "{shown} is a directory, which --force does not replace"
        ))
        .hint("give --output for another directory; the next run takes seconds");
    }
    cannot_write(dir, error)
}

/// What the output directory has against an image.
pub(super) fn cannot_write(dir: &Path, error: io::Error) -> Failure {
    let kind = error.kind();
    let hint = if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        "free some space there, or give --output for another directory; the next run takes seconds"
    } else if kind == io::ErrorKind::FileTooLarge {
        "the file system there has no files that large (FAT ends at 4 GiB): give --output for another directory"
    } else {
        "give --output for a directory that can be written to; the next run takes seconds"
    };
    Failure::new(Class::Environment, error)
        .context(format!("write the image to {}", dir.display()))
        .hint(hint)
}
