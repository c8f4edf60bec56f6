//! The scripts that run on a machine, and what they say.

use std::fmt::Write as _;

use sdbuild_core::shell_word::quoted;

/// What the lines begin with that are for sdbuild: a login shell may print other ones.
const PREFIX: &str = "sdbuild: ";

/// Says what the machine is like.
pub(crate) const LOOK: &str = include_str!("scripts/look.sh");
/// Holds the lock.
pub(crate) const HOLD: &str = include_str!("scripts/hold.sh");
/// Starts [`JOB`].
pub(crate) const BEGIN: &str = include_str!("scripts/begin.sh");
/// Changes the system.
pub(crate) const JOB: &str = include_str!("scripts/job.sh");
/// Confirms the change.
pub(crate) const CONFIRM: &str = include_str!("scripts/confirm.sh");
/// Lists the systems of the machine.
pub(crate) const GENERATIONS: &str = include_str!("scripts/generations.sh");
/// Removes systems of the machine.
pub(crate) const COLLECT: &str = include_str!("scripts/collect.sh");
/// Removes damaged paths.
pub(crate) const VERIFY: &str = include_str!("scripts/verify.sh");
/// Restarts the machine.
pub(crate) const RESTART: &str = include_str!("scripts/restart.sh");
/// Compares or replaces the files of the firmware partition.
pub(crate) const FIRMWARE: &str = include_str!("scripts/firmware.sh");
/// Says what an activation would do.
pub(crate) const DRY_ACTIVATE: &str = include_str!("scripts/dry_activate.sh");

/// What a shell reads to run `script` with `arguments`: it reads all of it before it begins, so what follows is the script's input.
pub(crate) fn input(script: &str, arguments: &[&str]) -> String {
    let mut text = "set --".to_owned();
    for argument in arguments {
        // Writing to a string does not fail.
        write!(text, " {}", quoted(argument)).ok();
    }
    format!("{text}\n{{\n{script}\nexit\n}}\n")
}

/// The keys and values that a script said, in their order.
pub(crate) fn facts(output: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = output.lines().filter_map(|line| line.strip_prefix(PREFIX));
    lines.map(|line| line.split_once(' ').unwrap_or((line, "")))
}

/// The first value of `key`.
pub(crate) fn fact<'a>(output: &'a str, key: &str) -> Option<&'a str> {
    facts(output)
        .find(|(name, _)| *name == key)
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_shell_reads_the_script_its_arguments_and_the_input() {
        let script =
            "printf 'sdbuild: word %s\\n' \"$@\"\nread -r rest\necho \"sdbuild: rest $rest\"";
        let arguments = ["a b", "it's", "$(id)", "", "-n"];
        let mut shell = Command::new("bash")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = shell.stdin.take().unwrap();
        stdin
            .write_all(input(script, &arguments).as_bytes())
            .unwrap();
        stdin.write_all(b"more\n").unwrap();
        drop(stdin);
        let output = shell.wait_with_output().unwrap();
        let output = format!("banner\n{}", String::from_utf8(output.stdout).unwrap());
        let words: Vec<_> = facts(&output).filter(|(key, _)| *key == "word").collect();
        assert_eq!(words, arguments.map(|word| ("word", word)));
        assert_eq!(fact(&output, "rest"), Some("more"));
        assert_eq!(fact(&output, "banner"), None);
    }
}
