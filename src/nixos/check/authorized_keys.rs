//! The rules about the SSH keys of the users. Pure.

use super::Severity;
use super::broken_key;
use super::facts::{ConfigFacts, UserFacts};
use super::named_options::user_option;
use super::passwords::password_is_accepted;
use super::rule::Rule;
use super::ways_in::{has_authority, is_locked_out, way_in};
use sdbuild_core::ssh_key::{expiry_time, is_private};
use sdbuild_core::text::truncate;

pub(super) const RULES: [Rule; 6] = [
    Rule {
        id: "private-key",
        severity: Severity::Error,
        is: |facts, _| Some(with_other_logins(facts, private_keys(facts)?)),
        why: "a private key does not let anyone in here, and anyone who can read the card or the Nix store of this \
              machine can use it. Make a new pair with ssh-keygen, and put the line of its .pub file here",
        add: &[],
    },
    Rule {
        // Its public half is at hand, so a new pair comes second.
        id: "private-key",
        severity: Severity::Error,
        is: |facts, _| private_key_files(facts),
        why: "a private key does not let anyone in here, and others can read it in the image and in the Nix store of this \
              machine. Name the .pub file beside it. If anyone else has an image with this key, make a new pair with \
              ssh-keygen",
        add: &[],
    },
    Rule {
        id: "key-is-none",
        severity: Severity::Error,
        is: |facts, _| Some(with_other_logins(facts, broken_keys(facts)?)),
        why: "the text in quotes is not a complete public key. Write the whole line of a .pub file in ~/.ssh; `ssh-keygen -t ed25519` \
              makes one",
        add: &["{right key}"],
    },
    Rule {
        id: "key-expired",
        severity: Severity::Error,
        is: |facts, _| {
            let keys = expired_keys(facts).filter(|_| is_locked_out(facts))?;
            Some(format!("{keys}{NO_OTHER_LOGIN}"))
        },
        why: EXPIRED,
        add: &[],
    },
    Rule {
        id: "key-expired",
        severity: Severity::Warning,
        is: |facts, _| expired_keys(facts).filter(|_| !is_locked_out(facts)),
        why: EXPIRED,
        add: &[],
    },
    Rule {
        id: "key-of-authority",
        severity: Severity::Warning,
        is: |facts, _| keys_of_authorities(facts),
        why: "the SSH server then accepts certificates that this key has signed (ssh-keygen -s), but not the key itself. \
              If you have no certificates, remove cert-authority",
        add: &[],
    },
];

/// The consequence of `expiry-time`.
const EXPIRED: &str =
    "the SSH server has refused that key since then. Write a later time, or remove expiry-time";

/// What follows if there is nothing else to log in with.
const NO_OTHER_LOGIN: &str = ", and no user has another key or a password";

/// What is said of the wrong `keys`, with what follows if there is nothing else to log in with.
fn with_other_logins(facts: &ConfigFacts, keys: String) -> String {
    if is_locked_out(facts) {
        format!("{keys}{NO_OTHER_LOGIN}")
    } else {
        keys
    }
}

/// Whether one of the keys is none, or private.
pub(super) fn has_wrong_key(facts: &ConfigFacts) -> bool {
    let private = private_keys(facts).or_else(|| private_key_files(facts));
    broken_keys(facts).or(private).is_some()
}

/// What is said of keys whose time is over, if there are any.
pub(super) fn expired_keys(facts: &ConfigFacts) -> Option<String> {
    let said = facts.users.iter().filter_map(|user| {
        let time = expiry_time(user.expired_keys.first()?)?;
        let others = match user.expired_keys.len() - 1 {
            0 => String::new(),
            others => format!(" and {others} more that have expired"),
        };
        let option = keys_of(user);
        Some(format!(
            "{option} has a key with expiry-time=\"{time}\"{others}"
        ))
    });
    joined(said)
}

/// The name of a file with a key of the user.
const KEY_OF_OWN: &str = "id.pub";

