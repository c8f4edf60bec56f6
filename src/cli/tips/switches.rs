//! Flags that switch on what is on anyway, or off what is off.

use clap::Command;

use super::flags_of::{takes, without_value};

/// The tip for the unknown `flag` of `command`: `--verify` where there is `--no-verify`, or the other way round.
pub(super) fn tip(command: &Command, flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?;
    let opposite = format!("--no-{name}");
    if takes(command, &opposite) {
        return Some(format!(
            "that is done without a flag; {opposite} switches it off"
        ));
    }
    let on = format!("--{}", name.strip_prefix("no-")?);
    let is_setting = ["build", "settings"].contains(&command.get_name());
    let or_set = if is_setting {
        ", or set in sdbuild.toml"
    } else {
        ""
    };
    without_value(command, &on).then(|| format!("that is not done unless {on} is given{or_set}"))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn the_opposite_of_a_flag_is_the_default() {
        let command = Cli::command();
        let tip_for = |name: &str, flag: &str| tip(command.find_subcommand(name).unwrap(), flag);
        let verify = "that is done without a flag; --no-verify switches it off";
        assert_eq!(tip_for("flash", "--verify").as_deref(), Some(verify));
        let offline = tip_for("build", "--no-offline").unwrap();
        let expected = "that is not done unless --offline is given, or set in sdbuild.toml";
        assert_eq!(offline, expected);
        for (name, flag) in [
            ("build", "--no-output"),
            ("build", "--verify"),
            ("flash", "verify"),
            ("build", "--no-x"),
        ] {
            assert_eq!(tip_for(name, flag), None, "{name} {flag}");
        }
    }
}
