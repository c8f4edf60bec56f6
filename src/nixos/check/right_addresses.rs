//! The lists of addresses that are meant by those of an interface. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::addresses::{Network, is_six};
use super::facts::{ConfigFacts, InterfaceFacts};
use crate::common::attribute_path;

/// An address with the length of its network.
#[derive(PartialEq, Eq)]
struct InterfaceAddress {
    address: String,
    length: u32,
    is_six: bool,
    /// Whether it is an example, because what is meant is not known.
    is_example: bool,
}

/// The lists of the interfaces that have wrong addresses among those of IPv4.
pub(super) fn lines_of_ipv4(facts: &ConfigFacts) -> Vec<String> {
    let interfaces = facts.network.interface_addresses.iter();
    let wrong = interfaces.filter(|interface| has_wrong_four(interface));
    wrong.flat_map(lines).collect()
}

/// Those of the other interfaces that have wrong ones among those of IPv6.
pub(super) fn lines_of_ipv6(facts: &ConfigFacts) -> Vec<String> {
    let interfaces = facts.network.interface_addresses.iter();
    let wrong =
        interfaces.filter(|interface| !has_wrong_four(interface) && has_wrong_six(interface));
    wrong.flat_map(lines).collect()
}

fn has_wrong_four(interface: &InterfaceFacts) -> bool {
    let mut addresses = interface.ipv4.iter();
    addresses.any(|text| Network::parse(text).is_none())
}

fn has_wrong_six(interface: &InterfaceFacts) -> bool {
    let mut addresses = interface.ipv6.iter();
    addresses.any(|text| {
        text.rsplit_once('/')
            .is_none_or(|(address, _)| !is_six(address))
    })
}

/// The address that is meant by `text` in a list of its family: without the length of the network that is written into it, and without
/// the interface of a link. `None` if that is not known.
fn meant(text: &str, is_in_six: bool) -> Option<InterfaceAddress> {
    let (written, prefix_length) = text.rsplit_once('/')?;
    let (address, length) = written.split_once('/').unwrap_or((written, ""));
    let address = address.split('%').next().unwrap_or_default();
    let (is_six, usual, most) = match address.parse().ok()? {
        IpAddr::V4(_) => (false, 24, Ipv4Addr::BITS),
        IpAddr::V6(_) => (true, 64, Ipv6Addr::BITS),
    };
    // That of an IPv4 network is none of an IPv6 address.
    let is_own = |length: &u32| is_in_six == is_six || *length > Ipv4Addr::BITS || !is_six;
    let prefix_length = prefix_length.parse().ok().filter(is_own);
    let lengths = length.parse().ok().into_iter().chain(prefix_length);
    let length = lengths.into_iter().find(|length| *length <= most);
    Some(InterfaceAddress {
        address: address.to_owned(),
        length: length.unwrap_or(usual),
        is_six,
        is_example: false,
    })
}

/// An address for the list with `text` only, which is none.
fn example(text: &str, is_six: bool) -> InterfaceAddress {
    let (address, usual, most) = if is_six {
        ("fd00::5", 64, Ipv6Addr::BITS)
    } else {
        ("192.168.1.5", 24, Ipv4Addr::BITS)
    };
    let length = text.rsplit('/').next().and_then(|text| text.parse().ok());
    InterfaceAddress {
        address: address.to_owned(),
        length: length.filter(|length| *length <= most).unwrap_or(usual),
        is_six,
        is_example: true,
    }
}

/// The addresses that are meant by the list; `None` if that is not known of one beside others.
fn meant_by(list: &[String], is_six: bool) -> Option<Vec<InterfaceAddress>> {
    if let [only] = list {
        return Some(vec![
            meant(only, is_six).unwrap_or_else(|| example(only, is_six)),
        ]);
    }
    list.iter().map(|text| meant(text, is_six)).collect()
}

