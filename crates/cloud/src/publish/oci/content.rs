//! What a layout says about itself, and whether that is so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::paths::{BLOBS, MAX_JSON_BYTES};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::plain_file;

/// The kinds of what sdbuild makes.
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// What was unpacked.
pub(super) struct Content<'a> {
    /// The text of `oci-layout`.
    pub(super) marker: &'a str,
    /// The text of `index.json`.
    pub(super) index: &'a str,
    /// Each blob with its length.
    pub(super) blobs: &'a BTreeMap<Sha256Hash, u64>,
    /// The directory that has them.
    pub(super) layout: &'a Path,
}

/// An image of a layout.
pub(super) struct ImageInLayout {
    /// Its entry in the index.
    pub(super) descriptor: Value,
    /// The hash of its manifest.
    pub(super) digest: String,
    /// The number of its layers.
    pub(super) layers: usize,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    image_layout_version: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Images {
    manifests: Vec<Value>,
}

#[derive(Deserialize)]
struct Manifest {
    config: Descriptor,
    layers: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Config {
    rootfs: Root,
}

#[derive(Deserialize)]
struct Root {
    diff_ids: Vec<String>,
}

/// Whether `text` is that of an `oci-layout` of version 1.
pub(super) fn is_version(text: &str) -> bool {
    let version = serde_json::from_str::<Version>(text);
    version.is_ok_and(|version| version.image_layout_version == "1.0.0")
}

impl Content<'_> {
    /// The one image. Each part exists with its stated length, layers are those that the configuration names, and there is nothing else.
    pub(super) fn image(&self) -> Result<ImageInLayout, String> {
        if !is_version(self.marker) {
            return Err("its oci-layout is not of version 1.0.0".into());
        }
        let images: Images = parsed("index.json", self.index)?;
        let Ok([descriptor]) = <[Value; 1]>::try_from(images.manifests) else {
            return Err("its index does not have one image".into());
        };
        let mut used = BTreeSet::new();
        let manifest_at =
            Descriptor::deserialize(&descriptor).map_err(|error| error.to_string())?;
        let manifest = self.blob(&manifest_at, MANIFEST, &mut used)?;
        let manifest: Manifest = self.json(manifest)?;
        let config = self.blob(&manifest.config, CONFIG, &mut used)?;
        let config: Config = self.json(config)?;
        for layer in &manifest.layers {
            self.blob(layer, LAYER, &mut used)?;
        }
        // They are not compressed.
        let layers = manifest.layers.iter().map(|layer| &layer.digest);
        if !layers.eq(&config.rootfs.diff_ids) {
            return Err("its layers are not those of its configuration".into());
        }
        if let Some(other) = self.blobs.keys().find(|hash| !used.contains(hash)) {
            return Err(format!("nothing refers to the blob {other}"));
        }
        Ok(ImageInLayout {
            descriptor,
            digest: manifest_at.digest,
            layers: manifest.layers.len(),
        })
    }

    /// The hash of the blob that `descriptor` names.
    fn blob(
        &self,
        descriptor: &Descriptor,
        kind: &str,
        used: &mut BTreeSet<Sha256Hash>,
    ) -> Result<Sha256Hash, String> {
        let Descriptor {
            media_type,
            digest,
            size,
        } = descriptor;
        if media_type != kind {
            return Err(format!("{media_type:?} is not {kind}"));
        }
        let hash = digest.strip_prefix("sha256:").map(str::parse);
        let Some(Ok(hash)) = hash else {
            return Err(format!("{digest:?} is not a hash"));
        };
        if self.blobs.get(&hash) != Some(size) {
            return Err(format!("it has no blob {hash} of {size} bytes"));
        }
        used.insert(hash);
        Ok(hash)
    }

    fn json<T: for<'a> Deserialize<'a>>(&self, blob: Sha256Hash) -> Result<T, String> {
        let path = self.layout.join(format!("{BLOBS}/{blob}"));
        let text = plain_file::read_text(&path, MAX_JSON_BYTES);
        let text = text.map_err(|error| format!("the blob {blob}: {error}"))?;
        parsed(&format!("the blob {blob}"), &text)
    }
}

fn parsed<T: for<'a> Deserialize<'a>>(what: &str, text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("{what}: {error}"))
}
