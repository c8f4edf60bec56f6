//! The image that an earlier build left under the name of the new one: whether the same configuration made it, and whether
//! it is the new one already, both by the manifest beside it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::Deserialize;

use super::image_owner::ImageOwnerId;
use super::manifest::{Provenance, SidecarHash};
use super::replaceable::{Replaceable, hash_of_sidecar};
use super::request::{Image, OutputSettings};
use crate::common::cancel::Cancel;
use crate::common::compression::CompressionOptions;
use crate::common::hash::Sha256Hash;
use crate::common::image_name::Sidecar;
use crate::common::plain_file::{self, FileVersion};
use crate::image::manifest::{MAX_MANIFEST_BYTES, VERSION};
use crate::image::{ImageFile, ImageKind};

/// An image with its manifest.
#[derive(Debug)]
pub(super) struct EarlierImage {
    fields: Fields,
    manifest: String,
    version: FileVersion,
}

/// The fields of a manifest that matter here.
#[derive(Debug, Deserialize)]
struct Fields {
    version: u32,
    sdbuild: String,
    registrar: Option<Registrar>,
    configuration: Configuration,
    result: Built,
    image: File,
    raw: Raw,
    #[serde(default)]
    sidecars: Vec<SidecarHash>,
}

#[derive(Debug, Deserialize)]
struct Registrar {
    reference: String,
}

#[derive(Debug, Deserialize)]
struct Configuration {
    id: ImageOwnerId,
    evaluation: Option<Sha256Hash>,
}

#[derive(Debug, Deserialize)]
struct Built {
    store_path: String,
}

#[derive(Debug, Deserialize)]
struct File {
    name: String,
    compression: serde_json::Value,
    level: Option<u32>,
    size: u64,
    sha256: Sha256Hash,
}

