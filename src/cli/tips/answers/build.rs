//! Flags of docker, cargo, nix and nixos-rebuild that build something.

use super::super::other_names::RUNNING;

/// What is said of them by `build` and `check`.
pub(super) const ANSWERS: &[(&[&str], &str)] = &[
    (
        &["arg", "argstr", "build-arg", "define", "D", "e", "env"],
        "--set gives an option a value: --set networking.hostName=pi",
    ),
    (
        &["I"],
        "a configuration is an argument of its own, and --nixpkgs names the nixpkgs",
    ),
    (
        &["import", "imports", "include", "module", "modules"],
        "further modules are named in the configuration: imports = [ ./x.nix ];",
    ),
    (
        &["overlay", "overlays"],
        "overlays belong in the configuration: nixpkgs.overlays = [ … ];",
    ),
    (
        &["k", "keep-going"],
        "a build ends with the first derivation that fails; the next one continues with all that is built",
    ),
    (
        &["K", "keep-failed"],
        "`sdbuild shell` opens a shell in the builder, to debug a failed build",
    ),
    (
        &["print-out-paths"],
        "a build prints the path of its image, and with --json the manifest",
    ),
    (
        &[
            "recreate-lock-file",
            "refresh",
            "update",
            "update-input",
            "upgrade",
            "upgrade-all",
        ],
        "a build takes what is locked; `sdbuild lock INPUT` updates an input, such as nixpkgs",
    ),
    (
        &[
            "commit-lock-file",
            "frozen",
            "locked",
            "no-update-lock-file",
            "no-write-lock-file",
        ],
        "a build never changes flake.lock: only `sdbuild lock` does",
    ),
    (
        &["experimental-features", "extra-experimental-features"],
        "flakes need no flag: the builder's Nix has them",
    ),
    (
        &["store"],
        "the store volume is chosen by the variable SDBUILD_STORE, or by `store` in sdbuild.toml",
    ),
    (
        &["sudo", "target-host", "use-remote-sudo", "use-substitutes"],
        RUNNING,
    ),
    (
        &["build-host"],
        "a machine of yours builds with its Docker: DOCKER_HOST=ssh://{} sdbuild build",
    ),
    (
        &["profile", "profile-name"],
        "an image holds one generation of its system, and there is only one kind of build",
    ),
    (
        &["p"],
        "a configuration of a flake is named after the `#`: sdbuild build .#NAME",
    ),
    (
        &["cpu", "cpus", "threads"],
        "--cores is the number of cores for each derivation, --jobs how many are built at a time",
    ),
    (
        &[
            "d",
            "detach",
            "i",
            "interactive",
            "it",
            "mount",
            "network",
            "privileged",
            "tty",
            "u",
            "volume",
        ],
        "sdbuild starts its containers itself, and takes no flags of `docker run`",
    ),
    (
        &["compression-level", "level"],
        "the level follows a colon: --compress zstd:9",
    ),
    (
        &["no-compress", "no-compression", "uncompressed"],
        "did you mean --compress none?",
    ),
    (&["gzip"], "did you mean --compress gzip?"),
    (&["xz"], "did you mean --compress xz?"),
    (&["zstd"], "did you mean --compress zstd?"),
    (
        &["online"],
        "sdbuild downloads what is missing, unless --offline is given",
    ),
    (
        &["watch"],
        "sdbuild watches no files: run the same line again after a change",
    ),
    (
        &["check"],
        "`sdbuild check` checks a configuration without a build",
    ),
    (
        &["push"],
        "`sdbuild publish` publishes the image that a build made",
    ),
    (
        &["passwd", "root-password", "user-password"],
        "the hash of a password belongs in the configuration: users.users.NAME.hashedPassword",
    ),
];
