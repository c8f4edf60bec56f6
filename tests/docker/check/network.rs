//! Findings of `check` about addresses and name servers.

use super::{IMAGE, check, ids, report};
use crate::support::*;

#[test]
fn addresses_of_no_machine_are_found() {
    if !engine_ready() {
        return;
    }
    let user = TestUser::new();
    let (_, public) = key(&user);
    let told = |address: &str, gateway: &str, more: &str| {
        let text = format!(
            "{{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n  \
             networking.interfaces.end0.ipv4.addresses = [ {{ address = \"{address}\"; prefixLength = 24; }} ];\n  \
             networking.defaultGateway = \"{gateway}\"; networking.nameservers = [ \"1.1.1.1#one.one.one.one\" {more}\n}}\n"
        );
        check(&user, "pi.nix", &text)
    };
    // Nothing reads these servers, and no other machine reaches these interfaces.
    let inside = ["lo", "tun0"].map(|name| {
        format!("networking.interfaces.{name} = {{ virtual = true; ipv4.addresses = [ {{ address = \"10.9.9.255\"; prefixLength = 24; }} ]; }};")
    });
    let inside = inside.join(" ");
    let unread = format!("\"dns.google\" ]; networking.resolvconf.enable = false; {inside}");
    let fine = told("10.0.0.5", "10.0.0.1", &unread).assert_exit_code(0);
    assert_eq!(ids(&fine), [""; 0]);
    for (address, gateway, exit_code, line) in [
        ("10.0.0.255", "10.0.0.1", 6, 3),
        ("10.0.0.0", "10.0.0.1", 0, 3),
        ("10.0.0.5", "10.0.0.255", 0, 4),
    ] {
        let checked = told(address, gateway, "];").assert_exit_code(exit_code);
        assert_eq!(ids(&checked), ["network-address"], "{address} {gateway}");
        assert_eq!(report(&checked)["findings"][0]["line"], line);
    }
    let reached = "]; networking.interfaces.end0.ipv6.addresses = [ { address = \"fd00::5\"; prefixLength = 64; } ];";
    let reached = told("10.0.0.255", "10.0.0.1", reached).assert_exit_code(0);
    assert_eq!(ids(&reached), ["network-address"]);
    let servers = |more: &str| ids(&told("10.0.0.5", "10.0.0.1", more));
    let wrong = ["wrong-name-server"];
    assert_eq!(servers("\"dns.google\" ];"), wrong);
    let resolved = "\"dns.google\" ]; services.resolved.enable = true;";
    assert_eq!(servers(resolved), wrong);
    let unread = "\"dns.google\" ]; networking.resolvconf.enable = false;";
    assert_eq!(servers(unread), [""; 0]);
    // A server of the machine itself may take other texts.
    let own = "\"/lan/10.0.0.1\" ]; environment.etc.\"resolv.conf\".text = \"nameserver ::1\";";
    assert_eq!(servers(own), [""; 0]);
}
