use super::*;
use crate::nixos::user_files::UserFiles;

/// The hint for the `option` of the type `kind` that `c.nix`, with the text `nix`, sets to what Nix shows as `shown`.
fn hint_for(nix: &str, option: &str, kind: &str, shown: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("c.nix"), nix).unwrap();
    std::fs::write(dir.path().join("secrets.yaml"), "").unwrap();
    let files = UserFiles::new(dir.path());
    let context = ExitContext {
        shown_dir: "pi/",
        files: Some(&files),
        ..ExitContext::default()
    };
    let error = NixError {
        summary: format!(
            "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': {shown}"
        ),
        ..NixError::default()
    };
    hint(&context, &error)
}

#[track_caller]
fn assert_hints(table: &[(&str, &str, &str, &str, Option<&str>)]) {
    for (nix, option, kind, shown, expected) in table {
        let found = hint_for(nix, option, kind, shown);
        assert_eq!(found.as_deref(), *expected, "{nix}");
    }
}

const LINES: &str = "null or strings concatenated with \"\\n\"";
const MOTD: &str = "environment.etc.motd.text";

#[test]
fn a_file_in_place_of_a_text_is_named_by_another_option() {
    let source = "write environment.etc.motd.source = ./motd; (the option text takes the content itself, such as \
     builtins.readFile ./motd)";
    let read =
        "the option takes the content of the file. Write users.motd = builtins.readFile ./motd;";
    let shown = "/build/config/motd";
    assert_hints(&[
        (
            "{ environment.etc.\"motd\".text = ./motd; }",
            MOTD,
            LINES,
            shown,
            Some(source),
        ),
        (
            "{ environment.etc = { motd.text = ./motd; }; }",
            MOTD,
            LINES,
            shown,
            Some(source),
        ),
        (
            "{ users.motd = ./motd; }",
            "users.motd",
            LINES,
            shown,
            Some(read),
        ),
        (
            "{ environment.etc.motd.text = /etc/motd; }",
            MOTD,
            LINES,
            "/etc/motd",
            None,
        ),
        (
            "{ users.motd = lib.mkForce ./motd; }",
            "users.motd",
            LINES,
            shown,
            Some(
                "the option takes the content of the file. Write (builtins.readFile ./motd) instead of ./motd",
            ),
        ),
        (
            "{ users.motd = ./motd; }",
            "users.motd",
            "string",
            shown,
            None,
        ),
    ]);
}

#[test]
fn a_file_in_quotes_is_written_without_them() {
    let keys = "users.users.pi.openssh.authorizedKeys.keyFiles";
    let first = format!("{keys}.\"[definition 1-entry 2]\"");
    let list = format!("{{ {keys} = [ ./a.pub \"x.pub\" ]; }}");
    let path = "absolute path";
    assert_hints(&[
        (
            &list,
            &first,
            path,
            "\"x.pub\"",
            Some("a path has no quotes. Write ./x.pub instead of \"x.pub\""),
        ),
        (
            "{ environment.etc.x.source = \"./x\"; }",
            "environment.etc.x.source",
            "null or absolute path",
            "\"./x\"",
            Some("a path has no quotes. Write environment.etc.x.source = ./x;"),
        ),
        (
            "{ sops.file = \"secrets.yaml\"; }",
            "sops.file",
            path,
            "\"secrets.yaml\"",
            Some("a path has no quotes. Write sops.file = ./secrets.yaml;"),
        ),
        (
            "{ a.keyFiles = \"x.pub\"; }",
            "a.keyFiles",
            "list of absolute path",
            "\"x.pub\"",
            Some("a path has no quotes. Write a.keyFiles = [ ./x.pub ];"),
        ),
        (
            "{ a.keyFiles = ./x.pub; }",
            "a.keyFiles",
            "list of absolute path",
            "/build/config/x.pub",
            Some("write a list: a.keyFiles = [ ./x.pub ];"),
        ),
    ]);
}

#[test]
fn what_may_be_no_file_is_left() {
    let path = "absolute path";
    assert_hints(&[
        (
            "{ sops.file = \"other.yaml\"; }",
            "sops.file",
            path,
            "\"other.yaml\"",
            None,
        ),
        (
            "{ environment.etc.x.source = \"my file\"; }",
            "environment.etc.x.source",
            path,
            "\"my file\"",
            None,
        ),
        (
            "{ environment.etc.x.source = \"..\"; }",
            "environment.etc.x.source",
            path,
            "\"..\"",
            None,
        ),
    ]);
}

