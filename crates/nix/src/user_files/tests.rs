use std::fs;

use super::*;
use crate::ignore_rules::walk;

#[test]
fn a_file_that_git_does_not_track_is_explained() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("new.nix"), "").unwrap();
    let files = UserFiles::tracked(dir.path());
    let why = files.why_absent("/build/config/new.nix", "");
    assert!(why.ends_with("git add new.nix"), "{why}");
    let why = files.why_absent("/build/config/none.nix", "");
    assert!(why.starts_with("there is no none.nix"), "{why}");
    // Which `git add` alone refuses.
    fs::create_dir(dir.path().join(".git")).unwrap();
    fs::write(dir.path().join(".gitignore"), "new.nix\n").unwrap();
    let why = files.why_absent("/build/config/new.nix", "");
    let hint = ".gitignore lists it. Remove it from .gitignore, or run git add --force new.nix";
    assert!(why.ends_with(hint), "{why}");
}

fn pi() -> (tempfile::TempDir, UserFiles) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("pi");
    fs::create_dir_all(root.join("secrets")).unwrap();
    for name in [
        "sd-card.nix",
        "wifi.nix",
        "secrets/name",
        "old.img",
        "../common.nix",
    ] {
        fs::write(root.join(name), name).unwrap();
    }
    let files = UserFiles::new(&root);
    (dir, files)
}

#[test]
fn only_files_of_the_configuration_are_read() {
    let (_dir, files) = pi();
    let text = files.text("/build/config/wifi.nix");
    assert_eq!(text.as_deref(), Some("wifi.nix"));
    for path in [
        "config/../common.nix",
        "config//etc/passwd",
        "configuration",
        "../etc/passwd",
    ] {
        assert_eq!(files.text(&format!("/build/{path}")), None, "{path}");
    }
    assert_eq!(files.text("wifi.nix"), None);
}

#[test]
fn a_file_that_was_not_sent_is_explained() {
    let (dir, files) = pi();
    let own = dir.path().join("pi/wifi.nix");
    let module = dir.path().join("pi/sd-card.nix");
    fs::write(module, "{\n  imports = [ ../common.nix ];\n}\n").unwrap();
    for (path, part) in [
        ("/build/config/none.nix", "there is no none.nix in "),
        ("/build/config/old.img", "does not upload images"),
        ("/build/common.nix", "sd-card.nix:2 names /"),
        ("/build/common.nix", "/common.nix, which is outside "),
        (own.to_str().unwrap(), "is a file of this machine"),
        ("/home/nobody/key", "does not exist on this machine either"),
        (
            "/etc/nixos/hardware-configuration.nix",
            "That file describes the disks",
        ),
        ("/build/home/.ssh/id.pub", "~/.ssh/id.pub is in your home"),
    ] {
        let why = files.why_absent(path, "");
        assert!(why.contains(part), "{why}");
    }
    fs::write(dir.path().join("pi/.sdbuildignore"), "wifi.nix\n").unwrap();
    let why = files.why_absent("/build/config/wifi.nix", "");
    assert!(why.contains(".sdbuildignore names it"), "{why}");
}

/// The builder has the configuration two directories below its root, where `..` leads no further.
#[test]
fn files_several_directories_above_are_found() {
    let (dir, _) = pi();
    let root = dir.path().join("hosts/a/pi");
    fs::create_dir_all(&root).unwrap();
    let files = UserFiles::new(&root);
    let shown = dir.path().display();
    for up in ["../../..", "./../../.."] {
        let text = format!("{{ imports = [ {up}/common.nix {up}/none.nix ]; }}");
        fs::write(root.join("sd-card.nix"), text).unwrap();
        let why = files.why_absent("/common.nix", "");
        assert!(
            why.starts_with(&format!("sd-card.nix:1 names {shown}/common.nix, which")),
            "{why}"
        );
        assert!(
            why.contains(&format!("give --root {shown}, or copy it")),
            "{why}"
        );
        let local = files.local_path("/common.nix");
        assert_eq!(local, Some(format!("{shown}/common.nix")));
        let why = files.why_absent("/none.nix", "");
        assert!(
            why.contains("none.nix, which does not exist on this machine either"),
            "{why}"
        );
    }
}

#[test]
fn the_line_that_names_a_missing_file_is_reported() {
    let (dir, files) = pi();
    let text = "{ ... }: {\n  # ./none.nix\n  imports = [ ./none.nix.old ./none.nix ];\n}\n";
    fs::write(dir.path().join("pi/sd-card.nix"), text).unwrap();
    let why = files.why_absent("/build/config/none.nix", "");
    let start = "sd-card.nix:3 names none.nix, which does not exist in /";
    assert!(why.starts_with(start), "{why}");
    let from_above = files.why_absent("/build/config/none.nix", "pi/");
    assert_eq!(from_above, format!("pi/{why}"));
    assert!(why.ends_with("/pi. Check the path"), "{why}");
    fs::write(dir.path().join("pi/configuration.nix"), "{ }").unwrap();
    let why = files.why_absent("/build/config/config.nix", "");
    assert!(
        why.ends_with("/pi. Did you mean configuration.nix?"),
        "{why}"
    );
    let why = files.why_absent("/build/config/hardware-configuration.nix", "");
    assert!(why.ends_with("Remove its path from the imports"), "{why}");
}

