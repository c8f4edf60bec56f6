//! `sdbuild clean`: lists what sdbuild left here and what it takes, asks, and removes it.

use crate::cli;
use crate::failure::{Failure, Leftover};
use crate::pipeline::{Context, Inventory, Item};
use crate::settings::{self, Environment};
use crate::ui;

/// Lists, asks, removes.
pub async fn run(args: &cli::Clean, env: &Environment, context: &Context) -> Result<(), Failure> {
    let settings = settings::Clean::resolve(args, env)?;
    let mut inventory = Inventory::take(&settings.common, context).await?;
    let outcome = show_and_remove(&settings, &mut inventory, context).await;
    let mut leftovers = inventory.release(context).await;
    leftovers.extend(outcome?);
    if leftovers.is_empty() {
        return Ok(());
    }
    Err(Failure::environment("not everything could be removed").with_teardown(leftovers))
}

async fn show_and_remove(
    settings: &settings::Clean,
    inventory: &mut Inventory,
    context: &Context,
) -> Result<Vec<Leftover>, Failure> {
    for run in inventory.live() {
        context
            .events
            .notice(format!("run {run} is alive: what it uses is left alone"));
    }
    let items = inventory.items();
    if items.is_empty() {
        context.events.notice("nothing to remove");
        return Ok(Vec::new());
    }
    items.iter().try_for_each(|item| ui::result(&line(item)))?;
    let total: u64 = items.iter().filter_map(|item| item.size).sum();
    context
        .events
        .notice(format!("{} in all", ui::words::bytes(total)));
    if settings.dry_run || !agreed(settings, context).await? {
        return Ok(Vec::new());
    }
    let leftovers = inventory.remove().await;
    if leftovers.is_empty() {
        context.events.notice("removed");
    }
    Ok(leftovers)
}

fn line(item: &Item) -> String {
    let size = item.size.map(ui::words::bytes).unwrap_or_default();
    let name = ui::sanitize(&item.name);
    format!("{:<10} {name:<60} {size:>8}", item.kind)
        .trim_end()
        .to_owned()
}

async fn agreed(settings: &settings::Clean, context: &Context) -> Result<bool, Failure> {
    if settings.yes {
        return Ok(true);
    }
    // A question is a blocking read: on its own thread, so that a signal still ends it.
    let asked = tokio::task::spawn_blocking(|| ui::confirm("Remove all of this?"));
    let answer = context.cancel.race(asked).await?;
    match answer.map_err(|e| Failure::new(crate::failure::Class::Internal, e))?? {
        Some(answer) => Ok(answer),
        None => Err(Failure::usage("standard input is no terminal to ask on")
            .hint("give --yes to remove all of this, or --dry-run to only list it")),
    }
}
