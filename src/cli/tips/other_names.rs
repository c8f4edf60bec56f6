//! Names of commands and flags in other programs, and what sdbuild calls them.

/// Commands: of docker, cargo, nix and git, or how users call what they want, with those of sdbuild.
const COMMANDS: [(&[&str], &[&str]); 15] = [
    (&["burn", "dd", "write"], &["flash"]),
    (&["qemu", "run", "ssh", "start", "vm"], &["boot"]),
    (&["test"], &["check", "try", "boot"]),
    (&["develop", "exec"], &["shell"]),
    (&["install"], &["flash"]),
    (&["create", "new", "setup"], &["init"]),
    (&["image", "make", "rebuild"], &["build"]),
    (&["eval", "lint", "validate"], &["check"]),
    (&["verify"], &["check", "inspect"]),
    (
        &["list", "ls", "ps", "df"],
        &["status", "boards", "formats", "flash"],
    ),
    (&["info", "show"], &["inspect"]),
    (
        &[
            "cleanup",
            "collect-garbage",
            "delete",
            "gc",
            "prune",
            "remove",
            "rm",
            "rmi",
        ],
        &["clean"],
    ),
    (&["flake"], &["lock", "check"]),
    (&["update", "upgrade"], &["lock"]),
    (&["config", "env"], &["settings"]),
];

/// Long flags, without their dashes, with those of sdbuild.
const FLAGS: [(&[&str], &str); 9] = [
    (
        &["dest", "out", "out-dir", "outdir", "output-dir"],
        "output",
    ),
    (&["arch", "platform"], "system"),
    (&["channel", "nixos", "nixos-version", "release"], "nixpkgs"),
    (&["host-name", "name"], "hostname"),
    (&["image-format", "type"], "format"),
    (&["compression"], "compress"),
    (&["key", "pubkey", "public-key"], "ssh-key"),
    (&["mem", "ram"], "memory"),
    (&["ssh"], "until-ssh"),
];

/// The commands of sdbuild for what other programs call `name`; may be none.
pub(super) fn commands(name: &str) -> &'static [&'static str] {
    let row = COMMANDS.iter().find(|(names, _)| names.contains(&name));
    row.map_or(&[], |(_, commands)| commands)
}

/// The long flag of sdbuild for what other programs call `flag`; both without dashes.
pub(super) fn flag(flag: &str) -> Option<&'static str> {
    let row = FLAGS.iter().find(|(names, _)| names.contains(&flag));
    row.map(|(_, flag)| *flag)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Cli;

    #[test]
    fn every_name_leads_to_one_that_exists() {
        let command = Cli::command();
        let visible = |name: &str| {
            let found = command.find_subcommand(name);
            found.is_some_and(|sub| !sub.is_hide_set())
        };
        for (names, commands) in COMMANDS {
            assert!(commands.iter().all(|name| visible(name)), "{commands:?}");
            assert!(!names.iter().any(|name| visible(name)), "{names:?}");
        }
        let longs = command.get_subcommands().flat_map(|sub| {
            let longs = sub.get_arguments().filter_map(clap::Arg::get_long);
            longs.map(str::to_owned).collect::<Vec<_>>()
        });
        let longs: Vec<String> = longs.collect();
        for (names, flag) in FLAGS {
            assert!(longs.iter().any(|long| long == flag), "{flag}");
            assert!(!names.contains(&flag), "{flag}");
        }
    }
}
