//! One publication from start to end.

use std::path::Path;
use std::time::Duration;

use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;
use sdbuild_image::image_name::Sidecar;
use sdbuild_image::{Error, ImageFacts, ImageFile, ImageKind, sidecars};
use serde::Serialize;

use crate::aws::{Ami, Client, has_failed};
use crate::publish::plan::{HASH_TAG, Plan};
use crate::publish::record::Record;
use crate::publish::upload::{self, DiskFacts};

/// Until AWS has completed a snapshot that it accepted.
const SNAPSHOT_LIMIT: Duration = Duration::from_hours(1);

/// An image that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Published {
    /// Its id.
    pub image: String,
    /// Its name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// Its snapshot.
    pub snapshot: Option<String>,
    /// The copies.
    pub copies: Vec<RegionCopy>,
    /// Whether it was there already.
    pub up_to_date: bool,
}

/// Publishes the image of `plan` (`Phase::Publish`): a snapshot, an image of it, and what else was asked for. What is there already
/// is not made again.
pub async fn publish(
    plan: &Plan,
    client: &Client,
    context: &Context,
) -> Result<Published, Failure> {
    let work = Box::pin(run(plan, client, context));
    let operation = format!("publish {} in {}", plan.name, client.region());
    let done = context.phase(Phase::Publish, work).await;
    done.map_err(|failure| {
        failure.context(operation).hint(
            "run the same command again to resume; sdbuild publish list shows what is unfinished",
        )
    })
}

async fn run(plan: &Plan, client: &Client, context: &Context) -> Result<Published, Failure> {
    let before = published_before(plan, client).await?;
    let up_to_date = before.is_some();
    let image = match before {
        Some(image) => {
            remove_leftover(plan, client, &image, context).await?;
            image.id
        }
        None => register(plan, client, context).await?,
    };
    let image = wait(client, &image, "AWS makes the image", context).await?;
    offer(plan, client, &image).await?;
    let copies = make(plan, client, &image.id, context).await?;
    Ok(Published {
        image: image.id,
        name: plan.name.clone(),
        region: client.region().to_owned(),
        snapshot: image.snapshots.into_iter().next(),
        copies,
        up_to_date,
    })
}

/// Makes the snapshot and the image, and returns the image's id.
async fn register(plan: &Plan, client: &Client, context: &Context) -> Result<String, Failure> {
    let state_dir = &plan.request.state_dir;
    let mut record = Record::open(state_dir, &plan.name, client.region(), plan.disk.sha256)?;
    let snapshot = upload::snapshot(plan, client, &mut record, context).await?;
    let waiting = "AWS completes the snapshot".to_owned();
    context.events.detail(Phase::Publish, waiting);
    client.wait_for_snapshot(&snapshot, SNAPSHOT_LIMIT).await?;
    let (architecture, tags) = (plan.architecture(), plan.tags());
    let registered = client.register_image(&plan.name, architecture, &snapshot, &tags);
    let image = match registered.await {
        // The answer to an earlier attempt was lost, or another machine was faster.
        Err(error) if error.has_code("InvalidAMIName.Duplicate") => {
            let image = published_before(plan, client).await?.ok_or(error)?;
            delete_unused(&snapshot, &image, client, context).await;
            image.id
        }
        registered => registered?,
    };
    record.remove()?;
    Ok(image)
}

/// Removes the record of a run that was killed after it had registered `image`, or that another machine was faster than; then its snapshot
/// too.
async fn remove_leftover(
    plan: &Plan,
    client: &Client,
    image: &Ami,
    context: &Context,
) -> Result<(), Failure> {
    let state_dir = &plan.request.state_dir;
    let region = client.region();
    let Some(record) = Record::existing(state_dir, &plan.name, region, plan.disk.sha256) else {
        return Ok(());
    };
    if let Some(snapshot) = &record.progress().snapshot {
        delete_unused(snapshot, image, client, context).await;
    }
    record.remove()
}

