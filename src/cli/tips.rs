//! What clap says about wrong arguments, with tips that help.

mod answers;
mod board_memory;
mod colours;
mod commands;
mod context;
mod engine;
mod examples;
mod extra_words;
mod flags_of;
mod inspect_flags;
mod misplaced;
mod option;
mod other_names;
mod packages;
mod several;
mod switches;
mod units;
mod values;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Command, ValueEnum as _};

use commands::tips_for_command;
use context::{set_tip, set_tips, text};
use flags_of::{is_beginning, takes, takes_short, with_missing_letter};
use sdbuild_core::host_name;
use sdbuild_core::nearest::is_typo;
use sdbuild_core::system::System;
use sdbuild_core::text::listed;
use values::{
    DESCRIBED_BOARDS, explain_value, tip_for_missing_shell, tip_for_switch, tip_for_two_values,
};

/// What to write in place of a level: `--verbose=2`.
const VERBOSE: &str =
    "-v shows the builder's log and -vv everything in the log file; neither takes a number";

/// `error`, about the arguments `words` of `command`, without clap's tip to give an unknown flag as a value, which no command
/// takes, and without flags and values that only look similar; with a tip where clap has none. `shell` is the user's.
pub(super) fn with_useful_tip(
    mut error: clap::Error,
    command: &mut Command,
    words: &[String],
    shell: Option<&str>,
) -> clap::Error {
    let kind = error.kind();
    if kind == ErrorKind::UnknownArgument {
        explain_flag(&mut error, command, words);
    } else if kind == ErrorKind::InvalidValue {
        let words = command_first(command, words);
        if let Some(tip) = examples::tip(&error, command, &words) {
            set_tip(&mut error, tip);
        } else {
            explain_value(&mut error);
            if error.get(ContextKind::Suggested).is_none()
                && let Some(tip) = examples::described(&error, command, &words)
            {
                set_tip(&mut error, tip);
            }
        }
    } else if kind == ErrorKind::InvalidSubcommand {
        let name = text(&error, ContextKind::InvalidSubcommand).unwrap_or_default();
        error.remove(ContextKind::SuggestedSubcommand);
        set_tips(&mut error, tips_for_command(command, &name, words));
    } else {
        let words = command_first(command, words);
        if let Some(tip) = tip_for_kind(&error, command, &words, shell) {
            set_tip(&mut error, tip);
        }
    }
    error
}

/// The tip for an `error` of another kind, about the arguments `words` of `command`.
fn tip_for_kind(
    error: &clap::Error,
    command: &Command,
    words: &[String],
    shell: Option<&str>,
) -> Option<String> {
    let kind = error.kind();
    let flag = text(error, ContextKind::InvalidArg).unwrap_or_default();
    let name = words.first().map_or("", String::as_str);
    if kind == ErrorKind::ValueValidation {
        let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
        let is_memory = flag.starts_with("--memory");
        let of_board = is_memory.then(|| board_memory::tip(words)).flatten();
        let of_boards = || (flag == "[BOARD]").then(|| DESCRIBED_BOARDS.to_owned());
        let tip = of_board.or_else(|| units::tip(&flag, &value));
        let tip = tip.or_else(|| other_names::compression(&flag, &value));
        let tip = tip.or_else(|| tip_for_switch(command.find_subcommand(name)?, &value));
        tip.or_else(of_boards)
    } else if kind == ErrorKind::ArgumentConflict {
        let other = text(error, ContextKind::PriorArg).unwrap_or_default();
        let both = [flag, other];
        let has = |name: &str| both.iter().any(|flag| flag.starts_with(name));
        if has("[PATH]") && (has("--flake") || has("--config")) {
            return Some("name the configuration only once".to_owned());
        }
        let of_memory = || board_memory::tip(words);
        has("--memory").then(of_memory).flatten()
    } else if kind == ErrorKind::TooManyValues {
        let (flag, _) = flag.split_once(['.', ' ']).unwrap_or((&flag, ""));
        Some(if flag == "--verbose" {
            VERBOSE.to_owned()
        } else {
            format!("{flag} takes no value")
        })
    } else if kind == ErrorKind::WrongNumberOfValues {
        tip_for_two_values(words)
    } else if kind == ErrorKind::MissingRequiredArgument {
        match name {
            "completions" => Some(tip_for_missing_shell(shell)),
            "inspect" => {
                Some("to show a file of an image: sdbuild inspect IMAGE cat PATH".to_owned())
            }
            _ => None,
        }
    } else {
        None
    }
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
        .or_else(|| misplaced::tip_for_imager(words))
        .or_else(|| tip_for_meaning(command, &flag, words));
    let mut known: Vec<String> = known.into_iter().collect();
    if known.is_empty() && !flag.starts_with('-') {
        let words = command_first(command, words);
        // An element of a list behind `--set` may look like a second configuration.
        known.extend(extra_words::tip_for_set(command, &words));
        if known.is_empty() {
            known = several::tips(command, &words);
        }
    }
    if known.is_empty() {
        let words = command_first(command, words);
        let tip = misplaced::tip(command, &flag, &words);
        known.extend(tip.or_else(|| extra_words::tip(command, &flag, &words)));
    }
    error.remove(ContextKind::SuggestedArg);
    if !known.is_empty() {
        set_tips(error, known);
    } else if let Some(similar) = similar.filter(|similar| is_typo(&flag, similar)) {
        set_tip(error, format!("did you mean {similar}?"));
        return;
    } else {
        let tip = tip_for_missing_letter(command, &flag, words)
            .or_else(|| tip_for_flag_of_others(command, &flag, words))
            .or_else(|| tip_for_beginning(command, &flag, words))
            .or_else(|| tip_for_help(command, &flag, words));
        if let Some(tip) = tip {
            set_tip(error, tip);
        }
    }
    // The one that clap has made may name a flag that only looks similar.
    let usage = usage(command, words);
    error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
}

