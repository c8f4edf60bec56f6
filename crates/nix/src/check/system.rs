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
    if let Some(removed) = removed_option(text, facts) {
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
fn removed_option(text: &str, facts: &ConfigFacts) -> Option<Finding> {
    let rest = text.strip_prefix("The option definition `")?;
    let (option, rest) = rest.split_once("' in `")?;
    let (files, advice) = rest.split_once("' no longer has any effect; please remove it.")?;
    let is_own = files.starts_with(layout::CONFIG_DIR) && !files.contains('\'');
    let advice = match option {
        "boot.loader.raspberryPi" if facts.loaders == ["generic-extlinux-compatible"] => {
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
