//! `sdbuild clean`: lists what sdbuild left on this machine with its size, asks for confirmation, and removes it.

use crate::cli;
use crate::commands::confirm::confirm;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::pipeline::{Item, Removal};
use crate::settings::{Common, Environment};
use crate::ui::{self, Ui};

/// Lists what can be removed, asks for confirmation, and removes it.
pub async fn run(
    args: &cli::Clean,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = Common::without_file(env)?;
    let removal = Removal::plan(&settings, context).await?;
    for run in removal.live() {
        let text = "is live: images, downloads and everything that it uses are kept";
        context.events.notice(format!("run {run} {text}"));
    }
    let items = removal.items();
    if items.is_empty() {
        context.events.notice("nothing to remove");
        return Ok(());
    }
    items.iter().try_for_each(|item| ui.result(&line(item)))?;
    let total: u64 = items.iter().filter_map(|item| item.size).sum();
    context
        .events
        .notice(format!("{} in total", ui::words::human_bytes(total)));
    if args.dry_run {
        return Ok(());
    }
    agreed(args.yes, ui, context).await?;
    let leftovers = Box::pin(removal.carry_out(&settings, context)).await?;
    if leftovers.is_empty() {
        context.events.notice("removed");
        return Ok(());
    }
    Err(Failure::environment("not everything could be removed").with_teardown(leftovers))
}

fn line(item: &Item) -> String {
    let size = item.size.map(ui::words::human_bytes).unwrap_or_default();
    let name = ui::sanitize(&item.name);
    format!("{:<10} {name:<60} {size:>8}", item.kind)
        .trim_end()
        .to_owned()
}

/// Fails unless the user agrees, so that a script does not go on as if everything had been removed.
async fn agreed(yes: bool, ui: &Ui, context: &Context) -> Result<(), Failure> {
    if context.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    if yes {
        return Ok(());
    }
    answered(confirm("Remove all of this?", ui, context).await?)
}

fn answered(answer: Option<bool>) -> Result<(), Failure> {
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("nothing was removed: you did not agree")),
        None => Err(Failure::usage(
            "nothing was removed: standard input is not a terminal to confirm it on",
        )
        .hint("give --yes to remove all of this, or --dry-run to only list it")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::failure::Class;

    #[test]
    fn refusal_is_a_usage_error() {
        answered(Some(true)).unwrap();
        for answer in [Some(false), None] {
            assert_eq!(answered(answer).unwrap_err().class, Class::Usage);
        }
    }
}
