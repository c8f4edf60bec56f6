//! `sdbuild completions`: what a shell needs to complete our words.

use clap::{Command, CommandFactory as _};
use clap_complete::{Shell, generate};

use crate::cli::{self, Cli};
use crate::common::failure::Failure;
use crate::ui::Ui;

/// Writes the shell's script to standard output.
pub fn run(args: &cli::Completions, ui: &Ui) -> Result<(), Failure> {
    let shell = match args.shell {
        cli::CompletionShell::Bash => Shell::Bash,
        cli::CompletionShell::Zsh => Shell::Zsh,
        cli::CompletionShell::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    generate(shell, &mut offered(), "sdbuild", &mut script);
    ui.data(&script).map(drop)
}

/// The command line without what is for sdbuild itself: shells would offer it, hidden or not.
fn offered() -> Command {
    let all = Cli::command();
    let offered = all.get_subcommands().filter(|sub| !sub.is_hide_set());
    Command::new("sdbuild")
        .version(env!("CARGO_PKG_VERSION"))
        .disable_help_subcommand(true)
        .args(all.get_arguments())
        .subcommands(offered)
}
