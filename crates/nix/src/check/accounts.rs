//! The rules about the keys and the passwords of users. Pure.

use super::facts::{ConfigFacts, PasswordState, UserFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, keys_option, user_option};
use super::ways_in::{changes_that_refuse_passwords, password_is_accepted};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::ssh_key::{KEY_TYPES, contains_key, is_private};
use sdbuild_core::text::truncate;

/// What is wrong with keys and passwords.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let of_users = facts.users.iter().flat_map(|user| {
        [
            private_key(facts, user),
            private_key_file(user),
            key_is_none(facts, user),
            password_hash(facts, user),
            password_file(user),
            plain_password(facts, user),
        ]
    });
    of_users.flatten().collect()
}

/// Lines that have no complete key, except comments and private keys.
fn broken_keys(user: &UserFacts) -> impl Iterator<Item = &String> {
    let is_entry = |line: &str| !line.is_empty() && !line.starts_with('#');
    let is_broken = |line: &str| !contains_key(line) && !is_private(line);
    let keys = user.keys.iter();
    keys.filter(move |line| is_entry(line.trim()) && is_broken(line))
}

fn has_private_key(user: &UserFacts) -> bool {
    !user.private_key_files.is_empty() || user.keys.iter().any(|key| is_private(key))
}

/// Whether one of the keys is none, or private.
pub(super) fn has_wrong_key(facts: &ConfigFacts) -> bool {
    let mut users = facts.users.iter();
    users.any(|user| broken_keys(user).next().is_some() || has_private_key(user))
}

/// Whether the hash of a password is none.
pub(super) fn has_wrong_hash(facts: &ConfigFacts) -> bool {
    facts.users.iter().any(|user| user.invalid_hash.is_some())
}

/// What follows if there is nothing else to log in with.
fn no_other_login(facts: &ConfigFacts) -> &'static str {
    if facts.is_locked_out() {
        ", and no user has another key or a password"
    } else {
        ""
    }
}

fn private_key(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    // Not the key itself.
    let detail = format!(" has a private key{}", no_other_login(facts));
    let has_one = user.keys.iter().any(|key| is_private(key));
    has_one.then(|| {
        Finding::of_option(
            "private-key",
            Error,
            keys_option(&user.name),
            detail,
            "a private key does not let anyone in here, and anyone who can read the card or the Nix store of this machine \
             can use it. Make a new pair with ssh-keygen, and put the line of its .pub file here",
        )
    })
}

fn private_key_file(user: &UserFacts) -> Option<Finding> {
    let file = user.private_key_files.first()?;
    Some(Finding::of_option(
        "private-key",
        Error,
        user_option(&user.name, "openssh.authorizedKeys.keyFiles"),
        format!(" has the private key {}", nix_string(file)),
        "a private key does not let anyone in here, and others can read it in the image and in the Nix store of this \
         machine. Name the .pub file beside it. If anyone else has an image with this key, make a new pair with ssh-keygen",
    ))
}

fn key_is_none(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    /// Characters of the text that are shown.
    const SHOWN: usize = 40;
    let broken: Vec<&String> = broken_keys(user).collect();
    let first = broken.first()?;
    let others = match broken.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more that are not keys"),
    };
    let shown = nix_string(&truncate(first, SHOWN));
    let kind = kind(first).map(|kind| format!(" ({kind})"));
    let detail = format!(
        " has {shown}{}{others}{}",
        kind.unwrap_or_default(),
        no_other_login(facts)
    );
    let are_all = broken.len() == user.keys.len() && !user.has_expired_key;
    let finding = Finding::of_option(
        "key-is-none",
        Error,
        keys_option(&user.name),
        detail,
        "the text in quotes is not a complete public key. Write the whole line of a .pub file in ~/.ssh; \
         `ssh-keygen -t ed25519` makes one",
    );
    Some(finding.fix(are_all.then(|| Change::own_key(&user.name))))
}

/// What stands in place of a key, if that is certain.
fn kind(text: &str) -> Option<&'static str> {
    let line = text.trim();
    let begins = |starts: &[&str]| starts.iter().any(|start| line.starts_with(start));
    let first = line.split_whitespace().next()?;
    if begins(&["~", "/", "./", "../"]) {
        Some("a path, not the content of the file")
    } else if begins(&["http://", "https://"]) {
        Some("an address, not a key from there")
    } else if ["…", "...", "REPLACE-ME"]
        .iter()
        .any(|part| line.contains(part))
    {
        Some("a placeholder")
    } else if line.starts_with("AAAA") {
        Some("the type is missing before the key")
    } else if KEY_TYPES.contains(&first) {
        Some("the key is cut short or damaged")
    } else {
        None
    }
}

/// The change with which the user has the hash of a password.
fn hash_of_password(user: &UserFacts, option: &str) -> Change {
    let change = Change::set(user_option(&user.name, option), "\"$y$…\"");
    change.note("the output of `mkpasswd`")
}

fn password_hash(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let option = user.invalid_hash.as_deref()?;
    let finding = Finding::of_option(
        "password-hash",
        Error,
        user_option(&user.name, option),
        format!(" is not the hash of a password{}", no_other_login(facts)),
        "that is not the complete hash of a password, so no password is accepted. If it is the password itself, anyone \
         who has the card can read it",
    );
    Some(finding.fix([hash_of_password(user, option)]))
}

