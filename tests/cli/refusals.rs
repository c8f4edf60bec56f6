//! What stops a build before it starts: the configuration, values of settings, the directory of the image, the engine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn inputs_without_a_lock_are_refused_at_once() {
    fn here<'a>(words: &'a [&'a str], flake: &str) -> CliTest<'a> {
        let input = "{ outputs = _: { }; }";
        let inputs = CliTest::new(words).file("a/flake.nix", input);
        inputs.file("b/flake.nix", input).file("flake.nix", flake)
    }
    let flake = "{ inputs = { a.url = \"path:./a\"; b.url = \"path:./b\"; }; outputs = { self, a, b }: { }; }";
    let lacks = "there is no flake.lock, which a build needs for the inputs a, b";
    for words in [["build", "."], ["check", "."]] {
        here(&words, flake).exit_code(2).stderr(lacks).run();
    }
    let overridden = ["build", ".", "--override-input", "a", "path:."];
    here(&overridden, flake).exit_code(2).stderr("a build needs for the input b\n").run();
    let missing = ["check", ".", "--override-input", "a", "./nowhere"];
    CliTest::new(&missing)
        .file("flake.nix", flake)
        .exit_code(2)
        .stderr("could not find the flake ")
        .stderr("hint: this is the flake of --override-input a\n")
        .run();
    let locking = here(&["lock"], flake).exit_code(3).run();
    assert!(!locking.stderr.contains("lacks"), "{}", locking.stderr);
}

#[test]
fn what_makes_no_sense_for_several_configurations_is_refused_first() {
    for (words, part) in [
        (&["build", "a.nix", "b.nix", "--on", "command:x"][..], "rented for one configuration"),
        (&["build", "a.nix", "./a.nix"], "a.nix is named twice"),
        (&["check", ".#a", ".#a"], ".#a is named twice"),
        (&["check", "a.nix", "b.nix", "--config", "a.nix"], "cannot be used with"),
        (&["build", "a.nix", "--all"], "--all is for a flake"),
        (&["check", ".#a", "--all"], "--all is for a flake"),
        (&["settings", "a.nix", "b.nix"], "of one configuration"),
        (&["build", "a.nix", "none.nix", "--jobs", "0"], "`0` is not between"),
    ] {
        let refused = CliTest::new(words).file("a.nix", GOOD).file("b.nix", GOOD);
        let refused = refused.exit_code(2).stderr(part).run();
        assert!(!refused.stderr.contains("no engine answers"), "{words:?}: {}", refused.stderr);
    }
}

#[test]
fn each_of_several_configurations_has_a_line_and_an_object() {
    let tried = |words: &[&str]| {
        CliTest::new(words)
            .file("a.nix", GOOD)
            .exit_code(3)
            .stderr("none.nix: could not read")
            .run()
    };
    let built = tried(&["build", "none.nix", "a.nix"]);
    // The machine's failure decides, although the other one was first.
    for part in ["none.nix  could not ", "a.nix     no engine answers", "error: a.nix: no engine"] {
        let is_there = built.stderr.lines().any(|line| line.starts_with(part));
        assert!(is_there, "{part}\n{}", built.stderr);
    }
    for command in ["build", "check"] {
        let outcome = tried(&[command, "none.nix", "a.nix", "--json"]);
        let objects = serde_json::Deserializer::from_str(&outcome.stdout).into_iter();
        let objects: Vec<serde_json::Value> = objects.map(Result::unwrap).collect();
        let told = objects.iter().map(|one| (&one["configuration"], &one["errors"][0]["class"]));
        let told: Vec<_> = told.map(|(name, class)| (name.as_str(), class.as_str())).collect();
        let expected = [("none.nix", "usage"), ("a.nix", "environment")];
        assert_eq!(told, expected.map(|(name, class)| (Some(name), Some(class))), "{command}");
    }
}

#[test]
fn placeholder_key_stops_the_build_first() {
    let user = user();
    let outcome = user
        .build_of(&fs::read_to_string(root().join("sd-card.nix")).unwrap(), &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["line ", "placeholder", "ssh-keygen", "`sdbuild init`"]);
    let line = outcome.stderr.split("line ").nth(1).unwrap().split(' ').next().unwrap();
    let text = fs::read_to_string(root().join("sd-card.nix")).unwrap();
    let line: usize = line.parse().unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("REPLACE-ME"));
}

#[test]
fn files_that_cannot_be_uploaded_are_named_first() {
    // Without an engine: nothing was started.
    let refused = |prepare: &dyn Fn(&std::path::Path), parts: &[&str]| {
        let user = user();
        user.write("sd-card.nix", GOOD);
        prepare(user.home.path());
        run(&mut user.build(&[]))
            .assert_exit_code(2)
            .assert_stderr_contains(parts)
            .assert_stderr_contains(&["no engine answers"]);
    };
    refused(
        &|home| symlink("/etc", home.join("etc")).unwrap(),
        &["the link `etc` leads out of the configuration's directory"],
    );
    let sparse = |path: &std::path::Path, bytes| {
        fs::File::create(path).unwrap().set_len(bytes).unwrap();
    };
    refused(
        &|home| {
            sparse(&home.join("a.mkv"), 5 << 30);
            sparse(&home.join("b.iso"), 12 << 30);
        },
        &["has more than 2 GiB", "; the largest so far: "],
    );
    if root_available() {
        let user = user();
        user.write("sd-card.nix", GOOD);
        let secret = user.write("secret", "");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        as_nobody(&user, &[])
            .assert_exit_code(2)
            .assert_stderr_contains(&["read secret: ", "hint: list it in .sdbuildignore"]);
    }
}

