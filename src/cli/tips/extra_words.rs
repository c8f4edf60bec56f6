//! Tips for a word more than a command takes.

use std::path::Path;

use clap::{Arg, Command};

use super::answers;
use super::flags_of::takes;
use super::several;
use sdbuild_core::shell_word::quoted;
use sdbuild_image::image_format::Format;

/// Letters of a word that may be the name of a flag: fewer are more often a name of the user's own.
const MIN_LETTERS: usize = 3;

/// The tip for `word`, which is more than the command of `words` takes.
pub(super) fn tip(command: &Command, word: &str, words: &[String]) -> Option<String> {
    let (name, given) = words.split_first()?;
    let sub = command.find_subcommand(name)?;
    if word.starts_with('-') || given.iter().any(|given| given == "--") {
        return None;
    }
    let answered = || {
        let is_name = word.len() >= MIN_LETTERS && !Path::new(word).exists();
        is_name.then(|| answers::tip(name, word, words)).flatten()
    };
    tip_for_value_of_flag(sub, word)
        .or_else(|| tip_for_format(sub, word))
        .or_else(answered)
        .or_else(|| several::name_behind_flake(sub, word, given))
        .or_else(|| what_it_takes(sub, word, given))
}

/// The tip for a definition behind a `--set` in `words` that is more than one word.
pub(super) fn tip_for_set(command: &Command, words: &[String]) -> Option<String> {
    let (name, given) = words.split_first()?;
    let sub = command.find_subcommand(name)?;
    let is_meant = takes(sub, "--set") && !given.iter().any(|given| given == "--");
    let mut flags = (1..).zip(given).filter(|(_, word)| *word == "--set");
    flags.find_map(|(behind, _)| tip_for_value_of_set(given.get(behind..)?).filter(|_| is_meant))
}

/// The tip for `OPTION VALUE`, `OPTION = VALUE` and lists without quotes, which are one word, and for two definitions behind one flag;
/// `given` is what is behind the flag.
fn tip_for_value_of_set(given: &[String]) -> Option<String> {
    let mut behind = given.iter().map(String::as_str);
    let first = behind.next()?;
    let (option, start) = first.split_once('=').unwrap_or((first, ""));
    let mut values = behind.take_while(|word| !word.starts_with('-'));
    let mut value = if start.is_empty() {
        values
            .next()
            .filter(|word| is_option(option) && !word.is_empty())?
    } else {
        start
    }
    .to_owned();
    if value == "=" {
        values.next()?.clone_into(&mut value);
    }
    if value.starts_with('[') && (option == "imports" || is_option(option)) {
        let rest: Vec<&str> = values.collect();
        let end = rest.iter().position(|word| word.ends_with(']'));
        let elements = end.and_then(|end| rest.get(..=end)).unwrap_or_default();
        let list = std::iter::once(value.as_str()).chain(elements.iter().copied());
        let list = list.collect::<Vec<_>>().join(" ");
        // Without an end it is not known what belongs to it.
        value = Some(list).filter(|list| list.ends_with(']'))?;
        let mut elements = value.split([' ', '[']);
        if elements.any(|element| {
            ["./", "../", "/"]
                .iter()
                .any(|start| element.starts_with(start))
        }) {
            return Some(format!(
                "--set cannot take paths; write this into the configuration: {option} = {value};"
            ));
        }
    } else if !start.is_empty() {
        let second = values.next()?;
        let is_definition = |word: &str| {
            word.split_once('=')
                .is_some_and(|(option, _)| is_option(option))
        };
        let is_meant = is_definition(first) && is_definition(second);
        return is_meant.then(|| {
            let (first, second) = (quoted(first), quoted(second));
            format!("give --set for each option: --set {first} --set {second}")
        });
    }
    let line = quoted(&format!("{option}={value}"));
    Some(format!(
        "write the option and its value as one word: --set {line}"
    ))
}

/// What other programs call the command that shows a setting.
const IN_PLACE_OF_A_NAME: [&str; 4] = ["get", "list", "print", "show"];

/// The tip for `word` where it is a value of only one flag of `sub`, such as the name of a board.
fn tip_for_value_of_flag(sub: &Command, word: &str) -> Option<String> {
    let has_value = |arg: &&Arg| {
        let values = arg.get_possible_values();
        values.iter().any(|value| value.matches(word, false))
    };
    let mut flags = sub
        .get_arguments()
        .filter(|arg| !arg.is_hide_set())
        .filter(has_value)
        .filter_map(Arg::get_long);
    let flag = flags.next().filter(|_| flags.next().is_none())?;
    Some(format!("did you mean --{flag} {word}?"))
}

/// The tip for the name of a format, of which clap does not know the values.
fn tip_for_format(sub: &Command, word: &str) -> Option<String> {
    let is_format = takes(sub, "--format") && word.parse::<Format>().is_ok();
    is_format.then(|| format!("did you mean --format {word}?"))
}

