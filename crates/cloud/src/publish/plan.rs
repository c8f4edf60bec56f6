//! What will be published, before anything is sent.

use std::path::{Path, PathBuf};

use crate::aws::{BLOCK_BYTES, Tag};
use crate::publish::publication;
use crate::publish::upload;
use crate::publish::upload::DiskFacts;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::system::System;
use sdbuild_image::table::{Partition, TableKind};
use sdbuild_image::{ImageFile, ImageKind, check_end};

const GIB: u64 = 1 << 30;
/// US dollars for a GB of a snapshot and a month, in most regions (aws.amazon.com/ebs/pricing, 2026).
const SNAPSHOT_PRICE: f64 = 0.05;
/// The tag with the hash of the disk, by which the same image is known again.
pub const HASH_TAG: &str = "sdbuild:sha256";
/// The tag that AWS's console shows as the name.
pub(super) const NAME_TAG: &str = "Name";
/// Lengths of the names of images.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 3..=128;

/// What a user asks for.
#[derive(Clone, Debug)]
pub struct PublishRequest {
    /// The image file.
    pub image: PathBuf,
    /// The image's name in the account; the file's name without its extensions otherwise.
    pub name: Option<String>,
    /// The system of the image.
    pub system: System,
    /// Accounts that may launch and copy it; `all` lets everybody launch it.
    pub share: Vec<String>,
    /// Regions that it is copied to.
    pub copy_to: Vec<String>,
    /// Whether to wait until the copies are complete.
    pub wait: bool,
    /// The instant from which it is deprecated, in ISO 8601.
    pub deprecate_at: Option<String>,
    /// sdbuild's state directory.
    pub state_dir: PathBuf,
}

/// An image that can be published.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What was asked for.
    pub request: PublishRequest,
    /// The image's name in the account.
    pub name: String,
    /// What was read of the file.
    pub disk: DiskFacts,
}

impl Plan {
    /// Reads the image (`Phase::ReadImage`).
    ///
    /// # Errors
    ///
    /// It is no disk, it is incomplete, or a file beside it states another hash; its name cannot be that of an image.
    pub async fn read(request: PublishRequest, context: &Context) -> Result<Self, Failure> {
        let operation = format!("publish {}", request.image.display());
        let name = match &request.name {
            Some(name) => name.clone(),
            None => stem(&request.image),
        };
        check_name(&name)?;
        let (path, inner) = (request.image.clone(), context.clone());
        let read = async {
            let facts = tokio::task::spawn_blocking(move || {
                let end = end_of_partitions(&path, &inner)?;
                let facts = upload::facts(&path, &inner);
                let facts = facts.map_err(|error| error.fail("read it"))?;
                check_end(end, facts.size).map_err(|error| {
                    let failure = Failure::usage(error.to_string());
                    failure.hint("copy, download or build it again")
                })?;
                publication::check_sidecars(&path, &facts, &inner)?;
                Ok(facts)
            });
            facts.await.or_internal("read the image")?
        };
        let disk = context.phase(Phase::ReadImage, read).await;
        let disk = disk.map_err(|failure: Failure| failure.context(operation))?;
        Ok(Self {
            request,
            name,
            disk,
        })
    }

    /// The size of the volumes that are made of it, in GiB.
    pub fn volume_gib(&self) -> u64 {
        self.disk.size.div_ceil(GIB).max(1)
    }

    /// Bytes that are sent at most.
    pub fn bytes(&self) -> u64 {
        self.disk.blocks.saturating_mul(BLOCK_BYTES as u64)
    }

    /// AWS's name of the architecture.
    pub fn architecture(&self) -> &'static str {
        match self.request.system {
            System::Aarch64Linux => "arm64",
            System::X8664Linux => "x86_64",
        }
    }

    /// What is about to be sent and what it costs, in words.
    pub fn summary(&self, region: &str) -> String {
        let copies = 1 + self.request.copy_to.len();
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let gigabytes = (self.bytes() as f64) / 1e9 * (copies as f64);
        let price = (gigabytes * SNAPSHOT_PRICE * 100.0).ceil() / 100.0;
        format!(
            "{} ({}) in {region}: sends {} of {}; a volume has {} GiB; its snapshots cost up to about ${price:.2} a month",
            self.name,
            self.architecture(),
            human_bytes(self.bytes()),
            human_bytes(self.disk.size),
            self.volume_gib(),
        )
    }

    /// The tags of the image and its snapshot.
    pub(super) fn tags(&self) -> Vec<Tag> {
        let tag = |key: &str, value: String| Tag {
            key: key.to_owned(),
            value,
        };
        vec![
            tag(NAME_TAG, self.name.clone()),
            tag(HASH_TAG, self.disk.sha256.to_string()),
            tag("sdbuild:version", env!("CARGO_PKG_VERSION").to_owned()),
        ]
    }
}

/// Where the last partition of the image ends, in bytes. Only a disk from its first byte on can be a snapshot.
fn end_of_partitions(path: &Path, context: &Context) -> Result<u64, Failure> {
    let build = "build one: sdbuild build --format amazon";
    let table = ImageFile::open(path, ImageKind::File)
        .and_then(|image| image.partitions_by_start(&context.cancel));
    let (kind, partitions) = table.map_err(|error| error.fail("read it").hint(build))?;
    if kind == TableKind::Gpt {
        return Ok(partitions.iter().map(Partition::end).max().unwrap_or(0));
    }
    Err(Failure::usage("it is not a disk that UEFI can start: it has no GPT").hint(build))
}

/// The file's name without the extensions of a disk and of a compression.
fn stem(image: &Path) -> String {
    let name = image
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let name = [".zst", ".xz", ".gz"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    name.strip_suffix(".img").unwrap_or(name).to_owned()
}

fn check_name(name: &str) -> Result<(), Failure> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "()./-_ ".contains(c);
    if NAME_CHARS.contains(&name.chars().count()) && name.chars().all(is_allowed) {
        return Ok(());
    }
    Err(
        Failure::usage(format!("`{name}` cannot be the name of an image"))
            .hint("--name with 3 to 128 letters, digits, spaces and ( ) . / - _"),
    )
}