/// An unreadable file was found only after container images and nixpkgs were fetched, and by `doctor` never.
#[test]
fn files_for_the_network_are_read_before_anything_starts() {
    for (args, message) in [
        (&["build", "--netrc-file", "none"], "read the logins in "),
        (&["build", "--ca-file", "none"], "read certificate authorities from "),
        (&["build", "--builders", "ssh-ng://a@b x86_64-linux"], "created the key "),
    ] {
        CliTest::new(args).config().exit_code(2).stderr(message).stderr("no engine answers").run();
    }
    CliTest::new(&["doctor"])
        .env("SDBUILD_NETRC_FILE", "none")
        .exit_code(3)
        .stdout("✗ network access  could not read the logins in")
        .run();
}

#[test]
fn empty_variables_are_unset_and_invalid_ones_named() {
    let build = || CliTest::new(&["build"]).config();
    build().env("SDBUILD_CORES", "").env("SDBUILD_NIXPKGS", "").exit_code(3).run();
    for (name, value) in [
        ("SDBUILD_COMPRESS", "zip"),
        ("SOURCE_DATE_EPOCH", "yesterday"),
        ("SDBUILD_JOBS", "many"),
        ("SDBUILD_JOBS", "0"),
    ] {
        let test = build().env(name, value).exit_code(2);
        test.stderr(name).stderr(value).run();
    }
}

#[test]
fn password_of_a_mirror_is_not_repeated() {
    let user = user().with("SDBUILD_DEBIAN_MIRROR", "http://me:s3cr3t@mirror.example/debian");
    let outcome = user.build_of(GOOD, &[]).assert_exit_code(2);
    assert!(!outcome.stderr.contains("s3cr3t"), "{}", outcome.stderr);
}

#[test]
fn secret_in_an_address_is_refused_and_not_repeated() {
    let address = "https://me:s3cr3t@x.example/n.tar.xz";
    let token = "https://x.example/n.tar.xz?private_token=s3cr3t";
    let in_file = format!("nixpkgs = '{address}'");
    let published = format!("--rpi-imager={address}");
    let test = |args| CliTest::new(args).config().exit_code(2);
    let refused = "hint: sdbuild writes addresses to files and to the terminal";
    for test in [
        test(&["build", "--nixpkgs", address]),
        test(&["build", "--nixpkgs", token]),
        test(&["build", "--nixpkgs", "ssh://me:s3cr3t@x.example/n"]),
        test(&["build", &published]),
        test(&["build", "--flake", "git+https://me:s3cr3t@x.example/n"]),
        test(&["lock", "--flake", "github:o/r?token=s3cr3t"]),
        test(&["build", "--extra-substituters", "https://c.example?token=s3cr3t"]),
        test(&["build"]).env("SDBUILD_NIXPKGS", address).stderr(refused),
        test(&["settings"]).env("SDBUILD_NIXPKGS", address),
        test(&["doctor"]).env("SDBUILD_CHANNELS", address),
        test(&["check"]).file("sdbuild.toml", &in_file).stderr(refused),
    ] {
        let outcome = test.stderr("the address of ").run();
        let all = outcome.stdout + &outcome.stderr;
        assert!(!all.contains("s3cr3t"), "{all}");
    }
}

#[test]
fn missing_engine_is_an_environment_error() {
    let user = user();
    user.build_of(GOOD, &[])
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers", "hint: "]);
    assert!(user.outputs().is_empty());
}

/// The list may come with a stranger's clone.
#[test]
fn a_list_of_boards_cannot_take_files_from_elsewhere() {
    let words =
        ["flash", "card.img", "/dev/sdx", "--each", "kitchen", "--boards", "clone/boards.toml"];
    for set in [
        "put = [\"../secret:/srv/x\"]",
        "put = [\"/etc/passwd:/srv/x\"]",
        "host-key = \"../secret\"",
        "ssh-key = [\"/etc/passwd\"]",
        "wifi = \"Home\"\nwifi-passphrase = \"../secret\"",
    ] {
        let test = CliTest::new(&words).file("card.img", "a").file("secret", "s");
        let test = test.file("clone/boards.toml", &format!("[kitchen]\n{set}\n"));
        test.exit_code(2).stderr("is not in the directory of the list").run();
    }
    let inside = "[kitchen]\nput = [\"secret:/srv/x\"]\n";
    let test = CliTest::new(&words).file("card.img", "a").file("clone/secret", "s");
    let told = test.file("clone/boards.toml", inside).exit_code(2).run().stderr;
    assert!(!told.contains("directory of the list"), "{told}");
}
