//! `sdbuild publish`: creates an AMI from an image, lists those that it created, and removes them.

use std::path::Path;

use clap::ValueEnum as _;
use jiff::{Timestamp, ToSpan as _};
use sdbuild_cloud::aws::{self, Ami, Client, Snapshot, Tag};
use sdbuild_cloud::publish::{
    self, HASH_TAG, Plan, PublishRequest, Published, RegionCopy, Unfinished,
};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::system::System;
use sdbuild_image::sidecars;
use serde::Serialize;

use crate::cli::{AwsAccount, PublishAws, PublishCommand, PublishList, PublishRemove};
use crate::commands::Session;
use crate::commands::cloud::{access, client};
use crate::commands::confirm::agree;
use crate::commands::json_output::{VERSION, print_json};
use crate::commands::newest_image::named_or_newest;
use crate::settings::common_without_file;
use crate::ui::Ui;

/// Runs one of the commands.
pub async fn run(command: &PublishCommand, session: Session<'_>) -> Result<(), Failure> {
    match command {
        PublishCommand::Aws(args) => Box::pin(publish(args, session)).await,
        PublishCommand::List(args) => Box::pin(list(args, session)).await,
        PublishCommand::Remove(args) => Box::pin(remove(args, session)).await,
    }
}

async fn publish(args: &PublishAws, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let image = named_or_newest(args.image.as_deref(), session)?;
    let system = match args.system {
        Some(system) => system,
        None => system_of(&image)?,
    };
    check_accounts(&args.share)?;
    let common = common_without_file(env)?;
    let client = client(&args.account, &access(env, &common), context).await?;
    check_regions(&args.copy_to, client.region())?;
    let request = PublishRequest {
        image,
        name: args.name.clone(),
        system,
        share: args.share.clone(),
        copy_to: args.copy_to.clone(),
        wait: !args.no_wait,
        deprecate_at: args.deprecate_after.map(days_from_now).transpose()?,
        state_dir: common.state_dir,
    };
    let plan = Plan::read(request, context).await?;
    context.events.notice(plan.summary(client.region()));
    if args.dry_run {
        return Ok(());
    }
    if !publish::is_in_all_regions(&plan, &client).await? {
        if !args.share.is_empty() {
            warn_of_encryption(&client, context).await?;
        }
        agreed("Publish it?", args.yes, ui, context).await?;
    }
    let published = publish::publish(&plan, &client, context).await?;
    if published.up_to_date {
        context.events.notice("the same image was published before");
    }
    if args.json {
        return print_json(&Versioned::new(published), ui);
    }
    report(&published, args, context);
    ui.result(&published.image)
}

/// Warns if what is sent cannot be shared, or not with all: AWS refuses that after everything was sent.
async fn warn_of_encryption(client: &Client, context: &Context) -> Result<(), Failure> {
    let encrypts = match client.encrypts_by_default().await {
        // Whoever may not ask learns it later.
        Err(error) if error.has_code("UnauthorizedOperation") => false,
        encrypts => encrypts?,
    };
    if encrypts {
        context.events.warn(format!(
            "{} encrypts new snapshots by default. AWS never makes an encrypted image public, and shares one with \
             accounts only if they may use your default key",
            client.region()
        ));
    }
    Ok(())
}

fn report(published: &Published, args: &PublishAws, context: &Context) {
    for RegionCopy {
        region,
        image: copy,
    } in &published.copies
    {
        context.events.notice(if args.no_wait {
            format!("AWS copies it to {region}: {copy}; sdbuild publish list --region {region} shows its state")
        } else {
            format!("copied to {region}: {copy}")
        });
    }
    if args.no_wait
        && !published.copies.is_empty()
        && (!args.share.is_empty() || args.deprecate_after.is_some())
    {
        context
            .events
            .notice("the same command without --no-wait shares and deprecates the copies too");
    }
}

/// The system that the manifest states, or else the one in the name that nixpkgs and sdbuild give an image.
fn system_of(image: &Path) -> Result<System, Failure> {
    // A manifest that cannot be read is an error when it is compared with the image.
    let manifest = sidecars::read_manifest(image).ok().flatten();
    let stated = manifest.and_then(|manifest| manifest.system);
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let all = [System::Aarch64Linux, System::X8664Linux];
    let named = || {
        all.into_iter()
            .find(|system| name.contains(&system.to_string()))
    };
    let system = stated.and_then(|name| System::from_str(&name, false).ok());
    system.or_else(named).ok_or_else(|| {
        let image = image.display();
        Failure::usage(format!(
            "neither a manifest nor its name says which system {image} is for"
        ))
        .hint("name it: --system aarch64-linux")
    })
}

/// An error unless the image can be copied from the region `own` to `regions`.
fn check_regions(regions: &[String], own: &str) -> Result<(), Failure> {
    for (n, region) in regions.iter().enumerate() {
        aws::check_region(region)?;
        if region == own {
            return Err(Failure::usage(format!(
                "--copy-to {region}: the image is published there already"
            )));
        }
        if regions.iter().take(n).any(|before| before == region) {
            return Err(Failure::usage(format!("--copy-to {region} is given twice")));
        }
    }
    Ok(())
}

fn check_accounts(accounts: &[String]) -> Result<(), Failure> {
    let is_account = |text: &&String| text.len() == 12 && text.chars().all(|c| c.is_ascii_digit());
    match accounts
        .iter()
        .find(|text| !is_account(text) && *text != "all")
    {
        None => Ok(()),
        Some(other) => Err(Failure::usage(format!("`{other}` is not an AWS account"))
            .hint("--share takes an account's 12 digits, or all")),
    }
}

/// The instant `days` from now, as AWS writes instants.
fn days_from_now(days: u32) -> Result<String, Failure> {
    let later = Timestamp::now().checked_add((i64::from(days) * 24).hours());
    let later = later.or_internal("add days to now")?;
    Ok(later.strftime("%Y-%m-%dT%H:%M:00.000Z").to_string())
}

/// Lists images, uploads that did not come to their end, and snapshots without an image.
pub(super) async fn list(args: &PublishList, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
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

/// The tag of a snapshot with the image that is being removed.
const IMAGE_TAG: &str = "sdbuild:removed-image";

/// Removes what `args` names, if sdbuild made it and the user agrees.
pub(super) async fn remove(args: &PublishRemove, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, context, .. } = session;
    let common = common_without_file(env)?;
    if !args.id.starts_with("snap-") {
        let client = client(&args.account, &access(env, &common), context).await?;
        return image(args, &client, session).await;
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
    snapshot(args, upload.as_ref(), &client, session).await
}

async fn image(args: &PublishRemove, client: &Client, session: Session<'_>) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    let id = &args.id;
    let found = client.images(("image-id", id)).await?;
    let Some(image) = found.first() else {
        return rest_of_image(args, client, session).await;
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
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
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
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
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

/// An error unless the user agrees, by answering `question` or with `yes` already.
async fn agreed(question: &str, yes: bool, ui: &Ui, context: &Context) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    let unasked =
        Failure::usage("nobody answered the question on a terminal").hint("give --yes to agree");
    let declined = "nothing was changed: the answer was no";
    agree(question, declined, unasked, ui, context).await
}

/// A result with the version of its JSON.
#[derive(Serialize)]
struct Versioned<T> {
    version: u32,
    #[serde(flatten)]
    result: T,
}

impl<T> Versioned<T> {
    /// `result` with [`VERSION`].
    fn new(result: T) -> Self {
        Self {
            version: VERSION,
            result,
        }
    }
}
