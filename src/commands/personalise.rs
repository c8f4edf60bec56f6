//! `sdbuild personalise`: copies an image and puts files into the copy.

use std::path::Path;

use crate::cli;
use crate::commands::Session;
use crate::commands::host_key::{known_hosts_line, name_of, ssh_command};
use crate::commands::newest_image::named_or_newest_for_card;
use crate::commands::put_files::{Given, PutFiles};
use crate::settings::common_of_boot;
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
    let output = std::path::absolute(&args.output).or_usage("find the current directory")?;
    let owner = env.sudo().filter(|_| nix::unistd::geteuid().is_root());
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
            let copy = ImageCopy::make(&from, &to, context)?;
            let plan = Plan::new(&copy.disk(&context.cancel)?, puts, wifi.as_ref())?;
            Ok((copy, plan))
        };
        // What cannot be put there is told before an engine is asked.
        let (copy, plan) = blocking(context, make).await?;
        let engine = RunEngine::to_put(&common, context).await?;
        let changes: Result<Changes, Failure> = plan.changes(&tools_of(&engine), context).await;
        engine.ended(&changes);
        let changes = changes?;
        blocking(context, move |context| copy.finish(&changes, context)).await
    };
    let done: Result<(), Failure> = Box::pin(personalise).await;
    done.map_err(|failure| failure.during(operation))?;
    if let Some(key) = host_key {
        let line = name.as_deref().map(|name| known_hosts_line(name, &key));
        if let Some(line) = line {
            new_file::write(&known_hosts, line + "\n", Access::Everybody, owner)?;
        }
        tell_host_key(name.as_deref(), &key, &known_hosts, context);
    }
    ui.result(&crate::ui::sanitize_line(&output.to_string_lossy()))
}

/// Tells how the board `name` is known by its public host key `key`.
fn tell_host_key(name: Option<&str>, key: &str, known_hosts: &Path, context: &Context) {
    let text = name.map_or_else(
        || format!("the copy has no host name, so there is no file for known_hosts. The host key is {key}"),
        |name| {
            let ssh = ssh_command(name, Some(&shown_path(known_hosts)));
            format!("your first login is checked, at any address: {ssh}")
        },
    );
    context.events.notice(text);
}

/// The programs that write file systems, in `engine`.
pub(super) fn tools_of(engine: &RunEngine) -> Tools {
    Tools {
        engine: engine.engine.clone(),
        run: engine.run.clone(),
        image: engine.image.clone(),
    }
}

/// Runs `work`, which blocks and checks for cancellation itself, on a thread of its own.
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Context) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let inner = context.clone();
    let work = tokio::task::spawn_blocking(move || work(&inner));
    context
        .cancel
        .race(work)
        .await?
        .or_internal("personalise")?
}
