//! The list of systems that Raspberry Pi Imager takes (`rpi-imager --repo FILE`), with this image as
//! its only entry.

use serde_json::{Value, json};
use url::Url;

use super::copy::CopyRequest;
use super::manifest::ImageSummary;
use crate::common::board::imager_tags;

/// Where the image will be for those who read the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Imager {
    /// Where it is written.
    Here,
    /// Below this address.
    Below(String),
}

/// `name` below `base`. What is no address stays as the user wrote it.
fn below(base: &str, name: &str) -> String {
    let address = Url::parse(base).ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.pop_if_empty().push(name);
        Some(String::from(url))
    });
    address.unwrap_or_else(|| format!("{}/{name}", base.trim_end_matches('/')))
}

pub(super) fn list(about: ImageSummary<'_>, imager: &Imager, order: &CopyRequest) -> Value {
    let name = about.name;
    let url = match imager {
        Imager::Here => Url::from_file_path(order.settings.dir.join(name))
            .map(String::from)
            .unwrap_or_default(),
        Imager::Below(base) => below(base, name),
    };
    let poured = about.poured;
    let date = about.created.strftime("%Y-%m-%d").to_string();
    let mut entry = json!({
        "name": name.split(".img").next().unwrap_or(name),
        "description": "NixOS, built by sdbuild",
        "url": url,
        "icon": "",
        "extract_size": poured.ends.len(),
        "extract_sha256": poured.raw_sha256,
        "image_download_size": poured.written.size,
        "image_download_sha256": poured.written.sha256,
        "release_date": date,
        "init_format": "none",
    });
    let devices = imager_tags(&order.origin.system);
    if let Some(fields) = entry.as_object_mut()
        && !devices.is_empty()
    {
        fields.insert("devices".to_owned(), json!(devices));
    }
    json!({ "os_list": [entry] })
}
