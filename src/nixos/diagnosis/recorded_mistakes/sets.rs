//! Values in place of sets, and lists in place of texts, as Nix reports them.

use super::*;

/// The hints for the definition of an option in `line`, of which Nix says that it is not of the type `kind`.
fn hints_of_type(line: &str, option: &str, kind: &str, shown: &str) -> String {
    let escaped = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        let inner = quoted.strip_prefix('"').unwrap().strip_suffix('"');
        inner.unwrap().to_owned()
    };
    let error = escaped(&format!(
        "A definition for option `{option}' is not of type `{kind}'. TypeError: Definition values:\n- In `/build/config/c.nix': {shown}"
    ));
    let stream = format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {error}","raw_msg":"{error}"}}"#
    );
    failure(line, &stream, "").hints.concat()
}

#[test]
fn values_go_into_the_sets_that_are_meant() {
    let sets = "attribute set of (submodule)";
    for (line, option, kind, shown, expected) in [
        (
            "{ users.groups = [ \"gpio\" \"i2c\" ]; }",
            "users.groups",
            sets,
            "",
            "write each one with its name: users.groups.gpio = { }; users.groups.i2c = { };",
        ),
        (
            "{ services.nginx.virtualHosts = [ { root = ./www; } ]; }",
            "services.nginx.virtualHosts",
            sets,
            "",
            "write each one with its name: services.nginx.virtualHosts.NAME = { root = ./www; };",
        ),
        (
            "{ users.users = [ { name = \"bob\"; isNormalUser = true; } ]; }",
            "users.users",
            sets,
            "",
            "write each one with its name: users.users.bob = { isNormalUser = true; };",
        ),
        (
            "{ networking.bridges.br0 = [ \"eth0\" ]; }",
            "networking.bridges.br0",
            "submodule",
            "",
            "write networking.bridges.br0.interfaces = [ \"eth0\" ];",
        ),
        (
            "{ services.caddy.virtualHosts.\"pi.lan\" = ''\n  reverse_proxy :80\n''; }",
            "services.caddy.virtualHosts.\"pi.lan\"",
            "submodule",
            "''\n    reverse_proxy :80\n  ''",
            "write services.caddy.virtualHosts.\"pi.lan\".extraConfig = ''…'';",
        ),
        (
            "{ systemd.timers.backup = \"daily\"; }",
            "systemd.timers.backup",
            "submodule",
            "\"daily\"",
            "write systemd.timers.backup = { wantedBy = [ \"timers.target\" ]; timerConfig.OnCalendar = \"daily\"; };",
        ),
    ] {
        let told = hints_of_type(line, option, kind, shown);
        assert_eq!(told, expected, "{line}");
    }
}

#[test]
fn texts_go_into_sets_only_as_what_they_are() {
    for (line, option, kind, shown, expected) in [
        (
            "{ services.caddy.virtualHosts.\"pi.lan\" = ''localhost:80''; }",
            "services.caddy.virtualHosts.\"pi.lan\"",
            "submodule",
            "\"localhost:80\"",
            "write services.caddy.virtualHosts.\"pi.lan\".extraConfig = \"reverse_proxy localhost:80\";",
        ),
        (
            "{ systemd.services.app = \"After=network.target Wants=foo\"; }",
            "systemd.services.app",
            "submodule",
            "\"After=network.target Wants=foo\"",
            "write a set: { … }",
        ),
    ] {
        let told = hints_of_type(line, option, kind, shown);
        assert_eq!(told, expected, "{line}");
    }
}

