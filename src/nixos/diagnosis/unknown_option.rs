//! Options that do not exist, and what may be meant by them. Pure.

use super::config_txt;
use super::defined_already;
use super::evidence::ExitContext;
use super::listed_definitions::up_to_element;
use super::misplaced_options;
use super::names::is_at;
use super::option_names::{
    OF_FILE, OF_SETS, OF_USERS, OTHER_NAMES, REMOVED, SIZES_OF_IMAGE, TEXT_OF_FILE, USER_OPTIONS,
    WITH_CAPITALS,
};
use super::written_values;
use crate::common::attribute_path;
use sdbuild_core::nearest::{is_slip, may_mean, similar_names, with_other_capitals};
use sdbuild_core::text::alternatives;

/// What may be meant by the option `name` of a user, which does not exist.
fn meant_of_user(name: &str) -> Option<String> {
    let other = OF_USERS.iter().find(|(other, _)| *other == name);
    let other = other.map(|(_, meant)| *meant);
    let of_keys = Some("openssh.authorizedKeys").filter(|known| is_slip(name, known));
    let other = other.or(of_keys).map(str::to_owned);
    other.or_else(|| similar_names(name, USER_OPTIONS))
}

/// Whether `rest`, which follows a name, does not continue its last part.
fn is_end_of_name(rest: &str) -> bool {
    rest.is_empty() || rest.starts_with('.')
}

/// The name, with its dot, of a file in `/etc` of which Nix takes what follows the dot for an `option`: `environment.etc.foo.conf`.
fn name_of_file(option: &str) -> Option<&str> {
    let name = option.strip_prefix("environment.etc.")?;
    let (front, end) = name.split_once('.')?;
    let is_plain = !name.contains('"') && !end.contains('.') && !front.is_empty();
    let is_option = OF_FILE.iter().any(|known| may_mean(end, known));
    (is_plain && !is_option).then_some(name)
}

/// What may be meant by an option that has no name like it in nixpkgs.
fn meant_option(option: &str) -> Option<String> {
    no_option(option)
        .or_else(|| in_quotes(option))
        .or_else(|| in_users(option))
        .or_else(|| in_etc(option))
        .or_else(|| in_known_set(option))
        .or_else(|| other_name(option).map(|meant| format!("did you mean {meant}?")))
        .or_else(|| open_port(option))
}

/// What opens the port of a service, which mostly is an option with another name.
fn open_port(option: &str) -> Option<String> {
    let (service, name) = option.rsplit_once('.')?;
    let is_meant = service.starts_with("services.") && ["openPort", "openPorts"].contains(&name);
    is_meant.then(|| {
        format!(
            "did you mean {service}.openFirewall? For a service without that option, open the port: networking.firewall.allowedTCPPorts = [ PORT ];"
        )
    })
}

/// What to write in place of something that is no option of any release, or of this one no longer.
fn no_option(option: &str) -> Option<String> {
    if defined_already::is_import(option) {
        return Some("include other files with imports = [ … ];".to_owned());
    }
    if SIZES_OF_IMAGE.contains(&option) {
        return Some(
            "remove it. The image is as large as its content, and the root file system fills the card at the first start"
                .to_owned(),
        );
    }
    if ["inputs", "outputs"].contains(&option) {
        return Some(
            "that is a flake, not a module. Rename the file to flake.nix, and run sdbuild in its directory".to_owned(),
        );
    }
    if let Some(hint) = config_txt::of_setting(option) {
        return Some(hint);
    }
    if option == "pkgs" {
        return Some(
            "a package is not an option. Write environment.systemPackages = [ pkgs.NAME ]; or the option of a program or a service"
                .to_owned(),
        );
    }
    let is_removed = |removed: &&str| option.strip_prefix(removed).is_some_and(is_end_of_name);
    let removed = REMOVED.iter().find(|removed| is_removed(removed))?;
    Some(format!(
        "NixOS no longer has {removed}. Remove the lines that define it"
    ))
}

/// The name of an option that is in quotes as a whole.
fn in_quotes(option: &str) -> Option<String> {
    let name = option.strip_prefix('"')?.strip_suffix('"')?;
    let has_parts = name.contains('.');
    has_parts.then(|| format!("remove the quotes around {name}"))
}

/// What may be meant by an option of a user.
fn in_users(option: &str) -> Option<String> {
    let of_user = option.strip_prefix("users.users.")?;
    if of_user.starts_with("openssh.") {
        return Some(format!(
            "the name of the user is missing: users.users.NAME.{of_user}"
        ));
    }
    let (user, name) = of_user.split_once('.')?;
    let meant = meant_of_user(name)?;
    Some(format!("did you mean users.users.{user}.{meant}?"))
}

/// What may be meant by an option of a file in `/etc`.
fn in_etc(option: &str) -> Option<String> {
    let (_, name) = option.strip_prefix("environment.etc.")?.rsplit_once('.')?;
    if TEXT_OF_FILE.contains(&name) {
        return Some("did you mean text?".to_owned());
    }
    let name = name_of_file(option)?;
    Some(format!(
        "put a name with a dot in quotes: environment.etc.\"{name}\""
    ))
}

