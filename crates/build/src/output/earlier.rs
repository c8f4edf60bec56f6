//! The image that an earlier build left under the name of the new one: whether the same configuration made it, and whether
//! it is the new one already, both by the manifest beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use std::{fs, io};

use crate::output::manifest::{EarlierManifest, Provenance};
use crate::output::request::{Image, OutputSettings};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::CompressionOptions;
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::FileVersion;
use sdbuild_core::untrusted;
use sdbuild_image::image_name::Sidecar;
use sdbuild_image::sidecars::{MAX_MANIFEST_BYTES, VERSION};
use sdbuild_image::{ImageFile, ImageKind};

/// An image with its manifest.
#[derive(Debug)]
pub(super) struct EarlierImage {
    fields: EarlierManifest,
    manifest: String,
    version: FileVersion,
}

impl EarlierImage {
    /// The image `name` in `dir` if it is as the manifest beside it says, to the last byte; `None` for anything else.
    pub(super) fn read(dir: &Path, name: &str, cancel: &Cancel) -> Option<Self> {
        Self::described(dir, name)?.verified(dir, cancel)
    }

    /// What the manifest beside the image `name` says.
    fn described(dir: &Path, name: &str) -> Option<Self> {
        let file = Sidecar::Manifest.path(&dir.join(name));
        let manifest = plain_file::read_text(&file, MAX_MANIFEST_BYTES).ok()?;
        let fields: EarlierManifest = untrusted::json(&manifest).ok()?;
        let is_of_image = fields.version == VERSION && fields.image.name == name;
        let version = FileVersion::of(&fs::metadata(dir.join(name)).ok()?);
        is_of_image.then_some(Self {
            fields,
            manifest,
            version,
        })
    }

    /// The image if it is as described.
    fn verified(self, dir: &Path, cancel: &Cancel) -> Option<Self> {
        let image = &self.fields.image;
        let file = ImageFile::open(&dir.join(&image.name), ImageKind::File).ok()?;
        let is_same = image.size == file.size && file.sha256(cancel, &|_| {}).ok()? == image.sha256;
        is_same.then_some(self)
    }

    /// Whether the same evaluation led to it, with the same emulator.
    fn is_of_evaluation(&self, origin: &Provenance) -> bool {
        let key = self.fields.configuration.evaluation;
        let registrar = self.fields.registrar.as_ref();
        let registrar = registrar.map(|image| image.reference.as_str());
        let wanted = origin.registrar.as_ref();
        key.is_some()
            && key == origin.configuration.evaluation
            && registrar == wanted.map(|image| image.reference.as_str())
    }

    /// It and its sidecars, as what may be replaced.
    pub(super) fn replaceable(self) -> Replaceable {
        Replaceable::Earlier {
            sidecars: self.sidecars(),
            image: self.fields.image.name,
            version: self.version,
        }
    }

    /// The hashes of its sidecars by their names.
    fn sidecars(&self) -> BTreeMap<String, Sha256Hash> {
        let recorded = self.fields.sidecars.iter();
        let recorded = recorded.map(|file| (file.name.clone(), file.sha256));
        let manifest = Sidecar::Manifest.name(&self.fields.image.name);
        let manifest = (manifest, Sha256Hash::of(self.manifest.as_bytes()));
        recorded.chain([manifest]).collect()
    }

    /// Whether it has all of these sidecars, as they were written.
    pub(super) fn has_whole(&self, dir: &Path, mut wanted: impl Iterator<Item = Sidecar>) -> bool {
        let recorded = self.sidecars();
        wanted.all(|sidecar| {
            let name = sidecar.name(&self.fields.image.name);
            let found = hash_of_sidecar(&dir.join(&name)).ok();
            found.is_some() && found.as_ref() == recorded.get(&name)
        })
    }

    /// Whether it was made from the same configuration as `origin`, at whatever time.
    pub(super) fn is_of(&self, origin: &Provenance) -> bool {
        is_one_owner(&self.fields.configuration.id, &origin.configuration.id)
    }

    /// Whether the same result was written in the same way.
    pub(super) fn is_result(&self, origin: &Provenance, how: CompressionOptions) -> bool {
        self.fields.result.store_path == origin.result.store_path && self.is_written(how)
    }

    /// Whether this version of sdbuild wrote it in this way.
    fn is_written(&self, how: CompressionOptions) -> bool {
        let image = &self.fields.image;
        self.fields.sdbuild == env!("CARGO_PKG_VERSION")
            && image.compression == how.format
            && image.level == how.level
    }

    /// The image as a result of this run, whose manifest gets the time at which the run read the configuration: who compares the
    /// image with the files of the configuration sees that it is up to date.
    pub(super) fn into_image(self, dir: &Path, configuration_read: SystemTime) -> Image {
        let EarlierManifest { image, raw, .. } = self.fields;
        let manifest = Sidecar::Manifest.path(&dir.join(&image.name));
        let dated =
            plain_file::open(&manifest).and_then(|file| file.set_modified(configuration_read));
        // It may be another user's.
        dated.ok();
        Image {
            path: dir.join(image.name),
            size: image.size,
            sha256: image.sha256,
            raw_size: raw.size,
            manifest: self.manifest,
            up_to_date: true,
        }
    }
}

