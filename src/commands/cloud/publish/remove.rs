//! `sdbuild publish remove`: removes an image, or a snapshot without one.

use std::path::Path;

use crate::cli::{AwsAccount, PublishRemove};
use crate::commands::cloud::{access, client};
use crate::commands::confirm::agreed;
use crate::settings::{Environment, common_without_file};
use crate::ui::Ui;
use sdbuild_cloud::aws::{Client, Tag};
use sdbuild_cloud::publish;
use sdbuild_cloud::publish::{HASH_TAG, Unfinished};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// The tag of a snapshot with the image that is being removed.
const IMAGE_TAG: &str = "sdbuild:removed-image";

/// Removes what `args` names, if sdbuild made it and the user agrees.
pub(super) async fn run(
    args: &PublishRemove,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let common = common_without_file(env)?;
    if !args.id.starts_with("snap-") {
        let client = client(&args.account, &access(env, &common), context).await?;
        return image(args, &client, ui, context).await;
    }
    let upload = recorded(&args.id, &common.state_dir)?;
    // An upload is in one region, whatever region is the default now.
    let account = match &upload {
        Some(upload) => &AwsAccount {
            region: Some(upload.region.clone()),
            profile: args.account.profile.clone(),
        },
        None => &args.account,
    };
    let client = client(account, &access(env, &common), context).await?;
    snapshot(args, upload.as_ref(), &client, ui, context).await
}

async fn image(
    args: &PublishRemove,
    client: &Client,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let id = &args.id;
    let found = client.images(("image-id", id)).await?;
    let Some(image) = found.first() else {
        return rest_of_image(args, client, ui, context).await;
    };
    check_ours(id, &image.tags)?;
    let question = format!("Remove {} ({id}) with its snapshots?", image.name);
    agreed(&question, args.yes, ui, context).await?;
    // After a kill between the two calls that follow, nothing else says whose they were.
    let of_image = Tag {
        key: IMAGE_TAG.to_owned(),
        value: id.clone(),
    };
    if !image.snapshots.is_empty() {
        match client.tag(&image.snapshots, &of_image).await {
            Err(error) if error.is_gone() => {}
            tagged => tagged?,
        }
    }
    client.deregister_image(id).await?;
    for snapshot in &image.snapshots {
        client.delete_freed_snapshot(snapshot).await?;
    }
    Ok(())
}

/// Removes the snapshots of an image that an earlier call removed.
async fn rest_of_image(
    args: &PublishRemove,
    client: &Client,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let id = &args.id;
    let filter = format!("tag:{IMAGE_TAG}");
    let mut snapshots = client.snapshots((&filter, id)).await?;
    snapshots.retain(|one| check_ours(&one.id, &one.tags).is_ok());
    if snapshots.is_empty() {
        return Err(unknown(id, client.region()));
    }
    let ids: Vec<_> = snapshots.iter().map(|one| one.id.as_str()).collect();
    let question = format!(
        "{id} is removed. Remove its snapshots ({})?",
        ids.join(", ")
    );
    agreed(&question, args.yes, ui, context).await?;
    for snapshot in ids {
        client.delete_freed_snapshot(snapshot).await?;
    }
    Ok(())
}

/// Removes a snapshot and its record `upload`. The record alone goes only if AWS says that its region has no such snapshot, and the user
/// agrees: the account may be another one.
async fn snapshot(
    args: &PublishRemove,
    upload: Option<&Unfinished>,
    client: &Client,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let (id, region) = (&args.id, client.region());
    let found = client.snapshots(("snapshot-id", id)).await?;
    match (found.first(), upload) {
        (Some(snapshot), _) => {
            check_ours(id, &snapshot.tags)?;
            agreed(&format!("Remove {id} in {region}?"), args.yes, ui, context).await?;
            client.delete_snapshot(id).await?;
        }
        (None, Some(upload)) => {
            let name = &upload.name;
            let question = format!(
                "The account has no {id} in {region}. Remove the record of the upload of {name}?"
            );
            agreed(&question, args.yes, ui, context).await?;
        }
        (None, None) => return Err(unknown(id, region)),
    }
    upload.map_or(Ok(()), publish::forget)
}

/// The upload to the snapshot `id`, if this machine has a record of it.
///
/// # Errors
///
/// A process goes on with it.
fn recorded(id: &str, state_dir: &Path) -> Result<Option<Unfinished>, Failure> {
    let uploads = publish::uploads(state_dir);
    let mut of_id = uploads
        .into_iter()
        .filter(|upload| upload.snapshot.as_deref() == Some(id));
    match of_id.next() {
        Some(upload) if upload.is_running => Err(Failure::environment(format!(
            "another sdbuild is uploading {} to {id}",
            upload.name
        ))),
        found => Ok(found),
    }
}

fn unknown(id: &str, region: &str) -> Failure {
    Failure::usage(format!("the account has no {id} in {region}"))
        .hint("sdbuild publish list shows those that exist")
}

/// Only what sdbuild made is removed.
fn check_ours(id: &str, tags: &[Tag]) -> Result<(), Failure> {
    if tags.iter().any(|tag| tag.key == HASH_TAG) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{id} was not published by sdbuild: it has no tag {HASH_TAG}"
    ))
    .hint("remove it with AWS's own tools"))
}
