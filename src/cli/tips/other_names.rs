//! Names of commands and flags in other programs, and what sdbuild calls them.

/// Commands: of docker, cargo, nix and git, or how users call what they want, with those of sdbuild.
const COMMANDS: [(&[&str], &[&str]); 25] = [
    (
        &[
            "burn",
            "card",
            "cards",
            "dd",
            "devices",
            "disks",
            "drives",
            "imager",
            "lsblk",
            "rpi-imager",
            "sdcard",
            "write",
        ],
        &["flash"],
    ),
    (
        &[
            "attach", "build-vm", "console", "emulate", "qemu", "run", "start", "vm",
        ],
        &["boot"],
    ),
    (&["test"], &["check", "try", "boot"]),
    (&["develop", "exec"], &["shell"]),
    (&["install"], &["flash"]),
    (
        &[
            "create",
            "generate",
            "generate-config",
            "new",
            "nixos-generate-config",
            "setup",
            "wifi",
        ],
        &["init"],
    ),
    (
        &[
            "b",
            "compile",
            "image",
            "make",
            "mkimage",
            "nixos-generate",
            "rebuild",
        ],
        &["build"],
    ),
    (
        &[
            "c",
            "clippy",
            "dry-activate",
            "dry-build",
            "dry-run",
            "eval",
            "lint",
            "validate",
        ],
        &["check"],
    ),
    (&["format"], &["flash", "formats"]),
    (&["copy"], &["flash", "cache"]),
    (&["verify"], &["check", "inspect"]),
    (&["df", "list", "ls", "ps"], &["status"]),
    (&["images"], &["status", "inspect"]),
    (
        &["builder", "container", "store", "system", "volume"],
        &["status", "clean"],
    ),
    (&["cat", "cp", "extract", "mount", "tree"], &["inspect"]),
    (&["up"], &["build", "boot"]),
    (&["doc", "docs", "manual"], &["man"]),
    (&["info"], &["doctor", "inspect"]),
    (&["show"], &["inspect"]),
    (
        &[
            "autoremove",
            "cleanup",
            "collect-garbage",
            "delete",
            "gc",
            "prune",
            "purge",
            "remove",
            "rm",
            "rmi",
        ],
        &["clean"],
    ),
    (&["flake"], &["lock", "check"]),
    (&["update", "upgrade"], &["lock"]),
    (&["config", "env"], &["settings"]),
    (&["configure"], &["init", "settings"]),
    (&["push", "upload"], &["publish"]),
];

/// Flags, without their dashes, with the long ones of sdbuild.
const FLAGS: [(&[&str], &str); 29] = [
    (&["boot", "test"], "boot-test"),
    (
        &[
            "dest",
            "out",
            "out-dir",
            "out-link",
            "outdir",
            "output-dir",
            "target-dir",
        ],
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
    (&["mem", "ram"], "memory"),
    (&["n"], "dry-run"),
    (&["p", "publish"], "port"),
    (&["ssh"], "until-ssh"),
    (
        &[
            "assume-yes",
            "batch",
            "defaults",
            "no-confirm",
            "no-input",
            "non-interactive",
            "noninteractive",
            "unattended",
        ],
        "yes",
    ),
    (&["accept-flake-config"], "accept-flake-caches"),
    (&["M", "machine", "model"], "board"),
    (&["c", "cmd", "command", "e", "exec", "execute"], "run"),
    (
        &["i", "identity", "identity-file", "key", "private-key"],
        "login-key",
    ),
    (
        &[
            "disable-verify",
            "no-check",
            "no-verification",
            "skip-verify",
        ],
        "no-verify",
    ),
    (&["enable-writing-system-drives"], "allow-fixed"),
    (&["network", "ssid", "wireless", "wlan", "wpa"], "wifi"),
    (&["tz"], "timezone"),
    (&["lang", "language"], "locale"),
    (&["gh", "github-user"], "github"),
    (&["t"], "template"),
    (&["manifest-path"], "config"),
    (&["output-format"], "json"),
];

/// Where the logs are, of which other programs have commands (`src/pipeline/logs.rs`).
const LOGS: &str = "the logs are in ~/.local/state/sdbuild/logs; a failed build names its own";

/// What changes a machine that runs, in place of its image.
pub(super) const RUNNING: &str = "sdbuild only makes images. To change a running NixOS, use `nixos-rebuild switch \
                                  --target-host root@NAME`";

/// How one logs in, which other programs have a command for.
const LOGIN: &str = "to log in to a running machine, use `ssh root@NAME`. `sdbuild boot --until-ssh` tests the login of \
                     an image in QEMU";

/// How what sdbuild does is ended, which other programs have a command for.
const STOP: &str = "sdbuild has no background processes; end a build or a boot with Ctrl-C";

/// Where packages are looked for.
const SEARCH: &str = "search for packages at https://search.nixos.org/packages";

/// How a key for logins is made.
const NEW_KEY: &str = "`ssh-keygen -t ed25519` makes a key, and `sdbuild init` takes it";

/// What needs no command.
const DOWNLOADS: &str = "build downloads what it needs; `sdbuild lock` updates what is locked";

/// Commands by which other programs renew themselves.
const SELF_UPDATE: [&str; 5] = [
    "self",
    "self-update",
    "self-upgrade",
    "selfupdate",
    "upgrade-self",
];

/// How sdbuild itself is renewed.
const RENEWED: &str = "sdbuild does not update itself. Run the command that installed it again; in a clone, first run \
                       `git pull`";

/// What else may be meant by a `name` that a command of sdbuild goes by.
pub(super) fn other_meaning(name: &str) -> Option<&'static str> {
    ["update", "upgrade"].contains(&name).then_some(RENEWED)
}

