//! Which output goes to which stream, and its form for terminals and programs.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use crate::cli_test::CliTest;
use crate::support::*;
use crate::{GOOD, user};

#[test]
fn version_is_the_crates() {
    let version = concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n");
    let outcome = CliTest::new(&["--version"]).run();
    assert_eq!(outcome.stdout, version);
}

#[test]
fn help_names_the_main_flags_of_build_and_clean() {
    CliTest::new(&["build", "--help"])
        .stdout("--config")
        .stdout("--nixpkgs")
        .stdout("--system")
        .stdout("--emulation")
        .stdout("--builder-image")
        .stdout("--output")
        .stdout("--force")
        .run();
    CliTest::new(&["clean", "--help"])
        .stdout("--dry-run")
        .stdout("--yes")
        .run();
}

#[test]
fn refused_arguments_fit_the_terminal() {
    let user = user();
    for words in [&["init", "--board"][..], &["flash", "--ye"]] {
        let mut screen = Screen::start(&user.sdbuild(words), (40, 24));
        screen.assert_exit_code(2);
        let text = String::from_utf8(screen.all()).unwrap();
        let text = text.replace("\u{1b}[1;31m", "").replace("\u{1b}[0m", "");
        assert!(text.starts_with("error: "), "{text}");
        let is_narrow = |line: &str| line.chars().count() <= 40;
        assert!(text.lines().all(is_narrow), "{text}");
    }
}

#[test]
fn manual_page_on_a_terminal_says_how_to_read_it() {
    let mut screen = Screen::start(&user().sdbuild(&["man"]), (80, 24));
    screen.assert_exit_code(0);
    let text = String::from_utf8(screen.all()).unwrap();
    assert!(
        text.trim_end()
            .ends_with("to read it: sdbuild man | man -l -"),
        "{text}"
    );
    let to_a_file = CliTest::new(&["man"]).run();
    assert!(
        !to_a_file.stdout.contains("to read it"),
        "{}",
        to_a_file.stdout
    );
    CliTest::new(&["-h"]).stdout("To begin:\n  doctor ").run();
    let version = concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n");
    CliTest::new(&["version"]).stdout(version).run();
}

#[test]
fn mistyped_flag_is_a_usage_error_with_a_suggestion() {
    CliTest::new(&["build", "--confg", "x"])
        .exit_code(2)
        .stderr("--config")
        .run();
    CliTest::new(&["build", "--system", "z80-linux"])
        .exit_code(2)
        .stderr("z80-linux")
        .stderr("aarch64-linux")
        .run();
}

#[test]
fn names_of_other_programs_lead_to_those_of_sdbuild() {
    for (words, tip) in [
        (&["burn"][..], "`sdbuild flash`: Write an image"),
        (&["run"], "`sdbuild boot`: Boot an image"),
        (&["list"], "`sdbuild status`: Show what sdbuild keeps"),
        (&["publish", "lst"], "a similar subcommand exists: 'list'"),
        (
            &["publish", "rm"],
            "`sdbuild publish --help` lists its commands",
        ),
        (&["build", "--outdir", "x"], "did you mean --output?"),
        (&["boot", "--ssh"], "did you mean --until-ssh?"),
        (
            &["boot", "--memory", "1G"],
            "--memory takes MiB: --memory 1024",
        ),
        (
            &["build", "--system", "arm64"],
            "did you mean aarch64-linux?",
        ),
        (
            &["build", "--board", "rpi6"],
            "`sdbuild boards` describes them",
        ),
        (&["build", "--board", "rpi400"], "did you mean rpi4?"),
        (
            &["build", "--board", "rpi1"],
            "there are images for 64-bit ARM",
        ),
        (
            &["build", "--system", "armv7l-linux"],
            "there are images for 64-bit ARM",
        ),
    ] {
        let tip = format!("tip: {tip}");
        CliTest::new(words).exit_code(2).stderr(&tip).run();
    }
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
        .stderr("named without one: --user ann")
        .run();
}