#[derive(Debug, Deserialize)]
struct Raw {
    size: u64,
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
        let fields: Fields = serde_json::from_str(&manifest).ok()?;
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
        let owner = &self.fields.configuration.id;
        owner.is_same(&origin.configuration.id)
    }

    /// Whether the same result was written in the same way.
    pub(super) fn is_result(&self, origin: &Provenance, how: CompressionOptions) -> bool {
        self.fields.result.store_path == origin.result.store_path && self.is_written(how)
    }

    /// Whether this version of sdbuild wrote it in this way.
    fn is_written(&self, how: CompressionOptions) -> bool {
        let image = &self.fields.image;
        self.fields.sdbuild == env!("CARGO_PKG_VERSION")
            && image.compression == serde_json::json!(how.format)
            && image.level == how.level
    }

    /// The image as a result of this run, whose manifest gets the time at which the run read the configuration: who compares the
    /// image with the files of the configuration sees that it is up to date.
    pub(super) fn into_image(self, dir: &Path, configuration_read: SystemTime) -> Image {
        let Fields { image, raw, .. } = self.fields;
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
pub struct UnchangedImage {
    earlier: EarlierImage,
    dir: PathBuf,
    configuration_read: SystemTime,
}

impl UnchangedImage {
    /// The image as the result of this run, which its manifest shows from now on.
    pub fn into_image(self) -> Image {
        self.earlier.into_image(&self.dir, self.configuration_read)
    }
}

/// An image in the output directory that is what a build would write, known without evaluating anything: `origin` names the
/// build's configuration, the key of its evaluation, and its registrar. The build began to read the configuration at
/// `configuration_read`. Every byte of the image is read. Blocks.
pub fn unchanged(
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::common::compression::Compression;
    use crate::common::image_format::Format;
    use crate::output::manifest::ContainerImage;

    const NAME: &str = "a.img";

    fn origin(id: &str, store_path: &str) -> Provenance {
        let mut origin = Provenance::default();
        origin.configuration.id = ImageOwnerId::new(id.to_owned(), None);
        origin.result.store_path = store_path.to_owned();
        origin
    }

    /// A directory with an image of 512 bytes and a manifest that states `size`.
    fn written(size: u64) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let image = vec![7; 512];
        fs::write(dir.path().join(NAME), &image).unwrap();
        let hash = Sha256Hash::of(b"text").to_string();
        let sidecars =
            ["a.img.sha256", "a.img.bmap"].map(|name| json!({ "name": name, "sha256": hash }));
        let manifest = json!({
            "version": VERSION,
            "sdbuild": env!("CARGO_PKG_VERSION"),
            "configuration": { "id": "mine" },
            "result": { "store_path": "/nix/store/x" },
            "image": { "name": NAME, "compression": "none", "level": null, "size": size,
                "sha256": Sha256Hash::of(&image).to_string() },
            "raw": { "size": 512 },
            "sidecars": sidecars,
        });
        fs::write(dir.path().join("a.img.json"), manifest.to_string()).unwrap();
        dir
    }

    fn read(dir: &tempfile::TempDir) -> Option<EarlierImage> {
        EarlierImage::read(dir.path(), NAME, &Cancel::new())
    }

    #[test]
    fn image_is_known_by_the_manifest_beside_it() {
        let dir = written(512);
        let earlier = read(&dir).unwrap();
        assert!(earlier.is_of(&origin("mine", "")) && !earlier.is_of(&origin("other", "")));
        let how = |level| CompressionOptions {
            format: Compression::None,
            level,
        };
        assert!(earlier.is_result(&origin("mine", "/nix/store/x"), how(None)));
        assert!(!earlier.is_result(&origin("mine", "/nix/store/y"), how(None)));
        assert!(!earlier.is_result(&origin("mine", "/nix/store/x"), how(Some(3))));
        let has = |all: &[Sidecar]| earlier.has_whole(dir.path(), all.iter().copied());
        assert!(has(&[Sidecar::Manifest]) && !has(&Sidecar::ALL));
        let manifest = || fs::File::open(dir.path().join("a.img.json")).unwrap();
        let image = earlier.into_image(dir.path(), SystemTime::UNIX_EPOCH);
        let dated = manifest().metadata().unwrap().modified().unwrap();
        assert_eq!(dated, SystemTime::UNIX_EPOCH);
        assert!(image.up_to_date && image.path.ends_with(NAME) && image.raw_size == 512);
    }

    #[test]
    fn image_is_unchanged_after_the_same_evaluation() {
        let dir = written(512);
        let key = Sha256Hash::of(b"key");
        let manifest = dir.path().join("a.img.json");
        let text = fs::read_to_string(&manifest).unwrap();
        let told = text.replace("\"id\":", &format!("\"evaluation\":\"{key}\",\"id\":"));
        let told = told.replace("\"raw\":", "\"registrar\":{\"reference\":\"r:1\"},\"raw\":");
        fs::write(&manifest, told).unwrap();
        let settings = |force, format| OutputSettings {
            format: Format::default(),
            dir: dir.path().to_owned(),
            force,
            owner: None,
            is_private: false,
            compression: CompressionOptions {
                format,
                level: None,
            },
            imager: None,
            board: None,
            created: jiff::Timestamp::UNIX_EPOCH,
        };
        let found_with = |settings, id: &str, key, registrar: Option<&str>| {
            let mut origin = origin(id, "");
            origin.configuration.evaluation = key;
            origin.registrar = registrar.map(|reference| ContainerImage {
                reference: reference.to_owned(),
                ..ContainerImage::default()
            });
            unchanged(&settings, &origin, SystemTime::now(), &Cancel::new()).is_some()
        };
        let found = |settings, id: &str, key| found_with(settings, id, key, Some("r:1"));
        let plain = || settings(false, Compression::None);
        assert!(
            !found(plain(), "mine", Some(key)),
            "it has not all sidecars"
        );
        for name in ["a.img.sha256", "a.img.bmap"] {
            fs::write(dir.path().join(name), "text").unwrap();
        }
        assert!(found(plain(), "mine", Some(key)));
        assert!(!found(settings(true, Compression::None), "mine", Some(key)));
        assert!(!found(
            settings(false, Compression::Zstd),
            "mine",
            Some(key)
        ));
        assert!(!found(plain(), "other", Some(key)));
        assert!(!found(plain(), "mine", Some(Sha256Hash::of(b"another"))));
        assert!(!found(plain(), "mine", None));
        for other in [None, Some("r:2")] {
            assert!(!found_with(plain(), "mine", Some(key), other), "{other:?}");
        }
        fs::write(dir.path().join("a.img.bmap"), "other").unwrap();
        assert!(!found(plain(), "mine", Some(key)), "a sidecar was changed");
        fs::write(dir.path().join("a.img.bmap"), "text").unwrap();
        fs::write(dir.path().join(NAME), vec![8; 512]).unwrap();
        assert!(!found(plain(), "mine", Some(key)), "it was changed");
    }

    /// They may be the user's own.
    #[test]
    fn sidecars_that_were_changed_are_not_replaced() {
        let dir = written(512);
        let sidecars = ["a.img.sha256", "a.img.bmap"];
        for name in sidecars {
            fs::write(dir.path().join(name), "text").unwrap();
        }
        let replace = read(&dir).unwrap().replaceable();
        let allows = |name: &str| replace.allows(dir.path(), name);
        for name in sidecars
            .into_iter()
            .chain([NAME, "a.img.json", "a.img.rpi-imager.json"])
        {
            assert!(allows(name), "{name}");
        }
        for name in ["a.img.bmap", "a.img.json", "a.img.rpi-imager.json", NAME] {
            fs::write(dir.path().join(name), "mine").unwrap();
            assert!(!allows(name), "{name}");
        }
        assert!(allows("a.img.sha256"));
    }

    #[test]
    fn image_that_was_changed_is_another_one() {
        assert!(read(&written(511)).is_none());
        let dir = written(512);
        fs::write(dir.path().join(NAME), vec![8; 512]).unwrap();
        assert!(read(&dir).is_none());
        let dir = written(512);
        fs::write(dir.path().join("a.img.json"), "{}").unwrap();
        assert!(read(&dir).is_none());
        fs::remove_file(dir.path().join("a.img.json")).unwrap();
        assert!(read(&dir).is_none());
    }
}
