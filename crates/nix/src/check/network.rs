//! The rules about the network and its wireless part. Pure.

use std::net::{IpAddr, Ipv4Addr};

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
    let wired = wrong_addresses(facts).chain(replaced_names(facts));
    let keys = wrong_keys(facts).into_iter();
    single
        .chain(wired)
        .chain(keys)
        .chain(open_passphrases(facts))
        .collect()
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

fn wrong_addresses(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let addresses = facts.network.addresses.iter();
    let wrong = addresses.filter(|one| one.address.parse::<Ipv4Addr>().is_err());
    wrong.map(|one| {
        Finding::of_option(
            "wrong-address",
            Error,
            member("networking.interfaces", &one.interface, "ipv4.addresses"),
            format!(" has {}, which is not an IPv4 address", nix_string(&one.address)),
            "the interface gets no address. The length of the network belongs in prefixLength, an IPv6 address in \
             ipv6.addresses",
        )
    })
}

fn replaced_names(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    facts.network.replaced_names.iter().map(|name| {
        let change = Change::set(path("networking.usePredictableInterfaceNames"), "false");
        let finding = Finding::of_option(
            "interface-name",
            Warning,
            member("networking.interfaces", name, ""),
            "",
            "the wired interface of most boards has another name, so these settings have no effect. It is end0 on a \
             Raspberry Pi 4 or 5, enu1u1 or enu1u1u1 on a Raspberry Pi 3 and enp0s1 in QEMU. `ip link` on the board shows \
             the name",
        );
        finding.fix([change.note("or use the interface's real name")])
    })
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{assert_found, found, of_id};

    #[test]
    fn the_machine_has_an_address() {
        let off = ("/network/dhcp_off", json!(["useDHCP", "dhcpcd.enable"]));
        let option = "networking.useDHCP";
        assert_found(&[("no-network", option, std::slice::from_ref(&off))]);
        assert_eq!(of_id("no-network", std::slice::from_ref(&off)).fix.len(), 2);
        for other in [
            "/network/interfaces",
            "/network/networkd",
            "/network/manager",
            "/network/iwd",
            "/container",
        ] {
            assert_eq!(
                found(&[off.clone(), (other, json!(true))]),
                [""; 0],
                "{other}"
            );
        }
        let address = |text: &str| {
            let all = json!([{ "interface": "end0", "address": text }]);
            ("/network/addresses", all)
        };
        let option = "networking.interfaces.end0.ipv4.addresses";
        for wrong in ["192.168.1.300", "192.168.1.5/24", "fd00::5", "pi"] {
            assert_found(&[("wrong-address", option, &[address(wrong)])]);
        }
        assert_eq!(found(&[address("192.168.1.5")]), [""; 0]);
        let names = ("/network/replaced_names", json!(["eth0"]));
        assert_found(&[("interface-name", "networking.interfaces.eth0", &[names])]);
    }

    #[test]
    fn a_fixed_address_needs_a_gateway_and_a_name_server() {
        let fixed = ("/network/fixed", json!(["eth0"]));
        let on = |name: &'static str| (name, json!(true));
        let (gateway, server) = (on("/network/gateway"), on("/network/name_server"));
        assert_found(&[
            (
                "no-gateway",
                "networking.defaultGateway",
                &[fixed.clone(), server],
            ),
            (
                "no-name-server",
                "networking.nameservers",
                &[fixed.clone(), gateway],
            ),
        ]);
        for other in [
            "interface_dhcp",
            "networkd",
            "manager",
            "iwd",
            "routes",
            "wireless",
        ] {
            let other = format!("/network/{other}");
            assert_eq!(
                found(&[fixed.clone(), (&other, json!(true))]),
                [""; 0],
                "{other}"
            );
        }
        for others in [json!(["wg0"]), json!(["eth0", "eth1"])] {
            let others = ("/network/fixed", others);
            assert_eq!(
                found(std::slice::from_ref(&others)),
                [""; 0],
                "DHCP elsewhere"
            );
            let off = [
                others,
                ("/network/dhcp_off", json!(["useDHCP"])),
                on("/network/interfaces"),
            ];
            assert_eq!(found(&off), ["no-gateway", "no-name-server"]);
        }
    }

    #[test]
    fn a_gateway_and_a_host_name_have_their_form() {
        for (wrong, line) in [("router", "192.168.1.1"), ("10.0.0.1/8", "10.0.0.1")] {
            let finding = of_id(
                "wrong-gateway",
                &[("/network/gateway_address", json!(wrong))],
            );
            let line =
                format!("networking.defaultGateway = \"{line}\"; # the address of your router");
            assert_eq!(finding.lines(None), [line]);
        }
        for right in ["192.168.1.1", "fe80::1%end0"] {
            assert_eq!(
                found(&[("/network/gateway_address", json!(right))]),
                [""; 0]
            );
        }
        for (wrong, right) in [("my_pi", "my-pi"), ("a_-", "nixos")] {
            let finding = of_id("host-name", &[("/host_name", json!(wrong))]);
            assert_eq!(
                finding.lines(None),
                [format!("networking.hostName = \"{right}\";")]
            );
        }
        for right in ["", "pi-4"] {
            assert_eq!(found(&[("/host_name", json!(right))]), [""; 0]);
        }
    }

    fn on() -> [(&'static str, Value); 2] {
        let on = |name| (name, json!(true));
        [on("/network/wireless"), on("/network/networks")]
    }

    fn wireless(more: &[(&'static str, Value)]) -> Vec<(&'static str, Value)> {
        [&on()[..], more].concat()
    }

    #[test]
    fn wireless_networks_need_a_key_that_can_be_one() {
        let phrase = |bytes: usize| {
            let open = json!([{ "network": "Home", "bytes": bytes }]);
            ("/network/open_passphrases", open)
        };
        let raw = ("/network/wrong_raw_keys", json!(["Home"]));
        let without_file = json!([{ "network": "Home", "name": "home" }]);
        let without_file = ("/network/keys_without_file", without_file);
        let option = |name: &str| format!("networking.wireless.networks.Home.{name}");
        assert_found(&[
            ("wireless-off", "networking.wireless.networks", &on()[1..]),
            ("open-passphrase", &option("psk"), &wireless(&[phrase(8)])),
            ("open-passphrase", &option("psk"), &wireless(&[phrase(63)])),
            (
                "wireless-key",
                &option("pskRaw"),
                &wireless(std::slice::from_ref(&raw)),
            ),
            (
                "wireless-key",
                &option("pskRaw"),
                &wireless(std::slice::from_ref(&without_file)),
            ),
            (
                "wireless-off",
                "networking.wireless.networks",
                &[on()[1].clone(), raw.clone()],
            ),
        ]);
        assert_eq!(
            found(&wireless(&[phrase(7)])),
            ["wireless-key", "open-passphrase"]
        );
        let old = json!([{ "network": "Home", "name": "PSK_HOME" }]);
        let old = of_id("wireless-key", &wireless(&[("/network/old_names", old)])).lines(None);
        assert!(
            old[0].contains("Home.pskRaw = \"ext:PSK_HOME\";"),
            "{old:?}"
        );
        assert!(
            old[1].contains("networking.wireless.secretsFile = "),
            "{old:?}"
        );
        let group = ("/groups", json!(["wheel", "wpa_supplicant"]));
        let lines = of_id("wireless-key", &wireless(&[without_file, group])).lines(None);
        let rule = "systemd.tmpfiles.rules = [ \"z /etc/wifi-secrets 0640 root wpa_supplicant\" ];";
        assert!(
            lines[0].ends_with("with the line home=the passphrase"),
            "{lines:?}"
        );
        assert_eq!(lines[1..], [rule]);
    }

    #[test]
    fn a_passphrase_goes_to_the_file_with_secrets() {
        let open = json!([{ "network": "Home", "bytes": 8 }, { "network": "My ${x}", "bytes": 8 }]);
        let open = ("/network/open_passphrases", open);
        let last = |more: &[(&'static str, Value)]| {
            let changes = [&wireless(std::slice::from_ref(&open))[..], more].concat();
            let found = super::findings(&super::super::tests::with(&changes));
            let lines = found.iter().map(|finding| finding.lines(None));
            lines
                .map(|lines| (lines.len(), lines.last().unwrap().clone()))
                .collect::<Vec<_>>()
        };
        let start = "networking.wireless.networks";
        let (home, other) = (
            format!("{start}.Home.pskRaw = \"ext:NAME\"; # replaces psk"),
            format!("{start}.\"My \\${{x}}\".pskRaw = \"ext:NAME2\"; # replaces psk"),
        );
        assert_eq!(last(&[]), [(2, home.clone()), (2, other)]);
        for (path, shown) in [
            ("/run/wifi", "/run/wifi"),
            ("", "networking.wireless.secretsFile"),
        ] {
            let line = format!("{home}, with the line NAME=the passphrase in {shown}");
            let found = last(&[("/network/secrets_file", json!(path))]);
            assert_eq!(found[0], (1, line));
        }
    }
}
