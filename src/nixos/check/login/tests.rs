use serde_json::{Value, json};

use super::RULES;
use crate::nixos::check::findings;
use crate::nixos::check::tests::{KEY, assert_found, found, user, wheel, with};
use crate::nixos::check::ways_in::{who_gets_in, who_logs_in};

#[test]
fn several_users_have_no_key() {
    let users = json!([
        wheel("root", &[KEY], "none"),
        user("ann", &[], "none"),
        user("1b", &[], "none")
    ]);
    let found = findings(&with(&[("/users", users)]), "aarch64-linux", None);
    let mut of_rule = found.iter();
    let finding = of_rule.find(|finding| finding.id == "user-cannot-log-in");
    let is = "users.users.ann, users.users.\"1b\" have no key and no password";
    assert_eq!(finding.unwrap().is, is);
}

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
fn a_missing_key_is_not_blamed_on_the_ssh_server() {
    let rule = RULES.iter().find(|rule| rule.id == "nobody-gets-in");
    let add = rule.unwrap().add.concat();
    assert!(!add.contains("openssh.enable"), "{add}: `ssh-off` says it");
}

#[test]
fn the_only_key_that_is_none_locks_everyone_out() {
    let key = |users: Value| {
        let found = findings(&with(&[("/users", users)]), "aarch64-linux", None);
        let mut keys = found.into_iter().filter(|f| f.id == "key-is-none");
        keys.next().unwrap().is
    };
    let broken = || user("root", &["ssh-ed25519 REPLACE-ME"], "none");
    let locked_out = "no user has another key or a password";
    assert!(key(json!([broken()])).ends_with(locked_out));
    let other = key(json!([broken(), wheel("pi", &[KEY], "set")]));
    assert!(
        other.ends_with("REPLACE-ME\" (what follows the type is no key)"),
        "{other}"
    );
}

#[test]
fn of_several_keys_that_are_none_the_first_is_shown() {
    let root = user("root", &["/a.pub", "/b.pub", KEY, "/c.pub"], "none");
    let found = findings(&with(&[("/users", json!([root]))]), "aarch64-linux", None);
    let told =
        "keys has \"/a.pub\" (a path, not the content of the file) and 2 more that are no keys";
    assert!(found[0].is.ends_with(told), "{}", found[0].is);
}

#[test]
fn the_only_key_that_is_private_is_one_finding() {
    let key = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=";
    let root = user("root", &[key], "none");
    let found = findings(&with(&[("/users", json!([root]))]), "aarch64-linux", None);
    let [finding] = found.as_slice() else {
        panic!("{found:?}");
    };
    let setting =
        "users.users.root.openssh.authorizedKeys.keys, and no user has another key or a password";
    assert_eq!((finding.id, finding.is.as_str()), ("private-key", setting));
}

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
fn a_password_in_plain_text_is_reported() {
    let mut guest = wheel("guest", &[KEY], "set");
    guest["open_password"] = json!(true);
    let with_guest = |passwords: bool, keyboard: bool| {
        found(&[
            ("/users", json!([guest])),
            ("/ssh/passwords", json!(passwords)),
            ("/ssh/keyboard", json!(keyboard)),
        ])
    };
    assert_eq!(with_guest(true, false), ["open-password"]);
    assert_eq!(with_guest(false, true), ["open-password"]);
    assert_eq!(with_guest(false, false), ["stored-password"]);
    let mut user = user("guest", &[], "set");
    user["open_password"] = json!(true);
    let users = json!([user, wheel("pi", &[KEY], "set")]);
    assert_eq!(found(&[("/users", users)]), ["stored-password"]);
}

#[test]
fn a_hash_that_is_none_is_reported() {
    let mut pi = user("pi", &[], "none");
    pi["invalid_hash"] = json!("initialHashedPassword");
    let found = |users: Value| findings(&with(&[("/users", users)]), "aarch64-linux", None);
    let only = found(json!([pi]));
    assert_eq!(only.len(), 1, "{only:?}");
    assert_eq!(
        only[0].is,
        "users.users.pi.initialHashedPassword, and no user has a key or another password"
    );
    assert!(only[0].add[0].starts_with("users.users.pi.initialHashedPassword = "));
    let with_root = found(json!([user("root", &[KEY], "none"), pi]));
    assert_eq!(with_root[0].is, "users.users.pi.initialHashedPassword");
    // The line lets the user in whom the list keeps out.
    let shut = with(&[("/ssh/allowed", json!(["ann"]))]);
    let shut = findings(&shut, "aarch64-linux", None).remove(0);
    let admit = "services.openssh.settings.AllowUsers = [ \"ann\" \"root\" ];";
    assert_eq!((shut.id, shut.add[0].as_str()), ("ssh-turns-away", admit));
}

