//! The rules about the network. Pure.

use std::net::{IpAddr, Ipv4Addr};

use super::Severity;
use super::facts::ConfigFacts;
use super::rule::Rule;
use crate::common::host_name;

pub(super) const RULES: [Rule; 9] = [
    Rule {
        id: "no-network",
        severity: Severity::Trap,
        is: |facts, _| {
            let net = &facts.network;
            let any = net.dhcp || net.interfaces || net.networkd || net.manager || net.iwd;
            (!any && !facts.container).then(|| {
                format!(
                    "networking.{} = false, and no interface has an address",
                    net.dhcp_off.join(" = networking.")
                )
            })
        },
        why: "the machine is not in any network",
        add: &["{dhcp}"],
    },
    Rule {
        id: "no-gateway",
        severity: Severity::Note,
        is: |facts, _| {
            let is_missing = has_only_fixed_addresses(facts) && !facts.network.gateway;
            is_missing.then(|| "a fixed address, and no networking.defaultGateway".into())
        },
        why: "the machine reaches its own network only, not the internet",
        add: &["networking.defaultGateway = \"192.168.1.1\"; # the address of your router"],
    },
    Rule {
        id: "wrong-address",
        severity: Severity::Trap,
        is: |facts, _| {
            let addresses = facts.network.addresses.iter();
            let wrong = addresses.filter(|text| Network::parse(text).is_none());
            let wrong: Vec<String> = wrong.filter_map(|text| said_of_address(text)).collect();
            (!wrong.is_empty()).then(|| {
                format!(
                    "networking.interfaces has the address {}",
                    wrong.join(", and ")
                )
            })
        },
        why: "the interface gets no address",
        add: &[
            "networking.interfaces.{interface}.ipv4.addresses = [ { address = \"{address}\"; prefixLength = {prefix}; } ]; # in place of that",
        ],
    },
    Rule {
        id: "interface-name",
        severity: Severity::Note,
        is: |facts, _| {
            let names = &facts.network.replaced_names;
            let options = names
                .iter()
                .map(|name| format!("networking.interfaces.{name}"));
            let options: Vec<String> = options.collect();
            (!options.is_empty()).then(|| options.join(", "))
        },
        why: "systemd gives the wired interface of most boards another name, so these settings have no effect: on a Raspberry Pi 4 \
              or 5 it is called end0, on a 3 enu1u1, in QEMU enp0s1; `ip link` on the board shows the name",
        add: &[
            "networking.usePredictableInterfaceNames = false; # or the name that the board's interface has",
        ],
    },
    Rule {
        id: "wrong-gateway",
        severity: Severity::Note,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            is_no_address(gateway).then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "that is no IP address, so the machine has no such gateway",
        add: &["networking.defaultGateway = \"{gateway}\"; # the address of your router"],
    },
    Rule {
        id: "other-gateway",
        severity: Severity::Note,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            is_out_of_reach(facts, gateway)
                .then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "the machine has no address in the network of that gateway, so it reaches its own network only",
        add: &["networking.defaultGateway = \"192.168.1.1\"; # the address of your router"],
    },
    Rule {
        id: "own-gateway",
        severity: Severity::Note,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            let is_own = |address: &String| address.split('/').next() == Some(gateway);
            let is_set = facts.network.addresses.iter().any(is_own);
            is_set.then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "that is an address of the machine itself, so it reaches its own network only",
        add: &["networking.defaultGateway = \"192.168.1.1\"; # the address of your router"],
    },
    Rule {
        id: "no-name-server",
        severity: Severity::Note,
        is: |facts, _| {
            let is_missing = has_only_fixed_addresses(facts) && !facts.network.name_server;
            is_missing.then(|| "a fixed address, and no networking.nameservers".into())
        },
        why: "the machine finds no address by its name, such as cache.nixos.org",
        add: &[
            "networking.nameservers = [ \"192.168.1.1\" ]; # usually the address of your router",
        ],
    },
    Rule {
        id: "host-name",
        severity: Severity::Note,
        is: |facts, _| {
            let name = facts.host_name.as_deref()?;
            let is_none = !name.is_empty() && !host_name::is_valid(name);
            is_none.then(|| format!("networking.hostName = \"{name}\""))
        },
        why: "NixOS accepts it, but names in a network have only letters, digits and, inside, `-`: routers and other machines may refuse it",
        add: &["networking.hostName = \"{host name}\";"],
    },
];

