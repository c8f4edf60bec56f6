//! The facts that `expressions/check/facts.nix` evaluates.

use serde::Deserialize;

use super::finding::OptionPath;
use crate::attribute_path;
use sdbuild_core::image_choice::ImageChoice;
use sdbuild_image::card::CardPartition;

/// What a configuration sets that matters for booting and logging in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is one answer of the expression"
)]
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConfigFacts {
    /// Messages of the assertions that fail.
    pub assertions: Vec<String>,
    /// The configuration's warnings.
    pub warnings: Vec<String>,
    /// The image that is built, if there is one.
    pub image: Option<ImageChoice>,
    /// Why there is none, if that is known.
    pub missing: Option<MissingImage>,
    /// Whether that is an SD card: what boots on a board by an extlinux menu.
    pub card: bool,
    /// The partitions of a disk that sdbuild makes, unless something changes them at the first start.
    pub disk: Option<Vec<CardPartition>>,
    /// Whether it runs as a container, to which the engine gives a network.
    pub container: bool,
    /// The release of NixOS, `26.05`.
    pub release: Option<String>,
    /// The enabled boot loaders.
    pub loaders: Vec<String>,
    /// The root file system.
    pub root: Option<RootFacts>,
    /// All file systems, also those of memory and of other machines.
    pub file_systems: Vec<FileSystemFacts>,
    /// The machine's name, `networking.hostName`.
    pub host_name: Option<String>,
    /// Root, normal users and users with an SSH key.
    pub users: Vec<UserFacts>,
    /// The user who is logged in at the console automatically.
    pub autologin: Option<String>,
    /// Whether nixpkgs' module for installers on SD cards is imported, which does that.
    pub installer: bool,
    /// The names of all groups.
    pub groups: Vec<String>,
    /// The SSH server.
    pub ssh: SshFacts,
    /// The firewall.
    pub firewall: FirewallFacts,
    /// The network.
    pub network: NetworkFacts,
    /// The image.
    pub sd: SdImageFacts,
    /// `system.stateVersion`, if the configuration sets it.
    pub state_version: Option<String>,
    /// `time.timeZone`.
    pub time_zone: Option<String>,
    /// `i18n.defaultLocale`, unless it has another encoding or glibc's locales are the user's own.
    pub locale: Option<String>,
    /// Whether NixOS builds that locale by its name, and fails if glibc does not have it.
    pub locale_is_built: bool,
    /// Users who may become root.
    pub sudo: SudoFacts,
    /// Options whose secrets are in the store.
    pub stored_secrets: Vec<StoredSecretFacts>,
    /// The machine upgrades itself automatically, to a configuration that nothing puts onto it.
    pub upgrades_to_nothing: bool,
    /// The machine upgrades itself to a configuration that it evaluates, and has no swap.
    pub upgrades_in_memory: bool,
    /// Secrets that the machine decrypts with a key that only its first start makes, or that nothing puts onto the card.
    pub late_keys: Vec<LateKeyFacts>,
    /// Services that read a serial port.
    pub serial_services: Vec<SerialServiceFacts>,
    /// The name of the kernel, if its recipe is not nixpkgs' own but that of a board's vendor, which nixos-hardware has.
    pub vendor_kernel: Option<String>,
    /// `system.autoUpgrade.channel` is set, beside which NixOS takes no `flake`.
    pub upgrade_has_channel: bool,
}

impl ConfigFacts {
    /// The option that keeps the configuration from making an image.
    pub fn missing_image(&self) -> Option<String> {
        let missing = self.missing.as_ref()?;
        Some(attribute_path::text(&missing.option))
    }
}

/// What keeps a configuration from making an image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MissingImage {
    /// The option that shows it.
    pub option: OptionPath,
    /// The option's value as source text of Nix, unless it is a large one.
    pub value: Option<String>,
    /// The reason, as the end of a sentence: `its boot loader is systemd-boot`.
    pub reason: String,
    /// What helps, in sentences.
    pub cure: String,
    /// The module that would make an image, as source text of Nix, if adding it is enough.
    pub add: Option<String>,
    /// Whether the option must be off beside that module.
    #[serde(default)]
    pub off: bool,
}

/// The root file system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RootFacts {
    /// The mounted device.
    pub device: Option<String>,
    /// The type of the file system, `ext4`.
    pub fs_type: Option<String>,
}

/// A file system.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FileSystemFacts {
    /// Where it is mounted.
    pub path: String,
    /// The mounted device.
    pub device: Option<String>,
    /// Its type, `ext4`.
    pub fs_type: Option<String>,
    /// Whether the start stops without it.
    pub is_needed: bool,
    /// Whether the script of the first stage mounts it, which does not know `nofail`.
    pub is_early: bool,
    /// Whether that is because of `neededForBoot`; others are mounted there because of their paths.
    pub needed_for_boot: bool,
}