/// The lists of the interface with all that is meant, as far as they change.
fn lines(interface: &InterfaceFacts) -> Vec<String> {
    let four = meant_by(&interface.ipv4, false);
    let Some((four, six)) = four.zip(meant_by(&interface.ipv6, true)) else {
        return Vec::new();
    };
    let mut all: Vec<InterfaceAddress> = Vec::new();
    for address in four.into_iter().chain(six) {
        if !all.contains(&address) {
            all.push(address);
        }
    }
    let lists = [
        ("ipv4", &interface.ipv4, has_wrong_four(interface)),
        ("ipv6", &interface.ipv6, has_wrong_six(interface)),
    ];
    let [(_, _, four), (_, _, six)] = lists;
    let line = |is_six: bool, list: (&str, &Vec<String>, bool), other: (&str, bool)| {
        let (family, before, is_wrong) = list;
        let own: Vec<&InterfaceAddress> = all.iter().filter(|one| one.is_six == is_six).collect();
        let is_changed = is_wrong || own.len() != before.len();
        if own.is_empty() || !is_changed {
            return None;
        }
        let is_other_empty = other.1 && own.len() == all.len();
        let place = match (before.is_empty(), is_other_empty) {
            (false, true) => format!("replaces it and {}.addresses", other.0),
            (true, false) => String::new(),
            (false, false) | (true, true) => "replaces it".to_owned(),
        };
        Some(definition(&interface.name, family, &own, &place))
    };
    let [first, second] = lists;
    let lines = [
        line(false, first, ("ipv6", six)),
        line(true, second, ("ipv4", four)),
    ];
    lines.into_iter().flatten().collect()
}

