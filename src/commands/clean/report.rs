//! Messages of `clean` about what it removes, keeps and cannot remove, and its question.

use std::collections::BTreeSet;
use std::fmt;

use crate::cli;
use crate::commands::confirm::confirm;
use crate::pipeline::Item;
use crate::ui;
use crate::ui::Ui;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, Leftover};

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
pub(in crate::commands) fn check_leftovers(leftovers: Vec<Leftover>) -> Result<(), Failure> {
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
        Failure::usage("nothing was removed, because nobody answered the question on a terminal")
            .hint("give --yes to remove all of this, or --dry-run to only list it")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Class;

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
    fn other_runs_are_named_or_counted() {
        let told = |count: u32| others(&(0..count).collect());
        assert_eq!(told(0), None);
        let one = "another sdbuild (0) may be running: images, downloads and everything that it uses are kept";
        assert_eq!(told(1).as_deref(), Some(one));
        let many = "9 other runs of sdbuild may be running: images, downloads and everything that they use are kept; `sdbuild status` lists them";
        assert_eq!(told(9).as_deref(), Some(many));
    }

    #[test]
    fn only_a_question_that_nobody_can_answer_is_an_error() {
        assert!(answered(Some(true)).unwrap());
        assert!(!answered(Some(false)).unwrap());
        assert_eq!(answered(None).unwrap_err().class, Class::Usage);
    }
}
