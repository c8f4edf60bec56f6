//! `sdbuild clean --old` and `--downloads`: parts of what sdbuild keeps, which the next build can do without.

use super::report::{check_leftovers, confirmed, only_files, report_live};
use crate::cli;
use crate::pipeline::{Common, FileRemoval, FoundOldResults, Item, OldResults};
use crate::settings::Number;
use crate::ui::{Ui, words};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure};

/// Lists the parts, asks for confirmation, and removes them. Downloads are removed without an engine too.
pub(super) async fn run(
    args: &cli::Clean,
    settings: &Common,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let keep = args.keep.map_or(OldResults::KEEP, Number::get);
    let planned = if args.old {
        OldResults::plan(settings, keep, context).await
    } else {
        Ok(FoundOldResults::NoVolume)
    };
    let is_in_use = matches!(planned, Ok(FoundOldResults::InUse));
    let (old, no_engine) = match planned {
        Ok(FoundOldResults::Found(old)) => (Some(old), None),
        Ok(FoundOldResults::InUse | FoundOldResults::NoVolume) => (None, None),
        Err(failure) if args.downloads && failure.class == Class::Environment => {
            context.events.warn(only_files(&failure));
            (None, Some(failure))
        }
        Err(failure) => return Err(failure),
    };
    let files = if args.downloads {
        let files = FileRemoval::downloads(settings)?;
        report_live(files.live(), context);
        Some(files)
    } else {
        None
    };
    let of_store = old.iter().filter_map(|old| item(old));
    let of_files = files.iter().flat_map(FileRemoval::items);
    let items: Vec<Item> = of_store.chain(of_files).collect();
    if confirmed(&items, is_in_use, args, ui, context).await? {
        remove(old, files, context).await?;
    }
    no_engine.map_or(Ok(()), |failure| Err(failure.context("remove old results")))
}

/// Removes both parts, and reports what could not be removed of either.
async fn remove(
    old: Option<Box<OldResults>>,
    files: Option<FileRemoval>,
    context: &Context,
) -> Result<(), Failure> {
    let has_files = files.is_some();
    let leftovers = files.map(|files| files.carry_out()).unwrap_or_default();
    if let Some(old) = old {
        match old.carry_out(context).await {
            Ok(Some(left)) => {
                let before = words::human_bytes(old.found().total);
                let (store, left) = (old.store(), words::human_bytes(left));
                let text = format!("{store}: {left} left of {before}");
                context.events.notice(text);
            }
            // A builder took the volume meanwhile, as a notice says.
            Ok(None) if !has_files => return Ok(()),
            Ok(None) => {}
            Err(failure) => return Err(failure.with_teardown(leftovers)),
        }
    }
    check_leftovers(leftovers)?;
    context.events.notice("removed");
    Ok(())
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
