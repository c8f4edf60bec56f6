//! Names that need quotes, and names in lists of packages.

use super::hint_at;

#[test]
fn names_that_need_quotes_get_them() {
    let dot = "expecting '.' or '='";
    for (marked, summary, expected) in [
        (
            "{ networking.wireless.networks|.5GHz.psk = \"x\"; }",
            "unexpected FLOAT_LIT, expecting '.' or '='",
            "networking.wireless.networks.\"5GHz\".psk = …;",
        ),
        (
            "{ networking.wireless.networks.FRITZ|!Box 7590 = { }; }",
            dot,
            "networking.wireless.networks.\"FRITZ!Box 7590\" = …;",
        ),
        (
            "{ networking.wireless = {\n networks = {\n a = 1; # b\n  |5G = { }; }; }; }",
            "unexpected INT_LIT, expecting INHERIT",
            "in double quotes: \"5G\" = …;",
        ),
        (
            "{ networking.wireless.networks.My |Home Net.psk = \"x\"; }",
            dot,
            "networks.\"My Home Net\".psk",
        ),
        (
            "{ systemd.services.getty|@tty1.enable = false; }",
            "unexpected '@', expecting '.' or '='",
            "systemd.services.\"getty@tty1\"",
        ),
        (
            "{ users.users|.3d = { }; }",
            "unexpected FLOAT_LIT, expecting '.' or '='",
            "users.\"3d\"",
        ),
        (
            "{ networking.hosts|.192.168.1.2 = [ ]; }",
            "unexpected FLOAT_LIT, expecting '.' or '='",
            "hosts.\"192.168.1.2\" = …;",
        ),
        (
            "{ hosts = {\n |192.168.1.2 = [ ]; }; }",
            "unexpected FLOAT_LIT, expecting INHERIT",
            "\"192.168.1.2\" = …;",
        ),
        (
            "{ networking.interfaces.eth0|.100.useDHCP = true; }",
            "unexpected FLOAT_LIT, expecting '.' or '='",
            "\"eth0.100\"",
        ),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
    // Something else is wrong with these.
    for marked in [
        "{ networking.wireless.networks.Home |psk = \"x\"; }",
        "{ networking.wireless.networks.Home |== { }; }",
        "{ networking.wireless.networks.Home |+= { }; }",
        "{ networking.wireless.networks.Home |{ psk = \"x\"; }; }",
    ] {
        let found = hint_at(marked, dot).unwrap_or_default();
        assert!(!found.contains("double quotes: networking"), "{found}");
    }
}

#[test]
fn tokens_in_lists_of_packages_are_explained() {
    for (marked, summary, expected) in [
        (
            "{ environment.systemPackages = with pkgs; [ nodejs|@20 ]; }",
            "unexpected '@'",
            "Write nodejs for the version that this nixpkgs has",
        ),
        (
            "{ a = [ pkgs.python3|==3.11 ]; }",
            "unexpected EQ",
            "a name has no `==`. Write pkgs.python3",
        ),
        (
            "{ services.x.package = nodejs|@20; }",
            "unexpected '@', expecting ';'",
            "packages?query=nodejs",
        ),
        (
            "{ environment.systemPackages = [ |with pkgs; vim ]; }",
            "unexpected WITH",
            "environment.systemPackages = with pkgs; [ … ];",
        ),
        (
            "{ a = [ b ] ++ [ |with pkgs; vim ]; }",
            "unexpected WITH",
            "(with pkgs; [ … ])",
        ),
        (
            "{ a.b |+= [ pkgs.htop ]; }",
            "unexpected '+', expecting '.' or '='",
            "Nix has no `+=`. Write a.b = [ pkgs.htop ];",
        ),
        (
            "{\n a.b = [ ];\n a.b |+= [ pkgs.htop ]; }",
            "unexpected '+', expecting '.' or '='",
            "into the definition of line 2",
        ),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
    let python = hint_at("{ a.packages = [ python|==3.12 ]; }", "unexpected EQ").unwrap();
    assert!(python.contains("Write pkgs.python3 for"), "{python}");
    let module = hint_at(
        "{ a.packages = with pkgs; [ requests|==2 ]; }",
        "unexpected EQ",
    )
    .unwrap();
    assert!(!module.contains("write"), "{module}");
    let strings = hint_at("{ a.names = [ me|@20 ]; }", "unexpected '@'");
    assert_eq!(strings, None);
}
