//! Findings of `check` about secrets, other than passwords, in the Nix store.

use serde_json::Value;

use super::{IMAGE, check, ids};
use crate::support::*;

const KEY: &str = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";

/// Options with a secret in the store, and what is said of each; `THE-KEY` stands for the key.
const STORED: [(&str, &str); 6] = [
    (
        "networking.wireguard.interfaces.wg0.privateKey = \"THE-KEY\";",
        "networking.wireguard.interfaces.wg0.privateKey is in plain text",
    ),
    (
        "networking.wg-quick.interfaces.wg0.privateKey = builtins.readFile ./a.key;",
        "networking.wg-quick.interfaces.wg0.privateKey is in plain text",
    ),
    (
        "networking.wireguard.interfaces.wg1.peers = [ { presharedKey = \"THE-KEY\"; } { presharedKey = \"THE-KEY\"; } ];",
        "networking.wireguard.interfaces.wg1.peers has a presharedKey",
    ),
    (
        "networking.wireguard.interfaces.wg2.privateKeyFile = \"${./a.key}\";",
        "networking.wireguard.interfaces.wg2.privateKeyFile is a file",
    ),
    (
        "services.tailscale = {\nauthKeyFile = ./a.key; enable = true; };",
        "services.tailscale.authKeyFile is a file",
    ),
    (
        "networking.wireless = { enable = true; networks.a.pskRaw = \"ext:a\"; secretsFile = pkgs.busybox; };",
        "networking.wireless.secretsFile is a file",
    ),
];

#[test]
fn secrets_in_the_store_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    user.write("a.key", KEY);
    let told = |more: &str| {
        let text = format!(
            "{{ pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n{more}\n}}\n"
        );
        let checked = check(&user, "pi.nix", &text);
        assert!(!checked.stdout.contains(KEY), "{}", checked.stdout);
        checked
    };
    let modules = STORED.map(|(module, _)| module).join("\n");
    let checked = told(&modules.replace("THE-KEY", KEY)).assert_exit_code(0);
    assert_eq!(ids(&checked), ["stored-secret"; 6]);
    let findings = checked.json();
    let findings = findings["findings"].as_array().unwrap();
    let mut lines = 2;
    for (module, option) in STORED {
        lines += module.lines().count();
        let is_of = |finding: &&Value| finding["is"].as_str().unwrap().starts_with(option);
        let finding = findings.iter().find(is_of);
        let finding = finding.unwrap_or_else(|| panic!("{option}: {}", checked.stdout));
        assert_eq!(finding["line"], lines, "{module}");
    }
    let fine = format!(
        "networking.wireguard.interfaces = {{ wg0.privateKeyFile = \"/etc/a.key\"; wg1.privateKey = \"REPLACE-ME\"; wg2.privateKeyFile = toString ./a.key; }};\n\
         networking.wg-quick.interfaces.wg3 = {{ configFile = \"/etc/wg3.conf\"; privateKey = \"{KEY}\"; }};\n\
         services.tailscale.authKeyFile = ./a.key; networking.wireless.secretsFile = ./a.key;"
    );
    assert_eq!(ids(&told(&fine)), [""; 0]);
    let off = format!(
        "networking.wireguard = {{ enable = false; interfaces.wg0.privateKey = \"{KEY}\"; }};"
    );
    assert_eq!(ids(&told(&off)), [""; 0]);
}

#[test]
fn the_file_of_the_configuration_gets_the_passphrase() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    let added = |file: &str| {
        let text = format!(
            "{{ pkgs, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh.enable = true;\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n  \
             networking.wireless = {{ enable = true; networks.Home.psk = \"correct horse\"; {file} }};\n}}\n"
        );
        let checked = check(&user, "pi.nix", &text).assert_exit_code(0);
        let findings = checked.json()["findings"].as_array().unwrap().clone();
        let mut found = findings.into_iter();
        let open = found.find(|one| one["id"] == "open-passphrase").unwrap();
        open["add"].as_array().unwrap().clone()
    };
    assert_eq!(added("").len(), 2, "with a file");
    for (file, path) in [
        ("\"/run/wifi\"", "/run/wifi"),
        ("./pi.nix", "networking.wireless.secretsFile"),
        ("\"${pkgs.busybox}/x\"", "networking.wireless.secretsFile"),
    ] {
        let lines = added(&format!("secretsFile = {file};"));
        let [line] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        let line = line.as_str().unwrap();
        assert!(line.ends_with(&format!("passphrase in {path}")), "{line}");
    }
}

#[test]
fn host_keys_in_the_store_are_found() {
    needs!(engine_ready());
    let user = TestUser::new();
    let (_, public) = key(&user);
    user.write("host_key", "x");
    let told = |keys: &str, more: &str| {
        let text = format!(
            "{{ {IMAGE} system.stateVersion = \"26.05\"; services.openssh = {{ enable = true;\n hostKeys = [ {keys} ]; {more} }};\n  \
             users.users.root.openssh.authorizedKeys.keys = [ \"{public}\" ];\n}}\n"
        );
        check(&user, "pi.nix", &text)
    };
    let copied = "{ type = \"ed25519\"; path = ./host_key; }";
    let checked = told(copied, "").assert_exit_code(6);
    assert_eq!(ids(&checked), ["stored-host-key"]);
    assert_eq!(checked.json()["findings"][0]["line"], 2);
    assert!(checked.stdout.contains("host_key\\\""), "{}", checked.stdout);
    let on_card = "{ type = \"rsa\"; path = \"/etc/ssh/ssh_host_rsa_key\"; }";
    let both = told(&format!("{copied} {on_card}"), "").assert_exit_code(0);
    assert_eq!(ids(&both), ["stored-host-key"]);
    let named = "extraConfig = \"HostKey /etc/ssh/other_key\";";
    told(copied, named).assert_exit_code(0);
    assert_eq!(ids(&told(on_card, "")), [""; 0]);
}

/// As with secrets of agenix in a configuration that several machines share.
#[test]
fn what_is_off_is_not_evaluated() {
    needs!(engine_ready());
    let user = TestUser::new();
    let told = |wireless: &str| {
        let text = format!(
            "{{ config, ... }}: {{ {IMAGE} system.stateVersion = \"26.05\"; services.getty.autologinUser = \"root\";\n  \
             services.openssh = {{ enable = false; hostKeys = [ {{ path = config.age.secrets.k.path; }} ]; }};\n  \
             networking.wireless = {{ {wireless} }};\n}}\n"
        );
        check(&user, "pi.nix", &text)
    };
    let checked = told("");
    assert_eq!(checked.json()["evaluates"], true, "{}", checked.stderr);
    assert_eq!(ids(&checked), ["autologin", "ssh-off"]);
    // The miniature nixpkgs evaluates it all the same, after these findings.
    let checked = told("enable = false; networks.Home.psk = config.age.secrets.k.path;");
    assert_eq!(ids(&checked), ["autologin", "ssh-off", "wireless-off"]);
}
