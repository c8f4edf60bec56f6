//! The rules about the release, time, language and upgrades, and NixOS's own messages. Pure.

use super::facts::ConfigFacts;
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, OptionPath, Value, path};
use crate::attribute_path;
use crate::layout;
use crate::locale;
use crate::time_zone;
use sdbuild_core::nix_string::nix_string;
use sdbuild_image::board::Board;

/// What is wrong with the release, time, language and upgrades, and what NixOS itself says.
pub(super) fn findings(facts: &ConfigFacts, board: Option<&Board>) -> Vec<Finding> {
    let single = [
        vendor_kernel(facts),
        upgrade_in_memory(facts, board),
        state_version(facts),
        wrong_time_zone(facts),
        wrong_locale(facts),
        no_upgrade(facts),
    ];
    let failed = facts.assertions.iter().map(|text| assertion(facts, text));
    let warnings = facts.warnings.iter().map(|text| warning(text));
    let single = single.into_iter().flatten();
    single.chain(failed).chain(warnings).collect()
}

fn state_version(facts: &ConfigFacts) -> Option<Finding> {
    let option = path("system.stateVersion");
    let release = nix_string(facts.release.as_deref().unwrap_or("26.05"));
    let finding = Finding::of_option(
        "state-version",
        Warning,
        option.clone(),
        " is not set",
        "the next upgrade may misread this machine's data as that of a newer release",
    );
    let is_missing = facts.state_version.is_none();
    is_missing.then(|| finding.fix([Change::set(option, release)]))
}

/// What follows a wrong value that may mean `name`.
fn did_you_mean(name: &str) -> String {
    format!(" (did you mean {name}?)")
}

fn wrong_time_zone(facts: &ConfigFacts) -> Option<Finding> {
    let zone = facts.time_zone.as_deref();
    let zone = zone.filter(|zone| !time_zone::is_known(zone))?;
    let option = path("time.timeZone");
    let set = |zone: &str| Change::set(option.clone(), nix_string(zone));
    let similar = time_zone::suggestion(zone);
    let change = similar.map_or_else(|| set("Europe/Berlin").note("an example"), set);
    let finding = Finding::of_value(
        "time-zone",
        Warning,
        option.clone(),
        nix_string(zone),
        "the tz database has no such zone, so the clock shows UTC",
    );
    let detail = similar.map(did_you_mean).unwrap_or_default();
    Some(finding.detail(detail).fix([change]))
}

fn wrong_locale(facts: &ConfigFacts) -> Option<Finding> {
    let name = facts.locale.as_deref();
    let name = name.filter(|name| locale::is_valid(name) == Some(false))?;
    let (severity, why) = match (facts.locale_is_built, locale::with_utf8(name).is_some()) {
        (true, true) => (
            Error,
            "glibc has no such locale in UTF-8, so the build fails",
        ),
        (true, false) => (
            Warning,
            "glibc 2.36 has no such locale. The build fails, unless a newer glibc has it",
        ),
        (false, _) => (
            Warning,
            "glibc has no such locale in UTF-8, so programs use English",
        ),
    };
    let option = path("i18n.defaultLocale");
    let similar = locale::suggestion(name);
    let value = nix_string(similar.unwrap_or("en_US.UTF-8"));
    let change = Change::set(option.clone(), value);
    let finding = Finding::of_value("locale", severity, option, nix_string(name), why);
    let detail = similar.map(did_you_mean).unwrap_or_default();
    Some(finding.detail(detail).fix([change]))
}

fn no_upgrade(facts: &ConfigFacts) -> Option<Finding> {
    let finding = Finding::of_value(
        "no-upgrade",
        Warning,
        path("system.autoUpgrade.enable"),
        "true",
        "without system.autoUpgrade.flake the board builds /etc/nixos/configuration.nix, which is not on the card, so every \
         upgrade fails",
    );
    let channel = if facts.upgrade_has_channel {
        "replaces channel; "
    } else {
        ""
    };
    let flake = Change::set(
        path("system.autoUpgrade.flake"),
        nix_string("github:me/config#NAME"),
    );
    let flake = flake.note(format!(
        "{channel}the flake with the configuration of this machine"
    ));
    (facts.upgrades_to_nothing && facts.card).then(|| finding.fix([flake]))
}

