//! `sdbuild clean`: lists what sdbuild left on this machine with its size, asks for confirmation, and removes it: everything but
//! the stores of other settings, or the parts that the user names.

use std::collections::BTreeSet;
use std::fmt;

use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure, Leftover};

use crate::cli;
use crate::commands::cloud::CloudRecords;
use crate::commands::confirm::confirm;
use crate::commands::status::output_dirs;
use crate::settings::{Environment, Number, common_without_file};
use crate::ui;
use crate::ui::{Ui, words};
use sdbuild_build::{
    Common, FileRemoval, FoundOldResults, Item, OldResults, Removal, RemovalScope,
};

/// Lists what can be removed, asks for confirmation, and removes it. Without an engine that is downloads and logs; then it
/// fails in the end.
pub async fn run(
    args: &cli::Clean,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    if let Some(keep) = args.keep.filter(|_| !args.old) {
        let failure = Failure::usage("--keep belongs to --old");
        return Err(failure.hint(format!("sdbuild clean --old --keep {}", keep.get())));
    }
    let settings = common_without_file(env)?;
    let settings = match &args.store {
        Some(name) => settings.with_store(name.to_string()),
        None => settings,
    };
    #[cfg(feature = "cloud")]
    if args.cloud {
        return Box::pin(crate::commands::cloud::clean(
            args, env, &settings, ui, context,
        ))
        .await;
    }
    if args.old || args.downloads {
        return Box::pin(clean_parts(args, &settings, ui, context)).await;
    }
    let scope = scope(args);
    let records = match scope {
        RemovalScope::StoreAlone => CloudRecords::default(),
        RemovalScope::All | RemovalScope::WithoutOtherStores => CloudRecords::find(env, &settings),
    };
    records.warn_of_unusable(context);
    let outputs = output_dirs(env);
    match Box::pin(Removal::plan(&settings, scope, &outputs, context)).await {
        Ok(removal) => {
            if scope != RemovalScope::StoreAlone {
                report_live(removal.live(), context);
            }
            Box::pin(remove(&removal, &records, &settings, args, ui, context)).await
        }
        Err(failure) if scope == RemovalScope::StoreAlone => Err(failure),
        Err(failure) if failure.class == Class::Environment => {
            let Ok(files) = FileRemoval::plan(&settings, &outputs) else {
                return Err(failure);
            };
            context.events.warn(only_files(&failure));
            report_live(files.live(), context);
            let items = [records.items(), files.items()].concat();
            if confirmed(&items, false, args, ui, context).await? {
                let mut leftovers = records.remove(context).await?;
                leftovers.extend(files.carry_out());
                check_leftovers(leftovers)?;
                context.events.notice("removed");
            }
            Err(failure.context("remove what is in the engine"))
        }
        Err(failure) => Err(failure),
    }
}

fn scope(args: &cli::Clean) -> RemovalScope {
    match (&args.store, args.all) {
        (Some(_), _) => RemovalScope::StoreAlone,
        (None, true) => RemovalScope::All,
        (None, false) => RemovalScope::WithoutOtherStores,
    }
}

/// Removes what is planned if the user wants that.
async fn remove(
    removal: &Removal,
    records: &CloudRecords,
    settings: &Common,
    args: &cli::Clean,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let items = [records.items(), removal.items()].concat();
    let used: Vec<&str> = removal.used_volumes().collect();
    let agreed = confirmed(&items, !used.is_empty(), args, ui, context).await?;
    for store in removal.other_stores() {
        let text = format!("the store volume {store} is kept: --store {store} or --all removes it");
        context.events.notice(text);
    }
    for store in used {
        let text = format!(
            "the store volume {store} is kept, because a run uses it. Run the command again when that run has ended"
        );
        context.events.notice(text);
    }
    if !agreed {
        return Ok(());
    }
    let elsewhere = records.remove(context).await?;
    let removed = match Box::pin(removal.carry_out(settings, context)).await {
        Ok(removed) => removed,
        Err(failure) => return Err(failure.with_teardown(elsewhere)),
    };
    check_leftovers([elsewhere, removed.leftovers].concat())?;
    context
        .events
        .notice(match (&args.store, removed.run_has_begun) {
            (_, false) => "removed".to_owned(),
            (None, true) => "removed the rest".to_owned(),
            (Some(store), true) => format!(
                "the store volume {store} is kept. Run the command again when no other run is live"
            ),
        });
    Ok(())
}