fn password_file(user: &UserFacts) -> Option<Finding> {
    let finding = Finding::of_option(
        "password-hash",
        Warning,
        user_option(&user.name, "hashedPasswordFile"),
        " is not the whole path of a file",
        "NixOS finds no such file on the card, so the user has no password",
    );
    let change = hash_of_password(user, "hashedPassword").note(
        "the output of `mkpasswd`, instead of hashedPasswordFile; or give the path of a file on the card there",
    );
    user.has_wrong_file.then(|| finding.fix([change]))
}

fn plain_password(facts: &ConfigFacts, user: &UserFacts) -> Option<Finding> {
    let option = user.plain_password.as_deref();
    let option = option.filter(|_| user.password == PasswordState::Set)?;
    let finding = |id, why| {
        let option = user_option(&user.name, option);
        Finding::of_option(id, Warning, option, " is a password in plain text", why)
    };
    Some(if password_is_accepted(facts, user) {
        let finding = finding(
            "open-password",
            "SSH accepts it from the whole network, and anyone can read it on the card or in the Nix store of a machine \
             that builds the image",
        );
        finding.fix(changes_that_refuse_passwords(facts, &user.name))
    } else {
        let finding = finding(
            "stored-password",
            "anyone can read it on the card and in the Nix store of each machine that builds the image. It works at the \
             console and for the user's sudo",
        );
        finding.fix([hash_of_password(user, "hashedPassword")])
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::{KEY, assert_found, found, of_id, user, wheel};
    use super::*;

    const PRIVATE: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXktdjE=";

    fn root(keys: &[&str]) -> (&'static str, Value) {
        ("/users", json!([user("root", keys, "none")]))
    }

    #[test]
    fn a_key_is_a_public_key() {
        let keys = "users.users.root.openssh.authorizedKeys.keys";
        let mut with_file = user("root", &[KEY], "none");
        with_file["private_key_files"] = json!(["id_ed25519"]);
        assert_found(&[
            ("key-is-none", keys, &[root(&[KEY, "~/.ssh/id.pub"])]),
            ("key-is-none", keys, &[root(&["ssh-ed25519 REPLACE-ME"])]),
            ("private-key", keys, &[root(&[KEY, PRIVATE])]),
            (
                "private-key",
                "users.users.root.openssh.authorizedKeys.keyFiles",
                &[("/users", json!([with_file]))],
            ),
            ("", "", &[root(&[KEY, "", "# of ann"])]),
        ]);
        // Where a good key is in the list, the line would replace it.
        assert!(of_id("key-is-none", &[root(&[KEY, "x"])]).fix.is_empty());
        let finding = of_id("key-is-none", &[root(&["ssh-ed25519 AAAA", "x"])]);
        assert_eq!(finding.fix, [Change::own_key("root")]);
        assert!(
            finding.detail.contains("no user has another key"),
            "{finding:?}"
        );
        let private = of_id("private-key", &[root(&[PRIVATE])]);
        assert!(!format!("{private:?}").contains("b3Bl"), "{private:?}");
    }

    #[test]
    fn what_stands_in_place_of_a_key_is_named() {
        for (text, expected) in [
            ("/home/me/.ssh/id.pub", Some("path")),
            ("https://github.com/me.keys", Some("address")),
            ("ssh-ed25519 …", Some("placeholder")),
            ("AAAAC3NzaC1lZDI1NTE5AAAA", Some("type")),
            ("ssh-ed25519 AAAAC3NzaC1", Some("cut short")),
            ("hunter2", None),
        ] {
            match (kind(text), expected) {
                (Some(found), Some(part)) => assert!(found.contains(part), "{found}"),
                (found, _) => assert_eq!(found, expected, "{text}"),
            }
        }
    }

    #[test]
    fn a_password_is_a_hash_or_a_file() {
        let ann = |key: &str, value: Value| {
            let mut ann = wheel("ann", &[], "none");
            ann[key] = value;
            ("/users", json!([user("root", &[KEY], "none"), ann]))
        };
        assert_found(&[
            (
                "password-hash",
                "users.users.ann.initialHashedPassword",
                &[ann("invalid_hash", json!("initialHashedPassword"))],
            ),
            (
                "password-hash",
                "users.users.ann.hashedPasswordFile",
                &[ann("has_wrong_file", json!(true))],
            ),
        ]);
        let mut only = user("root", &[], "none");
        only["invalid_hash"] = json!("hashedPassword");
        let finding = of_id("password-hash", &[("/users", json!([only]))]);
        assert!(
            finding.detail.contains("no user has another"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_password_in_plain_text_is_found() {
        let guest = |password: &str| {
            let mut guest = wheel("guest", &[], password);
            guest["plain_password"] = json!("initialPassword");
            guest
        };
        let users = |all: &[Value]| ("/users", json!(all));
        let open = ("/ssh/passwords", json!(true));
        let root = || user("root", &[KEY], "none");
        let option = "users.users.guest.initialPassword";
        let both = users(&[root(), guest("set")]);
        assert_found(&[
            ("stored-password", option, std::slice::from_ref(&both)),
            ("open-password", option, &[both.clone(), open.clone()]),
        ]);
        assert_eq!(
            found(&[users(&[root(), guest("empty")])]),
            ["empty-password"]
        );
        // A key comes before the end of passwords, unless somebody has one.
        let last = |changes: &[(&str, Value)]| {
            let fix = of_id("open-password", changes).fix;
            let last = fix.iter().map(|one| one.option.last().unwrap().clone());
            last.collect::<Vec<_>>()
        };
        let off = ["PasswordAuthentication", "KbdInteractiveAuthentication"];
        assert_eq!(last(&[both, open.clone()]), off);
        let nobody = users(&[user("root", &[], "none"), guest("set")]);
        assert_eq!(last(&[nobody, open]), ["keys", off[0], off[1]]);
    }
}
