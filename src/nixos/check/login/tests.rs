mod keys;
mod located;
mod passwords;
mod server;
mod shells;

use serde_json::{Value, json};

use crate::nixos::check::findings;
use crate::nixos::check::tests::{KEY, assert_found, found, user, wheel, with};

#[test]
fn an_administrator_is_root_or_has_a_sudo_that_works() {
    let nobody = |who: Value, more: &[(&str, Value)]| {
        let mut changes = vec![("/users", json!([user("root", &[], "none"), who]))];
        changes.extend_from_slice(more);
        found(&changes).contains(&"no-admin")
    };
    assert!(nobody(wheel("pi", &[KEY], "none"), &[]));
    assert!(nobody(user("pi", &[KEY], "set"), &[]), "not in wheel");
    assert!(nobody(
        wheel("pi", &[KEY], "set"),
        &[("/sudo/enable", json!(false))]
    ));
    assert!(!nobody(wheel("pi", &[KEY], "set"), &[]));
    for rule in [
        ("/sudo/groups", json!(["wheel"])),
        ("/sudo/users", json!(["pi"])),
        ("/sudo/other", json!(true)),
        ("/autologin", json!("root")),
    ] {
        assert!(!nobody(wheel("pi", &[KEY], "none"), &[rule]));
    }
    // No login at all is a different finding.
    assert!(!nobody(wheel("pi", &[], "none"), &[]));
}

#[test]
fn each_rule_of_logins_is_triggered_by_its_own_fact_only() {
    let root = |keys: &[&str]| ("/users", json!([user("root", keys, "none")]));
    let private = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=";
    let mut no_group = user("root", &[KEY], "none");
    no_group["unknown_groups"] = json!(["sudo", "docker"]);
    let with_bob = json!([user("root", &[KEY], "none"), user("bob", &[], "none")]);
    let mut in_zsh = user("root", &[KEY], "none");
    in_zsh["shell"] = json!("/usr/bin/zsh");
    let at_console = || ("/autologin", json!("root"));
    assert_found(&[
        ("key-is-none", &[root(&[KEY, "~/.ssh/id.pub"])]),
        ("private-key", &[root(&[KEY, private])]),
        ("nobody-gets-in", &[root(&[])]),
        ("user-cannot-log-in", &[("/users", with_bob)]),
        ("no-shell", &[("/users", json!([in_zsh]))]),
        ("ssh-off", &[("/ssh/enable", json!(false))]),
        (
            "ssh-off",
            &[("/ssh/unit_off", json!("systemd.services.sshd.enable"))],
        ),
        ("ssh-turns-away", &[("/ssh/root", json!("no"))]),
        (
            "ssh-local",
            &[("/ssh/addresses", json!(["127.0.0.1", "[::1]"]))],
        ),
        ("firewall", &[("/firewall/admitted", json!([]))]),
        ("unknown-group", &[("/users", json!([no_group]))]),
        (
            "empty-password",
            &[("/users", json!([user("root", &[KEY], "empty")]))],
        ),
        ("autologin", &[at_console()]),
        (
            "console-is-open",
            &[at_console(), ("/installer", json!(true))],
        ),
        ("only-autologin", &[at_console(), root(&[])]),
        (
            "no-admin",
            &[("/users", json!([wheel("pi", &[KEY], "none")]))],
        ),
    ]);
    // Keys may be in files of the machine.
    let elsewhere = || ("/ssh/other_keys", json!(true));
    assert_eq!(found(&[elsewhere(), root(&[])]), [""; 0]);
    assert_eq!(
        found(&[elsewhere(), root(&[]), at_console()]),
        ["autologin"]
    );
    let behind_a_wall = ("/firewall/admitted", json!([]));
    let local = ("/ssh/addresses", json!(["127.0.0.1"]));
    assert_eq!(found(&[local, behind_a_wall]), ["ssh-local"]);
    let broken = root(&["ssh-ed25519 REPLACE-ME"]);
    assert_eq!(found(&[broken, at_console()]), ["key-is-none", "autologin"]);
    let addresses = json!(["127.0.0.1", "10.0.0.2"]);
    assert_eq!(found(&[("/ssh/addresses", addresses)]), [""; 0]);
}

#[test]
fn who_cannot_become_root_is_told_why() {
    let reason = |who: Value, more: &[(&str, Value)]| {
        let changes = [&[("/users", json!([who]))][..], more].concat();
        let found = findings(&with(&changes), "aarch64-linux", None);
        found.into_iter().find(|f| f.id == "no-admin").unwrap().is
    };
    let start = "ann can log in but cannot become root, because";
    let asks = "sudo asks for a password, and users.users.ann has none";
    let told = reason(wheel("ann", &[KEY], "none"), &[]);
    assert_eq!(told, format!("{start} {asks}"));
    let outside = "users.users.ann.extraGroups does not have wheel, the group that may use sudo";
    let told = reason(user("ann", &[KEY], "set"), &[]);
    assert_eq!(told, format!("{start} {outside}"));
    let off = [("/sudo/enable", json!(false))];
    let told = reason(wheel("ann", &[KEY], "set"), &off);
    assert_eq!(told, format!("{start} security.sudo.enable = false"));
    for name in ["rot", "roor", "roott", "Root"] {
        let told = reason(user(name, &[KEY], "none"), &[]);
        let question = format!("is users.users.{name} meant to be root? {name} can");
        assert!(told.starts_with(&question), "{told}");
    }
}

#[test]
fn a_user_who_is_neither_normal_nor_the_systems_is_one_finding() {
    let told = |messages: &[&str]| {
        let facts = with(&[("/assertions", json!(messages))]);
        let found = findings(&facts, "aarch64-linux", None).into_iter();
        found.map(|f| (f.id, f.add)).collect::<Vec<_>>()
    };
    let kind = "\n  Exactly one of users.users.ann.isSystemUser and users.users.ann.isNormalUser must be set.\n";
    let group =
        "users.users.ann.group is unset. This used to default to nogroup, but this is unsafe.";
    let line = "users.users.ann.isNormalUser = true;".to_owned();
    assert_eq!(told(&[kind, group]), [("assertion", vec![line])]);
    // Both are set, or a group is.
    let only = "users.users.ann.isNormalUser = true; # and no isSystemUser, which is for services";
    assert_eq!(told(&[kind]), [("assertion", vec![only.to_owned()])]);
    let lines = [
        "users.users.ann.group = \"ann\";",
        "users.groups.ann = { };",
    ];
    assert_eq!(
        told(&[group]),
        [("assertion", lines.map(str::to_owned).to_vec())]
    );
    let root = "users.users.root = { … }; # replaces users.users.rot".to_owned();
    let of_root = [kind, group].map(|text| text.replace("ann", "rot"));
    assert_eq!(
        told(&[&of_root[0], &of_root[1]]),
        [("assertion", vec![root])]
    );
    let other = group.replace("ann", "bob");
    assert_eq!(told(&[kind, &other]).len(), 2);
}
