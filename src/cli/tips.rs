//! Tips that clap cannot give: what flags of docker, cargo, dd and nixos-generators are called here, which command takes a flag,
//! and how a definition behind `--set` is quoted.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use sdbuild_core::shell_word::quoted;

/// Flags of other programs, without their dashes, with those of sdbuild. A flag may mean several, of which a command takes one.
const RENAMED: [(&[&str], &str); 24] = [
    (&["boot", "test"], "boot-test"),
    (
        &["o", "out", "outdir", "out-dir", "out-link", "target-dir"],
        "output",
    ),
    (&["arch", "platform", "target"], "system"),
    (&["channel", "nixos-version"], "nixpkgs"),
    (&["host-name", "name"], "hostname"),
    (&["image-format", "type"], "format"),
    (&["compression"], "compress"),
    (&["configuration", "file", "manifest-path"], "config"),
    (&["j", "max-jobs"], "jobs"),
    (&["key", "keys", "pubkey", "public-key"], "ssh-key"),
    (&["i", "identity", "key", "private-key"], "login-key"),
    (&["mem", "ram"], "memory"),
    (&["n"], "dry-run"),
    (&["p", "publish"], "port"),
    (&["ssh"], "until-ssh"),
    (&["assume-yes", "no-confirm", "non-interactive"], "yes"),
    (&["accept-flake-config"], "accept-flake-caches"),
    (&["M", "machine", "model"], "board"),
    (&["c", "cmd", "command", "e", "exec"], "run"),
    (&["no-check", "skip-verify"], "no-verify"),
    (&["network", "ssid", "wlan"], "wifi"),
    (&["tz"], "timezone"),
    (&["lang"], "locale"),
    (&["output-format"], "json"),
];

/// `error` about the arguments `words` of `command`, with a tip where there is one in place of clap's. clap's tip to give an unknown
/// flag as a value is never right: no command takes such values.
pub(super) fn with_tip(mut error: clap::Error, command: &Command, words: &[String]) -> clap::Error {
    if error.kind() != ErrorKind::UnknownArgument {
        return error;
    }
    error.remove(ContextKind::Suggested);
    let argument = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::String(argument)) => argument.clone(),
        _ => return error,
    };
    if let Some(tip) = tip(command, &argument, words) {
        error.remove(ContextKind::SuggestedArg);
        let tips = ContextValue::StyledStrs(vec![tip.into()]);
        error.insert(ContextKind::Suggested, tips);
    }
    error
}

/// The tip for an `argument` that the command in `words` does not take.
fn tip(command: &Command, argument: &str, words: &[String]) -> Option<String> {
    if !argument.starts_with('-') {
        return tip_for_set(words);
    }
    // `publish aws --name`
    let before = words.iter().take_while(|word| *word != argument);
    let sub = before.fold(command, |sub, word| {
        sub.find_subcommand(word).unwrap_or(sub)
    });
    renamed(sub, argument).or_else(|| takers(command, argument))
}

/// The flag of `sub` for one of another program.
fn renamed(sub: &Command, flag: &str) -> Option<String> {
    let name = flag.trim_start_matches('-');
    let mut rows = RENAMED.iter().filter(|(names, _)| names.contains(&name));
    let own = rows.find(|(_, own)| takes(sub, &format!("--{own}")))?.1;
    Some(format!("sdbuild's name for it is --{own}"))
}

/// The commands that take `flag`; `None` if there are many. `settings` takes the flags of `build`, to show what they set.
fn takers(command: &Command, flag: &str) -> Option<String> {
    let program = command.get_name();
    let subs = command.get_subcommands();
    let subs = subs.filter(|sub| !sub.is_hide_set() && sub.get_name() != "settings");
    let names: Vec<_> = subs
        .filter(|sub| takes(sub, flag))
        .map(|sub| format!("`{program} {}`", sub.get_name()))
        .collect();
    (1..=3)
        .contains(&names.len())
        .then(|| format!("{flag} is a flag of {}", names.join(", ")))
}

/// Whether `command` itself has the long or short `flag`.
fn takes(command: &Command, flag: &str) -> bool {
    command
        .get_arguments()
        .any(|arg| match flag.strip_prefix("--") {
            Some(name) => arg.get_long() == Some(name),
            None => arg.get_short().map(|short| format!("-{short}")).as_deref() == Some(flag),
        })
}

/// The tip for `--set` in `words` whose definition the shell has split: `--set a.b = [ 1 2 ]`.
fn tip_for_set(words: &[String]) -> Option<String> {
    let at = words.iter().position(|word| word == "--set")?;
    let behind = words.get(at + 1..)?.iter().map(String::as_str);
    let definition: Vec<&str> = behind.take_while(|word| !word.starts_with('-')).collect();
    if definition.len() < 2 {
        return None;
    }
    let line = quoted(&definition.join(" "));
    Some(format!(
        "quote the option and its value as one word: --set {line}"
    ))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    fn tip_for(line: &str, argument: &str) -> Option<String> {
        let words: Vec<_> = line.split(' ').map(str::to_owned).collect();
        tip(&Cli::command(), argument, &words)
    }

    #[test]
    fn every_flag_of_the_table_exists() {
        let command = Cli::command();
        for (_, own) in RENAMED {
            let flag = format!("--{own}");
            let mut subs = command.get_subcommands();
            assert!(subs.any(|sub| takes(sub, &flag)), "{flag}");
        }
    }

    #[test]
    fn a_flag_of_another_program_has_its_name_here() {
        let flag = |line, argument| tip_for(line, argument).unwrap();
        assert!(flag("build --platform x", "--platform").ends_with(" --system"));
        assert!(flag("boot --key x", "--key").ends_with(" --login-key"));
        assert!(flag("init --key x", "--key").ends_with(" --ssh-key"));
        assert!(flag("boot --compress xz", "--compress").contains("`sdbuild build`"));
        assert_eq!(tip_for("build --fast", "--fast"), None);
    }

    #[test]
    fn a_definition_behind_set_is_one_word() {
        let tip = tip_for("check --set a.b=[ 80 443 ] --json", "80").unwrap();
        assert!(tip.ends_with("--set 'a.b=[ 80 443 ]'"), "{tip}");
        assert_eq!(tip_for("build a b", "b"), None);
    }
}
