//! What stops a build before it starts: the configuration, values of settings, the directory of the image, the engine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn missing_configuration_is_a_usage_error() {
    for words in [
        &["build"][..],
        &["check"],
        &["shell"],
        &["build", "no/such"],
    ] {
        let test = CliTest::new(words).exit_code(2);
        test.stderr("hint: ").run();
    }
    CliTest::new(&["build", "sd-card.nixx"])
        .file("sd-card.nix", GOOD)
        .exit_code(2)
        .stderr("the configuration there is sd-card.nix")
        .run();
    CliTest::new(&["build", "pi"])
        .file(
            "flake.nix",
            "{ outputs = { self }: { nixosConfigurations.pi = 1; }; }",
        )
        .exit_code(2)
        .stderr("hint: a flake.nix is there: --flake ")
        .run();
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
        here(&words, flake).exit_code(2).stderr(lacks).run();
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

#[test]
fn empty_variables_are_unset_and_invalid_ones_named() {
    let build = || CliTest::new(&["build"]).config();
    build()
        .env("SDBUILD_CORES", "")
        .env("SDBUILD_NIXPKGS", "")
        .exit_code(3)
        .run();
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
    let user = user().with(
        "SDBUILD_DEBIAN_MIRROR",
        "http://me:s3cr3t@mirror.example/debian",
    );
    user.write("sd-card.nix", GOOD);
    let outcome = run(&mut user.build(&[])).assert_exit_code(2);
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
        test(&[
            "build",
            "--extra-substituters",
            "https://c.example?token=s3cr3t",
        ]),
        test(&["build"])
            .env("SDBUILD_NIXPKGS", address)
            .stderr(refused),
        test(&["settings"]).env("SDBUILD_NIXPKGS", address),
        test(&["doctor"]).env("SDBUILD_CHANNELS", address),
        test(&["check"])
            .file("sdbuild.toml", &in_file)
            .stderr(refused),
    ] {
        let outcome = test.stderr("the address of ").run();
        let all = outcome.stdout + &outcome.stderr;
        assert!(!all.contains("s3cr3t"), "{all}");
    }
}

#[test]
fn a_remote_builder_that_is_not_one_is_refused_at_once() {
    CliTest::new(&["build", "--builders", "ssh-ng://a@b x; ssh-ng://pi x"])
        .config()
        .exit_code(2)
        .stderr("the builder ssh-ng://pi: the account is missing")
        .run();
    CliTest::new(&["settings"])
        .file("sdbuild.toml", "builders = ['ssh-ng://a@b x']")
        .exit_code(2)
        .stderr("a project cannot set `builders`")
        .run();
}

#[test]
fn a_board_of_another_system_is_refused_before_anything_is_done() {
    for command in ["build", "check"] {
        CliTest::new(&[command, "--board", "pc"])
            .config()
            .exit_code(2)
            .stderr(
                "the board pc starts images for x86_64-linux, but this one is for aarch64-linux",
            )
            .stderr("--system x86_64-linux")
            .run();
    }
}

#[test]
fn a_board_of_the_project_does_not_forbid_another_system() {
    CliTest::new(&["settings", "--system", "x86_64-linux"])
        .config()
        .file("sdbuild.toml", "board = 'rpi4'")
        .exit_code(0)
        .stdout("x86_64-linux")
        .run();
}

#[test]
fn output_directory_is_not_writable() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    as_nobody(&user, &[])
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "out", "ermission denied"])
        .assert_stderr_contains(&["hint: name another directory with --output"]);
}

#[test]
fn output_directory_is_a_file() {
    CliTest::new(&["build", "--output", "file"])
        .config()
        .file("file", "")
        .exit_code(2)
        .stderr("file")
        .stderr("not a directory")
        .run();
}

#[test]
fn missing_engine_is_an_environment_error() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["no engine answers", "hint: "]);
    assert!(user.outputs().is_empty());
}

#[test]
fn unusable_socket_names_the_group() {
    if !root_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", GOOD);
    let socket = user.home.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let user = user.with("DOCKER_HOST", format!("unix://{}", socket.display()));
    fs::set_permissions(user.out(), fs::Permissions::from_mode(0o777)).unwrap();
    as_nobody(&user, &[])
        .assert_exit_code(3)
        .assert_stderr_contains(&["usermod -aG docker", "rootless"]);
    drop(listener);
}

#[test]
fn empty_docker_host_is_unset() {
    let user = TestUser::new()
        .with("DOCKER_HOST", "")
        .with("DOCKER_CONTEXT", "none-such");
    user.write("sd-card.nix", GOOD);
    run(&mut user.build(&[]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["none-such"]);
}
