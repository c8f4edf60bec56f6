//! The list of systems that Raspberry Pi Imager takes (`rpi-imager --repo FILE`), with this image as
//! its only entry.

use serde_json::{Value, json};
use url::Url;

use super::manifest::ImageSummary;
use super::request::{CopyRequest, ImagerUrl};
use sdbuild_image::board::imager_tags;

/// The address of the file `name` below `base`. A base that is not a URL is used as the user wrote it.
pub fn imager_url(base: &str, name: &str) -> String {
    let url = Url::parse(base).ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.pop_if_empty().push(name);
        Some(String::from(url))
    });
    url.unwrap_or_else(|| format!("{}/{name}", base.trim_end_matches('/')))
}

/// The list with the image of `summary`, which is at `url`.
pub(super) fn list(summary: ImageSummary<'_>, url: &ImagerUrl, request: &CopyRequest) -> Value {
    let name = summary.name;
    let url = match url {
        // A relative directory has no URL: Imager takes the path then.
        ImagerUrl::OutputDir => {
            let path = request.settings.dir.join(name);
            Url::from_file_path(&path).map_or_else(|()| path.display().to_string(), String::from)
        }
        ImagerUrl::Below(base) => imager_url(base, name),
    };
    let output = summary.output;
    let date = summary.created.strftime("%Y-%m-%d").to_string();
    let mut entry = json!({
        "name": name.split(".img").next().unwrap_or(name),
        "description": "NixOS, built by sdbuild",
        "url": url,
        "icon": "",
        "extract_size": output.head_tail.len(),
        "extract_sha256": output.raw_sha256,
        "image_download_size": output.written.size,
        "image_download_sha256": output.written.sha256,
        "release_date": date,
        "init_format": "none",
    });
    let devices = imager_tags(&request.origin.system, request.settings.board);
    if let Some(fields) = entry.as_object_mut()
        && !devices.is_empty()
    {
        fields.insert("devices".to_owned(), json!(devices));
    }
    json!({ "os_list": [entry] })
}
