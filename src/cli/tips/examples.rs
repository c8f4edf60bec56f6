//! Examples for flags without their values, or what the help says of them.

use clap::Command;
use clap::error::{ContextKind, ContextValue};

use super::context::text;

/// The tip for an `error` about the value that a flag lacks in `words`: an example in the help of the command that has the flag.
pub(super) fn tip(error: &clap::Error, command: &Command, words: &[String]) -> Option<String> {
    let (sub, flag) = flag_without_value(error, command, words)?;
    Some(format!("for instance: {}", example(sub, &flag)?))
}

/// The same for a flag without an example: what the help says of it, without its default.
pub(super) fn described(
    error: &clap::Error,
    command: &Command,
    words: &[String],
) -> Option<String> {
    let (sub, flag) = flag_without_value(error, command, words)?;
    let mut flags = sub.get_arguments();
    let arg = flags.find(|arg| arg.get_long() == flag.strip_prefix("--"))?;
    let (program, name) = (command.get_name(), sub.get_name());
    let help = arg.get_help()?.to_string();
    let help = help.split(" [").next()?;
    Some(format!("`{program} {name} --help` says of it: {help}"))
}

/// The flag in `words` whose value is missing, of which `error` tells no list of values, with the command that has it.
fn flag_without_value<'a>(
    error: &clap::Error,
    command: &'a Command,
    words: &[String],
) -> Option<(&'a Command, String)> {
    let is_missing = text(error, ContextKind::InvalidValue).is_none_or(|value| value.is_empty());
    let argument = text(error, ContextKind::InvalidArg).filter(|_| is_missing)?;
    let flag = argument.split(' ').next()?;
    // clap lists them.
    let has_values = match error.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(values)) => !values.is_empty(),
        Some(_) | None => false,
    };
    let sub = command.find_subcommand(words.first()?)?;
    (!has_values).then(|| (sub, flag.to_owned()))
}

/// The first example in the help of `sub` that has `flag`.
fn example(sub: &Command, flag: &str) -> Option<String> {
    let help = sub.get_after_help()?.to_string();
    let (_, examples) = help.split_once("Examples:\n")?;
    let mut lines = examples
        .lines()
        .filter_map(|line| line.split(" # ").next())
        .map(str::trim);
    let example = lines.find(|line| line.split_whitespace().any(|word| word == flag))?;
    Some(example.to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tip_for(line: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let program = ["sdbuild".to_owned()];
        let mut command = Cli::command();
        let error = command
            .try_get_matches_from_mut(program.iter().chain(&words))
            .unwrap_err();
        tip(&error, &command, &words)
    }

    #[test]
    fn a_flag_without_its_value_has_an_example() {
        for (line, example) in [
            (
                "boot a.img --run",
                "for instance: sdbuild boot card.img --run 'systemctl --failed'",
            ),
            (
                "build --set",
                "for instance: sdbuild build --set 'environment.systemPackages=[ pkgs.vim ]'",
            ),
            (
                "init --wifi",
                "for instance: sdbuild init --wifi 'Home network'",
            ),
        ] {
            assert_eq!(tip_for(line).as_deref(), Some(example), "{line}");
        }
        for line in [
            "build --board",
            "build --board x",
            "boot --port",
            "build --jobs x",
        ] {
            assert_eq!(tip_for(line), None, "{line}");
        }
    }
}
