//! The table of traps: what is looked for, what comes of it, and the line that changes it. Pure.

use super::facts::{ConfigFacts, User};
use super::ways_in::{way_in, who_gets_in};
use super::{Finding, Severity};
use crate::common::text::truncate;

/// The firmware of the boards that nixpkgs' image is for takes nearly as much.
const FIRMWARE_MIB: u64 = 30;
/// The line that lets somebody in.
const A_KEY: &str = "users.users.root.openssh.authorizedKeys.keys = [ \"ssh-ed25519 …\" ];";

/// One thing that is looked for. In `add`, `{system}` and `{port}` are filled in.
struct Rule {
    id: &'static str,
    severity: Severity,
    /// What is set, when it is a trap; the second argument is the system that the image is for.
    is: fn(&ConfigFacts, &str) -> Option<String>,
    why: &'static str,
    add: &'static [&'static str],
}

const TRAPS: [Rule; 16] = [
    Rule {
        id: "no-image",
        severity: Severity::Trap,
        is: |facts, _| (!facts.image).then(|| "config.system.build.sdImage is not there".into()),
        why: "there is nothing that could become an SD card image",
        add: &["imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];"],
    },
    Rule {
        id: "wrong-system",
        severity: Severity::Trap,
        is: |facts, wanted| {
            let other = facts.system != wanted;
            other.then(|| format!("nixpkgs.hostPlatform = \"{}\"", facts.system))
        },
        why: "the board does not run programs of that system; the image is wanted for another one",
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
        why: "the first stage of the boot has nothing to go on with",
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
        why: "the root file system stays as full as it was made, however large the card is",
        add: &["sdImage.expandOnBoot = true;"],
    },
    Rule {
        id: "small-firmware",
        severity: Severity::Note,
        is: |facts, _| {
            let size = facts.sd.firmware_mib.filter(|mib| *mib < FIRMWARE_MIB)?;
            Some(format!("sdImage.firmwareSize = {size}"))
        },
        why: "the firmware of nixpkgs' image for Raspberry Pis does not fit",
        add: &["sdImage.firmwareSize = 30;"],
    },
    Rule {
        id: "key-is-none",
        severity: Severity::Trap,
        is: broken_keys,
        why: "that is not a public SSH key (a placeholder, a path, or half of one), and lets nobody in",
        add: &[A_KEY],
    },
    Rule {
        id: "nobody-gets-in",
        severity: Severity::Trap,
        is: |facts, _| {
            let nobody = !facts.users.iter().any(User::has_secret) && facts.autologin.is_none();
            nobody.then(|| format!("no key and no password: {}", names(&facts.users)))
        },
        why: "the machine starts and nobody can log in",
        add: &["services.openssh.enable = true;", A_KEY],
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
            let users: Vec<&User> = facts
                .users
                .iter()
                .filter(|user| user.has_secret())
                .collect();
            let shut = facts.ssh.enable && !users.is_empty() && who_gets_in(facts).is_empty();
            let reason = |user: &User| way_in(facts, user).err().unwrap_or_default();
            let reasons: Vec<String> = users.into_iter().map(reason).collect();
            shut.then(|| reasons.join("; "))
        },
        why: "the SSH server runs and turns everybody away",
        add: &[
            A_KEY,
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
        why: "the SSH server runs behind a closed door",
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
        why: "the machine is in no network",
        add: &["networking.useDHCP = true;"],
    },
    Rule {
        id: "wireless",
        severity: Severity::Note,
        is: |facts, _| {
            let net = &facts.network;
            let told = net.networks > 0 || net.elsewhere || net.manager || net.iwd;
            (net.wireless && !told).then(|| {
                "networking.wireless.enable = true, networking.wireless.networks = { }".into()
            })
        },
        why: "it joins no network; only a cable would reach the machine",
        add: &["networking.wireless.networks.\"NAME\".psk = \"…\";"],
    },
    Rule {
        id: "console-is-open",
        severity: Severity::Note,
        is: |facts, _| {
            let user = facts.autologin.as_ref()?;
            Some(format!("services.getty.autologinUser = \"{user}\""))
        },
        why: "whoever plugs in a keyboard is logged in, as an installer has it",
        add: &[
            "imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ]; # not …-installer.nix",
        ],
    },
    Rule {
        id: "state-version",
        severity: Severity::Note,
        is: |facts, _| (!facts.state_version).then(|| "system.stateVersion is not set".into()),
        why: "the next upgrade may take this machine's data for that of a newer release",
        add: &["system.stateVersion = \"{release}\";"],
    },
];

/// Everything in `facts` that an image for `wanted` should not have, the worst first.
pub fn findings(facts: &ConfigFacts, wanted: &str) -> Vec<Finding> {
    let port = facts.ssh.ports.first().map_or(22, |port| *port).to_string();
    let release = facts.release.as_deref().unwrap_or("26.05");
    let filled = |line: &&str| {
        line.replace("{system}", wanted)
            .replace("{port}", &port)
            .replace("{release}", release)
    };
    let found = TRAPS.iter().filter_map(|trap| {
        Some(Finding {
            id: trap.id,
            severity: trap.severity,
            is: (trap.is)(facts, wanted)?,
            why: trap.why.to_owned(),
            add: trap.add.iter().map(filled).collect(),
        })
    });
    let mut all: Vec<Finding> = found.chain(said(facts)).collect();
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity == Severity::Trap));
    all
}

/// What the configuration says of itself. A build stops at an assertion.
fn said(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let finding = |id, severity, why: &'static str| {
        move |text: &String| Finding {
            id,
            severity,
            is: text.trim().to_owned(),
            why: why.to_owned(),
            add: Vec::new(),
        }
    };
    let broken = finding("assertion", Severity::Trap, "NixOS refuses to build that");
    let warned = finding("warning", Severity::Note, "NixOS warns of it");
    let (broken, warned): (Vec<_>, Vec<_>) = (
        facts.assertions.iter().map(broken).collect(),
        facts.warnings.iter().map(warned).collect(),
    );
    broken.into_iter().chain(warned)
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

fn names(users: &[User]) -> String {
    let names: Vec<&str> = users.iter().map(|user| user.name.as_str()).collect();
    names.join(", ")
}
