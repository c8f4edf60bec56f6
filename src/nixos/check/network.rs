//! The rules about the network. Pure.

use super::Severity;
use super::addresses::{
    has_only_fixed_addresses, is_no_address, is_out_of_reach, said_of_address, said_of_six,
    wrong_addresses,
};
use super::facts::ConfigFacts;
use super::rule::Rule;
use sdbuild_core::host_name;

pub(super) const RULES: [Rule; 12] = [
    Rule {
        id: "not-published",
        severity: Severity::Warning,
        is: |facts, _| {
            let option = facts.network.unpublished.as_deref()?;
            Some(format!(
                "services.avahi.publish.{option} = true, but nothing is published"
            ))
        },
        why: "without services.avahi.publish.enable, Avahi publishes neither the machine's name nor its services",
        add: &["services.avahi.publish.enable = true;"],
    },
    Rule {
        id: "no-network",
        severity: Severity::Error,
        is: |facts, _| {
            let net = &facts.network;
            let any = net.dhcp || net.interfaces || net.networkd || net.manager || net.iwd;
            (!any && !facts.container).then(|| {
                format!(
                    "networking.{} = false, but no interface has an address",
                    net.dhcp_off.join(" = networking.")
                )
            })
        },
        why: "the machine gets no address, so nobody can reach it",
        add: &["{dhcp}"],
    },
    Rule {
        id: "no-network",
        severity: Severity::Error,
        is: |facts, _| {
            let net = &facts.network;
            let is_elsewhere = net.dhcp || net.networkd || net.manager || net.iwd || net.routes;
            let joins_one = net.networks > 0 || net.elsewhere;
            let is_wireless = net.addressed.iter().all(|name| is_wireless(name));
            let is_alone = is_wireless && !is_elsewhere && !joins_one && !facts.container;
            // Without any address the rule above says it.
            let name = net.addressed.first().filter(|_| is_alone)?;
            Some(format!(
                "only networking.interfaces.{name} gets an address, and no wireless network is named"
            ))
        },
        why: "the machine joins no wireless network and uses no cable, so nobody can reach it",
        add: &["{first network}"],
    },
    Rule {
        id: "no-gateway",
        severity: Severity::Warning,
        is: |facts, _| {
            let is_missing = has_only_fixed_addresses(facts) && !facts.network.gateway;
            is_missing.then(|| "a fixed address, but no networking.defaultGateway".into())
        },
        why: "the machine reaches only its own network, not the internet",
        add: &["networking.defaultGateway = \"192.168.1.1\"; # the address of your router"],
    },
    Rule {
        id: "wrong-address",
        severity: Severity::Error,
        is: |facts, _| {
            let wrong: Vec<String> = wrong_addresses(facts).filter_map(said_of_address).collect();
            (!wrong.is_empty()).then(|| {
                format!(
                    "networking.interfaces has the address {}",
                    wrong.join(", and ")
                )
            })
        },
        why: "the interface gets no address",
        add: &[],
    },
    Rule {
        id: "wrong-address",
        severity: Severity::Error,
        is: |facts, _| {
            let wrong = said_of_six(facts)?;
            Some(format!("networking.interfaces has the address {wrong}"))
        },
        why: "the interface gets no address",
        add: &[],
    },
    Rule {
        id: "interface-name",
        severity: Severity::Warning,
        is: |facts, _| {
            let names = &facts.network.replaced_names;
            let options = names
                .iter()
                .map(|name| format!("networking.interfaces.{name}"));
            let options: Vec<String> = options.collect();
            (!options.is_empty()).then(|| options.join(", "))
        },
        why: "the wired interface of most boards has another name, so these settings have no effect. It is end0 on a \
              Raspberry Pi 4 or 5, enu1u1 or enu1u1u1 on a Raspberry Pi 3 and enp0s1 in QEMU. `ip link` on the board shows the name",
        add: &[
            "networking.usePredictableInterfaceNames = false; # or use the interface's real name",
        ],
    },
    Rule {
        id: "wrong-gateway",
        severity: Severity::Warning,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            is_no_address(gateway).then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "that is not an IP address, so the machine reaches only its own network, not the internet",
        add: &["networking.defaultGateway = \"{gateway}\"; # the address of your router"],
    },
    Rule {
        id: "other-gateway",
        severity: Severity::Warning,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            is_out_of_reach(facts, gateway)
                .then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "the machine has no address in the network of that gateway, so it reaches only its own network",
        add: &["networking.defaultGateway = \"192.168.1.1\"; # the address of your router"],
    },
    Rule {
        id: "own-gateway",
        severity: Severity::Warning,
        is: |facts, _| {
            let gateway = facts.network.gateway_address.as_deref()?;
            let is_own = |address: &String| address.split('/').next() == Some(gateway);
            let is_set = facts.network.addresses.iter().any(is_own);
            is_set.then(|| format!("networking.defaultGateway = \"{gateway}\""))
        },
        why: "that is the machine's own address, so it reaches only its own network. The gateway is your router, and the \
              machine needs a different address",
        add: &[],
    },
    Rule {
        id: "no-name-server",
        severity: Severity::Warning,
        is: |facts, _| {
            let is_missing = has_only_fixed_addresses(facts) && !facts.network.name_server;
            is_missing.then(|| "a fixed address, but no networking.nameservers".into())
        },
        why: "the machine cannot look up names such as cache.nixos.org",
        add: &[
            "networking.nameservers = [ \"192.168.1.1\" ]; # usually the address of your router",
        ],
    },
    Rule {
        id: "host-name",
        severity: Severity::Warning,
        is: |facts, _| {
            let name = facts.host_name.as_deref()?;
            let is_none = !name.is_empty() && !host_name::is_valid(name);
            is_none.then(|| format!("networking.hostName = \"{name}\""))
        },
        why: "NixOS accepts this name, but routers and other machines may not. Use letters and digits, with `-` only \
              between them",
        add: &["networking.hostName = \"{host name}\";"],
    },
];

