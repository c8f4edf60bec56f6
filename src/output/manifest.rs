//! The manifest: everything that went into an image, and what came out, as one JSON object beside it.
//!
//! docs/manifest.md describes its shape; [`VERSION`] changes when something is renamed or goes. Keys
//! come in the order of the fields, so the same facts are the same bytes. Holds no path of the user's
//! machine, no name of a user and no secret.

use jiff::Timestamp;
use serde::ser::{Serialize, SerializeMap as _, Serializer};

use super::head_tail::HeadTail;
use super::stages::StageOutput;
use crate::common::cancel::Cancel;
use crate::common::compression::Compression;
use crate::common::event::{Phase, Timings};
use crate::common::hash::Sha256Hash;
use crate::image::partition::{Partition, Table};

/// The version of the manifest's shape.
pub const VERSION: u32 = 1;

/// A program of ours, by what it came from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Program {
    /// The package's version.
    pub version: String,
    /// The package's SHA-256.
    pub package_sha256: String,
    /// SHA-256 of the program in it, where that is pinned too.
    pub program_sha256: Option<String>,
}

/// How foreign programs ran.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Emulation {
    /// `none`, `register`, `private` or `host`.
    pub mode: String,
    /// Whether anything was emulated.
    pub emulated: bool,
    /// What emulated, when it was ours.
    pub qemu: Option<Program>,
}

/// A container image of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ContainerImage {
    /// By what the engine knows it.
    pub reference: String,
    /// Digest of its definition: the package lock and what is added; `None` for a foreign one.
    pub definition_sha256: Option<String>,
}

/// The nixpkgs that was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Nixpkgs {
    /// The release, when one was asked for.
    pub release: Option<String>,
    /// Where it came from; `None` for a directory.
    pub url: Option<String>,
    /// SHA-256 of the archive, or of the directory's tree.
    pub sha256: String,
}

/// The user's configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Configuration {
    /// Name of the file.
    pub file: String,
    /// SHA-256 of the file and of all that went along with it.
    pub sha256: String,
}

/// What Nix made.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Built {
    /// The store path.
    pub store_path: String,
    /// Its derivation, where Nix knows it.
    pub derivation: Option<String>,
}

/// What went into an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Provenance {
    /// The system that it is for.
    pub system: String,
    /// How foreign programs ran.
    pub emulation: Emulation,
    /// The Nix that built it; `None` when a foreign builder brought its own.
    pub nix: Option<Program>,
    /// The registrar, when there was one.
    pub registrar: Option<ContainerImage>,
    /// The builder.
    pub builder: ContainerImage,
    /// Which nixpkgs.
    pub nixpkgs: Nixpkgs,
    /// Which configuration.
    pub configuration: Configuration,
    /// What Nix made of it.
    pub result: Built,
}

/// The object beside the image.
#[derive(Debug, serde::Serialize)]
pub(super) struct Manifest<'a> {
    version: u32,
    created: String,
    sdbuild: &'static str,
    #[serde(flatten)]
    origin: &'a Provenance,
    image: ImageFile<'a>,
    raw: Raw,
    table: Option<Table>,
    partitions: Option<Vec<Partition>>,
    durations: Seconds,
}

#[derive(Debug, serde::Serialize)]
struct ImageFile<'a> {
    name: &'a str,
    compression: Compression,
    size: u64,
    sha256: Sha256Hash,
}

#[derive(Debug, serde::Serialize)]
struct Raw {
    size: u64,
    sha256: Sha256Hash,
    mapped_bytes: u64,
}

/// What the manifest tells of one file.
#[derive(Clone, Copy, Debug)]
pub(super) struct ImageSummary<'a> {
    /// The image's name.
    pub(super) name: &'a str,
    /// How it is compressed.
    pub(super) compression: Compression,
    /// What was written.
    pub(super) poured: &'a StageOutput,
    /// The moment that counts as now.
    pub(super) created: Timestamp,
}

impl<'a> Manifest<'a> {
    pub(super) fn new(
        about: ImageSummary<'a>,
        origin: &'a Provenance,
        (timings, cancel): (&Timings, &Cancel),
    ) -> Self {
        let poured = about.poured;
        let (table, partitions) = tables(&poured.ends, cancel);
        Self {
            version: VERSION,
            created: format!("{:.0}", about.created),
            sdbuild: env!("CARGO_PKG_VERSION"),
            origin,
            image: ImageFile {
                name: about.name,
                compression: about.compression,
                size: poured.written.size,
                sha256: poured.written.sha256,
            },
            raw: Raw {
                size: poured.ends.len(),
                sha256: poured.raw_sha256,
                mapped_bytes: poured.map.mapped_bytes(),
            },
            table,
            partitions,
            durations: Seconds(timings.so_far()),
        }
    }
}

fn tables(ends: &HeadTail, cancel: &Cancel) -> (Option<Table>, Option<Vec<Partition>>) {
    let mut table = ends.table(cancel);
    let partitions = table.as_mut().map(|t| std::mem::take(&mut t.partitions));
    (table, partitions)
}

/// Seconds by phase.
#[derive(Debug)]
struct Seconds(Vec<(Phase, std::time::Duration)>);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(Some(self.0.len()))?;
        for (phase, took) in &self.0 {
            // milliseconds: more digits would be noise
            let seconds = (took.as_secs_f64() * 1000.0).round() / 1000.0;
            map.serialize_entry(phase, &seconds)?;
        }
        map.end()
    }
}
