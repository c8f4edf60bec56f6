//! The binary's words and exit codes, without an engine.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    unreachable_pub,
    dead_code,
    unused_imports,
    reason = "tests fail by panicking; each tier uses its own part of the support"
)]

#[path = "../support/mod.rs"]
mod support;

mod ci;
mod doctor;
mod init;
mod inspect;
mod reference;
mod settings;
mod status;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt as _;
use std::path::Path;

use support::*;

/// A person whose engine is not there.
fn person() -> Person {
    Person::new().with("DOCKER_HOST", "unix:///nonexistent/engine.sock")
}

const GOOD: &str = "{ networking.hostName = \"x\"; }";

#[test]
fn the_version_is_the_crates() {
    let ran = ran(&mut person().sdbuild(&["--version"])).exits(0);
    assert_eq!(
        ran.stdout,
        concat!("sdbuild ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn the_help_names_every_flag_that_stays() {
    let help = ran(&mut person().sdbuild(&["build", "--help"]))
        .exits(0)
        .stdout;
    let flags = [
        "--config",
        "--nixpkgs",
        "--system",
        "--emulation",
        "--builder-image",
        "--output",
        "--force",
    ];
    for flag in flags {
        assert!(help.contains(flag), "{flag} is not in\n{help}");
    }
    let help = ran(&mut person().sdbuild(&["clean", "--help"]))
        .exits(0)
        .stdout;
    assert!(
        help.contains("--dry-run") && help.contains("--yes"),
        "{help}"
    );
}

#[test]
fn a_mistyped_flag_is_a_usage_error_with_a_suggestion() {
    ran(&mut person().sdbuild(&["build", "--confg", "x"]))
        .exits(2)
        .says(&["--config"]);
    ran(&mut person().sdbuild(&[])).exits(2);
    ran(&mut person().sdbuild(&["build", "--system", "z80-linux"]))
        .exits(2)
        .says(&["z80-linux"]);
}

#[test]
fn every_problem_is_listed_at_once() {
    let person = person();
    let ran = ran(&mut person.sdbuild(&["build", "--output", "nowhere"])).exits(2);
    ran.says(&[
        "sd-card.nix",
        "nowhere",
        "no engine answers at unix:///nonexistent/engine.sock",
        "hint: ",
    ]);
}

#[test]
fn a_configuration_that_is_a_folder() {
    let person = person();
    fs::create_dir(person.home.path().join("sd-card.nix")).unwrap();
    ran(&mut person.build(&[]))
        .exits(2)
        .says(&["sd-card.nix is a folder"]);
}

#[test]
fn a_configuration_that_may_not_be_read() {
    if !root_is_here() {
        return;
    }
    let person = person();
    let config = person.write("sd-card.nix", GOOD);
    fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).unwrap();
    as_nobody(&person, &[])
        .exits(2)
        .says(&["sd-card.nix", "ermission denied"]);
}

/// Builds as a user who is neither root nor in any group; the home folder is theirs to look at.
fn as_nobody(person: &Person, more: &[&str]) -> Ran {
    fs::set_permissions(person.home.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let binary = person.home.path().join("sdbuild");
    fs::copy(env!("CARGO_BIN_EXE_sdbuild"), &binary).unwrap();
    let mut command = std::process::Command::new(&binary);
    command
        .args(["build", "--output"])
        .arg(person.out())
        .args(more);
    command
        .env_clear()
        .envs(&person.environment)
        .current_dir(person.home.path());
    ran(command.uid(65534).gid(65534))
}

#[test]
fn an_output_folder_that_may_not_be_written() {
    if !root_is_here() {
        return;
    }
    let person = person();
    person.write("sd-card.nix", GOOD);
    as_nobody(&person, &[])
        .exits(2)
        .says(&["write to the output folder", "out", "ermission denied"])
        .says(&["hint: name another folder with --output"]);
}

#[test]
fn an_output_folder_on_a_read_only_disk() {
    if !root_is_here() {
        return;
    }
    let person = person();
    person.write("sd-card.nix", GOOD);
    let build = person.build(&[]);
    // In a mount namespace of its own: the mount goes with the process.
    let mut mounted = std::process::Command::new("unshare");
    mounted.args(["--mount", "--propagation", "private", "sh", "-c"]);
    mounted.arg("mount -t tmpfs -o ro,size=64k none \"$0\" && exec \"$@\"");
    mounted.arg(person.out());
    mounted.arg(build.get_program()).args(build.get_args());
    mounted.env_clear().envs(&person.environment);
    ran(mounted.current_dir(person.home.path()))
        .exits(2)
        .says(&["write to the output folder", "Read-only file system"])
        .says(&["hint: name another folder with --output"]);
}

#[test]
fn an_output_folder_that_is_a_file() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    person.write("file", "");
    let ran = ran(&mut person.sdbuild(&["build", "--output", "file"]));
    assert_ne!(ran.code, Some(0));
    ran.says(&["file", "not a folder"]);
}

#[test]
fn the_placeholder_stops_before_anything_else_is_asked() {
    let person = person();
    person.write(
        "sd-card.nix",
        &fs::read_to_string(root().join("sd-card.nix")).unwrap(),
    );
    let ran = ran(&mut person.build(&[]))
        .exits(2)
        .says(&["line ", "placeholder", "ssh-keygen"]);
    let line = ran
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
fn no_engine_is_the_machines_fault() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    ran(&mut person.build(&[]))
        .exits(3)
        .says(&["no engine answers", "hint: "]);
    assert!(person.outputs().is_empty());
}

#[test]
fn a_socket_that_may_not_be_used_says_which_group() {
    if !root_is_here() {
        return;
    }
    let person = Person::new();
    person.write("sd-card.nix", GOOD);
    let socket = person.home.path().join("engine.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).unwrap();
    let person = person.with("DOCKER_HOST", format!("unix://{}", socket.display()));
    fs::set_permissions(person.out(), fs::Permissions::from_mode(0o777)).unwrap();
    as_nobody(&person, &[])
        .exits(3)
        .says(&["usermod -aG docker", "rootless"]);
    drop(listener);
}

#[test]
fn an_empty_docker_host_counts_as_unset() {
    let person = Person::new()
        .with("DOCKER_HOST", "")
        .with("DOCKER_CONTEXT", "none-such");
    person.write("sd-card.nix", GOOD);
    ran(&mut person.build(&[])).exits(3).says(&["none-such"]);
}

#[test]
fn an_unknown_setting_is_named() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    person.write("sdbuild.toml", "nixpkg = '26.05'\n");
    ran(&mut person.build(&[]))
        .exits(2)
        .says(&["sdbuild.toml", "nixpkg"]);
}

#[test]
fn a_nixpkgs_folder_that_is_none() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    let empty = person.home.path().join("empty");
    fs::create_dir(&empty).unwrap();
    let words = ["build", "--nixpkgs", empty.to_str().unwrap()];
    ran(&mut person.sdbuild(&words))
        .exits(2)
        .says(&["empty", "nixos/default.nix"]);
}

