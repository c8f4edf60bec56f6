//! The images of a configuration that a build does not replace, because they have other names.

use std::fs;
use std::path::Path;

use super::EarlierImage;
use super::Fields;
use crate::output::Image;
use sdbuild_image::image_name::Sidecar;

/// The other images in the directory of `new` that its configuration made in the same format and with the same compression, by name and
/// size: their host name or release was another one.
pub fn older_images(new: &Image) -> Vec<(String, u64)> {
    let path = &new.path;
    let (Some(dir), Ok(of_new)) = (path.parent(), serde_json::from_str::<Fields>(&new.manifest))
    else {
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
        let is_other = !path.ends_with(image) && earlier.fields.configuration.id.is_same(owner);
        let is_other = is_other && is_alike;
        is_other.then(|| (image.to_owned(), earlier.fields.image.size))
    });
    others.collect()
}