/// What an image is here, and in docker not.
const FILES: &str = "sdbuild's images are files, not Docker images. `sdbuild build` writes one, and `sdbuild inspect` \
                     shows what is in it";

/// What git does.
const GIT: &str =
    "use git for repositories; to build from one: sdbuild build github:OWNER/REPOSITORY#pi";

/// What formats files of Nix.
const FORMATTER: &str = "sdbuild does not format files; `nixfmt sd-card.nix` does";

/// How Nix is used, which sdbuild runs itself.
const NIX: &str = "`sdbuild build` builds and `sdbuild check` evaluates. For other Nix commands, open a shell in the \
                   builder with `sdbuild shell`";

/// How sdbuild is removed.
const UNINSTALL: &str = "to uninstall sdbuild, run `sdbuild clean`, then `./install.sh --uninstall` in the clone, or \
                         `cargo uninstall sdbuild`. To remove a package, edit the configuration, such as sd-card.nix";

/// When a card may be taken out.
const REMOVED_CARD: &str = "`sdbuild flash` ends when everything is on the card, and then you can remove it. With \
                            --unmount, flash first unmounts the card";

/// Commands of other programs that sdbuild does not need, and what is said of them.
const EXPLAINED: [(&[&str], &str); 14] = [
    (&["eject", "sync", "umount", "unmount"], REMOVED_CARD),
    (
        &["erase", "wipe"],
        "sdbuild does not erase cards; `sdbuild flash` replaces everything on one with an image",
    ),
    (
        &[
            "deploy",
            "generations",
            "list-generations",
            "nixos-rebuild",
            "rollback",
            "switch",
        ],
        RUNNING,
    ),
    (
        &[
            "compose", "context", "history", "import", "load", "save", "tag",
        ],
        FILES,
    ),
    (&["add", "branch", "checkout", "clone", "commit"], GIT),
    (&["fmt", "nixfmt"], FORMATTER),
    (&["login", "ssh"], LOGIN),
    (&["down", "kill", "stop"], STOP),
    (&["search"], SEARCH),
    (&["keygen", "ssh-keygen"], NEW_KEY),
    (&["fetch", "pull"], DOWNLOADS),
    (&["log", "logs"], LOGS),
    (
        &[
            "nix",
            "nix-build",
            "nix-env",
            "nix-instantiate",
            "nix-shell",
            "nix-store",
            "path-info",
            "profile",
            "registry",
            "repl",
            "why-depends",
        ],
        NIX,
    ),
    (&["uninstall"], UNINSTALL),
];

/// What is said of a command of other programs that sdbuild does not need.
pub(super) fn explained_command(name: &str) -> Option<&'static str> {
    if SELF_UPDATE.contains(&name) {
        return Some(RENEWED);
    }
    let mut rows = EXPLAINED.iter();
    let (_, explained) = rows.find(|(names, _)| names.contains(&name))?;
    Some(explained)
}

/// What is meant by two words of nix or docker, such as `flake init`.
pub(super) fn pair(name: &str, next: &str) -> Option<&'static str> {
    Some(match (name, next) {
        ("flake", "init" | "new") => "`sdbuild init --flake` writes a flake",
        ("flake", "lock" | "update") => {
            "`sdbuild lock` completes flake.lock, and `sdbuild lock INPUT` updates an input in it"
        }
        ("flake", "check") => "`sdbuild check` checks the configuration of a flake",
        ("builder" | "image" | "store" | "system" | "volume", "gc" | "prune" | "rm") => {
            "`sdbuild clean` removes what sdbuild keeps; with --dry-run it only lists it"
        }
        ("delete" | "prune" | "purge" | "remove" | "rm", "image" | "images") => {
            "`sdbuild clean` removes what sdbuild keeps, but your card images stay. Delete those with `rm`"
        }
        ("image" | "images" | "volume", "list" | "ls") => {
            "`sdbuild status` shows what sdbuild keeps, and the images here"
        }
        ("disk" | "disks", "list" | "ls") => "`sdbuild flash` without arguments lists the cards",
        _ => return None,
    })
}

/// The command of `outer` for what other programs call `name`.
pub(super) fn inner(outer: &str, name: &str) -> Option<&'static str> {
    Some(match (outer, name) {
        ("publish", "amazon" | "ami" | "ec2") => "aws",
        ("publish", "container" | "docker" | "podman" | "registry") => "oci",
        ("publish", "delete" | "rm" | "unpublish") => "remove",
        ("publish", "ls") => "list",
        ("cache", "copy" | "create" | "push" | "upload") => "export",
        _ => return None,
    })
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
        "for the fastest compression: --compress zstd:1"
    } else if SMALL.contains(&name.as_str()) {
        "for the smallest file: --compress xz"
    } else {
        return None;
    };
    is_meant.then(|| tip.to_owned())
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
