//! The blocking half of copying out: a tar stream in; an image and its sidecars out.

use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Instant;

use jiff::Timestamp;

use super::copy_out::{only_file, refuse};
use super::encode::suffix;
use super::image_writer::{ImageShape, ImageWriter};
use super::imager::{self, Imager};
use super::manifest::{ImageSummary, Manifest, Provenance};
use super::pending_file::{PendingFile, sweep};
use super::product::Product;
use super::publish::{NamedFile, NamedSidecar, Publisher, check_name, remove_orphans};
use super::sidecar::Sidecar;
use super::stages::{StageInput, StageOutput, run_stages};
use super::wording::{cannot_write, failed, not_published};
use crate::common::cancel::Cancel;
use crate::common::compression::{Compression, CompressionOptions};
use crate::common::event::{Events, Phase, Timings};
use crate::common::failure::{Failure, OrFail};
use crate::common::hash::Sha256Hash;
use crate::common::image_format::ImageFormat;

/// The largest image: the largest cards hold a little more, no system does.
pub(super) const LARGEST: u64 = 256 << 30;
/// A zstd frame's header is no longer (RFC 8878: magic, descriptor, window, dictionary, size).
const FRAME_HEADER: u64 = 18;

/// Where the image goes, and as what.
#[derive(Clone, Debug)]
pub struct OutputSettings {
    /// The output directory.
    pub dir: PathBuf,
    /// Replace what has the image's name, or that of a sidecar.
    pub force: bool,
    /// The user who ran `sudo`.
    pub owner: Option<(u32, u32)>,
    /// How it is compressed.
    pub compression: CompressionOptions,
    /// A list for Raspberry Pi Imager.
    pub imager: Option<Imager>,
    /// The moment that counts as now in what is written.
    pub created: Timestamp,
}

/// An image to be copied out, and what its manifest tells.
#[derive(Clone, Debug)]
pub struct CopyRequest {
    /// The kind of image that was built.
    pub format: &'static ImageFormat,
    /// Where to.
    pub settings: OutputSettings,
    /// What went into it.
    pub origin: Provenance,
    /// How long the phases before took.
    pub timings: Timings,
}

/// An image that is there, whole and on disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// The file.
    pub path: PathBuf,
    /// Its length.
    pub size: u64,
    /// SHA-256 of its content.
    pub sha256: Sha256Hash,
    /// The image's length when it is not compressed.
    pub raw_size: u64,
    /// The manifest beside it, as it is written there.
    pub manifest: String,
}

/// What is to be written, by whom.
pub(super) struct Copy {
    product: Product,
    order: CopyRequest,
    cancel: Cancel,
    events: Events,
    start: Instant,
}

impl Copy {
    pub(super) fn new(
        product: Product,
        order: &CopyRequest,
        (cancel, events): (&Cancel, &Events),
    ) -> Self {
        Self {
            product,
            order: order.clone(),
            cancel: cancel.clone(),
            events: events.clone(),
            start: Instant::now(),
        }
    }

    /// The image's name.
    fn name(&self) -> String {
        let format = self.order.settings.compression.format;
        format!("{}{}", self.product.name, suffix(format))
    }

    /// Whether the image gets this sidecar.
    fn has(&self, sidecar: Sidecar) -> bool {
        sidecar != Sidecar::ImagerList || self.order.settings.imager.is_some()
    }

    /// Removes what killed runs left in the output directory, and checks that the image and its sidecars may get
    /// their names.
    pub(super) fn prepare(&self) -> Result<(), Failure> {
        let (settings, image) = (&self.order.settings, self.name());
        sweep(&settings.dir);
        remove_orphans(&settings.dir);
        let sidecars = Sidecar::ALL.into_iter().filter(|one| self.has(*one));
        let sidecars = sidecars.map(|sidecar| sidecar.name(&image));
        let mut names = std::iter::once(image.clone()).chain(sidecars);
        let checked = names.try_for_each(|name| check_name(&settings.dir, &name, settings.force));
        checked.map_err(|error| not_published(error, &settings.dir))
    }

    /// Writes and publishes everything.
    pub(super) fn write(&self, stream: impl Read) -> Result<Image, Failure> {
        let mut archive = tar::Archive::new(stream);
        let (mut entry, size) = only_file(&mut archive)?;
        if size > LARGEST {
            return Err(refuse(format!(
                "the image is too large: {size} bytes, {LARGEST} at most"
            )));
        }
        let mut head = Vec::new();
        let read = entry.by_ref().take(FRAME_HEADER).read_to_end(&mut head);
        read.or_environment("read the image from the engine")?;
        let frame = frame_size(self.product.packed, &head);
        let target = self.create_file()?;
        let shape = self.shape(size, frame);
        let store = ImageWriter {
            file: target.file(),
            shape,
        };
        self.fits(size, store.shape, &target)?;
        let tell = |done| self.events.bytes(Phase::CopyOut, done, Some(size));
        let work = StageInput {
            size,
            packed: self.product.packed,
            limit: limit(shape, self.product.packed),
            store,
            cancel: &self.cancel,
            tell: &tell,
        };
        let poured = run_stages(head.as_slice().chain(entry), &work)
            .map_err(|why| failed(why, size, (&self.product, &self.order.settings.dir)))?;
        if poured.ends.len() == 0 {
            return Err(refuse("the image that was built is empty"));
        }
        self.warn_of_unknown_size(shape, (frame, poured.ends.len()));
        self.publish(target, &poured)
    }

