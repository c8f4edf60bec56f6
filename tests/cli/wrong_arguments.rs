//! What is said of wrong arguments, and the tips for them.

use crate::cli_test::CliTest;
use crate::support::*;
use crate::user;

/// Asserts that the arguments of each line are refused with its tip.
pub fn assert_tips(lines: &[(&[&str], &str)]) {
    for (words, tip) in lines {
        let tip = format!("hint: {tip}");
        CliTest::new(words).exit_code(2).stderr(&tip).run();
    }
}

#[test]
fn refused_arguments_fit_the_terminal() {
    let user = user();
    for words in [&["init", "--board"][..], &["flash", "--ye"]] {
        let mut screen = Screen::start(&user.sdbuild(words), (40, 24));
        screen.assert_exit_code(2);
        let text = String::from_utf8(screen.all()).unwrap();
        // Without the colours of `error:` and `hint:`.
        let mut pieces = text.split("\u{1b}[");
        let first = pieces.next().unwrap_or_default().to_owned();
        let text = pieces.fold(first, |text, piece| {
            text + piece.split_once('m').map_or(piece, |(_, rest)| rest)
        });
        assert!(text.starts_with("error: "), "{text}");
        let is_narrow = |line: &str| line.chars().count() <= 40;
        assert!(text.lines().all(is_narrow), "{text}");
    }
}

#[test]
fn mistyped_flag_is_a_usage_error_with_a_suggestion() {
    CliTest::new(&["build", "--confg", "x"])
        .exit_code(2)
        .stderr("hint: did you mean --config?\n")
        .run();
    CliTest::new(&["build", "--system", "z80-linux"])
        .exit_code(2)
        .stderr("z80-linux")
        .stderr("aarch64-linux")
        .run();
}

#[test]
fn names_of_other_programs_lead_to_those_of_sdbuild() {
    assert_tips(&[
        (&["publish", "lst"][..], "did you mean list?"),
        (
            &["publish", "tag"],
            "`sdbuild publish --help` lists its commands",
        ),
        (&["build", "--outdir", "x"], "did you mean --output?"),
        (&["build", "--boot"], "did you mean --boot-test?"),
        (&["build", "--debug"], "-v shows the builder's log"),
        (
            &["build", "--size", "8G"],
            "an image is as small as possible",
        ),
        (&["clean", "--cache"], "did you mean --downloads?"),
        (
            &["clean", "--everything"],
            "`sdbuild clean` alone removes everything that belongs to your settings. --all also removes",
        ),
        (
            &["init", "--template", "flake"],
            "`sdbuild init --flake` writes a flake",
        ),
        (
            &["build", "--board", "Raspberry"],
            "`Raspberry` may mean rpi3, rpi4, rpi02, rpi5",
        ),
        (
            &["build", "--board", "pi-zero"],
            "a Raspberry Pi Zero has a 32-bit processor",
        ),
        (&["build", "--verbose=2"], "-v shows the builder's log"),
        (&["boot", "--ssh"], "did you mean --until-ssh?"),
        (
            &["build", "--system", "arm64"],
            "did you mean aarch64-linux?",
        ),
        (
            &["build", "--board", "rpi6"],
            "boards of this kind: rpi3, rpi4, rpi02, rpi5; `sdbuild boards` describes them",
        ),
        (
            &["build", "--board", "rpi1"],
            "its processor has 32 bits, but sdbuild makes images only for 64-bit ARM",
        ),
        (
            &["build", "--system", "armv7l-linux"],
            "sdbuild makes images only for 64-bit ARM",
        ),
    ]);
    for (words, other) in [
        (&["clone", "x"][..], "'clean'"),
        (&["flake", "update"], "'flash'"),
        (&["exec", "x"], "exec-with-parent"),
        (&["init", "--force"], "`sdbuild build` takes"),
    ] {
        let told = CliTest::new(words).exit_code(2).run().stderr;
        assert!(!told.contains(other), "{told}");
    }
}

