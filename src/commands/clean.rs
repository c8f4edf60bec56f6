//! `sdbuild clean`: lists what sdbuild left here and what it takes, asks, and removes it.

use crate::cli;
use crate::failure::Failure;
use crate::pipeline::{Context, Inventory, Item};
use crate::settings::{self, Environment};
use crate::ui::{self, Ui};

/// Lists, asks, removes.
pub async fn run(
    args: &cli::Clean,
    env: &Environment,
    (ui, context): (&Ui, &Context),
) -> Result<(), Failure> {
    let settings = settings::Clean::resolve(args, env)?;
    let inventory = Inventory::take(&settings.common, context).await?;
    for run in inventory.live() {
        let text = "is alive: images, downloads and what it uses are left alone";
        context.events.notice(format!("run {run} {text}"));
    }
    let items = inventory.items();
    if items.is_empty() {
        context.events.notice("nothing to remove");
        return Ok(());
    }
    items.iter().try_for_each(|item| ui.result(&line(item)))?;
    let total: u64 = items.iter().filter_map(|item| item.size).sum();
    context
        .events
        .notice(format!("{} in all", ui::words::bytes(total)));
    if settings.dry_run || !agreed(&settings, (ui, context)).await? {
        return Ok(());
    }
    let leftovers = Box::pin(inventory.remove(&settings.common, context)).await?;
    if leftovers.is_empty() {
        context.events.notice("removed");
        return Ok(());
    }
    Err(Failure::environment("not everything could be removed").with_teardown(leftovers))
}

fn line(item: &Item) -> String {
    let size = item.size.map(ui::words::bytes).unwrap_or_default();
    let name = ui::sanitize(&item.name);
    format!("{:<10} {name:<60} {size:>8}", item.kind)
        .trim_end()
        .to_owned()
}

async fn agreed(
    settings: &settings::Clean,
    (ui, context): (&Ui, &Context),
) -> Result<bool, Failure> {
    if context.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    if settings.yes {
        return Ok(true);
    }
    // A question is a blocking read: on its own thread, so that a signal still ends it.
    let ui = ui.clone();
    let asked = tokio::task::spawn_blocking(move || ui.confirm("Remove all of this?"));
    let answer = context.cancel.race(asked).await?;
    match answer.map_err(|e| Failure::new(crate::failure::Class::Internal, e))?? {
        Some(answer) => Ok(answer),
        None => Err(Failure::usage("standard input is no terminal to ask on")
            .hint("give --yes to remove all of this, or --dry-run to only list it")),
    }
}