/// The definition of the list, with a comment that says of what it stands in place.
fn definition(interface: &str, family: &str, list: &[&InterfaceAddress], place: &str) -> String {
    let name = attribute_path::text(&[interface.to_owned()]);
    let elements = list.iter().map(|one| {
        let InterfaceAddress {
            address, length, ..
        } = one;
        format!("{{ address = \"{address}\"; prefixLength = {length}; }}")
    });
    let elements: Vec<String> = elements.collect();
    let example = list.iter().any(|one| one.is_example);
    let comment = match (example, place) {
        (true, place) => format!(" # an example, {place}"),
        (false, "") => String::new(),
        (false, place) => format!(" # {place}"),
    };
    format!(
        "networking.interfaces.{name}.{family}.addresses = [ {} ];{comment}",
        elements.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    /// What is said of the addresses of `end0`, and the lines.
    #[track_caller]
    fn told(four: &[&str], six: &[&str]) -> (String, Vec<String>) {
        let lists = json!([{ "name": "end0", "ipv4": four, "ipv6": six }, { "name": "lo", "ipv4": ["127.0.0.2/8"], "ipv6": [] }]);
        let facts = with(&[
            ("/network/interface_addresses", lists),
            ("/network/addresses", json!(four)),
            ("/network/ipv6_addresses", json!(six)),
        ]);
        let mut found = findings(&facts, "aarch64-linux", None).into_iter();
        let found = found.find(|finding| finding.id == "wrong-address").unwrap();
        let start = "networking.interfaces has the address ";
        (found.is.strip_prefix(start).unwrap().to_owned(), found.add)
    }

    fn list(family: &str, addresses: &[(&str, u32)], comment: &str) -> String {
        let elements = addresses.iter().map(|(address, length)| {
            format!("{{ address = \"{address}\"; prefixLength = {length}; }}")
        });
        let elements: Vec<String> = elements.collect();
        let start = format!("networking.interfaces.end0.{family}.addresses");
        format!("{start} = [ {} ];{comment}", elements.join(" "))
    }

    #[test]
    fn a_wrong_address_is_corrected_as_far_as_it_is_known() {
        let instead = " # replaces it";
        for (address, said, (right, length), comment) in [
            (
                "192.168.1.5/16/24",
                "\"192.168.1.5/16\" (the 16 belongs in prefixLength)",
                ("192.168.1.5", 16),
                instead,
            ),
            (
                "192.168.1.300/8",
                "\"192.168.1.300\", which is not an IPv4 address",
                ("192.168.1.5", 8),
                " # an example, replaces it",
            ),
            (
                "192.168.1.7/",
                "\"192.168.1.7\" without prefixLength, the length of its network",
                ("192.168.1.7", 24),
                instead,
            ),
            (
                "192.168.1.7/33",
                "\"192.168.1.7\" with prefixLength = 33, but 32 is the highest",
                ("192.168.1.7", 24),
                instead,
            ),
        ] {
            let line = list("ipv4", &[(right, length)], comment);
            assert_eq!(told(&[address], &[]), (said.to_owned(), vec![line]));
        }
        let (said, lines) = told(&[], &["fe80::1%end0/64"]);
        assert_eq!(said, "\"fe80::1%end0\", which is not an IPv6 address");
        assert_eq!(lines, [list("ipv6", &[("fe80::1", 64)], instead)]);
    }

    /// The line had the first wrong address only, and the right ones were lost.
    #[test]
    fn the_right_addresses_of_a_list_are_kept() {
        let instead = " # replaces it";
        let (_, lines) = told(&[], &["2001:db8::1/64/64", "2001:db8::2/64"]);
        let both = [("2001:db8::1", 64), ("2001:db8::2", 64)];
        assert_eq!(lines, [list("ipv6", &both, instead)]);
        let (_, lines) = told(&["10.0.0.2/8", "10.0.0.3/8/24", "10.0.0.2/8/24"], &[]);
        let both = [("10.0.0.2", 8), ("10.0.0.3", 8)];
        assert_eq!(lines, [list("ipv4", &both, instead)]);
        // What is meant by it is not known.
        let (_, lines) = told(&["10.0.0.2/8", "10.0.0.300/8"], &[]);
        assert_eq!(lines, [""; 0]);
    }

    #[test]
    fn an_address_of_the_other_family_gets_its_list() {
        let instead = " # replaces it";
        let (is, lines) = told(&["fd00::5/64"], &[]);
        assert!(is.ends_with("\"fd00::5\" in ipv4.addresses, but that is an IPv6 address"));
        assert_eq!(lines, [list("ipv6", &[("fd00::5", 64)], instead)]);
        let (is, lines) = told(&[], &["fd00::1/64", "192.168.1.5/64"]);
        assert!(is.ends_with("\"192.168.1.5\" in ipv6.addresses, but that is an IPv4 address"));
        let (four, six) = (
            list("ipv4", &[("192.168.1.5", 24)], ""),
            list("ipv6", &[("fd00::1", 64)], instead),
        );
        assert_eq!(lines, [four, six]);
        // The length is that of the addresses of IPv4 beside it.
        let (_, lines) = told(&["10.0.0.2/24", "fd00::5/24"], &["fd00::1/64"]);
        let (four, six) = (
            list("ipv4", &[("10.0.0.2", 24)], instead),
            list("ipv6", &[("fd00::5", 64), ("fd00::1", 64)], instead),
        );
        assert_eq!(lines, [four, six]);
        let (_, lines) = told(&["fd00::5/24"], &["fd00::1/64"]);
        let comment = " # replaces it and ipv4.addresses";
        let both = [("fd00::5", 64), ("fd00::1", 64)];
        assert_eq!(lines, [list("ipv6", &both, comment)]);
    }

    #[test]
    fn a_gateway_with_a_length_is_corrected() {
        let facts = with(&[("/network/gateway_address", json!("10.0.0.1/8"))]);
        let found = findings(&facts, "aarch64-linux", None);
        let found = found.iter().find(|one| one.id == "wrong-gateway");
        let line = "networking.defaultGateway = \"10.0.0.1\"; # the address of your router";
        assert_eq!(found.unwrap().add, [line]);
    }
}