#[test]
fn the_line_for_an_ignored_file_sends_it() {
    for (rules, name, line) in [
        ("wifi.nix\n", "wifi.nix", "!/wifi.nix"),
        ("*.nix\n!sd-card.nix\n", "wifi.nix", "!/wifi.nix"),
        ("secrets/\n", "secrets/name", "!/secrets/"),
        ("name\n", "secrets/name", "!/secrets/name"),
    ] {
        let (dir, files) = pi();
        let root = dir.path().join("pi");
        fs::write(root.join(".gitignore"), rules).unwrap();
        let hint = files.why_absent(&format!("/build/config/{name}"), "");
        assert!(hint.contains("but .gitignore names it"), "{hint}");
        assert!(hint.contains(&format!("the line {line} into")), "{hint}");
        let is_sent = || {
            let mut sent = walk(&root, false).unwrap().map(Result::unwrap);
            sent.any(|path| path == root.join(name))
        };
        assert!(!is_sent(), "{name}");
        fs::write(root.join(OWN_IGNORE_FILE), format!("{line}\n")).unwrap();
        assert!(is_sent(), "{line} does not send {name}");
    }
}

/// The names of the imported files of the configuration or the flake `first`.
fn imported(first: &str, files: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let all = UserFiles::new(dir.path()).beginning_with(first);
    let found = all.imported().into_iter();
    let mut names: Vec<String> = found.map(|(name, _)| name.display().to_string()).collect();
    names.sort();
    names
}

#[test]
fn files_that_are_imported_by_written_paths_count() {
    let files = [
        (
            "pi.nix",
            "{ lib, ... }: { imports = [ ./a.nix ./dir ] ++ [ ./b.nix ]; }",
        ),
        ("a.nix", "{ imports = [ ./pi.nix ./../above.nix ]; }"),
        ("dir/default.nix", "{ imports = [ ../c.nix ./none.nix ]; }"),
        ("b.nix", "{ }"),
        ("c.nix", "{ }"),
        ("laptop.nix", "{ }"),
    ];
    let found = imported("pi.nix", &files);
    assert_eq!(
        found,
        ["a.nix", "b.nix", "c.nix", "dir/default.nix", "pi.nix"]
    );
    for uncertain in [
        "{ imports = lib.optional x ./b.nix; }",
        "{ imports = if x then [ ./b.nix ] else [ ]; }",
        "{ imports = [ (f ./b.nix) ]; }",
        "{ a.b.imports = [ ./b.nix ]; }",
        "let x = { imports = [ ./b.nix ]; }; in { }",
        "{ # imports = [ ./b.nix ];\n }",
    ] {
        let files = [("pi.nix", uncertain), ("b.nix", "{ }")];
        assert_eq!(imported("pi.nix", &files), ["pi.nix"], "{uncertain}");
    }
}

#[test]
fn a_flake_has_one_list_of_modules_or_none_is_certain() {
    let host = |name: &str| {
        format!(
            "nixosConfigurations.{name} = n.lib.nixosSystem {{ modules = [ ./{name}.nix {{ imports = [ ./c.nix ]; }} ]; }};"
        )
    };
    let of = |hosts: &str| {
        let flake = format!("{{ outputs = n: {{ {hosts} }}; }}");
        let files = [
            ("flake.nix", flake.as_str()),
            ("a.nix", "{ }"),
            ("b.nix", "{ }"),
        ];
        imported("flake.nix", &files)
    };
    assert_eq!(of(&host("a")), ["a.nix", "flake.nix"]);
    assert_eq!(of(&(host("a") + &host("b"))), [""; 0]);
    assert_eq!(of(""), [""; 0]);
}

#[test]
fn a_flake_may_be_in_a_directory_of_its_repository() {
    let flake = |name: &str| {
        format!("{{ outputs = n: n.lib.nixosSystem {{ modules = [ ./{name}.nix ]; }}; }}")
    };
    let (own, other) = (flake("a"), flake("pi/b"));
    let files = [
        ("pi/flake.nix", own.as_str()),
        ("flake.nix", other.as_str()),
        ("pi/a.nix", "{ }"),
        ("pi/b.nix", "{ }"),
    ];
    assert_eq!(
        imported("pi/flake.nix", &files),
        ["pi/a.nix", "pi/flake.nix"]
    );
}

#[test]
fn only_a_path_to_the_file_itself_names_it() {
    let config = "/build/config/modules/wifi.nix";
    let sd = "nixos/modules/installer/sd.nix";
    for (text, missing, expected) in [
        ("imports = [ ./a.nix ./wifi.nix ];", config, Some(20)),
        ("imports = [ ./wifi.nix.old ./wifi.nix ];", config, Some(27)),
        ("imports = [ ../modules/wifi.nix ];", config, Some(12)),
        ("imports = [ ./other/wifi.nix ../wifi.nix ];", config, None),
        ("# ./wifi.nix", config, None),
        ("x = ./. + \"/wifi.nix\";", config, Some(11)),
        ("x = ../../common.nix;", "/build/common.nix", Some(4)),
        ("x = /home/me/key;", "/home/me/key", Some(4)),
        ("x = \"https://example.org/key\";", "/home/me/key", None),
        ("x = ~/.ssh/id;", "/build/home/.ssh/id", Some(4)),
        ("ä = \"${modulesPath}/installer/sd.nix\";", sd, Some(5)),
        ("x = <nixpkgs/nixos/none.nix>;", "nixos/none.nix", Some(5)),
    ] {
        let found = path_to(missing, Path::new("modules"), text);
        let expected = expected.map(|column| (1, column));
        assert_eq!(
            found.map(|(line, column, _)| (line, column)),
            expected,
            "{text}"
        );
    }
}
