//! `sdbuild personalise`: copies an image and puts files into the copy.

use crate::cli;
use crate::commands::Session;
use crate::commands::newest_image::named_or_newest_for_card;
use crate::commands::put_files::{PutFiles, names_of};
use crate::settings::{common_of_boot, source_date_epoch};
use jiff::Timestamp;
use sdbuild_build::RunEngine;
use sdbuild_card::{Changes, ImageCopy, Plan, Tools};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::new_file::{self, Access};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;

/// Copies the image, puts the files into the copy, and prints its path.
pub async fn run(args: &cli::Personalise, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let common = common_of_boot(env)?;
    let files = Box::pin(PutFiles::prepare(&args.put, session)).await?;
    if files.is_empty() {
        return Err(Failure::usage("nothing is named to put into the image")
            .hint("name it: --put FILE:PATH, --host-key, --ssh-key, --wifi or --hostname"));
    }
    let image = named_or_newest_for_card(Some(&args.image), session)?;
    let owner = env.sudo();
    let created = source_date_epoch(env.text("SOURCE_DATE_EPOCH"))?;
    let created = created.unwrap_or_else(Timestamp::now);
    let output = std::path::absolute(&args.output).or_usage("find the current directory")?;
    let known_hosts = output.with_added_extension("known_hosts");
    if files.host_key.is_some() {
        new_file::is_free(&known_hosts)?;
    }
    let PutFiles {
        puts,
        wifi,
        host_key,
    } = files;
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
        let tools = Tools {
            engine: engine.engine.clone(),
            run: engine.run.clone(),
            image: engine.image.clone(),
        };
        let changes: Result<Changes, Failure> = plan.changes(&tools, context).await;
        engine.ended(&changes);
        let changes = changes?;
        let finish = move |context: &Context| copy.finish(&changes, created, context);
        blocking(context, finish).await
    };
    let done: Result<(), Failure> = Box::pin(personalise).await;
    done.map_err(|failure| failure.during(operation))?;
    if let Some(key) = &host_key {
        let line = format!("{} {key}\n", names_of(&image, args.put.hostname.as_deref()));
        new_file::write(&known_hosts, line, Access::Everybody, None)?;
        let shown = quoted(&shown_path(&known_hosts));
        context.events.notice(format!(
            "the board's host key is in {shown}: ssh -o UserKnownHostsFile={shown} root@BOARD"
        ));
    }
    ui.result(&crate::ui::sanitize_line(&output.to_string_lossy()))
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
