//! The rules about wireless networks. Pure.

use super::Severity;
use super::facts::ConfigFacts;
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
        why: "it joins no network, so the machine is reachable by cable only",
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
        why: "the machine does not join a network with that, so it can be reached by cable only",
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
        why: "anyone who has the card can read the passphrase, or who can read the Nix store of a machine that builds the image. \
            pskRaw has only the key that is derived from it (`sdbuild init --wifi` writes it)",
        add: &SECRET_NETWORK,
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
    "networking.wireless.secretsFile = \"/etc/wifi-secrets\"; # a file on the card: NAME=the passphrase",
    "networking.wireless.networks.\"…\".pskRaw = \"ext:NAME\";",
];

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