/// What to write in place of an option that other programs have in such a set.
fn in_known_set(option: &str) -> Option<String> {
    let names = attribute_path::parse(option).ok()?;
    let mut known = OF_SETS.iter();
    let (_, meant) = known.find(|(pattern, _)| is_at(&names, pattern))?;
    Some((*meant).to_owned())
}

/// The option that `option` is called elsewhere, or with other capitals.
fn other_name(option: &str) -> Option<String> {
    if let Some(switch) = option.strip_suffix(".enabled") {
        return Some(format!("{switch}.enable"));
    }
    if option.starts_with("fileSystems.") && option.ends_with(".fstype") {
        return Some("fsType".to_owned());
    }
    let is_meant = |(name, _): &&(&str, &str)| name.eq_ignore_ascii_case(option);
    let other = OTHER_NAMES.iter().find(is_meant).map(|(_, meant)| *meant);
    other
        .or_else(|| with_other_capitals(option, WITH_CAPITALS))
        .map(str::to_owned)
}

/// The options in `users`.
const IN_USERS: [&str; 14] = [
    "allowNoPasswordLogin",
    "defaultUserHome",
    "defaultUserShell",
    "enforceIdUniqueness",
    "extraGroups",
    "extraUsers",
    "groups",
    "ldap",
    "manageLingering",
    "motd",
    "motdFile",
    "mutableUsers",
    "mysql",
    "users",
];

/// What may be meant by `users.NAME`, if `option` is of this form: an option, or the user NAME.
fn user_or_option(option: &str) -> Option<String> {
    let name = option
        .strip_prefix("users.")
        .filter(|name| !name.contains('.'))?;
    let meant = similar_names(name, IN_USERS).unwrap_or_else(|| format!("users.{name}"));
    Some(format!("did you mean users.{meant}?"))
}

/// What is meant by `user` in place of `users`, of which Nix tells only this part.
fn user_without_s(context: &ExitContext<'_>) -> Option<String> {
    let (_, path) = context.files?.only_place(|text| {
        let values = written_values::values_below(text, "user").into_iter();
        values.map(|value| (value.line, value.defines)).collect()
    })?;
    let rest = path.strip_prefix("user.")?;
    let first = rest.split('.').next()?;
    Some(if IN_USERS.contains(&first) {
        format!("did you mean users.{rest}?")
    } else {
        format!("did you mean users.users.{rest}?")
    })
}

/// What may be meant by the option that the message `summary` of Nix says does not exist.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> String {
    let option = summary.split_once("The option `");
    let option = option.and_then(|(_, rest)| rest.split('\'').next());
    if option == Some("user")
        && let Some(meant) = user_without_s(context)
    {
        return meant;
    }
    if let Some(hint) = option.and_then(|option| defined_already::second_imports(context, option)) {
        return hint;
    }
    if let Some(meant) = option.and_then(|option| misplaced_options::hint(context, option)) {
        return meant;
    }
    // Before the proposals of nixpkgs, which always has some for these.
    if let Some(meant) =
        option.and_then(|option| meant_option(option).or_else(|| user_or_option(option)))
    {
        return meant;
    }
    let options = "https://search.nixos.org/options";
    let proposed = summary.split_once("Did you mean ");
    let names = proposed.and_then(|(_, rest)| rest.split_once('?'));
    // Nix's name of an element of a list is none that a file has.
    let element = option.map_or("", up_to_element);
    let plain = |names: &str| names.replace(['`', '\''], "").replace(element, "");
    let names = names.and_then(|(names, _)| meant_of_proposed(option?, &names.replace('`', "'")));
    match names {
        Some(names) => format!("did you mean {}? All options: {options}", plain(&names)),
        None => format!("check its spelling: {options}"),
    }
}

/// Whether `written` may mean the option `name`. Of three letters another one is mostly another word: `vnc` and `znc`.
fn is_near(written: &str, name: &str) -> bool {
    const MIN_LETTERS: usize = 4;
    let is_long = written.len().max(name.len()) >= MIN_LETTERS;
    may_mean(written, name) && (is_long || written.eq_ignore_ascii_case(name))
}