/// A user who may log in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct UserFacts {
    /// The user's name.
    pub name: String,
    /// Authorized SSH keys.
    pub keys: Vec<String>,
    /// Whether some of them were left out because their time is over, which Nix does not know.
    #[serde(default)]
    pub has_expired_key: bool,
    /// Files with authorized SSH keys.
    pub key_files: Vec<String>,
    /// The names of files among them that are private keys.
    pub private_key_files: Vec<String>,
    /// Whether there is a password. The password itself is not among the facts.
    pub password: PasswordState,
    /// The option that has another text than the hash of a password, such as `hashedPassword`.
    pub invalid_hash: Option<String>,
    /// Whether `hashedPasswordFile` is not the absolute path of a file.
    pub has_wrong_file: bool,
    /// The option that has the password in plain text: `password` or `initialPassword`.
    pub plain_password: Option<String>,
    /// The path of the shell, unless a package has it; `nologin` or `false` for a program that ends every login.
    pub shell: Option<String>,
    /// The user's groups.
    pub groups: Vec<String>,
    /// Those of them that the configuration does not define.
    pub unknown_groups: Vec<String>,
}

/// The rules by which users become root.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SudoFacts {
    /// Whether sudo, or a program like it, is enabled.
    pub enable: bool,
    /// The options of that program: `security.sudo` or `security.sudo-rs`.
    pub option: String,
    /// Users who need no password.
    pub users: Vec<String>,
    /// Groups whose members need no password.
    pub groups: Vec<String>,
    /// Whether there are other rules, which are not understood.
    pub other: bool,
}

/// Whether a user has a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PasswordState {
    /// No password, or a hash that no input matches.
    None,
    /// The empty password: accepted at the console, refused by SSH.
    Empty,
    /// A password.
    Set,
    /// A password in a secret that the card has no key for.
    Late,
}

/// The SSH server; `None` means the server's own default.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct SshFacts {
    /// Whether the service is enabled.
    pub enable: bool,
    /// Whether Tailscale, which joins its network by itself, lets users in beside it.
    pub by_tailscale: bool,
    /// The option that keeps systemd from starting it all the same, such as `systemd.services.sshd.enable`.
    pub unit_off: Option<String>,
    /// The ports on which it listens.
    pub ports: Vec<u16>,
    /// `services.openssh.settings.Port`, if that is none of them.
    pub other_port: Option<u16>,
    /// `PermitRootLogin`.
    pub root: Option<String>,
    /// `PasswordAuthentication`.
    pub passwords: Option<bool>,
    /// `KbdInteractiveAuthentication`.
    pub keyboard: Option<bool>,
    /// `PubkeyAuthentication`: a boolean, or a text as in the server's configuration file.
    pub keys: Option<serde_json::Value>,
    /// `AllowUsers`.
    pub allowed: Option<Vec<String>>,
    /// `DenyUsers`.
    pub denied: Option<Vec<String>>,
    /// `AllowGroups`.
    pub allowed_groups: Option<Vec<String>>,
    /// `DenyGroups`.
    pub denied_groups: Option<Vec<String>>,
    /// The addresses at which it listens; none means all of the machine.
    pub addresses: Vec<String>,
    /// Whether users may have keys that the configuration does not name: from other files, a program or a certificate authority.
    pub other_keys: bool,
    /// The names of files with the server's own keys that the store has copies of.
    pub stored_host_keys: Vec<String>,
    /// Whether the server has other keys of its own.
    pub has_other_host_keys: bool,
    /// Keywords that decide who logs in and are not among these facts, in lower case, in the order of the configuration.
    pub unread: Vec<String>,
}

/// The firewall.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct FirewallFacts {
    /// Whether the service is enabled.
    pub enable: bool,
    /// The SSH server's ports that it lets through, on interfaces that a new machine has.
    pub admitted: Vec<u16>,
    /// Whether `services.openssh.openFirewall` opens them.
    pub opened_by_ssh: bool,
    /// Whether it trusts an interface that a new machine has, other than the loopback.
    pub trusts: bool,
    /// Other interfaces on which it lets the SSH server's ports through: those that programs make.
    pub later: Vec<String>,
    /// Whether the configuration has rules in the words of iptables or nftables, which are not understood.
    pub has_own_rules: bool,
}

