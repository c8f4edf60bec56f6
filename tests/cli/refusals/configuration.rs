//! The configuration and its files.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn hints_of_shell_name_its_flag() {
    CliTest::new(&["shell"])
        .exit_code(2)
        .stderr("its file: sdbuild shell --config PATH")
        .run();
    CliTest::new(&["shell"])
        .file("configuration.nix", GOOD)
        .exit_code(2)
        .stderr("hint: to use configuration.nix instead: sdbuild shell --config configuration.nix")
        .run();
    CliTest::new(&["shell"])
        .file("pi/sd-card.nix", GOOD)
        .exit_code(2)
        .stderr("hint: pi has sd-card.nix: sdbuild shell --config pi/sd-card.nix")
        .run();
    CliTest::new(&["shell", "--config", "no/such.nix"])
        .exit_code(2)
        .stderr("hint: check the path; it must be a file")
        .run();
}

#[test]
fn missing_configuration_names_what_is_there_instead() {
    CliTest::new(&["build"])
        .exit_code(2)
        .stderr("hint: `sdbuild init` writes one")
        .stderr("its file or directory: sdbuild build PATH")
        .run();
    CliTest::new(&["check"])
        .exit_code(2)
        .stderr("its file or directory: sdbuild check PATH")
        .run();
    CliTest::new(&["build"])
        .file("configuration.nix", GOOD)
        .exit_code(2)
        .stderr("hint: to use configuration.nix instead: sdbuild build configuration.nix")
        .run();
    CliTest::new(&["build", "sd-card.nixx"])
        .file("sd-card.nix", GOOD)
        .exit_code(2)
        .stderr("hint: did you mean sd-card.nix?")
        .run();
    // The number of the system's error is of no use.
    CliTest::new(&["build", "x.nix"])
        .file("pi-a.nix", GOOD)
        .file("pi-b.nix", GOOD)
        .exit_code(2)
        .stderr("x.nix: No such file or directory\n")
        .stderr("hint: here are pi-a.nix, pi-b.nix: sdbuild build FILE")
        .run();
    CliTest::new(&["check"])
        .file("pi-a.nix", GOOD)
        .file("pi-b.nix", GOOD)
        .exit_code(2)
        .stderr("hint: here are pi-a.nix, pi-b.nix: sdbuild check FILE")
        .run();
    // A package or a shell is no configuration; one in a subdirectory is.
    CliTest::new(&["build"])
        .file("default.nix", GOOD)
        .file("shell.nix", GOOD)
        .exit_code(2)
        .stderr("hint: `sdbuild init` writes one")
        .run();
    CliTest::new(&["build"])
        .file("default.nix", GOOD)
        .file("kitchen/sd-card.nix", GOOD)
        .exit_code(2)
        .stderr("hint: kitchen has sd-card.nix: sdbuild build kitchen\n")
        .run();
    CliTest::new(&["build"])
        .file("kitchen/flake.nix", GOOD)
        .exit_code(2)
        .stderr("hint: kitchen has flake.nix: sdbuild build kitchen\n")
        .stderr("hint: `sdbuild init` writes one")
        .run();
    CliTest::new(&["build", "no/such"])
        .exit_code(2)
        .stderr("hint: check the path; it must")
        .run();
}