/// A kernel that is compiled, unless its makers' own tests put it into a cache.
fn vendor_kernel(facts: &ConfigFacts) -> Option<Finding> {
    let name = facts.vendor_kernel.as_ref()?;
    let option = path("boot.kernelPackages");
    let finding = Finding::of_option(
        "vendor-kernel",
        Warning,
        option.clone(),
        format!(" has {name}, the kernel of nixos-hardware"),
        "NixOS's binary cache has it for hardly any revision of nixpkgs. If not, the build compiles it, which takes hours under \
         emulation; `sdbuild build --dry-run` says whether. The kernel of NixOS is in the cache",
    );
    Some(finding.fix([Change::set(option, "pkgs.linuxPackages")]))
}

/// A board with little memory evaluates NixOS, which takes more than that.
fn upgrade_in_memory(facts: &ConfigFacts, board: Option<&Board>) -> Option<Finding> {
    let board = board.filter(|_| facts.upgrades_in_memory && !facts.upgrades_to_nothing)?;
    let memory = board.memory_mib?;
    let swap = path("swapDevices");
    let why = format!(
        "the board evaluates NixOS itself, which takes more than its {memory} MiB of memory: the kernel ends the upgrade, or \
         other programs. Without swap, let another machine build (`nixos-rebuild --target-host`)"
    );
    let option = path("system.autoUpgrade.enable");
    let finding = Finding::of_value("upgrade-memory", Warning, option, "true", why);
    let value = "[ { device = \"/var/swapfile\"; size = 2048; } ]";
    Some(finding.fix([Change::set(swap, value).note("2 GiB of the card")]))
}

/// A failed assertion of NixOS's modules, at which a build stops.
fn assertion(facts: &ConfigFacts, text: &str) -> Finding {
    let refused = "NixOS refuses to build this configuration";
    if let Some(removed) = removed_option(text) {
        return removed;
    }
    // Only nixpkgs' module for images of any board leaves GRUB on.
    if facts.card && facts.loaders == ["grub"] && text.contains("boot.loader.grub.devices") {
        let grub = path("boot.loader.grub.enable");
        let extlinux = path("boot.loader.generic-extlinux-compatible.enable");
        let why = "NixOS refuses to build, because GRUB needs a disk. A card of sd-image-aarch64.nix has a boot loader \
                   without GRUB; sd-image.nix alone has none";
        let finding = Finding::of_value("assertion", Error, grub.clone(), "true", why);
        return finding.fix([Change::set(grub, "false"), Change::set(extlinux, "true")]);
    }
    let finding = Finding::general("assertion", Error, own_paths(text), refused);
    finding.fix(proposed_definition(text))
}

/// A warning of NixOS's modules.
fn warning(text: &str) -> Finding {
    renamed_option(text).unwrap_or_else(|| {
        Finding::general("warning", Warning, own_paths(text), "NixOS warns about it")
    })
}

/// `text` with the paths of the user's files as they are below the configuration's directory.
fn own_paths(text: &str) -> String {
    let text = text.replace(layout::CONFIG_DIR, "");
    // Messages of NixOS are sentences.
    text.trim().trim_end_matches('.').to_owned()
}

/// The definition that an assertion proposes: `You can fix it with:`, `programs.zsh.enable = true;`.
fn proposed_definition(text: &str) -> Option<Change> {
    let (_, rest) = text.split_once("You can fix it with:")?;
    let (definition, _) = rest.trim_start().split_once(';')?;
    let (option, value) = definition.split_once(" = ")?;
    let is_value = !value.is_empty() && !value.contains(['\n', '{', '[']);
    let option = attribute_path::parse(option).ok();
    let option = option.filter(|names| names.len() > 1 && is_value)?;
    Some(Change::set(option, value))
}