/// The tip for a `flag` whose meaning is known: of another program, or of none.
fn tip_for_meaning(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    if let Some(name) = command_with_dashes(command, words) {
        return Some(format!("a command has no dashes: sdbuild {name}"));
    }
    let words = command_first(command, words);
    let name = words.first()?;
    let sub = command.find_subcommand(name)?;
    if ["-V", "--version"].contains(&flag) {
        return Some("`sdbuild --version` prints the version".to_owned());
    }
    // `clean images`: the command takes no words.
    let is_answered = flag.starts_with('-') || name == "clean";
    let of_inspect = || (name == "inspect").then(|| inspect_flags::tip(flag, &words));
    let of_run = || (name == "boot").then(|| tip_for_unquoted_command(flag, &words));
    let own = of_run().flatten().or_else(|| of_inspect().flatten());
    own.or_else(|| option::tip(sub, flag, &words))
        .or_else(|| packages::tip(name, flag, &words))
        .or_else(|| tip_for_host(sub, flag, &words))
        .or_else(|| answers::tip(name, flag, &words).filter(|_| is_answered))
        .or_else(|| tip_for_other_name(command, flag, &words))
        .or_else(|| tip_for_switch(sub, &answers::value_of(flag, &words)?))
        .or_else(|| switches::tip(sub, flag))
}

/// The command that the first of `words` names with dashes: `--build`.
fn command_with_dashes<'a>(command: &Command, words: &'a [String]) -> Option<&'a str> {
    let first = words.first()?;
    let name = first.strip_prefix('-')?.trim_start_matches('-');
    let sub = command.find_subcommand(name);
    sub.filter(|sub| !sub.is_hide_set()).map(|_| name)
}

/// The tip for the unknown `flag` of a command behind `--run` that is not quoted: `--run ls -la`.
fn tip_for_unquoted_command(flag: &str, words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "--run")?;
    let program = words.get(at + 1).filter(|word| !word.contains(' '))?;
    let next = words.get(at + 2)?;
    let is_next = !flag.starts_with("--") && next.starts_with(flag) || next == flag;
    is_next.then(|| format!("quote the whole command: --run '{program} {next} …'"))
}

/// The tips for `--host NAME` with the name of a machine: another program may mean the engine, or the image.
fn tip_for_host(sub: &Command, flag: &str, words: &[String]) -> Option<String> {
    let name = answers::value_of(flag, words).filter(|_| flag == "--host")?;
    (takes(sub, "--hostname") && host_name::is_valid(&name)).then(|| {
        format!("to name the machine: --hostname {name}. The engine comes from DOCKER_HOST or the current Docker context")
    })
}

