use std::fs;

use super::super::Severity;
use super::*;

/// The place of what `text` says about the configuration of these files.
fn place(text: &str, files: &[(&str, &str)], flags: &[&str]) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let mut cli_module = CliModule::default();
    for flag in flags {
        cli_module.set(flag).unwrap();
    }
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "pi/", &cli_module);
    let place = definitions.place(text)?;
    Some(format!("{}:{}", place.file, place.line))
}

/// What a `sd-card.nix` with this `text` defines.
fn own_definitions(text: &str) -> OwnDefinitions {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    OwnDefinitions::read(Some(&files), "", &CliModule::default())
}

/// The line to add would have defined the option a second time.
#[test]
fn the_secrets_file_of_wireless_that_is_off_is_known() {
    let known = |module: &str| {
        let own = own_definitions(module);
        let mut facts = crate::nixos::check::tests::with(&[]);
        own.keep_unexplained(&mut facts);
        facts.network.secrets_file
    };
    assert_eq!(known("{ networking.hostName = \"pi\"; }"), None);
    let wireless = |value: &str| {
        let module = format!("{{ networking.wireless = {{ secretsFile = {value}; }}; }}");
        known(&module).unwrap()
    };
    assert_eq!(wireless("\"/run/wifi\""), "/run/wifi");
    assert_eq!(wireless("config.age.secrets.wifi.path"), "");
    let off = "{ networking.wireless.secretsFile = null; }";
    assert_eq!(known(off), None);
}

fn in_file(text: &str, module: &str) -> Option<String> {
    place(text, &[("sd-card.nix", module)], &[])
}

#[test]
fn the_only_definition_is_the_place() {
    let host_name = "networking.hostName = \"my_pi\"";
    for module in [
        "{\n  networking.hostName = \"my_pi\";\n}",
        "{ networking = {\n  hostName = lib.mkDefault \"my_pi\"; }; }",
        "{ config = { networking =\n { hostName = name; }; }; }",
        "{ networking.domain = \"lan\";\n  networking.hostName = \"my_\" + \"pi\"; }",
    ] {
        let found = in_file(host_name, module);
        let line = 1 + module
            .split("hostName")
            .next()
            .unwrap()
            .matches('\n')
            .count();
        assert_eq!(found, Some(format!("pi/sd-card.nix:{line}")), "{module}");
    }
    let data = "fileSystems.\"/data\" (/dev/sda1) without nofail";
    let module = "{ fileSystems.\"/\".device = \"x\";\n  fileSystems.\"/data\" = { device = \"/dev/sda1\"; }; }";
    assert_eq!(in_file(data, module).as_deref(), Some("pi/sd-card.nix:2"));
}

#[test]
fn a_place_that_is_not_certain_is_none() {
    let host_name = "networking.hostName = \"my_pi\"";
    for module in [
        "{ }",
        "{ networking = { }; }",
        "{ networking.hostName = \"other\"; }",
        "{ specialisation.x.configuration.networking.hostName = \"my_pi\"; }",
        "{ networking.hostName = mkIf a \"my_pi\"; networking = mkIf b { hostName = \"my_pi\"; }; }",
        "{ networking = lib.mkIf false { hostName = \"my_pi\"; }; }",
        "{ networking = { inherit hostName; }; }",
        "{ networking = { inherit hostName; };\n networking.hostName = \"my_pi\"; }",
        "{ networking = if a then { hostName = \"my_pi\"; } else { }; }",
        "{ networking = {\n inherit (x) hostName;\n hostName = \"my_pi\"; }; }",
        "{ networking.${name} = x;\n networking.hostName = \"my_pi\"; }",
        "{ networking = x // {\n hostName = \"my_pi\"; }; }",
        "{ networking = x;\n config.networking.hostName = \"my_pi\"; }",
    ] {
        assert_eq!(in_file(host_name, module), None, "{module}");
    }
    let module = "{ networking.hostName = \"my_pi\"; }";
    let importing = "{ imports = [ ./other.nix ]; networking.hostName = \"my_pi\"; }";
    let two = [("sd-card.nix", importing), ("other.nix", module)];
    assert_eq!(place(host_name, &two, &[]), None);
    // A file of another machine.
    let one = [("sd-card.nix", "{ }"), ("other.nix", module)];
    assert_eq!(place(host_name, &one, &[]), None);
    let both = "networking.hostName = \"my_pi\" and networking.domain = \"lan\"";
    assert_eq!(in_file(both, module), None);
    let one = [("sd-card.nix", "{ networking.hostName = name; }")];
    let flag = "networking.hostName=my_pi";
    assert_eq!(place(host_name, &one, &[flag]), None);
    let whole = "networking.firewall has no open port 22";
    let part = "{ networking.firewall.allowPing = false; }";
    assert_eq!(in_file(whole, part), None);
}

