//! The rules about the name servers. Pure.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Severity;
use super::addresses::has_only_fixed_addresses;
use super::facts::ConfigFacts;
use super::network_ends::router;
use super::rule::Rule;
use crate::common::nix_string::nix_string;
use crate::common::text::listed;

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "wrong-name-server",
        severity: Severity::Warning,
        is: |facts, _| said_of_wrong(facts).filter(|_| has_no_other(facts)),
        why: "a name server must be an IP address, so the machine cannot look up names such as cache.nixos.org",
        add: &["{name servers}"],
    },
    Rule {
        id: "wrong-name-server",
        severity: Severity::Warning,
        is: |facts, _| said_of_wrong(facts).filter(|_| !has_no_other(facts)),
        why: "a name server must be an IP address, so the machine does not use this one",
        add: &["{name servers}"],
    },
];

/// The option with the name servers, and those that are none.
fn said_of_wrong(facts: &ConfigFacts) -> Option<String> {
    let wrong = facts.network.name_servers.iter();
    let wrong = wrong.filter(|server| !is_server(server));
    let wrong = wrong.map(|server| {
        let is_short = server.split('.').all(is_number) && server.split('.').count() < 4;
        let what = if is_short {
            "which does not have the four numbers of an IPv4 address"
        } else {
            "which is not an IP address"
        };
        format!("\"{server}\", {what}")
    });
    let wrong: Vec<String> = wrong.collect();
    (!wrong.is_empty()).then(|| format!("networking.nameservers has {}", wrong.join(", and ")))
}

/// Whether the machine knows no name server besides those that are none.
fn has_no_other(facts: &ConfigFacts) -> bool {
    has_only_fixed_addresses(facts) && right(facts).next().is_none()
}

/// The name servers that are some.
fn right(facts: &ConfigFacts) -> impl Iterator<Item = &str> {
    let servers = facts.network.name_servers.iter().map(String::as_str);
    servers.filter(|server| is_server(server))
}

/// The line without those that are none, or with the router in place of them, as far as it is known who tells the machine its servers.
pub(super) fn line_with_servers(facts: &ConfigFacts) -> Option<String> {
    let servers = facts
        .network
        .name_servers
        .iter()
        .flat_map(|text| servers_in(text));
    let servers: Vec<String> = servers.map(nix_string).collect();
    if !servers.is_empty() {
        let wrong = facts.network.name_servers.iter();
        let wrong = wrong.filter(|server| !is_server(server));
        let wrong: Vec<String> = wrong.map(|server| format!("\"{server}\"")).collect();
        let (servers, wrong) = (servers.join(" "), listed(&wrong));
        return Some(format!(
            "networking.nameservers = [ {servers} ]; # replaces the line with {wrong}"
        ));
    }
    if has_only_fixed_addresses(facts) {
        let router = router(facts)?;
        return Some(format!(
            "networking.nameservers = [ \"{router}\" ]; # usually the address of your router"
        ));
    }
    let net = &facts.network;
    (net.dhcp || net.interface_dhcp).then(|| {
        "networking.nameservers = [ ]; # DHCP tells the machine its name servers".to_owned()
    })
}

/// The name servers in `text`, which may have several with commas between them.
fn servers_in(text: &str) -> Vec<&str> {
    if is_server(text) {
        return vec![text];
    }
    let parts = text.split([',', ';']).flat_map(str::split_whitespace);
    let parts: Vec<&str> = parts.collect();
    let is_list = parts.iter().all(|part| is_server(part));
    if is_list { parts } else { Vec::new() }
}

/// Whether programs that look up names take `text` for a server. Those that read `resolv.conf` ignore what follows a space.
fn is_server(text: &str) -> bool {
    let text = text.split_whitespace().next().unwrap_or_default();
    // systemd-resolved takes `ADDRESS:PORT%INTERFACE#NAME`, with an address of IPv6 in brackets before a port.
    let text = text.split('#').next().unwrap_or_default();
    let text = text.split('%').next().unwrap_or_default();
    // The short form of 1.0.0.1, which glibc takes.
    if text == "1.1" || is_with_zeros(text) {
        return true;
    }
    let (address, port) = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        Some(Some((address, port))) => {
            return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port));
        }
        Some(None) => return false,
        None => text.find(':').map_or((text, ""), |at| text.split_at(at)),
    };
    text.parse::<IpAddr>().is_ok() || address.parse::<Ipv4Addr>().is_ok() && is_port(port)
}

