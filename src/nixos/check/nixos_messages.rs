//! The failed assertions and the warnings of NixOS's modules, with what corrects them. Pure.

use super::Finding;
use super::Severity;
use super::facts::ConfigFacts;
use super::state_version;
use crate::common::attribute_path;
use crate::nixos::layout;

/// The configuration's own failed assertions, at which a build stops, and warnings.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
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
    let refused = finding(
        "assertion",
        Severity::Error,
        "NixOS refuses to build this configuration",
    );
    let failed = move |text: &String| {
        if let Some(removed) = removed_option(text) {
            return removed;
        }
        if let Some(part) = part_of_image(facts, text) {
            return part;
        }
        let state_version = state_version::refused(facts, text).map(|(is, line)| (is, vec![line]));
        match state_version
            .or_else(|| setting_and_correction(text))
            .or_else(|| mended(text))
            .or_else(|| doubled_setting_of_ssh(text))
        {
            Some((is, add)) => Finding {
                add,
                ..refused(&is)
            },
            None => refused(&own_paths(text)),
        }
    };
    let warning = finding("warning", Severity::Warning, "NixOS warns about it");
    let failed = facts.assertions.iter().map(failed);
    let warned = move |text: &String| {
        renamed_option(text).unwrap_or_else(|| Finding {
            add: recommended(text).into_iter().collect(),
            ..warning(&own_paths(text))
        })
    };
    failed.chain(facts.warnings.iter().map(warned))
}

/// `text` with the paths of the user's files as they are below the configuration's directory.
fn own_paths(text: &str) -> String {
    text.replace(layout::CONFIG_DIR, "")
}

/// What the assertion `text` says of the user's own setting, before the one that it tells to write, and that definition.
fn setting_and_correction(text: &str) -> Option<(String, Vec<String>)> {
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

/// Words of assertions, what each says of the user's own settings, and the line that mends them.
const MENDED: [(&str, &str, &str); 3] = [
    (
        "networking.networkmanager with networking.wireless.networks",
        "networking.networkmanager.enable = true with networking.wireless.networks",
        "networking.networkmanager.enable = false; # wpa_supplicant connects to those networks",
    ),
    (
        "dockerCompat conflicts with docker",
        "virtualisation.podman.dockerCompat = true beside Docker",
        "virtualisation.podman.dockerCompat = false; # or virtualisation.docker.enable = false;",
    ),
    (
        "`security.acme.acceptTerms`",
        "certificates of ACME without security.acme.acceptTerms",
        "security.acme.acceptTerms = true; # you accept the terms: https://letsencrypt.org/repository/",
    ),
];

/// The row of [`MENDED`] for the assertion `text`.
fn mended(text: &str) -> Option<(String, Vec<String>)> {
    let (_, is, line) = MENDED.iter().find(|(words, ..)| text.contains(words))?;
    Some(((*is).to_owned(), vec![(*line).to_owned()]))
}

/// The setting of the SSH server that differs from NixOS's only in its capitals, and what to write in place of it.
fn doubled_setting_of_ssh(text: &str) -> Option<(String, Vec<String>)> {
    let (_, keys) = text.split_once("Duplicate keys: (")?;
    let (first, second) = keys.split_once(')')?.0.split_once(", ")?;
    let is_capital = |name: &str| name.starts_with(|c: char| c.is_ascii_uppercase());
    let (right, wrong) = match (is_capital(first), is_capital(second)) {
        (true, false) => (first, second),
        (false, true) => (second, first),
        _ => return None,
    };
    let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric());
    (is_name(right) && right.eq_ignore_ascii_case(wrong)).then(|| {
        let settings = "services.openssh.settings";
        let line = format!("{settings}.{right} = …; # replaces {wrong}; keep its value");
        (format!("{settings}.{wrong}"), vec![line])
    })
}

/// What is said of GRUB without a disk, as the assertion `text` does, on a card: only nixpkgs' module for images of any board leaves it on.
fn part_of_image(facts: &ConfigFacts, text: &str) -> Option<Finding> {
    let is_on_card = facts.card && facts.loaders == ["grub"];
    let (system, _) = facts.system.split_once('-')?;
    (is_on_card && text.contains("boot.loader.grub.devices")).then(|| Finding {
        id: "assertion",
        severity: Severity::Error,
        is: "boot.loader.grub.enable = true".to_owned(),
        why: format!(
            "NixOS refuses to build, because GRUB needs a disk. If you import sd-image.nix, import \
             sd-image-{system}.nix of the same directory instead, which has a boot loader for cards"
        ),
        add: Vec::new(),
        place: None,
    })
}

