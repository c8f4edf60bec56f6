//! One publication from start to end.

use std::time::Duration;

use serde::Serialize;

use crate::aws::{Ami, Client, NewImage};
use crate::publish::copies;
use crate::publish::copies::RegionCopy;
use crate::publish::existing::{offer, published_before, wait};
use crate::publish::plan::Plan;
use crate::publish::record::Record;
use crate::publish::upload;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;

/// Until AWS has completed a snapshot that it accepted.
const SNAPSHOT_LIMIT: Duration = Duration::from_secs(3600);

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
    let copies = copies::make(plan, client, &image.id, context).await?;
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
    let tags = plan.tags();
    let new = NewImage {
        name: &plan.name,
        description: "NixOS, made by sdbuild",
        architecture: plan.architecture(),
        snapshot: &snapshot,
        tags: &tags,
    };
    let image = match client.register_image(&new).await {
        // The answer to an earlier attempt was lost, or another machine was faster.
        Err(error) if error.is_duplicate_name() => {
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
    if let Some(snapshot) = &record.snapshot {
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
