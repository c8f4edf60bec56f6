//! The images of a configuration that a build does not replace, because they have other names.

use std::fs;
use std::path::Path;

use super::EarlierImage;
use crate::common::image_name::Sidecar;
use crate::output::manifest::Provenance;

/// The other images in the directory of `image` that the configuration of `origin` made in the same format and with the same compression,
/// by name and size: their host name or release was another one.
pub fn older_images(image: &Path, origin: &Provenance) -> Vec<(String, u64)> {
    let (Some(dir), Some(new)) = (image.parent(), image.file_name()) else {
        return Vec::new();
    };
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let others = entries.filter_map(|entry| {
        let name = entry.file_name();
        let image = Sidecar::Manifest.image(name.to_str()?)?;
        let earlier = EarlierImage::described(dir, image)?;
        let is_alike = Path::new(image).extension() == Path::new(new).extension()
            && earlier.fields.format == Some(serde_json::json!(origin.format));
        let is_other = image != new && is_alike && earlier.is_of(origin);
        is_other.then(|| (image.to_owned(), earlier.fields.image.size))
    });
    others.collect()
}
