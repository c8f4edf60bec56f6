use serde_json::{Value, json};

use crate::nixos::check::findings;
use crate::nixos::check::login::RULES;
use crate::nixos::check::tests::{KEY, found, user, wheel, with};

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
    assert!(other.ends_with("REPLACE-ME\" (a placeholder)"), "{other}");
}

#[test]
fn of_several_keys_that_are_none_the_first_is_shown() {
    let root = user("root", &["/a.pub", "/b.pub", KEY, "/c.pub"], "none");
    let found = findings(&with(&[("/users", json!([root]))]), "aarch64-linux", None);
    let told =
        "keys has \"/a.pub\" (a path, not the content of the file) and 2 more that are not keys";
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
    let setting = "users.users.root.openssh.authorizedKeys.keys has a private key, and no user has another key or a password";
    assert_eq!((finding.id, finding.is.as_str()), ("private-key", setting));
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
        assert!(
            finding.why.contains("the .pub file beside it"),
            "{}",
            finding.why
        );
    }
    let other = json!([user("root", &[KEY], "none")]);
    assert_eq!(found(&changes(other)), ["private-key-file"]);
}
