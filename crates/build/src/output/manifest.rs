//! The manifest: everything that an image was made from, and what it is, as one JSON object beside it.
//!
//! docs/automation.md describes it; [`VERSION`] changes when a key is renamed or removed. Keys are in the order of
//! the fields, so that the same values are the same bytes. It contains no path of the user's machine, no user
//! name and no secret.

use jiff::Timestamp;
use serde::ser::{SerializeMap as _, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use crate::output::request::{CopyRequest, ImagerUrl};
use crate::output::stages::{HeadTail, StageOutput};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::compression::{Compression, CompressionOptions};
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_core::timings::Timings;
use sdbuild_image::board::imager_tags;
use sdbuild_image::image_format::Format;
use sdbuild_image::sidecars::VERSION;
use sdbuild_image::table::{Partition, Table};

/// A program in a container image of ours, and the Debian package that it is from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Program {
    /// The package's version.
    pub version: String,
    /// SHA-256 of the package.
    pub package_sha256: String,
    /// SHA-256 of the program, if that is pinned by itself.
    pub program_sha256: Option<String>,
}

/// How programs for a foreign architecture were run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct EmulationRecord {
    /// `none`, `register`, `private` or `host`.
    pub mode: String,
    /// Whether any program was emulated.
    pub emulated: bool,
    /// The QEMU that emulated them, if sdbuild provided it.
    pub qemu: Option<Program>,
}

/// A container image that the run used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContainerImage {
    /// The name that the engine has it under.
    pub reference: String,
    /// Digest of its definition, the package lock and the files that are added; `None` for an image that is not ours.
    pub definition_sha256: Option<String>,
}

/// The nixpkgs that the image was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Nixpkgs {
    /// The release, if one was requested.
    pub release: Option<String>,
    /// The address of the archive; `None` for a directory.
    pub url: Option<String>,
    /// SHA-256 of the archive, or of the files of the directory.
    pub sha256: String,
}

/// The flake that an image was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Flake {
    /// The hash of its files as Nix writes it: `sha256-…`.
    pub nar_hash: String,
    /// The commit; `None` for a tree with changes, or without git.
    pub revision: Option<String>,
    /// SHA-256 of its `flake.lock`; `None` without one.
    pub lock_sha256: Option<String>,
    /// Names of the inputs that the command line replaced.
    pub overridden_inputs: Vec<String>,
    /// URLs of the binary caches that it names and that were used.
    pub caches: Vec<String>,
}

/// The user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Configuration {
    /// The name of the file, or the reference of the flake without a path of the user's machine.
    pub file: String,
    /// SHA-256 of everything that is sent to the builder of it.
    pub sha256: String,
    /// By which a later build knows that the image is its own; empty where it is not known.
    pub id: String,
    /// The key of the evaluation, if it was pure: the same key gives the same result.
    pub evaluation: Option<Sha256Hash>,
    /// The flake, if it is one.
    pub flake: Option<Flake>,
}

/// The result of Nix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Built {
    /// The store path of the result.
    pub store_path: String,
    /// Its derivation, if the store has it.
    pub derivation: Option<String>,
}

/// The origin of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Provenance {
    /// The format of the image.
    pub format: Format,
    /// The Nix system of the image.
    pub system: String,
    /// How programs for a foreign architecture were run.
    pub emulation: EmulationRecord,
    /// The Nix that built it; `None` if it was that of a foreign builder image.
    pub nix: Option<Program>,
    /// The registrar's image, if there was a registrar.
    pub registrar: Option<ContainerImage>,
    /// The builder's image.
    pub builder: ContainerImage,
    /// The nixpkgs; `None` for a flake, whose lock names its own.
    pub nixpkgs: Option<Nixpkgs>,
    /// The user's configuration.
    pub configuration: Configuration,
    /// Which of its images this is, and who chose it.
    pub choice: Option<ImageChoice>,
    /// The result of the build.
    pub result: Built,
}

/// The manifest.
#[derive(Debug, Serialize)]
pub(super) struct Manifest<'a> {
    version: u32,
    created: String,
    sdbuild: &'static str,
    #[serde(flatten)]
    origin: &'a Provenance,
    image: ImageFile,
    raw: RawImage,
    table: Option<Table>,
    partitions: Option<Vec<Partition>>,
    sidecars: &'a [SidecarHash],
    durations: Seconds,
}