/// What is said of users who get in by the keys of certification authorities only, if there are any.
fn keys_of_authorities(facts: &ConfigFacts) -> Option<String> {
    let gets_in_by_password = |user: &UserFacts| {
        // Of a server that does not run nobody can say what it accepts.
        user.has_password() && (!facts.ssh.runs() || password_is_accepted(facts, user))
    };
    let only_these = |user: &&UserFacts| {
        has_authority(user) && !user.has_own_key() && !gets_in_by_password(user)
    };
    // Whom the server refuses whatever the key is, no other key lets in.
    let is_refused = |user: &UserFacts| {
        let key = vec![KEY_OF_OWN.to_owned()];
        let with_own_key = UserFacts {
            key_files: key,
            ..user.clone()
        };
        facts.ssh.runs() && way_in(facts, &with_own_key).is_err()
    };
    let users = facts.users.iter().filter(only_these);
    let users = users.filter(|user| !is_refused(user));
    joined(users.map(|user| {
        let password = if user.has_password() {
            ", and a password that SSH does not accept"
        } else {
            ""
        };
        format!(
            "{} has only a key with cert-authority{password}",
            keys_of(user)
        )
    }))
}

/// The option with the keys of `user`.
fn keys_of(user: &UserFacts) -> String {
    format!("{}.openssh.authorizedKeys.keys", user_option(&user.name))
}