/// The names of the only Ethernet interface of most boards.
const ETHERNET: [&str; 2] = ["eth0", "end0"];

/// Whether the machine has addresses of its configuration only, so that no DHCP server tells it the rest.
fn has_only_fixed_addresses(facts: &ConfigFacts) -> bool {
    let net = &facts.network;
    let [first, others @ ..] = net.fixed.as_slice() else {
        return false;
    };
    let uses_dhcp = net.interface_dhcp || net.networkd || net.manager || net.iwd;
    // dhcpcd leaves interfaces with an address alone, and asks on all others.
    let has_others = !ETHERNET.contains(&first.as_str()) || !others.is_empty() || net.wireless;
    let uses_dhcp_elsewhere = net.dhcp && has_others;
    !uses_dhcp && !uses_dhcp_elsewhere && !net.routes && !facts.container
}

/// An IPv4 network.
struct Network {
    /// An address in it.
    address: Ipv4Addr,
    /// The number of the first bits that all its addresses have in common.
    prefix: u32,
}

impl Network {
    /// The network of `192.168.1.5/24`.
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = text.rsplit_once('/')?;
        let prefix = prefix
            .parse()
            .ok()
            .filter(|length| *length <= Ipv4Addr::BITS)?;
        Some(Self {
            address: address.parse().ok()?,
            prefix,
        })
    }

    fn has(&self, other: Ipv4Addr) -> bool {
        let differ = self.address.to_bits() ^ other.to_bits();
        differ.leading_zeros() >= self.prefix
    }

    /// Whether it is a single address: a gateway elsewhere then has a route of its own.
    fn is_single(&self) -> bool {
        self.prefix == Ipv4Addr::BITS
    }
}

/// Whether the machine has neither an address in a network with `gateway` nor a route to it.
fn is_out_of_reach(facts: &ConfigFacts, gateway: &str) -> bool {
    let net = &facts.network;
    let networks = net.addresses.iter().chain(&net.destinations);
    let networks: Option<Vec<Network>> = networks.map(|text| Network::parse(text)).collect();
    let is_known = has_only_fixed_addresses(facts) && !net.has_tunnels;
    let Some(networks) = networks.filter(|_| is_known) else {
        return false;
    };
    match gateway.parse() {
        Ok(IpAddr::V4(gateway)) => !networks
            .iter()
            .any(|network| network.is_single() || network.has(gateway)),
        // The addresses of IPv6 are not among the facts, and another rule tells of what is no address.
        Ok(IpAddr::V6(_)) | Err(_) => false,
    }
}

/// Whether `gateway` is no address of an IP network; that of a link may have the name of the link behind `%`.
fn is_no_address(gateway: &str) -> bool {
    let address = gateway.split('%').next().unwrap_or_default();
    address.parse::<IpAddr>().is_err()
}

/// The gateway's address without what is superfluous, if that is known.
pub(super) fn meant_gateway(facts: &ConfigFacts) -> Option<&str> {
    let gateway = facts.network.gateway_address.as_deref()?;
    let meant = gateway.split('/').next()?;
    (!is_no_address(meant)).then_some(meant)
}

/// What is wrong with the address in `text`, which ends in `/` and its `prefixLength`, if it has one.
fn said_of_address(text: &str) -> Option<String> {
    let (address, prefix) = text.rsplit_once('/')?;
    let length = address.split_once('/').map(|(_, length)| length);
    let length = length.filter(|length| is_length(length));
    let is_address = address.parse::<Ipv4Addr>().is_ok();
    Some(match (length, is_address) {
        (Some(length), _) => format!("\"{address}\" (the {length} belongs in prefixLength)"),
        (None, false) => format!("\"{address}\", which is no IPv4 address"),
        (None, true) if prefix.is_empty() => {
            format!("\"{address}\" without prefixLength, the length of its network")
        }
        (None, true) => format!("\"{address}\" with prefixLength = {prefix}, which is at most 32"),
    })
}

/// The first address that is none, with its `prefixLength` behind a `/`.
fn wrong_address(facts: &ConfigFacts) -> Option<&str> {
    let mut addresses = facts.network.addresses.iter();
    let wrong = addresses.find(|text| Network::parse(text).is_none())?;
    Some(wrong)
}

