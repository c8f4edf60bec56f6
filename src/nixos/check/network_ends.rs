//! The first and the last address of a network, which no machine in it has. Pure.

use std::net::Ipv4Addr;

use super::Severity;
use super::addresses::{Network, has_only_fixed_addresses, meant_gateway};
use super::facts::ConfigFacts;
use super::rule::Rule;
use crate::common::attribute_path;

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "network-address",
        severity: Severity::Error,
        is: |facts, _| {
            let last = said_of_end(facts, End::Last);
            last.filter(|_| has_no_other_address(facts))
        },
        why: "that is the broadcast address of the network, so other machines cannot reach this one",
        add: &["{host address}"],
    },
    Rule {
        id: "network-address",
        severity: Severity::Warning,
        is: |facts, _| {
            let last = said_of_end(facts, End::Last);
            last.filter(|_| !has_no_other_address(facts))
        },
        why: "that is the broadcast address of the network, so other machines cannot reach this one at that address",
        add: &["{host address}"],
    },
    Rule {
        id: "network-address",
        severity: Severity::Warning,
        is: |facts, _| said_of_end(facts, End::First),
        why: "that is the address of the network itself, which many routers do not accept for a machine",
        add: &["{host address}"],
    },
    Rule {
        id: "network-address",
        severity: Severity::Warning,
        is: |facts, _| {
            let (gateway, network) = gateway_at_an_end(facts)?;
            let end = network.end(gateway)?;
            Some(format!(
                "networking.defaultGateway = \"{gateway}\", the {} address of its network",
                end.name()
            ))
        },
        why: "that is not the address of a router, so the machine reaches only its own network, not the internet",
        add: &["{host gateway}"],
    },
];

/// Which end of a network an address is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    First,
    Last,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Last => "last",
        }
    }
}

impl Network {
    /// Which end of this network `address` is, if it is one. Two addresses, or one, are those of machines (RFC 3021).
    fn end(&self, address: Ipv4Addr) -> Option<End> {
        if self.prefix > Ipv4Addr::BITS - 2 || !self.has(address) {
            return None;
        }
        let of_machine = self.of_machine();
        match address.to_bits() & of_machine {
            0 => Some(End::First),
            bits if bits == of_machine => Some(End::Last),
            _ => None,
        }
    }

    /// The bits that tell its machines apart.
    fn of_machine(&self) -> u32 {
        u32::MAX.checked_shr(self.prefix).unwrap_or(0)
    }

    /// The address of a machine in it, the first one of `numbers` that it has and that is not among `taken`.
    fn host(&self, numbers: &[u32], taken: &[Ipv4Addr]) -> Option<Ipv4Addr> {
        let of_machine = self.of_machine();
        let first = self.address.to_bits() & !of_machine;
        let numbers = numbers.iter().filter(|number| **number < of_machine);
        let mut addresses = numbers.map(|number| Ipv4Addr::from_bits(first | number));
        addresses.find(|address| !taken.contains(address))
    }
}

/// The networks of the fixed addresses.
fn networks(facts: &ConfigFacts) -> impl Iterator<Item = Network> {
    let addresses = facts.network.addresses.iter();
    addresses.filter_map(|text| Network::parse(text))
}

/// Whether the machine has one fixed address and nothing else by which it can be reached.
fn has_no_other_address(facts: &ConfigFacts) -> bool {
    let net = &facts.network;
    has_only_fixed_addresses(facts) && net.addresses.len() == 1 && !net.has_ipv6
}

/// The addresses that are an end of their network, each with its interface and which end it is.
fn at_an_end(facts: &ConfigFacts) -> impl Iterator<Item = (&str, Network, End)> {
    facts.network.hosts.iter().filter_map(|host| {
        let network = Network::parse(&host.address)?;
        let end = network.end(network.address)?;
        Some((host.interface.as_str(), network, end))
    })
}

/// The gateway that is an end of a network, and that network; not if the machine has it as an address or reaches it as a machine.
fn gateway_at_an_end(facts: &ConfigFacts) -> Option<(Ipv4Addr, Network)> {
    let gateway = gateway(facts)?;
    let is_machine = |network: &Network| network.has(gateway) && network.end(gateway).is_none();
    let is_own = |network: &Network| network.address == gateway;
    if networks(facts).any(|network| is_machine(&network) || is_own(&network)) {
        return None;
    }
    let mut networks = networks(facts);
    let network = networks.find(|network| network.end(gateway).is_some())?;
    Some((gateway, network))
}

