//! The facts as `facts.nix` gives them.

use serde::Deserialize;

/// What a configuration sets, as far as booting and logging in go.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConfigFacts {
    /// Messages of the assertions that do not hold.
    pub assertions: Vec<String>,
    /// What the configuration warns of.
    pub warnings: Vec<String>,
    /// Whether an SD card image is described at all.
    pub image: bool,
    /// The release of NixOS.
    pub release: Option<String>,
    /// The system that packages are for.
    pub system: String,
    /// The boot loaders that are on.
    pub loaders: Vec<String>,
    /// The root file system.
    pub root: Option<Root>,
    /// Root, the people, and whoever has a key.
    pub users: Vec<User>,
    /// Who is logged in at the console without being asked.
    pub autologin: Option<String>,
    /// The SSH server.
    pub ssh: Ssh,
    /// The firewall.
    pub firewall: Firewall,
    /// The network.
    pub network: Network,
    /// The image.
    pub sd: Sd,
    /// Whether `system.stateVersion` is set.
    pub state_version: bool,
}

/// The root file system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Root {
    /// What is mounted.
    pub device: Option<String>,
    /// Whether it grows into its partition.
    pub grows: bool,
}

/// Somebody who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The account.
    pub name: String,
    /// Public keys.
    pub keys: Vec<String>,
    /// Files with such keys.
    pub key_files: Vec<String>,
    /// The password; never what it is.
    pub password: Password,
}

/// What is known of a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Password {
    /// There is none that fits.
    None,
    /// It is empty: the console asks for none, SSH lets nobody in by it.
    Empty,
    /// There is one.
    Set,
}

/// The SSH server; `None` is what the server itself has.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Ssh {
    /// Whether there is one.
    pub enable: bool,
    /// Where it listens.
    pub ports: Vec<u16>,
    /// `PermitRootLogin`.
    pub root: Option<String>,
    /// `PasswordAuthentication`.
    pub passwords: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub keyboard: Option<bool>,
    /// `PubkeyAuthentication`: `true`, or as the server's own file has it.
    pub keys: Option<serde_json::Value>,
    /// `AllowUsers`.
    pub allowed: Option<Vec<String>>,
    /// `DenyUsers`.
    pub denied: Option<Vec<String>>,
}

/// The firewall.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Firewall {
    /// Whether there is one.
    pub enable: bool,
    /// Which of the SSH server's ports it lets through.
    pub admitted: Vec<u16>,
    /// Whether there is an interface that it does not watch.
    pub trusts: bool,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct Network {
    /// Every interface asks for an address.
    pub dhcp: bool,
    /// An interface of its own asks for an address, or has one.
    pub interfaces: bool,
    /// systemd-networkd knows a network.
    pub networkd: bool,
    /// `NetworkManager` or `ConnMan` is there.
    pub manager: bool,
    /// `wpa_supplicant` is on.
    pub wireless: bool,
    /// iwd is on.
    pub iwd: bool,
    /// How many networks `wpa_supplicant` is told.
    pub networks: u32,
    /// It is told networks in another way.
    pub elsewhere: bool,
}

/// The image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Sd {
    /// Whether the root file system grows into the card.
    pub grows: Option<bool>,
    /// The firmware partition's size.
    pub firmware_mib: Option<u64>,
}
