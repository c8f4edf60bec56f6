//! The rules: what is checked, the consequence, and the lines that correct it. Pure.

use super::facts::ConfigFacts;
use super::placeholders::Placeholders;
use super::rule::Rule;
use super::{
    Finding, Severity, account_kind, authorized_keys, board, closed_ports, disks, etc_files,
    idle_services, login, name_servers, named_values, network, network_ends, own_commands,
    own_programs, own_settings, own_times, own_units, state_version, stored_secrets, swap_files,
    unfilled, unknown_groups, upgrades, user_names, wireless,
};
use crate::common::board::{Board, Start};
use crate::common::{locale, time_zone};
use crate::nixos::layout;

/// The rule about a boot loader that only UEFI starts.
const SYSTEMD_BOOT: &str = "systemd-boot";

const RULES: [Rule; 9] = [
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
        why: "the board cannot run programs of that system",
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
        id: SYSTEMD_BOOT,
        severity: Severity::Trap,
        is: |facts, _| {
            let is_only = facts.card && facts.loaders == ["systemd-boot"];
            (is_only && facts.sd.makes_menu)
                .then(|| "boot.loader.systemd-boot.enable = true, and no extlinux menu".into())
        },
        why: "this image starts from an extlinux menu, and nothing in it puts systemd-boot on the card",
        add: &[
            "boot.loader.systemd-boot.enable = lib.mkForce false;",
            "boot.loader.generic-extlinux-compatible.enable = lib.mkForce true;",
        ],
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
        severity: Severity::Trap,
        is: |facts, _| unknown_locale(facts).filter(|_| locale_fails(facts)),
        why: "glibc has no locale of that name in UTF-8, so the build of the locales fails",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
    Rule {
        id: "locale",
        severity: Severity::Note,
        is: |facts, _| {
            let is_built = facts.locale_is_built && !locale_fails(facts);
            unknown_locale(facts).filter(|_| is_built)
        },
        why: "glibc 2.36 has no such locale; unless a newer one has it, the build of the locales fails",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
    Rule {
        id: "locale",
        severity: Severity::Note,
        is: |facts, _| unknown_locale(facts).filter(|_| !facts.locale_is_built),
        why: "glibc has no locale of that name in UTF-8, so programs use English",
        add: &["i18n.defaultLocale = \"{locale}\";"],
    },
];

/// The mistakes in `facts` for an image of `system` (`aarch64-linux`), and for `board`, if it is for one in particular; traps first.
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
        .chain(idle_services::findings(facts))
        .chain(own_programs::findings(facts))
        .chain(own_units::findings(facts))
        .chain(own_commands::findings(facts))
        .chain(own_settings::findings(facts))
        .chain(own_times::findings(facts))
        .chain(named_values::findings(facts))
        .chain(closed_ports::findings(facts))
        .chain(unfilled::findings(facts))
        .chain(swap_files::findings(facts))
        .chain(stored_secrets::findings(facts));
    let mut all: Vec<Finding> = found.chain(own_messages(facts)).collect();
    if for_board.is_some_and(|board| matches!(board.start, Start::Uefi)) {
        all.retain(|finding| finding.id != SYSTEMD_BOOT);
    }
    all.extend(
        for_board
            .map(|board| board::findings(facts, board))
            .unwrap_or_default(),
    );
    all.sort_by_key(|finding| std::cmp::Reverse(finding.severity == Severity::Trap));
    all
}

/// The rules for every board.
pub(super) fn all_rules() -> impl Iterator<Item = &'static Rule> {
    let subjects: [&[Rule]; 14] = [
        &RULES,
        &state_version::RULES,
        &disks::RULES,
        &network::RULES,
        &network_ends::RULES,
        &name_servers::RULES,
        &wireless::RULES,
        &authorized_keys::RULES,
        &login::RULES,
        &unknown_groups::RULES,
        &user_names::RULES,
        &etc_files::RULES,
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

/// The configuration's own failed assertions, at which a build stops, and warnings.
fn own_messages(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let finding = |id, severity, why: &'static str| {
        move |text: &String| Finding {
            id,
            severity,
            is: text.trim().to_owned(),
            why: why.to_owned(),
            add: Vec::new(),
            place: None,
        }
    };
    let refused = finding("assertion", Severity::Trap, "NixOS refuses to build that");
    let failed = move |text: &String| {
        let state_version = state_version::refused(facts, text).map(|(is, line)| (is, vec![line]));
        let known = state_version.or_else(|| account_kind::refused(facts, text));
        match known
            .or_else(|| told_correction(text))
            .or_else(|| two_for_wifi(text))
        {
            Some((is, add)) => Finding {
                add,
                ..refused(&is)
            },
            None => refused(&own_paths(text)),
        }
    };
    let warned = finding("warning", Severity::Note, "NixOS warns of it");
    let assertions = facts.assertions.iter();
    let assertions = assertions.filter(|text| !account_kind::is_consequence(facts, text));
    let failed = assertions.map(failed);
    let warned = move |text: &String| renamed_option(text).unwrap_or_else(|| warned(text));
    failed.chain(facts.warnings.iter().map(warned))
}

