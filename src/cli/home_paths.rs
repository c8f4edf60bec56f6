//! `~/` in the paths of flags: a shell replaces it in `--ssh-key ~/key.pub`, but not in `--ssh-key=~/key.pub`.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::builder::{PathBufValueParser, StringValueParser, TypedValueParser as _};
use clap::{Arg, Command};

use sdbuild_core::absolute_path::below_home;
use sdbuild_nix::flake_ref::FlakeRef;

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
    use clap::FromArgMatches as _;

    use super::*;
    use crate::cli;
    use crate::cli::Cli;

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

    #[test]
    fn lists_of_paths_begin_at_home_too() {
        let cli::Command::Init(init) = parsed(&["sdbuild", "init", "--ssh-key=~/a.pub"]) else {
            panic!("another command");
        };
        assert_eq!(init.ssh_key, [Path::new("/home/me/a.pub")]);
    }

    #[test]
    fn a_flake_may_be_at_home() {
        let cli::Command::Build(build) = parsed(&["sdbuild", "build", "--flake=~/pi#web"]) else {
            panic!("another command");
        };
        let flake = build.args().config.flake.unwrap();
        let written: FlakeRef = "~/pi#web".parse().unwrap();
        assert_eq!(flake, written.located_by(|_| "/home/me/pi".into()));
    }

    #[test]
    fn a_command_for_the_booted_machine_keeps_its_tilde() {
        let cli::Command::Boot(boot) = parsed(&["sdbuild", "boot", "--run=~/test"]) else {
            panic!("another command");
        };
        assert_eq!(boot.run.as_deref(), Some("~/test"));
    }
}
