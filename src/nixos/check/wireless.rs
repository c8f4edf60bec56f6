//! The rules about wireless networks. Pure.

use super::Severity;
use super::facts::{ConfigFacts, PassphraseFacts};
use super::rule::Rule;
use crate::common::wifi_passphrase;
use sdbuild_core::nix_string::nix_string;

pub(super) const RULES: [Rule; 5] = [
    Rule {
        id: "wireless",
        severity: Severity::Warning,
        is: |facts, _| {
            let net = &facts.network;
            let has_network = net.networks > 0 || net.elsewhere || net.manager || net.iwd;
            (net.wireless && !has_network).then(|| {
                "networking.wireless.enable = true, networking.wireless.networks = { }".into()
            })
        },
        why: "wpa_supplicant knows no network to join, so the machine can be reached by cable only",
        add: &["{secret network}"],
    },
    Rule {
        id: "wireless-off",
        severity: Severity::Warning,
        is: |facts, _| {
            let net = &facts.network;
            let is_off = net.networks > 0 && !net.wireless;
            is_off.then(|| "networking.wireless.networks is set, but wpa_supplicant is off".into())
        },
        why: "only wpa_supplicant joins these networks; NetworkManager and iwd do not read them",
        add: &["networking.wireless.enable = true; # instead of NetworkManager and iwd"],
    },
    Rule {
        id: "wireless-key",
        severity: Severity::Error,
        is: |facts, _| facts.network.wireless.then(|| wrong_keys(facts))?,
        why: "wpa_supplicant does not accept that key, so the machine does not join the network",
        add: &["{right keys}"],
    },
    Rule {
        id: "wireless-key",
        severity: Severity::Error,
        is: |facts, _| {
            let keys = facts.network.keys_without_file.iter();
            let keys = keys.filter(|_| facts.network.wireless);
            let named = keys.map(|key| {
                let option = key_option(&key.network, "pskRaw");
                format!("{option} = {}", nix_string(&format!("ext:{}", key.name)))
            });
            let named: Vec<String> = named.collect();
            (!named.is_empty()).then(|| named.join(", "))
        },
        why: "networking.wireless.secretsFile does not name a file with that key, so the machine does not join the network",
        add: &["{secrets file}"],
    },
    Rule {
        id: "open-passphrase",
        severity: Severity::Warning,
        is: |facts, _| {
            let open = facts.network.open_passphrases.iter();
            let named = open.map(|one| key_option(&one.network, "psk"));
            let named: Vec<String> = named.collect();
            let are = if named.len() > 1 {
                "are passphrases"
            } else {
                "is a passphrase"
            };
            (!named.is_empty()).then(|| format!("{} {are} in plain text", named.join(", ")))
        },
        why: "anyone can read the passphrase on the card and in the Nix store of each machine that builds the image. Put \
              it into a file on the card, or write only the key derived from it, as `sdbuild init --wifi` does",
        add: &["{secret networks}"],
    },
];

/// The option with the file on the card that has the secrets.
const SECRETS_FILE: &str = "networking.wireless.secretsFile";

/// The group as which `wpa_supplicant` runs from NixOS 26.05 on.
const GROUP: &str = "wpa_supplicant";

/// The lines with which that option names a file, if it does not yet, where the file is to have `told`.
fn lines_that_name_the_file(facts: &ConfigFacts, told: &str) -> Vec<String> {
    if facts.network.secrets_file.is_some() {
        return Vec::new();
    }
    let has_group = facts.groups.iter().any(|group| group == GROUP);
    let file = format!(
        "{SECRETS_FILE} = \"/etc/wifi-secrets\"; # a file on the card that wpa_supplicant can read, with{told}=the passphrase"
    );
    let readable =
        format!("systemd.tmpfiles.rules = [ \"z /etc/wifi-secrets 0640 root {GROUP}\" ];");
    let readable = Some(readable).filter(|_| has_group);
    std::iter::once(file).chain(readable).collect()
}