#[test]
fn a_line_names_the_definition_that_it_replaces() {
    let text = "{\n services.openssh = {\n enable = false; };\n a.b = [ 1 ];\n a.allowedTCPPorts = [ 1 ];\n c.d = lib.mkIf x 1; }";
    let own = own_definitions(text);
    let place = |file: &str| Place {
        file: file.to_owned(),
        line: 1,
    };
    let complete = |line: &str, place: Option<&Place>| own.beside_definition(line, place);
    let ssh = "services.openssh.enable = true;";
    let here = "enable = true; # replaces enable in line 3";
    let found = complete(ssh, Some(&place("sd-card.nix")));
    assert_eq!(found.as_deref(), Some(here));
    let elsewhere = "enable = true; # replaces enable in sd-card.nix:3";
    for other in [None, Some(&place("b.nix"))] {
        assert_eq!(complete(ssh, other).as_deref(), Some(elsewhere));
    }
    let explained = complete("services.openssh.enable = true; # or not", None);
    assert_eq!(explained, Some(format!("{elsewhere}; or not")));
    // What a finding knows of a command is its program, which may be all of it.
    let program = "a.start = \"${pkgs.b}/bin/b …\";";
    for (written, whole) in [("b", "${pkgs.b}/bin/b"), ("b -c", "${pkgs.b}/bin/b …")] {
        let text = format!("{{\n a.start = \"{written}\"; }}");
        let found = own_definitions(&text).beside_definition(program, None);
        let expected = format!("a.start = \"{whole}\"; # replaces sd-card.nix:2");
        assert_eq!(found, Some(expected));
    }
    let ports = "a.allowedTCPPorts = [ 1 2 ];";
    assert_eq!(
        complete(ports, None).as_deref(),
        Some("a.allowedTCPPorts = [ 1 1 2 ]; # replaces the list of sd-card.nix:5")
    );
    let rules = "systemd.tmpfiles.rules = [ \"z /a\" ];";
    let extended = "systemd.tmpfiles.rules = [ … \"z /a\" ]; # extends sd-card.nix:2";
    for text in [
        "{\n systemd.tmpfiles.rules = [ b ] ++ c; }",
        "{\n systemd = { tmpfiles.rules = lib.mkForce [ ]; }; }",
    ] {
        let found = own_definitions(text).beside_definition(rules, None);
        assert_eq!(found.as_deref(), Some(extended), "{text}");
    }
    let keys = own_definitions("{\n a.keys = [ ];\n b.keys = [ x ]; }");
    let replaced = keys.beside_definition("a.keys = [ \"y\" ];", None);
    let expected = "a.keys = [ \"y\" ]; # replaces the list of sd-card.nix:2";
    assert_eq!(replaced.as_deref(), Some(expected));
    assert_eq!(keys.beside_definition("b.keys = [ \"y\" ];", None), None);
    for line in [
        "a.b = [ 1 2 ];",
        "c.d = 1;",
        "e.f = 1;",
        "services.openssh.enable = true; # replaces the other one",
    ] {
        assert_eq!(complete(line, None), None, "{line}");
    }
}

#[test]
fn lines_that_the_files_have_are_left_out() {
    let text =
        "{ a.b = false;\n a.c = true;\n a.d = lib.mkIf x false;\n a.f = lib.mkDefault false; }";
    let own = own_definitions(text);
    assert!(own.has("a.b = false;"));
    for other in [
        "a.b = true;",
        "a.c = false;",
        "a.d = false;",
        "a.e = false;",
        "a.f = false;",
    ] {
        assert!(!own.has(other), "{other}");
    }
}

