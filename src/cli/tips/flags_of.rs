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

/// Whether `command` itself has the long `flag`, and that takes no value.
pub(super) fn without_value(command: &Command, flag: &str) -> bool {
    let is_meant = |arg: &&clap::Arg| arg.get_long() == flag.strip_prefix("--");
    let arg = command.get_arguments().find(is_meant);
    let takes = |arg: &clap::Arg| {
        let count = arg.get_num_args().map(|count| count.takes_values());
        count.unwrap_or(arg.get_action().takes_values())
    };
    arg.is_some_and(|arg| !takes(arg))
}

/// Whether `beginning` is at least half of the name `whole`: less may mean anything.
pub(super) fn is_beginning(beginning: &str, whole: &str) -> bool {
    whole.starts_with(beginning) && whole.len() <= 2 * beginning.len()
}

/// The only long flag of `command` that `flag` is without one of its letters.
pub(super) fn with_missing_letter(command: &Command, flag: &str) -> Option<String> {
    /// Letters of a flag at least: fewer are no word.
    const MIN_LETTERS: usize = 2;
    let name = flag.strip_prefix("--")?;
    let lacks_one = |long: &&str| {
        let is_longer = long.chars().count() == name.chars().count() + 1;
        is_longer && strsim::osa_distance(name, long) == 1
    };
    let visible = command.get_arguments().filter(|arg| !arg.is_hide_set());
    let mut meant = visible.filter_map(clap::Arg::get_long).filter(lacks_one);
    let only = meant.next().filter(|_| meant.next().is_none())?;
    (name.len() >= MIN_LETTERS).then(|| format!("--{only}"))
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn a_beginning_is_half_of_a_name() {
        assert!(is_beginning("al", "all") && is_beginning("downl", "downloads"));
        assert!(!is_beginning("al", "all-features") && !is_beginning("", "all"));
    }

    #[test]
    fn a_flag_without_one_letter_is_recognized() {
        let flags = ["all", "old", "cat", "cut"].map(|name| Arg::new(name).long(name));
        let command = Command::new("clean").args(flags);
        let meant = |flag: &str| with_missing_letter(&command, flag);
        assert_eq!(meant("--od").as_deref(), Some("--old"));
        assert_eq!(meant("--al").as_deref(), Some("--all"));
        for other in ["--ct", "--olf", "--o", "--older", "-od"] {
            assert_eq!(meant(other), None, "{other}");
        }
    }
}
