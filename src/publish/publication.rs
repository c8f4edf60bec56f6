//! One publication from start to end.

use serde::Serialize;

use crate::aws::{Ami, Client, Error, NewImage};
use crate::common::context::Context;
use crate::common::event::{Event, Phase};
use crate::common::failure::Failure;
use crate::publish::plan::{HASH_TAG, Plan};
use crate::publish::record::Record;
use crate::publish::upload;

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
    /// The copies: region and id.
    pub copies: Vec<(String, String)>,
    /// Whether it was there already.
    pub up_to_date: bool,
}

/// The image of the account with the name of the plan, if there is one.
///
/// # Errors
///
/// It is of another disk.
pub async fn published_before(plan: &Plan, client: &Client) -> Result<Option<Ami>, Failure> {
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
        return Ok(Some(image));
    }
    Err(Failure::usage(format!(
        "the account has another image called {} in {} ({})",
        plan.name,
        client.region(),
        image.id
    ))
    .hint(format!(
        "choose another name (--name), or remove it: sdbuild publish remove {}",
        image.id
    )))
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
        failure.context(operation).hint("the same command goes on with what is there; sdbuild publish list names what is unfinished")
    })
}

async fn run(plan: &Plan, client: &Client, context: &Context) -> Result<Published, Failure> {
    let before = published_before(plan, client).await?;
    let up_to_date = before.is_some();
    let (image, snapshot) = if let Some(image) = before {
        // A run that was killed after it had registered the image.
        Record::discard(
            &plan.request.state_dir,
            &plan.name,
            client.region(),
            plan.disk.sha256,
        );
        (image.id, image.snapshots.into_iter().next())
    } else {
        let (image, snapshot) = register(plan, client, context).await?;
        (image, Some(snapshot))
    };
    let request = &plan.request;
    for account in &request.share {
        client.share_image(&image, account).await?;
    }
    if let Some(at) = &request.deprecate_at {
        client.deprecate_image(&image, at).await?;
    }
    let mut copies = Vec::new();
    for region in &request.copy_to {
        copies.push((region.clone(), copy(plan, client, &image, region).await?));
    }
    Ok(Published {
        image,
        name: plan.name.clone(),
        region: client.region().to_owned(),
        snapshot,
        copies,
        up_to_date,
    })
}

/// Makes the snapshot and the image.
async fn register(
    plan: &Plan,
    client: &Client,
    context: &Context,
) -> Result<(String, String), Failure> {
    let state_dir = &plan.request.state_dir;
    let mut record = Record::open(state_dir, &plan.name, client.region(), plan.disk.sha256)?;
    let snapshot = upload::snapshot(plan, client, &mut record, context).await?;
    let waiting = "AWS completes the snapshot".to_owned();
    context.events.emit(Event::Detail(Phase::Publish, waiting));
    client.wait_for_snapshot(&snapshot).await?;
    let tags = plan.tags();
    let new = NewImage {
        name: &plan.name,
        description: "NixOS, made by sdbuild",
        architecture: plan.architecture(),
        snapshot: &snapshot,
        tags: &tags,
    };
    let image = match client.register_image(&new).await {
        // The answer to an earlier attempt was lost.
        Err(error) if error.is_duplicate_name() => {
            let before = published_before(plan, client).await?;
            before.map(|image| image.id).ok_or(error)?
        }
        registered => registered?,
    };
    record.remove()?;
    Ok((image, snapshot))
}

/// The copy of `image` in `region`, which may be there already.
async fn copy(plan: &Plan, client: &Client, image: &str, region: &str) -> Result<String, Failure> {
    let there = client.in_region(region);
    if let Some(copy) = published_before(plan, &there).await? {
        return Ok(copy.id);
    }
    // At most 64 characters.
    let token = plan.disk.sha256.to_string();
    let copied: Result<String, Error> = there
        .copy_image(image, client.region(), &plan.name, &token)
        .await;
    Ok(copied?)
}
