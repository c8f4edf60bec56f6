//! Options that are sets with a switch, as `services.openssh` with `enable`, and what people write in place of the switch. Pure.

use super::boolean_values::as_boolean;
use super::names::is_name;
use super::value_kinds;

/// Namespaces whose parts have `enable` each, as `services.openssh.enable`, and the parts of them that have none: their parts have
/// one each, every part of them is a job of its own, or they are always on.
const WITH_SWITCHES: [(&str, &str); 3] = [
    (
        "programs",
        "fzf gdk-pixbuf gnupg ibus ssh turbovnc wayland xfs_quota",
    ),
    (
        "services",
        "anubis armagetronad authelia autossh autossh-ng ax25 bcachefs beesd beszel bird-lg bloop borgbackup btrbk btrfs \
         cinnamon clamav consul-template desktopManager dokuwiki druid ente errbot firefox firezone frr gerbil getty \
         gitea-actions-runner gitweb gnome go-shadowsocks2 graphite hadoop hans hardware icecream iodine jack journald kanidm \
         kea kimai kubernetes labgrid libeufin libvirtd lighthouse liquidsoap livebook mail mailpit mautrix-meta misc moosefs \
         nbd nebula networking nfs nncp orangefs pantalaimon-headless pantheon phpfpm postgresqlWalReceiver restic riemann-tools \
         ringboard salt saunafs slurm snapper spark spire synergy tahoe thanos tinc torque tts udp-over-tcp uvcvideo v4l2-relayd \
         vault-agent vwifi woodpecker-agents wordpress wyoming ytdl-sub zeronsd zfs",
    ),
    ("virtualisation", "oci-containers virtualbox vmware"),
];

/// Other sets that have `enable`.
const OTHERS: [&str; 54] = [
    "boot.initrd.network",
    "boot.initrd.network.ssh",
    "boot.initrd.systemd",
    "boot.loader.generic-extlinux-compatible",
    "boot.loader.grub",
    "boot.loader.limine",
    "boot.loader.systemd-boot",
    "boot.plymouth",
    "boot.swraid",
    "console",
    "documentation",
    "documentation.dev",
    "documentation.doc",
    "documentation.info",
    "documentation.man",
    "documentation.nixos",
    "fonts.fontconfig",
    "hardware.alsa",
    "hardware.bluetooth",
    "hardware.deviceTree",
    "hardware.graphics",
    "hardware.i2c",
    "hardware.rtl-sdr",
    "hardware.sensor.iio",
    "hardware.xpadneo",
    "networking.dhcpcd",
    "networking.firewall",
    "networking.nat",
    "networking.networkmanager",
    "networking.nftables",
    "networking.wireguard",
    "networking.wireless",
    "networking.wireless.iwd",
    "nix.channel",
    "powerManagement",
    "powerManagement.powertop",
    "security.apparmor",
    "security.audit",
    "security.auditd",
    "security.doas",
    "security.polkit",
    "security.rtkit",
    "security.sudo",
    "security.sudo-rs",
    "services.avahi.publish",
    "services.pipewire.alsa",
    "services.pipewire.jack",
    "services.pipewire.pulse",
    "services.pipewire.wireplumber",
    "system.autoUpgrade",
    "systemd.network",
    "virtualisation.docker.autoPrune",
    "virtualisation.docker.rootless",
    "zramSwap",
];

/// Sets whose work is started by `automatic`.
const AUTOMATIC: [&str; 2] = ["nix.gc", "nix.optimise"];

/// The definition that is meant by `option = true;`, or by another word for on or off, of an option that has options of its own;
/// `None` if that is not certain.
pub(super) fn switch(option: &str, value: &str) -> Option<String> {
    let value = as_boolean(value).filter(|_| value != "1" && value != "0")?;
    if AUTOMATIC.contains(&option) {
        return Some(format!("write {option}.automatic = {value};"));
    }
    let of_namespace = option.split_once('.').is_some_and(|(namespace, name)| {
        let has_switch = |without: &str| !without.split(' ').any(|without| without == name);
        let mut namespaces = WITH_SWITCHES.iter();
        !name.contains('.')
            && namespaces.any(|&(known, without)| known == namespace && has_switch(without))
    });
    (of_namespace || OTHERS.contains(&option)).then(|| format!("write {option}.enable = {value};"))
}

