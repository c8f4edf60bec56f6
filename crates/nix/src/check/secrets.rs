//! The rules about secrets, other than passwords, that are in the Nix store. Pure.

use super::facts::{ConfigFacts, LateKeyFacts, StoredSecretFacts};
use super::finding::Severity::{Error, Warning};
use super::finding::{Change, Finding, OptionPath, path};
use sdbuild_core::nix_string::nix_string;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::ssh_key::HOST_KEYS;
use sdbuild_core::text::{alternatives, listed};

/// The consequence for the secret itself.
const WHO_CAN_READ_IT: &str =
    "anyone can read it on the card and in the Nix store of each machine that builds the image";

/// The secrets that everybody can read.
pub(super) fn findings(facts: &ConfigFacts) -> Vec<Finding> {
    let host_keys = host_keys(facts).into_iter();
    let stored = facts.stored_secrets.iter().map(stored_secret);
    let late = facts.late_keys.iter().filter(|_| facts.card);
    host_keys.chain(stored).chain(late.map(late_key)).collect()
}

fn host_keys(facts: &ConfigFacts) -> Option<Finding> {
    let first = facts.ssh.stored_host_keys.first();
    let first = first.filter(|_| facts.ssh.runs())?;
    let option = path("services.openssh.hostKeys");
    let value = "[ { type = \"ed25519\"; path = \"/etc/ssh/ssh_host_ed25519_key\"; } ]";
    let change = Change::set(option.clone(), value);
    let change =
        change.note("put your key there on the card, with mode 600, or let the board make one");
    let refused = "a key that other users can read, as in the Nix store";
    let (severity, why) = if facts.ssh.has_other_host_keys {
        (
            Warning,
            format!("the SSH server refuses {refused}. Also, {WHO_CAN_READ_IT}"),
        )
    } else {
        let why = format!(
            "the SSH server does not start. It refuses {refused}, and has no other key. Also, {WHO_CAN_READ_IT}"
        );
        (Error, why)
    };
    let detail = format!(" copies {} into the Nix store", nix_string(first));
    let finding = Finding::of_option("stored-host-key", severity, option, detail, why);
    Some(finding.fix([change]))
}

fn stored_secret(secret: &StoredSecretFacts) -> Finding {
    let StoredSecretFacts {
        object,
        name,
        is_file,
    } = secret;
    let option =
        |name: &str| -> OptionPath { object.iter().cloned().chain([name.to_owned()]).collect() };
    let detail = if *is_file {
        "a file that is copied into the Nix store"
    } else {
        "in plain text"
    };
    let on_card = nix_string(&path_on_card(secret));
    let file_option = format!("{}File", name.trim_end_matches("File"));
    if name.starts_with("presharedKey") {
        // A line that sets an option of a peer would replace all of its peers.
        let why = format!(
            "{WHO_CAN_READ_IT}. Write {file_option} = {on_card} there, and put that file on the card"
        );
        let detail = format!(" has a {name} that is {detail}");
        return Finding::of_option("stored-secret", Warning, option("peers"), detail, why);
    }
    let note = if *is_file {
        "a file that you put on the card".to_owned()
    } else {
        format!("instead of {name}; a file that you put on the card")
    };
    let change = Change::set(option(&file_option), on_card).note(note);
    let detail = format!(" is {detail}");
    Finding::of_option(
        "stored-secret",
        Warning,
        option(name),
        detail,
        WHO_CAN_READ_IT,
    )
    .fix([change])
}

/// Secrets that cannot be decrypted before somebody puts their key onto the card.
fn late_key(late: &LateKeyFacts) -> Finding {
    let paths: Vec<&str> = late.paths.iter().map(String::as_str).collect();
    // Host keys for age are of that kind in most cases.
    let of_kind = paths.iter().find(|path| path.contains("ed25519"));
    let first = of_kind.or(paths.first()).copied().unwrap_or_default();
    let secrets: Vec<&str> = late.secrets.iter().map(String::as_str).collect();
    let secrets = listed(&secrets);
    let is_host_key = first
        .rsplit('/')
        .next()
        .is_some_and(|name| name.starts_with("ssh_host_"));
    let made = if is_host_key {
        "SSH makes another key at the first start, for which they are not encrypted. "
    } else {
        ""
    };
    let flag = if HOST_KEYS.iter().any(|(_, path)| *path == first) {
        "--host-key KEY".to_owned()
    } else {
        format!("--put {}", quoted(&format!("KEY:{first}:0600")))
    };
    let why = format!(
        "the image does not have that key, so the first start has no {secrets}. {made}Put the key that they are encrypted \
         for onto the card: `sdbuild flash IMAGE DISK {flag}`"
    );
    let detail = format!(" = {}, for {secrets}", alternatives(&paths));
    Finding::of_option("late-key", Warning, late.option.clone(), detail, why)
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
        "agentToken" | "agentTokenFile" | "token" | "tokenFile" => format!("/etc/{name}-token"),
        "presharedKey" | "presharedKeyFile" => format!("/etc/wireguard/{name}.psk"),
        _ => format!("/etc/wireguard/{name}.key"),
    }
}
