//! Flags that switch on what is on anyway, or off what is off.

use clap::Command;

use super::flags_of::{takes, without_value};

/// The tip for the unknown `flag` of `command`: `--verify` where there is `--no-verify`, or the other way round.
pub(super) fn tip(command: &Command, flag: &str) -> Option<String> {
    let name = flag.strip_prefix("--")?;
    if command.get_name() == "init" && name == "lock" {
        return Some("only a flake has a lock; `sdbuild init --flake` writes one".to_owned());
    }
    let opposite = format!("--no-{name}");
    if takes(command, &opposite) {
        return Some(format!(
            "leave it out; that is the default, and {opposite} turns it off"
        ));
    }
    let on = format!("--{}", name.strip_prefix("no-")?);
    let of_build = ["build", "check", "settings"].contains(&command.get_name());
    let or_set = match on.as_str() {
        "--offline" => ", or set it in sdbuild.toml or with SDBUILD_OFFLINE",
        "--accept-flake-caches" | "--boot-test" | "--fallback" | "--force" if of_build => {
            ", or set it in sdbuild.toml"
        }
        _ => "",
    };
    without_value(command, &on)
        .then(|| format!("leave it out; that is off unless you give {on}{or_set}"))
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
        let verify = "leave it out; that is the default, and --no-verify turns it off";
        assert_eq!(tip_for("flash", "--verify").as_deref(), Some(verify));
        let given = "leave it out; that is off unless you give --offline";
        let set = format!("{given}, or set it in sdbuild.toml or with SDBUILD_OFFLINE");
        for name in ["build", "check", "shell"] {
            let offline = tip_for(name, "--no-offline");
            assert_eq!(offline.as_deref(), Some(set.as_str()), "{name}");
        }
        let force = "leave it out; that is off unless you give --force, or set it in sdbuild.toml";
        assert_eq!(tip_for("build", "--no-force").as_deref(), Some(force));
        let json = "leave it out; that is off unless you give --json";
        assert_eq!(tip_for("build", "--no-json").as_deref(), Some(json));
        let lock = "only a flake has a lock; `sdbuild init --flake` writes one";
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
