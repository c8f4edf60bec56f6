use super::*;

#[test]
fn the_share_of_a_server_has_its_type() {
    let summary = "A definition for option `fileSystems.\"/data\"' is not of type `submodule'. Definition values:\n\
                   - In `/build/config/c.nix': \"nas:/data\"";
    let hint = wrong_type(summary, false).unwrap();
    assert_eq!(
        hint,
        "write a set: { device = \"nas:/data\"; fsType = \"nfs\"; }"
    );
    let hint = wrong_type(&summary.replace("\"nas:/data\"", "1"), false).unwrap();
    assert_eq!(
        hint,
        "write a set: { device = \"/dev/…\"; fsType = \"…\"; }"
    );
}

/// As Nix reports it.
#[test]
fn the_values_of_an_option_are_listed() {
    let summary = "A definition for option `services.openssh.settings.PermitRootLogin' is not of type `null or one of \"yes\", \
                   \"no\"'. Definition values:\n- In `/build/config/c.nix': 1";
    let hint = wrong_type(summary, false).unwrap();
    assert_eq!(hint, "write one of \"yes\", \"no\", in quotes");
    let other = "one of \"a\", \"b\" or list of string";
    assert_eq!(choices::choices(other), None);
}

#[test]
fn a_key_is_a_text_in_one_line() {
    let hint = |value: &str| {
        wrong_type(&format!(
            "A definition for option `users.users.root.openssh.authorizedKeys.keys.\"[definition 1-entry 1]\"' is not of type \
             `(optionally newline-terminated) single-line string'. Definition values:\n- In `/build/config/c.nix': {value}"
        ), false)
        .unwrap()
    };
    let file = hint("/nix/var/sdbuild/home/.ssh/id.pub");
    assert!(file.contains("keyFiles"), "{file}");
    let lines = hint("\"ssh-ed25519 AAAA\\n  BBBB me\"");
    assert!(lines.contains("in one line"), "{lines}");
    let several = hint("\"ssh-ed25519 AAAA a\\nssh-rsa BBBB b\\n\"");
    assert!(
        several.contains("write each key as an element"),
        "{several}"
    );
    let call = hint("<function>");
    assert!(call.contains("in parentheses"), "{call}");
    let number = hint("1");
    assert!(number.starts_with("write a string in quotes"), "{number}");
    let summary = "A definition for option `users.users.root.hashedPasswordFile' is not of type `null or string'.";
    for (value, hint) in [
        ("", "write the path of the file on the machine"),
        (
            "\n- In `/c.nix': /c/pw",
            "write the path of the file on the machine",
        ),
        ("\n- In `/c.nix': 1", "write a string in quotes"),
    ] {
        let told = wrong_type(&format!("{summary}{value}"), false).unwrap();
        assert!(told.starts_with(hint), "{told}");
    }
}

#[test]
fn a_private_key_is_no_public_one() {
    let summary = "A definition for option `users.users.root.openssh.authorizedKeys.keys.\"[definition 1-entry 1]\"' is not of type \
                   `(optionally newline-terminated) single-line string'. Definition values: - In `/build/config/sd-card.nix': \
                   \"-----BEGIN OPENSSH PRIVATE KEY-----***\"";
    let hint = wrong_type(summary, false).unwrap();
    assert!(hint.contains(".pub file"), "{hint}");
}

#[test]
fn a_value_beside_its_list_is_put_into_it() {
    let hint = |option: &str, kind: &str, value: &str| {
        let summary = format!(
            "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': {value}"
        );
        wrong_type(&summary, false).unwrap()
    };
    for (option, kind, value, expected) in [
        (
            "swapDevices",
            "list of (submodule)",
            "{ device = \"/swap\"; }",
            "write a list: swapDevices = [ { … } ];",
        ),
        (
            "systemd.tmpfiles.rules",
            "list of string",
            "\"d /data 0755 root root\"",
            "write a list: systemd.tmpfiles.rules = [ \"d /data 0755 root root\" ];",
        ),
        (
            "services.timesyncd.servers",
            "null or (list of string)",
            "\"pool.ntp.org\"",
            "write services.timesyncd.servers = [ \"pool.ntp.org\" ];",
        ),
        (
            "boot.kernel.sysctl.net",
            "null or signed integer or string",
            "{ ipv4 = { ip_forward = 1; }; }",
            "put a name with dots in quotes: boot.kernel.sysctl.\"net.ipv4.ip_forward\" = 1;",
        ),
        (
            "systemd.services.a.serviceConfig",
            "attribute set of (systemd option)",
            "{ Restart = \"allways\"; }",
            "this set has a value that the option does not take",
        ),
        (
            "users.defaultUserShell",
            "absolute path or package",
            "\"zsh\"",
            "write users.defaultUserShell = pkgs.zsh;",
        ),
    ] {
        assert_eq!(hint(option, kind, value), expected);
    }
}