/// The lines that name the file with the keys that are to come from one.
pub(super) fn lines_for_external_keys(facts: &ConfigFacts) -> Vec<String> {
    let names = facts.network.keys_without_file.iter();
    let names: Vec<&str> = names.map(|key| key.name.as_str()).collect();
    let Some((first, others)) = names.split_first() else {
        return Vec::new();
    };
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let first = if first.chars().all(is_plain) {
        first
    } else {
        "NAME"
    };
    let each = if others.is_empty() {
        ""
    } else {
        " a line for each network,"
    };
    lines_that_name_the_file(facts, &format!("{each} {first}"))
}

/// What a comment says of the line for `name` in the file that the configuration names; nothing if it names none.
fn said_of_the_file(facts: &ConfigFacts, name: &str) -> String {
    let file = facts.network.secrets_file.as_deref();
    let is_shown = |path: &&str| !path.is_empty() && !path.contains(char::is_control);
    file.map(|path| {
        let path = Some(path).filter(is_shown).unwrap_or(SECRETS_FILE);
        format!(", with the line {name}=the passphrase in {path}")
    })
    .unwrap_or_default()
}

/// The lines with a wireless network whose passphrase is not in the configuration.
pub(super) fn lines_of_secret_network(facts: &ConfigFacts) -> Vec<String> {
    let said = said_of_the_file(facts, "NAME");
    let network = format!(
        "networking.wireless.networks.\"…\".pskRaw = \"ext:NAME\"; # … is the name of the network{said}"
    );
    let file = lines_that_name_the_file(facts, " NAME");
    file.into_iter().chain([network]).collect()
}

/// The lines with the first wireless network.
pub(super) fn lines_of_first_network(facts: &ConfigFacts) -> Vec<String> {
    let is_off = !facts.network.wireless;
    let switch = is_off.then(|| "networking.wireless.enable = true;".to_owned());
    let network = lines_of_secret_network(facts);
    switch.into_iter().chain(network).collect()
}

/// The lines with which the passphrases that are in plain text come from a file on the card.
pub(super) fn lines_that_hide_passphrases(facts: &ConfigFacts) -> Vec<String> {
    let open = facts.network.open_passphrases.iter();
    let networks: Vec<&str> = open.map(|one| one.network.as_str()).collect();
    lines_from_a_file(facts, &networks, "psk")
}

/// The lines with which the keys of `networks` come from a file on the card, in place of what they `replace`.
fn lines_from_a_file(facts: &ConfigFacts, networks: &[&str], replaced: &str) -> Vec<String> {
    let name = |n: usize| {
        if networks.len() > 1 {
            format!("NAME{n}")
        } else {
            "NAME".to_owned()
        }
    };
    let of_network = |(n, network): (usize, &&str)| {
        let (option, name) = (key_option(network, "pskRaw"), name(n + 1));
        let said = said_of_the_file(facts, &name);
        format!("{option} = \"ext:{name}\"; # replaces {replaced}{said}")
    };
    let each = if networks.len() > 1 {
        " a line for each network,"
    } else {
        ""
    };
    let file = lines_that_name_the_file(facts, &format!("{each} {}", name(1)));
    let lines = networks.iter().enumerate().map(of_network);
    file.into_iter().chain(lines).collect()
}

/// The lines in place of keys that `wpa_supplicant` refuses.
pub(super) fn lines_with_right_keys(facts: &ConfigFacts) -> Vec<String> {
    let phrases = wrong_passphrases(facts).map(|one| {
        let option = key_option(&one.network, "psk");
        format!("{option} = \"…\"; # the passphrase of the network, 8 to 63 characters")
    });
    let mut lines: Vec<String> = phrases.collect();
    let raw = facts.network.wrong_raw_keys.iter();
    let raw: Vec<&str> = raw.map(String::as_str).collect();
    if !raw.is_empty() {
        lines.extend(lines_from_a_file(facts, &raw, "that key"));
    }
    lines
}