#[test]
fn private_key_among_the_files_is_reported() {
    let keys = json!(["ssh/ssh_host_ed25519_key"]);
    assert_eq!(found(&[("/private_keys", keys)]), ["private-key-file"]);
}

#[test]
fn a_private_key_in_key_files_is_reported_once() {
    let mut pi = user("pi", &[], "none");
    pi["private_key_files"] = json!(["id_ed25519"]);
    let of_nixos = ("/private_keys", json!(["ssh/authorized_keys.d/pi"]));
    let changes = |users: Value| [("/users", users), of_nixos.clone()];
    for users in [json!([pi]), json!([user("root", &[KEY], "none"), pi])] {
        let found = findings(&with(&changes(users)), "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let setting =
            "users.users.pi.openssh.authorizedKeys.keyFiles has the private key \"id_ed25519\"";
        assert_eq!((finding.id, finding.is.as_str()), ("private-key", setting));
        assert!(finding.why.contains("ends in .pub"), "{}", finding.why);
    }
    let other = json!([user("root", &[KEY], "none")]);
    assert_eq!(found(&changes(other)), ["private-key-file"]);
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
            "PermitRootLogin is \"prohibit-password\"",
            only(user("root", &[], "set"), &on),
        ),
        (
            "PasswordAuthentication is false",
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
fn a_shell_that_does_not_exist_names_its_package() {
    let with_shell = |path: &str| {
        let mut root = user("root", &[KEY], "none");
        root["shell"] = json!(path);
        let found = findings(&with(&[("/users", json!([root]))]), "aarch64-linux", None);
        found
            .into_iter()
            .flat_map(|finding| finding.add)
            .collect::<Vec<_>>()
    };
    let mut root = user("root", &[KEY], "none");
    root["shell"] = json!("/bin/bash");
    assert_eq!(who_logs_in(&with(&[("/users", json!([root]))])), []);
    let zsh = "users.users.root.shell = pkgs.zsh;";
    let program = "programs.zsh.enable = true;";
    assert_eq!(with_shell("/usr/bin/zsh"), [zsh, program]);
    let bash = "users.users.root.shell = pkgs.bash;";
    assert_eq!(with_shell("/bin/bash"), [bash]);
    assert_eq!(with_shell("/sbin/nologin"), [bash]);
    for path in ["/bin/sh", "/run/current-system/sw/bin/bash"] {
        assert_eq!(with_shell(path), [""; 0], "{path}");
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
    assert_eq!(told(&[kind]), [("assertion", vec![])]);
    assert_eq!(told(&[group]), [("assertion", vec![])]);
    let other = group.replace("ann", "bob");
    assert_eq!(told(&[kind, &other]).len(), 2);
}

#[test]
fn a_shell_that_ends_every_login_locks_out_its_user() {
    let mut git = user("git", &[KEY], "none");
    git["shell"] = json!("nologin");
    let root = |keys: &[&str]| user("root", keys, "none");
    let users = |root: Value| ("/users", json!([root, git]));
    let found_in = findings(&with(&[users(root(&[]))]), "aarch64-linux", None);
    let [finding] = found_in.as_slice() else {
        panic!("{found_in:?}");
    };
    assert_eq!(finding.id, "refusing-shell");
    assert!(
        finding
            .add
            .concat()
            .starts_with("users.users.git.shell = pkgs.")
    );
    assert_eq!(who_logs_in(&with(&[users(root(&[]))])), []);
    // Somebody else logs in, keys come from elsewhere, or a block of the server's settings runs another program.
    let nobody = || users(root(&[]));
    for changes in [
        vec![users(root(&[KEY]))],
        vec![nobody(), ("/ssh/other_keys", json!(true))],
        vec![nobody(), ("/ssh/unread", json!(["match"]))],
    ] {
        assert!(!found(&changes).contains(&"refusing-shell"), "{changes:?}");
    }
    let refused = [users(root(&[KEY])), ("/ssh/root", json!("no"))];
    assert_eq!(
        found(&refused),
        ["ssh-turns-away"],
        "of root, who has a shell"
    );
}