#[test]
fn numbers_and_words_with_a_slash_become_strings() {
    let zone = "time.timeZone";
    let berlin = "/build/config/Europe/Berlin";
    assert_hints(&[
        (
            "{ time.timeZone = Europe/Berlin; }",
            zone,
            "null or string without spaces",
            berlin,
            Some("write a string in quotes: time.timeZone = \"Europe/Berlin\";"),
        ),
        (
            "{ system.stateVersion = 26.05; }",
            "system.stateVersion",
            "string",
            "26.050000",
            Some("write the release in quotes: system.stateVersion = \"26.05\";"),
        ),
        (
            "{ networking.hostName = 5; }",
            "networking.hostName",
            "string matching the pattern ^$",
            "5",
            Some("write a string in quotes: networking.hostName = \"5\";"),
        ),
        (
            "{ x.id = 5; }",
            "x.id",
            "string matching the pattern [a-f]{8}",
            "5",
            None,
        ),
        (
            "{ x.names = [ a 5 ]; }",
            "x.names.\"[definition 1-entry 2]\"",
            "string",
            "5",
            Some("write a string in quotes: \"5\" instead of 5"),
        ),
        ("{ x.a = true; }", "x.a", "string", "true", None),
    ]);
}

#[test]
fn a_number_is_no_address() {
    assert_hints(&[
        (
            "{ services.prometheus.listenAddress = 9090; }",
            "services.prometheus.listenAddress",
            "string",
            "9090",
            Some(AN_ADDRESS),
        ),
        (
            "{ x.macAddress = 5; }",
            "x.macAddress",
            "string",
            "5",
            Some("write a string in quotes: x.macAddress = \"5\";"),
        ),
        (
            "{ x.listenAddress = 5; }",
            "x.listenAddress",
            "integer",
            "5",
            None,
        ),
    ]);
}

#[test]
fn a_single_package_becomes_a_list() {
    let packages = "environment.systemPackages";
    let hint = |value: &str| {
        let nix = format!("{{ environment = {{ systemPackages = {value}; }}; }}");
        hint_for(&nix, packages, "list of package", "<derivation htop-3.4>")
    };
    for (value, list) in [
        ("pkgs.htop", "[ pkgs.htop ]"),
        ("with pkgs; htop", "with pkgs; [ htop ]"),
        (
            "pkgs.callPackage ./x.nix { }",
            "[ (pkgs.callPackage ./x.nix { }) ]",
        ),
        ("(f x)", "[ (f x) ]"),
    ] {
        let expected = format!("write a list: environment.systemPackages = {list};");
        assert_eq!(hint(value), Some(expected));
    }
    let forced = "write a list: [ pkgs.htop ] instead of pkgs.htop";
    assert_eq!(hint("lib.mkForce pkgs.htop").as_deref(), Some(forced));
    for value in [
        "lib.mkForce [ pkgs.htop ]",
        "if a then b else c",
        "[ pkgs.htop ]",
    ] {
        assert_eq!(hint(value), None, "{value}");
    }
}

#[test]
fn a_definition_that_the_message_does_not_place_is_named() {
    // Two definitions in one file: Nix lists only the wrong one, without its line.
    let nix = "{ imports = [ { environment.systemPackages = [ pkgs.vim ]; } ];\n environment.systemPackages = pkgs.htop; }";
    let hint = |nix: &str| {
        let packages = "environment.systemPackages";
        hint_for(nix, packages, "list of package", "<derivation htop-3.4>")
    };
    let expected = "pi/c.nix:2: write a list: environment.systemPackages = [ pkgs.htop ];";
    assert_eq!(hint(nix).as_deref(), Some(expected));
    assert_eq!(hint(&nix.replace("[ pkgs.vim ]", "pkgs.vim")), None);
}

#[test]
fn an_overlay_is_a_function() {
    let hint = |nix: &str| {
        let option = "nixpkgs.overlays.\"[definition 1-entry 1]\"";
        hint_for(nix, option, "nixpkgs overlay", "")
    };
    let expected = "an overlay is a function of two sets of packages. Write (final: prev: { vim = 1; }) instead of the \
     set";
    let short = hint("{ nixpkgs.overlays = [ { vim = 1; } ]; }");
    assert_eq!(short.as_deref(), Some(expected));
    let long = hint("{ nixpkgs.overlays = [ {\n vim = 1; } ]; }").unwrap();
    assert!(long.contains("Write (final: prev: { vim = …; })"), "{long}");
    let packages = hint(
        "{ pkgs, ... }: { nixpkgs.overlays = [ { vim = pkgs.vim.overrideAttrs (o: { }); } ]; }",
    );
    let expected = "an overlay is a function of two sets of packages. Write (final: prev: { vim = …; }) instead of the \
     set, and prev instead of pkgs inside it";
    assert_eq!(packages.as_deref(), Some(expected));
    for other in ["import ./x.nix", "rec { vim = 1; }", "{ }"] {
        assert_eq!(
            hint(&format!("{{ nixpkgs.overlays = [ {other} ]; }}")),
            None
        );
    }
}

#[test]
fn a_list_of_one_string_becomes_that_string() {
    let zone = "time.timeZone";
    let written = "the option takes a string, not a list: time.timeZone = \"Europe/Berlin\";";
    assert_hints(&[
        (
            "{ time.timeZone = [ \"Europe/Berlin\" ]; }",
            zone,
            "null or string",
            "",
            Some(written),
        ),
        (
            "{ time.timeZone = [ \"a\" \"b\" ]; }",
            zone,
            "null or string",
            "",
            None,
        ),
    ]);
}
