//! Tips for a word more than a command takes.

use std::path::Path;

use clap::{Arg, Command};

use super::answers;
use super::flags_of::takes;
use crate::common::image_format::Format;
use crate::common::shell_word::quoted;

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
    tip_for_value_of_set(sub, given)
        .or_else(|| tip_for_value_of_flag(sub, word))
        .or_else(|| tip_for_format(sub, word))
        .or_else(answered)
        .or_else(|| what_it_takes(sub, word, given))
}

/// The tip for `--set OPTION VALUE`, `--set OPTION = VALUE` and lists without quotes, which are one word, and for two definitions behind
/// one flag.
fn tip_for_value_of_set(sub: &Command, given: &[String]) -> Option<String> {
    let mut behind = given.iter().map(String::as_str);
    behind.find(|word| *word == "--set" && takes(sub, word))?;
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
    if value.starts_with('[') && is_option(option) {
        let rest: Vec<&str> = values.collect();
        let end = rest.iter().position(|word| word.ends_with(']'));
        let elements = end.and_then(|end| rest.get(..=end)).unwrap_or_default();
        let list = std::iter::once(value.as_str()).chain(elements.iter().copied());
        let list = list.collect::<Vec<_>>().join(" ");
        // Without an end it is not known what belongs to it.
        value = Some(list).filter(|list| list.ends_with(']'))?;
    } else if !start.is_empty() {
        let second = values.next()?;
        let is_definition = |word: &str| {
            word.split_once('=')
                .is_some_and(|(option, _)| is_option(option))
        };
        let is_meant = is_definition(first) && is_definition(second);
        return is_meant.then(|| {
            let (first, second) = (quoted(first), quoted(second));
            format!("each definition has its own flag: --set {first} --set {second}")
        });
    }
    let line = quoted(&format!("{option}={value}"));
    Some(format!(
        "the option and its value are one word: --set {line}"
    ))
}

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
            "{name} takes flags only: `sdbuild help {name}` lists them"
        )),
        [arg] if !sub.has_subcommands() => {
            let value = arg.get_value_names()?.first()?;
            // The word may be the value of a flag too, and then nothing is certain.
            let mut before = given.iter().take_while(|given| *given != word);
            let first = before.next().filter(|first| !first.starts_with('-'))?;
            let others = before.next().is_some();
            (!others).then(|| format!("{name} takes one {value}, and that is {}", quoted(first)))
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
        tip(&Cli::command(), word, &words)
    }

    #[test]
    fn a_word_too_many_is_told_apart() {
        for (word, line, told) in [
            (
                "extra",
                "build . extra",
                "build takes one PATH, and that is .",
            ),
            (
                "pi",
                "check a.nix pi",
                "check takes one PATH, and that is a.nix",
            ),
            ("b", "init a b", "init takes one DIR, and that is a"),
            ("rpi4", "build . rpi4", "did you mean --board rpi4?"),
            ("qcow2", "check . qcow2", "did you mean --format qcow2?"),
            (
                "aarch64-linux",
                "check . aarch64-linux",
                "did you mean --system aarch64-linux?",
            ),
            (
                "sdbuild",
                "man sdbuild",
                "man takes flags only: `sdbuild help man` lists them",
            ),
            (
                "fix",
                "doctor fix",
                "doctor changes nothing; below each problem it says what to do",
            ),
            (
                "watch",
                "build . watch",
                "sdbuild watches no files: run the same line again after a change",
            ),
            (
                "443",
                "check --set a.ports=[ 80 443 ] a.nix",
                "the option and its value are one word: --set 'a.ports=[ 80 443 ]'",
            ),
            (
                "c.d=2",
                "check a.nix --set a.b=1 c.d=2",
                "each definition has its own flag: --set a.b=1 --set c.d=2",
            ),
            (
                "a.nix",
                "check --set networking.hostName pi a.nix",
                "the option and its value are one word: --set networking.hostName=pi",
            ),
            (
                "pi",
                "build --set networking.hostName = pi",
                "the option and its value are one word: --set networking.hostName=pi",
            ),
        ] {
            assert_eq!(tip_for(word, line).as_deref(), Some(told), "{line}");
        }
    }

    #[test]
    fn what_is_not_certain_is_not_told() {
        for (word, line) in [
            ("c", "build --jobs 2 a b c"),
            ("b", "build -v a b"),
            ("--b", "build a --b"),
            ("b", "build a -- b"),
        ] {
            assert_eq!(tip_for(word, line), None, "{line}");
        }
    }
}