#[test]
fn values_go_into_elements_and_sections() {
    for (line, option, kind, shown, expected) in [
        (
            "{ services.mosquitto.listeners = { port = 1883; }; }",
            "services.mosquitto.listeners",
            "list of (submodule)",
            "",
            "write a list: services.mosquitto.listeners = [ { … } ];",
        ),
        (
            "{ services.mosquitto.listeners = [ { users.ann = \"x\"; } ]; }",
            "services.mosquitto.listeners.\"[definition 1-entry 1]\".users.ann",
            "submodule",
            "\"x\"",
            "write { password = \"…\"; } in its place",
        ),
        (
            "{ networking.firewall.allowedTCPPortRanges = [ \"8000-8010\" ]; }",
            "networking.firewall.allowedTCPPortRanges.\"[definition 1-entry 1]\"",
            "attribute set of 16 bit unsigned integer; between 0 and 65535 (both inclusive)",
            "\"8000-8010\"",
            "write { from = 8000; to = 8010; } instead of \"8000-8010\"",
        ),
        (
            "{ services.samba.settings.public = \"/srv\"; }",
            "services.samba.settings.public",
            "section of an INI file (attrs of INI atom (null, bool, int, float or string) or a non-empty list of them)",
            "\"/srv\"",
            "write services.samba.settings.public.path = \"/srv\";",
        ),
        (
            "{ hardware.deviceTree.overlays = [ \"spi0\" ]; }",
            "hardware.deviceTree.overlays.\"[definition 1-entry 1]\"",
            "(submodule) or absolute path convertible to it",
            "\"spi0\"",
            "write { name = \"spi0\"; dtsFile = ./FILE.dts; } instead of \"spi0\"",
        ),
        (
            "{ users.users.bob.extraGroups = { wheel = true; }; }",
            "users.users.bob.extraGroups",
            "list of string",
            "",
            "write a list: users.users.bob.extraGroups = [ \"wheel\" ];",
        ),
        (
            "{ a.b = \"x\"; }",
            "a.b",
            "submodule",
            "\"x\"",
            "write a set: { … }",
        ),
    ] {
        let told = hints_of_type(line, option, kind, shown);
        assert_eq!(told, expected, "{line}");
    }
}

#[test]
fn other_definitions_that_do_not_fit_are_explained() {
    let boot = "{ boot.loader.systemd-boot.enable = true; }";
    let error = "The option `system.build.installBootLoader' is defined multiple times while it's expected to be unique.\\n- In `/x/generic-extlinux-compatible': <derivation a>\\n- In `/x/systemd-boot/systemd-boot.nix': <derivation b>";
    let told = hints_of_line(boot, 1, error).concat();
    assert!(
        told.ends_with("generic-extlinux-compatible. Remove boot.loader.systemd-boot.enable"),
        "{told}"
    );
    let firmware = "{ sdImage.populateFirmwareCommands = [ \"cp a firmware/\" ]; }";
    let error = "Cannot merge definitions of `sdImage.populateFirmwareCommands'. Definition values:\\n- In `/x/sd-image.nix':\\n    ''\\n      a\\n    ''\\n- In `/build/config/c.nix':\\n    [\\n      \\\"cp a firmware/\\\"\\n    ]";
    let told = hints_of_line(firmware, 1, error).concat();
    assert!(
        told.ends_with("sdImage.populateFirmwareCommands = ''\n  cp a firmware/\n'';"),
        "{told}"
    );
    let mask = "The option `networking.interfaces.eth0.ipv4.addresses.\\\"[definition 1-entry 1]\\\".netmask' does not exist. Definition values:\\n- In `/build/config/c.nix': \\\"255.255.255.0\\\"";
    let told = hints_of_line("{ }", 1, mask).concat();
    assert_eq!(
        told,
        "write prefixLength = 24; instead of netmask = \"255.255.255.0\";"
    );
}

#[test]
fn a_list_of_lines_becomes_one_text() {
    let lines = "strings concatenated with \"\\n\"";
    for (line, option, kind, expected) in [
        (
            "{ services.udev.extraRules = [ \"A==\\\"1\\\"\" \"B\" ]; }",
            "services.udev.extraRules",
            lines,
            "the option takes one string, not a list: services.udev.extraRules = ''\n  A==\"1\"\n  B\n'';",
        ),
        (
            "{ time.timeZone = [ \"Europe/Berlin\" ]; }",
            "time.timeZone",
            "null or string without spaces",
            "the option takes a string, not a list: time.timeZone = \"Europe/Berlin\";",
        ),
        (
            "{ networking.defaultGateway = [ \"10.0.0.1\" ]; }",
            "networking.defaultGateway",
            "null or ((submodule) or string convertible to it)",
            "the option takes a string, not a list: networking.defaultGateway = \"10.0.0.1\";",
        ),
        (
            "{ a.b = [ \"x\" 1 ]; }",
            "a.b",
            lines,
            "write a string in quotes: a.b = \"…\";",
        ),
    ] {
        assert_eq!(hints_of_type(line, option, kind, ""), expected, "{line}");
    }
}
