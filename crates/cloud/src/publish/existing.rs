//! An image that the account has: how it is found and waited for, and who may use it.

use crate::aws::{Ami, Client, has_failed};
use crate::publish::plan::{HASH_TAG, Plan};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::Failure;

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
    let report = |progress: &str| {
        let text = format!("{what}: {progress}");
        context.events.detail(Phase::Publish, text);
    };
    client.wait_for_image(id, report).await.map_err(|error| {
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
