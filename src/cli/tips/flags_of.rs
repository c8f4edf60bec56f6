//! Which flags a command has.

use clap::Command;

/// Whether `command` itself has the long `flag`.
pub(super) fn takes(command: &Command, flag: &str) -> bool {
    let mut longs = command.get_arguments().filter_map(clap::Arg::get_long);
    longs.any(|long| Some(long) == flag.strip_prefix("--"))
}

/// Whether `command` itself has the short `flag`, such as `-c`.
pub(super) fn takes_short(command: &Command, flag: &str) -> bool {
    let mut letters = flag.chars().skip(1);
    let letter = letters.next().filter(|_| letters.next().is_none());
    let mut shorts = command.get_arguments().filter_map(clap::Arg::get_short);
    letter.is_some_and(|letter| shorts.any(|short| short == letter))
}
