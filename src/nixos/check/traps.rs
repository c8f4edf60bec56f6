//! The rules: what is checked, the consequence, and the lines that correct it. Pure.

use super::facts::{ConfigFacts, UserFacts};
use super::ways_in::{way_in, who_gets_in};
use super::{Finding, Severity};
use crate::common::text::truncate;

/// Size of a firmware partition in MiB that has room for the firmware of nixpkgs' image (nearly 30 MiB).
const MIN_FIRMWARE_MIB: u64 = 30;
/// A line that authorizes an SSH key.
const KEY_LINE: &str = "users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];";

/// One rule. In `add`, `{system}`, `{port}` and `{release}` are replaced.
struct Rule {
    id: &'static str,
    severity: Severity,
    /// What the configuration sets, if that is a mistake. The second argument is the system of the image.
    is: fn(&ConfigFacts, &str) -> Option<String>,
    why: &'static str,
    add: &'static [&'static str],
}

const RULES: [Rule; 16] = [
    Rule {
        id: "no-image",
        severity: Severity::Trap,
        is: |facts, _| (!facts.image).then(|| "config.system.build.sdImage is not defined".into()),
        why: "without it there is no SD card image to build",
        add: &["imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];"],
    },
    Rule {
        id: "wrong-system",
        severity: Severity::Trap,
        is: |facts, system| {
            let other = facts.system != system;
            other.then(|| format!("nixpkgs.hostPlatform = \"{}\"", facts.system))
        },
        why: "the board does not run programs of that system: the image is for another one",
        add: &["nixpkgs.hostPlatform = \"{system}\";"],
    },
    Rule {
        id: "no-boot-loader",
        severity: Severity::Trap,
        is: |facts, _| (facts.loaders.is_empty()).then(|| "no boot loader is enabled".into()),
        why: "the board's firmware finds nothing to start",
        add: &["boot.loader.generic-extlinux-compatible.enable = true;"],
    },
    Rule {
        id: "grub",
        severity: Severity::Note,
        is: |facts, _| {
            let grub = facts.loaders == ["grub"] && facts.system == "aarch64-linux";
            grub.then(|| "boot.loader.grub.enable = true".into())
        },
        why: "most boards start from an extlinux menu; GRUB needs UEFI firmware",
        add: &[
            "boot.loader.grub.enable = false;",
            "boot.loader.generic-extlinux-compatible.enable = true;",
        ],
    },
    Rule {
        id: "no-root",
        severity: Severity::Trap,
        is: |facts, _| (facts.root.is_none()).then(|| "fileSystems.\"/\" is not set".into()),
        why: "the first stage of the boot finds no root file system",
        add: &[
            "fileSystems.\"/\" = { device = \"/dev/disk/by-label/NIXOS_SD\"; fsType = \"ext4\"; };",
        ],
    },
    Rule {
        id: "small-root",
        severity: Severity::Note,
        is: |facts, _| {
            let grows = facts.root.as_ref().is_some_and(|root| root.grows);
            (facts.sd.grows == Some(false) && !grows).then(|| "sdImage.expandOnBoot = false".into())
        },
        why: "the root file system keeps the size that it has in the image, however large the card is",
        add: &["sdImage.expandOnBoot = true;"],
    },
    Rule {
        id: "small-firmware",
        severity: Severity::Note,
        is: |facts, _| {
            let size = facts
                .sd
                .firmware_mib
                .filter(|mib| *mib < MIN_FIRMWARE_MIB)?;
            Some(format!("sdImage.firmwareSize = {size}"))
        },
        why: "the firmware of nixpkgs' image for Raspberry Pis does not fit",
        add: &["sdImage.firmwareSize = 30;"],
    },
    Rule {
        id: "key-is-none",
        severity: Severity::Trap,
        is: broken_keys,
        why: "that is not a complete public SSH key (but a placeholder, a path or a part of one), so it allows no login",
        add: &[KEY_LINE],
    },
    Rule {
        id: "nobody-gets-in",
        severity: Severity::Trap,
        is: |facts, _| {
            let nobody =
                !facts.users.iter().any(UserFacts::has_secret) && facts.autologin.is_none();
            nobody.then(|| format!("no key and no password: {}", names(&facts.users)))
        },
        why: "the machine starts and nobody can log in",
        add: &["services.openssh.enable = true;", KEY_LINE],
    },
    Rule {
        id: "ssh-off",
        severity: Severity::Trap,
        is: |facts, _| (!facts.ssh.enable).then(|| "services.openssh.enable = false".into()),
        why: "without a display and a keyboard there is no way to reach the machine",
        add: &["services.openssh.enable = true;"],
    },
    Rule {
        id: "ssh-turns-away",
        severity: Severity::Trap,
        is: |facts, _| {
            let users: Vec<&UserFacts> = facts
                .users
                .iter()
                .filter(|user| user.has_secret())
                .collect();
            let shut = facts.ssh.enable && !users.is_empty() && who_gets_in(facts).is_empty();
            let reason = |user: &UserFacts| way_in(facts, user).err().unwrap_or_default();
            let reasons: Vec<String> = users.into_iter().map(reason).collect();
            shut.then(|| reasons.join("; "))
        },
        why: "the SSH server runs and refuses every user",
        add: &[
            KEY_LINE,
            "services.openssh.settings.PermitRootLogin = \"prohibit-password\";",
        ],
    },
    Rule {
        id: "firewall",
        severity: Severity::Trap,
        is: |facts, _| {
            let wall = &facts.firewall;
            let shut = facts.ssh.enable && wall.enable && !wall.trusts && wall.admitted.is_empty();
            let ports: Vec<String> = facts.ssh.ports.iter().map(u16::to_string).collect();
            shut.then(|| {
                format!(
                    "networking.firewall lets nothing in at {}",
                    ports.join(", ")
                )
            })
        },
        why: "the firewall keeps every connection from the SSH server",
        add: &["networking.firewall.allowedTCPPorts = [ {port} ];"],
    },
    Rule {
        id: "no-network",
        severity: Severity::Trap,
        is: |facts, _| {
            let net = &facts.network;
            let any = net.dhcp || net.interfaces || net.networkd || net.manager || net.iwd;
            (!any).then(|| "networking.useDHCP = false, and no interface has an address".into())
        },
        why: "the machine is not in any network",
        add: &["networking.useDHCP = true;"],
    },
    Rule {
        id: "wireless",
        severity: Severity::Note,
        is: |facts, _| {
            let net = &facts.network;
            let has_network = net.networks > 0 || net.elsewhere || net.manager || net.iwd;
            (net.wireless && !has_network).then(|| {
                "networking.wireless.enable = true, networking.wireless.networks = { }".into()
            })
        },
        why: "it joins no network, so the machine is reachable by cable only",
        add: &["networking.wireless.networks.\"NAME\".psk = \"…\";"],
    },
    Rule {
        id: "console-is-open",
        severity: Severity::Note,
        is: |facts, _| {
            let user = facts.autologin.as_ref()?;
            Some(format!("services.getty.autologinUser = \"{user}\""))
        },
        why: "anyone with a keyboard is logged in without a password, as on an installer",
        add: &[
            "imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ]; # not …-installer.nix",
        ],
    },
    Rule {
        id: "state-version",
        severity: Severity::Note,
        is: |facts, _| (!facts.state_version).then(|| "system.stateVersion is not set".into()),
        why: "the next upgrade may treat this machine's data as that of a newer release",
        add: &["system.stateVersion = \"{release}\";"],
    },
];

