//! `sdbuild completions`: writes the completion script of a shell.

use clap::{Command, CommandFactory as _};
use clap_complete::generate;

use crate::cli;
use crate::cli::Cli;
use crate::ui::Ui;
use sdbuild_core::failure::Failure;

/// Writes the shell's script to standard output.
pub fn run(args: &cli::Completions, ui: &Ui) -> Result<(), Failure> {
    let mut script = Vec::new();
    generate(args.shell, &mut visible_commands(), "sdbuild", &mut script);
    ui.data(&script).map(drop)
}

/// The command line without hidden commands, which completion scripts would offer.
fn visible_commands() -> Command {
    let all = Cli::command();
    let visible = all.get_subcommands().filter(|sub| !sub.is_hide_set());
    Command::new("sdbuild")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(all.get_arguments())
        .subcommands(visible)
}
