//! The layout of the help: the commands in groups, examples in lines of the terminal, what describes a command at length behind its
//! flags, and arguments whose help depends on the command; and `~/` in the paths of flags.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, StringValueParser, StyledStr, TypedValueParser as _};
use clap::{Arg, Command};

use super::examples::ending_of;
use sdbuild_core::absolute_path::below_home;
use sdbuild_nix::flake_ref::FlakeRef;

/// The groups with their commands, in the order in which a new user needs them.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "To begin",
        &[
            "doctor", "try", "init", "check", "build", "boot", "flash", "deploy",
        ],
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

/// What begins an explanation: the shell ignores it, so that the whole line can be pasted.
const EXPLANATION: &str = "# ";
/// Columns before a command.
const MARGIN: usize = 2;
/// Columns of the longest command that decides where explanations begin.
const MAX_COMMAND: usize = 45;
/// Columns of an explanation beside its command, at least.
const MIN_EXPLANATION: usize = 28;
/// Columns before an explanation that has lines of its own, and before the further lines of a command.
const INDENT: usize = 6;

/// `command` and its subcommands, whose help ends with their notes and examples, in lines of at most `columns` columns. A longer word
/// stays whole. What describes a command at length stands before them, so that `--help` begins with the usage.
pub(super) fn with_endings_in(command: Command, columns: usize) -> Command {
    let command = command.mut_subcommands(|sub| with_endings_in(sub, columns));
    let Some(ending) = ending_of(command.get_name()) else {
        return command;
    };
    let help = ended(ending.notes, ending.examples, columns);
    let about = command.get_long_about().map(ToString::to_string);
    match about.as_deref().and_then(|about| about.split_once("\n\n")) {
        Some((first, description)) => {
            let long = format!("{description}\n\n{help}");
            let command = command.long_about(first.to_owned());
            command.after_help(help).after_long_help(long)
        }
        None => command.after_help(help),
    }
}

/// Notes and examples, each of which has its explanation beside it, in the same column.
fn ended(notes: &str, examples: &[(&str, &str)], columns: usize) -> String {
    let explained = examples.iter().filter(|(_, text)| !text.is_empty());
    let commands = explained.map(|(command, _)| command.len() + MARGIN);
    let widest = commands.filter(|width| *width <= MAX_COMMAND).max();
    let beside = widest.unwrap_or_default() + 3;
    let examples = examples.iter();
    let lines = examples.flat_map(|(command, text)| example(command, text, beside, columns));
    let lines = lines.collect::<Vec<_>>().join("\n");
    let between = if notes.is_empty() { "" } else { "\n\n" };
    format!("{notes}{between}Examples:\n{lines}")
}

/// The lines of one example, whose explanation begins `beside` its command or in the next line.
fn example(command: &str, explanation: &str, beside: usize, columns: usize) -> Vec<String> {
    let words = explanation.split_whitespace();
    let indent = beside.max(MARGIN + command.len() + 3);
    if !explanation.is_empty() && indent + MIN_EXPLANATION.min(explanation.len() + 2) <= columns {
        let mut lines = filled(words, &start(indent), columns);
        if let Some(first) = lines.first_mut() {
            let padding = " ".repeat(indent - MARGIN - command.len());
            first.replace_range(..indent, &format!("  {command}{padding}"));
        }
        return lines;
    }
    let mut lines = continued(&shell_words(command), columns);
    lines.extend(filled(words, &start(INDENT), columns));
    lines
}

/// What a line of an explanation begins with that stands `indent` columns from the left.
fn start(indent: usize) -> String {
    " ".repeat(indent) + EXPLANATION
}

/// The words of a command, quoted as they are there.
fn shell_words(command: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for word in command.split(' ') {
        match words.last_mut() {
            Some(last) if last.matches('\'').count() % 2 == 1 => {
                last.push(' ');
                last.push_str(word);
            }
            Some(_) | None => words.push(word.to_owned()),
        }
    }
    words
}

/// A command that goes on in the next line where a backslash ends one, as in a shell.
fn continued(words: &[String], columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            // Two columns are left for the backslash.
            Some(line) if line.len() + 1 + word.len() + 2 <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(line) => {
                line.push_str(" \\");
                lines.push(" ".repeat(INDENT - 2) + word);
            }
            None => lines.push(format!("  {word}")),
        }
    }
    lines
}

/// `words` in lines that begin with `start`; none without words.
fn filled<'a>(words: impl Iterator<Item = &'a str>, start: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            Some(_) | None => lines.push(format!("{start}{word}")),
        }
    }
    lines
}

