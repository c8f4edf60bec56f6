//! The manual page of one command.

use clap::Command;
use roff::{Inline, roman};

use super::arguments;
use super::commands::{about, page_name, visible};
use super::exit_status;
use super::page::{Page, bold, italic};
use crate::cli::commands_beside;

/// What begins the examples at the end of a command's help.
const EXAMPLES: &str = "Examples:\n";
/// Columns of a term in a terminal with 80 columns, without the margins.
const MAX_TERM: usize = 70;

/// The page of the last command of `path`, which begins with sdbuild itself.
pub(super) fn text(path: &[&Command]) -> String {
    let Some(command) = path.last() else {
        return String::new();
    };
    let mut page = Page::new(&page_name(path), &about(command));
    synopsis(path, command, &mut page);
    let help = command
        .get_after_long_help()
        .or_else(|| command.get_after_help());
    let help = help.map(ToString::to_string).unwrap_or_default();
    let (notes, examples) = help.split_once(EXAMPLES).unwrap_or((&help, ""));
    description(command, notes, &mut page);
    commands(path, command, &mut page);
    arguments::section(command, &mut page);
    exit_status::of_command(path, &mut page);
    page.section("EXAMPLES");
    for line in examples.lines() {
        example(line, &mut page);
    }
    page.section("SEE ALSO");
    page.paragraphs(&see_also(path));
    page.into_text()
}

/// Each way to call the command: with its flags, and with its own commands.
fn synopsis(path: &[&Command], command: &Command, page: &mut Page) {
    page.section("SYNOPSIS");
    let mut words: Vec<_> = path.iter().map(|command| command.get_name()).collect();
    // What stands between the words, as IMAGE in `inspect IMAGE ls`.
    let parents = path.iter().rev().skip(1).rev();
    let before: Vec<_> = parents
        .flat_map(|parent| arguments::operands(parent))
        .collect();
    let mut of_command = arguments::in_synopsis(command);
    if before.is_empty() {
        if command.is_subcommand_required_set() {
            of_command = vec![vec![italic("COMMAND")]];
        }
        page.synopsis(&words.join(" "), &of_command);
    } else {
        let name = words.pop().unwrap_or_default();
        let name = vec![bold(name)];
        let after = before.into_iter().chain([name]).chain(of_command);
        page.synopsis(&words.join(" "), &after.collect::<Vec<_>>());
    }
}

fn description(command: &Command, notes: &str, page: &mut Page) {
    page.section("DESCRIPTION");
    page.paragraphs(&format!("{}.", about(command)));
    let long = command.get_long_about().map(ToString::to_string);
    // Its first paragraph is the line above.
    let long = long.as_deref().and_then(|long| long.split_once("\n\n"));
    page.paragraphs(long.map_or("", |(_, more)| more));
    page.paragraphs(notes);
}

/// The command's own commands, if it has any.
fn commands(path: &[&Command], command: &Command, page: &mut Page) {
    let mut own = visible(command).peekable();
    if own.peek().is_none() {
        return;
    }
    page.section("COMMANDS");
    for sub in own {
        let name = format!("{}-{}", page_name(path), sub.get_name());
        page.entry(reference(&name), &about(sub));
    }
}

/// A command with the explanation behind it. A term cannot be longer than a line.
fn example(line: &str, page: &mut Page) {
    let (command, explanation) = line.split_once(" # ").unwrap_or((line, ""));
    let command = command.trim();
    if explanation.is_empty() || command.len() > MAX_TERM {
        page.command(command);
        page.below(explanation);
    } else {
        page.entry([bold(command)], explanation);
    }
}

/// The pages of sdbuild, of the command that it belongs to, and of those in its group.
fn see_also(path: &[&Command]) -> String {
    let parents = path.iter().enumerate().rev().skip(1).rev();
    let parents = parents.map(|(last, _)| page_name(path.get(..=last).unwrap_or_default()));
    let own = path.get(1).map(|command| command.get_name());
    let beside = if path.len() > 2 {
        &[]
    } else {
        commands_beside(own.unwrap_or_default())
    };
    let beside = beside.iter().filter(|name| Some(**name) != own);
    let beside = beside.map(|name| format!("sdbuild-{name}"));
    let pages = parents.chain(beside).map(|name| format!("`{name}`(1)"));
    pages.collect::<Vec<_>>().join(", ")
}

/// The name of a page with its section.
pub(super) fn reference(name: &str) -> [Inline; 2] {
    [bold(name), roman("(1)")]
}