/// An option of the user's own that NixOS no longer has, if the assertion `text` is about one.
fn removed_option(text: &str) -> Option<Finding> {
    let rest = text.strip_prefix("The option definition `")?;
    let (option, rest) = rest.split_once("' in `")?;
    let (files, advice) = rest.split_once("' no longer has any effect; please remove it.")?;
    let is_own = files.starts_with(layout::CONFIG_DIR) && !files.contains('\'');
    let advice = match option {
        "boot.loader.raspberryPi" => {
            "The image starts by U-Boot and an extlinux menu without it".to_owned()
        }
        _ => advice.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let why = format!(
        "NixOS refuses to build. Remove it from {}. {advice}",
        own_paths(files)
    );
    let why = why.trim_end_matches(['.', ' ']);
    let option = attribute_path::parse(option).ok().filter(|_| is_own)?;
    let detail = " is an option that NixOS no longer has";
    Some(Finding::of_option("assertion", Error, option, detail, why))
}

/// An option of the user's own that has a new name, if the warning `text` is about one.
fn renamed_option(text: &str) -> Option<Finding> {
    let (old, rest) = text.strip_prefix("The option `")?.split_once('\'')?;
    // Of options in a set such as `users.users.ann`, no file is named.
    let (files, new) = rest.split_once(" has been renamed to `")?;
    let new = new.trim_end().strip_suffix("'.")?;
    let file = match files.strip_prefix(" defined in `") {
        Some(files) => Some(files.strip_suffix('\'')?),
        None => None,
    };
    // Others write their modules.
    let is_own =
        file.is_none_or(|file| file.starts_with(layout::CONFIG_DIR) && !file.contains('\''));
    let path = |text: &str| -> Option<OptionPath> { attribute_path::parse(text).ok() };
    let (old, new) = (path(old)?, path(new).filter(|_| is_own)?);
    let change = Change::new(new, Value::Of(old.clone()));
    let why = "NixOS has given that option another name";
    Some(Finding::of_option("warning", Warning, old, "", why).fix([change]))
}

/// Leaves out the change that gives an option its new name, where another of the findings `all` sets the option.
pub(super) fn keep_one_definition(all: &mut [Finding]) {
    let changes = all.iter().flat_map(|finding| &finding.fix);
    let set = changes.filter(|change| matches!(change.value, Value::Source(_)));
    let set: Vec<OptionPath> = set.map(|change| change.option.clone()).collect();
    for finding in all {
        let is_other = |change: &Change| {
            !matches!(change.value, Value::Of(_)) || !set.contains(&change.option)
        };
        finding.fix.retain(is_other);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use sdbuild_image::board::BoardName;

    use super::super::finding::option_text;
    use super::super::tests::{assert_found, found, of_id, only, with};
    use super::*;

    #[test]
    fn a_release_a_zone_and_a_locale_have_their_names() {
        let locale = |name: &str| ("/locale", json!(name));
        let not_built = || ("/locale_is_built", json!(false));
        assert_found(&[
            (
                "state-version",
                "system.stateVersion",
                &[("/state_version", Json::Null)],
            ),
            (
                "time-zone",
                "time.timeZone",
                &[("/time_zone", json!("Europe/Berln"))],
            ),
            ("locale", "i18n.defaultLocale", &[locale("xx_YY.UTF-8")]),
            ("", "", &[locale("C.UTF-8")]),
            ("", "", &[locale("de_DE.ISO-8859-1")]),
            ("", "", &[("/time_zone", json!("Etc/UTC"))]),
        ]);
        for (changes, severity) in [
            (vec![locale("de_DE")], Error),
            (vec![locale("xx_YY.UTF-8")], Warning),
            (vec![locale("de_DE"), not_built()], Warning),
        ] {
            assert_eq!(of_id("locale", &changes).severity, severity, "{changes:?}");
        }
        for (fact, value, line) in [
            ("/locale", "de_DE", "i18n.defaultLocale = \"de_DE.UTF-8\";"),
            ("/locale", "xx_YY", "i18n.defaultLocale = \"en_US.UTF-8\";"),
            (
                "/time_zone",
                "Europe/Viena",
                "time.timeZone = \"Europe/Vienna\";",
            ),
            (
                "/time_zone",
                "CEST",
                "time.timeZone = \"Europe/Berlin\"; # an example",
            ),
        ] {
            assert_eq!(only(&[(fact, json!(value))]).lines(None), [line]);
        }
    }

    #[test]
    fn upgrades_to_a_configuration_that_is_not_there_are_told() {
        let on = || ("/upgrades_to_nothing", json!(true));
        assert_found(&[("no-upgrade", "system.autoUpgrade.enable", &[on()])]);
        assert_eq!(found(&[on(), ("/card", json!(false))]), [""; 0]);
        // NixOS refuses a configuration with both.
        let channel = ("/upgrade_has_channel", json!(true));
        let line = of_id("no-upgrade", &[on(), channel]).lines(None).concat();
        assert!(line.contains("# replaces channel; "), "{line}");
    }

    #[test]
    fn a_small_board_that_evaluates_itself_needs_swap() {
        let on = || ("/upgrades_in_memory", json!(true));
        let ids = |board: &str, changes: &[(&str, Json)]| {
            let BoardName(board) = board.parse().unwrap();
            let found = super::super::findings(&with(changes), Some(board));
            found
                .into_iter()
                .map(|finding| finding.id)
                .collect::<Vec<_>>()
        };
        assert_eq!(ids("rpi02", &[on()]), ["upgrade-memory"]);
        assert_eq!(ids("rpi4", &[on()]), [""; 0]);
        let nothing = ("/upgrades_to_nothing", json!(true));
        assert_eq!(ids("rpi02", &[on(), nothing]), ["no-upgrade"]);
        assert_eq!(found(&[on()]), [""; 0]);
    }

    #[test]
    fn a_vendor_kernel_has_the_line_of_nixos_own() {
        let kernel = ("/vendor_kernel", json!("linux-rpi-6.18.39"));
        let kernel = [kernel];
        assert_found(&[("vendor-kernel", "boot.kernelPackages", &kernel)]);
        let lines = of_id("vendor-kernel", &kernel).lines(None);
        assert_eq!(lines, ["boot.kernelPackages = pkgs.linuxPackages;"]);
    }

    fn failed(text: &str) -> Finding {
        of_id("assertion", &[("/assertions", json!([text]))])
    }

    #[test]
    fn a_failed_assertion_has_the_line_that_it_proposes() {
        let shell = "users.users.ann.shell is set to zsh, but\nprograms.zsh.enable is not true.\nYou can fix it with:\n\
                     programs.zsh.enable = true;\n\nIf you know what you're doing";
        assert_eq!(failed(shell).lines(None), ["programs.zsh.enable = true;"]);
        for text in [
            "You can fix it with: a restart;",
            "see /build/config/a.nix.",
        ] {
            assert!(failed(text).fix.is_empty(), "{text}");
        }
        assert_eq!(failed("see /build/config/a.nix.").statement(), "see a.nix");
        let grub = ("/loaders", json!(["grub"]));
        let text = "You must set the option ‘boot.loader.grub.devices’";
        let finding = of_id("assertion", &[grub, ("/assertions", json!([text]))]);
        assert_eq!(
            option_text(&finding.option.unwrap()),
            "boot.loader.grub.enable"
        );
        assert_eq!(finding.fix.len(), 2);
        assert_eq!(failed(text).option, None);
    }

    #[test]
    fn an_option_that_was_removed_is_named() {
        let text = |file: &str| {
            format!(
                "The option definition `boot.loader.raspberryPi' in `{file}' no longer has any effect; please remove it.\nUse b."
            )
        };
        let finding = failed(&text("/build/config/a.nix"));
        assert_eq!(
            option_text(&finding.option.unwrap()),
            "boot.loader.raspberryPi"
        );
        assert!(
            finding
                .why
                .contains("from a.nix. The image starts by U-Boot"),
            "{}",
            finding.why
        );
        assert_eq!(failed(&text("/nix/store/x/a.nix")).option, None);
    }

    #[test]
    fn an_option_with_a_new_name_has_one_line() {
        let renamed = |file: &str| {
            let text = format!(
                "The option `services.openssh.passwordAuthentication'{file} has been renamed to \
                 `services.openssh.settings.PasswordAuthentication'."
            );
            of_id("warning", &[("/warnings", json!([text]))])
        };
        let own = " defined in `/build/config/a.nix'";
        let line = "services.openssh.settings.PasswordAuthentication = …; # replaces \
                    services.openssh.passwordAuthentication; keep its value";
        for file in [own, ""] {
            let finding = renamed(file);
            assert_eq!(finding.lines(None), [line]);
            let option = option_text(&finding.option.unwrap());
            assert_eq!(option, "services.openssh.passwordAuthentication");
        }
        assert_eq!(renamed(" defined in `/nix/store/x/a.nix'").option, None);
        let option = path("services.openssh.settings.PasswordAuthentication");
        let other = Finding::general("x", Warning, "", "").fix([Change::set(option, "false")]);
        let mut both = [renamed(own), other];
        keep_one_definition(&mut both);
        assert_eq!(both.map(|finding| finding.fix.len()), [0, 1]);
        let mut alone = [renamed(own)];
        keep_one_definition(&mut alone);
        assert_eq!(alone[0].fix.len(), 1);
    }

    #[test]
    fn a_warning_of_nixos_is_a_finding() {
        assert_eq!(found(&[("/warnings", json!(["old"]))]), ["warning"]);
    }
}