/// The mistakes in `facts` for an image of `system` (`aarch64-linux`), traps first.
pub fn findings(facts: &ConfigFacts, system: &str) -> Vec<Finding> {
    let port = facts.ssh.ports.first().map_or(22, |port| *port).to_string();
    let release = facts.release.as_deref().unwrap_or("26.05");
    let fill = |line: &&str| {
        line.replace("{system}", system)
            .replace("{port}", &port)
            .replace("{release}", release)
    };
    let found = RULES.iter().filter_map(|rule| {
        Some(Finding {
            id: rule.id,
            severity: rule.severity,
            is: (rule.is)(facts, system)?,
            why: rule.why.to_owned(),
            add: rule.add.iter().map(fill).collect(),
        })
    });
    let mut all: Vec<Finding> = found.chain(own_messages(facts)).collect();
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity == Severity::Trap));
    all
}

/// The configuration's own failed assertions, at which a build stops, and warnings.
fn own_messages(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let finding = |id, severity, why: &'static str| {
        move |text: &String| Finding {
            id,
            severity,
            is: text.trim().to_owned(),
            why: why.to_owned(),
            add: Vec::new(),
        }
    };
    let failed = finding("assertion", Severity::Trap, "NixOS refuses to build that");
    let warned = finding("warning", Severity::Note, "NixOS warns of it");
    let failed = facts.assertions.iter().map(failed);
    failed.chain(facts.warnings.iter().map(warned))
}

fn broken_keys(facts: &ConfigFacts, _: &str) -> Option<String> {
    let broken = facts.users.iter().flat_map(|user| {
        let name = &user.name;
        user.broken_keys().map(move |key| {
            let shown = truncate(key, 40);
            format!("users.users.{name}.openssh.authorizedKeys.keys has \"{shown}\"")
        })
    });
    let broken: Vec<String> = broken.collect();
    (!broken.is_empty()).then(|| broken.join(", "))
}

fn names(users: &[UserFacts]) -> String {
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    names.join(", ")
}
