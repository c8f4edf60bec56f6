//! Tips that clap cannot give: what flags of docker, cargo, dd and nixos-generators are called here, where a flag that another
//! command takes belongs, and how a definition behind `--set` is quoted.

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

/// `error` about the arguments `words` of `command`, with a tip where there is one. clap's own tips stay, but for the one to give an
/// unknown flag as a value, which no command takes, and but for hidden commands.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "clap may add kinds of errors, which need no tip"
)]
pub(super) fn with_tip(mut error: clap::Error, command: &Command, words: &[String]) -> clap::Error {
    match error.kind() {
        ErrorKind::UnknownArgument => {
            error.remove(ContextKind::Suggested);
            let argument = text(&error, ContextKind::InvalidArg).unwrap_or_default();
            if let Some(tip) = tip(command, &argument, words) {
                error.remove(ContextKind::SuggestedArg);
                let tips = ContextValue::StyledStrs(vec![tip.into()]);
                error.insert(ContextKind::Suggested, tips);
            }
        }
        ErrorKind::InvalidSubcommand => {
            let names = match error.get(ContextKind::SuggestedSubcommand) {
                Some(ContextValue::Strings(names)) => names.clone(),
                _ => Vec::new(),
            };
            let is_visible = |name: &String| {
                let subcommand = command.find_subcommand(name);
                subcommand.is_none_or(|it| !it.is_hide_set())
            };
            let shown: Vec<_> = names.into_iter().filter(is_visible).collect();
            error.remove(ContextKind::SuggestedSubcommand);
            if !shown.is_empty() {
                let shown = ContextValue::Strings(shown);
                error.insert(ContextKind::SuggestedSubcommand, shown);
            }
        }
        _ => {}
    }
    error
}

/// The text of a `kind` in `error`.
fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// The tip for an `argument` that the command in `words` does not take.
fn tip(command: &Command, argument: &str, words: &[String]) -> Option<String> {
    let named = |word: &String| {
        let sub = command.find_subcommand(word);
        sub.filter(|sub| !sub.is_hide_set())
    };
    let before = words.iter().take_while(|word| *word != argument);
    let Some(sub) = before.clone().find_map(named) else {
        let sub = words.iter().find_map(named)?;
        let name = sub.get_name();
        return takes(sub, argument)
            .then(|| format!("a command's flags come after it: sdbuild {name} {argument}"));
    };
    // `publish aws --name`
    let sub = before
        .clone()
        .find_map(|word| sub.find_subcommand(word))
        .unwrap_or(sub);
    if !argument.starts_with('-') {
        return tip_for_set(words);
    }
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
        assert!(flag("--hostname pi build", "--hostname").contains("build --hostname"));
        assert_eq!(tip_for("build --fast", "--fast"), None);
    }

    #[test]
    fn a_definition_behind_set_is_one_word() {
        let tip = tip_for("check --set a.b=[ 80 443 ] --json", "80").unwrap();
        assert!(tip.ends_with("--set 'a.b=[ 80 443 ]'"), "{tip}");
        assert_eq!(tip_for("build a b", "b"), None);
    }
}
