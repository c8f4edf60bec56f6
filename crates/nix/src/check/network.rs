//! The rules about the network and its wireless part. Pure.

use std::net::IpAddr;

use super::facts::{ConfigFacts, PassphraseFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, OptionPath, member, path};
use crate::wifi_passphrase;
use sdbuild_core::host_name;
use sdbuild_core::nix_string::nix_string;

/// What keeps the machine from its network.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let single = [
        no_network(facts),
        no_gateway(facts),
        wrong_gateway(facts),
        no_name_server(facts),
        wrong_host_name(facts),
        wireless_off(facts),
    ];
    let single = single.into_iter().flatten();
    let keys = wrong_keys(facts).into_iter();
    single.chain(keys).chain(open_passphrases(facts)).collect()
}

fn no_network(facts: &ConfigFacts) -> Option<Finding> {
    let net = &facts.network;
    let off = net
        .dhcp_off
        .iter()
        .map(|name| path(&format!("networking.{name}")));
    let changes = off.clone().map(|option| Change::set(option, "true"));
    let finding = Finding::of_value(
        "no-network",
        Error,
        off.clone().next()?,
        "false",
        "the machine gets no address, so nobody can reach it",
    );
    let any = net.interfaces || net.networkd || net.manager || net.iwd;
    (!any && !facts.container).then(|| {
        let detail = ", but no interface has an address";
        finding.detail(detail).fix(changes.collect::<Vec<_>>())
    })
}

/// Whether the machine has addresses of its configuration only, so that no DHCP server tells it the rest.
fn has_only_fixed_addresses(facts: &ConfigFacts) -> bool {
    /// The names of the only Ethernet interface of most boards.
    const ETHERNET: [&str; 2] = ["eth0", "end0"];
    let net = &facts.network;
    let [first, others @ ..] = net.fixed.as_slice() else {
        return false;
    };
    let uses_dhcp = net.interface_dhcp || net.networkd || net.manager || net.iwd;
    // dhcpcd leaves interfaces with an address alone, and asks on all others.
    let has_others = !ETHERNET.contains(&first.as_str()) || !others.is_empty() || net.wireless;
    let uses_dhcp_elsewhere = net.dhcp_off.is_empty() && has_others;
    !uses_dhcp && !uses_dhcp_elsewhere && !net.routes && !facts.container
}

fn gateway_change(address: &str) -> Change {
    let change = Change::set(path("networking.defaultGateway"), nix_string(address));
    change.note("the address of your router")
}

fn no_gateway(facts: &ConfigFacts) -> Option<Finding> {
    let finding = Finding::of_option(
        "no-gateway",
        Warning,
        path("networking.defaultGateway"),
        " is not set, beside a fixed address",
        "the machine reaches only its own network, not the internet",
    );
    let is_missing = has_only_fixed_addresses(facts) && !facts.network.gateway;
    is_missing.then(|| finding.fix([gateway_change("192.168.1.1")]))
}

fn wrong_gateway(facts: &ConfigFacts) -> Option<Finding> {
    // The address of a link may have the name of the link behind `%`.
    let is_address = |text: &str| {
        let address = text.split('%').next().unwrap_or_default();
        address.parse::<IpAddr>().is_ok()
    };
    let gateway = facts.network.gateway_address.as_deref();
    let gateway = gateway.filter(|text| !is_address(text))?;
    let without_length = gateway.split('/').next().filter(|text| is_address(text));
    let finding = Finding::of_value(
        "wrong-gateway",
        Warning,
        path("networking.defaultGateway"),
        nix_string(gateway),
        "that is not an IP address, so the machine reaches only its own network, not the internet",
    );
    Some(finding.fix([gateway_change(without_length.unwrap_or("192.168.1.1"))]))
}

fn no_name_server(facts: &ConfigFacts) -> Option<Finding> {
    let option = path("networking.nameservers");
    let finding = Finding::of_option(
        "no-name-server",
        Warning,
        option.clone(),
        " is not set, beside a fixed address",
        "the machine cannot look up names such as cache.nixos.org",
    );
    let change = Change::set(option, "[ \"192.168.1.1\" ]");
    let change = change.note("usually the address of your router");
    let is_missing = has_only_fixed_addresses(facts) && !facts.network.name_server;
    is_missing.then(|| finding.fix([change]))
}

fn wrong_host_name(facts: &ConfigFacts) -> Option<Finding> {
    let name = facts.host_name.as_deref()?;
    let option = path("networking.hostName");
    let is_wrong = !name.is_empty() && !host_name::is_valid(name);
    let finding = Finding::of_value(
        "host-name",
        Warning,
        option.clone(),
        nix_string(name),
        "NixOS accepts this name, but routers and other machines may not. Use letters and digits, with `-` only between \
         them",
    );
    let similar = Some(name.replace('_', "-")).filter(|name| host_name::is_valid(name));
    let value = nix_string(similar.as_deref().unwrap_or("nixos"));
    is_wrong.then(|| finding.fix([Change::set(option, value)]))
}

fn wireless_off(facts: &ConfigFacts) -> Option<Finding> {
    let finding = Finding::of_option(
        "wireless-off",
        Warning,
        path("networking.wireless.networks"),
        " is set, but wpa_supplicant is off",
        "only wpa_supplicant joins these networks; NetworkManager and iwd do not read them",
    );
    let change = Change::set(path("networking.wireless.enable"), "true");
    let change = change.note("instead of NetworkManager and iwd");
    (facts.network.networks && !facts.network.wireless).then(|| finding.fix([change]))
}