/// The option `name` of the wireless network `network`.
fn key_option(network: &str, name: &str) -> String {
    let network = nix_string(network);
    format!("networking.wireless.networks.{network}.{name}")
}

/// The passphrases that `wpa_supplicant` refuses.
fn wrong_passphrases(facts: &ConfigFacts) -> impl Iterator<Item = &PassphraseFacts> {
    let passphrases = facts.network.open_passphrases.iter();
    passphrases.filter(|one| !wifi_passphrase::has_valid_length(one.bytes))
}

/// The options with a key that `wpa_supplicant` refuses, and what such a key must be; without the key itself.
fn wrong_keys(facts: &ConfigFacts) -> Option<String> {
    let passphrases = wrong_passphrases(facts).map(|one| {
        let option = key_option(&one.network, "psk");
        format!("{option} has {} characters, not 8 to 63", one.bytes)
    });
    let raw = facts.network.wrong_raw_keys.iter();
    let raw = raw.map(|network| {
        let option = key_option(network, "pskRaw");
        format!(
            "{option} is neither 64 hexadecimal digits nor ext:NAME; a passphrase belongs in psk"
        )
    });
    let wrong: Vec<String> = passphrases.chain(raw).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn a_key_from_a_file_needs_the_file() {
        let keys = json!([{ "network": "Home", "name": "home" }]);
        let on = [
            ("/network/wireless", json!(true)),
            ("/network/networks", json!(1)),
            ("/network/keys_without_file", keys),
        ];
        let found = findings(&with(&on), "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (finding.id, finding.severity),
            ("wireless-key", Severity::Error)
        );
        let is = "networking.wireless.networks.\"Home\".pskRaw = \"ext:home\"";
        assert_eq!(finding.is, is);
        let line = "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card that wpa_supplicant can read, with home=the passphrase";
        assert_eq!(finding.add, [line]);
        let own_user = ("/groups", json!(["wheel", "wpa_supplicant"]));
        let readable = with(&[&on[..], &[own_user]].concat());
        let lines = &findings(&readable, "aarch64-linux", None)[0].add;
        let rule = "systemd.tmpfiles.rules = [ \"z /etc/wifi-secrets 0640 root wpa_supplicant\" ];";
        assert_eq!(lines, &[line, rule]);
        let off = with(&on[1..]);
        let off = findings(&off, "aarch64-linux", None);
        assert_eq!(off[0].id, "wireless-off");
        assert_eq!(off.len(), 1, "{off:?}");
    }

    use super::super::Severity;
    use super::super::findings;
    use super::super::tests::{found, with};

    /// The line to add had `…` in place of a name that the configuration has.
    #[test]
    fn an_open_passphrase_names_its_network() {
        let lines = |names: &[&str]| {
            let open = names.iter();
            let open = open.map(|name| json!({ "network": name, "bytes": 8 }));
            let facts = with(&[
                ("/network/wireless", json!(true)),
                ("/network/networks", json!(names.len())),
                ("/network/open_passphrases", open.collect()),
            ]);
            findings(&facts, "aarch64-linux", None).remove(0).add
        };
        let [file, network] = lines(&["My {release} \"Wi-Fi\" ${x}"]).try_into().unwrap();
        assert!(
            file.ends_with(" can read, with NAME=the passphrase"),
            "{file}"
        );
        assert_eq!(
            network,
            r#"networking.wireless.networks."My {release} \"Wi-Fi\" \${x}".pskRaw = "ext:NAME"; # replaces psk"#
        );
        let [file, home, work] = lines(&["Home", "Work"]).try_into().unwrap();
        assert!(file.contains(" a line for each network, NAME1="), "{file}");
        assert!(home.contains(".\"Home\".pskRaw = \"ext:NAME1\""), "{home}");
        assert!(work.contains(".\"Work\".pskRaw = \"ext:NAME2\""), "{work}");
    }

    /// The line to add would have defined the option a second time.
    #[test]
    fn a_file_with_secrets_that_is_set_is_used() {
        let told = |id: &str, path: &str, more: &[(&str, serde_json::Value)]| {
            let set = [
                ("/network/wireless", json!(true)),
                ("/network/secrets_file", json!(path)),
            ];
            let found = findings(&with(&[&set, more].concat()), "aarch64-linux", None);
            found.into_iter().find(|one| one.id == id).unwrap().add
        };
        let open = json!([{ "network": "Home", "bytes": 8 }, { "network": "Work", "bytes": 8 }]);
        let open = [
            ("/network/networks", json!(2)),
            ("/network/open_passphrases", open),
        ];
        let only = [
            ("/network/dhcp", json!(false)),
            ("/network/interfaces", json!(true)),
            ("/network/addressed", json!(["wlan0"])),
        ];
        let start = "networking.wireless.networks.";
        let first = "\"…\".pskRaw = \"ext:NAME\"; # … is the name of the network, with the line NAME=the passphrase in";
        for (path, shown) in [
            ("/run/wifi", "/run/wifi"),
            ("", "networking.wireless.secretsFile"),
            ("/run/\nx", "networking.wireless.secretsFile"),
        ] {
            let line = format!("{start}{first} {shown}");
            assert_eq!(told("wireless", path, &[]), [line.as_str()]);
            assert_eq!(told("no-network", path, &only), [line.as_str()]);
            let lines = [("Home", 1), ("Work", 2)].map(|(name, n)| {
                format!(
                    "{start}\"{name}\".pskRaw = \"ext:NAME{n}\"; # replaces psk, with the line NAME{n}=the passphrase in \
                     {shown}"
                )
            });
            assert_eq!(told("open-passphrase", path, &open), lines);
        }
        let none = with(&only);
        let lines = &findings(&none, "aarch64-linux", None)[0].add;
        assert_eq!(lines[0], "networking.wireless.enable = true;");
        let file = "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card that wpa_supplicant can read, with NAME=the passphrase";
        assert_eq!((lines.len(), lines[1].as_str()), (3, file));
    }

    #[test]
    fn a_key_that_wpa_supplicant_refuses_is_an_error() {
        let on = || ("/network/wireless", json!(true));
        let networks = || ("/network/networks", json!(1));
        let phrase = |bytes: usize| {
            let open = json!([{ "network": "Home", "bytes": bytes }]);
            ("/network/open_passphrases", open)
        };
        for bytes in [8, 63] {
            assert_eq!(
                found(&[on(), networks(), phrase(bytes)]),
                ["open-passphrase"]
            );
        }
        let raw = ("/network/wrong_raw_keys", json!(["Work"]));
        let facts = with(&[on(), networks(), phrase(7), raw.clone()]);
        let found_in = findings(&facts, "aarch64-linux", None);
        assert_eq!(found_in[0].id, "wireless-key");
        assert_eq!(
            found_in[0].is,
            "networking.wireless.networks.\"Home\".psk has 7 characters, not 8 to 63; \
             networking.wireless.networks.\"Work\".pskRaw is neither 64 hexadecimal digits nor ext:NAME; \
             a passphrase belongs in psk"
        );
        let [phrase, file, raw_key] = found_in[0].add.as_slice() else {
            panic!("{:?}", found_in[0].add);
        };
        let start = "networking.wireless.networks.";
        assert!(phrase.starts_with(&format!("{start}\"Home\".psk = \"…\"; # ")));
        assert!(file.starts_with("networking.wireless.secretsFile = "));
        let meant = format!("{start}\"Work\".pskRaw = \"ext:NAME\"; # replaces that key");
        assert_eq!(*raw_key, meant);
        assert_eq!(
            found(&[networks(), raw]),
            ["wireless-off"],
            "nothing reads it"
        );
    }
}