#[test]
fn quiet_says_nothing_but_the_error() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    let ran = ran(&mut person.build(&["--quiet"])).exits(3);
    assert!(ran.stderr.starts_with("error: "), "{}", ran.stderr);
}

#[test]
fn events_for_programs_are_all_that_is_on_standard_error() {
    let person = person().with("CLICOLOR_FORCE", "1");
    person.write("sd-card.nix", GOOD);
    let ran = ran(&mut person.build(&["--json-events"])).exits(3);
    let objects: Vec<serde_json::Value> = ran
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
    let usage = person
        .build(&["--json-events", "--quiet"])
        .status()
        .unwrap();
    assert_eq!(usage.code(), Some(2));
}

#[test]
fn colours_are_where_they_are_wanted() {
    let coloured = |name: &str, value: &str, also: &str| {
        let person = person().with(name, value).with("NO_COLOR", also);
        person.write("sd-card.nix", GOOD);
        let ran = ran(&mut person.build(&[])).exits(3);
        assert!(ran.stderr.contains("no engine answers"), "{}", ran.stderr);
        ran.stderr.contains('\u{1b}')
    };
    assert!(!coloured("TERM", "xterm", ""), "not a terminal");
    assert!(coloured("CLICOLOR_FORCE", "1", ""));
    assert!(!coloured("CLICOLOR_FORCE", "0", ""));
    assert!(!coloured("CLICOLOR_FORCE", "1", "1"), "NO_COLOR wins");
}

