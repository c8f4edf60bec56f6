//! The commands that have manual pages.

use clap::Command;

/// The name of the page of the last command of `path`.
pub(super) fn page_name(path: &[&Command]) -> String {
    let names: Vec<_> = path.iter().map(|command| command.get_name()).collect();
    names.join("-")
}

/// The commands, without clap's own `help`.
pub(super) fn visible(command: &Command) -> impl Iterator<Item = &Command> {
    let is_own = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "help";
    command.get_subcommands().filter(is_own)
}

/// What a command does, in one line.
pub(super) fn about(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string);
    about.unwrap_or_default()
}
