//! `init` writes a configuration with the keys of the user.

mod keys;
mod questions;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::support::*;
use crate::user;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIF4DpG2ZT9bLJ6ZfOM2bHn0LJ5Y1rN8a4XkGq5l3Vd1c";

fn with_key(comment: &str) -> TestUser {
    let user = user();
    let ssh = user.state.path().join(".ssh");
    fs::create_dir(&ssh).unwrap();
    fs::write(ssh.join("id_ed25519.pub"), format!("{KEY} {comment}\n")).unwrap();
    user
}

#[test]
fn key_and_name_are_filled_in() {
    let user = with_key("me@here");
    let outcome = run(&mut user.sdbuild(&["init", "--hostname", "kitchen"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "host name kitchen, board rpi4, time zone ",
            "can log in as root: ssh-ed25519 ",
        ]);
    let path = user.home.path().join("sd-card.nix");
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&format!("    \"{KEY} me@here\"\n")), "{text}");
    assert!(text.contains("networking.hostName = \"kitchen\";"), "{text}");
    assert_eq!(file_names(user.home.path()), ["out", "sd-card.nix"]);
    // What was written passes the checks that come before an engine is needed.
    run(&mut user.build(&[])).assert_exit_code(3).assert_stderr_contains(&["no engine answers"]);
}

#[test]
fn a_board_with_images_of_its_own_is_named_in_the_settings() {
    let user = with_key("me");
    let settings = user.home.path().join("sdbuild.toml");
    let init = |file: &str, board: &str| {
        let words = ["init", "--config", file, "--board", board];
        run(&mut user.sdbuild(&words)).assert_exit_code(0)
    };
    init("pi.nix", "rpi4");
    assert!(!settings.exists(), "other boards start that image too");
    let outcome = init("rock.nix", "rock5b");
    let paths: Vec<&str> = outcome.stdout.lines().collect();
    assert!(paths.len() == 2 && paths[1].ends_with("/sdbuild.toml"), "{paths:?}");
    let text = fs::read_to_string(&settings).unwrap();
    assert!(text.ends_with("\nboard = \"rock5b\"\n"), "{text}");
    let shown = run(&mut user.sdbuild(&["settings", "--config", "rock.nix"]));
    assert!(shown.assert_exit_code(0).stdout.contains("rock5b"));
    // A file of the user's stays as it is.
    init("five.nix", "rpi5").assert_stderr_contains(&[
        "put `board = \"rpi5\"` into ",
        "the firmware comes from nixos-hardware, which the build downloads from GitHub at a fixed commit; the kernel from nixpkgs",
    ]);
    assert_eq!(fs::read_to_string(&settings).unwrap(), text);
    // A machine with UEFI starts a disk.
    run(&mut user.sdbuild(&["init", "disk", "--board", "uefi"])).assert_exit_code(0);
    let text = user.read("disk/sdbuild.toml");
    assert!(text.ends_with("\nboard = \"uefi\"\nformat = \"raw-efi\"\n"), "{text}");
}