/// What `sub` takes in place of `word` and the other words that are `given`.
fn what_it_takes(sub: &Command, word: &str, given: &[String]) -> Option<String> {
    let name = sub.get_name();
    let takes: Vec<&Arg> = sub.get_positionals().collect();
    match takes.as_slice() {
        [] => Some(format!(
            "{name} takes only flags; `sdbuild help {name}` lists them. Leave out {}: sdbuild {name}",
            quoted(word)
        )),
        [arg] if !sub.has_subcommands() => {
            let value = arg.get_value_names()?.first()?;
            let before = given.iter().map(String::as_str);
            let before: Vec<&str> = before.take_while(|given| *given != word).collect();
            // Of several letters, the last one may take a value.
            let is_group = |word: &&str| word.len() > 2 && !word.starts_with("--");
            let (words, flags) = several::split(sub, &before, |word| !word.starts_with('-'));
            let &[first] = words.as_slice() else {
                return None;
            };
            let is_certain = !flags
                .iter()
                .any(|word| word.starts_with('-') && is_group(word));
            let of_docker = ["Containerfile", "Dockerfile"]
                .iter()
                .any(|file| first.ends_with(file));
            if of_docker && value == "PATH" {
                return Some(format!(
                    "sdbuild builds a NixOS configuration, not a {first}. PATH is a file such as sd-card.nix, or a directory with one: sdbuild {name} sd-card.nix"
                ));
            }
            let word = quoted(word);
            if name == "settings" && IN_PLACE_OF_A_NAME.contains(&first) {
                return Some(format!("leave out {first}: sdbuild settings {word}"));
            }
            is_certain.then(|| {
                format!("{name} takes only one {value}. Leave out {word}, or run the command again for it")
            })
        }
        _ => None,
    }
}

/// Whether `word` is the name of an option, such as `networking.hostName`.
fn is_option(word: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-\"".contains(c);
    word.contains('.') && !Path::new(word).exists() && word.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tip_for(word: &str, line: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        let command = Cli::command();
        tip_for_set(&command, &words).or_else(|| tip(&command, word, &words))
    }

    #[test]
    fn a_word_too_many_is_told_apart() {
        for (word, line, told) in [
            (
                "extra",
                "build / extra",
                "build takes only one PATH. Leave out extra, or run the command again for it",
            ),
            (
                "pi",
                "check a.nix pi",
                "check takes only one PATH. Leave out pi, or run the command again for it",
            ),
            (
                "b",
                "init a b",
                "init takes only one DIR. Leave out b, or run the command again for it",
            ),
            (
                "b",
                "build -v a b",
                "build takes only one PATH. Leave out b, or run the command again for it",
            ),
            (
                "b",
                "build --jobs 2 a b",
                "build takes only one PATH. Leave out b, or run the command again for it",
            ),
            (
                ".",
                "build -f Dockerfile .",
                "sdbuild builds a NixOS configuration, not a Dockerfile. PATH is a file such as sd-card.nix, or a directory with one: sdbuild build sd-card.nix",
            ),
            ("rpi4", "build . rpi4", "did you mean --board rpi4?"),
            ("qcow2", "check . qcow2", "did you mean --format qcow2?"),
            (
                "aarch64-linux",
                "check . aarch64-linux",
                "did you mean --system aarch64-linux?",
            ),
            (
                "sdbuild",
                "status sdbuild",
                "status takes only flags; `sdbuild help status` lists them. Leave out sdbuild: sdbuild status",
            ),
            (
                "fix",
                "doctor fix",
                "doctor does not change anything; below each problem it says what to do",
            ),
            (
                "watch",
                "build . watch",
                "sdbuild does not watch files; run the command again after a change",
            ),
        ] {
            assert_eq!(tip_for(word, line).as_deref(), Some(told), "{line}");
        }
    }

    #[test]
    fn a_definition_behind_set_is_one_word() {
        for (word, line, told) in [
            (
                "443",
                "check --set a.ports=[ 80 443 ] a.nix",
                "write the option and its value as one word: --set 'a.ports=[ 80 443 ]'",
            ),
            (
                "./b.nix",
                "check a.nix --set c.d=1 --set imports=[ ./b.nix ]",
                "--set cannot take paths; write this into the configuration: imports = [ ./b.nix ];",
            ),
            (
                "c.d=2",
                "check a.nix --set a.b=1 c.d=2",
                "give --set for each option: --set a.b=1 --set c.d=2",
            ),
            (
                "a.nix",
                "check --set networking.hostName pi a.nix",
                "write the option and its value as one word: --set networking.hostName=pi",
            ),
            (
                "pi",
                "build --set networking.hostName = pi",
                "write the option and its value as one word: --set networking.hostName=pi",
            ),
        ] {
            assert_eq!(tip_for(word, line).as_deref(), Some(told), "{line}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        for (word, line) in [
            ("c", "build --jobs 2 a b c"),
            ("b", "build -vo a b c"),
            ("--b", "build a --b"),
            ("b", "build a -- b"),
        ] {
            assert_eq!(tip_for(word, line), None, "{line}");
        }
    }
}
