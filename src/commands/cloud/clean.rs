//! `sdbuild clean --cloud`: what runs of any machine left at AWS.

use jiff::Timestamp;

use super::access;
use super::client;
use crate::cli;
use crate::cli::AwsAccount;
use crate::commands::clean::{check_leftovers, confirmed};
use crate::settings::Environment;
use crate::ui::Ui;
use sdbuild_build::{Common, Item};
use sdbuild_cloud::aws::{Client, Snapshot};
use sdbuild_cloud::machine::CloudLeftovers;
use sdbuild_cloud::publish;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, Leftover};

/// Age from which a complete snapshot without an image counts as abandoned. Its upload may have taken more than a day: AWS discards one only a
/// day after its last block. The image is registered as soon as the snapshot is complete, or at the next run of the command.
const UPLOAD_SECONDS: i64 = 3 * 24 * 3600;

/// Lists what is there, asks for confirmation, and removes it.
pub(in crate::commands) async fn run(
    args: &cli::Clean,
    env: &Environment,
    settings: &Common,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let account = AwsAccount {
        region: args.region.clone(),
        profile: args.profile.clone(),
    };
    let client = client(&account, &access(env, settings), context).await?;
    let machines = CloudLeftovers::find(client.clone()).await?;
    let snapshots = old_snapshots(&client, settings).await?;
    for (run, until) in machines.live() {
        let text =
            format!("run {run} has a machine until {until}, or longer if its build continues");
        context.events.notice(text);
    }
    let item = |kind, name| Item {
        kind,
        name,
        size: None,
    };
    let of_machines = machines.removable().into_iter();
    let mut items: Vec<Item> = of_machines.map(|(kind, name)| item(kind, name)).collect();
    items.extend(snapshots.iter().map(|one| {
        let Snapshot {
            id, description, ..
        } = one;
        item("snapshot", format!("{id} ({description})"))
    }));
    if !confirmed(&items, false, args, ui, context).await? {
        return Ok(());
    }
    let mut leftovers = Vec::new();
    for (run, failure) in machines.remove().await {
        leftovers.push(left(format!("what run {run} left at AWS"), &failure));
    }
    for snapshot in &snapshots {
        if let Err(failure) = remove_unless_used(&snapshot.id, &client, settings).await {
            leftovers.push(left(format!("snapshot {}", snapshot.id), &failure));
        }
    }
    if context.cancel.is_cancelled() {
        return Err(Failure::interrupted().with_teardown(leftovers));
    }
    check_leftovers(leftovers)?;
    context.events.notice("removed");
    Ok(())
}

/// Removes the snapshot `id`, unless it has an image by now, or an upload goes on with it.
async fn remove_unless_used(id: &str, client: &Client, settings: &Common) -> Result<(), Failure> {
    let mut uploads = publish::uploads(&settings.state_dir).into_iter();
    let is_uploaded = uploads.any(|upload| upload.snapshot.as_deref() == Some(id));
    let filter = ("block-device-mapping.snapshot-id", id);
    if is_uploaded || !client.images(filter).await?.is_empty() {
        return Ok(());
    }
    Ok(client.delete_snapshot(id).await?)
}

fn left(what: String, failure: &Failure) -> Leftover {
    Leftover {
        what,
        why: failure.to_string(),
        remedy: "sdbuild clean --cloud".to_owned(),
    }
}

/// Snapshots without an image whose upload was abandoned.
async fn old_snapshots(client: &Client, settings: &Common) -> Result<Vec<Snapshot>, Failure> {
    let images = client.images(("tag-key", publish::HASH_TAG)).await?;
    let uploads = publish::uploads(&settings.state_dir);
    let mut found = publish::snapshots_without_image(client, &images, &uploads).await?;
    let now = Timestamp::now().as_second();
    let is_old = |one: &Snapshot| {
        let started = one.started.parse::<Timestamp>();
        started.is_ok_and(|started| now - started.as_second() > UPLOAD_SECONDS)
    };
    // An incomplete one may still be resumed; otherwise AWS discards it.
    found.retain(|one| one.state != "pending" && is_old(one));
    Ok(found)
}