/// The tip for a `flag` that has another name here.
fn tip_for_other_name(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let mut named = words.iter().map(|word| command.find_subcommand(word));
    let sub = named.find_map(|sub| sub)?;
    let meant = other_names::flags(name).map(|long| format!("--{long}"));
    let mut meant = meant.filter(|flag| takes(sub, flag));
    let meant = meant.next()?;
    let system = answers::value_of(flag, words).filter(|_| meant == "--system");
    Some(match system.map(|value| System::by_other_name(&value)) {
        Some(Some(system)) => format!("did you mean {meant} {system}?"),
        Some(None) => {
            let systems = System::value_variants().iter();
            let systems: Vec<_> = systems.map(ToString::to_string).collect();
            format!("did you mean {meant}? It takes {}", systems.join(" or "))
        }
        None => format!("did you mean {meant}?"),
    })
}

/// The tip for a `flag` that lacks one letter of a flag of the command that `words` name: of a short one, clap sees no similarity.
fn tip_for_missing_letter(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let mut named = words.iter().map(|word| command.find_subcommand(word));
    let meant = with_missing_letter(named.find_map(|sub| sub)?, flag)?;
    Some(format!("did you mean {meant}?"))
}

/// Where the flags are of the command that `words` name, for a `flag` of which nothing is known.
fn tip_for_help(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let (mut named, mut path) = (command, Vec::new());
    for word in words {
        if let Some(sub) = named.find_subcommand(word) {
            named = sub;
            path.push(sub.get_name());
        }
    }
    if !flag.starts_with('-') {
        return None;
    }
    let name = command.get_name();
    Some(if path.is_empty() {
        format!("a command comes first, such as `{name} build`; `{name} help` lists them")
    } else {
        format!("`{name} {} --help` lists its flags", path.join(" "))
    })
}

/// The tip for a `flag` that only other commands take, by this name or another one.
fn tip_for_flag_of_others(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    // Another command does something else by the same word.
    if ["--all", "--force"].contains(&flag) {
        return None;
    }
    let name = flag.strip_prefix("--")?;
    let others = other_names::flags(name).map(|long| format!("--{long}"));
    let mut meant = std::iter::once(flag.to_owned()).chain(others);
    meant.find_map(|flag| takers(command, &flag, words))
}

/// The tip for the beginning of a `flag` that the command of `words` does not take: `status --al`.
fn tip_for_beginning(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let beginning = flag.strip_prefix("--")?;
    let words = command_first(command, words);
    let name = words.first()?;
    if let Some(whole) = answers::beginning_with(name, beginning) {
        return answers::tip(name, whole, &words);
    }
    let subs = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let longs = subs.flat_map(|sub| sub.get_arguments().filter_map(clap::Arg::get_long));
    let mut longs = longs.filter(|long| is_beginning(beginning, long));
    let whole = longs.next()?;
    let is_only = longs.all(|long| long == whole);
    is_only
        .then(|| tip_for_flag_of_others(command, &format!("--{whole}"), &words))
        .flatten()
}

/// The commands that take `flag`, which that of `words` does not; `None` if there are many.
fn takers(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    // `publish --region`, of `publish aws`.
    let mut named = words
        .iter()
        .filter_map(|word| command.find_subcommand(word));
    let outer = named.next().filter(|sub| sub.get_name() == "publish");
    let mut inner = outer.into_iter().flat_map(Command::get_subcommands);
    if let Some(inner) = inner.find(|sub| takes(sub, flag)) {
        let (program, inner) = (command.get_name(), inner.get_name());
        return Some(format!("`{program} publish {inner}` takes {flag}"));
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
    let named = |word: &String| {
        let sub = command.find_subcommand(word);
        sub.filter(|sub| !sub.is_hide_set())
    };
    if before.iter().any(|word| named(word).is_some()) {
        return None;
    }
    let takes = |sub: &&Command| takes(sub, flag) || takes_short(sub, flag);
    let mut behind = after.iter().enumerate();
    if let Some((to, sub)) = behind.find_map(|(to, word)| Some((to, named(word)?))) {
        let rest = before.iter().chain(after.iter().take(to));
        let rest = rest.chain(after.iter().skip(to + 1)).map(String::as_str);
        let line = several::joined(sub.get_name(), rest);
        let told = format!("a command's flags come after it: {line}");
        return takes(&sub).then_some(told);
    }
    // The command that most flags are of.
    let build = command.find_subcommand("build").filter(takes)?;
    let line = several::joined(build.get_name(), words.iter().map(String::as_str));
    Some(format!("the command comes first: {line}"))
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