/// How the reason begins of a finding about an option that NixOS no longer has.
pub(super) const GONE: &str = "NixOS no longer has that option";

/// Options that NixOS no longer has, and what does the same.
const INSTEAD: [(&str, &str); 1] = [(
    "boot.loader.raspberryPi",
    "The image starts by U-Boot and an extlinux menu without it",
)];

/// What is said of an option of the user's own that NixOS no longer has, if the assertion `text` tells of one.
fn removed_option(text: &str) -> Option<Finding> {
    let (option, rest) = text
        .strip_prefix("The option definition `")?
        .split_once("' in `")?;
    let (files, advice) = rest.split_once("' no longer has any effect; please remove it.")?;
    let is_own = files.starts_with(layout::CONFIG_DIR) && !files.contains('\'');
    let instead = INSTEAD.iter().find(|(known, _)| *known == option);
    let advice = match instead {
        Some((_, instead)) => (*instead).to_owned(),
        None => advice.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let advice = if advice.is_empty() {
        advice
    } else {
        format!(". {advice}")
    };
    is_own.then(|| Finding {
        id: "assertion",
        severity: Severity::Error,
        is: option.to_owned(),
        why: format!(
            "{GONE} and refuses to build. Remove it from {}{}",
            own_paths(files),
            advice.trim_end_matches('.')
        ),
        add: Vec::new(),
        place: None,
    })
}

/// What follows the new name in the line for an option that was renamed, before its old name.
const NEW_NAME_FOR: &str = " = …; # replaces ";
/// What follows the old name there.
const SAME_VALUE: &str = "; keep its value";

/// The new name and the old one in a `line` for an option that was renamed.
pub(super) fn renamed(line: &str) -> Option<(&str, &str)> {
    let (new, old) = line.split_once(NEW_NAME_FOR)?;
    Some((new, old.strip_suffix(SAME_VALUE)?))
}

/// Leaves one line for an option that was renamed, where another of the findings `all` has one with a value.
pub(super) fn join_renamed(all: &mut [Finding]) {
    let renamed = all.iter().filter_map(|finding| {
        let (new, old) = renamed(finding.add.first()?)?;
        Some((format!("{new} = "), old.to_owned()))
    });
    for (new, old) in renamed.collect::<Vec<_>>() {
        let mut lines = all.iter_mut().flat_map(|finding| &mut finding.add);
        let other = lines.find(|line| line.starts_with(&new) && !line.contains(NEW_NAME_FOR));
        let Some(other) = other else {
            continue;
        };
        *other = format!("{other} # replaces {old}");
        for finding in all.iter_mut() {
            finding
                .add
                .retain(|line| !(line.starts_with(&new) && line.ends_with(SAME_VALUE)));
        }
    }
}

/// What is said of an option of the user's own that has a new name, if the `warning` tells of one.
fn renamed_option(warning: &str) -> Option<Finding> {
    let (old, rest) = warning.strip_prefix("The option `")?.split_once('\'')?;
    // Of options in a set such as `users.users.ann`, no file is told.
    let (files, new) = rest.split_once(" has been renamed to `")?;
    let new = new.trim_end().strip_suffix("'.")?;
    let file = match files.strip_prefix(" defined in `") {
        Some(files) => Some(files.strip_suffix('\'')?),
        None => None,
    };
    // Others write their modules.
    let is_own =
        file.is_none_or(|file| file.starts_with(layout::CONFIG_DIR) && !file.contains('\''));
    let names = |path: &str| Some(attribute_path::text(&attribute_path::parse(path).ok()?));
    let (old, new) = (names(old)?, names(new)?);
    is_own.then(|| Finding {
        id: "warning",
        severity: Severity::Warning,
        why: format!("NixOS has renamed that option to {new}"),
        add: vec![format!("{new}{NEW_NAME_FOR}{old}{SAME_VALUE}")],
        is: old,
        place: None,
    })
}

/// The definition that a `warning` recommends: "`OPTION` is … highly recommended to set it to `VALUE`".
fn recommended(warning: &str) -> Option<String> {
    let (_, advice) = warning.split_once("recommended to set it to `")?;
    let value = advice.split('`').next()?;
    let option = warning.strip_prefix('`')?.split('`').next()?;
    let is_option = option.contains('.')
        && option
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c));
    (is_option && ["true", "false"].contains(&value)).then(|| format!("{option} = {value};"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;
    use super::*;

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
                "networking.networkmanager.enable = true with networking.wireless.networks",
                Some(
                    "networking.networkmanager.enable = false; # wpa_supplicant connects to those networks",
                ),
            ),
            (
                "Duplicate sshd config key; does your capitalization match the option's? Duplicate keys: (UseDns, useDns)",
                "services.openssh.settings.useDns",
                Some("services.openssh.settings.UseDns = …; # replaces useDns; keep its value"),
            ),
            (
                "Option dockerCompat conflicts with docker",
                "virtualisation.podman.dockerCompat = true beside Docker",
                Some(
                    "virtualisation.podman.dockerCompat = false; # or virtualisation.docker.enable = false;",
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

    /// The arrow of one finding was to keep the value that the arrow of another one changed.
    #[test]
    fn a_renamed_option_has_one_line() {
        let renamed = "The option `services.openssh.passwordAuthentication' defined in `/build/config/a.nix' has been renamed to \
                       `services.openssh.settings.PasswordAuthentication'.";
        let finding = |id: &'static str, line: &str| Finding {
            id,
            severity: Severity::Warning,
            is: id.to_owned(),
            why: String::new(),
            add: vec![line.to_owned()],
            place: None,
        };
        let mut all = [
            finding(
                "open-password",
                "services.openssh.settings.PasswordAuthentication = false;",
            ),
            renamed_option(renamed).unwrap(),
        ];
        join_renamed(&mut all);
        assert_eq!(
            all[0].add,
            [
                "services.openssh.settings.PasswordAuthentication = false; # replaces \
                 services.openssh.passwordAuthentication"
            ]
        );
        assert_eq!(all[1].add, [""; 0]);
        let mut alone = [renamed_option(renamed).unwrap()];
        join_renamed(&mut alone);
        assert_eq!(alone[0].add.len(), 1);
    }

    /// NixOS names no file for the options of a user.
    #[test]
    fn a_renamed_option_of_a_user_has_its_line() {
        let warning = "The option `users.users.\"ann\".passwordFile' has been renamed to `users.users.\"ann\".hashedPasswordFile'.";
        let found = renamed_option(warning).unwrap();
        assert_eq!(found.is, "users.users.ann.passwordFile");
        let line = "users.users.ann.hashedPasswordFile = …; # replaces users.users.ann.passwordFile; keep its value";
        assert_eq!(found.add, [line]);
        let other = "The option `a.b' defined in `/nix/store/x/c.nix' has been renamed to `a.c'.";
        assert_eq!(renamed_option(other), None);
    }

    #[test]
    fn an_option_that_was_removed_is_named() {
        let told = |option: &str| {
            let text = format!(
                "The option definition `{option}' in `/build/config/a.nix' no longer has any effect; please remove it.\nUse b\ninstead."
            );
            let facts = with(&[("/assertions", json!([text]))]);
            let found = findings(&facts, "aarch64-linux", None).remove(0);
            (found.is, found.why)
        };
        let (is, why) = told("services.a.b");
        assert_eq!(is, "services.a.b");
        assert!(
            why.ends_with("Remove it from a.nix. Use b instead"),
            "{why}"
        );
        let (_, why) = told("boot.loader.raspberryPi");
        assert!(why.contains("extlinux"), "{why}");
    }

    /// As NixOS 26.11 warns with the state of an older release.
    #[test]
    fn what_a_warning_recommends_is_the_line_to_write() {
        let zfs = "`boot.zfs.forceImportRoot` is using the default value of `true`. It is highly recommended to set it to `false`, the new \
                   default from 26.11 on.";
        for (text, lines) in [
            (zfs, &["boot.zfs.forceImportRoot = false;"][..]),
            ("mind `a.b`", &[]),
        ] {
            let found = findings(
                &with(&[("/warnings", json!([text]))]),
                "aarch64-linux",
                None,
            );
            assert_eq!(
                (found[0].id, found[0].add.as_slice()),
                (
                    "warning",
                    lines
                        .iter()
                        .map(ToString::to_string)
                        .collect::<Vec<_>>()
                        .as_slice()
                )
            );
        }
    }
}
