//! Nix's `--option NAME VALUE` and `--argstr NAME VALUE` in place of sdbuild's flags.

use clap::Command;

use super::flags_of::{takes, without_value};
use super::other_names;
use sdbuild_core::shell_word::quoted;

/// The flag of Nix for its own options.
const OPTION: &str = "--option";
/// Its flags for arguments of the expression: other names than those of sdbuild's flags may be options of NixOS.
const ARGUMENT: [&str; 2] = ["--arg", "--argstr"];

/// The tip for the `flag` in the `words` of `command`: the flag of sdbuild for the same option of Nix.
pub(super) fn tip(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let is_meant = flag == OPTION || ARGUMENT.contains(&flag);
    if !is_meant || !["build", "check"].contains(&command.get_name()) {
        return None;
    }
    let at = words.iter().position(|word| word == flag)?;
    let name = words.get(at + 1).map_or("", String::as_str);
    let own = other_names::flags(name).map(|long| format!("--{long}"));
    let mut own = std::iter::once(format!("--{name}")).chain(own);
    let meant = own.find(|own| takes(command, own) && !without_value(command, own));
    match (meant, words.get(at + 2)) {
        (Some(meant), Some(value)) => {
            // `--arg` takes Nix.
            let value = quoted(value.trim_matches('"'));
            Some(format!("did you mean {meant} {value}?"))
        }
        (Some(meant), None) => Some(format!("did you mean {meant}?")),
        (None, _) => {
            (flag == OPTION).then(|| "`sdbuild settings` lists what can be set".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn an_option_of_nix_is_a_flag() {
        let command = Cli::command();
        let build = command.find_subcommand("build").unwrap();
        for (line, told) in [
            ("build --option cores 2", "did you mean --cores 2?"),
            ("build --option max-jobs 2", "did you mean --jobs 2?"),
            (
                "build --option substituters",
                "did you mean --substituters?",
            ),
            (
                "build --option sandbox false",
                "`sdbuild settings` lists what can be set",
            ),
            ("build --option", "`sdbuild settings` lists what can be set"),
        ] {
            let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
            assert_eq!(tip(build, OPTION, &words).as_deref(), Some(told), "{line}");
        }
        let words = ["build", "--argstr", "system", "x86_64-linux"].map(str::to_owned);
        let told = Some("did you mean --system x86_64-linux?".to_owned());
        assert_eq!(tip(build, "--argstr", &words), told);
        let words = ["build", "--arg", "services.openssh.enable", "true"].map(str::to_owned);
        assert_eq!(tip(build, "--arg", &words), None);
        assert_eq!(tip(build, "--options", &[]), None);
    }
}
