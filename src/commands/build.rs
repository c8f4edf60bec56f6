//! `sdbuild build`: resolve, plan, run, report.

use crate::cli;
use crate::event::Event;
use crate::failure::Failure;
use crate::pipeline::{self, Context};
use crate::settings::{self, Environment};
use crate::ui::{self, Ui};

/// Builds the image and writes its path to standard output as the last line.
pub async fn run(
    args: &cli::Build,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let settings = settings::Build::resolve(args, env)?;
    let plan = pipeline::plan(settings, context).await?;
    if plan.settings.dry_run {
        let lines = plan.describe();
        return lines
            .iter()
            .try_for_each(|line| ui.result(&ui::sanitize(line).replace('\n', " ")));
    }
    let done = pipeline::run(&plan, context).await;
    // Who interrupts a build does not wait for its table.
    if !context.cancel.is_cancelled() {
        context.events.emit(Event::WorkEnded);
    }
    let done = done?;
    let image = &done.image;
    context.events.notice(format!(
        "{} in {} (SHA-256 {})",
        ui::words::bytes(image.size),
        image.path.display(),
        hex::encode(image.sha256)
    ));
    let told = ui.result(&image.path.to_string_lossy());
    // What could not be removed weighs more than a result that nobody could be told.
    done.all_given_back().and(told)
}
