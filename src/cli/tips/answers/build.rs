//! Flags of docker, cargo, nix and nixos-rebuild that build something.

use super::super::other_names::RUNNING;
use super::table::Answers;

/// How a configuration of a flake is named.
const ATTRIBUTE: &str = "a file such as sd-card.nix needs no attribute; for a configuration of a flake: sdbuild build \
                         .#NAME";

/// What is said of them by `build` and `check`.
pub(super) const OF_BUILD: Answers = &[
    (
        &["m", "memory", "memory-limit", "memory-mib", "mem", "ram"],
        "no flag limits the builder's memory. Write this line into sdbuild.toml: memory-mib = {mib}",
    ),
    (
        &["arg", "argstr", "build-arg", "define", "D", "e", "env", "s"],
        "to set a NixOS option: --set networking.hostName=pi",
    ),
    (
        &["F", "all-features", "features", "no-default-features"],
        "a NixOS configuration has options, not features. To set one, for instance: --set services.openssh.enable=true",
    ),
    (
        &["device"],
        "--board names the board that the image is for; `sdbuild flash` writes the image to a card",
    ),
    (
        &["enable-ssh", "ssh", "sshd"],
        "the configuration turns SSH on with services.openssh.enable = true; and --ssh-key names a key that may log in",
    ),
    (
        &["I"],
        "give the configuration without a flag, and nixpkgs with --nixpkgs",
    ),
    (
        &["import", "imports", "include", "module", "modules"],
        "import other modules in the configuration: imports = [ ./x.nix ];",
    ),
    (
        &["overlay", "overlays"],
        "put overlays into the configuration: nixpkgs.overlays = [ … ];",
    ),
    (
        &["k", "keep-going"],
        "a build stops at the first derivation that fails, and the next build continues from there",
    ),
    (
        &["K", "keep-failed"],
        "`sdbuild shell` opens a shell in the builder, to debug a failed build",
    ),
    (
        &["print-out-paths"],
        "build prints the image's path; with --json it prints the manifest",
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
        "build uses what is locked; `sdbuild lock INPUT` updates an input, such as nixpkgs",
    ),
    (
        &[
            "commit-lock-file",
            "frozen",
            "locked",
            "no-update-lock-file",
            "no-write-lock-file",
        ],
        "build never changes flake.lock; `sdbuild lock` does",
    ),
    (
        &[
            "flake-registry",
            "inputs-from",
            "no-registries",
            "reference-lock-file",
        ],
        "a flake's inputs come from its flake.lock; --override-input replaces one",
    ),
    (
        &["extra-platforms"],
        "--system names the image's system, and sdbuild sets up emulation itself",
    ),
    (
        &["experimental-features", "extra-experimental-features"],
        "flakes need no flag; they are enabled in the builder",
    ),
    (
        &["store"],
        "choose the store volume with the variable SDBUILD_STORE, or with `store` in sdbuild.toml",
    ),
    (
        &["sudo", "target-host", "use-remote-sudo", "use-substitutes"],
        RUNNING,
    ),
    (
        &["build-host", "remote"],
        "to build on a machine of your own, use its Docker: DOCKER_HOST=ssh://{} sdbuild …",
    ),
    (
        &["profile", "profile-name"],
        "leave it out; an image has one generation of the system, and there is only one kind of build",
    ),
    (&["A", "attr", "bin", "workspace"], ATTRIBUTE),
    (
        &["p", "publish"],
        "a build opens no ports; `sdbuild boot --port N` chooses the local port for SSH of the machine that it starts",
    ),
    (
        &["E", "expr"],
        "give a file or a flake instead: sdbuild build FILE",
    ),
    (
        &["country", "wifi-country"],
        "set the Wi-Fi country in the configuration: networking.wireless.extraConfig = \"country=DE\";",
    ),
    (
        &["cpu", "cpus", "threads"],
        "--jobs sets how many derivations are built at a time, and --cores how many cores each may use",
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
        "leave it out; sdbuild starts its containers itself, and `docker run` flags do not apply",
    ),
    (
        &[
            "passphrase",
            "psk",
            "ssid",
            "wifi",
            "wifi-pass",
            "wifi-passphrase",
            "wifi-password",
            "wifi-password-file",
            "wifi-psk",
        ],
        "the wireless network belongs in the configuration, in networking.wireless.networks. `sdbuild init --wifi NAME` writes one with it, and asks for the passphrase",
    ),
    (
        &["compression-level", "level"],
        "write the level after a colon: --compress zstd:9",
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
        "leave it out; sdbuild downloads what is missing, unless you give --offline",
    ),
    (
        &["timeout"],
        "leave it out; a build has no time limit, and Ctrl-C stops it",
    ),
    (&["squash"], "leave it out; an image has no layers"),
    (
        &["load"],
        "for an image that `docker load` takes: sdbuild build --format container",
    ),
    (
        &["watch"],
        "sdbuild does not watch files; run the command again after a change",
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
        "put the hash of the password into the configuration, as users.users.NAME.hashedPassword",
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
        "choose a Docker context, or name the engine in a variable: {engine}",
    ),
    (
        &["dry-activate", "dry-build"],
        "--dry-run shows what would be built; `sdbuild check` evaluates everything and builds nothing",
    ),
    (
        &["debug", "log-level", "loglevel"],
        "-v shows the builder's log, and -vv everything in the log file",
    ),
    (
        &["disk-size", "image-size", "size"],
        "an image is as small as possible, and its file system grows to the size of the card on the first start",
    ),
    (
        &["t", "tag"],
        "--output names a directory; the image's name comes from networking.hostName",
    ),
    (
        &["cache-from", "cache-to", "no-cache", "rebuild"],
        "leave it out; Nix builds only what has changed",
    ),
    (
        &["clean"],
        "Nix builds only what has changed; `sdbuild clean` removes what earlier builds left",
    ),
    (
        &["release"],
        "there is only one kind of build; for another release of nixpkgs: --nixpkgs RELEASE",
    ),
    (
        &["L", "print-build-logs", "show-trace"],
        "-v shows the builder's log, and a failed build names the file with the whole log",
    ),
    (
        &["impure"],
        "leave it out; a build sees its own files, and no variables of your shell. Give a value with --set, or the directory of a \
         flake's input with --override-input",
    ),
    (
        &["progress", "log-format", "message-format"],
        "without a terminal, sdbuild prints lines instead of a progress bar; --json-events writes one JSON object per \
         event",
    ),
    (
        &["pull"],
        "leave it out; sdbuild makes and keeps its own container images",
    ),
    (
        &["flash"],
        "first build, then write the image to a card with `sdbuild flash`",
    ),
    (
        &["image"],
        "build makes an image; boot, flash and inspect take one",
    ),
    (
        &["password"],
        "put the hash of the password into the configuration, as users.users.NAME.hashedPassword",
    ),
    (
        &["rm", "no-link"],
        "leave it out; sdbuild removes its containers itself, and makes no result link",
    ),
];

/// What is said of them by `check` alone.
pub(super) const OF_CHECK: Answers = &[
    (
        &["dry-run", "n"],
        "leave it out; check only evaluates, and writes and builds nothing",
    ),
    (
        &["fix"],
        "check does not change files; each finding says what to do",
    ),
    (
        &["o", "report", "reporter"],
        "check prints its findings; for a program, as JSON: --json",
    ),
    (
        &["error-on-warnings", "strict", "werror"],
        "the exit code is 6 if something must be fixed (✗). A `!` does not change it; --json has both",
    ),
];
