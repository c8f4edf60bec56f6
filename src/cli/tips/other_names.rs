//! Names of commands and flags in other programs, and what sdbuild calls them.

/// Commands: of docker, cargo, nix and git, or how users call what they want, with those of sdbuild.
const COMMANDS: [(&[&str], &[&str]); 17] = [
    (&["burn", "dd", "write"], &["flash"]),
    (&["qemu", "run", "ssh", "start", "vm"], &["boot"]),
    (&["test"], &["check", "try", "boot"]),
    (&["develop", "exec"], &["shell"]),
    (&["install"], &["flash"]),
    (&["create", "generate", "new", "setup"], &["init"]),
    (&["compile", "image", "make", "rebuild"], &["build"]),
    (&["eval", "lint", "validate"], &["check"]),
    (&["verify"], &["check", "inspect"]),
    (
        &["list", "ls", "ps", "df"],
        &["status", "boards", "formats", "flash"],
    ),
    (&["images"], &["status", "inspect"]),
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
    (&["push", "upload"], &["publish"]),
];

/// Flags, without their dashes, with the long ones of sdbuild.
const FLAGS: [(&[&str], &str); 16] = [
    (&["boot", "test"], "boot-test"),
    (
        &["dest", "out", "out-dir", "out-link", "outdir", "output-dir"],
        "output",
    ),
    (&["a"], "all"),
    (&["arch", "platform", "target"], "system"),
    (&["channel", "nixos", "nixos-version"], "nixpkgs"),
    (&["host-name", "name"], "hostname"),
    (&["image-format", "type"], "format"),
    (&["compression"], "compress"),
    (&["configuration", "file"], "config"),
    (&["j", "max-jobs"], "jobs"),
    (
        &["key", "keys", "pubkey", "public-key", "ssh-keys"],
        "ssh-key",
    ),
    (&["m", "mem", "ram"], "memory"),
    (&["n"], "dry-run"),
    (&["p", "publish"], "port"),
    (&["ssh"], "until-ssh"),
    (&["assume-yes"], "yes"),
];

/// Flags of docker and nix, without their dashes, that a build has no use for, and why.
const WITHOUT_COUNTERPART: [(&[&str], &str); 15] = [
    (
        &["debug"],
        "-v shows the builder's log, -vv everything that the log file has",
    ),
    (
        &["disk-size", "image-size", "size"],
        "an image is as large as what it holds; on the first start its file system grows to the size of the card",
    ),
    (
        &["t", "tag"],
        "the image is named after networking.hostName; --output is the directory to write it to",
    ),
    (
        &["A", "attr"],
        "a configuration of a flake is named after the `#`: sdbuild build .#NAME",
    ),
    (
        &["no-cache", "rebuild"],
        "Nix builds what has changed, and only that",
    ),
    (
        &["clean"],
        "Nix builds what has changed, and only that; `sdbuild clean` removes what earlier builds left",
    ),
    (
        &["release"],
        "there is only one kind of build; --nixpkgs RELEASE chooses the release of nixpkgs",
    ),
    (
        &["L", "print-build-logs", "show-trace"],
        "-v shows the builder's log; a failure names the file that has all of it",
    ),
    (
        &["impure"],
        "a flake sees only its own files and its inputs: --override-input gives another directory, --set a value",
    ),
    (
        &["progress", "log-format"],
        "where the output is not a terminal, lines appear instead of a bar; --json-events writes one JSON object per event",
    ),
    (
        &["pull"],
        "sdbuild makes its container images itself, of packages with fixed hashes, and keeps them",
    ),
    (
        &["flash", "device"],
        "`sdbuild flash` writes the image that a build made",
    ),
    (
        &["image"],
        "an image is the argument of boot, flash and inspect; a build makes one",
    ),
    (
        &["password"],
        "the hash of a password belongs in the configuration: users.users.NAME.hashedPassword",
    ),
    (
        &["rm", "no-link"],
        "sdbuild removes its containers itself, and makes no link to a result",
    ),
];

/// Where the logs are, of which other programs have commands (`src/pipeline/logs.rs`).
const LOGS: &str = "the logs of the last builds are in ~/.local/state/sdbuild/logs, and a build that fails names its own";

/// What changes a machine that runs, in place of its image.
const RUNNING: &str = "sdbuild makes images; a NixOS that runs already is changed by `nixos-rebuild switch`, over SSH with --target-host";

/// Commands by which other programs renew themselves.
const SELF_UPDATE: [&str; 5] = [
    "self",
    "self-update",
    "self-upgrade",
    "selfupdate",
    "upgrade-self",
];

/// How sdbuild itself is renewed.
const RENEWED: &str = "sdbuild does not update itself: run the line again that installed it, in a clone after `git pull` (docs/install.md)";

/// What else may be meant by a `name` that a command of sdbuild goes by.
pub(super) fn other_meaning(name: &str) -> Option<&'static str> {
    ["update", "upgrade"].contains(&name).then_some(RENEWED)
}

/// What is said of a command of other programs that sdbuild does not need.
pub(super) fn explained_command(name: &str) -> Option<&'static str> {
    if ["deploy", "switch"].contains(&name) {
        return Some(RUNNING);
    }
    if SELF_UPDATE.contains(&name) {
        return Some(RENEWED);
    }
    ["log", "logs"].contains(&name).then_some(LOGS)
}

/// The commands of sdbuild for what other programs call `name`; may be none.
pub(super) fn commands(name: &str) -> &'static [&'static str] {
    let row = COMMANDS.iter().find(|(names, _)| names.contains(&name));
    row.map_or(&[], |(_, commands)| commands)
}

/// The long flags of sdbuild for what other programs call `flag`; all without dashes.
pub(super) fn flags(flag: &str) -> impl Iterator<Item = &'static str> {
    let rows = FLAGS.iter().filter(move |(names, _)| names.contains(&flag));
    rows.map(|(_, flag)| *flag)
}

/// The format to take for the `value` of `--compress`, if that is one of other programs.
pub(super) fn compression(flag: &str, value: &str) -> Option<String> {
    const FAST: [&str; 5] = ["lz4", "lzo", "lzop", "s2", "snappy"];
    const SMALL: [&str; 8] = ["7z", "br", "brotli", "bz2", "bzip2", "lzip", "lzma", "zpaq"];
    let (name, _) = value.split_once(':').unwrap_or((value, ""));
    let name = name.to_lowercase();
    let is_meant = flag.starts_with("--compress") && !name.is_empty();
    let tip = if FAST.contains(&name.as_str()) {
        "the fastest of these that compresses is zstd at its lowest level: --compress zstd:1"
    } else if SMALL.contains(&name.as_str()) {
        "the one that makes the smallest files is xz: --compress xz"
    } else {
        return None;
    };
    is_meant.then(|| tip.to_owned())
}

/// Why a build has no use for the `flag` of another program, without dashes.
pub(super) fn explained(flag: &str) -> Option<&'static str> {
    let row = WITHOUT_COUNTERPART
        .iter()
        .find(|(names, _)| names.contains(&flag));
    row.map(|(_, why)| *why)
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