/// Lists the parts, asks for confirmation, and removes them. Downloads are removed without an engine too.
pub(super) async fn clean_parts(
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
        remove_parts(old, files, context).await?;
    }
    no_engine.map_or(Ok(()), |failure| Err(failure.context("remove old results")))
}

/// Removes both parts, and reports what could not be removed of either.
async fn remove_parts(
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

/// The message if `failure` keeps the engine from being used.
pub(super) fn only_files(failure: &Failure) -> String {
    format!("{failure}; clean can remove only this user's files")
}

pub(super) fn report_live(live: &BTreeSet<impl fmt::Display>, context: &Context) {
    if let Some(text) = others(live) {
        context.events.notice(text);
    }
}

/// What is said of the runs that are `live`.
fn others(live: &BTreeSet<impl fmt::Display>) -> Option<String> {
    let first = live.iter().next()?;
    let kept = "may be running: images, downloads and everything that";
    Some(match live.len() {
        1 => format!("another sdbuild ({first}) {kept} it uses are kept"),
        count => format!(
            "{count} other runs of sdbuild {kept} they use are kept; `sdbuild status` lists them"
        ),
    })
}

/// Lists `items`; whether there are some and the user wants them removed. Of a store that `is_in_use` another notice tells.
pub(in crate::commands) async fn confirmed(
    items: &[Item],
    is_in_use: bool,
    args: &cli::Clean,
    ui: &Ui,
    context: &Context,
) -> Result<bool, Failure> {
    if items.is_empty() {
        if !is_in_use {
            context.events.notice("nothing to remove");
        }
        return Ok(false);
    }
    items.iter().try_for_each(|item| {
        let size = item.size.map(ui::words::human_bytes).unwrap_or_default();
        let (kind, name) = (item.kind, ui::sanitize_line(&item.name));
        ui.result(format!("{kind:<10} {name:<60} {size:>8}").trim_end())
    })?;
    let total: u64 = items.iter().filter_map(|item| item.size).sum();
    let events = &context.events;
    events.notice(format!("{} in total", ui::words::human_bytes(total)));
    if args.dry_run {
        return Ok(false);
    }
    if context.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    if args.yes {
        return Ok(true);
    }
    // A script must not go on as if everything had been removed.
    let agreed = confirm("Remove all of this?", ui, context)
        .await?
        .ok_or_else(|| {
            Failure::usage(
                "nothing was removed, because nobody answered the question on a terminal",
            )
            .hint("give --yes to remove all of this, or --dry-run to only list it")
        })?;
    if !agreed {
        events.notice("nothing was removed");
    }
    Ok(agreed)
}

/// A failure that names `leftovers`, if there are some.
pub(in crate::commands) fn check_leftovers(leftovers: Vec<Leftover>) -> Result<(), Failure> {
    if leftovers.is_empty() {
        return Ok(());
    }
    Err(Failure::environment("not everything could be removed").with_teardown(leftovers))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_runs_are_named_or_counted() {
        let told = |count: u32| others(&(0..count).collect());
        assert_eq!(told(0), None);
        let one = "another sdbuild (0) may be running: images, downloads and everything that it uses are kept";
        assert_eq!(told(1).as_deref(), Some(one));
        let many = "9 other runs of sdbuild may be running: images, downloads and everything that they use are kept; `sdbuild status` lists them";
        assert_eq!(told(9).as_deref(), Some(many));
    }
}