/// Deletes `snapshot` unless `image` is made of it. The image is there in any case, so that this is no error of the publication.
async fn delete_unused(snapshot: &str, image: &Ami, client: &Client, context: &Context) {
    if image.snapshots.is_empty() || image.snapshots.iter().any(|id| id == snapshot) {
        return;
    }
    if let Err(error) = client.delete_snapshot(snapshot).await {
        context.events.warn(format!(
            "the image has another snapshot, and {snapshot} was not removed: {error}"
        ));
    }
}

/// What `--share` takes for everybody.
const EVERYBODY: &str = "all";

/// The image of the account with the name of the plan, if there is one.
///
/// # Errors
///
/// It is of another disk, or it can never be used: AWS failed to make it, or it was disabled.
pub(super) async fn published_before(plan: &Plan, client: &Client) -> Result<Option<Ami>, Failure> {
    let found = client.images(("name", &plan.name)).await?;
    let Some(image) = found.into_iter().next() else {
        return Ok(None);
    };
    let hash = plan.disk.sha256.to_string();
    if image
        .tags
        .iter()
        .any(|tag| tag.key == HASH_TAG && tag.value == hash)
    {
        if has_failed(&image.state) {
            return Err(failed(&image, client.region()));
        }
        return Ok(Some(image));
    }
    Err(Failure::usage(format!(
        "the account has a different image called {} in {} ({})",
        plan.name,
        client.region(),
        image.id
    ))
    .hint(format!(
        "choose another name (--name), or remove it: {}",
        removal(&image.id, client.region())
    )))
}

/// Whether image and copies are there, of which the copies may still be in the making.
///
/// # Errors
///
/// As of `published_before`, in each region.
pub async fn is_in_all_regions(plan: &Plan, client: &Client) -> Result<bool, Failure> {
    let mut all = published_before(plan, client).await?.is_some();
    for region in &plan.request.copy_to {
        let there = client.in_region(region);
        all &= published_before(plan, &there).await?.is_some();
    }
    Ok(all)
}

/// Waits until the image `id` can be used, for an hour at most. `what` names what AWS does meanwhile.
pub(super) async fn wait(
    client: &Client,
    id: &str,
    what: &str,
    context: &Context,
) -> Result<Ami, Failure> {
    context.events.detail(Phase::Publish, what);
    client.wait_for_image(id).await.map_err(|error| {
        let remove = removal(id, client.region());
        Failure::from(error).hint(format!("if it failed for good: {remove}"))
    })
}

fn failed(image: &Ami, region: &str) -> Failure {
    let Ami {
        id, name, state, ..
    } = image;
    Failure::environment(format!(
        "{id} ({name}) in {region} cannot be used: its state is {state}"
    ))
    .hint(format!(
        "remove it, and publish again: {}",
        removal(id, region)
    ))
}

/// The command that removes the image `id`.
fn removal(id: &str, region: &str) -> String {
    format!("sdbuild publish remove {id} --region {region}")
}

/// Shares and deprecates an image, as it was asked for. An account has to read the snapshot of an image to copy it; anyone who starts a machine
/// of the image reads all of it in any case. With everybody only the image is shared: a public snapshot is a thing of its own, which most
/// accounts do not allow.
pub(super) async fn offer(plan: &Plan, client: &Client, image: &Ami) -> Result<(), Failure> {
    for account in &plan.request.share {
        client.share_image(&image.id, account).await?;
        if account == EVERYBODY {
            continue;
        }
        for snapshot in &image.snapshots {
            client.share_snapshot(snapshot, account).await?;
        }
    }
    if let Some(at) = &plan.request.deprecate_at {
        client.deprecate_image(&image.id, at).await?;
    }
    Ok(())
}

/// A copy of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RegionCopy {
    /// The region that it is in.
    pub region: String,
    /// Its id.
    pub image: String,
}