/// Another file that was written beside the image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SidecarHash {
    /// The name of the file.
    pub(super) name: String,
    /// SHA-256 of its content.
    pub(super) sha256: Sha256Hash,
}

/// The image file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct ImageFile {
    pub(super) name: String,
    pub(super) compression: Compression,
    pub(super) level: Option<u32>,
    pub(super) size: u64,
    pub(super) sha256: Sha256Hash,
}

/// The image that is not compressed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct RawImage {
    pub(super) size: u64,
    sha256: Sha256Hash,
    mapped_bytes: u64,
}

/// The fields of a manifest beside an earlier image that a build reads again.
#[derive(Debug, Deserialize)]
pub(super) struct EarlierManifest {
    pub(super) version: u32,
    pub(super) sdbuild: String,
    pub(super) format: Option<Value>,
    pub(super) registrar: Option<ContainerImage>,
    pub(super) configuration: Configuration,
    pub(super) result: Built,
    pub(super) image: ImageFile,
    pub(super) raw: RawImage,
    #[serde(default)]
    pub(super) sidecars: Vec<SidecarHash>,
}

/// An image that was written, as its sidecars describe it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageSummary<'a> {
    /// The name of the image file.
    pub(super) name: &'a str,
    /// Compression of the file.
    pub(super) compression: CompressionOptions,
    /// What the stages of the copy found out.
    pub(super) output: &'a StageOutput,
    /// The time of creation.
    pub(super) created: Timestamp,
}

impl<'a> Manifest<'a> {
    pub(super) fn new(
        summary: ImageSummary<'a>,
        origin: &'a Provenance,
        sidecars: &'a [SidecarHash],
        timings: &Timings,
        cancel: &Cancel,
    ) -> Self {
        let output = summary.output;
        let (table, partitions) = tables(&output.head_tail, cancel);
        Self {
            version: VERSION,
            created: format!("{:.0}", summary.created),
            sdbuild: env!("CARGO_PKG_VERSION"),
            origin,
            image: ImageFile {
                name: summary.name.to_owned(),
                compression: summary.compression.format,
                level: summary.compression.level,
                size: output.written.size,
                sha256: output.written.sha256,
            },
            raw: RawImage {
                size: output.head_tail.len(),
                sha256: output.raw_sha256,
                mapped_bytes: output.block_map.mapped_bytes(),
            },
            table,
            partitions,
            sidecars,
            durations: Seconds(timings.so_far()),
        }
    }
}

fn tables(head_tail: &HeadTail, cancel: &Cancel) -> (Option<Table>, Option<Vec<Partition>>) {
    let mut table = head_tail.table(cancel);
    let partitions = table.as_mut().map(|t| std::mem::take(&mut t.partitions));
    (table, partitions)
}

/// How long each phase took, in seconds.
#[derive(Debug)]
struct Seconds(Vec<(Phase, std::time::Duration)>);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (phase, took) in &self.0 {
            // More digits than milliseconds would be noise.
            let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
            map.serialize_entry(phase, &seconds)?;
        }
        map.end()
    }
}

/// The text of `value` for a file.
pub(super) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).or_internal("write JSON")?;
    Ok(format!("{text}\n"))
}

/// The address of the file `name` below `base`. A base that is not a URL is used as the user wrote it.
pub(crate) fn imager_url(base: &str, name: &str) -> String {
    let url = Url::parse(base).ok().and_then(|mut url| {
        url.path_segments_mut().ok()?.pop_if_empty().push(name);
        Some(String::from(url))
    });
    url.unwrap_or_else(|| format!("{}/{name}", base.trim_end_matches('/')))
}

/// The list of systems that Raspberry Pi Imager takes (`rpi-imager --repo FILE`), with the image of `summary`, which is at `url`, as
/// its only entry.
pub(super) fn imager_list(
    summary: ImageSummary<'_>,
    url: &ImagerUrl,
    request: &CopyRequest,
) -> Value {
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
    let choice = request.origin.choice.as_ref();
    let is_applied = choice.is_some_and(|choice| choice.rpi_preseed);
    let init_format = if is_applied { "rpi-preseed" } else { "none" };
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
        "init_format": init_format,
    });
    let devices = imager_tags(&request.origin.system, request.settings.board);
    if let Some(fields) = entry.as_object_mut()
        && !devices.is_empty()
    {
        fields.insert("devices".to_owned(), json!(devices));
    }
    json!({ "os_list": [entry] })
}