/// The address that is meant by it: without the length of the network that is written into it.
pub(super) fn meant_address(facts: &ConfigFacts) -> Option<&str> {
    let meant = wrong_address(facts)?.split('/').next()?;
    meant.parse::<Ipv4Addr>().is_ok().then_some(meant)
}

/// The length of its network: the one that is written into it, or its `prefixLength`.
pub(super) fn meant_length(facts: &ConfigFacts) -> Option<&str> {
    let (address, length) = wrong_address(facts)?.rsplit_once('/')?;
    let written = address.split_once('/').map(|(_, written)| written);
    written
        .into_iter()
        .chain([length])
        .find(|text| is_length(text))
}

/// Whether `text` is the length of a network of IPv4.
fn is_length(text: &str) -> bool {
    text.parse::<u32>()
        .is_ok_and(|length| length <= Ipv4Addr::BITS)
}

/// The lines with which interfaces use DHCP.
pub(super) fn lines_that_turn_dhcp_on(facts: &ConfigFacts) -> Vec<String> {
    let options = facts.network.dhcp_off.iter();
    options
        .map(|option| format!("networking.{option} = true;"))
        .collect()
}

/// The interface with a fixed address, if there is only one.
pub(super) fn fixed_interface(facts: &ConfigFacts) -> Option<&str> {
    match facts.network.fixed.as_slice() {
        [only] => Some(only),
        [] | [_, _, ..] => None,
    }
}

