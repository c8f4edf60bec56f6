//! The first and the last address of a network, which no machine in it has. Pure.

use std::net::Ipv4Addr;

use super::Severity;
use super::addresses::{Network, fixed_interface, meant_gateway};
use super::facts::ConfigFacts;
use super::rule::Rule;
use crate::common::attribute_path;

pub(super) const RULES: [Rule; 3] = [
    Rule {
        id: "network-address",
        severity: Severity::Trap,
        is: |facts, _| {
            let (network, _) = at_an_end(facts).find(|(_, end)| *end == End::Last)?;
            Some(said_of_address(&network, "last"))
        },
        why: "that is the broadcast address, with which all machines in the network are meant, so none of them reaches this one",
        add: &["{host address}"],
    },
    Rule {
        id: "network-address",
        severity: Severity::Note,
        is: |facts, _| {
            let (network, _) = at_an_end(facts).find(|(_, end)| *end == End::First)?;
            Some(said_of_address(&network, "first"))
        },
        why: "that is the address of the network itself, which many routers and machines do not take for that of a machine",
        add: &["{host address}"],
    },
    Rule {
        id: "network-address",
        severity: Severity::Note,
        is: |facts, _| {
            let (gateway, network) = gateway_at_an_end(facts)?;
            let end = network.end(gateway)?;
            Some(format!(
                "networking.defaultGateway = \"{gateway}\", the {} address of its network",
                end.name()
            ))
        },
        why: "that is not the address of a router, so the machine reaches its own network only, not the internet",
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

/// Those whose address is an end of it, and which one.
fn at_an_end(facts: &ConfigFacts) -> impl Iterator<Item = (Network, End)> {
    networks(facts).filter_map(|network| {
        let end = network.end(network.address)?;
        Some((network, end))
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

fn said_of_address(network: &Network, end: &str) -> String {
    let Network { address, prefix } = network;
    format!(
        "networking.interfaces has {address}, the {end} address of its network, with prefixLength = {prefix}"
    )
}

/// The line with another address in place of the only one, which is an end of its network.
pub(super) fn line_with_host_address(facts: &ConfigFacts) -> Option<String> {
    let (network, _) = at_an_end(facts).next()?;
    let interface = fixed_interface(facts).filter(|_| facts.network.addresses.len() == 1)?;
    let taken: Vec<Ipv4Addr> = gateway(facts).into_iter().collect();
    let address = network.host(&[5, 2, 1], &taken)?;
    let option = ["networking", "interfaces", interface, "ipv4", "addresses"];
    let option = attribute_path::text(&option.map(str::to_owned));
    Some(format!(
        "{option} = [ {{ address = \"{address}\"; prefixLength = {}; }} ]; # an address that no other machine has",
        network.prefix
    ))
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
    use serde_json::json;

    use super::super::tests::with;
    use super::super::{Severity, findings};

    /// What is found of a machine with `address` and `gateway`: its severity, the setting and the lines to add.
    fn told(address: &str, gateway: &str) -> Vec<(Severity, String, Vec<String>)> {
        let facts = with(&[
            ("/network/fixed", json!(["end0"])),
            ("/network/interfaces", json!(true)),
            ("/network/gateway", json!(true)),
            ("/network/name_server", json!(true)),
            ("/network/addresses", json!([address])),
            ("/network/gateway_address", json!(gateway)),
        ]);
        let found = findings(&facts, "aarch64-linux", None).into_iter();
        let found =
            found.inspect(|one| assert_eq!(one.id, "network-address", "{address} {gateway}"));
        found.map(|one| (one.severity, one.is, one.add)).collect()
    }

    #[test]
    fn the_ends_of_a_network_are_no_machines() {
        for (address, end, severity, other) in [
            ("192.168.1.0", "first", Severity::Note, "192.168.1.5"),
            ("192.168.1.255", "last", Severity::Trap, "192.168.1.5"),
        ] {
            let is = format!(
                "networking.interfaces has {address}, the {end} address of its network, with prefixLength = 24"
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

    #[test]
    fn the_ends_of_a_network_are_no_gateways() {
        for (gateway, end) in [("192.168.1.0", "first"), ("192.168.1.255", "last")] {
            let is = format!(
                "networking.defaultGateway = \"{gateway}\", the {end} address of its network"
            );
            let line = "networking.defaultGateway = \"192.168.1.2\"; # the address of your router";
            let found = told("192.168.1.1/24", gateway);
            assert_eq!(found, [(Severity::Note, is, vec![line.to_owned()])]);
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
