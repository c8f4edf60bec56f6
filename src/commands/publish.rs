//! `sdbuild publish`: makes an AMI of an image, lists those that it made, and removes them.

use std::path::Path;

use jiff::{Timestamp, ToSpan as _};
use serde::Serialize;

use crate::aws::{self, Ami, Client, Snapshot, Tag};
use crate::cli::{AwsAccount, PublishAws, PublishCommand, PublishList, PublishRemove};
use crate::commands::confirm::confirm;
use crate::commands::json_output::print_json;
use crate::commands::newest_image::named_or_newest;
use crate::common::context::Context;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::system::System;
use crate::publish::{self, HASH_TAG, Plan, PublishRequest, Published, Unfinished};
use crate::settings::{Common, Environment};
use crate::ui::Ui;

/// Bytes of the largest file of certificate authorities that is read.
const MAX_AUTHORITIES_BYTES: u64 = 16 << 20;

/// Runs one of the commands.
pub async fn run(
    command: &PublishCommand,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        PublishCommand::Aws(args) => Box::pin(publish(args, env, ui, context)).await,
        PublishCommand::List(args) => Box::pin(list(args, env, ui, context)).await,
        PublishCommand::Remove(args) => Box::pin(remove(args, env, ui, context)).await,
    }
}

async fn publish(
    args: &PublishAws,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let image = named_or_newest(args.image.as_deref(), env, context)?;
    let system = match args.system {
        Some(system) => system,
        None => system_of(&image)?,
    };
    check_accounts(&args.share)?;
    let common = Common::without_file(env)?;
    let client = client(&args.account, &common, env, context).await?;
    let request = PublishRequest {
        image,
        name: args.name.clone(),
        system,
        share: args.share.clone(),
        copy_to: args.copy_to.clone(),
        deprecate_at: args.deprecate_after.map(days_from_now).transpose()?,
        state_dir: common.state_dir,
    };
    let plan = Plan::read(request, context).await?;
    context.events.notice(plan.words(client.region()));
    if args.dry_run {
        return Ok(());
    }
    if publish::published_before(&plan, &client).await?.is_none() {
        agreed("Publish it?", args.yes, ui, context).await?;
    }
    let published = publish::publish(&plan, &client, context).await?;
    if published.up_to_date {
        context.events.notice("the same image was published before");
    }
    if args.json {
        return print_json(&published, ui);
    }
    report(&published, context);
    ui.result(&published.image)
}

fn report(published: &Published, context: &Context) {
    for (region, copy) in &published.copies {
        context.events.notice(format!("copied to {region}: {copy}"));
    }
}

/// The system in the name that nixpkgs and sdbuild give an image.
fn system_of(image: &Path) -> Result<System, Failure> {
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let all = [System::Aarch64Linux, System::X8664Linux];
    let found = all
        .into_iter()
        .find(|system| name.contains(&system.to_string()));
    found.ok_or_else(|| {
        Failure::usage(format!(
            "the name of {} does not tell the system of the image",
            image.display()
        ))
        .hint("name it: --system aarch64-linux")
    })
}

fn check_accounts(accounts: &[String]) -> Result<(), Failure> {
    let is_account = |text: &&String| text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
    match accounts
        .iter()
        .find(|text| !is_account(text) && *text != "all")
    {
        None => Ok(()),
        Some(other) => Err(Failure::usage(format!("`{other}` is no account of AWS"))
            .hint("--share takes an account's 12 digits, or all for everybody")),
    }
}

/// The instant `days` from now, as AWS writes instants.
fn days_from_now(days: u32) -> Result<String, Failure> {
    let later = Timestamp::now().checked_add((i64::from(days) * 24).hours());
    let later = later.or_internal("add days to now")?;
    Ok(later.strftime("%Y-%m-%dT%H:%M:00.000Z").to_string())
}

async fn client(
    account: &AwsAccount,
    common: &Common,
    env: &Environment,
    context: &Context,
) -> Result<Client, Failure> {
    let (region, profile) = (account.region.as_deref(), account.profile.as_deref());
    let account = aws::account(region, profile, &env.aws, &context.cancel).await?;
    let authorities = match &common.ca_file {
        Some(path) => crate::common::plain_file::read(path, MAX_AUTHORITIES_BYTES)
            .or_environment(format!("read {}", path.display()))?,
        None => Vec::new(),
    };
    Client::new(account, &authorities, &context.cancel)
}

