//! Options of NixOS.

/// What the names of most options begin with.
pub const NAMESPACES: [&str; 18] = [
    "boot",
    "console",
    "environment",
    "fileSystems",
    "hardware",
    "i18n",
    "networking",
    "nix",
    "nixpkgs",
    "programs",
    "sdImage",
    "security",
    "services",
    "system",
    "systemd",
    "time",
    "users",
    "virtualisation",
];