/// The network.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[expect(clippy::struct_excessive_bools, reason = "these are facts, not modes")]
pub struct NetworkFacts {
    /// The options of `networking` that are false and without which no interface uses DHCP.
    pub dhcp_off: Vec<String>,
    /// A configured interface uses DHCP or has an address.
    pub interfaces: bool,
    /// A configured interface uses DHCP.
    pub interface_dhcp: bool,
    /// The configured interfaces with an IPv4 address, without the loopback.
    pub fixed: Vec<String>,
    /// The address of the default gateway, if its interface is not named.
    pub gateway_address: Option<String>,
    /// The machine leads others into the network: by address translation, or as a wireless access point.
    pub routes: bool,
    /// There is a default gateway, or a route of an interface.
    pub gateway: bool,
    /// There is a name server: one that is named, one of the machine itself, or those of systemd-resolved.
    pub name_server: bool,
    /// systemd-networkd is enabled and has a network, or gets one from cloud-init.
    pub networkd: bool,
    /// `NetworkManager` or `ConnMan` is enabled.
    pub manager: bool,
    /// `wpa_supplicant` is enabled.
    pub wireless: bool,
    /// iwd is enabled.
    pub iwd: bool,
    /// Whether `networking.wireless.networks` has a network.
    pub networks: bool,
    /// Networks whose passphrase is set in plain text.
    pub open_passphrases: Vec<PassphraseFacts>,
    /// Networks whose derived key, `pskRaw`, is none.
    pub wrong_raw_keys: Vec<String>,
    /// Networks whose key is to come from a file with secrets, where the configuration names no such file.
    pub keys_without_file: Vec<ExternalKeyFacts>,
    /// Networks whose passphrase is the name of a variable, `@NAME@`, which nothing replaces any more.
    pub old_names: Vec<ExternalKeyFacts>,
    /// The path of the file with the secrets of `wpa_supplicant`, where that has one; empty for one of the store.
    pub secrets_file: Option<String>,
}

/// The key of a wireless network that is to come from a file with secrets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ExternalKeyFacts {
    /// The name of the network in `networking.wireless.networks`.
    pub network: String,
    /// Its name in that file.
    pub name: String,
}

/// A passphrase in plain text, which itself is not among the facts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PassphraseFacts {
    /// The name of the network in `networking.wireless.networks`.
    pub network: String,
    /// How many bytes the passphrase has.
    pub bytes: usize,
}

/// An option whose secret is in the store; the secret itself is not among the facts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct StoredSecretFacts {
    /// The path of the object with the option: `services.tailscale`. That of a peer is the path of its interface.
    pub object: OptionPath,
    /// The name of the option, such as `privateKey`.
    pub name: String,
    /// Whether it is a file, of which the store has a copy.
    pub is_file: bool,
}

/// Secrets that are decrypted on the machine, with a key that the card does not have.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct LateKeyFacts {
    /// The option with the paths of the keys: `age.identityPaths`.
    pub option: OptionPath,
    /// These paths.
    pub paths: Vec<String>,
    /// The names of the secrets.
    pub secrets: Vec<String>,
}

/// A service that reads a serial port.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SerialServiceFacts {
    /// The option with the port.
    pub option: OptionPath,
    /// The path of the port: `/dev/ttyAMA0`.
    pub port: String,
}

/// The image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct SdImageFacts {
    /// The label of the root file system, if nixpkgs makes it and nothing changes the card's partitions.
    pub root_label: Option<String>,
    /// The type of that file system.
    pub root_type: Option<String>,
    /// The UUID of the root file system, if it is set.
    pub root_uuid: Option<String>,
    /// The number of the partition table, such as `0x2178694e`.
    pub disk_id: Option<String>,
    /// The label of the firmware partition.
    pub firmware_label: Option<String>,
    /// Size of the firmware partition in MiB.
    pub firmware_mib: Option<u64>,
    /// Where the firmware partition begins, in MiB.
    pub offset_mib: Option<u64>,
    /// Whether nixpkgs' own commands fill the root file system, which make an extlinux menu, as far as the user's files do not replace
    /// them.
    pub makes_menu: bool,
    /// The names of files and installing programs in the commands that fill the firmware partition.
    pub firmware_files: Option<Vec<String>>,
    /// The same of the commands that write to the finished image.
    pub written_files: Option<Vec<String>>,
    /// The firmware of a Raspberry Pi that nixos-hardware's module puts onto the card, and nothing else does.
    pub pi: Option<PiFacts>,
    /// Whether U-Boot loads the device tree of the kernel in place of the firmware's.
    pub menu_has_tree: bool,
}

/// The firmware partition of nixos-hardware's module for the Raspberry Pi.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PiFacts {
    /// Whether it has U-Boot; `None` if the module has no such option.
    pub u_boot: Option<bool>,
    /// The text of `config.txt`.
    pub config_txt: Option<String>,
}
