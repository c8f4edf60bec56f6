//! Flags of other programs at the smaller commands.

use super::table::Answers;

/// What is said of them by `init`.
pub(super) const OF_INIT: Answers = &[
    (
        &["format"],
        "--template chooses what the image is for; `sdbuild build` takes --format",
    ),
    (
        &["passphrase", "psk", "wifi-key", "wifi-psk", "wpa-psk"],
        "sdbuild asks for the passphrase, or reads it from a file: --wifi-password-file FILE",
    ),
    (
        &["keyboard", "keyboard-layout", "keymap", "layout"],
        "the keyboard of the console is an option of the configuration: console.keyMap",
    ),
    (
        &["channel", "nixpkgs", "release"],
        "a build chooses the release: sdbuild build --nixpkgs RELEASE; a flake names it in its inputs",
    ),
    (
        &["f", "force", "overwrite", "replace"],
        "init replaces no file: name another directory, or move the file away",
    ),
    (
        &["d", "dir", "directory", "o", "out", "output", "path"],
        "the directory is an argument of its own: sdbuild init {}",
    ),
    (
        &["i", "interactive"],
        "init asks on a terminal, unless --yes is given",
    ),
    (
        &["enable-ssh", "ssh", "sshd"],
        "every template has an SSH server; --ssh-key names the key that may log in",
    ),
    (
        &["country", "wifi-country"],
        "init asks for no country: --timezone is the time zone, --locale the language",
    ),
    (
        &["list", "list-templates", "templates"],
        "`sdbuild help init` lists the templates",
    ),
    (
        &["admin", "sudo", "wheel"],
        "the account of --user has sudo, without a password",
    ),
    (
        &["os", "distro"],
        "every configuration is one of NixOS; --template chooses what the image is for",
    ),
    (
        &["git", "no-git", "vcs"],
        "init writes files and makes no repository: `git init` does",
    ),
    (
        &["passwd", "password", "root-password", "user-password"],
        "no password is written into a configuration, where others can read it: --user has your SSH key; that of a wireless network init asks for, or takes from --wifi-password-file FILE",
    ),
];

/// What is said of them by `try`.
pub(super) const OF_TRY: Answers = &[
    (
        &[
            "A", "attr", "board", "c", "config", "device", "flake", "format", "set", "hostname",
        ],
        "try builds a configuration of its own; `sdbuild build` builds yours",
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
        "--old removes the results that newer ones replaced, whatever their age",
    ),
    (&["cache", "caches"], "did you mean --downloads?"),
    (&["everything", "purge"], "did you mean --all?"),
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
        "name the inputs to update: sdbuild lock INPUT",
    ),
    (
        &["i", "input", "inputs", "update-input"],
        "inputs are arguments: sdbuild lock {}",
    ),
    (
        &["commit", "commit-lock-file"],
        "lock writes the file and commits nothing: `git commit` does",
    ),
    (
        &["c", "config"],
        "lock is for the configuration or the flake of this directory; --flake names another one",
    ),
];

/// What is said of them by `shell`.
pub(super) const OF_SHELL: Answers = &[
    (
        &["p", "package", "packages"],
        "`sdbuild shell` opens the shell of a build; a machine has the packages of its configuration: environment.systemPackages",
    ),
    (
        &["board"],
        "the shell is that of the machine that builds; `sdbuild boot` starts an image",
    ),
];

/// What is said of them by `status`.
pub(super) const OF_STATUS: Answers = &[(
    &["a", "all", "disk", "images", "l", "long", "size", "sizes"],
    "without a flag, status shows everything, with sizes",
)];

/// What is said of them by `boards` and `formats`.
pub(super) const OF_LISTS: Answers = &[(
    &["a", "all", "l", "list"],
    "without an argument, all are listed",
)];

/// What is said of them by `completions`.
pub(super) const OF_COMPLETIONS: Answers = &[(
    &["s", "shell"],
    "the shell is an argument of its own: sdbuild completions {}",
)];

/// What is said of them by `doctor`.
pub(super) const OF_DOCTOR: Answers = &[(
    &["fix"],
    "doctor changes nothing; below each problem it says what to do",
)];