/// Those of the `proposed` names, each in quotes, that `option` may mean: nixpkgs proposes the nearest three of a set, near or not.
fn meant_of_proposed(option: &str, proposed: &str) -> Option<String> {
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let quoted = proposed.split('\'').skip(1).step_by(2);
    let near: Vec<&str> = quoted
        .filter(|name| is_near(&last(option), &last(name)))
        .collect();
    if let Some(only) = with_other_capitals(option, near.iter().copied()) {
        return Some(only.to_owned());
    }
    (!near.is_empty()).then(|| alternatives(&near))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_people_call_options_leads_to_their_names() {
        for (option, meant) in [
            ("environment.etc.\"motd\".txt", "text"),
            ("networking.useDhcp", "networking.useDHCP"),
            ("networking.gateway", "networking.defaultGateway"),
            ("services.ssh", "services.openssh"),
            ("users.ann", "users.users.ann"),
            ("users.mutableUser", "users.mutableUsers"),
            ("users.user", "users.users"),
            ("fileSystems.\"/data\".fstype", "fsType"),
            ("allowUnfree", "nixpkgs.config.allowUnfree"),
            (
                "systemd.services.web.enabled",
                "systemd.services.web.enable",
            ),
            ("hostname", "networking.hostName"),
            ("users.users.pi.isNormaluser", "users.users.pi.isNormalUser"),
            (
                "users.users.pi.openssh.authorizedkeys",
                "users.users.pi.openssh.authorizedKeys",
            ),
            ("users.users.pi.ssh", "users.users.pi.openssh"),
            ("users.users.pi.extragroups", "users.users.pi.extraGroups"),
            (
                "users.users.root.openssh.authorisedKeys",
                "users.users.root.openssh.authorizedKeys",
            ),
            (
                "services.openssh.passwordauth",
                "services.openssh.settings.PasswordAuthentication",
            ),
        ] {
            let hint = hint(
                &ExitContext::default(),
                &format!("The option `{option}' does not exist."),
            );
            assert_eq!(hint, format!("did you mean {meant}?"), "{option}");
        }
    }

    #[test]
    fn what_is_no_option_has_an_answer_of_its_own() {
        for (option, part) in [
            ("outputs", "that is a flake, not a module"),
            ("include", "imports = [ … ];"),
            ("Imports", "imports = [ … ];"),
            (
                "users.users.openssh.authorizedKeys",
                "users.users.NAME.openssh.authorizedKeys",
            ),
            ("sdImage.size", "remove it. The image is as large"),
            ("sdImage.imageSize", "remove it. The image is as large"),
            (
                "boot.loader.raspberryPi",
                "NixOS no longer has boot.loader.raspberryPi. Remove the lines",
            ),
            ("sound", "NixOS no longer has sound. Remove"),
            ("sound.mediaKeys", "NixOS no longer has sound. Remove"),
            (
                "services.caddy.virtualHosts.\"pi.lan\".reverse_proxy",
                "extraConfig = \"reverse_proxy …\";",
            ),
            (
                "virtualisation.oci-containers.containers.web.restart",
                "remove it. The container is a service",
            ),
            ("hardware.spi", "the recipe \"GPIO, I2C, SPI\""),
            ("hardware.raspberry-pi", "hardware.deviceTree.overlays"),
            (
                "networking.wireless.psk",
                "networking.wireless.networks.\"NAME\".psk = \"…\";",
            ),
            (
                "networking.interfaces.eth0.gateway",
                "networking.defaultGateway",
            ),
            (
                "services.jellyfin.openPort",
                "services.jellyfin.openFirewall?",
            ),
            (
                "services.syncthing.openPort",
                "services.syncthing.openDefaultPorts?",
            ),
            ("networking.staticIP", "ipv4.addresses = [ { address"),
            ("pkgs", "environment.systemPackages = [ pkgs.NAME ];"),
            ("sounds", "check its spelling"),
            ("services.nope", "check its spelling"),
            ("users.x.y", "check its spelling"),
        ] {
            let hint = hint(
                &ExitContext::default(),
                &format!("The option `{option}' does not exist."),
            );
            assert!(hint.contains(part), "{hint}");
        }
    }

    #[test]
    fn what_nixpkgs_proposes_is_told_as_far_as_it_is_meant() {
        let far = "The option `users.ann' does not exist. Did you mean `users.ldap', `users.motd' or `users.mysql'?";
        assert_eq!(
            hint(&ExitContext::default(), far),
            "did you mean users.users.ann?"
        );
        let short = "The option `services.vnc' does not exist. Did you mean `services.znc'?";
        assert!(hint(&ExitContext::default(), short).starts_with("check its spelling"));
        let near = "The option `services.opensh' does not exist. Did you mean `services.openssh'?";
        assert!(hint(&ExitContext::default(), near).starts_with("did you mean services.openssh?"));
        let capitals = "The option `i18n.defaultlocale' does not exist. Did you mean `i18n.defaultLocale', `i18n.defaultCharset' or `i18n.inputMethod'?";
        let told = hint(&ExitContext::default(), capitals);
        assert!(
            told.starts_with("did you mean i18n.defaultLocale? All"),
            "{told}"
        );
        let words = "The option `networking.firewall.allowedPorts' does not exist. Did you mean `networking.firewall.allowedTCPPorts', `networking.firewall.allowedUDPPorts' or `networking.firewall.allowPing'?";
        let told = hint(&ExitContext::default(), words);
        assert!(
            told.starts_with("did you mean networking.firewall.allowedTCPPorts or networking.firewall.allowedUDPPorts? \
             All"),
            "{told}"
        );
        let element = "The option `swapDevices.\"[definition 1-entry 1]\".devise' does not exist.\n\nDid you mean \
                       `swapDevices.\"[definition 1-entry 1]\".device' or `swapDevices.\"[definition 1-entry 1]\".size'?";
        let told = hint(&ExitContext::default(), element);
        assert!(told.starts_with("did you mean device?"), "{told}");
    }
}