/// A name like that of the configuration that is valid.
pub(super) fn valid_host_name(facts: &ConfigFacts) -> Option<String> {
    let name = facts.host_name.as_deref()?.replace('_', "-");
    host_name::is_valid(&name).then_some(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::{found, with};

    #[test]
    fn all_that_turns_dhcp_off_is_turned_on() {
        let off = json!(["useDHCP", "dhcpcd.enable"]);
        let facts = with(&[("/network/dhcp", json!(false)), ("/network/dhcp_off", off)]);
        let found = findings(&facts, "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let setting = "networking.useDHCP = networking.dhcpcd.enable = false, and no interface has an address";
        assert_eq!((finding.id, finding.is.as_str()), ("no-network", setting));
        let lines = [
            "networking.useDHCP = true;",
            "networking.dhcpcd.enable = true;",
        ];
        assert_eq!(finding.add, lines);
    }

    #[test]
    fn a_fixed_address_needs_a_gateway_and_a_name_server() {
        let fixed = [
            ("/network/fixed", json!(["eth0"])),
            ("/network/interfaces", json!(true)),
        ];
        assert_eq!(found(&fixed), ["no-gateway", "no-name-server"]);
        let with = |others: &[&str]| {
            let others = others.iter().map(|name| (*name, json!(true)));
            found(&fixed.iter().cloned().chain(others).collect::<Vec<_>>())
        };
        assert_eq!(with(&["/network/gateway"]), ["no-name-server"]);
        assert_eq!(with(&["/network/name_server"]), ["no-gateway"]);
        for other in ["interface_dhcp", "networkd", "manager", "iwd", "routes"] {
            assert_eq!(with(&[&format!("/network/{other}")]), [""; 0], "{other}");
        }
        for others in [json!(["wg0"]), json!(["eth0", "eth1"]), json!([])] {
            let changes = [
                ("/network/fixed", others),
                ("/network/interfaces", json!(true)),
            ];
            assert_eq!(found(&changes), [""; 0], "{changes:?}");
            if changes[0].1 != json!([]) {
                let alone = [&changes[..], &[("/network/dhcp", json!(false))]].concat();
                assert_eq!(found(&alone), ["no-gateway", "no-name-server"]);
            }
        }
        let wireless = ["/network/wireless", "/network/elsewhere"];
        assert_eq!(with(&wireless), [""; 0], "DHCP on the wireless interface");
        assert_eq!(with(&["/container"]), [""; 0], "the engine says both");
    }

    #[test]
    fn addresses_and_the_gateway_are_in_one_network() {
        let with = |address: &str, gateway: &str| {
            found(&[
                ("/network/fixed", json!(["eth0"])),
                ("/network/interfaces", json!(true)),
                ("/network/gateway", json!(true)),
                ("/network/name_server", json!(true)),
                ("/network/addresses", json!([address])),
                ("/network/gateway_address", json!(gateway)),
            ])
        };
        for (address, gateway) in [
            ("192.168.1.5/24", "192.168.1.1"),
            ("10.1.2.3/8", "10.200.0.1"),
            ("10.0.0.2/32", "172.31.1.1"),
            ("10.0.0.2/0", "172.31.1.1"),
            ("10.0.0.2/24", "fe80::1"),
        ] {
            assert_eq!(with(address, gateway), [""; 0], "{address} {gateway}");
        }
        assert_eq!(with("192.168.1.5/24", "192.168.1.5"), ["own-gateway"]);
        for gateway in ["192.168.2.1", "192.168.0.1"] {
            assert_eq!(
                with("192.168.1.5/24", gateway),
                ["other-gateway"],
                "{gateway}"
            );
        }
        for gateway in ["router", "192.168.1.256", "192.168.1.1/24"] {
            assert_eq!(
                with("192.168.1.5/24", gateway),
                ["wrong-gateway"],
                "{gateway}"
            );
        }
        for address in ["192.168.1.300/24", "192.168.1.5/24/24", "pi/24"] {
            assert_eq!(with(address, "192.168.1.1"), ["wrong-address"], "{address}");
        }
        for other in [
            ("/network/destinations", json!(["10.9.0.0/16"])),
            ("/network/has_tunnels", json!(true)),
        ] {
            let reached = [
                ("/network/fixed", json!(["eth0"])),
                ("/network/interfaces", json!(true)),
                ("/network/gateway", json!(true)),
                ("/network/name_server", json!(true)),
                ("/network/addresses", json!(["192.168.1.5/24"])),
                ("/network/gateway_address", json!("10.9.0.1")),
                other,
            ];
            assert_eq!(found(&reached), [""; 0]);
        }
    }

    #[test]
    fn a_wrong_address_is_corrected_as_far_as_it_is_known() {
        let told = |changes: &[(&str, serde_json::Value)]| {
            let mut found = findings(&with(changes), "aarch64-linux", None).into_iter();
            let ids = ["wrong-address", "wrong-gateway"];
            let found = found.find(|finding| ids.contains(&finding.id)).unwrap();
            (found.is, found.add.concat())
        };
        let list = "ipv4.addresses = [ { address = \"192.168.1.5\"; prefixLength";
        for (fixed, address, said, line) in [
            (
                json!(["end0"]),
                "192.168.1.5/16/24",
                "\"192.168.1.5/16\" (the 16 belongs in prefixLength)",
                format!("networking.interfaces.end0.{list} = 16; }} ]; # in place of that"),
            ),
            (
                json!(["end0", "wlan0"]),
                "192.168.1.300/8",
                "\"192.168.1.300\", which is no IPv4 address",
                format!("networking.interfaces.NAME.{list} = 8; }} ]; # in place of that"),
            ),
            (
                json!(["end0"]),
                "192.168.1.5/",
                "\"192.168.1.5\" without prefixLength, the length of its network",
                format!("networking.interfaces.end0.{list} = 24; }} ]; # in place of that"),
            ),
            (
                json!(["end0"]),
                "192.168.1.5/33",
                "\"192.168.1.5\" with prefixLength = 33, which is at most 32",
                format!("networking.interfaces.end0.{list} = 24; }} ]; # in place of that"),
            ),
        ] {
            let (is, add) = told(&[
                ("/network/fixed", fixed),
                ("/network/addresses", json!([address])),
            ]);
            let start = "networking.interfaces has the address";
            assert_eq!((is, add), (format!("{start} {said}"), line));
        }
        let (_, add) = told(&[("/network/gateway_address", json!("10.0.0.1/8"))]);
        let line = "networking.defaultGateway = \"10.0.0.1\"; # the address of your router";
        assert_eq!(add, line);
    }

    #[test]
    fn a_name_that_systemd_replaces_is_told() {
        let names = ("/network/replaced_names", json!(["eth0"]));
        let found = findings(&with(&[names]), "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let said = (finding.id, finding.is.as_str());
        assert_eq!(said, ("interface-name", "networking.interfaces.eth0"));
    }

    #[test]
    fn a_host_name_is_one_of_the_network_too() {
        for name in ["my_pi", "a_-b"] {
            assert_eq!(
                found(&[("/host_name", json!(name))]),
                ["host-name"],
                "{name}"
            );
        }
        assert_eq!(found(&[("/host_name", json!(""))]), [""; 0], "from DHCP");
    }
}