#[test]
fn a_configuration_above_the_current_directory_is_named() {
    let user = user();
    let home = user.home.path().to_str().unwrap().to_owned();
    let user = user.with("HOME", home);
    let project = user.home.path().join("pi");
    let sub = project.join("modules/wifi");
    fs::create_dir_all(&sub).unwrap();
    let said = |words: &[&str]| {
        let mut command = user.sdbuild(words);
        let outcome = run(command.current_dir(&sub));
        format!("{}{}", outcome.stdout, outcome.stderr)
    };
    // That of the home directory may be another system's.
    user.write("flake.nix", "{ outputs = _: { }; }");
    assert!(!said(&["build"]).contains(".."), "{}", said(&["build"]));
    user.write("pi/flake.nix", "{ outputs = _: { }; }");
    user.write("pi/modules/wifi/wifi.nix", "{ }");
    let flake = "hint: the directory ../.. has flake.nix: sdbuild ";
    for (words, command) in [
        (&["build"][..], "build ../.."),
        (&[], "build ../.."),
        (&["shell"], "shell --flake ../.."),
        (&["lock"], "lock --flake ../.."),
    ] {
        let text = said(words);
        assert!(text.contains(&format!("{flake}{command}\n")), "{text}");
    }
    assert!(said(&["build"]).contains("hint: `sdbuild init` writes one"));
    user.write("pi/modules/sd-card.nix", GOOD);
    let module = "hint: the directory .. has sd-card.nix: ";
    for (words, command) in [
        ("check", "sdbuild check .."),
        ("shell", "sdbuild shell --config ../sd-card.nix"),
        ("lock", "cd .. && sdbuild lock"),
    ] {
        let text = said(&[words]);
        assert!(text.contains(&format!("{module}{command}\n")), "{text}");
    }
    // Another project begins at the top of a repository.
    fs::create_dir(sub.join(".git")).unwrap();
    assert!(!said(&["build"]).contains(".."), "{}", said(&["build"]));
}

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
        here(&words, flake)
            .exit_code(2)
            .stderr(lacks)
            .stderr("hint: `sdbuild lock` writes one\n")
            .run();
    }
    let overridden = ["build", ".", "--override-input", "a", "path:."];
    here(&overridden, flake)
        .exit_code(2)
        .stderr("a build needs for the input b\n")
        .run();
    let missing = ["check", ".", "--override-input", "a", "./nowhere"];
    CliTest::new(&missing)
        .file("flake.nix", flake)
        .exit_code(2)
        .stderr("could not find the flake ")
        .stderr("hint: this is the flake of --override-input a\n")
        .run();
    let locking = here(&["lock"], flake).exit_code(3).run();
    assert!(!locking.stderr.contains("lacks"), "{}", locking.stderr);
    CliTest::new(&["lock"])
        .file("flake.nix", flake)
        .exit_code(2)
        .stderr(
            "has the URL \"path:./a\", which Nix reads as a path, and the flake has nothing there",
        )
        .run();
}

/// However a configuration of a flake is named without its `#`.
#[test]
fn a_name_in_a_flake_is_told_with_its_reference() {
    let flake = "{ outputs = { self }: { nixosConfigurations.pi = 1; }; }";
    let here = [
        (&["build", "pi"][..], "sdbuild build .#pi\n"),
        (
            &["build", "pi", "--override-input", "nixpkgs", "x"],
            "sdbuild build .#pi\n",
        ),
        (
            &["build", "--flake", "pi"],
            "of a flake after a `#`: .#pi\n",
        ),
        (
            &["build", "--flake", "other"],
            "name a directory with a flake.nix",
        ),
    ];
    for (words, hint) in here {
        CliTest::new(words)
            .file("flake.nix", flake)
            .exit_code(2)
            .stderr(hint)
            .run();
    }
    let file = ["build", "./flake.nix#pi", "--dry-run=plan"];
    let file = CliTest::new(&file)
        .file("flake.nix", flake)
        .exit_code(3)
        .run();
    assert!(!file.stderr.contains("is a file"), "{}", file.stderr);
}

#[test]
fn arguments_of_outputs_that_are_no_inputs_are_refused() {
    let flake = "{ inputs.a.url = \"path:./a\"; outputs = { self, a, disko }: { }; }";
    for words in [&["build", "."][..], &["check", "."], &["lock"]] {
        CliTest::new(words)
            .file("flake.nix", flake)
            .exit_code(2)
            .stderr(
                "the outputs of flake.nix have the argument disko (line 1), which is not one of its inputs",
            )
            .stderr("hint: declare it: inputs.disko.url = \"github:nix-community/disko\"; then run `sdbuild lock`")
            .run();
    }
}

