use serde_json::{Value, json};

use crate::nixos::check::findings;
use crate::nixos::check::tests::{KEY, found, user, wheel, with};

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
fn a_relative_file_has_no_password() {
    let mut pi = user("pi", &[], "none");
    pi["has_relative_file"] = json!(true);
    let users = json!([user("root", &[KEY], "none"), pi.clone()]);
    assert_eq!(found(&[("/users", users)]), ["relative-file"]);
    let alone = found(&[("/users", json!([pi.clone()]))]);
    assert_eq!(alone, ["nobody-gets-in", "relative-file"]);
    pi["has_hash_as_file"] = json!(true);
    let with_hash = json!([user("root", &[KEY], "none"), pi]);
    assert_eq!(found(&[("/users", with_hash)]), ["hash-as-file"]);
}

#[test]
fn a_sudo_that_asks_for_a_missing_password_is_told() {
    let root = || user("root", &[KEY], "none");
    let told = |users: Value| {
        let all = findings(&with(&[("/users", users)]), "aarch64-linux", None);
        let said = all.iter().map(|finding| (finding.id, finding.is.clone()));
        (
            said.collect::<Vec<_>>(),
            all.iter()
                .flat_map(|finding| finding.add.clone())
                .collect::<Vec<_>>(),
        )
    };
    let (said, add) = told(json!([root(), wheel("ann", &[KEY], "none")]));
    let is = "sudo asks for a password, and users.users.ann has none".to_owned();
    assert_eq!(said, [("sudo-password", is)]);
    let free = "security.sudo.wheelNeedsPassword = false; # or a password for ann";
    assert_eq!(add, [free]);
    for users in [
        json!([root(), wheel("ann", &[KEY], "set")]),
        json!([root(), user("ann", &[KEY], "none")]),
    ] {
        assert_eq!(told(users).0, []);
    }
    let alone = told(json!([wheel("ann", &[KEY], "none")])).0;
    assert_eq!(alone[0].0, "no-admin");
    assert_eq!(alone.len(), 1);
}