/// `text` with the paths of the user's files as they are below the configuration's directory.
fn own_paths(text: &str) -> String {
    text.replace(layout::CONFIG_DIR, "")
}

/// What the assertion `text` says of the user's own setting, before the one that it tells to write, and that definition.
fn told_correction(text: &str) -> Option<(String, Vec<String>)> {
    let (before, rest) = text.split_once("You can fix it with:")?;
    let (definition, _) = rest.trim_start().split_once(';')?;
    let (option, value) = definition.split_once(" = ")?;
    let is_option = option
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "._-\"".contains(c));
    let is_value = !value.is_empty() && !value.contains(['\n', '{', '[']);
    (is_option && is_value).then(|| {
        (
            own_paths(before.split(", but").next().unwrap_or_default().trim()),
            vec![format!("{definition};")],
        )
    })
}

/// What the assertion `text` says of Wi-Fi that two programs are to manage, and the line for the one whose networks are defined.
fn two_for_wifi(text: &str) -> Option<(String, Vec<String>)> {
    let is_of_both = text.contains("networking.networkmanager with networking.wireless.networks");
    is_of_both.then(|| {
        (
            "networking.networkmanager.enable = true beside networking.wireless.networks".to_owned(),
            vec!["networking.networkmanager.enable = false; # wpa_supplicant connects to those networks".to_owned()],
        )
    })
}

/// What is said of an option of the user's own that has a new name, if the `warning` tells of one.
fn renamed_option(warning: &str) -> Option<Finding> {
    let (old, rest) = warning
        .strip_prefix("The option `")?
        .split_once("' defined in `")?;
    let (files, new) = rest.split_once("' has been renamed to `")?;
    let new = new.trim_end().strip_suffix("'.")?;
    // Others write their modules.
    let is_own = files.starts_with(layout::CONFIG_DIR) && !files.contains('\'');
    is_own.then(|| Finding {
        id: "warning",
        severity: Severity::Note,
        is: old.to_owned(),
        why: format!("NixOS has renamed that option to {new}"),
        add: vec![format!(
            "{new} = …; # in place of {old}, with the same value"
        )],
        place: None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    /// As NixOS reports them.
    #[test]
    fn assertions_tell_the_line_to_write() {
        let shell = "users.users.ann.shell is set to zsh, but\nprograms.zsh.enable is not true. This will cause the zsh\nshell to lack the \
                     basic nix directories.\nYou can fix it with:\nprograms.zsh.enable = true;\n\nIf you know what you're doing";
        let wifi = "You can not use networking.networkmanager with networking.wireless.networks.\nExcept if you mark";
        for (text, is, line) in [
            (
                shell,
                "users.users.ann.shell is set to zsh",
                Some("programs.zsh.enable = true;"),
            ),
            (
                wifi,
                "networking.networkmanager.enable = true beside networking.wireless.networks",
                Some(
                    "networking.networkmanager.enable = false; # wpa_supplicant connects to those networks",
                ),
            ),
            ("see /build/config/a.nix", "see a.nix", None),
            (
                "You can fix it with: a restart;",
                "You can fix it with: a restart;",
                None,
            ),
        ] {
            let facts = with(&[("/assertions", json!([text]))]);
            let found = findings(&facts, "aarch64-linux", None);
            let found = found.iter().find(|found| found.id == "assertion").unwrap();
            assert_eq!(found.is, is);
            assert_eq!(found.add.first().map(String::as_str), line, "{text}");
        }
    }
}
