//! `sdbuild publish list`: what sdbuild has in a region.

use std::path::Path;

use serde::Serialize;

use crate::cli::PublishList;
use crate::commands::cloud::{access, client};
use crate::commands::json_output::{Versioned, print_json};
use crate::settings::{Environment, common_without_file};
use crate::ui::Ui;
use sdbuild_cloud::aws::{Ami, Client, Snapshot};
use sdbuild_cloud::publish;
use sdbuild_cloud::publish::{HASH_TAG, Unfinished};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;

/// Lists images, uploads that did not come to their end, and snapshots without an image.
pub(super) async fn run(
    args: &PublishList,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let common = common_without_file(env)?;
    let client = client(&args.account, &access(env, &common), context).await?;
    let listing = Listing::of(&client, &common.state_dir, context).await?;
    if args.json {
        return print_json(&Versioned::new(listing), ui);
    }
    listing.show(client.region(), ui, context)
}

/// What sdbuild has in a region.
#[derive(Serialize)]
struct Listing {
    images: Vec<Ami>,
    /// Of this machine, whatever the region.
    unfinished: Vec<Unfinished>,
    snapshots_without_image: Vec<Snapshot>,
}

impl Listing {
    async fn of(client: &Client, state_dir: &Path, context: &Context) -> Result<Self, Failure> {
        let images = client.images(("tag-key", HASH_TAG)).await?;
        forget_stale(client, state_dir, context).await?;
        let uploads = publish::uploads(state_dir);
        let snapshots = publish::snapshots_without_image(client, &images, &uploads).await?;
        Ok(Self {
            images,
            unfinished: publish::unfinished(state_dir),
            snapshots_without_image: snapshots,
        })
    }

    fn show(&self, region: &str, ui: &Ui, context: &Context) -> Result<(), Failure> {
        for image in &self.images {
            let Ami {
                id,
                name,
                state,
                architecture,
                created,
                ..
            } = image;
            ui.result(&format!(
                "{id}  {architecture:<6}  {state:<9}  {created:.10}  {name}"
            ))?;
        }
        for upload in &self.unfinished {
            context.events.notice(unfinished_line(upload));
        }
        for snapshot in &self.snapshots_without_image {
            context.events.notice(snapshot_line(snapshot));
        }
        if self.images.is_empty() {
            context
                .events
                .notice(format!("sdbuild has published no image in {region}"));
        }
        Ok(())
    }
}

fn unfinished_line(upload: &Unfinished) -> String {
    let Unfinished {
        name,
        region,
        snapshot,
        blocks,
        ..
    } = upload;
    let snapshot = snapshot.as_deref().unwrap_or("no snapshot yet");
    format!("unfinished in {region}: {name} ({snapshot}, {blocks} blocks sent)")
}

/// A snapshot that no record of this machine has. One that is pending may be in the making elsewhere.
fn snapshot_line(snapshot: &Snapshot) -> String {
    let Snapshot {
        id,
        state,
        description,
        ..
    } = snapshot;
    if state == "pending" {
        return format!("being uploaded, or abandoned: {id}, {description}");
    }
    format!("without an image: {id} ({state}), {description}")
}

/// Removes the records of uploads to the region of `client` that AWS has discarded meanwhile.
async fn forget_stale(client: &Client, state_dir: &Path, context: &Context) -> Result<(), Failure> {
    let discarded = publish::discarded(state_dir).into_iter();
    for upload in discarded.filter(|upload| upload.region == client.region()) {
        let is_there = match &upload.snapshot {
            Some(id) => !client.snapshots(("snapshot-id", id)).await?.is_empty(),
            None => false,
        };
        if !is_there {
            publish::forget(&upload)?;
            let Unfinished { name, region, .. } = &upload;
            context.events.notice(format!(
                "the upload of {name} to {region} was removed from the records: AWS has discarded its snapshot"
            ));
        }
    }
    Ok(())
}
