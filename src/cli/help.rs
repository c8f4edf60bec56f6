//! The layout of the help: the commands in groups, notes and examples, what describes a command at length behind its flags, and
//! arguments whose help depends on the command; and `~/` in the paths of flags.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, StringValueParser, StyledStr, TypedValueParser as _};
use clap::{Arg, Command};

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

/// `command`, whose help has its subcommands in groups.
pub(super) fn with_groups(mut command: Command) -> Command {
    // Sets the styles, and adds the subcommand `help`.
    command.build();
    let style = command.get_styles().get_header();
    let groups = GROUPS.map(|(heading, names)| {
        let lines = names.iter().map(|name| line(&command, name));
        format!(
            "{style}{heading}:{style:#}\n{}\n",
            lines.collect::<String>()
        )
    });
    let template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{}{style}Options:{style:#}\n{{options}}{{after-help}}",
        groups.concat()
    );
    command.help_template(StyledStr::from(template))
}

/// The subcommand `name` and what it does; empty without the feature that it needs.
fn line(command: &Command, name: &str) -> String {
    let style = command.get_styles().get_literal();
    let about = command.find_subcommand(name).and_then(Command::get_about);
    about.map_or_else(String::new, |about| {
        format!("  {style}{name:<13}{style:#}{about}\n")
    })
}

/// Notes and examples of each command, as its help shows them at the end. A test parses every example.
const ENDINGS: &str = include_str!("endings.txt");

/// Notes and examples of the command `name`.
pub fn ending_of(name: &str) -> Option<&'static str> {
    let mut endings = ENDINGS.split("## ");
    let ending = endings.find_map(|ending| ending.strip_prefix(name)?.strip_prefix('\n'));
    ending.map(str::trim_end)
}

/// `command` and its subcommands, whose help ends with their notes and examples. What describes a command at length stands before
/// them, so that `--help` begins with the usage.
pub(super) fn with_endings(command: Command) -> Command {
    let command = command.mut_subcommands(with_endings);
    let Some(ending) = ending_of(command.get_name()) else {
        return command;
    };
    let about = command.get_long_about().map(ToString::to_string);
    match about.as_deref().and_then(|about| about.split_once("\n\n")) {
        Some((first, description)) => {
            let long = format!("{description}\n\n{ending}");
            let command = command.long_about(first.to_owned());
            command.after_help(ending).after_long_help(long)
        }
        None => command.after_help(ending),
    }
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
    fn help_begins_with_the_usage_and_ends_with_examples() {
        let command = Command::new("flash").about("Write.");
        let command = command.long_about("Write.\n\nFind the disk.\n\nIt asks.");
        let mut command = with_endings(command);
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
        let args = build.each().remove(0);
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        assert_eq!(shown(&args.config.ssh_key).unwrap(), "/home/me/a.pub");
        assert_eq!(shown(&args.login_key).unwrap(), "./~/a");
        assert_eq!(shown(&args.options.ca_file).unwrap(), "/home/me/ca.pem");
        assert_eq!(shown(&args.config.root).unwrap(), "/home/me/pi");
        assert_eq!(shown(&args.config.config).unwrap(), "~");
    }
}