#[test]
fn a_user_is_found_where_no_option_is() {
    let shell = "users.users.ann.shell = \"/bin/zsh\"";
    for (module, line) in [
        (
            "{ users.users.ann = {\n  shell = \"/bin/zsh\"; }; }",
            Some(2),
        ),
        ("{\n  users.users.ann = person \"/bin/zsh\"; }", Some(2)),
        ("{ users = {\n  users.ann = person; }; }", Some(2)),
        ("{ users.users.ann.isNormalUser = true; }", None),
        ("{ users.users.bob = person; }", None),
        ("{ users.users = people; }", None),
        ("{ users.users.ann = {\n inherit shell; }; }", None),
        (
            "{ users.users.${name} = person;\n users.users.ann = { }; }",
            None,
        ),
        ("{ users.users.ann.a = 1; users.users.ann.b = 2; }", None),
    ] {
        let expected = line.map(|line| format!("pi/sd-card.nix:{line}"));
        assert_eq!(in_file(shell, module), expected, "{module}");
    }
    let user = "the shell of users.users.git is nologin";
    let module = "{\n  users.users.git.isSystemUser = true; }";
    let found = in_file(user, module);
    assert_eq!(found.as_deref(), Some("pi/sd-card.nix:2"));
    let two = "users.users.ann.shell = \"/bin/zsh\", users.users.bob.shell = \"/bin/zsh\"";
    let module =
        "{ users.users.ann.shell = \"/bin/zsh\";\n users.users.bob.shell = \"/bin/zsh\"; }";
    assert_eq!(in_file(two, module), None);
}

#[test]
fn a_renamed_option_keeps_what_is_below_it_and_its_value() {
    let renamed = |text: &str| {
        let mut found = [Finding {
            id: "warning",
            severity: Severity::Warning,
            is: "a.old".to_owned(),
            why: String::new(),
            add: vec!["b.new = …; # replaces a.old; keep its value".to_owned()],
            place: None,
        }];
        own_definitions(text).locate(&mut found);
        let [Finding { add, place, .. }] = found;
        (add.concat(), place.map(|place| place.line))
    };
    for (text, line) in [
        (
            "a.old.enable = true;",
            "b.new.enable = true; # replaces line 2",
        ),
        (
            "a = { old = { c = 1; }; };",
            "b.new = …; # outside all braces; remove old from line 2; keep its value",
        ),
        (
            "c = 1; a.old.path = 1;",
            "b.new.path = 1; # replaces a.old.path in line 2",
        ),
        (
            "a.old.path = \"x\";",
            "b.new.path = \"x\"; # replaces line 2",
        ),
        (
            "a.old.password = \"x\";",
            "b.new.password = …; # replaces line 2; keep its value",
        ),
    ] {
        let (told, place) = renamed(&format!("{{\n{text}\n}}"));
        assert_eq!((told.as_str(), place), (line, Some(2)), "{text}");
    }
    let (told, place) = renamed("{ a.old.c = 1; a.old.d = 1; }");
    assert!(told.ends_with("a.old; keep its value"), "{told}");
    assert_eq!(place, None);
}

#[test]
fn a_value_of_the_command_line_is_named_by_its_flag() {
    let mut own = own_definitions("{\n  time.timeZone = \"Etc/UTC\";\n  a.b = true;\n}");
    for flag in ["time.timeZone=Europa/Berlin", "a.b=false", "a.list=[ 1 ]"] {
        own.cli_module.set(flag).unwrap();
    }
    own.cli_module.host_name("my_pi");
    let told = |is: &str, add: &str| {
        let mut findings = [Finding {
            id: "x",
            severity: Severity::Warning,
            is: is.to_owned(),
            why: String::new(),
            add: vec![add.to_owned()],
            place: None,
        }];
        own.locate(&mut findings);
        let [Finding { is, add, place, .. }] = findings;
        assert_eq!(place, None);
        (is, add.concat())
    };
    let (is, add) = told(
        "time.timeZone = \"Europa/Berlin\"",
        "time.timeZone = \"Etc/UTC\";",
    );
    assert_eq!(is, "time.timeZone = \"Europa/Berlin\"");
    assert_eq!(
        add,
        "time.timeZone = \"Etc/UTC\"; # replaces --set time.timeZone=…"
    );
    let (is, _) = told("a.b = false", "c.d = 1;");
    assert_eq!(is, "a.b = false (--set a.b=…)");
    let (_, add) = told(
        "networking.hostName has _",
        "networking.hostName = \"pi\"; # no _",
    );
    assert_eq!(
        add,
        "networking.hostName = \"pi\"; # replaces --hostname; no _"
    );
    let (is, _) = told("a.list has 1", "c.d = 1;");
    assert_eq!(is, "a.list has 1", "the files may have it too");
}