#[test]
fn configuration_is_a_directory() {
    let user = user();
    fs::create_dir(user.home.path().join("sd-card.nix")).unwrap();
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["sd-card.nix is a directory"]);
}

#[test]
fn configuration_is_unreadable() {
    if !root_available() {
        return;
    }
    let user = user();
    let config = user.write("sd-card.nix", GOOD);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["sd-card.nix", "ermission denied"]);
}

#[test]
fn an_unreadable_file_is_made_readable_or_left_out() {
    if !root_available() {
        return;
    }
    let user = user();
    let config = user.write("sd-card.nix", GOOD);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).unwrap();
    fs::create_dir(user.home.path().join("my keys")).unwrap();
    let secret = user.write("my keys/secret.nix", "{ }");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).unwrap();
    let leave_out = "hint: list it in .sdbuildignore to exclude it";
    let read = "read my keys/secret.nix: Permission denied";
    let chown = "hint: make it yours: sudo chown nobody 'my keys/secret.nix'";
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&[read, chown, leave_out]);
    chown_to_nobody(&secret);
    let chmod = "hint: make it readable: chmod u+r 'my keys/secret.nix'";
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&[read, chmod, leave_out]);
    // The configuration itself cannot be left out.
    fs::set_permissions(&config, fs::Permissions::from_mode(0o000)).unwrap();
    fs::remove_file(&secret).unwrap();
    let own = as_nobody(&user, &[]).assert_exit_code(2);
    assert!(
        own.stderr.contains("chown nobody sd-card.nix"),
        "{}",
        own.stderr
    );
    assert!(!own.stderr.contains(leave_out), "{}", own.stderr);
}

/// Gives `file` to the user of `as_nobody`.
fn chown_to_nobody(file: &std::path::Path) {
    std::os::unix::fs::chown(file, Some(65534), None).unwrap();
}

#[test]
fn placeholder_key_stops_the_build_first() {
    let user = user();
    user.write(
        "sd-card.nix",
        &fs::read_to_string(root().join("sd-card.nix")).unwrap(),
    );
    let outcome = run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["line ", "placeholder", "ssh-keygen", ": sdbuild init\n"]);
    let line = outcome
        .stderr
        .split("line ")
        .nth(1)
        .unwrap()
        .split(' ')
        .next()
        .unwrap();
    let text = fs::read_to_string(root().join("sd-card.nix")).unwrap();
    let line: usize = line.parse().unwrap();
    assert!(text.lines().nth(line - 1).unwrap().contains("REPLACE-ME"));
}

#[test]
fn directory_is_not_a_nixpkgs() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let empty = user.home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let words = ["build", "--nixpkgs", empty.to_str().unwrap()];
    run(&mut user.sdbuild(&words))
        .assert_exit_code(2)
        .assert_stderr_contains(&["empty", "nixos/default.nix"]);
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
        &[
            "has more than 2 GiB",
            "largest: b.iso (13 GB), a.mkv (5.4 GB)\n",
        ],
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
        (
            &["build", "--ca-file", "none"],
            "read certificate authorities from ",
        ),
        (
            &["build", "--builders", "ssh-ng://a@b x86_64-linux"],
            "created the key ",
        ),
    ] {
        CliTest::new(args)
            .config()
            .exit_code(2)
            .stderr(message)
            .stderr("no engine answers")
            .run();
    }
    CliTest::new(&["doctor"])
        .env("SDBUILD_NETRC_FILE", "none")
        .exit_code(3)
        .stdout("✗ network access  could not read the logins in")
        .run();
}

#[test]
fn an_error_of_check_is_in_its_json() {
    CliTest::new(&["check", "--json", "nope.nix"])
        .exit_code(2)
        .stdout("\"evaluates\": false")
        .stdout("\"class\": \"usage\"")
        .stdout("nope.nix: No such file or directory")
        .stderr("nope.nix: No such file or directory")
        .run();
}
