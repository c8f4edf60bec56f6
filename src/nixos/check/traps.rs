//! The rules: what is checked, the consequence, and the lines that correct it. Pure.

use super::facts::ConfigFacts;
use super::rule::Rule;
use super::{Finding, Severity, board, login};
use crate::common::board::Board;
use crate::common::{attribute_path, locale, time_zone};

/// Size of a firmware partition in MiB that has room for the firmware of nixpkgs' image (nearly 30 MiB).
const MIN_FIRMWARE_MIB: u64 = 30;

pub(super) const RULES: [Rule; 14] = [
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
        is: |facts, _| {
            (facts.card && facts.loaders.is_empty()).then(|| "no boot loader is enabled".into())
        },
        why: "the board's firmware finds nothing to start",
        add: &["boot.loader.generic-extlinux-compatible.enable = true;"],
    },
    Rule {
        id: "grub",
        severity: Severity::Note,
        is: |facts, _| {
            let grub = facts.loaders == ["grub"] && facts.system == "aarch64-linux" && facts.card;
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
        is: |facts, _| {
            (facts.card && facts.root.is_none()).then(|| "fileSystems.\"/\" is not set".into())
        },
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
        id: "no-network",
        severity: Severity::Trap,
        is: |facts, _| {
            let net = &facts.network;
            let any = net.dhcp || net.interfaces || net.networkd || net.manager || net.iwd;
            (!any && !facts.container)
                .then(|| "networking.useDHCP or networking.dhcpcd.enable is false, and no interface has an address".into())
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
        id: "wireless-off",
        severity: Severity::Note,
        is: |facts, _| {
            let net = &facts.network;
            let is_off = net.networks > 0 && !net.wireless;
            is_off.then(|| "networking.wireless.networks without networking.wireless.enable".into())
        },
        why: "only wpa_supplicant reads them, and it is off: neither NetworkManager nor iwd joins these networks",
        add: &["networking.wireless.enable = true; # in place of NetworkManager and iwd"],
    },
    Rule {
        id: "state-version",
        severity: Severity::Note,
        is: |facts, _| (!facts.state_version).then(|| "system.stateVersion is not set".into()),
        why: "the next upgrade may treat this machine's data as that of a newer release",
        add: &["system.stateVersion = \"{release}\";"],
    },
    Rule {
        id: "time-zone",
        severity: Severity::Note,
        is: |facts, _| {
            let zone = facts
                .time_zone
                .as_deref()
                .filter(|zone| !time_zone::is_known(zone))?;
            let meant = time_zone::suggestion(zone);
            let meant = meant.map(|name| format!(", {name} may be meant"));
            Some(format!(
                "time.timeZone = \"{zone}\"{}",
                meant.unwrap_or_default()
            ))
        },
        why: "the tz database has no such zone, so the build fails or the clock shows UTC",
        add: &["time.timeZone = \"{time zone}\";"],
    },
    Rule {
        id: "locale",
        severity: Severity::Note,
        is: |facts, _| {
            let name = facts.locale.as_deref()?;
            (locale::is_valid(name) == Some(false)).then(|| {
                let meant = locale::suggestion(name);
                let meant = meant.map(|name| format!(", {name} may be meant"));
                format!(
                    "i18n.defaultLocale = \"{name}\"{}",
                    meant.unwrap_or_default()
                )
            })
        },
        why: "glibc has no such locale, so the build of the locales fails",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
    Rule {
        id: "open-passphrase",
        severity: Severity::Note,
        is: |facts, _| {
            let named = facts.network.open_passphrases.iter();
            let named = named.map(|name| format!("networking.wireless.networks.\"{name}\".psk"));
            let named: Vec<String> = named.collect();
            (!named.is_empty()).then(|| named.join(", "))
        },
        why: "the passphrase can be read on the card and in the Nix store of every machine that builds the image; \
              pskRaw at least has only the key that is derived from it (`sdbuild init --wifi` writes it)",
        add: &[
            "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card: NAME=the passphrase",
            "networking.wireless.networks.\"…\".pskRaw = \"ext:NAME\";",
        ],
    },
];

/// The mistakes in `facts` for an image of `system` (`aarch64-linux`), and for `board`, if it is for one in particular; traps first.
pub fn findings(facts: &ConfigFacts, system: &str, for_board: Option<&Board>) -> Vec<Finding> {
    let port = facts.ssh.ports.first().map_or(22, |port| *port).to_string();
    let release = facts.release.as_deref().unwrap_or("26.05");
    let stored = login::stored_passwords(facts);
    let stored = stored.first().copied().unwrap_or("root");
    let attribute = |name: &str| attribute_path::text(&[name.to_owned()]);
    let invalid = login::with_invalid_hash(facts).next();
    let (invalid, option) = invalid.unwrap_or(("NAME", "hashedPassword"));
    let invalid = format!("users.users.{}.{option}", attribute(invalid));
    let locked_out = login::without_secret(facts).next().unwrap_or("NAME");
    let zone = facts.time_zone.as_deref().and_then(time_zone::suggestion);
    let locale = facts.locale.as_deref().and_then(locale::suggestion);
    let fill = |line: &&str| {
        line.replace("{system}", system)
            .replace("{stored}", &attribute(stored))
            .replace("{invalid}", &invalid)
            .replace("{admit}", &login::line_that_admits(facts))
            .replace("{locked out}", &attribute(locked_out))
            .replace("{port}", &port)
            .replace("{release}", release)
            .replace("{time zone}", zone.unwrap_or("Europe/Berlin"))
            .replace("{locale}", locale.unwrap_or("en_US.UTF-8"))
    };
    let rules = RULES.iter().chain(&login::RULES);
    let found = rules.filter_map(|rule| {
        Some(Finding {
            id: rule.id,
            severity: rule.severity,
            is: (rule.is)(facts, system)?,
            why: rule.why.to_owned(),
            add: rule.add.iter().map(fill).collect(),
        })
    });
    let mut all: Vec<Finding> = found.chain(own_messages(facts)).collect();
    all.extend(
        for_board
            .map(|board| board::findings(facts, board))
            .unwrap_or_default(),
    );
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
