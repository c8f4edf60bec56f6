//! What is reported to the user when an image cannot be copied out.

use std::fmt;
use std::io;
use std::path::Path;

use super::publish::PublishError;
use super::stages::StageError;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_engine::STILL_RUNS;

/// A failure of the build: its result is not an image that can be used.
pub(super) fn unusable_result(text: impl fmt::Display) -> Failure {
    Failure::message(Class::Build, text)
}

/// Why the image `name`, which has `size` bytes, was not copied to `dir`.
pub(super) fn stages_failed(error: StageError, size: u64, name: &str, dir: &Path) -> Failure {
    match error {
        StageError::Source(error) => {
            Failure::new(Class::Environment, error).context("read the image from the engine")
        }
        StageError::WrongSize(received) => {
            let text = format!("the engine sent {received} of the image's {size} bytes");
            Failure::environment(text).hint(STILL_RUNS)
        }
        StageError::Decompress(error) => Failure::new(Class::Build, error)
            .context(format!("decompress the image that was built, {name}")),
        StageError::TooLarge => unusable_result(format!(
            "the image that was built, {name}, decompresses to more than its header says, or than an image may have"
        ))
        .hint("let the build leave its image uncompressed: sdImage.compressImage = false"),
        StageError::Target(error) => write_failed(dir, error),
        StageError::Cancelled => Failure::interrupted(),
        StageError::ReceiverGone | StageError::Panicked => {
            Failure::message(Class::Internal, "a stage of the copy failed without a reason")
        }
    }
}

/// Why an image that was written was not published in `dir`.
pub(super) fn publish_failed(error: PublishError, dir: &Path) -> Failure {
    let (name, error) = match error {
        PublishError::Interrupted => return Failure::interrupted(),
        PublishError::Name { name, error } => (name, error),
        PublishError::NotRestored {
            name,
            error,
            displaced,
        } => {
            let failure = publish_failed(PublishError::Name { name, error }, dir);
            return displaced.into_iter().fold(failure, |failure, file| {
                let (name, now) = (dir.join(file.name), dir.join(file.now));
                let (name, now) = (name.display(), now.display());
                failure.hint(format!("the previous {name} is now {now}; rename it"))
            });
        }
    };
    let file = dir.join(name);
    let path = file.display().to_string();
    if error.kind() == io::ErrorKind::AlreadyExists {
        let mut failure = Failure::usage(format!(
            "{path} already exists and was not written by a build of this configuration"
        ))
        .hint("give --force to replace it, or --output for another directory")
        .hint("the result is kept, so the next run takes seconds");
        failure.in_the_way = Some(file.into());
        return failure;
    }
    if error.kind() == io::ErrorKind::IsADirectory {
        return Failure::usage(format!(
            "{path} is a directory, which --force does not replace"
        ))
        .hint("give --output for another directory; the next run takes seconds");
    }
    write_failed(dir, error)
}

/// Why nothing could be written to `dir`.
pub(super) fn write_failed(dir: &Path, error: io::Error) -> Failure {
    let kind = error.kind();
    let hint = if matches!(
        kind,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    ) {
        "free some space there, or give --output for another directory; the next run takes seconds"
    } else if kind == io::ErrorKind::FileTooLarge {
        "the file system there does not support files that large (FAT ends at 4 GiB); give --output for another directory"
    } else {
        "give --output for a directory that can be written to; the next run takes seconds"
    };
    Failure::new(Class::Environment, error)
        .context(format!("write the image to {}", dir.display()))
        .hint(hint)
}
