//! `sdbuild personalise`: copies an image and puts files into the copy.

use std::path::Path;

use crate::cli;
use crate::commands::host_key::{known_hosts_line, name_of, ssh_command};
use crate::commands::newest_image::named_or_newest_for_card;
use crate::commands::put_files::{Given, PutFiles};
use crate::commands::{Session, blocking};
use crate::settings::{common_of_boot, source_date_epoch};
use jiff::Timestamp;
use sdbuild_build::RunEngine;
use sdbuild_card::{Changes, ImageCopy, Plan, Tools};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::new_file::{self, Access};
use sdbuild_core::shown_path::shown_path;

/// Copies the image, puts the files into the copy, and prints its path.
pub async fn run(args: &cli::Personalise, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let common = common_of_boot(env)?;
    let files = Box::pin(PutFiles::prepare(
        &[Given::by_user(args.put.clone())],
        session,
    ))
    .await?;
    if files.is_empty() {
        return Err(Failure::usage("nothing is named to put into the image")
            .hint("name it: --put FILE:PATH, --host-key, --ssh-key, --wifi or --hostname"));
    }
    let image = named_or_newest_for_card(Some(&args.image), session)?;
    let owner = env.sudo().filter(|_| nix::unistd::geteuid().is_root());
    let created = source_date_epoch(env.text("SOURCE_DATE_EPOCH"))?;
    let created = created.unwrap_or_else(Timestamp::now);
    let output = std::path::absolute(&args.output).or_usage("find the current directory")?;
    let known_hosts = output.with_added_extension("known_hosts");
    let PutFiles {
        puts,
        wifi,
        host_key,
        hostname,
        ..
    } = files;
    let name = name_of(&image, hostname.as_deref());
    if host_key.is_some() && name.is_some() {
        new_file::is_free(&known_hosts)?;
    }
    let operation = format!("personalise {}", image.display());
    let personalise = async {
        let (from, to) = (image.clone(), output.clone());
        let make = move |context: &Context| {
            let copy = ImageCopy::make(&from, &to, owner, context)?;
            let plan = Plan::new(&copy.disk(&context.cancel)?, puts, wifi.as_ref())?;
            Ok((copy, plan))
        };
        // What cannot be put there is told before an engine is asked.
        let (copy, plan) = blocking(context, make).await?;
        let engine = RunEngine::to_put(&common, context).await?;
        let changes: Result<Changes, Failure> = plan.changes(&tools_of(&engine), context).await;
        engine.ended(&changes);
        let changes = changes?;
        let finish = move |context: &Context| copy.finish(&changes, created, context);
        blocking(context, finish).await
    };
    let done: Result<(), Failure> = Box::pin(personalise).await;
    done.map_err(|failure| failure.during(operation))?;
    if let Some(key) = host_key {
        tell_host_key(&key, name, &known_hosts, owner, context)?;
    }
    ui.result(&crate::ui::sanitize_line(&output.to_string_lossy()))
}

/// Says by which key the board `name` is known, and writes the file `known_hosts` if it has a name.
fn tell_host_key(
    key: &str,
    name: Option<String>,
    known_hosts: &Path,
    owner: Option<(u32, u32)>,
    context: &Context,
) -> Result<(), Failure> {
    let Some(name) = name else {
        let text =
            "the copy has no host name, so there is no file for known_hosts. The host key is";
        context.events.notice(format!("{text} {key}"));
        return Ok(());
    };
    let line = format!("{}\n", known_hosts_line(&name, key));
    new_file::write(known_hosts, line, Access::Everybody, owner)?;
    let ssh = ssh_command(&name, Some(&shown_path(known_hosts)));
    let text = "your first login is checked, at any address";
    context.events.notice(format!("{text}: {ssh}"));
    Ok(())
}

/// The programs that write file systems, in `engine`.
pub(super) fn tools_of(engine: &RunEngine) -> Tools {
    Tools {
        engine: engine.engine.clone(),
        run: engine.run.clone(),
        image: engine.image.clone(),
    }
}