#[test]
fn empty_commands_and_users_with_a_host_are_refused() {
    for command in ["boot", "shell"] {
        CliTest::new(&[command, "--run", ""])
            .exit_code(2)
            .stderr("a value is required for '--run <CMD>'")
            .run();
    }
    CliTest::new(&["boot", "--until-ssh", "--user", "ann@pi"])
        .exit_code(2)
        .stderr("without a host: --user ann")
        .run();
}

#[test]
fn words_that_are_expected_lead_to_what_there_is() {
    assert_tips(&[
        (
            &["build", "--progress", "plain"][..],
            "without a terminal, sdbuild prints lines instead of a progress bar",
        ),
        (
            &["build", "--pull"],
            "leave it out; sdbuild makes and keeps its own container images",
        ),
        (
            &["help", "flash", "build"],
            "`sdbuild help build` describes it",
        ),
        (&["logs"], "the logs are in ~/.local/state"),
        (
            &["build", "--flash", "/dev/sdx"],
            "first build, then write the image to a card",
        ),
        (&["build", "--target", "pi"], "did you mean --system?"),
        (&["CHECK"], "did you mean check?"),
        (&["clean", "-f"], "did you mean --yes?"),
        (&["clean", "-a"], "did you mean --all?"),
        (&["clean", "old"], "did you mean --old?"),
        (&["flash", "--force"], "--yes skips the question, --unmount"),
        (
            &["doctor", "--fix"],
            "doctor does not change anything; below each",
        ),
        (
            &["check", "--fix"],
            "check does not change files; each finding",
        ),
        (&["build", "--release"], "there is only one kind of build"),
        (
            &["build", "--clean"],
            "Nix builds only what has changed; `sdbuild clean`",
        ),
        (
            &["switch"],
            "sdbuild only makes images. To change a running NixOS",
        ),
        (
            &["flash", "--list"],
            "`sdbuild flash` without arguments lists the cards",
        ),
        (
            &["boot", "pi.img", "uname", "-a"],
            "to run a command on the machine: sdbuild boot IMAGE --run 'uname …'",
        ),
        (&["init", "--password", "x"], "init writes no passwords"),
    ]);
}

#[test]
fn flags_without_an_own_meaning_are_answered() {
    assert_tips(&[
        (&["build", "-p", "8080:80"][..], "a build opens no ports"),
        (&["check", "--publish"], "a build opens no ports"),
        (&["clean", "-d"], "did you mean --old, which"),
        (
            &["build", "--impure"],
            "leave it out; a build sees its own files",
        ),
    ]);
}

#[test]
fn flags_that_other_programs_have_are_explained() {
    assert_tips(&[
        (
            &["build", "-t", "pi"][..],
            "--output names a directory; the image's name",
        ),
        (
            &["build", "--no-cache"],
            "leave it out; Nix builds only what has changed",
        ),
        (&["check", "--show-trace"], "-v shows the builder's log"),
        (
            &["check", "-o", "json"],
            "check prints its findings; for a program",
        ),
        (&["check", "--strict"], "the exit code is 6"),
        (
            &["build", ".", "--flake", ".#pi"],
            "name the configuration only once",
        ),
        (&["build", "--out-link", "x"], "did you mean --output?"),
        (
            &["build", "-A", "x"],
            "a file such as sd-card.nix needs no attribute; for a configuration",
        ),
        (&["init", "--keys", "x"], "did you mean --ssh-key?"),
        (
            &["flash", "--device", "/dev/sdb"],
            "give the image first, then the disk: sdbuild flash IMAGE /dev/sdb\n",
        ),
        (&["sd-card.nix"], "`sdbuild build sd-card.nix` builds it"),
        (&[".."], "`sdbuild build ..` builds it"),
        (
            &["build=sd-card.nix"],
            "write a space: sdbuild build sd-card.nix",
        ),
        (&["flash=/dev/sdb"], "write a space: sdbuild flash /dev/sdb"),
        (&["pi/router"], "`sdbuild build pi/router` builds it"),
        (&["github:me/pi"], "`sdbuild build github:me/pi` builds it"),
        (
            &["/dev/sdb"],
            "`sdbuild flash IMAGE /dev/sdb` writes an image to that disk",
        ),
        (
            &[
                "flash",
                "if=pi.img",
                "of=/dev/sdb",
                "bs=4M",
                "status=progress",
            ],
            "flash does not take dd's arguments; write: sdbuild flash IMAGE /dev/sdX",
        ),
        (&[".#pi"], "`sdbuild build .#pi` builds it"),
        (
            &["pi.img.zst"],
            "that is an image. `sdbuild boot pi.img.zst` starts it, and `sdbuild flash pi.img.zst` writes it to a card",
        ),
    ]);
}

