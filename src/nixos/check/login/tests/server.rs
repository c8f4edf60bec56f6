use serde_json::{Value, json};

use crate::nixos::check::tests::{KEY, user, wheel, with};
use crate::nixos::check::ways_in::who_gets_in;
use crate::nixos::check::{Severity, findings};

#[test]
fn the_unit_of_a_server_that_is_off_is_named() {
    let off = ("/ssh/unit_off", json!("systemd.services.sshd.enable"));
    let said = |changes: &[(&str, Value)]| {
        let finding = findings(&with(changes), "aarch64-linux", None).remove(0);
        assert_eq!(finding.id, "ssh-off");
        (finding.is, finding.add)
    };
    let of_unit = "systemd.services.sshd.enable";
    let expected = |option: &str| {
        (
            format!("{option} = false"),
            vec![format!("{option} = true;")],
        )
    };
    assert_eq!(said(std::slice::from_ref(&off)), expected(of_unit));
    assert_eq!(who_gets_in(&with(std::slice::from_ref(&off))), []);
    let both = [off, ("/ssh/enable", json!(false))];
    assert_eq!(said(&both), expected("services.openssh.enable"));
}

#[test]
fn the_line_for_a_firewall_undoes_what_closes_it() {
    let said = |changes: &[(&str, Value)]| {
        let shut = [("/firewall/admitted", json!([]))];
        let facts = with(&[&shut[..], changes].concat());
        let finding = findings(&facts, "aarch64-linux", None).remove(0);
        assert_eq!(finding.id, "firewall");
        (finding.is, finding.add.concat())
    };
    let by_firewall = said(&[]);
    assert_eq!(by_firewall.0, "networking.firewall has no open port 22");
    let opens = "networking.firewall.allowedTCPPorts = [ 22 ];";
    assert_eq!(by_firewall.1, opens);
    let by_ssh = said(&[("/firewall/opened_by_ssh", json!(false))]);
    let is = "services.openssh.openFirewall = false, and the firewall has no open port 22";
    let opens = "services.openssh.openFirewall = true; # replaces the line with false";
    assert_eq!((by_ssh.0.as_str(), by_ssh.1.as_str()), (is, opens));
    // A definition without `mkForce` would be left out.
    for by_ssh in [true, false] {
        for (priority, force) in [(50, "mkForce"), (10, "mkOverride 10")] {
            let (_, line) = said(&[
                ("/firewall/opened_by_ssh", json!(by_ssh)),
                ("/firewall/ports", json!([80])),
                ("/firewall/ports_priority", json!(priority)),
            ]);
            let forced = format!(
                "networking.firewall.allowedTCPPorts = lib.{force} [ 80 22 ]; # replaces that list"
            );
            assert_eq!(line, forced);
        }
    }
}

/// The line to paste opened the port to everyone.
#[test]
fn rules_of_the_firewall_that_are_not_read_are_no_error() {
    let facts = with(&[
        ("/firewall/admitted", json!([])),
        ("/firewall/opened_by_ssh", json!(false)),
        ("/firewall/has_own_rules", json!(true)),
    ]);
    let found = findings(&facts, "aarch64-linux", None);
    let [finding] = found.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(
        (finding.id, finding.severity),
        ("firewall", Severity::Warning)
    );
    assert_eq!(finding.add, [""; 0]);
}

#[test]
fn patterns_of_allowed_and_denied_users_are_sshds() {
    let gets_in = |changes: &[(&str, Value)]| {
        let mut all = vec![("/users", json!([wheel("ann", &[KEY], "none")]))];
        all.extend_from_slice(changes);
        !who_gets_in(&with(&all)).is_empty()
    };
    let denied = |list: Value| !gets_in(&[("/ssh/denied", list)]);
    let allowed = |list: Value| gets_in(&[("/ssh/allowed", list)]);
    for list in [
        json!(["ann"]),
        json!(["a*"]),
        json!(["?nn", "x"]),
        json!(["*"]),
        json!(["a*n**@*"]),
    ] {
        assert!(denied(list.clone()), "{list}");
        assert!(allowed(list.clone()), "{list}");
    }
    for list in [
        json!(["bob"]),
        json!(["b*"]),
        json!(["??"]),
        json!(["ann?"]),
        json!([]),
    ] {
        assert!(!denied(list.clone()), "{list}");
        assert!(!allowed(list.clone()), "{list}");
    }
    // From some hosts only: refused there, admitted there.
    assert!(!denied(json!(["ann@10.*"])));
    assert!(allowed(json!(["ann@10.*"])));
}

#[test]
fn a_refused_login_is_explained_by_its_setting() {
    let only = |who: Value, more: &[(&str, Value)]| {
        let mut changes = vec![("/users", json!([who]))];
        changes.extend_from_slice(more);
        let found = findings(&with(&changes), "aarch64-linux", None);
        let found = found.into_iter().find(|f| f.id == "ssh-turns-away");
        found.map(|f| f.is).unwrap_or_default()
    };
    let on = [("/ssh/passwords", json!(true))];
    for (reason, shut) in [
        (
            "PermitRootLogin = \"prohibit-password\" accepts only a key",
            only(user("root", &[], "set"), &on),
        ),
        (
            "PasswordAuthentication = false",
            only(user("ann", &[], "set"), &[]),
        ),
        ("is empty", only(user("nixos", &[], "empty"), &on)),
        (
            "AllowUsers does not name",
            only(
                user("ann", &[KEY], "none"),
                &[("/ssh/allowed", json!(["bob"]))],
            ),
        ),
        (
            "DenyUsers names",
            only(
                user("ann", &[KEY], "none"),
                &[("/ssh/denied", json!(["ann"]))],
            ),
        ),
        (
            "PubkeyAuthentication is off",
            only(user("ann", &[KEY], "none"), &[("/ssh/keys", json!("no"))]),
        ),
        ("", only(user("ann", &[], "set"), &on)),
        (
            "",
            only(
                user("ann", &[KEY], "none"),
                &[("/ssh/allowed", json!(["ann@10.*"]))],
            ),
        ),
    ] {
        assert!(
            shut.contains(reason) && shut.is_empty() == reason.is_empty(),
            "{reason}: {shut}"
        );
    }
}
