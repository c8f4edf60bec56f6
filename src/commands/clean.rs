//! `sdbuild clean`: lists what sdbuild left on this machine with its size, asks for confirmation, and removes it: everything but
//! the stores of other settings, or the parts that the user names.

mod cloud;
mod parts;
mod uploads;

use std::collections::BTreeSet;
use std::fmt;

use self::uploads::DiscardedUploads;
use crate::cli;
use crate::commands::confirm::confirm;
use crate::common::context::Context;
use crate::common::failure::{Class, Failure, Leftover};
use crate::pipeline::{FileRemoval, Item, Removal, RemovalScope, StaleLoans};
use crate::settings::{Common, Environment};
use crate::ui::{self, Ui};

/// Lists what can be removed, asks for confirmation, and removes it. Without an engine that is downloads and logs; then it
/// fails in the end.
pub async fn run(
    args: &cli::Clean,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = Common::without_file(env)?;
    let settings = match &args.store {
        Some(name) => settings.with_store(name)?,
        None => settings,
    };
    if args.cloud {
        return Box::pin(cloud::run(args, &settings, ui, context)).await;
    }
    if args.old || args.downloads {
        return Box::pin(parts::run(args, &settings, ui, context)).await;
    }
    let scope = scope(args);
    let loans = match scope {
        RemovalScope::StoreAlone => StaleLoans::none(),
        RemovalScope::All | RemovalScope::WithoutOtherStores => StaleLoans::find(&settings),
    };
    loans.warn_of_unusable(context);
    match Box::pin(Removal::plan(&settings, scope, context)).await {
        Ok(removal) => {
            if scope != RemovalScope::StoreAlone {
                report_live(removal.live(), context);
            }
            Box::pin(remove(&removal, &loans, &settings, args, ui, context)).await
        }
        Err(failure) if scope == RemovalScope::StoreAlone => Err(failure),
        Err(failure) if failure.class == Class::Environment => {
            let Ok(files) = FileRemoval::plan(&settings) else {
                return Err(failure);
            };
            context.events.warn(only_files(&failure));
            report_live(files.live(), context);
            let uploads = DiscardedUploads::find(&settings.state_dir);
            let items = [loans.items(), uploads.items(), files.items()].concat();
            if confirmed(&items, args, ui, context).await? {
                let mut leftovers = loans.give_back(context).await?;
                leftovers.extend(uploads.forget());
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
    loans: &StaleLoans,
    settings: &Common,
    args: &cli::Clean,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let uploads = match scope(args) {
        RemovalScope::StoreAlone => DiscardedUploads::default(),
        RemovalScope::All | RemovalScope::WithoutOtherStores => {
            DiscardedUploads::find(&settings.state_dir)
        }
    };
    let items = [loans.items(), uploads.items(), removal.items()].concat();
    let agreed = confirmed(&items, args, ui, context).await?;
    for store in removal.other_stores() {
        let text = format!("the store volume {store} is kept: --store {store} or --all removes it");
        context.events.notice(text);
    }
    if !agreed {
        return Ok(());
    }
    let mut machines = loans.give_back(context).await?;
    machines.extend(uploads.forget());
    let removed = match Box::pin(removal.carry_out(settings, context)).await {
        Ok(removed) => removed,
        Err(failure) => return Err(failure.with_teardown(machines)),
    };
    check_leftovers([machines, removed.leftovers].concat())?;
    context.events.notice(if removed.run_has_begun {
        "removed what that run does not need"
    } else {
        "removed"
    });
    Ok(())
}

/// What is told if `failure` keeps the engine from being used.
fn only_files(failure: &Failure) -> String {
    format!("{failure}; only the files of this user can be removed")
}

fn report_live(live: &BTreeSet<impl fmt::Display>, context: &Context) {
    for run in live {
        let text = "is live, or may be: images, downloads and everything that it uses are kept";
        context.events.notice(format!("run {run} {text}"));
    }
}

/// Lists `items`; whether there are some and the user wants them removed.
async fn confirmed(
    items: &[Item],
    args: &cli::Clean,
    ui: &Ui,
    context: &Context,
) -> Result<bool, Failure> {
    if items.is_empty() {
        context.events.notice("nothing to remove");
        return Ok(false);
    }
    let (columns, _) = ui.result_size();
    items
        .iter()
        .try_for_each(|item| ui.result(&lines(item, columns)))?;
    let total: u64 = items.iter().filter_map(|item| item.size).sum();
    let events = &context.events;
    events.notice(format!("{} in total", ui::words::human_bytes(total)));
    if args.dry_run {
        return Ok(false);
    }
    let agreed = agreed(args.yes, ui, context).await?;
    if !agreed {
        events.notice("nothing was removed");
    }
    Ok(agreed)
}

/// A failure that names `leftovers`, if there are some.
fn check_leftovers(leftovers: Vec<Leftover>) -> Result<(), Failure> {
    if leftovers.is_empty() {
        return Ok(());
    }
    Err(Failure::environment("not everything could be removed").with_teardown(leftovers))
}

/// `item` in lines of at most `columns` columns, with its size at the end of the first one.
fn lines(item: &Item, columns: usize) -> String {
    let size = item.size.map(ui::words::human_bytes).unwrap_or_default();
    // Beside the kind and the size, each with a blank.
    let width = columns.min(ui::layout::COLUMNS).saturating_sub(20);
    let mut names = ui::layout::wrapped(&item.name, width).into_iter();
    let name = names.next().unwrap_or_default();
    let first = format!("{:<10} {name:<width$} {size:>8}", item.kind);
    let further = names.map(|name| format!("\n{:11}{name}", ""));
    format!("{}{}", first.trim_end(), further.collect::<String>())
}

/// Whether the user agrees. Fails when there is no terminal to ask on, so that a script does not go on as if everything had been
/// removed.
async fn agreed(yes: bool, ui: &Ui, context: &Context) -> Result<bool, Failure> {
    if context.cancel.is_cancelled() {
        return Err(Failure::interrupted());
    }
    if yes {
        return Ok(true);
    }
    answered(confirm("Remove all of this?", ui, context).await?)
}

fn answered(answer: Option<bool>) -> Result<bool, Failure> {
    answer.ok_or_else(|| {
        Failure::usage("nothing was removed: there is no terminal to ask on")
            .hint("give --yes to remove all of this, or --dry-run to only list it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_wrapped_beside_their_kind() {
        let item = Item {
            kind: "image",
            name: "sdbuild/builder:15e532380cc7 of an engine far away".to_owned(),
            size: Some(112_000_000),
        };
        assert_eq!(
            lines(&item, 40),
            [
                "image      sdbuild/builder:15e532380cc7   112 MB",
                "           of an engine far",
                "           away",
            ]
            .join("\n")
        );
        for columns in [60, 80, 200] {
            let text = lines(&item, columns);
            let fits = |line: &str| line.chars().count() <= columns.min(80);
            assert!(text.lines().all(fits), "{text}");
        }
    }

    #[test]
    fn only_a_question_that_nobody_can_answer_is_an_error() {
        assert!(answered(Some(true)).unwrap());
        assert!(!answered(Some(false)).unwrap());
        assert_eq!(answered(None).unwrap_err().class, Class::Usage);
    }
}