/// The definitions that are meant by a list of what is to be on, in place of the set `option`: `programs = [ htop.enable ];`. `elements`
/// are those of the list, as they are written; `None` if not all of them are such names.
pub(super) fn listed_switches(option: &str, elements: &[String]) -> Option<String> {
    let (_, without) = WITH_SWITCHES.iter().find(|(known, _)| *known == option)?;
    let definitions = elements.iter().map(|element| {
        let path = element.trim_matches('"');
        let path = path
            .strip_prefix(option)
            .map_or(path, |rest| rest.trim_start_matches('.'));
        let name = path.strip_suffix(".enable").unwrap_or(path);
        let has_switch = !without.split(' ').any(|without| without == name);
        (has_switch && is_name(name) && !name.contains(['.', '/', '+']))
            .then(|| format!("{option}.{name}.enable = true;"))
    });
    let definitions: Option<Vec<String>> = definitions.take(3).collect();
    let definitions = definitions.filter(|all| !all.is_empty())?;
    Some(format!(
        "set the switch of each one: {}",
        definitions.join(" ")
    ))
}

/// The definitions that are meant by a time or a flake in place of `true` for an `option` that has one beside it, `dates` or `flake`.
pub(super) fn with_detail(option: &str, value: &str) -> Option<String> {
    let (set, switch) = option.rsplit_once('.')?;
    let is_upgrade = set == "system.autoUpgrade" && switch == "enable";
    let has_dates = AUTOMATIC.contains(&set) && switch == "automatic" || is_upgrade;
    let text = value.strip_prefix('"')?.strip_suffix('"')?;
    let detail = if has_dates && value_kinds::is_time(text) {
        "dates"
    } else if is_upgrade && value_kinds::is_flake(text) {
        "flake"
    } else {
        return None;
    };
    Some(format!(
        "write {option} = true; and {set}.{detail} = {value};"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_have_a_switch() {
        for (option, value, expected) in [
            (
                "services.openssh",
                "true",
                Some("write services.openssh.enable = true;"),
            ),
            (
                "services.openssh",
                "\"yes\"",
                Some("write services.openssh.enable = true;"),
            ),
            (
                "networking.firewall",
                "false",
                Some("write networking.firewall.enable = false;"),
            ),
            ("zramSwap", "\"on\"", Some("write zramSwap.enable = true;")),
            ("nix.gc", "true", Some("write nix.gc.automatic = true;")),
            ("services.openssh", "22", None),
            ("services.openssh", "1", None),
            ("services.xserver.x", "true", None),
            ("boot.loader", "true", None),
            (
                "services.logind",
                "true",
                Some("write services.logind.enable = true;"),
            ),
            (
                "virtualisation.libvirtd",
                "true",
                Some("write virtualisation.libvirtd.enable = true;"),
            ),
            (
                "programs.firefox",
                "true",
                Some("write programs.firefox.enable = true;"),
            ),
            ("programs.ssh", "true", None),
            ("virtualisation.oci-containers", "true", None),
            ("services.libvirtd", "true", None),
            ("services.borgbackup", "true", None),
            ("services.restic", "true", None),
        ] {
            assert_eq!(
                switch(option, value).as_deref(),
                expected,
                "{option} {value}"
            );
        }
    }

    #[test]
    fn each_element_of_a_list_has_a_switch() {
        let told = |option, elements: &[&str]| {
            let elements: Vec<String> = elements.iter().map(ToString::to_string).collect();
            listed_switches(option, &elements)
        };
        let written = "set the switch of each one: programs.htop.enable = true;";
        for element in ["htop", "\"htop\"", "htop.enable", "programs.htop.enable"] {
            assert_eq!(
                told("programs", &[element]).as_deref(),
                Some(written),
                "{element}"
            );
        }
        for (option, element) in [
            ("programs", "ssh"),
            ("programs", "{ a = 1; }"),
            ("boot", "htop"),
            ("programs", "htop.package"),
        ] {
            assert_eq!(told(option, &[element]), None, "{element}");
        }
    }

    #[test]
    fn a_time_or_a_flake_in_place_of_a_switch_goes_beside_it() {
        for (option, value, expected) in [
            (
                "nix.gc.automatic",
                "\"weekly\"",
                Some("write nix.gc.automatic = true; and nix.gc.dates = \"weekly\";"),
            ),
            (
                "system.autoUpgrade.enable",
                "\"04:40\"",
                Some(
                    "write system.autoUpgrade.enable = true; and system.autoUpgrade.dates = \"04:40\";",
                ),
            ),
            ("nix.gc.automatic", "\"maybe\"", None),
            (
                "system.autoUpgrade.enable",
                "\"github:me/flake\"",
                Some(
                    "write system.autoUpgrade.enable = true; and system.autoUpgrade.flake = \"github:me/flake\";",
                ),
            ),
            ("nix.gc.automatic", "\"github:me/flake\"", None),
            ("services.openssh.enable", "\"daily\"", None),
        ] {
            assert_eq!(with_detail(option, value).as_deref(), expected, "{option}");
        }
    }
}
