//! What stops a build before it starts: flags, settings, the configuration, directories, the engine.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, as_nobody, user};

#[test]
fn every_problem_is_listed_at_once() {
    let user = user();
    user.write("file", "");
    let outcome = run(&mut user.sdbuild(&["build", "--output", "file"])).assert_exit_code(2);
    outcome.assert_stderr_contains(&[
        "sd-card.nix",
        "file is not a directory",
        "no engine answers at unix:///nonexistent/engine.sock",
        "hint: ",
    ]);
}

#[test]
fn missing_configuration_names_what_is_there_instead() {
    CliTest::new(&["build"])
        .exit_code(2)
        .stderr("hint: `sdbuild init` writes one")
        .run();
    CliTest::new(&["build"])
        .file("configuration.nix", GOOD)
        .exit_code(2)
        .stderr("hint: to build configuration.nix instead: sdbuild build configuration.nix")
        .run();
    CliTest::new(&["build", "sd-card.nixx"])
        .file("sd-card.nix", GOOD)
        .exit_code(2)
        .stderr("hint: did you mean sd-card.nix?")
        .run();
    CliTest::new(&["build", "no/such"])
        .exit_code(2)
        .stderr("hint: check the path: it may")
        .run();
}

#[test]
fn inputs_without_a_lock_are_refused_at_once() {
    let flake = "{ inputs.a.url = \"path:./a\"; outputs = { self, a, b }: { }; }";
    let lacks = "flake.lock lacks the inputs a, b, and a build never changes it";
    for words in [["build", "."], ["check", "."]] {
        CliTest::new(&words)
            .file("flake.nix", flake)
            .exit_code(2)
            .stderr(lacks)
            .stderr("hint: complete it: sdbuild lock\n")
            .run();
    }
    let overridden = ["build", ".", "--override-input", "a", "path:."];
    CliTest::new(&overridden)
        .file("flake.nix", flake)
        .exit_code(2)
        .stderr("flake.lock lacks the input b,")
        .run();
    let locking = CliTest::new(&["lock"]).file("flake.nix", flake);
    let locking = locking.exit_code(3).run();
    assert!(!locking.stderr.contains("lacks"), "{}", locking.stderr);
}

#[test]
fn only_nixpkgs_is_locked_beside_a_module_file() {
    CliTest::new(&["lock", "home-manager"])
        .config()
        .exit_code(2)
        .stderr("`home-manager` is not in sdbuild.lock, which has only nixpkgs")
        .run();
    CliTest::new(&["lock"])
        .config()
        .file("sdbuild.toml", "nixpkgs = \"./nixpkgs\"")
        .exit_code(2)
        .stderr("nixpkgs has no lock")
        .run();
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
fn output_directory_is_on_a_read_only_disk() {
    if !root_available() {
        return;
    }
    let user = user();
    user.write("sd-card.nix", GOOD);
    let build = user.build(&[]);
    // In a mount namespace of its own: the mount goes with the process.
    let mut mounted = std::process::Command::new("unshare");
    mounted.args(["--mount", "--propagation", "private", "sh", "-c"]);
    mounted.arg("mount -t tmpfs -o ro,size=64k none \"$0\" && exec \"$@\"");
    mounted.arg(user.out());
    mounted.arg(build.get_program()).args(build.get_args());
    mounted.env_clear().envs(&user.environment);
    run(mounted.current_dir(user.home.path()))
        .assert_exit_code(2)
        .assert_stderr_contains(&["write to the output directory", "Read-only file system"])
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
fn placeholder_key_stops_the_build_first() {
    let user = user();
    user.write(
        "sd-card.nix",
        &fs::read_to_string(root().join("sd-card.nix")).unwrap(),
    );
    let outcome = run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["line ", "placeholder", "ssh-keygen"]);
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

#[test]
fn an_unknown_setting_is_named() {
    CliTest::new(&["build"])
        .config()
        .file("sdbuild.toml", "nixpkg = '26.05'\n")
        .exit_code(2)
        .stderr("sdbuild.toml")
        .stderr("nixpkg")
        .run();
}

#[test]
fn an_option_without_a_value_is_refused() {
    CliTest::new(&["build", "--set", "time.timeZone"])
        .config()
        .exit_code(2)
        .stderr("not of the form OPTION=VALUE")
        .run();
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
        &["the link etc leads out of the configuration's directory"],
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

/// Nothing but git ended the wait for a git that hangs, on a network disk for instance.
#[test]
fn a_signal_ends_the_wait_for_git() {
    let user = user();
    user.write("flake.nix", "{ }");
    fs::create_dir(user.home.path().join(".git")).unwrap();
    let git = user.write(
        "bin/git",
        "#!/bin/sh\n: >\"$0.started\"\nexec /bin/sleep 120\n",
    );
    fs::set_permissions(&git, fs::Permissions::from_mode(0o755)).unwrap();
    let user = user.with("PATH", git.parent().unwrap().to_str().unwrap());
    let running = Running::start(&mut user.sdbuild(&["build", "--flake", "."]));
    let started = git.with_extension("started");
    let start = Instant::now();
    while !started.exists() {
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    let start = Instant::now();
    running.signal(Signal::SIGTERM);
    let outcome = running.finish();
    assert_eq!(
        outcome.signal,
        Some(Signal::SIGTERM as i32),
        "{}",
        outcome.stderr
    );
    assert!(start.elapsed() < Duration::from_secs(60));
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
        .stdout("✗ network access  read the logins in ")
        .run();
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
fn program_ends_with_its_own_parent_only() {
    // Of init's, who did not start it.
    let user = user();
    let stranger = ["exec-with-parent", "1", "--", "/bin/echo", "loose"];
    let outcome = run(&mut user.sdbuild(&stranger)).assert_exit_code(3);
    assert_eq!(outcome.stdout, "");
}