/// An argument of `settings` as its help shows it. The flags of a build, which set values for this call only, are in the help of `build`.
pub(super) fn argument_of_settings(arg: Arg) -> Arg {
    const NAME: &str = "Setting to show alone, such as jobs, or a configuration, as for build [default: all settings of .]";
    match arg.get_id().as_str() {
        "path" => arg.value_name("NAME|PATH").help(NAME).long_help(None),
        "json" => arg
            .help("Print one JSON object instead of lines")
            .long_help(None),
        _ => arg.hide(true),
    }
}

/// `command`, whose flags take a path that begins with `~/` as one below `home`, and its subcommands.
pub(super) fn with_home(command: Command, home: Option<&Path>) -> Command {
    let located = |arg: Arg| {
        // Where an argument without a flag begins with `~`, the user kept the shell from replacing it.
        if arg.is_positional() {
            return arg;
        }
        let home = home.map(Path::to_owned);
        let at_home = move |path: &Path| below_home(path, home.as_deref());
        let kind = arg.get_value_parser().type_id();
        if kind == TypeId::of::<PathBuf>() {
            let parser = PathBufValueParser::new();
            arg.value_parser(parser.map(move |path| at_home(&path)))
        } else if kind == TypeId::of::<FlakeRef>() {
            let parser = StringValueParser::new().try_map(|text| text.parse());
            arg.value_parser(parser.map(move |flake: FlakeRef| flake.located_by(&at_home)))
        } else {
            arg
        }
    };
    command
        .mut_args(located)
        .mut_subcommands(|sub| with_home(sub, home))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli;
    use crate::cli::Cli;
    use clap::{CommandFactory as _, FromArgMatches as _};

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
    fn long_descriptions_are_broken_below_their_beginning() {
        let text = in_help_of(Cli::command(), 40).render_help().to_string();
        assert!(
            text.contains("  doctor       Check that this machine\n               can build,"),
            "{text}"
        );
    }

    #[test]
    fn example_and_explanation_look_different() {
        let command = "sdbuild build pi --output pi";
        let shown = |columns| example(command, "build pi/sd-card.nix into pi", 0, columns);
        assert_eq!(
            shown(80),
            ["  sdbuild build pi --output pi   # build pi/sd-card.nix into pi"]
        );
        assert_eq!(
            shown(62),
            [
                "  sdbuild build pi --output pi   # build pi/sd-card.nix into",
                "                                 # pi",
            ]
        );
        assert_eq!(
            shown(28),
            [
                "  sdbuild build pi \\",
                "    --output pi",
                "      # build pi/sd-card.nix",
                "      # into pi",
            ]
        );
    }

    #[test]
    fn help_begins_with_the_usage_and_ends_with_examples() {
        let command = Command::new("flash").about("Write.");
        let command = command.long_about("Write.\n\nFind the disk.\n\nIt asks.");
        let mut command = with_endings_in(command, 80);
        let help = command.render_long_help().to_string();
        assert!(help.starts_with("Write.\n\nUsage: flash\n"), "{help}");
        assert!(
            help.contains("Find the disk.\n\nIt asks.\n\nWithout a disk"),
            "{help}"
        );
        assert!(help.contains("Examples:\n  sdbuild flash "), "{help}");
    }

    fn parsed(words: &[&str]) -> cli::Command {
        let command = with_home(Cli::command_with_help_in(80), Some(Path::new("/home/me")));
        let mut matches = command.try_get_matches_from(words).unwrap();
        let cli = Cli::from_arg_matches_mut(&mut matches).unwrap();
        cli.command.unwrap()
    }

    #[test]
    fn paths_of_flags_begin_at_home() {
        let words = [
            "sdbuild",
            "build",
            "--ssh-key=~/a.pub",
            "--login-key=./~/a",
            "--ca-file=~/ca.pem",
            "--root",
            "~/pi",
            "~",
        ];
        let cli::Command::Build(build) = parsed(&words) else {
            panic!("another command");
        };
        let args = build.args();
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        assert_eq!(shown(&args.config.ssh_key).unwrap(), "/home/me/a.pub");
        assert_eq!(shown(&args.login_key).unwrap(), "./~/a");
        assert_eq!(shown(&args.options.ca_file).unwrap(), "/home/me/ca.pem");
        assert_eq!(shown(&args.config.root).unwrap(), "/home/me/pi");
        assert_eq!(shown(&args.config.config).unwrap(), "~");
    }
}
