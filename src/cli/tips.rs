//! What clap says about wrong arguments, with tips that help.

mod board_memory;
mod colours;
mod flags_of;
mod misplaced;
mod other_names;
mod several;
mod units;

use std::path::Path;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::common::board::{BoardQuery, ONLY_64_BIT};
use crate::common::flake_url::has_scheme;
use crate::common::image_name;
use crate::common::nearest::{is_slip, is_typo, nearest};
use crate::common::shell_word::quoted;
use crate::common::system::System;
use crate::common::text::listed;
use flags_of::{takes, takes_short, with_missing_letter};

/// What to write in place of a level: `--verbose=2`.
const VERBOSE: &str =
    "-v shows the builder's log, -vv everything that the log file has: neither takes a number";

/// Where the boards are described.
const DESCRIBED_BOARDS: &str = "`sdbuild boards` describes them";

/// `error`, about the arguments `words` of `command`, without clap's tip to give an unknown flag as a value, which no command
/// takes, and without flags and values that only look similar; with a tip where clap has none.
pub(super) fn with_useful_tip(
    mut error: clap::Error,
    command: &mut Command,
    words: &[String],
) -> clap::Error {
    let kind = error.kind();
    let of_board = || board_memory::tip(&command_first(command, words));
    if kind == ErrorKind::UnknownArgument {
        explain_flag(&mut error, command, words);
    } else if kind == ErrorKind::InvalidValue {
        explain_value(&mut error);
    } else if kind == ErrorKind::ValueValidation {
        let flag = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        let value = text(&error, ContextKind::InvalidValue).unwrap_or_default();
        let of_compression = || other_names::compression(&flag, &value);
        let of_boards = || (flag == "[BOARD]").then(|| DESCRIBED_BOARDS.to_owned());
        let of_memory = flag.starts_with("--memory").then(of_board).flatten();
        let tip = of_memory.or_else(|| units::tip(&flag, &value));
        if let Some(tip) = tip.or_else(of_compression).or_else(of_boards) {
            set_tip(&mut error, tip);
        }
    } else if kind == ErrorKind::ArgumentConflict {
        let one = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        let other = text(&error, ContextKind::PriorArg).unwrap_or_default();
        let is_of_memory = [one, other].iter().any(|flag| flag.starts_with("--memory"));
        if let Some(tip) = is_of_memory.then(of_board).flatten() {
            set_tip(&mut error, tip);
        }
    } else if kind == ErrorKind::TooManyValues {
        let flag = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        if flag.starts_with("--verbose") {
            set_tip(&mut error, VERBOSE.to_owned());
        }
    } else if kind == ErrorKind::WrongNumberOfValues {
        if let Some(tip) = tip_for_two_values(words) {
            set_tip(&mut error, tip);
        }
    } else if kind == ErrorKind::InvalidSubcommand {
        let name = text(&error, ContextKind::InvalidSubcommand).unwrap_or_default();
        error.remove(ContextKind::SuggestedSubcommand);
        set_tips(&mut error, tips_for_command(command, &name, words));
    }
    error
}

/// `words` with the command at their beginning, and behind it the flags of sdbuild itself that stand in front of it, which take no value.
fn command_first(command: &Command, words: &[String]) -> Vec<String> {
    let is_flag = |word: &&String| word.starts_with('-') && *word != "--";
    let front = words.iter().take_while(is_flag).count();
    let (front, rest) = words.split_at_checked(front).unwrap_or((&[], words));
    match rest.split_first() {
        Some((name, rest)) if command.find_subcommand(name).is_some() => {
            let words = std::iter::once(name).chain(front).chain(rest);
            words.cloned().collect()
        }
        Some(_) | None => words.to_owned(),
    }
}

/// Sets the tip for an unknown flag, or for a word too many.
fn explain_flag(error: &mut clap::Error, command: &mut Command, words: &[String]) {
    error.remove(ContextKind::Suggested);
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let similar = text(error, ContextKind::SuggestedArg);
    let known = tip_for_flag_in_front(command, &flag, words)
        .or_else(|| colours::tip(&flag, words))
        .or_else(|| tip_for_other_name(command, &flag, words));
    let mut known: Vec<String> = known.into_iter().collect();
    if known.is_empty() && !flag.starts_with('-') {
        known = several::tips(command, &command_first(command, words));
    }
    if known.is_empty() {
        let words = command_first(command, words);
        known.extend(misplaced::tip(command, &flag, &words));
    }
    if !known.is_empty() {
        set_tips(error, known);
        error.remove(ContextKind::SuggestedArg);
    } else if similar.is_none_or(|similar| !is_typo(&flag, &similar)) {
        error.remove(ContextKind::SuggestedArg);
        let tip = tip_for_missing_letter(command, &flag, words);
        if let Some(tip) = tip.or_else(|| tip_for_flag_of_others(command, &flag)) {
            set_tip(error, tip);
        }
    } else {
        return;
    }
    // The one that clap has made may name a flag that only looks similar.
    let usage = usage(command, words);
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
}