/// Has `image` copied to each region that was asked for, and returns the copies. AWS copies all of them at once; if it was asked for,
/// they are waited for, and shared and deprecated like the image.
pub(super) async fn make(
    plan: &Plan,
    client: &Client,
    image: &str,
    context: &Context,
) -> Result<Vec<RegionCopy>, Failure> {
    let mut copies = Vec::new();
    for region in &plan.request.copy_to {
        copies.push(RegionCopy {
            region: region.clone(),
            image: start_copies(plan, client, image, region).await?,
        });
    }
    if plan.request.wait {
        for RegionCopy { region, image } in &copies {
            let there = client.in_region(region);
            let finished = finish_copies(plan, &there, image, context).await;
            finished.map_err(|failure| failure.context(format!("copy it to {region}")))?;
        }
    }
    Ok(copies)
}

/// The copy of `image` in `region`, which may be there already.
async fn start_copies(
    plan: &Plan,
    client: &Client,
    image: &str,
    region: &str,
) -> Result<String, Failure> {
    let there = client.in_region(region);
    if let Some(copy) = published_before(plan, &there).await? {
        return Ok(copy.id);
    }
    // Another one for each copy: EC2 would take one of the image, region and name for that of a copy that was removed since, and refuses one
    // with other parameters, such as those of an image that was removed and published again.
    let token = upload::random()?;
    let tags = plan.tags();
    let copy = there.copy_image(image, client.region(), &plan.name, &token, &tags);
    Ok(copy.await?)
}

async fn finish_copies(
    plan: &Plan,
    there: &Client,
    copy: &str,
    context: &Context,
) -> Result<(), Failure> {
    let what = format!("AWS copies it to {}", there.region());
    let image = wait(there, copy, &what, context).await?;
    offer(plan, there, &image).await
}

/// Compares the disk that was read of the image at `path` with `<image>.sha256` and `<image>.json`, where they are. A compressed file is read
/// for its own hash. Blocks its thread.
pub(super) fn check_sidecars(
    path: &Path,
    disk: &DiskFacts,
    context: &Context,
) -> Result<(), Failure> {
    let is_there = |sidecar: Sidecar| sidecar.path(path).exists();
    if !is_there(Sidecar::Checksum) && !is_there(Sidecar::Manifest) {
        return Ok(());
    }
    let facts = sidecar_facts(path, disk, context).map_err(|error| error.fail("read it"))?;
    let damaged = "it is damaged or incomplete; copy, download or build it again";
    let checksum =
        sidecars::compare_checksum(path, &facts).map_err(|error| error.fail("read its hash"))?;
    if let Some(checksum) = checksum.filter(|checksum| !checksum.matches) {
        let list = checksum.file.display();
        let text = format!("the image does not have the hash that {list} states");
        return Err(Failure::usage(text).hint(damaged));
    }
    let manifest = match sidecars::compare_manifest(path, &facts) {
        // Written by a later sdbuild: its fields are unknown here.
        Err(Error::Unsupported(_)) => None,
        manifest => manifest.map_err(|error| error.fail("read its manifest"))?,
    };
    match manifest.filter(|manifest| !manifest.mismatches.is_empty()) {
        None => Ok(()),
        Some(manifest) => {
            let (file, fields) = (manifest.file.display(), manifest.mismatches.join(", "));
            let text = format!("{file} belongs to another image: {fields} differ");
            Err(Failure::usage(text).hint(damaged))
        }
    }
}

fn sidecar_facts(path: &Path, disk: &DiskFacts, context: &Context) -> Result<ImageFacts, Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let sha256 = match image.compression {
        Compression::None => disk.sha256,
        Compression::Zstd | Compression::Xz | Compression::Gzip => {
            image.sha256(&context.cancel, &|_| ())?
        }
    };
    Ok(ImageFacts {
        compression: image.compression,
        size: image.size,
        sha256: Some(sha256),
        raw_size: disk.size,
        raw_sha256: Some(disk.sha256),
    })
}
