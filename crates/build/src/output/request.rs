//! What is copied out, where to, and what came of it.

use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use jiff::Timestamp;

use crate::output::manifest::Provenance;
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::Board;
use sdbuild_image::image_format::Format;
use sdbuild_image::image_name::Sidecar;

/// Where and how the image is written.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// The format of the image.
    pub format: Format,
    /// The output directory.
    pub dir: PathBuf,
    /// Replace files that have the name of the image or of a sidecar.
    pub force: bool,
    /// Images that are not replaced even so: those of other configurations that the same command built.
    pub kept: Vec<PathBuf>,
    /// The user and group of the files, if they are not the process's: those of the user who ran `sudo`.
    pub owner: Option<(u32, u32)>,
    /// Whether only its owner may read the image, as its configuration: it has what is secret there, such as the key of a wireless
    /// network.
    pub is_private: bool,
    /// Compression of the image.
    pub compression: CompressionOptions,
    /// Where the list for Raspberry Pi Imager says that the image is; without it there is no such list.
    pub imager: Option<ImagerUrl>,
    /// The board that the image is for, if it is for one in particular.
    pub board: Option<&'static Board>,
    /// The time of creation that is written into the sidecars.
    pub created: Timestamp,
}

impl OutputSettings {
    /// Whether the image gets this sidecar.
    pub(super) fn has(&self, sidecar: Sidecar) -> bool {
        match sidecar {
            Sidecar::Checksum | Sidecar::Manifest => true,
            Sidecar::BlockMap => self.format.row().is_disk,
            Sidecar::ImagerList => self.imager.is_some(),
        }
    }
}

/// Where the list for Raspberry Pi Imager says that the image is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImagerUrl {
    /// In the output directory.
    OutputDir,
    /// Below this address, where the directory will be published.
    Below(String),
}

/// An image that is to be copied out of its builder.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// Output directory, compression and sidecars.
    pub settings: OutputSettings,
    /// What the manifest says about its origin.
    pub origin: Provenance,
    /// How long the phases before took.
    pub timings: Timings,
    /// When the build began to read the configuration, which becomes the manifest's time of modification: what is changed after that is
    /// not in the image.
    pub configuration_read: SystemTime,
}

/// An image that was published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The image file.
    pub path: PathBuf,
    /// The length of the file in bytes.
    pub size: u64,
    /// SHA-256 of the file.
    pub sha256: Sha256Hash,
    /// The length of the decompressed image in bytes.
    pub raw_size: u64,
    /// The content of the manifest beside it.
    pub manifest: String,
    /// Whether an earlier build wrote it, and nothing was written now.
    pub up_to_date: bool,
}

/// The reasons why no image can be written to `dir`, which is created then if it is missing; empty if there are none.
/// Leaves nothing behind.
pub(crate) fn preflight(dir: &Path) -> Vec<Failure> {
    let nearest = nearest_existing(dir);
    let shown = nearest.display();
    let failure = match fs::metadata(nearest) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => {
            Failure::usage(format!("the output directory {shown} is a dangling link"))
                .hint("--output names the directory that the image is written to")
        }
        Err(e) => {
            Failure::new(Class::Usage, e).context(format!("look at the output directory {shown}"))
        }
        Ok(meta) if !meta.is_dir() => {
            Failure::usage(format!("the output {shown} is not a directory"))
                .hint("--output names the directory that the image is written to")
        }
        Ok(_) => match try_to_write(nearest) {
            Ok(()) => return Vec::new(),
            Err(e) => Failure::new(class(&e), e)
                .context(if nearest == dir {
                    format!("write to the output directory {shown}")
                } else {
                    let missing = dir.display();
                    format!("create the output directory {missing}: write to {shown}")
                })
                .hint("name another directory with --output"),
        },
    };
    vec![failure]
}

/// Creates a file in `dir` that is gone at once; the system's reason where that is impossible. The permissions of a directory do not
/// tell: the file system of `/proc`, for one, has directories that root may write to and that take no file.
pub(crate) fn try_to_write(dir: &Path) -> io::Result<()> {
    tempfile::tempfile_in(dir).map(drop)
}

/// `dir`, or the nearest directory above it that exists.
fn nearest_existing(dir: &Path) -> &Path {
    match fs::symlink_metadata(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound && dir.parent().is_some() => {
            nearest_existing(parent_dir(dir))
        }
        Ok(_) | Err(_) => dir,
    }
}

/// The class of a failure to create a file.
fn class(error: &io::Error) -> Class {
    let is_full = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
    if is_full.contains(&error.kind()) {
        Class::Environment
    } else {
        Class::Usage
    }
}

#[cfg(test)]
mod tests;