/// The option `name` of the wireless network `network`.
fn key_option(network: &str, name: &str) -> OptionPath {
    member("networking.wireless.networks", network, name)
}

/// Keys of wireless networks that cannot be one; without the keys themselves.
fn wrong_keys(facts: &ConfigFacts) -> Vec<Finding> {
    let net = &facts.network;
    if !net.wireless {
        return Vec::new();
    }
    let wrong = |option: OptionPath, detail: String| {
        let why =
            "wpa_supplicant does not accept that key, so the machine does not join the network";
        Finding::of_option("wireless-key", Error, option, detail, why)
    };
    let wrong_length = |one: &&PassphraseFacts| !wifi_passphrase::has_valid_length(one.bytes);
    let phrases = net.open_passphrases.iter().filter(wrong_length);
    let phrases = phrases.map(|one| {
        let option = key_option(&one.network, "psk");
        let change = Change::set(option.clone(), "\"…\"");
        let change = change.note("the passphrase of the network, 8 to 63 characters");
        wrong(
            option,
            format!(" has {} characters, not 8 to 63", one.bytes),
        )
        .fix([change])
    });
    let raw = net.wrong_raw_keys.iter().map(|network| {
        let detail = " is neither 64 hexadecimal digits nor ext:NAME; a passphrase belongs in psk";
        let finding = wrong(key_option(network, "pskRaw"), detail.to_owned());
        finding.fix(changes_for_file(facts, network, "that key"))
    });
    let without_file = net.keys_without_file.iter().map(|key| {
        let value = nix_string(&format!("ext:{}", key.name));
        let finding = Finding::of_value(
            "wireless-key",
            Error,
            key_option(&key.network, "pskRaw"),
            value,
            "networking.wireless.secretsFile does not name a file with that key, so the machine does not join the network",
        );
        finding.fix(changes_that_name_the_file(facts, &key.name))
    });
    let old = net.old_names.iter().map(|key| {
        let finding = Finding::of_value(
            "wireless-key",
            Error,
            key_option(&key.network, "psk"),
            nix_string(&format!("@{}@", key.name)),
            "that is the form until NixOS 24.11. Now it is taken for the passphrase itself, so the machine does not join the network",
        );
        let value = nix_string(&format!("ext:{}", key.name));
        let change = Change::set(key_option(&key.network, "pskRaw"), value);
        let file = changes_that_name_the_file(facts, &key.name);
        finding.fix(std::iter::once(change.note("instead of psk")).chain(file))
    });
    phrases.chain(raw).chain(without_file).chain(old).collect()
}

fn open_passphrases(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    facts.network.open_passphrases.iter().map(|one| {
        let finding = Finding::of_option(
            "open-passphrase",
            Warning,
            key_option(&one.network, "psk"),
            " is a passphrase in plain text",
            "anyone can read the passphrase on the card and in the Nix store of each machine that builds the image. Put it \
             into a file on the card, or write only the key derived from it, as `sdbuild init --wifi` does",
        );
        finding.fix(changes_for_file(facts, &one.network, "psk"))
    })
}

/// The changes with which the option names a file with the secrets, unless it does; the file has a line for `name`.
fn changes_that_name_the_file(facts: &ConfigFacts, name: &str) -> Vec<Change> {
    /// The group as which `wpa_supplicant` runs from NixOS 26.05 on.
    const GROUP: &str = "wpa_supplicant";
    if facts.network.secrets_file.is_some() {
        return Vec::new();
    }
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = if name.chars().all(is_plain) {
        name
    } else {
        "NAME"
    };
    let note = format!(
        "a file on the card that wpa_supplicant can read, with the line {name}=the passphrase"
    );
    let file = Change::set(
        path("networking.wireless.secretsFile"),
        "\"/etc/wifi-secrets\"",
    );
    let has_group = facts.groups.iter().any(|group| group == GROUP);
    let rule = format!("z /etc/wifi-secrets 0640 root {GROUP}");
    let readable = Change::add(path("systemd.tmpfiles.rules"), [nix_string(&rule)]);
    let readable = has_group.then_some(readable);
    std::iter::once(file.note(note)).chain(readable).collect()
}

/// The changes with which the key of `network` comes from a file on the card, in place of the option or value `replaced`.
fn changes_for_file(facts: &ConfigFacts, network: &str, replaced: &str) -> Vec<Change> {
    let mut others = facts.network.open_passphrases.iter();
    let position = others.position(|one| one.network == network);
    // The name of each network in the file is another one.
    let name = match position {
        Some(0) | None => "NAME".to_owned(),
        Some(n) => format!("NAME{}", n + 1),
    };
    let named = facts.network.secrets_file.as_deref();
    let is_shown = |path: &&str| !path.is_empty() && !path.contains(char::is_control);
    let in_file = named.map(|path| {
        let path = Some(path).filter(is_shown);
        let path = path.unwrap_or("networking.wireless.secretsFile");
        format!(", with the line {name}=the passphrase in {path}")
    });
    let key = Change::set(
        key_option(network, "pskRaw"),
        nix_string(&format!("ext:{name}")),
    );
    let key = key.note(format!(
        "replaces {replaced}{}",
        in_file.unwrap_or_default()
    ));
    let file = changes_that_name_the_file(facts, &name);
    file.into_iter().chain([key]).collect()
}
