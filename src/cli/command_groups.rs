//! The commands in the help of `sdbuild`, in groups. Clap has one list for all.

use clap::Command;
use clap::builder::StyledStr;

use super::help_layout::filled;

/// The groups with their commands, in the order in which a new user needs them.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "To begin",
        &["doctor", "try", "init", "check", "build", "boot", "flash"],
    ),
    (
        "Images",
        &["boards", "formats", "inspect", "seed", "publish"],
    ),
    ("Nix", &["shell", "lock", "cache"]),
    (
        "sdbuild itself",
        &["status", "clean", "settings", "completions", "man"],
    ),
];

/// `command`, whose help has its subcommands in groups, in lines of at most `columns` columns. A longer word stays whole.
pub(super) fn in_help_of(mut command: Command, columns: usize) -> Command {
    // Sets the styles, and adds the subcommand `help`.
    command.build();
    let names = GROUPS.iter().flat_map(|(_, names)| *names);
    let indent = 4 + names.map(|name| name.len()).max().unwrap_or_default();
    let layout = Layout { columns, indent };
    let groups = GROUPS.map(|(heading, names)| group(&command, heading, names, layout));
    let style = command.get_styles().get_header();
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{style}Options:{style:#}\n{{options}}{{after-help}}",
        groups.concat()
    );
    command.help_template(StyledStr::from(template))
}

/// Where what the commands do stands in the lines.
#[derive(Clone, Copy)]
struct Layout {
    /// Columns of a line.
    columns: usize,
    /// Columns before the text.
    indent: usize,
}

fn group(command: &Command, heading: &str, names: &[&str], layout: Layout) -> String {
    let style = command.get_styles().get_header();
    let subcommands = names
        .iter()
        .filter_map(|name| command.find_subcommand(name));
    let lines: Vec<String> = subcommands
        .flat_map(|subcommand| lines(command, subcommand, layout))
        .collect();
    format!("{style}{heading}:{style:#}\n{}\n\n", lines.join("\n"))
}

/// The name of a subcommand and what it does.
fn lines(command: &Command, subcommand: &Command, layout: Layout) -> Vec<String> {
    let Layout { columns, indent } = layout;
    let name = subcommand.get_name();
    let about = subcommand.get_about().map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut lines = filled(about.split_whitespace(), &" ".repeat(indent), columns);
    let style = command.get_styles().get_literal();
    let padding = " ".repeat(indent - 2 - name.len());
    if let Some(first) = lines.first_mut() {
        first.replace_range(..indent, &format!("  {style}{name}{style:#}{padding}"));
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
        let visible = visible.map(Command::get_name);
        // The last line of the help names `help`.
        let mut visible: Vec<_> = visible.filter(|name| *name != "help").collect();
        let mut grouped: Vec<_> = GROUPS.iter().flat_map(|group| group.1).copied().collect();
        visible.sort_unstable();
        grouped.sort_unstable();
        assert_eq!(grouped, visible);
    }

    #[test]
    fn the_way_to_a_card_is_the_first_group() {
        let names = GROUPS[0].1;
        let steps = ["doctor", "init", "check", "build", "boot", "flash"];
        assert!(names.iter().filter(|name| **name != "try").eq(&steps));
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
