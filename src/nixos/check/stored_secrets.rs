//! The rules about secrets, other than passwords, that are in the Nix store. Pure.

use super::Finding;
use super::Severity;
use super::facts::ConfigFacts;
use super::own_facts::StoredSecretFacts;
use super::rule::Rule;
use crate::common::attribute_path;

/// The consequence for the key itself.
macro_rules! who_can_read_it {
    () => {
        "anyone can read it on the card and in the Nix store of each machine that builds the image"
    };
}

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "stored-host-key",
        severity: Severity::Error,
        is: |facts, _| host_keys(facts).filter(|_| !facts.ssh.has_other_host_keys),
        why: concat!(
            "the SSH server does not start. It refuses a key that other users can read, as in the Nix store, and has no \
             other key. Also, ",
            who_can_read_it!()
        ),
        add: &[HOST_KEY],
    },
    Rule {
        id: "stored-host-key",
        severity: Severity::Warning,
        is: |facts, _| host_keys(facts).filter(|_| facts.ssh.has_other_host_keys),
        why: concat!(
            "the SSH server refuses a key that other users can read, as in the Nix store. Also, ",
            who_can_read_it!()
        ),
        add: &[HOST_KEY],
    },
];

const HOST_KEY: &str = "services.openssh.hostKeys = [ { type = \"ed25519\"; path = \"/etc/ssh/ssh_host_ed25519_key\"; } \
                        ]; # put your key there on the card, with mode 600, or let the board make one";

/// What is said of the server's own keys in the store, if there are any.
fn host_keys(facts: &ConfigFacts) -> Option<String> {
    let names = facts.ssh.stored_host_keys.as_slice();
    let first = names.first().filter(|_| facts.ssh.runs())?;
    let others = match names.len() - 1 {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    Some(format!(
        "services.openssh.hostKeys copies \"{first}\"{others} into the Nix store"
    ))
}

/// One for each object with secrets in the store.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    facts.stored_secrets.iter().map(|secret| {
        let object = attribute_path::text(&secret.object);
        let StoredSecretFacts { name, is_file, .. } = secret;
        let is_of_peer = name.starts_with("presharedKey");
        let is = match (is_of_peer, is_file) {
            (true, false) => format!("{object}.peers has a presharedKey in plain text"),
            (true, true) => {
                format!("{object}.peers has a {name} that is copied into the Nix store")
            }
            (false, false) => format!("{object}.{name} is in plain text"),
            (false, true) => format!("{object}.{name} is a file that is copied into the Nix store"),
        };
        let path = path_on_card(secret);
        let file_option = format!("{}File", name.trim_end_matches("File"));
        let hint = match (is_of_peer, is_file) {
            (true, false) => {
                format!(". Write {file_option} = \"{path}\" instead, and put that file on the card")
            }
            (true, true) => format!(
                ". Write the path of a file on the card instead, in quotes, such as \"{path}\""
            ),
            (false, _) => String::new(),
        };
        let place = if *is_file {
            ""
        } else {
            &format!("replaces {name}; ")
        };
        let line = format!(
            "{object}.{file_option} = \"{path}\"; # {place}a file that you put on the card"
        );
        let line = (!is_of_peer).then_some(line);
        Finding {
            id: "stored-secret",
            severity: Severity::Warning,
            is,
            why: format!("{}{hint}", who_can_read_it!()),
            add: line.into_iter().collect(),
            place: None,
        }
    })
}

/// Where a secret can be on the card.
fn path_on_card(secret: &StoredSecretFacts) -> String {
    let name = secret.object.last().map_or("", String::as_str);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let name = if name.chars().all(is_plain) {
        name
    } else {
        "NAME"
    };
    match secret.name.as_str() {
        "authKeyFile" => "/etc/tailscale.key".to_owned(),
        "secretsFile" => "/etc/wifi-secrets".to_owned(),
        "presharedKey" | "presharedKeyFile" => format!("/etc/wireguard/{name}.psk"),
        _ => format!("/etc/wireguard/{name}.key"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::Finding;
    use super::super::Severity;
    use super::super::findings;
    use super::super::tests::with;

    /// The only finding in the good facts with `change`.
    #[track_caller]
    fn only(changes: &[(&str, Value)]) -> Finding {
        let mut found = findings(&with(changes), "aarch64-linux", None);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn a_secret_in_the_store_is_told_with_its_file() {
        let wg0 = ["networking", "wireguard", "interfaces", "wg0"].as_slice();
        let odd = ["networking", "wg-quick", "interfaces", "a.b"].as_slice();
        for (object, name, is_file, is, line) in [
            (
                wg0,
                "privateKey",
                false,
                "networking.wireguard.interfaces.wg0.privateKey is in plain text",
                "networking.wireguard.interfaces.wg0.privateKeyFile = \"/etc/wireguard/wg0.key\"; # replaces privateKey; \
                 a file that you put on the card",
            ),
            (
                odd,
                "privateKeyFile",
                true,
                "networking.wg-quick.interfaces.\"a.b\".privateKeyFile is a file that is copied into the Nix store",
                "networking.wg-quick.interfaces.\"a.b\".privateKeyFile = \"/etc/wireguard/NAME.key\"; # a file that you put \
                 on the card",
            ),
            (
                &["services", "tailscale"],
                "authKeyFile",
                true,
                "services.tailscale.authKeyFile is a file that is copied into the Nix store",
                "services.tailscale.authKeyFile = \"/etc/tailscale.key\"; # a file that you put on the card",
            ),
        ] {
            let secret = json!([{ "object": object, "name": name, "is_file": is_file }]);
            let finding = only(&[("/stored_secrets", secret)]);
            assert_eq!((finding.id, finding.is.as_str()), ("stored-secret", is));
            assert_eq!(finding.add, [line]);
        }
        // A line that sets an option of a peer would replace all of its peers.
        let peer = json!([{ "object": wg0, "name": "presharedKey", "is_file": false }]);
        let finding = only(&[("/stored_secrets", peer)]);
        let is = "networking.wireguard.interfaces.wg0.peers has a presharedKey in plain text";
        assert_eq!((finding.is.as_str(), finding.add.len()), (is, 0));
        let hint = "Write presharedKeyFile = \"/etc/wireguard/wg0.psk\" instead";
        assert!(finding.why.contains(hint), "{}", finding.why);
    }

    #[test]
    fn a_host_key_in_the_store_keeps_ssh_from_starting() {
        let keys = ("/ssh/stored_host_keys", json!(["ssh_host_key", "b"]));
        let note = only(std::slice::from_ref(&keys));
        let is = "services.openssh.hostKeys copies \"ssh_host_key\" and 1 more into the Nix store";
        assert_eq!((note.id, note.is.as_str()), ("stored-host-key", is));
        assert_eq!(note.severity, Severity::Warning);
        let alone = only(&[keys, ("/ssh/has_other_host_keys", json!(false))]);
        assert_eq!(
            (alone.id, alone.severity),
            ("stored-host-key", Severity::Error)
        );
    }
}
