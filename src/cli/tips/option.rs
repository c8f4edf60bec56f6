//! Nix's `--option NAME VALUE` in place of sdbuild's flags.

use clap::Command;

use super::flags_of::{takes, without_value};
use super::other_names;
use crate::common::shell_word::quoted;

/// The flag of Nix.
const FLAG: &str = "--option";

/// The tip for the `flag` in the `words` of `command`: the flag of sdbuild for the same option of Nix.
pub(super) fn tip(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    if flag != FLAG || !["build", "check"].contains(&command.get_name()) {
        return None;
    }
    let at = words.iter().position(|word| word == FLAG)?;
    let name = words.get(at + 1).map_or("", String::as_str);
    let own = other_names::flags(name).map(|long| format!("--{long}"));
    let mut own = std::iter::once(format!("--{name}")).chain(own);
    let meant = own.find(|own| takes(command, own) && !without_value(command, own));
    Some(match (meant, words.get(at + 2)) {
        (Some(meant), Some(value)) => format!("did you mean {meant} {}?", quoted(value)),
        (Some(meant), None) => format!("did you mean {meant}?"),
        (None, _) => "`sdbuild settings` lists what can be set".to_owned(),
    })
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
            assert_eq!(tip(build, FLAG, &words).as_deref(), Some(told), "{line}");
        }
        assert_eq!(tip(build, "--options", &[]), None);
    }
}