/// All of `said` in one text; `None` if there is none.
fn joined(said: impl Iterator<Item = String>) -> Option<String> {
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Whether `user` has the keys of root, as `init` writes it, and repeats the mistake in them.
fn has_keys_of_root(facts: &ConfigFacts, user: &UserFacts) -> bool {
    let root = facts.users.iter().find(|user| user.name == "root");
    root.is_some_and(|root| user.name != root.name && user.keys == root.keys)
}

/// What is said of keys that are none, without private ones.
pub(super) fn broken_keys(facts: &ConfigFacts) -> Option<String> {
    let broken = facts.users.iter().filter_map(|user| {
        let option = keys_of(user);
        let mut broken = user.broken_keys().filter(|key| !is_private(key));
        let key = broken.next().filter(|_| !has_keys_of_root(facts, user))?;
        let shown = truncate(key, 40);
        let kind = broken_key::kind(key).map(|kind| format!(" ({kind})"));
        let kind = kind.unwrap_or_default();
        let others = match broken.count() {
            0 => String::new(),
            others => format!(" and {others} more that are not keys"),
        };
        let same = facts
            .users
            .iter()
            .find(|other| user.name == "root" && has_keys_of_root(facts, other));
        let same = same.map_or_else(String::new, |other| format!(", as has {}", other.name));
        Some(format!("{option} has \"{shown}\"{kind}{others}{same}"))
    });
    joined(broken)
}

/// The line with a key of the first user who has none but wrong ones.
pub(super) fn line_with_right_key(facts: &ConfigFacts) -> Option<String> {
    let has_only_wrong = |user: &&UserFacts| {
        let broken = user.broken_keys().filter(|key| !is_private(key));
        let count = broken.count();
        let are_all = count == user.keys.len() && user.expired_keys.is_empty();
        count > 0 && are_all && !has_keys_of_root(facts, user)
    };
    let user = facts.users.iter().find(has_only_wrong)?;
    let option = keys_of(user);
    Some(format!(
        "{option} = [ \"ssh-ed25519 …\" ]; # replaces that list"
    ))
}

/// Whether a private key is among the user's authorized ones.
pub(super) fn has_private_key(user: &UserFacts) -> bool {
    !user.private_key_files.is_empty() || user.keys.iter().any(|key| is_private(key))
}

fn private_key_files(facts: &ConfigFacts) -> Option<String> {
    let files = facts.users.iter().flat_map(|user| {
        let option = format!(
            "{}.openssh.authorizedKeys.keyFiles",
            user_option(&user.name)
        );
        let files = user.private_key_files.iter();
        files.map(move |file| format!("{option} has the private key \"{file}\""))
    });
    joined(files)
}

fn private_keys(facts: &ConfigFacts) -> Option<String> {
    let has_one = |user: &&UserFacts| user.keys.iter().any(|key| is_private(key));
    let users = facts.users.iter().filter(has_one);
    // Not the key itself.
    joined(users.map(|user| format!("{} has a private key", keys_of(user))))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Finding;
    use super::super::Severity;
    use super::super::findings;
    use super::super::tests::{KEY, found, user, wheel, with};
    use super::super::ways_in::who_gets_in;

    fn found_of(users: Value) -> Vec<Finding> {
        findings(&with(&[("/users", users)]), "aarch64-linux", None)
    }

    /// The only finding.
    #[track_caller]
    fn only(users: Value) -> Finding {
        let mut found = found_of(users);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    /// A user whose only key had this line before its time was over.
    fn expired(name: &str, line: &str) -> Value {
        let mut user = user(name, &[], "none");
        user["expired_keys"] = json!([line]);
        user
    }

    #[test]
    fn a_key_whose_time_is_over_lets_nobody_in() {
        let line = format!("expiry-time=\"20200101\" {KEY}");
        let now = "2026-11-27T10:00:00Z".parse().unwrap();
        let facts = with(&[("/users", json!([user("root", &[&line, KEY], "none")]))]);
        let root = facts.at(now).users.remove(0);
        assert_eq!(
            (root.keys, root.expired_keys),
            (vec![KEY.to_owned()], vec![line.clone()])
        );

        let finding = only(json!([expired("root", &line)]));
        assert_eq!(
            (finding.id, finding.severity),
            ("key-expired", Severity::Error)
        );
        assert_eq!(
            finding.is,
            "users.users.root.openssh.authorizedKeys.keys has a key with expiry-time=\"20200101\", and no user has another \
             key or a password"
        );
        // Another user gets in.
        let users = json!([expired("root", &line), wheel("ann", &[KEY], "set")]);
        let finding = only(users);
        assert_eq!(
            (finding.id, finding.severity),
            ("key-expired", Severity::Warning)
        );
        assert!(finding.is.ends_with("=\"20200101\""), "{}", finding.is);
        let at_console = ("/autologin", json!("root"));
        let users = ("/users", json!([expired("root", &line)]));
        assert_eq!(found(&[users, at_console]), ["key-expired", "autologin"]);
    }

    #[test]
    fn the_key_of_an_authority_is_none_of_its_owner() {
        let line = format!("cert-authority {KEY}");
        let root = |keys: &[&str]| json!([user("root", keys, "none")]);
        let finding = only(root(&[&line]));
        assert_eq!(
            (finding.id, finding.severity),
            ("key-of-authority", Severity::Warning)
        );
        let setting =
            "users.users.root.openssh.authorizedKeys.keys has only a key with cert-authority";
        assert_eq!(finding.is, setting);
        let facts = with(&[("/users", root(&[&line]))]);
        assert_eq!(who_gets_in(&facts), [("root", "with a certificate")]);
        assert_eq!(facts.authorized_keys(), None);
        assert!(found_of(root(&[&line, KEY])).is_empty());
        let refused = [
            (
                "/users",
                json!([user("root", &[&line], "set"), wheel("ann", &[KEY], "set")]),
            ),
            ("/ssh/root", json!("no")),
        ];
        assert_eq!(found(&refused), [""; 0], "another key would not help");
        let off = [("/users", root(&[&line])), ("/ssh/keys", json!("no"))];
        assert!(found(&off).contains(&"ssh-turns-away"));
    }

    #[test]
    fn a_password_beside_an_authority_counts_if_ssh_accepts_it() {
        let line = format!("cert-authority {KEY}");
        let ann = ("/users", json!([wheel("ann", &[&line], "set")]));
        let refused = findings(&with(std::slice::from_ref(&ann)), "aarch64-linux", None);
        let [finding] = refused.as_slice() else {
            panic!("{refused:?}");
        };
        let setting = "users.users.ann.openssh.authorizedKeys.keys has only a key with cert-authority, and a password that SSH \
                       does not accept";
        assert_eq!(
            (finding.id, finding.is.as_str()),
            ("key-of-authority", setting)
        );
        let facts = with(std::slice::from_ref(&ann));
        assert_eq!(who_gets_in(&facts), [("ann", "with a certificate")]);
        let accepted = [ann.clone(), ("/ssh/passwords", json!(true))];
        assert_eq!(found(&accepted), [""; 0]);
        assert_eq!(who_gets_in(&with(&accepted)), [("ann", "with a password")]);
        let off = [ann, ("/ssh/enable", json!(false))];
        assert_eq!(found(&off), ["ssh-off"]);
    }
}
