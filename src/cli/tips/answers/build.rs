//! Flags of docker, cargo, nix and nixos-rebuild that build something.

use super::super::other_names::RUNNING;
use super::table::Answers;

/// How a configuration of a flake is named.
const ATTRIBUTE: &str = "a configuration of a flake is named after the `#`: sdbuild build .#NAME; a file such as sd-card.nix needs no attribute";

/// What is said of them by `build` and `check`.
pub(super) const OF_BUILD: Answers = &[
    (
        &["memory", "memory-limit", "memory-mib", "mem", "ram"],
        "no flag limits the builder's memory; write this line into sdbuild.toml: memory-mib = 8192",
    ),
    (
        &["arg", "argstr", "build-arg", "define", "D", "e", "env", "s"],
        "--set gives an option a value: --set networking.hostName=pi",
    ),
    (
        &["F", "all-features", "features", "no-default-features"],
        "a configuration has options in place of features: --set services.openssh.enable=true",
    ),
    (
        &["device"],
        "--board is the board that the image is for; `sdbuild flash` writes the image to a card",
    ),
    (
        &["enable-ssh", "ssh", "sshd"],
        "services.openssh.enable = true; in the configuration switches SSH on, and --ssh-key names a key that may log in",
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
        &[
            "flake-registry",
            "inputs-from",
            "no-registries",
            "reference-lock-file",
        ],
        "the inputs of a flake come from its flake.lock; --override-input replaces one",
    ),
    (
        &["extra-platforms"],
        "sdbuild sets up the emulation of another system itself; --system is that of the image",
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
        &["build-host", "remote"],
        "a machine of yours builds with its Docker: DOCKER_HOST=ssh://{} sdbuild build",
    ),
    (
        &["profile", "profile-name"],
        "an image holds one generation of its system, and there is only one kind of build",
    ),
    (&["A", "attr", "bin", "p", "workspace"], ATTRIBUTE),
    (
        &["E", "expr"],
        "a configuration is a file, or one of a flake: sdbuild build FILE",
    ),
    (
        &["country", "wifi-country"],
        "the country of a wireless network belongs in the configuration: networking.wireless.extraConfig = \"country=DE\";",
    ),
    (
        &["cpu", "cpus", "threads"],
        "--cores is the number of cores for each derivation, --jobs how many are built at a time",
    ),
    (
        &[
            "d",
            "detach",
            "gpus",
            "i",
            "interactive",
            "it",
            "mount",
            "network",
            "privileged",
            "secret",
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

/// What is said of them by `try` too.
pub(super) const OF_ANY_BUILD: Answers = &[
    (
        &[
            "H",
            "context",
            "docker",
            "docker-host",
            "engine",
            "host",
            "podman",
        ],
        "the engine is that of the current Docker context, or of the variable DOCKER_HOST",
    ),
    (
        &["dry-activate", "dry-build"],
        "`sdbuild check` evaluates everything and builds nothing",
    ),
    (
        &["debug", "log-level", "loglevel"],
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
        &["progress", "log-format", "message-format"],
        "where the output is not a terminal, lines appear instead of a bar; --json-events writes one JSON object per event",
    ),
    (
        &["pull"],
        "sdbuild makes its container images itself, of packages with fixed hashes, and keeps them",
    ),
    (
        &["flash"],
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

/// What is said of them by `check` alone.
pub(super) const OF_CHECK: Answers = &[
    (
        &["dry-run"],
        "`sdbuild check` evaluates everything and builds nothing",
    ),
    (
        &["fix"],
        "check changes nothing; each finding says what to do",
    ),
];
