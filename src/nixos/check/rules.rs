//! The rules: what is checked, the consequence, and the lines that correct it. Pure.

use super::Finding;
use super::Severity;
use super::authorized_keys;
use super::board;
use super::disks;
use super::facts::ConfigFacts;
use super::login;
use super::network;
use super::nixos_messages;
use super::placeholders::Placeholders;
use super::rule::Rule;
use super::state_version;
use super::stored_secrets;
use super::sudo_passwords;
use super::unknown_groups;
use super::upgrades;
use super::wireless;
use crate::common::locale;
use crate::common::time_zone;
use sdbuild_image::board::{Board, Start};

/// The rule about a boot loader that only UEFI starts.
const SYSTEMD_BOOT: &str = "systemd-boot";

const RULES: [Rule; 10] = [
    Rule {
        id: "no-image",
        severity: Severity::Error,
        is: |facts, _| (!facts.image).then(|| "config.system.build.sdImage is not defined".into()),
        why: "without it there is no SD card image to build",
        add: &["imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];"],
    },
    Rule {
        id: "wrong-system",
        severity: Severity::Error,
        is: |facts, system| {
            let other = facts.system != system;
            other.then(|| format!("nixpkgs.hostPlatform = \"{}\"", facts.system))
        },
        why: "the board cannot run programs of that system",
        add: &["nixpkgs.hostPlatform = \"{system}\";"],
    },
    Rule {
        id: "no-boot-loader",
        severity: Severity::Error,
        is: |facts, _| {
            (facts.card && facts.loaders.is_empty()).then(|| "no boot loader is enabled".into())
        },
        why: "the board's firmware finds nothing to start",
        add: &["boot.loader.generic-extlinux-compatible.enable = true;"],
    },
    Rule {
        id: "grub",
        severity: Severity::Warning,
        is: |facts, _| {
            let grub = facts.loaders == ["grub"] && facts.system == "aarch64-linux";
            (grub && facts.card && !is_part_of_image(facts))
                .then(|| "boot.loader.grub.enable = true".into())
        },
        why: "most boards start from an extlinux menu; GRUB needs UEFI firmware",
        add: &[
            "boot.loader.grub.enable = false;",
            "boot.loader.generic-extlinux-compatible.enable = true;",
        ],
    },
    Rule {
        id: "grub-device",
        severity: Severity::Warning,
        is: |facts, _| {
            let device = facts.grub_device.as_deref().filter(|_| facts.card)?;
            Some(format!("boot.loader.grub.device = \"{device}\""))
        },
        why: "GRUB is off, so nothing uses this. The image has its own boot loader and needs no disk",
        add: &[],
    },
    Rule {
        id: SYSTEMD_BOOT,
        severity: Severity::Error,
        is: |facts, _| {
            let is_only = facts.card && facts.loaders == ["systemd-boot"];
            (is_only && facts.sd.makes_menu)
                .then(|| "boot.loader.systemd-boot.enable = true, but no extlinux menu".into())
        },
        why: "this image starts from an extlinux menu, and nothing puts systemd-boot on the card",
        add: &[
            "boot.loader.systemd-boot.enable = lib.mkForce false;",
            "boot.loader.generic-extlinux-compatible.enable = lib.mkForce true;",
        ],
    },
    Rule {
        id: "time-zone",
        severity: Severity::Warning,
        is: |facts, _| {
            let zone = facts
                .time_zone
                .as_deref()
                .filter(|zone| !time_zone::is_known(zone))?;
            let meant = time_zone::suggestion(zone);
            let meant = meant.map(|name| format!(" (did you mean {name}?)"));
            Some(format!(
                "time.timeZone = \"{zone}\"{}",
                meant.unwrap_or_default()
            ))
        },
        why: "the tz database has no such zone, so the clock shows UTC",
        add: &["{time zone}"],
    },
    Rule {
        id: "locale",
        severity: Severity::Error,
        is: |facts, _| unknown_locale(facts).filter(|_| locale_fails(facts)),
        why: "glibc has no such locale in UTF-8, so the build fails",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
    Rule {
        id: "locale",
        severity: Severity::Warning,
        is: |facts, _| {
            let is_built = facts.locale_is_built && !locale_fails(facts);
            unknown_locale(facts).filter(|_| is_built)
        },
        why: "glibc 2.36 has no such locale. The build fails, unless a newer glibc has it",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
    Rule {
        id: "locale",
        severity: Severity::Warning,
        is: |facts, _| unknown_locale(facts).filter(|_| !facts.locale_is_built),
        why: "glibc has no such locale in UTF-8, so programs use English",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
];

/// The mistakes in `facts` for an image of `system` (`aarch64-linux`), and for `board`, if it is for one in particular; errors first.
pub fn findings(facts: &ConfigFacts, system: &str, for_board: Option<&Board>) -> Vec<Finding> {
    let placeholders = Placeholders::of(facts, system);
    let found = all_rules().filter_map(|rule| {
        Some(Finding {
            id: rule.id,
            severity: rule.severity,
            is: (rule.is)(facts, system)?,
            why: rule.why.to_owned(),
            add: placeholders.fill(rule.add),
            place: None,
        })
    });
    let found = found
        .chain(stored_secrets::findings(facts))
        .chain(sudo_passwords::findings(facts));
    let mut all: Vec<Finding> = found.chain(nixos_messages::findings(facts)).collect();
    if for_board.is_some_and(|board| matches!(board.start, Start::Uefi)) {
        all.retain(|finding| finding.id != SYSTEMD_BOOT);
    }
    all.extend(
        for_board
            .map(|board| board::findings(facts, board))
            .unwrap_or_default(),
    );
    nixos_messages::join_renamed(&mut all);
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity == Severity::Error));
    all
}

/// Whether the image has no firmware, as with sd-image.nix alone: a build fails at it, and tells what to import.
fn is_part_of_image(facts: &ConfigFacts) -> bool {
    facts.sd.makes_menu && facts.sd.firmware_files.is_none()
}

/// The rules for every board.
pub(super) fn all_rules() -> impl Iterator<Item = &'static Rule> {
    let subjects: [&[Rule]; 10] = [
        &RULES,
        &state_version::RULES,
        &disks::RULES,
        &network::RULES,
        &wireless::RULES,
        &authorized_keys::RULES,
        &login::RULES,
        &unknown_groups::RULES,
        &stored_secrets::RULES,
        &upgrades::RULES,
    ];
    subjects.into_iter().flatten()
}

/// What is said of a default locale that glibc does not have.
fn unknown_locale(facts: &ConfigFacts) -> Option<String> {
    let name = facts.locale.as_deref()?;
    let is_unknown = locale::is_valid(name) == Some(false);
    let meant = locale::suggestion(name);
    let meant = meant.map(|name| format!(" (did you mean \"{name}\"?)"));
    let meant = meant.unwrap_or_default();
    is_unknown.then(|| format!("i18n.defaultLocale = \"{name}\"{meant}"))
}

/// Whether the build of the locales certainly fails at the default one.
fn locale_fails(facts: &ConfigFacts) -> bool {
    let name = facts.locale.as_deref();
    facts.locale_is_built && name.is_some_and(locale::is_never_valid)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::found;

    #[test]
    fn a_part_of_an_image_is_told_by_the_build() {
        let grub = ("/loaders", json!(["grub"]));
        let part = [grub, ("/sd/firmware_files", Value::Null)];
        assert_eq!(found(&part), [""; 0]);
    }
}