    /// What the file becomes, where the engine sends `size` bytes and the build's own frame, if it has
    /// one, says how many are in it.
    fn shape(&self, size: u64, frame: Option<u64>) -> ImageShape {
        let (packed, how) = (self.product.packed, self.order.settings.compression);
        let sized = packed != Compression::Zstd || frame.is_some();
        match (packed, how.format) {
            (_, Compression::None) => ImageShape::Sparse,
            (Compression::None, _) => ImageShape::Packed(how, Some(size)),
            // A level that was asked for is not this one.
            (one, other) if one == other && how.level.is_none() && sized => ImageShape::AsItCame,
            (_, _) => ImageShape::Packed(how, frame),
        }
    }

    /// Has a file system refuse at once what is too long for it: on FAT a file ends at 4 GiB.
    fn fits(&self, size: u64, shape: ImageShape, target: &PendingFile) -> Result<(), Failure> {
        if shape != ImageShape::Sparse || u32::try_from(size).is_ok() {
            return Ok(());
        }
        let made = target.file().set_len(size);
        made.map_err(|e| cannot_write(&self.order.settings.dir, e))
    }

    /// Creates a file in the output directory that belongs to the user.
    fn create_file(&self) -> Result<PendingFile, Failure> {
        let dir = &self.order.settings.dir;
        let target = PendingFile::create(dir).map_err(|e| cannot_write(dir, e))?;
        if let Some(owner) = self.order.settings.owner
            && let Err(error) = target.set_owner(owner)
        {
            self.events.warn(format!("the image stays root's: {error}"));
        }
        Ok(target)
    }

    /// Says when a zstd image cannot tell its length, which imagers want to know.
    fn warn_of_unknown_size(&self, shape: ImageShape, (frame, size): (Option<u64>, u64)) {
        let unknown = match shape {
            ImageShape::AsItCame => frame.is_some_and(|told| told != size),
            ImageShape::Packed(how, None) => how.format == Compression::Zstd,
            ImageShape::Packed(_, Some(_)) | ImageShape::Sparse => false,
        };
        if unknown {
            let text =
                "the image's length is not in its zstd header: some imagers show no progress";
            self.events.warn(text);
        }
    }

    /// Writes the sidecars and publishes everything.
    fn publish(&self, file: PendingFile, poured: &StageOutput) -> Result<Image, Failure> {
        let (settings, name) = (&self.order.settings, self.name());
        let about = ImageSummary {
            name: &name,
            compression: settings.compression.format,
            poured,
            created: settings.created,
        };
        let manifest = self.manifest(about)?;
        let (mut sidecars, mut obsolete) = (Vec::new(), Vec::new());
        for sidecar in Sidecar::ALL {
            if let Some(text) = self.text(sidecar, about, &manifest)? {
                sidecars.push(self.sidecar(sidecar.name(&name), &text)?);
            } else {
                obsolete.push(sidecar.name(&name));
            }
        }
        let publisher = Publisher {
            dir: &settings.dir,
            force: settings.force,
            owner: settings.owner,
            obsolete,
            cancel: &self.cancel,
        };
        let image = NamedFile {
            name: name.clone(),
            file,
        };
        let result = publisher.publish(image, sidecars);
        result.map_err(|error| not_published(error, &settings.dir))?;
        Ok(Image {
            path: settings.dir.join(name),
            size: poured.written.size,
            sha256: poured.written.sha256,
            raw_size: poured.ends.len(),
            manifest,
        })
    }

    fn manifest(&self, about: ImageSummary<'_>) -> Result<String, Failure> {
        let timings = &self.order.timings;
        timings.add(Phase::CopyOut, self.start.elapsed());
        let watch = (timings, &self.cancel);
        json(&Manifest::new(about, &self.order.origin, watch))
    }

    /// The content of a sidecar; `None` if the image does not get it.
    fn text(
        &self,
        sidecar: Sidecar,
        about: ImageSummary<'_>,
        manifest: &str,
    ) -> Result<Option<String>, Failure> {
        Ok(Some(match sidecar {
            Sidecar::Checksum => format!("{}  {}\n", about.poured.written.sha256, about.name),
            Sidecar::BlockMap => about.poured.map.to_xml(),
            Sidecar::Manifest => manifest.to_owned(),
            Sidecar::ImagerList => match &self.order.settings.imager {
                Some(imager) => json(&imager::list(about, imager, &self.order))?,
                None => return Ok(None),
            },
        }))
    }

    fn sidecar(&self, name: String, text: &str) -> Result<NamedSidecar, Failure> {
        let file = self.create_file()?;
        let written = io::Write::write_all(&mut file.file(), text.as_bytes());
        written.map_err(|e| cannot_write(&self.order.settings.dir, e))?;
        Ok(NamedSidecar {
            file: NamedFile { name, file },
            sha256: Sha256Hash::of(text.as_bytes()),
        })
    }
}

/// Bytes that may come out of what the build compressed. A length that has been promised to zstd holds.
fn limit(shape: ImageShape, packed: Compression) -> u64 {
    match shape {
        ImageShape::Packed(how, Some(size))
            if how.format == Compression::Zstd && packed != Compression::None =>
        {
            size.min(LARGEST)
        }
        ImageShape::Packed(..) | ImageShape::Sparse | ImageShape::AsItCame => LARGEST,
    }
}

/// What a zstd frame says of its content's length.
fn frame_size(packed: Compression, head: &[u8]) -> Option<u64> {
    let zstd = (packed == Compression::Zstd).then_some(head)?;
    zstd::zstd_safe::get_frame_content_size(zstd).ok().flatten()
}

fn json(value: &impl serde::Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).or_internal("write JSON")?;
    Ok(format!("{text}\n"))
}

#[cfg(test)]
mod tests;