#[test]
fn a_closed_or_full_standard_error_changes_no_exit_code() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    let full = fs::OpenOptions::new()
        .write(true)
        .open(Path::new("/dev/full"))
        .unwrap();
    let status = person.build(&[]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn empty_variables_count_as_unset_and_bad_ones_are_named() {
    let person = person()
        .with("SDBUILD_CORES", "")
        .with("SDBUILD_NIXPKGS", "");
    person.write("sd-card.nix", GOOD);
    ran(&mut person.sdbuild(&["build"])).exits(3);
    for (name, value) in [
        ("SDBUILD_COMPRESS", "zip"),
        ("SOURCE_DATE_EPOCH", "yesterday"),
    ] {
        let person = self::person().with(name, value);
        person.write("sd-card.nix", GOOD);
        ran(&mut person.sdbuild(&["build"])).exits(2).says(&[value]);
    }
    let person = person.with("SDBUILD_JOBS", "many");
    ran(&mut person.sdbuild(&["build"]))
        .exits(2)
        .says(&["SDBUILD_JOBS", "many"]);
    let person = person.with("SDBUILD_JOBS", "0");
    ran(&mut person.sdbuild(&["build"]))
        .exits(2)
        .says(&["SDBUILD_JOBS"]);
}

#[test]
fn a_mirror_with_a_pass_word_is_refused_without_repeating_it() {
    let person = person().with(
        "SDBUILD_DEBIAN_MIRROR",
        "http://me:s3cr3t@mirror.example/debian",
    );
    person.write("sd-card.nix", GOOD);
    let ran = ran(&mut person.build(&[])).exits(2);
    assert!(!ran.stderr.contains("s3cr3t"), "{}", ran.stderr);
}

#[test]
fn what_a_boot_test_needs_is_looked_for_before_the_build() {
    let person = person();
    person.write("sd-card.nix", GOOD);
    ran(&mut person.build(&["--boot-test", "--ssh-key", "no-such-key"]))
        .exits(2)
        .says(&["no-such-key"]);
    person.write("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    ran(&mut person.build(&["--ssh-key", "key"]))
        .exits(2)
        .says(&["key is no public SSH key", ".pub", "--boot-test"]);
    ran(&mut person.build(&["--set", "time.timeZone"]))
        .exits(2)
        .says(&["not of the form OPTION=VALUE"]);
}

/// Every `sdbuild WORD` that a message or the documentation names is a command.
#[test]
fn no_text_names_a_command_that_does_not_exist() {
    let named = [
        "README.md",
        "docs/reference.md",
        "docs/errors.md",
        "sd-card.nix",
    ];
    let mut files: Vec<_> = named.map(|name| root().join(name)).into();
    let mut folders = vec![root().join("src"), root().join("containers")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                files.push(entry.path());
            }
        }
    }
    let help = ran(&mut person().sdbuild(&["--help"])).exits(0).stdout;
    let mut named = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for rest in text.split("`sdbuild ").skip(1) {
            let word = rest.split(['`', ' ']).next().unwrap();
            named += 1;
            let known = help.contains(&format!("\n  {word} ")) || word.starts_with('-');
            assert!(known, "`sdbuild {word}` in {}", file.display());
        }
    }
    assert!(named > 3, "the search finds what it is to find");
}

#[test]
fn a_boot_says_at_once_what_it_lacks() {
    let person = person().with("PATH", "/nowhere");
    let words = ["boot", "none.img", "--until-ssh", "--ssh-key", "none"];
    let here = [
        "none.img",
        "ssh is not on this machine",
        "none: No such file",
    ];
    ran(&mut person.sdbuild(&words)).exits(2).says(&here);
    let qemu = [
        "qemu-system-aarch64 is not on this machine",
        "hint: install it: qemu-system-arm",
    ];
    ran(person.sdbuild(&words).args(["--emulator", "host"]))
        .exits(2)
        .says(&here)
        .says(&qemu);
    // Neither a QEMU of its own nor an engine that would have one.
    person.write("some.img", "x");
    ran(&mut person.sdbuild(&["boot", "some.img"]))
        .exits(3)
        .says(&qemu)
        .says(&["boot in a container: ", "no engine answers"]);
    let container = ["boot", "some.img", "--emulator", "container"];
    let failed = ran(&mut person.sdbuild(&container)).exits(3);
    assert!(!failed.stderr.contains("qemu-system"), "{}", failed.stderr);
}

#[test]
fn a_boot_with_flags_that_do_not_fit() {
    let person = person();
    for words in [&["--timeout", "9"][..], &["--until-ssh", "--timeout", "0"]] {
        ran(person.sdbuild(&["boot", "some.img"]).args(words))
            .exits(2)
            .says(&["--"]);
    }
    let help = ran(&mut person.sdbuild(&["--help"])).exits(0).stdout;
    assert!(help.contains("boot") && !help.contains("leashed"), "{help}");
}

#[test]
fn a_program_is_on_the_leash_of_its_own_parent_only() {
    // Of init's, who did not start it.
    let person = person();
    let stranger = ["leashed", "1", "--", "/bin/echo", "loose"];
    let ran = ran(&mut person.sdbuild(&stranger)).exits(3);
    assert_eq!(ran.stdout, "");
}
