//! `sdbuild clean --old` and `--downloads`: parts of what sdbuild keeps, which the next build can do without.

use super::{confirmed, removed, report_live};
use crate::cli;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::pipeline::{FileRemoval, Item, OldResults};
use crate::settings::{Common, Number};
use crate::ui::{Ui, words};

/// Lists the parts, asks for confirmation, and removes them.
pub(super) async fn run(
    args: &cli::Clean,
    settings: &Common,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let keep = args.keep.map_or(OldResults::KEEP, Number::get);
    let old = if args.old {
        OldResults::plan(settings, keep, context).await?
    } else {
        None
    };
    let files = if args.downloads {
        let files = FileRemoval::plan(settings)?.without_logs();
        report_live(files.live(), context);
        Some(files)
    } else {
        None
    };
    let of_store = old.iter().filter_map(item);
    let of_files = files.iter().flat_map(FileRemoval::items);
    let items: Vec<Item> = of_store.chain(of_files).collect();
    if !confirmed(&items, args, ui, context).await? {
        return Ok(());
    }
    let leftovers = files.map(|files| files.carry_out()).unwrap_or_default();
    if let Some(old) = &old
        && let Some(left) = old.carry_out(context).await?
    {
        let before = words::human_bytes(old.found().total);
        let (store, left) = (old.store(), words::human_bytes(left));
        let text = format!("{store}: {left} left of {before}");
        context.events.notice(text);
    }
    removed(leftovers, context)
}

/// What is removed from a store volume; `None` if there is nothing.
fn item(old: &OldResults) -> Option<Item> {
    let found = old.found();
    let what = match found.results {
        0 => "what no kept result needs".to_owned(),
        1 => "1 old result and what only it needs".to_owned(),
        n => format!("{n} old results and what only they need"),
    };
    (found.results > 0 || found.freed > 0).then(|| Item {
        kind: "results",
        name: format!("{}: {what}", old.store()),
        size: Some(found.freed),
    })
}
