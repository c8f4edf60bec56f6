//! `sdbuild publish`: creates an AMI from an image, lists those that it created, and removes them.

mod list;
mod remove;

use std::path::Path;

use clap::ValueEnum as _;
use jiff::{Timestamp, ToSpan as _};

use crate::cli::{PublishAws, PublishCommand, PublishOci};
use crate::commands::cloud::{access, client};
use crate::commands::confirm::agreed;
use crate::commands::json_output::{Versioned, print_json};
use crate::commands::newest_image::named_or_newest;
use crate::settings::{Environment, common_without_file};
use crate::ui::Ui;
use sdbuild_cloud::aws;
use sdbuild_cloud::aws::Client;
use sdbuild_cloud::publish;
use sdbuild_cloud::publish::{Plan, PublishRequest, Published, RegionCopy};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::system::System;
use sdbuild_image::sidecars;

/// Runs one of the commands.
pub async fn run(
    command: &PublishCommand,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    match command {
        PublishCommand::Aws(args) => Box::pin(publish(args, env, ui, context)).await,
        PublishCommand::Oci(args) => Box::pin(oci(args, ui, context)).await,
        PublishCommand::List(args) => Box::pin(list::run(args, env, ui, context)).await,
        PublishCommand::Remove(args) => Box::pin(remove::run(args, env, ui, context)).await,
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

async fn oci(args: &PublishOci, ui: &Ui, context: &Context) -> Result<(), Failure> {
    let written =
        publish::write_oci_layout(&args.image, &args.directory, &args.tag, context).await?;
    if args.json {
        return print_json(&Versioned::new(written), ui);
    }
    let directory = args.directory.to_string_lossy();
    let source = quoted(&format!("oci:{directory}:{}", written.tag));
    context.events.notice(format!(
        "{} in {} layers as {}; push it with: skopeo copy {source} docker://REGISTRY/NAME",
        human_bytes(written.bytes),
        written.layers,
        written.digest,
    ));
    ui.result(&directory)
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
    if let Some(system) = stated.and_then(|name| System::from_str(&name, false).ok()) {
        return Ok(system);
    }
    let name = image.file_name().unwrap_or_default().to_string_lossy();
    let all = [System::Aarch64Linux, System::X8664Linux];
    let found = all
        .into_iter()
        .find(|system| name.contains(&system.to_string()));
    found.ok_or_else(|| {
        Failure::usage(format!(
            "neither the manifest nor the name of {} says which system the image is for",
            image.display()
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
