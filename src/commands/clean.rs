//! `sdbuild clean`: lists what sdbuild left on this machine with its size, asks for confirmation, and removes it: everything but
//! the stores of other settings, or the parts that the user names.

mod parts;
pub(super) mod report;

use self::report::{check_leftovers, confirmed, only_files, report_live};
use crate::cli;
use crate::commands::cloud::CloudRecords;
use crate::pipeline::{Common, FileRemoval, Removal, RemovalScope};
use crate::settings::{Environment, common_without_file};
use crate::ui::Ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure};

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
        return Box::pin(parts::run(args, &settings, ui, context)).await;
    }
    let scope = scope(args);
    let records = match scope {
        RemovalScope::StoreAlone => CloudRecords::default(),
        RemovalScope::All | RemovalScope::WithoutOtherStores => CloudRecords::find(env, &settings),
    };
    records.warn_of_unusable(context);
    match Box::pin(Removal::plan(&settings, scope, context)).await {
        Ok(removal) => {
            if scope != RemovalScope::StoreAlone {
                report_live(removal.live(), context);
            }
            Box::pin(remove(&removal, &records, &settings, args, ui, context)).await
        }
        Err(failure) if scope == RemovalScope::StoreAlone => Err(failure),
        Err(failure) if failure.class == Class::Environment => {
            let Ok(files) = FileRemoval::plan(&settings) else {
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
