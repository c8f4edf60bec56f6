//! What clap says about wrong arguments, with tips that help.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::common::board::BoardQuery;
use crate::common::nearest::{is_slip, is_typo, nearest};

/// `error`, about the arguments `words` of `command`, without clap's tip to give an unknown flag as a value, which no command
/// takes, and without flags and values that only look similar; with a tip where clap has none.
pub(super) fn with_useful_tip(
    mut error: clap::Error,
    command: &mut Command,
    words: &[String],
) -> clap::Error {
    if error.kind() == ErrorKind::UnknownArgument {
        error.remove(ContextKind::Suggested);
        let flag = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        let similar = text(&error, ContextKind::SuggestedArg);
        if let Some(tip) = tip_for_flag_in_front(command, &flag, words) {
            set_tip(&mut error, tip);
            error.remove(ContextKind::SuggestedArg);
        } else if similar.is_none_or(|similar| !is_typo(&flag, &similar)) {
            error.remove(ContextKind::SuggestedArg);
            if let Some(tip) = tip_for_misplaced_word(command, &flag, words) {
                set_tip(&mut error, tip);
            }
            // The one that clap has made may name a flag that only looks similar.
            let usage = usage(command, words);
            error.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
    } else if error.kind() == ErrorKind::InvalidValue {
        let value = text(&error, ContextKind::InvalidValue).unwrap_or_default();
        let similar = text(&error, ContextKind::SuggestedValue);
        if similar.is_some_and(|similar| !is_typo(&value, &similar)) {
            error.remove(ContextKind::SuggestedValue);
        }
        let flag = text(&error, ContextKind::InvalidArg).unwrap_or_default();
        if flag.starts_with("--board") {
            let boards = BoardQuery::find(&value).map(|found| found.names());
            set_tip(
                &mut error,
                match boards {
                    Ok(names) => format!("did you mean {}?", names.join(" or ")),
                    Err(_) => "`sdbuild boards` describes them".to_owned(),
                },
            );
        }
    } else if error.kind() == ErrorKind::InvalidSubcommand
        && error.get(ContextKind::SuggestedSubcommand).is_none()
    {
        let name = text(&error, ContextKind::InvalidSubcommand).unwrap_or_default();
        set_tip(&mut error, tip_for_command(command, &name));
    }
    error
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    let Some(ContextValue::String(text)) = error.get(kind) else {
        return None;
    };
    Some(text.clone())
}

fn set_tip(error: &mut clap::Error, tip: String) {
    let tips = ContextValue::StyledStrs(vec![tip.into()]);
    error.insert(ContextKind::Suggested, tips);
}

/// The tip for a command that does not exist: clap has none behind `help`.
fn tip_for_command(command: &Command, name: &str) -> String {
    let visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    let similar = nearest(name, visible.map(Command::get_name));
    match similar.filter(|similar| is_slip(name, similar)) {
        Some(similar) => format!("a similar subcommand exists: '{similar}'"),
        None => "`sdbuild help` lists all commands".to_owned(),
    }
}

/// The tip for an argument `word` that the command of `words` does not take.
fn tip_for_misplaced_word(command: &Command, word: &str, words: &[String]) -> Option<String> {
    let mut visible = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    match (words.first()?.as_str(), word) {
        ("man", word) => visible
            .any(|sub| sub.get_name() == word)
            .then(|| format!("`sdbuild help {word}` describes it")),
        ("init", "--format") => Some(
            "--template chooses what the image is for; `sdbuild build` takes --format".to_owned(),
        ),
        _ => tip_for_flag_of_others(command, word),
    }
}

/// The tip for a `flag` that only other commands take.
fn tip_for_flag_of_others(command: &Command, flag: &str) -> Option<String> {
    // `settings` has the flags of `build`, to show what they set.
    let is_other = |sub: &&Command| !sub.is_hide_set() && sub.get_name() != "settings";
    let others = command.get_subcommands().filter(is_other);
    let others: Vec<_> = others
        .filter(|sub| takes(sub, flag))
        .map(|sub| format!("`{} {}`", command.get_name(), sub.get_name()))
        .collect();
    let (last, front) = others.split_last()?;
    let (and, takes) = match front {
        [] => ("", "takes"),
        [..] => (" and ", "take"),
    };
    (others.len() <= 3).then(|| format!("{}{and}{last} {takes} {flag}", front.join(", ")))
}

/// Whether `command` itself has the long `flag`.
fn takes(command: &Command, flag: &str) -> bool {
    let mut longs = command.get_arguments().filter_map(clap::Arg::get_long);
    longs.any(|long| Some(long) == flag.strip_prefix("--"))
}

/// The tip for a `flag` of a command that stands in front of the command.
fn tip_for_flag_in_front(command: &Command, flag: &str, words: &[String]) -> Option<String> {
    let is_flag = |word: &&String| word.split('=').next() == Some(flag);
    let at = words.iter().position(|word| is_flag(&word))?;
    let (before, after) = words.split_at_checked(at)?;
    let named = |words: &[String]| {
        let mut found = words.iter().map(|word| command.find_subcommand(word));
        found.find_map(|sub| sub.filter(|sub| !sub.is_hide_set()))
    };
    if named(before).is_some() {
        return None;
    }
    let name = named(after).filter(|sub| takes(sub, flag))?.get_name();
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
