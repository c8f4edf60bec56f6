//! Flags that switch on what is on anyway, or off what is off.

use clap::Command;

use super::flags_of::{takes, without_value};

/// The tip for the unknown `flag` of `command`: `--verify` where there is `--no-verify`, or the other way round.
pub(super) fn tip(command: &Command, flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?;
    if command.get_name() == "init" && name == "lock" {
        return Some("only a flake is locked: `sdbuild init --flake` does so".to_owned());
    }
    let opposite = format!("--no-{name}");
    if takes(command, &opposite) {
        return Some(format!(
            "that is done without a flag; {opposite} switches it off"
        ));
    }
    let on = format!("--{}", name.strip_prefix("no-")?);
    let of_build = ["build", "check", "settings"].contains(&command.get_name());
    let or_set = match on.as_str() {
        "--offline" => ", or set in sdbuild.toml or by SDBUILD_OFFLINE",
        "--accept-flake-caches" | "--boot-test" | "--fallback" | "--force" if of_build => {
            ", or set in sdbuild.toml"
        }
        _ => "",
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
        let given = "that is not done unless --offline is given";
        let set = format!("{given}, or set in sdbuild.toml or by SDBUILD_OFFLINE");
        for name in ["build", "check", "shell"] {
            let offline = tip_for(name, "--no-offline");
            assert_eq!(offline.as_deref(), Some(set.as_str()), "{name}");
        }
        let force = "that is not done unless --force is given, or set in sdbuild.toml";
        assert_eq!(tip_for("build", "--no-force").as_deref(), Some(force));
        let json = "that is not done unless --json is given";
        assert_eq!(tip_for("build", "--no-json").as_deref(), Some(json));
        let lock = "only a flake is locked: `sdbuild init --flake` does so";
        assert_eq!(tip_for("init", "--lock").as_deref(), Some(lock));
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