/// An image in the output directory that is what a build would write.
#[derive(Debug)]
pub(crate) struct UnchangedImage {
    earlier: EarlierImage,
    dir: PathBuf,
    configuration_read: SystemTime,
}

impl UnchangedImage {
    /// The image as the result of this run, which its manifest shows from now on.
    pub(crate) fn into_image(self) -> Image {
        self.earlier.into_image(&self.dir, self.configuration_read)
    }
}

/// An image in the output directory that is what a build would write, known without evaluating anything: `origin` names the
/// build's configuration, the key of its evaluation, and its registrar. The build began to read the configuration at
/// `configuration_read`. Every byte of the image is read. Blocks.
pub(crate) fn unchanged(
    settings: &OutputSettings,
    origin: &Provenance,
    configuration_read: SystemTime,
    cancel: &Cancel,
) -> Option<UnchangedImage> {
    // A list for Imager names the place where the image will be published, which may be another one now.
    if settings.force || settings.imager.is_some() {
        return None;
    }
    let sidecars = || Sidecar::ALL.into_iter().filter(|one| settings.has(*one));
    let entries = fs::read_dir(&settings.dir).ok()?.flatten();
    let mut images = entries.filter_map(|entry| {
        let name = entry.file_name();
        let image = Sidecar::Manifest.image(name.to_str()?)?;
        let earlier = EarlierImage::described(&settings.dir, image)?;
        let is_same = earlier.is_of_evaluation(origin)
            && earlier.is_of(origin)
            && earlier.is_written(settings.compression)
            && earlier.has_whole(&settings.dir, sidecars());
        is_same.then(|| earlier.verified(&settings.dir, cancel))?
    });
    Some(UnchangedImage {
        earlier: images.next()?,
        dir: settings.dir.clone(),
        configuration_read,
    })
}

/// The other images in the directory of `new` that its configuration made in the same format and with the same compression, by name and
/// size: their host name or release was another one.
pub fn older_images(new: &Image) -> Vec<(String, u64)> {
    let path = &new.path;
    let (Some(dir), Ok(of_new)) = (
        path.parent(),
        untrusted::json::<EarlierManifest>(&new.manifest),
    ) else {
        return Vec::new();
    };
    let owner = &of_new.configuration.id;
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let others = entries.filter_map(|entry| {
        let name = entry.file_name();
        let image = Sidecar::Manifest.image(name.to_str()?)?;
        let earlier = EarlierImage::described(dir, image)?;
        let is_alike = Path::new(image).extension() == path.extension()
            && earlier.fields.format == of_new.format;
        let is_other =
            !path.ends_with(image) && is_one_owner(&earlier.fields.configuration.id, owner);
        (is_other && is_alike).then(|| (image.to_owned(), earlier.fields.image.size))
    });
    others.collect()
}

/// Whether both ids of manifests (`ID-NAME-HOST`) are of one configuration. One without a name is the only one of its source, so it is
/// the one with a name; one without a host name was built with the name that the configuration gives.
fn is_one_owner(one: &str, other: &str) -> bool {
    let (mut one, mut other) = (one.split('-'), other.split('-'));
    let is_one_source = one.next().filter(|id| !id.is_empty()) == other.next();
    let mut rest = one.zip(other);
    is_one_source && rest.all(|(one, other)| one.is_empty() || other.is_empty() || one == other)
}

/// Bytes of a sidecar that are read. The longest are block maps, with some 70 bytes for each range of an image.
const MAX_SIDECAR_BYTES: u64 = 64 << 20;

/// Which files that have the names of a new image and its sidecars may be replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Replaceable {
    /// None.
    Nothing,
    /// All (`--force`).
    Anything,
    /// An image that was looked at, minutes ago, with its sidecars.
    Earlier {
        /// The name of the image.
        image: String,
        /// Identity of the file when it was examined.
        version: FileVersion,
        /// The hashes of its sidecars by their names.
        sidecars: BTreeMap<String, Sha256Hash>,
    },
}

impl Replaceable {
    /// Whether the file `name` in `dir`, an image or a sidecar, may be replaced now: what is not there may be written.
    pub(super) fn allows(&self, dir: &Path, name: &str) -> bool {
        let path = dir.join(name);
        let is_known = match self {
            Self::Nothing => return false,
            Self::Anything => return true,
            Self::Earlier { image, version, .. } if name == image => {
                fs::metadata(path).map(|found| FileVersion::of(&found) == *version)
            }
            Self::Earlier { sidecars, .. } => {
                hash_of_sidecar(&path).map(|hash| sidecars.get(name) == Some(&hash))
            }
        };
        is_known.unwrap_or_else(|error| error.kind() == io::ErrorKind::NotFound)
    }
}

/// The hash of the sidecar at `path`. An error of the kind `NotFound` if there is none.
pub(super) fn hash_of_sidecar(path: &Path) -> io::Result<Sha256Hash> {
    plain_file::read(path, MAX_SIDECAR_BYTES).map(|bytes| Sha256Hash::of(&bytes))
}

#[cfg(test)]
mod tests;