#[test]
fn flags_that_other_programs_have_are_explained() {
    for (words, tip) in [
        (&["build", "-t", "pi"][..], "the image is named after"),
        (&["build", "--no-cache"], "Nix builds what has changed"),
        (&["check", "--show-trace"], "-v shows the builder's log"),
        (&["build", "--impure"], "a flake sees only its own files"),
        (&["build", "--out-link", "x"], "did you mean --output?"),
        (
            &["build", "-A", "x"],
            "a configuration of a flake is named behind `#`: sdbuild build .#NAME",
        ),
        (&["boot", "-m", "1024"], "did you mean --memory?"),
        (&["init", "--keys", "x"], "did you mean --ssh-key?"),
        (
            &["flash", "--device", "/dev/sdb"],
            "the disk is the second argument: sdbuild flash IMAGE /dev/sdX",
        ),
        (&["sd-card.nix"], "`sdbuild build sd-card.nix` builds it"),
        (&[".."], "`sdbuild build ..` builds it"),
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
            "those of dd have no counterpart: sdbuild flash IMAGE /dev/sdX",
        ),
        (&[".#pi"], "`sdbuild build '.#pi'` builds it"),
        (
            &["pi.img.zst"],
            "`sdbuild boot pi.img.zst` starts it, `sdbuild flash pi.img.zst` writes it to a card",
        ),
        (&["boot", "-p", "2222:22"], "did you mean --port?"),
        (
            &["inspect", "x.img", "/etc"],
            "name what to do with the path: sdbuild inspect IMAGE ls /etc",
        ),
        (
            &["check", "--override-input", "nixpkgs=/x"],
            "INPUT and REF are two words: --override-input nixpkgs /x",
        ),
    ] {
        let tip = format!("tip: {tip}");
        CliTest::new(words).exit_code(2).stderr(&tip).run();
    }
    // Another number is another board, and no slip.
    let board = CliTest::new(&["build", "--board", "rpi6"]);
    let board = board.exit_code(2).run();
    assert!(!board.stderr.contains("similar"), "{}", board.stderr);
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
    for words in [
        ["--hostname", "pi", "build"],
        ["--hostname=pi", "build", "."],
    ] {
        CliTest::new(&words)
            .exit_code(2)
            .stderr("tip: flags of a command go after it: sdbuild build --hostname …")
            .run();
    }
    for (words, tip) in [
        (
            &["init", "--format", "qcow2"][..],
            "--template chooses what the image is for",
        ),
        (
            &["boot", "--compress", "xz"],
            "`sdbuild build` takes --compress",
        ),
        (&["man", "build"], "`sdbuild help build` describes it"),
    ] {
        let tip = format!("tip: {tip}");
        CliTest::new(words).exit_code(2).stderr(&tip).run();
    }
    // aarch64-linux is no slip of armv7l-linux: proposing it would be wrong.
    let system = CliTest::new(&["build", "--system", "armv7l-linux"]);
    let system = system.exit_code(2).run();
    assert!(!system.stderr.contains("similar"), "{}", system.stderr);
    CliTest::new(&["help", "foo"])
        .exit_code(2)
        .stderr("tip: `sdbuild help` lists all commands")
        .run();
    CliTest::new(&["help", "buidl"])
        .exit_code(2)
        .stderr("tip: a similar subcommand exists: 'build'")
        .run();
    CliTest::new(&["buidl"])
        .exit_code(2)
        .stderr("'build'")
        .run();
}

#[test]
fn alone_beside_a_configuration_it_names_the_next_commands() {
    let alone = CliTest::new(&[]).config();
    alone
        .file("pi.img.zst", "an image")
        .stdout("The configuration is sd-card.nix")
        .stdout("sdbuild build")
        .stdout("The newest image is pi.img.zst")
        .stdout("sdbuild flash")
        .run();
}

#[test]
fn an_image_that_is_older_than_its_configuration_is_reported() {
    let user = user();
    user.write_unbootable("a.img", 1 << 20);
    let report = run(&mut user.sdbuild(&["inspect", "--json"])).assert_exit_code(0);
    let report: serde_json::Value = serde_json::from_str(&report.stdout).unwrap();
    let file = serde_json::json!({ "size": 1 << 20, "sha256": report["sha256"] });
    let manifest = serde_json::json!({ "version": 1, "image": file, "raw": file });
    let manifest = user.write("a.img.json", &manifest.to_string());
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    let manifest = fs::File::open(manifest).unwrap();
    manifest.set_modified(long_ago).unwrap();
    user.write("sd-card.nix", "{ }");
    let alone = run(&mut user.sdbuild(&[])).assert_exit_code(0);
    let text = alone.stdout.replace('\n', " ");
    assert!(text.contains("sd-card.nix is newer"), "{text}");
    run(&mut user.sdbuild(&["inspect"]))
        .assert_exit_code(0)
        .assert_stderr_contains(&["the newest image: a.img; sd-card.nix is newer"]);
}

/// As cargo and Docker, and on standard output, so that a pipe gets it.
#[test]
fn alone_it_names_the_first_commands_on_one_screen() {
    let piped = CliTest::new(&[])
        .stdout("There is no sd-card.nix or flake.nix in this directory")
        .stdout("sdbuild init")
        .run();
    assert_eq!(piped.stderr, "");
    for size in [(80, 24), (40, 24)] {
        let mut screen = Screen::start(&user().sdbuild(&[]), size);
        screen.assert_exit_code(0);
        let text = String::from_utf8(screen.all()).unwrap();
        let columns = usize::from(size.0);
        assert!(text.lines().count() <= 22, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= columns),
            "{text}"
        );
        assert!(text.contains("sdbuild flash"), "{text}");
    }
}