/// Sets the tip for a value that is none of those that a flag can have.
fn explain_value(error: &mut clap::Error) {
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let is_board = flag.starts_with("--board");
    let similar = text(error, ContextKind::SuggestedValue);
    // Boards with other numbers are other boards.
    let is_other = |similar: &String| {
        !is_typo(&value, similar) || is_board && without_digits(&value) == without_digits(similar)
    };
    let known = if is_board {
        Some(tip_for_board(&value))
    } else if flag.starts_with("--template") && value == "flake" {
        Some(ValueTip {
            text: "`sdbuild init --flake` writes a flake".to_owned(),
            replaces_similar: true,
        })
    } else if flag.starts_with("--system") {
        tip_for_system(&value)
    } else {
        None
    };
    let is_meant = known.as_ref().is_some_and(|tip| tip.replaces_similar);
    if is_meant || similar.as_ref().is_some_and(is_other) {
        error.remove(ContextKind::SuggestedValue);
    }
    if let Some(tip) = known {
        set_tip(error, tip.text);
    }
}

/// A tip for a value.
struct ValueTip {
    text: String,
    /// Whether it stands in place of the similar value that clap proposes.
    replaces_similar: bool,
}

fn tip_for_board(value: &str) -> ValueTip {
    let (text, replaces_similar) = match BoardQuery::find(value) {
        // A single one was taken.
        Ok(boards) => (boards.ambiguity(value), true),
        Err(_) if BoardQuery::has_32_bits(value) => (BoardQuery::why_not(value), true),
        Err(_) => (DESCRIBED_BOARDS.to_owned(), false),
    };
    ValueTip {
        text,
        replaces_similar,
    }
}

/// Names of processor architectures with 32 bits, as kernels and Debian call them.
const ARCHITECTURES_OF_32_BITS: [&str; 6] = ["armhf", "armv6l", "armv7", "armv7l", "i386", "i686"];

fn tip_for_system(value: &str) -> Option<ValueTip> {
    let architecture = value.strip_suffix("-linux").unwrap_or(value);
    let text = match System::by_other_name(value) {
        Some(system) => format!("did you mean {system}?"),
        None if ARCHITECTURES_OF_32_BITS.contains(&architecture) => ONLY_64_BIT.to_owned(),
        None => return None,
    };
    Some(ValueTip {
        text,
        replaces_similar: true,
    })
}

/// The tip for `--override-input INPUT=REF`, whose two values are words of their own.
fn tip_for_two_values(words: &[String]) -> Option<String> {
    const FLAG: &str = "--override-input";
    let behind = words.iter().zip(words.iter().skip(1));
    let behind = behind
        .filter(|(word, _)| *word == FLAG)
        .map(|(_, value)| value.as_str());
    let joined = words
        .iter()
        .filter_map(|word| word.strip_prefix(FLAG)?.strip_prefix('='));
    let mut values = behind.chain(joined);
    let (input, reference) = values.find_map(|value| value.split_once('='))?;
    Some(format!(
        "INPUT and REF are two words: {FLAG} {input} {reference}"
    ))
}

fn without_digits(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let Some(ContextValue::String(text)) = error.get(kind) else {
        return None;
    };
    Some(text.clone())
}

fn set_tip(error: &mut clap::Error, tip: String) {
    set_tips(error, vec![tip]);
}

fn set_tips(error: &mut clap::Error, tips: Vec<String>) {
    let tips = tips.into_iter().map(Into::into).collect();
    error.insert(ContextKind::Suggested, ContextValue::StyledStrs(tips));
}

/// The tips for the command `name` that does not exist, or is none of the command in front of it, such as `publish`. clap proposes
/// any that looks similar, also one that removes data.
fn tips_for_command(command: &Command, name: &str, words: &[String]) -> Vec<String> {
    if words.first().is_some_and(|word| word == "help") && command.find_subcommand(name).is_some() {
        return vec![format!("`{} help {name}` describes it", command.get_name())];
    }
    let lower = name.to_lowercase();
    let before = words.iter().take_while(|word| *word != name);
    let mut named = before.map(|word| command.find_subcommand(word));
    // `help NAME` names the commands of sdbuild.
    let has_own = |sub: &&Command| sub.has_subcommands() && sub.get_name() != "help";
    let outer = named.find_map(|sub| sub.filter(has_own));
    let others = other_names::commands(&lower);
    let is_only = others.len() == 1;
    let meant = match outer {
        Some(_) => Vec::new(),
        None => others
            .iter()
            .map(|name| described(command, name, is_only))
            .chain(other_names::other_meaning(&lower).map(str::to_owned))
            .collect(),
    };
    if !meant.is_empty() {
        return meant;
    }
    if let Some(explained) = other_names::explained_command(&lower) {
        return vec![explained.to_owned()];
    }
    let subcommands = outer.unwrap_or(command).get_subcommands();
    let visible = subcommands.filter(|sub| !sub.is_hide_set());
    let similar = nearest(&lower, visible.map(Command::get_name));
    let tip = match (similar.filter(|similar| is_slip(&lower, similar)), outer) {
        (Some(similar), _) => format!("a similar subcommand exists: '{similar}'"),
        (None, Some(outer)) => {
            let outer = outer.get_name();
            format!("`{} {outer} --help` lists its commands", command.get_name())
        }
        (None, None) => {
            tip_for_path(name).unwrap_or_else(|| "`sdbuild help` lists all commands".to_owned())
        }
    };
    vec![tip]
}