/// Whether `name` is one that the kernel or systemd gives a wireless interface.
fn is_wireless(name: &str) -> bool {
    let rest = name.strip_prefix("wl");
    let kind = rest.and_then(|rest| {
        rest.strip_prefix("an")
            .or(rest.strip_prefix(['p', 's', 'o', 'u']))
    });
    kind.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

/// The lines with which interfaces use DHCP.
pub(super) fn lines_that_turn_dhcp_on(facts: &ConfigFacts) -> Vec<String> {
    let options = facts.network.dhcp_off.iter();
    options
        .map(|option| format!("networking.{option} = true;"))
        .collect()
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
    fn wireless_alone_without_a_network_is_no_network() {
        let only = |names: &[&str], more: &[(&str, serde_json::Value)]| {
            let changes = [
                ("/network/dhcp", json!(false)),
                ("/network/interfaces", json!(true)),
                ("/network/addressed", json!(names)),
            ];
            found(&[&changes[..], more].concat())
        };
        assert_eq!(only(&["wlan0"], &[]), ["no-network"]);
        assert_eq!(only(&["wlp1s0"], &[]), ["no-network"]);
        for other in [&["wlan0", "end0"][..], &["wlanbridge"], &["wl"]] {
            assert_eq!(only(other, &[]), [""; 0], "{other:?}");
        }
        for path in ["elsewhere", "manager", "iwd", "networkd", "routes"] {
            let path = format!("/network/{path}");
            let more = [(path.as_str(), json!(true))];
            assert_eq!(only(&["wlan0"], &more), [""; 0], "{path}");
        }
        let named = [
            ("/network/networks", json!(1)),
            ("/network/wireless", json!(true)),
        ];
        assert_eq!(only(&["wlan0"], &named), [""; 0]);
    }

    #[test]
    fn all_that_turns_dhcp_off_is_turned_on() {
        let off = json!(["useDHCP", "dhcpcd.enable"]);
        let facts = with(&[("/network/dhcp", json!(false)), ("/network/dhcp_off", off)]);
        let found = findings(&facts, "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let setting = "networking.useDHCP = networking.dhcpcd.enable = false, but no interface has an address";
        assert_eq!((finding.id, finding.is.as_str()), ("no-network", setting));
        let lines = [
            "networking.useDHCP = true;",
            "networking.dhcpcd.enable = true;",
        ];
        assert_eq!(finding.add, lines);
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
