use std::fs;

use super::*;
use crate::nixos::ignore_rules::walk;

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
    assert_eq!(
        files.text("/build/config/wifi.nix").as_deref(),
        Some("wifi.nix")
    );
    for path in [
        "/build/config/../common.nix",
        "/build/config//etc/passwd",
        "/build/configuration",
        "/etc/passwd",
        "wifi.nix",
    ] {
        assert_eq!(files.text(path), None, "{path}");
    }
}

#[test]
fn a_file_that_was_not_sent_is_explained() {
    let (dir, files) = pi();
    let why = |path: &str| files.why_absent(path, "");
    assert!(why("/build/config/none.nix").starts_with("there is no none.nix in "));
    assert!(why("/build/config/old.img").ends_with("such as old.img.bin"));
    assert!(why("/build/common.nix").contains("/common.nix is outside "));
    let module = dir.path().join("pi/sd-card.nix");
    fs::write(module, "{\n  imports = [ ../common.nix ];\n}\n").unwrap();
    let told = why("/build/common.nix");
    assert!(told.starts_with("sd-card.nix:2 names /"), "{told}");
    let own = dir.path().join("pi/wifi.nix");
    assert!(why(own.to_str().unwrap()).contains("is a file of this machine"));
    assert!(why("/home/nobody/key").contains("does not exist on this machine either"));
    let hardware = why("/etc/nixos/hardware-configuration.nix");
    assert!(
        hardware.starts_with("That file describes the disks"),
        "{hardware}"
    );
    let of_home = why("/nix/var/sdbuild/home/.ssh/id.pub");
    assert!(
        of_home.starts_with("~/.ssh/id.pub is in your home"),
        "{of_home}"
    );
    fs::write(dir.path().join("pi/.sdbuildignore"), "wifi.nix\n").unwrap();
    assert!(why("/build/config/wifi.nix").contains(".sdbuildignore names it"));
}

/// The builder has the configuration two directories below its root, where `..` leads no further.
#[test]
fn files_several_directories_above_are_found() {
    let (dir, _) = pi();
    let root = dir.path().join("hosts/a/pi");
    fs::create_dir_all(&root).unwrap();
    let files = UserFiles::new(&root);
    let module = root.join("sd-card.nix");
    for up in ["../../..", "./../../.."] {
        fs::write(&module, format!("{{ imports = [ {up}/common.nix ]; }}")).unwrap();
        let why = files.why_absent("/common.nix", "");
        let (shown, root) = (dir.path().display(), root.display());
        let expected = format!(
            "sd-card.nix:1 names {shown}/common.nix, which is outside {root}, the only directory that is uploaded, so \
             give --root {shown}, or copy it next to sd-card.nix and write ./common.nix"
        );
        assert_eq!(why, expected);
        let local = files.local_path("/common.nix");
        assert_eq!(local, Some(format!("{shown}/common.nix")));
    }
    fs::write(&module, "{ imports = [ ../../../none.nix ]; }").unwrap();
    let why = files.why_absent("/none.nix", "");
    let none = dir.path().join("none.nix");
    let expected = format!(
        "sd-card.nix:1 names {}, which does not exist on this machine either. Put the file next to sd-card.nix and write ./none.nix",
        none.display()
    );
    assert_eq!(why, expected);
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
        why.ends_with("/pi. Did you mean ./configuration.nix?"),
        "{why}"
    );
    let why = files.why_absent("/build/config/hardware-configuration.nix", "");
    assert!(why.ends_with("Remove its path from the imports"), "{why}");
}

#[test]
fn a_file_that_may_be_meant_is_named() {
    let (dir, files) = pi();
    let root = dir.path().join("pi");
    for name in [
        "parts/b.nix",
        "parts/a.nix",
        "parts/a.txt",
        "one/c.nix",
        "two/c.nix",
        "two/d.nix",
    ] {
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), "{ }").unwrap();
    }
    let text = "{ ... }: {\n  imports = [ ./parts ./d.nix ];\n}\n";
    fs::write(root.join("sd-card.nix"), text).unwrap();
    for (missing, end) in [
        ("wifi", "Did you mean ./wifi.nix?"),
        ("d.nix", "Did you mean ./two/d.nix?"),
        ("c.nix", "Check the path"),
        (
            "parts/default.nix",
            "A directory without a default.nix is not a module. Name its files: ./parts/a.nix ./parts/b.nix",
        ),
        ("secrets/default.nix", "Check the path"),
    ] {
        let why = files.why_absent(&format!("/build/config/{missing}"), "");
        assert!(why.ends_with(end), "{why}");
    }
    let why = files.why_absent("/build/config/parts/default.nix", "");
    assert!(
        why.starts_with("sd-card.nix:2 names parts/default.nix"),
        "{why}"
    );
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

#[test]
fn a_slash_in_place_of_a_dot_is_told() {
    let (dir, files) = pi();
    let module = dir.path().join("pi/sd-card.nix");
    fs::write(module, "{ imports = [ /wifi.nix /none.nix ]; }").unwrap();
    let why = files.why_absent("/wifi.nix", "");
    let expected = "/wifi.nix begins at the root directory of the machine. For the file next to sd-card.nix, write ./wifi.nix";
    assert_eq!(why, expected);
    let why = files.why_absent("/none.nix", "");
    assert!(why.contains("/none.nix, which does not exist on this machine"));
}