/// Whether `text` is an address of IPv4 with zeros in front of its numbers, which glibc takes.
fn is_with_zeros(text: &str) -> bool {
    let is_byte = |part: &str| is_number(part) && part.parse::<u8>().is_ok();
    text.split('.').count() == 4 && text.split('.').all(is_byte)
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Whether `text` is a port behind a colon.
fn is_port(text: &str) -> bool {
    let number = text.strip_prefix(':').filter(|number| is_number(number));
    number.is_some_and(|number| number.parse::<u16>().is_ok_and(|number| number > 0))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::with;

    #[test]
    fn servers_in_one_text_become_one_each() {
        let facts = with(&[("/network/name_servers", json!(["1.1.1.1, 8.8.8.8"]))]);
        assert_eq!(
            super::line_with_servers(&facts).unwrap(),
            "networking.nameservers = [ \"1.1.1.1\" \"8.8.8.8\" ]; # replaces the line with \"1.1.1.1, 8.8.8.8\""
        );
    }

    #[test]
    fn the_router_is_no_end_of_a_network() {
        let line = |gateway: &str, address: &str| {
            let facts = with(&[
                ("/network/fixed", json!(["end0"])),
                ("/network/addresses", json!([address])),
                ("/network/gateway_address", json!(gateway)),
            ]);
            super::line_with_servers(&facts)
        };
        for (gateway, address, router) in [
            ("10.0.0.9", "10.0.0.5/24", "10.0.0.9"),
            ("10.0.0.9/24", "10.0.0.5/24", "10.0.0.9"),
            ("10.0.0.255", "10.0.0.1/24", "10.0.0.2"),
        ] {
            let start = format!("networking.nameservers = [ \"{router}\" ];");
            let line = line(gateway, address).unwrap();
            assert!(line.starts_with(&start), "{gateway}");
        }
        // Of a router that is not known no address is invented.
        for gateway in ["10.0.0.5", "router", "fe80::1"] {
            assert_eq!(line(gateway, "10.0.0.5/24"), None, "{gateway}");
        }
    }

    /// What is found with these name servers: the setting, the consequence and the line to add.
    fn told(servers: Value, more: &[(&str, Value)]) -> Option<(String, String, String)> {
        let set = [("/network/name_servers", servers)];
        let mut found = findings(&with(&[&set, more].concat()), "aarch64-linux", None);
        let one = found.pop()?;
        assert_eq!((one.id, found.len()), ("wrong-name-server", 0));
        Some((one.is, one.why, one.add.concat()))
    }

    #[test]
    fn a_name_server_is_an_address() {
        for server in [
            "8.8.8.8",
            "2001:4860:4860::8888",
            "fe80::1%eth0",
            "1.1.1.1#cloudflare-dns.com",
            "9.9.9.9:9953",
            "9.9.9.9%end0",
            "1.1.1.1:853%end0#one.one.one.one",
            "[2606:4700::1111]:53",
            "[2606:4700::1111]:53#cloudflare-dns.com",
            "[::1]",
            "192.168.001.001",
            "1.1",
            "8.8.8.8 8.8.4.4",
        ] {
            assert_eq!(told(json!([server]), &[]), None, "{server}");
        }
        for server in [
            "dns.google",
            "",
            "8.8.8.8,8.8.4.4",
            "8.8.8.256",
            "8.8.8.8:",
            "8.8.8.8:0",
            "8.8.8.8:dns",
            "[8.8.8.8]:53",
            "[::1",
            "192.168.1.1/24",
        ] {
            let is = format!("networking.nameservers has \"{server}\", which is not an IP address");
            assert_eq!(told(json!([server]), &[]).unwrap().0, is);
        }
        let short = told(json!(["8.8.8"]), &[]).unwrap().0;
        let said = "\"8.8.8\", which does not have the four numbers of an IPv4 address";
        assert!(short.ends_with(said), "{short}");
    }

    #[test]
    fn the_name_servers_that_are_right_are_kept() {
        let fixed = [
            ("/network/fixed", json!(["end0"])),
            ("/network/interfaces", json!(true)),
            ("/network/gateway", json!(true)),
            ("/network/name_server", json!(true)),
            ("/network/addresses", json!(["10.0.0.5/24"])),
            ("/network/gateway_address", json!("10.0.0.1")),
        ];
        let names = "cannot look up names";
        for (servers, more, why, line) in [
            (
                json!(["dns.google", "1.1.1.1#a\"b"]),
                &fixed[..],
                "so the machine does not use this one",
                "networking.nameservers = [ \"1.1.1.1#a\\\"b\" ]; # replaces the line with \"dns.google\"",
            ),
            (
                json!(["dns.google"]),
                &fixed[..],
                names,
                "networking.nameservers = [ \"10.0.0.1\" ]; # usually the address of your router",
            ),
            (
                json!(["dns.google"]),
                &[],
                "so the machine does not use this one",
                "networking.nameservers = [ ]; # DHCP tells the machine its name servers",
            ),
        ] {
            let (_, told_why, add) = told(servers, more).unwrap();
            assert!(told_why.contains(why), "{told_why}");
            assert_eq!(add, line);
        }
    }
}