/// The tip for an image, a disk or a configuration in the place of a command.
fn tip_for_path(name: &str) -> Option<String> {
    let path = quoted(name);
    if image_name::is_image(name) {
        return Some(format!(
            "`sdbuild boot {path}` starts it, `sdbuild flash {path}` writes it to a card"
        ));
    }
    if name.starts_with("/dev/") {
        return Some(format!(
            "`sdbuild flash IMAGE {path}` writes an image to that disk"
        ));
    }
    let is_path = [".", ".."].contains(&name) || name.contains('/');
    let is_module = Path::new(name).extension().is_some_and(|end| end == "nix");
    let is_flake = name.contains('#') || has_scheme(name);
    (is_path || is_module || is_flake).then(|| format!("`sdbuild build {path}` builds it"))
}

/// That the command `name` is meant, or may be where it is not the only one, and what it is for: the command is called `flash`:
/// write an image …
fn described(command: &Command, name: &str, is_only: bool) -> String {
    let sub = command.find_subcommand(name);
    let about = sub.and_then(Command::get_about).map(ToString::to_string);
    let about = about.unwrap_or_default();
    let mut rest = about.chars();
    let first = rest.next().map(|c| c.to_ascii_lowercase());
    let about: String = first.into_iter().chain(rest).collect();
    let is = if is_only {
        "the command is called"
    } else {
        "the command may be"
    };
    let program = command.get_name();
    format!("{is} `{program} {name}`: {about}")
}

/// The tip for a `flag` that has another name here.
fn tip_for_other_name(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let mut named = words.iter().map(|word| command.find_subcommand(word));
    let sub = named.find_map(|sub| sub)?;
    let meant = other_names::flags(name).map(|long| format!("--{long}"));
    let mut meant = meant.filter(|flag| takes(sub, flag));
    if let Some(flag) = meant.next() {
        return Some(format!("did you mean {flag}?"));
    }
    let is_build = ["build", "check", "try"].contains(&sub.get_name());
    other_names::explained(name)
        .filter(|_| is_build)
        .map(str::to_owned)
}

/// The tip for a `flag` that lacks one letter of a flag of the command that `words` name: of a short one, clap sees no similarity.
fn tip_for_missing_letter(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let mut named = words.iter().map(|word| command.find_subcommand(word));
    let meant = with_missing_letter(named.find_map(|sub| sub)?, flag)?;
    Some(format!("did you mean {meant}?"))
}

/// The tip for a `flag` that only other commands take.
fn tip_for_flag_of_others(command: &Command, flag: &str) -> Option<String> {
    // Another command does something else by the same word.
    if ["--all", "--force"].contains(&flag) {
        return None;
    }
    // `settings` has the flags of `build`, to show what they set.
    let is_other = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "settings";
    let others = command.get_subcommands().filter(is_other);
    let others: Vec<_> = others
        .filter(|sub| takes(sub, flag))
        .map(|sub| format!("`{} {}`", command.get_name(), sub.get_name()))
        .collect();
    let takes = match others.len() {
        0 => return None,
        1 => "takes",
        _ => "take",
    };
    (others.len() <= 3).then(|| format!("{} {takes} {flag}", listed(&others)))
}

/// The tip for a `flag` of a command that stands in front of the command.
fn tip_for_flag_in_front(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let is_short = !flag.starts_with("--");
    // A value may stand in the same word: `--config=x.nix`, `-cx.nix`.
    let is_flag = |word: &String| {
        word.split('=').next() == Some(flag)
            || is_short && !word.starts_with("--") && word.starts_with(flag)
    };
    let at = words.iter().position(is_flag)?;
    let (before, after) = words.split_at_checked(at)?;
    let named = |words: &[String]| {
        let mut found = words.iter().map(|word| command.find_subcommand(word));
        found.find_map(|sub| sub.filter(|sub| !sub.is_hide_set()))
    };
    if named(before).is_some() {
        return None;
    }
    let takes = |sub: &&Command| takes(sub, flag) || takes_short(sub, flag);
    let name = named(after).filter(takes)?.get_name();
    Some(format!(
        "flags of a command go after it: sdbuild {name} {flag} …"
    ))
}

/// The usage of the command that `words` name.
fn usage(command: &mut Command, words: &[String]) -> clap::builder::StyledStr {
    command.build();
    let mut named = command.clone();
    for word in words {
        if let Some(sub) = named.find_subcommand(word) {
            named = sub.clone();
        }
    }
    named.render_usage()
}