#[test]
fn examples_on_a_narrow_terminal_can_be_pasted() {
    let help = |words: &[&str]| {
        let mut screen = Screen::start(&user().sdbuild(words), (40, 200));
        screen.assert_exit_code(0);
        String::from_utf8(screen.all()).unwrap().replace('\r', "")
    };
    for words in [&["build", "-h"][..], &["help", "build"]] {
        let text = help(words);
        for part in [
            "\n  sdbuild build pi --output pi\n      # build pi/sd-card.nix into pi\n",
            "\n  sdbuild build --nixpkgs ~/nixpkgs \\\n    --jobs 2\n",
        ] {
            assert!(text.contains(part), "{part}\nis not in\n{text}");
        }
    }
    let text = help(&["inspect", "ls", "-h"]);
    assert!(
        text.contains("\n      # the root directory of each"),
        "{text}"
    );
}

#[test]
fn quiet_prints_only_the_error() {
    let outcome = CliTest::new(&["build", "--quiet"])
        .config()
        .exit_code(3)
        .run();
    assert!(outcome.stderr.starts_with("error: "), "{}", outcome.stderr);
}

#[test]
fn json_events_are_all_of_standard_error() {
    let user = user().with("CLICOLOR_FORCE", "1");
    user.write("sd-card.nix", GOOD);
    let outcome = run(&mut user.build(&["--json-events"])).assert_exit_code(3);
    let objects: Vec<serde_json::Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(objects[0]["event"], "phase-started");
    assert_eq!(objects[0]["phase"], "preflight");
    let failed = objects.last().unwrap();
    assert_eq!(
        (&failed["event"], &failed["class"]),
        (&"failed".into(), &"environment".into())
    );
    assert!(failed["hints"][0].is_string(), "{failed}");
    assert!(objects.iter().all(|object| object["version"] == 1));
    let usage = user.build(&["--json-events", "--quiet"]).status().unwrap();
    assert_eq!(usage.code(), Some(2));
}

#[test]
fn colours_follow_the_environment() {
    let coloured = |name: &str, value: &str, also: &str| {
        let user = user().with(name, value).with("NO_COLOR", also);
        user.write("sd-card.nix", GOOD);
        let outcome = run(&mut user.build(&[])).assert_exit_code(3);
        assert!(
            outcome.stderr.contains("no engine answers"),
            "{}",
            outcome.stderr
        );
        outcome.stderr.contains('\u{1b}')
    };
    assert!(!coloured("TERM", "xterm", ""), "not a terminal");
    assert!(coloured("CLICOLOR_FORCE", "1", ""));
    assert!(!coloured("CLICOLOR_FORCE", "0", ""));
    assert!(!coloured("CLICOLOR_FORCE", "1", "1"), "NO_COLOR wins");
}

#[test]
fn unwritable_standard_error_keeps_the_exit_code() {
    let user = user();
    user.write("sd-card.nix", GOOD);
    let full = fs::OpenOptions::new()
        .write(true)
        .open(Path::new("/dev/full"))
        .unwrap();
    let (_, closed) = std::io::pipe().unwrap();
    for stderr in [Stdio::from(full), closed.into()] {
        let status = user.build(&[]).stderr(stderr).status().unwrap();
        assert_eq!(status.code(), Some(3));
    }
}

/// Every `sdbuild WORD` that a message or the documentation names is a command.
#[test]
fn every_named_command_exists() {
    let named = [
        "README.md",
        "docs/reference.md",
        "docs/errors.md",
        "sd-card.nix",
    ];
    let mut files: Vec<_> = named.map(|name| root().join(name)).into();
    let mut dirs = vec![root().join("src"), root().join("containers")];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            if entry.path().is_dir() {
                dirs.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let help = run(&mut user().sdbuild(&["--help"]))
        .assert_exit_code(0)
        .stdout;
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for rest in text.split("`sdbuild ").skip(1) {
            let word = rest.split(['`', ' ']).next().unwrap();
            named += 1;
            let listed = help.contains(&format!("\n  {word} "));
            let known = listed || word == "help" || word.starts_with('-');
            assert!(known, "`sdbuild {word}` in {}", file.display());
        }
    }
    assert!(named > 3, "the search itself works");
}

#[test]
fn tests_that_take_turns_exist() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let list = fs::read_to_string(tests.join("in-turn.txt")).unwrap();
    let is_name = |line: &&str| !line.starts_with('#') && line.contains("::");
    let names: Vec<&str> = list.lines().filter(is_name).collect();
    assert!(names.len() > 10, "{names:?}");
    for name in names {
        let (module, function) = name.rsplit_once("::").unwrap();
        let file = format!("docker/{}.rs", module.replace("::", "/"));
        let source = fs::read_to_string(tests.join(&file)).unwrap_or_else(|error| {
            panic!("{file} of {name}: {error}");
        });
        let declaration = format!("\nfn {function}() {{");
        assert!(source.contains(&declaration), "{file} has no {function}");
        // `--skip` leaves out every test whose name contains one of these.
        let longer = source.matches(&format!("fn {function}")).count();
        assert_eq!(longer, 1, "other tests begin with {function}");
    }
}