/// An error unless the user agrees.
async fn agreed(question: &str, yes: bool, ui: &Ui, context: &Context) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    match confirm(question, ui, context).await? {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("the answer was no")),
        None => Err(Failure::usage("nobody can be asked").hint("give --yes to agree")),
    }
}

async fn list(
    args: &PublishList,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let common = Common::without_file(env)?;
    let client = client(&args.account, &common, env, context).await?;
    let listing = Listing::of(&client, &common.state_dir).await?;
    if args.json {
        return print_json(&listing, ui);
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
    async fn of(client: &Client, state_dir: &Path) -> Result<Self, Failure> {
        let images = client.images(("tag-key", HASH_TAG)).await?;
        let mut snapshots = client.snapshots(("tag-key", HASH_TAG)).await?;
        let unfinished = publish::unfinished(state_dir);
        let of_image = |id: &String| images.iter().any(|image| image.snapshots.contains(id));
        let of_upload = |id: &String| {
            unfinished
                .iter()
                .any(|one| one.snapshot.as_ref() == Some(id))
        };
        snapshots.retain(|one| !of_image(&one.id) && !of_upload(&one.id));
        Ok(Self {
            images,
            unfinished,
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
        for Unfinished {
            name,
            region,
            snapshot,
            blocks,
            ..
        } in &self.unfinished
        {
            let snapshot = snapshot.as_deref().unwrap_or("no snapshot yet");
            let text = format!("unfinished in {region}: {name} ({snapshot}, {blocks} blocks sent)");
            context.events.notice(text);
        }
        for Snapshot {
            id,
            state,
            description,
            ..
        } in &self.snapshots_without_image
        {
            context
                .events
                .notice(format!("without an image: {id} ({state}), {description}"));
        }
        if self.images.is_empty() {
            context
                .events
                .notice(format!("sdbuild has no image in {region}"));
        }
        Ok(())
    }
}

async fn remove(
    args: &PublishRemove,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let common = Common::without_file(env)?;
    let client = client(&args.account, &common, env, context).await?;
    let id = &args.id;
    if id.starts_with("snap-") {
        let found = client.snapshots(("snapshot-id", id)).await?;
        if let Some(Snapshot { tags, .. }) = found.first() {
            check_ours(id, tags)?;
            agreed(&format!("Remove {id}?"), args.yes, ui, context).await?;
            client.delete_snapshot(id).await?;
        } else if !is_recorded(id, &common.state_dir) {
            return Err(unknown(id, client.region()));
        }
        return forget(id, &common.state_dir);
    }
    let found = client.images(("image-id", id)).await?;
    let image = found.first().ok_or_else(|| unknown(id, client.region()))?;
    check_ours(id, &image.tags)?;
    agreed(
        &format!("Remove {} ({id}) with its snapshots?", image.name),
        args.yes,
        ui,
        context,
    )
    .await?;
    client.deregister_image(id).await?;
    for snapshot in &image.snapshots {
        client.delete_snapshot(snapshot).await?;
    }
    Ok(())
}

fn unknown(id: &str, region: &str) -> Failure {
    Failure::usage(format!("the account has no {id} in {region}"))
        .hint("sdbuild publish list names those that there are")
}

/// Only what sdbuild made is removed.
fn check_ours(id: &str, tags: &[Tag]) -> Result<(), Failure> {
    if tags.iter().any(|tag| tag.key == HASH_TAG) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{id} was not published by sdbuild: it has no tag {HASH_TAG}"
    ))
    .hint("AWS's own tools remove it"))
}

fn is_recorded(id: &str, state_dir: &Path) -> bool {
    let unfinished = publish::unfinished(state_dir);
    unfinished
        .iter()
        .any(|upload| upload.snapshot.as_deref() == Some(id))
}

/// Forgets the upload to the snapshot `id`, if there is a record of it.
fn forget(id: &str, state_dir: &Path) -> Result<(), Failure> {
    for upload in publish::unfinished(state_dir) {
        if upload.snapshot.as_deref() == Some(id) {
            publish::forget(&upload).or_environment("forget the upload")?;
        }
    }
    Ok(())
}
