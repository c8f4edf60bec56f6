//! Values of flags, variables and `sdbuild.toml`.

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, user};

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
fn boards_and_formats_are_proposed_by_words() {
    for (words, told) in [
        (
            ["build", "--board", "rock"],
            "`rock` may mean rock64, rockpro64, rock5b",
        ),
        (["build", "--format", "docker"], "did you mean container?"),
        (["build", "--format", "usb"], "did you mean sd-card or iso?"),
        (["build", "--board", "x"], "`sdbuild boards` describes them"),
    ] {
        CliTest::new(&words).exit_code(2).stderr(told).run();
    }
}

/// As at the question of `init`; in a file it would mean several boards once there is another one like it.
#[test]
fn a_board_is_known_by_a_part_of_its_name() {
    CliTest::new(&["settings", "--board", "pi4"])
        .config()
        .exit_code(0)
        .stdout("rpi4")
        .run();
    CliTest::new(&["settings"])
        .config()
        .file("sdbuild.toml", "board = 'Raspberry Pi 4'")
        .exit_code(2)
        .stderr("`Raspberry Pi 4` is not the whole name of a board: write rpi4")
        .run();
    CliTest::new(&["settings"])
        .config()
        .file("sdbuild.toml", "board = 'rock'")
        .exit_code(2)
        .stderr("`rock` may mean rock64, rockpro64, rock5b")
        .run();
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
