//! What the files beside an image say of it, and whether they speak of the same image.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::blockmap::{self, BlockMap};
use crate::common::compression::Compression;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::plain_file;
use crate::image::Error;
use crate::image::checksum::{self, ChecksumTarget, Expected};
use crate::image::manifest::{self, ManifestInfo};

/// What is known of an image from its own bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageInfo {
    pub(super) compression: Compression,
    /// The file's length.
    pub(super) stored: u64,
    /// The least that the decompressed image can have.
    pub(super) least: u64,
}

/// What is known of it from the files beside it too.
#[derive(Debug)]
pub(super) struct Sidecars {
    /// The decompressed image's length; the least that it can be when no file tells it.
    pub(super) size: u64,
    pub(super) map: Option<BlockMap>,
    /// The hash that it must have.
    pub(super) expected: Option<Expected>,
}

impl Sidecars {
    /// Reads `<image>.bmap`, `<image>.json` and `<image>.sha256`; those that contradict the image or
    /// each other are refused.
    pub(super) fn read(image: &Path, own: ImageInfo) -> Result<Self, Failure> {
        let map = find_map(image, own.compression)?;
        let told = match manifest::read_info(image) {
            // Of a later sdbuild: what it says is not known here.
            Err(Error::Unsupported(_)) => None,
            told => told.map_err(|e| e.fail("read its manifest"))?,
        };
        if let Some((name, map)) = &map {
            own.fits(
                map.image_size,
                &format!("{} is the block map", name.display()),
            )?;
        }
        if let Some(told) = &told {
            let named = format!("{} is the manifest", told.file.display());
            if told.size != own.stored {
                return Err(incomplete(told, own.stored));
            }
            own.fits(told.raw_size, &named)?;
            if let Some((_, map)) = map.as_ref().filter(|(_, m)| m.image_size != told.raw_size) {
                let text = format!("the block map is of {} bytes", map.image_size);
                return Err(contradiction(told, &text));
            }
        }
        let listed = checksum::expected(image, own.compression);
        let listed = listed.map_err(|e| e.fail("read its hash"))?;
        let map = map.map(|(_, map)| map);
        let raw_size = told.as_ref().map(|told| told.raw_size);
        Ok(Self {
            size: map
                .as_ref()
                .map(|map| map.image_size)
                .or(raw_size)
                .unwrap_or(own.least),
            expected: expected(listed, told)?,
            map,
        })
    }
}

impl ImageInfo {
    /// Whether the image can have `size` bytes, as the file that is `named` says.
    fn fits(self, size: u64, named: &str) -> Result<(), Failure> {
        if self.least > size || (self.compression == Compression::None && self.least != size) {
            return Err(another(named, size, self.least));
        }
        Ok(())
    }
}

/// The hash of the list, else that of the manifest.
fn expected(
    listed: Option<Expected>,
    told: Option<ManifestInfo>,
) -> Result<Option<Expected>, Failure> {
    let Some(told) = told else {
        return Ok(listed);
    };
    let Some(listed) = listed else {
        return Ok(Some(Expected {
            list: told.file,
            hash: told.sha256,
            of: ChecksumTarget::File,
        }));
    };
    let same = match listed.of {
        ChecksumTarget::File => listed.hash == told.sha256,
        ChecksumTarget::Raw => listed.hash == told.raw_sha256,
    };
    if same {
        return Ok(Some(listed));
    }
    let text = format!("{} tells another hash", listed.list.display());
    Err(contradiction(&told, &text))
}

fn another(named: &str, size: u64, own: u64) -> Failure {
    let text = format!("{named} of another image: that has {size} bytes, this one {own}");
    Failure::usage(text).hint("remove it, or put the right one beside the image")
}

fn incomplete(told: &ManifestInfo, stored: u64) -> Failure {
    let (name, size) = (told.file.display(), told.size);
    let text = format!("the image's file has {stored} bytes, but {name} tells of {size}");
    Failure::usage(text).hint("it is incomplete, or the manifest is that of another image")
}

fn contradiction(told: &ManifestInfo, what: &str) -> Failure {
    let text = format!(
        "{} contradicts what lies beside it: {what}",
        told.file.display()
    );
    Failure::usage(text).hint("remove the one that is of another image")
}

/// The block map beside the image: by its whole name, or without the ending of the compression.
fn find_map(
    image: &Path,
    compression: Compression,
) -> Result<Option<(PathBuf, BlockMap)>, Failure> {
    let whole = image.as_os_str().to_owned();
    let stem = image.with_extension("").into_os_string();
    let names = match compression {
        Compression::None => vec![whole],
        Compression::Zstd | Compression::Xz | Compression::Gzip => vec![whole, stem],
    };
    for name in names.into_iter().map(|name| with(name, ".bmap")) {
        let operation = format!("read the block map {}", name.display());
        let text = match plain_file::read_text(&name, blockmap::LONGEST) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            text => text.or_usage(&operation)?,
        };
        let map = BlockMap::parse(&text).or_usage(operation)?;
        return Ok(Some((name, map)));
    }
    Ok(None)
}

fn with(mut name: OsString, ending: &str) -> PathBuf {
    name.push(ending);
    name.into()
}
