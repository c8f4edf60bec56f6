//! Flags of other programs at the smaller commands.

use super::table::Answers;

/// What is said of them by `init`.
pub(super) const OF_INIT: Answers = &[
    (
        &["format"],
        "the format belongs to the build: sdbuild build --format NAME. `sdbuild init --template NAME` writes a configuration for another format",
    ),
    (
        &[
            "passphrase",
            "psk",
            "wifi-key",
            "wifi-pass",
            "wifi-passphrase",
            "wifi-password",
            "wifi-psk",
            "wpa-psk",
        ],
        "sdbuild asks for the passphrase, or reads it from a file: --wifi-password-file FILE",
    ),
    (
        &["keyboard", "keyboard-layout", "keymap", "layout"],
        "set the console's keyboard in the configuration, as console.keyMap",
    ),
    (
        &["channel", "nixpkgs", "release"],
        "a flake names the release in its inputs; for a file: sdbuild build --nixpkgs RELEASE",
    ),
    (
        &["override-input"],
        "`sdbuild check` and `sdbuild build` take --override-input. Without the Internet, init needs --no-lock",
    ),
    (
        &["f", "force", "overwrite", "replace"],
        "init never replaces a file. Name another directory, or move the file away",
    ),
    (
        &["d", "dir", "directory", "o", "out", "output", "path"],
        "give the directory without a flag: sdbuild init {}",
    ),
    (
        &["i", "interactive"],
        "leave it out; init asks on a terminal, unless you give --yes",
    ),
    (
        &["enable-ssh", "ssh", "sshd"],
        "leave it out; every template has an SSH server. --ssh-key names the key that may log in",
    ),
    (
        &["country", "wifi-country"],
        "init has no flag for the country of Wi-Fi; write into the configuration: networking.wireless.extraConfig = \"country=DE\";",
    ),
    (
        &["list", "list-templates", "templates"],
        "`sdbuild help init` lists the templates",
    ),
    (
        &["admin", "sudo", "wheel"],
        "leave it out; the account of --user may use sudo without a password",
    ),
    (
        &["os", "distro"],
        "every configuration is for NixOS; --template chooses the kind of image",
    ),
    (
        &["git", "no-git", "vcs"],
        "init writes only files; `git init` makes a repository",
    ),
    (
        &["passwd", "password", "root-password", "user-password"],
        "init writes no passwords: the account of --user has your SSH key. For a wireless network, init asks for the \
         passphrase or reads it from --wifi-password-file FILE",
    ),
];

/// What is said of them by `try`.
pub(super) const OF_TRY: Answers = &[
    (
        &[
            "A", "attr", "board", "c", "config", "device", "flake", "format", "set", "hostname",
        ],
        "try builds its own configuration; `sdbuild build` builds yours",
    ),
    (&["keep"], "--output DIR keeps the image"),
];

/// What is said of them by `clean`.
pub(super) const OF_CLEAN: Answers = &[
    (
        &["builds", "containers", "images", "logs", "volumes"],
        "`sdbuild clean --dry-run` lists what would be removed, and removes nothing",
    ),
    (
        &["delete-old", "delete-older-than", "older-than"],
        "--old has no age: it removes all results that newer ones replaced",
    ),
    (
        &["d"],
        "did you mean --old, which removes old build results, or --downloads?",
    ),
    (&["cache", "caches"], "did you mean --downloads?"),
    (
        &["everything", "purge"],
        "`sdbuild clean` alone removes everything that belongs to your settings. --all also removes other store volumes",
    ),
    (&["f", "force"], "did you mean --yes?"),
];

/// What is said of them by `lock`.
pub(super) const OF_LOCK: Answers = &[
    (
        &[
            "all",
            "recreate",
            "recreate-lock-file",
            "refresh",
            "u",
            "update",
            "upgrade",
        ],
        "leave it out; for an sd-card.nix, `sdbuild lock` updates nixpkgs. For a flake, name the inputs: sdbuild lock INPUT",
    ),
    (
        &["i", "input", "inputs", "update-input"],
        "give inputs without a flag: sdbuild lock {}",
    ),
    (
        &["commit", "commit-lock-file"],
        "lock only writes the file; commit it with `git commit`",
    ),
    (
        &["c", "config"],
        "lock works on the configuration or flake in this directory; --flake names another one",
    ),
];

/// What is said of them by `shell`.
pub(super) const OF_SHELL: Answers = &[
    (
        &["p", "package", "packages"],
        "`sdbuild shell` opens a shell in the builder. To add a package to the image, put it into \
         environment.systemPackages in the configuration",
    ),
    (
        &["board"],
        "`sdbuild shell` opens a shell in the builder; `sdbuild boot` starts an image",
    ),
];

/// What is said of them by `status`.
pub(super) const OF_STATUS: Answers = &[(
    &["a", "all", "disk", "images", "l", "long", "size", "sizes"],
    "leave it out; status shows everything, with sizes",
)];

/// What is said of them by `boards` and `formats`.
pub(super) const OF_LISTS: Answers = &[(
    &["a", "all", "l", "list"],
    "leave it out; without an argument, all are listed",
)];

/// What is said of them by `completions`.
pub(super) const OF_COMPLETIONS: Answers = &[(
    &["s", "shell"],
    "give the shell without a flag: sdbuild completions {}",
)];

/// What is said of them by `settings`.
pub(super) const OF_SETTINGS: Answers = &[
    (
        &["a", "all", "l", "list", "show"],
        "leave it out; without a name, settings shows all",
    ),
    (
        &["get"],
        "give the name without a flag: sdbuild settings jobs",
    ),
    (
        &["add", "edit", "e", "global", "replace", "unset"],
        "`sdbuild settings` only shows settings. To set or unset one, edit its line in sdbuild.toml",
    ),
];

/// What is said of them by the commands of `publish`.
pub(super) const OF_PUBLISH: Answers = &[(
    &["push"],
    "`sdbuild publish oci` writes a directory, which skopeo sends to a registry: skopeo copy oci:DIR:latest docker://HOST/NAME",
)];

/// What is said of them by `doctor`.
pub(super) const OF_DOCTOR: Answers = &[(
    &["fix"],
    "doctor does not change anything; below each problem it says what to do",
)];