#[test]
fn arguments_in_another_form_are_explained() {
    assert_tips(&[
        (&["boot", "-p", "2222:22"][..], "did you mean --port?"),
        (
            &["inspect", "x.img", "/etc"],
            "name what to do with the path: sdbuild inspect x.img ls /etc",
        ),
        (
            &["inspect", "ls", "x.img", "2:/etc"],
            "give the image first and the path last: sdbuild inspect x.img ls 2:/etc",
        ),
        (
            &["check", "--override-input", "nixpkgs=/x"],
            "write INPUT and REF as two words: --override-input nixpkgs /x",
        ),
    ]);
    // Another number is another board, and no slip.
    let board = CliTest::new(&["build", "--board", "rpi6"]);
    let board = board.exit_code(2).run();
    assert!(!board.stderr.contains("mean"), "{}", board.stderr);
    // `init` refuses a PC.
    let names = "uefi, other, virt";
    for (command, more) in [("init", "]"), ("build", ", pc]")] {
        CliTest::new(&[command, "--board", "xyz"])
            .exit_code(2)
            .stderr(&format!("{names}{more}"))
            .run();
    }
    CliTest::new(&["build", "--jobs", "-1"])
        .exit_code(2)
        .stderr("`-1` is not between 1 and 4096")
        .run();
}

#[test]
fn unknown_flag_and_command_have_useful_tips() {
    let flag = CliTest::new(&["build", "--fast"]).exit_code(2).run();
    assert!(!flag.stderr.contains("-- --fast"), "{}", flag.stderr);
    // Of similar length only, which was proposed, and in the usage.
    let flag = CliTest::new(&["build", "--bucket"]).exit_code(2).run();
    assert!(!flag.stderr.contains("--quiet"), "{}", flag.stderr);
    assert!(
        flag.stderr.contains("Usage: sdbuild build"),
        "{}",
        flag.stderr
    );
    for (words, line) in [
        (["--hostname", "pi", "build"], "build --hostname pi"),
        (["--hostname=pi", "build", "."], "build --hostname=pi ."),
        (["-c", "pi.nix", "build"], "build -c pi.nix"),
        (["-cpi.nix", "build", "-v"], "build -cpi.nix -v"),
    ] {
        let tip = format!("hint: a command's flags come after it: sdbuild {line}\n");
        CliTest::new(&words).exit_code(2).stderr(&tip).run();
    }
    assert_tips(&[
        (
            &["init", "--format", "qcow2"][..],
            "the format belongs to the build: sdbuild build --format NAME",
        ),
        (
            &["boot", "--compress", "xz"],
            "`sdbuild build` takes --compress",
        ),
        (&["man", "biuld"], "did you mean build?"),
    ]);
    // aarch64-linux is no slip of armv7l-linux: proposing it would be wrong.
    let system = CliTest::new(&["build", "--system", "armv7l-linux"]);
    let system = system.exit_code(2).run();
    assert!(!system.stderr.contains("mean"), "{}", system.stderr);
    CliTest::new(&["help", "foo"])
        .exit_code(2)
        .stderr("hint: `sdbuild help` lists all commands")
        .run();
    CliTest::new(&["help", "buidl"])
        .exit_code(2)
        .stderr("hint: did you mean build?")
        .run();
    CliTest::new(&["buidl"])
        .exit_code(2)
        .stderr("hint: did you mean build?")
        .run();
}
