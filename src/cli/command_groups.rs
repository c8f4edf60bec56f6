//! The commands in the help of `sdbuild`, in groups. Clap lists them in one row.

use clap::Command;
use clap::builder::StyledStr;

use super::help_layout::filled;

/// The groups with their commands, in the order in which a new user needs them.
const GROUPS: [(&str, &[&str]); 4] = [
    ("To begin", &["doctor", "try", "boards", "formats", "init"]),
    (
        "Images",
        &[
            "check", "build", "inspect", "boot", "flash", "seed", "publish",
        ],
    ),
    ("Nix", &["shell", "lock", "cache", "settings"]),
    (
        "This machine",
        &["status", "clean", "completions", "man", "help"],
    ),
];
/// Columns of the longest name of a command with the space around it.
const NAME_COLUMNS: usize = 15;

/// `command`, whose help has its subcommands in groups, in lines of at most `columns` columns. A longer word stays whole.
pub(super) fn in_help_of(mut command: Command, columns: usize) -> Command {
    // Adds the subcommand `help`.
    command.build();
    let groups = GROUPS.map(|(heading, names)| group(&command, heading, names, columns));
    let style = command.get_styles().get_header();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{style}Options:{style:#}\n{{options}}{{after-help}}",
        groups.concat()
    );
    command.help_template(StyledStr::from(template))
}

fn group(command: &Command, heading: &str, names: &[&str], columns: usize) -> String {
    let style = command.get_styles().get_header();
    let subcommands = names
        .iter()
        .filter_map(|name| command.find_subcommand(name));
    let lines: Vec<String> = subcommands
        .flat_map(|subcommand| lines(command, subcommand, columns))
        .collect();
    format!("{style}{heading}:{style:#}\n{}\n\n", lines.join("\n"))
}

/// The name of a subcommand and what it does.
fn lines(command: &Command, subcommand: &Command, columns: usize) -> Vec<String> {
    let name = subcommand.get_name();
    let about = subcommand.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut lines = filled(about.split_whitespace(), &" ".repeat(NAME_COLUMNS), columns);
    let style = command.get_styles().get_literal();
    let padding = " ".repeat(NAME_COLUMNS.saturating_sub(2 + name.len()));
    if let Some(first) = lines.first_mut() {
        first.replace_range(
            ..NAME_COLUMNS,
            &format!("  {style}{name}{style:#}{padding}"),
        );
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_command_is_in_one_group() {
        let mut command = Cli::command();
        command.build();
        let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let mut visible: Vec<_> = visible.map(Command::get_name).collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|group| group.1).copied().collect();
        visible.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, visible);
    }

    #[test]
    fn long_descriptions_are_broken_below_their_beginning() {
        let text = in_help_of(Cli::command(), 40).render_help().to_string();
        assert!(
            text.contains("  doctor       Check that this machine\n               can build,"),
            "{text}"
        );
    }
}
