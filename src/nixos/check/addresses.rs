//! The addresses of the machine, its gateway, and what is wrong with them. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::facts::ConfigFacts;

/// The names of the only Ethernet interface of most boards.
const ETHERNET: [&str; 2] = ["eth0", "end0"];

/// Whether the machine has addresses of its configuration only, so that no DHCP server tells it the rest.
pub(super) fn has_only_fixed_addresses(facts: &ConfigFacts) -> bool {
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
pub(super) struct Network {
    address: Ipv4Addr,
    prefix: u32,
}

impl Network {
    /// The network of `192.168.1.5/24`.
    pub(super) fn parse(text: &str) -> Option<Self> {
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

    pub(super) fn has(&self, other: Ipv4Addr) -> bool {
        let differ = self.address.to_bits() ^ other.to_bits();
        differ.leading_zeros() >= self.prefix
    }

    /// Whether it is a single address: a gateway elsewhere then has a route of its own.
    fn is_single(&self) -> bool {
        self.prefix == Ipv4Addr::BITS
    }
}

/// Whether the machine has neither an address in a network with `gateway` nor a route to it.
pub(super) fn is_out_of_reach(facts: &ConfigFacts, gateway: &str) -> bool {
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
pub(super) fn is_no_address(gateway: &str) -> bool {
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
pub(super) fn said_of_address(text: &str) -> Option<String> {
    let (address, prefix) = text.rsplit_once('/')?;
    let length = address.split_once('/').map(|(_, length)| length);
    let length = length.filter(|length| is_length(length));
    let is_address = address.parse::<Ipv4Addr>().is_ok();
    Some(match (length, is_address) {
        (Some(length), _) => format!("\"{address}\" (the {length} belongs in prefixLength)"),
        (None, false) if is_six(address) => {
            format!("\"{address}\" in ipv4.addresses, but that is an IPv6 address")
        }
        (None, false) => format!("\"{address}\", which is not an IPv4 address"),
        (None, true) if prefix.is_empty() => {
            format!("\"{address}\" without prefixLength, the length of its network")
        }
        (None, true) => {
            format!("\"{address}\" with prefixLength = {prefix}, but 32 is the highest")
        }
    })
}

/// The addresses that are none, with their `prefixLength` behind a `/`.
pub(super) fn wrong_addresses(facts: &ConfigFacts) -> impl Iterator<Item = &str> {
    let addresses = facts.network.addresses.iter();
    let wrong = addresses.filter(|text| Network::parse(text).is_none());
    wrong.map(String::as_str)
}

/// Whether `text` is an address of IPv6.
pub(super) fn is_six(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// The first of the IPv6 addresses that is none.
fn wrong_six(facts: &ConfigFacts) -> Option<(&str, &str)> {
    let mut addresses = facts.network.ipv6_addresses.iter();
    addresses.find_map(|text| {
        text.rsplit_once('/')
            .filter(|(address, _)| !is_six(address))
    })
}

/// What is wrong with it.
pub(super) fn said_of_six(facts: &ConfigFacts) -> Option<String> {
    let (address, _) = wrong_six(facts)?;
    Some(if address.parse::<Ipv4Addr>().is_ok() {
        format!("\"{address}\" in ipv6.addresses, but that is an IPv4 address")
    } else {
        format!("\"{address}\", which is not an IPv6 address")
    })
}

/// Whether `text` is the length of a network of IPv4.
fn is_length(text: &str) -> bool {
    text.parse::<u32>()
        .is_ok_and(|length| length <= Ipv4Addr::BITS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::found;

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
}