fn gateway(facts: &ConfigFacts) -> Option<Ipv4Addr> {
    facts.network.gateway_address.as_deref()?.parse().ok()
}

/// The first address that is such an end.
fn said_of_end(facts: &ConfigFacts, which: End) -> Option<String> {
    let (interface, network, _) = at_an_end(facts).find(|(_, _, end)| *end == which)?;
    let option = ["networking", "interfaces", interface].map(str::to_owned);
    Some(format!(
        "{} has {}, the {} address of its network, with prefixLength = {}",
        attribute_path::text(&option),
        network.address,
        which.name(),
        network.prefix
    ))
}

/// The line with another address in place of the only one of an interface, which is an end of its network.
pub(super) fn line_with_host_address(facts: &ConfigFacts) -> Option<String> {
    let (interface, network, _) = at_an_end(facts).next()?;
    let hosts = facts.network.hosts.iter();
    if hosts.filter(|host| host.interface == interface).count() > 1 {
        return None;
    }
    let address = network.host(&[5, 2, 1, 6, 3, 4], &taken(facts))?;
    let option = ["networking", "interfaces", interface, "ipv4", "addresses"];
    let option = attribute_path::text(&option.map(str::to_owned));
    Some(format!(
        "{option} = [ {{ address = \"{address}\"; prefixLength = {}; }} ]; # an address that no other machine has",
        network.prefix
    ))
}

/// The addresses that other machines, or this one, have for certain.
fn taken(facts: &ConfigFacts) -> Vec<Ipv4Addr> {
    let servers = facts.network.name_servers.iter().filter_map(|server| {
        let address = server.split(['#', '%', ':', ' ']).next()?;
        address.parse().ok()
    });
    let own = networks(facts).map(|network| network.address);
    gateway(facts)
        .into_iter()
        .chain(servers)
        .chain(own)
        .collect()
}

/// The gateway that may be meant by one that is an end of a network.
fn host_gateway(facts: &ConfigFacts) -> Option<Ipv4Addr> {
    let (_, network) = gateway_at_an_end(facts)?;
    let taken: Vec<Ipv4Addr> = networks(facts).map(|network| network.address).collect();
    network.host(&[1, 2], &taken)
}

/// The address of the router, as far as the configuration tells it.
pub(super) fn router(facts: &ConfigFacts) -> Option<Ipv4Addr> {
    if gateway_at_an_end(facts).is_some() {
        return host_gateway(facts);
    }
    let gateway: Ipv4Addr = meant_gateway(facts)?.parse().ok()?;
    let is_none = |network: Network| network.address == gateway || network.end(gateway).is_some();
    (!networks(facts).any(is_none)).then_some(gateway)
}