#[test]
fn nothing_is_replaced() {
    let user = with_key("me");
    user.write("sd-card.nix", "{ }");
    run(&mut user.sdbuild(&["init"])).assert_exit_code(2).assert_stderr_contains(&[
        "sd-card.nix already exists",
        "hint: edit this file, or write to another directory: sdbuild init DIR",
    ]);
    let text = user.read("sd-card.nix");
    assert_eq!(text, "{ }");
    run(&mut user.sdbuild(&["init", "--config", "no/where/x.nix"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["mkdir -p"]);
    run(&mut user.sdbuild(&["init", "--config", "x.nix", "--hostname", "a.b"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["`a.b` is not a valid host name"]);
    assert_eq!(file_names(user.home.path()), ["out", "sd-card.nix"]);
}

#[test]
fn the_module_for_raspberry_pi_imager_comes_with_a_configuration_or_later() {
    let user = with_key("me");
    run(&mut user.sdbuild(&["init", "new", "--rpi-preseed"])).assert_exit_code(0);
    assert_eq!(file_names(&user.home.path().join("new")), ["rpi-preseed.nix", "sd-card.nix"]);
    user.write("sd-card.nix", "{ }");
    let later = run(&mut user.sdbuild(&["init", "--rpi-preseed"])).assert_exit_code(0);
    assert!(later.stderr.contains("./rpi-preseed.nix"), "{}", later.stderr);
    assert_eq!(user.read("sd-card.nix"), "{ }");
    assert_eq!(user.read("rpi-preseed.nix"), user.read("new/rpi-preseed.nix"));
    run(&mut user.sdbuild(&["init", "--rpi-preseed"])).assert_exit_code(2);
    for more in [["--board", "rock5b"], ["--template", "vm"], ["--hostname", "a"]] {
        let words = [&["init", "other", "--rpi-preseed"][..], &more].concat();
        run(&mut user.sdbuild(&words)).assert_exit_code(2);
        assert!(!user.home.path().join("other").exists(), "{more:?}");
    }
}

#[test]
fn without_a_key_the_placeholder_stays() {
    let user = user();
    run(&mut user.sdbuild(&["init"])).assert_exit_code(0).assert_stderr_contains(&[
        "no public SSH key was found",
        "ssh-keygen -t ed25519",
        "next: look through the file, then `sdbuild check`",
    ]);
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["placeholder", "`sdbuild init`"]);
}

#[test]
fn a_key_of_later_takes_the_place_of_the_placeholder() {
    let user = user();
    run(&mut user.sdbuild(&["init", "--hostname", "kitchen"])).assert_exit_code(0);
    let path = user.home.path().join("sd-card.nix");
    let mode = fs::Permissions::from_mode(0o640);
    fs::set_permissions(&path, mode).unwrap();
    let text = fs::read_to_string(&path).unwrap() + "# mine\n";
    fs::write(&path, &text).unwrap();
    run(&mut user.sdbuild(&["init"])).assert_exit_code(2).assert_stderr_contains(&[
        "sd-card.nix already exists",
        "hint: it still has REPLACE-ME instead of your SSH key",
        "ssh-keygen -t ed25519",
    ]);
    assert_eq!(fs::read_to_string(&path).unwrap(), text, "there is no key");

    let key = user.home.path().join("me.pub");
    fs::write(&key, format!("{KEY} me\n")).unwrap();
    let outcome = run(&mut user.sdbuild(&["init", "--ssh-key", "me.pub"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["can log in now: ssh-ed25519 ", "nothing else"]);
    assert_eq!(outcome.stdout, format!("{}\n", path.display()));
    let filled = fs::read_to_string(&path).unwrap();
    assert!(filled.contains(&format!("    \"{KEY} me\"\n")), "{filled}");
    assert!(filled.contains("\"kitchen\";") && filled.ends_with("# mine\n"), "{filled}");
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
    fs::remove_file(&key).unwrap();
    assert_eq!(file_names(user.home.path()), ["out", "sd-card.nix"]);
    // Without the placeholder it is a file like any other.
    let key = with_key("me");
    key.write("sd-card.nix", &filled);
    run(&mut key.sdbuild(&["init"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["sd-card.nix already exists"]);
}

#[test]
fn hostile_comment_of_a_key_is_escaped() {
    let user = with_key("\x1b[2J\u{202e}\"; evil = ${x}");
    let outcome = run(&mut user.sdbuild(&["init"])).assert_exit_code(0);
    assert!(!outcome.stderr.contains(['\x1b', '\u{202e}']), "{}", outcome.stderr);
    let text = user.read("sd-card.nix");
    assert!(text.contains("[2J\\\"; evil = \\${x}\"\n"), "{text}");
}

#[test]
fn a_flake_is_written_with_its_module() {
    let user = with_key("me");
    let outcome = run(&mut user.sdbuild(&["init", "pi", "--flake", "--hostname", "kitchen"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&[
            "warning: flake.lock is not written: ",
            "no engine answers",
            "`sdbuild lock --flake pi`, `sdbuild check --flake pi` and `sdbuild build --flake pi`",
        ]);
    let dir = user.home.path().join("pi");
    let written = ["configuration.nix", "flake.nix", ".gitignore"];
    let shown = written.map(|name| format!("{}\n", dir.join(name).display()));
    assert_eq!(outcome.stdout, shown.concat());
    assert_eq!(file_names(&dir), [".gitignore", "configuration.nix", "flake.nix"]);
    let flake = fs::read_to_string(dir.join("flake.nix")).unwrap();
    for part in [
        "github:NixOS/nixpkgs/nixos-26.05",
        "nixosConfigurations.\"kitchen\" = nixpkgs.lib.nixosSystem",
        "./configuration.nix",
    ] {
        assert!(flake.contains(part), "{flake}");
    }
    // Outside a git repository nothing has to be added to one.
    let git = |words: &[&str]| {
        let outcome = run(user.sdbuild(words).arg("--no-lock")).assert_exit_code(0);
        outcome.stderr.contains("git add")
    };
    assert!(!git(&["init", "alone", "--flake"]));
    fs::create_dir(user.home.path().join(".git")).unwrap();
    assert!(git(&["init", "tracked", "--flake"]));
    fs::remove_dir(user.home.path().join(".git")).unwrap();
    // The build takes the flake by itself.
    run(&mut user.sdbuild(&["build", "pi"])).assert_exit_code(2).assert_stderr_contains(&[
        "no engine answers",
        "there is no flake.lock",
        "`sdbuild lock --flake pi` writes one",
    ]);
    run(&mut user.sdbuild(&["init", "pi", "--flake"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["configuration.nix already exists"]);
}

#[test]
fn no_lock_is_tried_on_request_and_where_there_is_one() {
    let user = with_key("me");
    let init = |words: &[&str]| {
        let words = [&["init", "--flake"], words].concat();
        let outcome = run(&mut user.sdbuild(&words)).assert_exit_code(0);
        assert!(!outcome.stderr.contains("engine"), "{}", outcome.stderr);
        let next = format!("`sdbuild lock --flake {}`", words[2]);
        outcome.assert_stderr_contains(&[&next]);
    };
    init(&["new", "--no-lock"]);
    user.write("old/flake.lock", "mine");
    init(&["old"]);
    let text = user.read("old/flake.lock");
    assert_eq!(text, "mine");
    run(&mut user.sdbuild(&["init", "--no-lock"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["--flake"]);
}

/// An image that was built beside the flake became part of it with the next `git add -A`.
#[test]
fn images_beside_a_flake_are_ignored_by_git() {
    let user = with_key("me");
    let words = |dir| ["init", "--flake", "--no-lock", dir];
    run(&mut user.sdbuild(&words("pi"))).assert_exit_code(0);
    let path = |name: &str| user.home.path().join(name);
    let text = fs::read_to_string(path("pi/.gitignore")).unwrap();
    let (comment, patterns) = text.split_once('\n').unwrap();
    assert!(comment.starts_with("# Images that sdbuild builds"), "{text}");
    assert!(patterns.starts_with("nixos-*.img\nnixos-*.img.*\n"), "{text}");
    // One of the user's.
    user.write("mine/.gitignore", "secret\n");
    let outcome = run(&mut user.sdbuild(&words("mine"))).assert_exit_code(0);
    assert!(!outcome.stdout.contains(".gitignore"), "{}", outcome.stdout);
    assert!(!outcome.stderr.contains(".gitignore"), "{}", outcome.stderr);
    let text = fs::read_to_string(path("mine/.gitignore")).unwrap();
    assert_eq!(text, "secret\n");
}

#[test]
fn a_template_is_for_the_system_that_is_asked_for() {
    let user = user();
    for template in ["vm", "server", "amazon", "container", "installer-cloud-init"] {
        let words = ["init", "--yes", "--template", template, template];
        let outcome = run(user.sdbuild(&words).args(["--system", "x86_64-linux"]));
        outcome.assert_exit_code(0).assert_stderr_contains(&["system x86_64-linux"]);
        let read =
            |name: &str| fs::read_to_string(user.home.path().join(template).join(name)).unwrap();
        let text = read("sd-card.nix");
        assert!(text.contains("hostPlatform = \"x86_64-linux\";"), "{text}");
        assert!(!text.contains("here, and the line"), "{text}");
        assert!(read("sdbuild.toml").contains("\nsystem = \"x86_64-linux\"\n"));
    }
    run(&mut user.sdbuild(&["init", "--yes", "card", "--system", "x86_64-linux"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["no SD card image for x86_64-linux", "--template vm"]);
    assert!(!user.home.path().join("card").exists());
}

#[test]
fn a_template_names_its_format_in_the_settings() {
    let user = user();
    let words = ["init", "--yes", "--template", "installer-cloud-init"];
    run(user.sdbuild(&words).args(["--board", "rpi5"])).assert_exit_code(2).assert_stderr_contains(
        &["--board rpi5 is for cards and disks", "hint: leave out --board"],
    );
    for (template, format) in [("vm", "qcow2"), ("server", "raw-efi"), ("amazon", "amazon")] {
        let words = ["init", "--yes", "--template", template, template];
        let outcome = run(&mut user.sdbuild(&words)).assert_exit_code(0);
        let settings = user.home.path().join(template).join("sdbuild.toml");
        let settings = fs::read_to_string(settings).unwrap();
        assert!(settings.contains(&format!("format = \"{format}\"")), "{settings}");
        let has_admin = outcome.stderr.contains("admin has no password");
        assert_eq!(has_admin, template == "server", "{}", outcome.stderr);
    }
    run(&mut user.sdbuild(&words)).assert_exit_code(0);
    let written = |name: &str| user.read(name);
    assert!(written("sd-card.nix").contains("services.cloud-init.enable = true;"));
    assert!(written("sdbuild.toml").ends_with("\nformat = \"iso-installer\"\n"));
    let settings = run(&mut user.sdbuild(&["settings", "--json"])).assert_exit_code(0);
    assert!(settings.stdout.contains("iso-installer"), "{}", settings.stdout);
}
