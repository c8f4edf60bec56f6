//! The rules about wireless networks. Pure.

use super::Severity;
use super::facts::{ConfigFacts, PassphraseFacts};
use super::rule::Rule;
use crate::common::nix_string::nix_string;
use crate::common::wifi_passphrase;

pub(super) const RULES: [Rule; 4] = [
    Rule {
        id: "wireless",
        severity: Severity::Note,
        is: |facts, _| {
            let net = &facts.network;
            let has_network = net.networks > 0 || net.elsewhere || net.manager || net.iwd;
            (net.wireless && !has_network).then(|| {
                "networking.wireless.enable = true, networking.wireless.networks = { }".into()
            })
        },
        why: "wpa_supplicant knows no network to join, so the machine can be reached by cable only",
        add: &SECRET_NETWORK,
    },
    Rule {
        id: "wireless-off",
        severity: Severity::Note,
        is: |facts, _| {
            let net = &facts.network;
            let is_off = net.networks > 0 && !net.wireless;
            is_off.then(|| "networking.wireless.networks without networking.wireless.enable".into())
        },
        why: "only wpa_supplicant reads them, and it is off: neither NetworkManager nor iwd joins these networks",
        add: &["networking.wireless.enable = true; # in place of NetworkManager and iwd"],
    },
    Rule {
        id: "wireless-key",
        severity: Severity::Trap,
        is: |facts, _| facts.network.wireless.then(|| wrong_keys(facts))?,
        why: "wpa_supplicant does not accept that key, so the machine does not join the network",
        add: &[],
    },
    Rule {
        id: "open-passphrase",
        severity: Severity::Note,
        is: |facts, _| {
            let open = facts.network.open_passphrases.iter();
            let named = open.map(|one| key_option(&one.network, "psk"));
            let named: Vec<String> = named.collect();
            (!named.is_empty()).then(|| named.join(", "))
        },
        why: "the passphrase can be read on the card and in the Nix store of every machine that builds the image: put it into a file \
              on the card, or write only the key that is derived from it, as `sdbuild init --wifi` does",
        add: &["{secret networks}"],
    },
];

/// The first wireless network.
pub(super) const FIRST_NETWORK: [&str; 3] = [
    "networking.wireless.enable = true;",
    SECRET_NETWORK[0],
    SECRET_NETWORK[1],
];

/// A wireless network whose passphrase is not in the configuration.
const SECRET_NETWORK: [&str; 2] = [
    "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card that wpa_supplicant can read: NAME=the passphrase",
    "networking.wireless.networks.\"…\".pskRaw = \"ext:NAME\"; # … is the name of the network",
];

/// The lines with which the passphrases that are in plain text come from a file on the card.
pub(super) fn lines_that_hide_passphrases(facts: &ConfigFacts) -> Vec<String> {
    let open = facts.network.open_passphrases.as_slice();
    let number = |n: usize| {
        if open.len() > 1 {
            n.to_string()
        } else {
            String::new()
        }
    };
    let of_network = |(n, one): (usize, &PassphraseFacts)| {
        let option = key_option(&one.network, "pskRaw");
        format!(
            "{option} = \"ext:NAME{}\"; # in place of psk",
            number(n + 1)
        )
    };
    let (each, first) = if open.len() > 1 {
        (" a line for each network,", "1")
    } else {
        ("", "")
    };
    let file = format!(
        "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card that wpa_supplicant can read:{each} NAME{first}=the passphrase"
    );
    let lines = open.iter().enumerate().map(of_network);
    std::iter::once(file).chain(lines).collect()
}

/// The option `name` of the wireless network `network`.
fn key_option(network: &str, name: &str) -> String {
    let network = nix_string(network);
    format!("networking.wireless.networks.{network}.{name}")
}

/// The options with a key that `wpa_supplicant` refuses, and what such a key must be; without the key itself.
fn wrong_keys(facts: &ConfigFacts) -> Option<String> {
    let passphrases = facts.network.open_passphrases.iter();
    let wrong = passphrases.filter(|one| !wifi_passphrase::has_valid_length(one.bytes));
    let passphrases = wrong.map(|one| {
        let option = key_option(&one.network, "psk");
        format!("{option} has {} characters, not 8 to 63", one.bytes)
    });
    let raw = facts.network.wrong_raw_keys.iter();
    let raw = raw.map(|network| {
        let option = key_option(network, "pskRaw");
        format!(
            "{option} is neither 64 hexadecimal digits nor ext:NAME (a passphrase belongs in psk)"
        )
    });
    let wrong: Vec<String> = passphrases.chain(raw).collect();
    (!wrong.is_empty()).then(|| wrong.join("; "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

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
        assert!(file.ends_with(" can read: NAME=the passphrase"), "{file}");
        assert_eq!(
            network,
            r#"networking.wireless.networks."My {release} \"Wi-Fi\" \${x}".pskRaw = "ext:NAME"; # in place of psk"#
        );
        let [file, home, work] = lines(&["Home", "Work"]).try_into().unwrap();
        assert!(file.contains(" a line for each network, NAME1="), "{file}");
        assert!(home.contains(".\"Home\".pskRaw = \"ext:NAME1\""), "{home}");
        assert!(work.contains(".\"Work\".pskRaw = \"ext:NAME2\""), "{work}");
    }

    #[test]
    fn a_key_that_wpa_supplicant_refuses_is_a_trap() {
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
             networking.wireless.networks.\"Work\".pskRaw is neither 64 hexadecimal digits nor ext:NAME \
             (a passphrase belongs in psk)"
        );
        assert_eq!(
            found(&[networks(), raw]),
            ["wireless-off"],
            "nothing reads it"
        );
    }
}