/// The line with another gateway.
pub(super) fn line_with_host_gateway(facts: &ConfigFacts) -> Option<String> {
    let gateway = host_gateway(facts)?;
    Some(format!(
        "networking.defaultGateway = \"{gateway}\"; # the address of your router"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::with;
    use super::super::{Severity, findings};

    fn host(interface: &str, address: &str) -> Value {
        json!({ "interface": interface, "address": address })
    }

    /// What is found of a machine with `address` and `gateway`: its severity, the setting and the lines to add.
    fn told(address: &str, gateway: &str) -> Vec<(Severity, String, Vec<String>)> {
        told_with(address, gateway, &[])
    }

    fn told_with(
        address: &str,
        gateway: &str,
        more: &[(&str, Value)],
    ) -> Vec<(Severity, String, Vec<String>)> {
        let set = [
            ("/network/fixed", json!(["end0"])),
            ("/network/interfaces", json!(true)),
            ("/network/gateway", json!(true)),
            ("/network/name_server", json!(true)),
            ("/network/addresses", json!([address])),
            ("/network/hosts", json!([host("end0", address)])),
            ("/network/gateway_address", json!(gateway)),
        ];
        let facts = with(&[&set, more].concat());
        let found = findings(&facts, "aarch64-linux", None).into_iter();
        let found =
            found.inspect(|one| assert_eq!(one.id, "network-address", "{address} {gateway}"));
        found.map(|one| (one.severity, one.is, one.add)).collect()
    }

    #[test]
    fn the_ends_of_a_network_are_no_machines() {
        for (address, end, severity, other) in [
            ("192.168.1.0", "first", Severity::Warning, "192.168.1.5"),
            ("192.168.1.255", "last", Severity::Error, "192.168.1.5"),
        ] {
            let is = format!(
                "networking.interfaces.end0 has {address}, the {end} address of its network, with prefixLength = 24"
            );
            let line = format!(
                "networking.interfaces.end0.ipv4.addresses = [ {{ address = \"{other}\"; prefixLength = 24; }} ]; # an address that no other machine has"
            );
            let found = told(&format!("{address}/24"), "192.168.1.1");
            assert_eq!(found, [(severity, is, vec![line])]);
        }
        for (address, other) in [("10.0.0.3/30", "10.0.0.2"), ("10.0.0.7/29", "10.0.0.5")] {
            let gateway = if other == "10.0.0.2" {
                "10.0.0.1"
            } else {
                "10.0.0.2"
            };
            let found = told(address, gateway);
            assert!(found[0].2[0].contains(&format!("\"{other}\"")), "{found:?}");
        }
    }

    /// The line had the address of the name server, and there was none for a machine with several interfaces.
    #[test]
    fn the_line_takes_no_address_that_is_in_use() {
        let address = "10.0.0.255/24";
        let line = |more: &[(&str, Value)]| told_with(address, "10.0.0.1", more)[0].2.concat();
        let servers = ("/network/name_servers", json!(["10.0.0.5", "10.0.0.2:53"]));
        assert!(line(&[servers]).contains("\"10.0.0.6\""));
        let both = [
            ("/network/fixed", json!(["end0", "wlan0"])),
            ("/network/addresses", json!([address, "10.0.0.5/24"])),
            (
                "/network/hosts",
                json!([host("end0", address), host("wlan0", "10.0.0.5/24")]),
            ),
        ];
        let start = "networking.interfaces.end0.ipv4.addresses = [ { address = \"10.0.0.2\"";
        assert!(line(&both).starts_with(start));
        // Of several addresses it would drop the others.
        let several = json!([host("end0", address), host("end0", "10.0.0.5/24")]);
        assert_eq!(line(&[("/network/hosts", several)]), "");
    }

    /// It was said that no machine reaches this one.
    #[test]
    fn a_machine_with_another_address_can_be_reached() {
        let address = "10.0.0.255/24";
        let other = json!(["10.0.0.5/24", address]);
        for more in [
            vec![("/network/has_ipv6", json!(true))],
            vec![("/network/interface_dhcp", json!(true))],
            vec![("/network/manager", json!(true))],
            vec![("/network/addresses", other)],
        ] {
            let found = told_with(address, "10.0.0.1", &more);
            assert_eq!(found.len(), 1, "{more:?}");
            assert_eq!(found[0].0, Severity::Warning, "{more:?}");
        }
        let inside = [("/network/hosts", json!([]))];
        assert_eq!(told_with(address, "10.0.0.1", &inside), []);
    }

    #[test]
    fn the_ends_of_a_network_are_no_gateways() {
        for (gateway, end) in [("192.168.1.0", "first"), ("192.168.1.255", "last")] {
            let is = format!(
                "networking.defaultGateway = \"{gateway}\", the {end} address of its network"
            );
            let line = "networking.defaultGateway = \"192.168.1.2\"; # the address of your router";
            let found = told("192.168.1.1/24", gateway);
            assert_eq!(found, [(Severity::Warning, is, vec![line.to_owned()])]);
        }
    }

    #[test]
    fn other_addresses_are_machines() {
        for (address, gateway) in [
            ("192.168.0.255/16", "192.168.1.0"),
            ("10.0.0.0/31", "10.0.0.1"),
            ("10.0.0.1/31", "10.0.0.0"),
            ("10.0.0.255/32", "10.0.0.1"),
            ("192.168.1.254/24", "192.168.1.1"),
            ("0.0.0.1/0", "10.0.0.0"),
        ] {
            assert_eq!(told(address, gateway), [], "{address} {gateway}");
        }
    }
}
