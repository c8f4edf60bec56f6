//! Recorded ends, and what they are called.

use super::*;
use crate::nixos::log::NixError;

fn ending(code: i64) -> ExitContext<'static> {
    ExitContext {
        code,
        emulated: true,
        store: "sdbuild-store",
        shown_dir: "pi/",
        file: "sd-card.nix",
        ..ExitContext::default()
    }
}

fn complaint(summary: &str) -> NixError {
    NixError {
        summary: summary.into(),
        text: format!("error: {summary}"),
        position: None,
    }
}

fn said(summary: &str) -> Findings {
    Findings {
        complaints: vec![complaint(summary)],
        ..Findings::default()
    }
}

fn failed(how: &str, line: &str) -> Findings {
    let message = format!("builder for '/nix/store/x-kernel.drv' failed {how}");
    let failed = FailedBuild {
        derivation: None,
        name: "kernel".into(),
        message: message.clone(),
        tail: vec![line.into()],
        symptoms: symptoms(line).collect(),
    };
    Findings {
        failed: Some(failed),
        ..said(&message)
    }
}

#[test]
fn a_failed_builder_is_the_builds() {
    let failure = diagnose(
        &ending(100),
        &failed("with exit code 3", "make: *** [all] Error 1"),
    );
    assert_eq!(failure.class, Class::Build);
    assert_eq!(
        failure.to_string(),
        "the build of kernel failed with exit code 3"
    );
    assert_eq!(failure.log_tail, ["make: *** [all] Error 1"]);
}

#[test]
fn the_configuration_is_the_users() {
    for (summary, hint) in [
        (
            "The option `networking.hotsName' does not exist. Definition values:\n- In `/build/config/sd-card.nix': \"fxpi\"",
            "options",
        ),
        ("attribute 'nosuch' missing", "packages"),
        ("attribute 'sdImage' missing", "sd-image-aarch64.nix"),
        ("path '/build/x.nix' does not exist", "directory"),
        (
            "a 'armv6l-linux' with features {} is required to build 'x', but I am a 'x86_64-linux' with features {}",
            "hostPlatform",
        ),
    ] {
        let failure = diagnose(&ending(1), &said(summary));
        assert_eq!(failure.class, Class::Usage, "{summary}");
        assert!(
            failure.hints.iter().any(|h| h.contains(hint)),
            "{summary}: {:?}",
            failure.hints
        );
    }
}

#[test]
fn errors_name_the_users_file() {
    let mut findings = said("syntax error, unexpected '}', expecting ';'");
    findings.complaints[0].position = Some(("/build/config/sd-card.nix".into(), 7, 1));
    findings.complaints[0].text =
        "error:\n  … while calling x\n  error: syntax error\n  at /build/config/sd-card.nix:7:1:\n\n  6| x".into();
    let failure = diagnose(&ending(1), &findings);
    assert_eq!(
        failure.to_string(),
        "evaluate the configuration: pi/sd-card.nix:7:1: syntax error, unexpected '}', expecting ';'"
    );
    assert_eq!(
        failure.log_tail,
        ["error: syntax error", "at pi/sd-card.nix:7:1:", "6| x"]
    );
    let assertion =
        said("\nFailed assertions:\n- networking.hostName: ‘bad_host!’ is not a valid host name");
    assert!(
        diagnose(&ending(1), &assertion)
            .to_string()
            .contains("Failed assertions: - networking")
    );
}

#[test]
fn the_machines_troubles_are_the_machines() {
    let full = "dd: error writing '/nix/x': No space left on device";
    for (findings, words) in [
        (failed("with exit code 1", full), "no space left"),
        (
            said("writing to file: No space left on device"),
            "no space left",
        ),
        (
            failed(
                "with exit code 1\nnote: build failure may have been caused by lack of free disk space",
                "",
            ),
            "no space left",
        ),
        (
            failed(
                "with exit code 2",
                "sh: can't fork: Resource temporarily unavailable",
            ),
            "another process",
        ),
        (said("unexpected EOF reading a line"), "another process"),
        (
            failed(
                "with exit code 1",
                "error: executing '/nix/store/b': Exec format error",
            ),
            "handler vanished",
        ),
        (
            failed("due to signal 9 (Killed)", ""),
            "probably ran out of memory",
        ),
        (
            said("unable to download 'https://c/x': Could not resolve hostname (6)"),
            "it needs: unable to download 'https://c/x'",
        ),
        (said("interrupted by the user"), "stopped from outside"),
    ] {
        let failure = diagnose(
            &ending(if findings.failed.is_some() { 100 } else { 1 }),
            &findings,
        );
        assert_eq!(failure.class, Class::Environment, "{words}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.hints.is_empty(), "{words}");
    }
}

#[test]
fn an_unsigned_path_is_the_users_to_allow() {
    let text = "cannot add path '/nix/store/x' because it lacks a signature by a trusted key";
    let keys = ["cache.nixos.org-1:x=".to_owned(), "mine:y=".to_owned()];
    let ending = ExitContext {
        keys: &keys,
        ..ending(1)
    };
    let failure = diagnose(&ending, &said(text));
    assert_eq!(failure.class, Class::Usage);
    let flag = "--trusted-public-keys 'cache.nixos.org-1:x= mine:y= ITS-KEY'";
    assert!(failure.hints[0].ends_with(flag), "{:?}", failure.hints);
}

#[test]
fn memory_is_told_by_the_kernel() {
    let killed = ExitContext {
        oom_killed: true,
        ..ending(100)
    };
    let failure = diagnose(&killed, &failed("with exit code 137", "Killed"));
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.to_string().contains("ran out of memory"));
    let failure = diagnose(
        &ExitContext {
            oom_killed: true,
            ..ending(137)
        },
        &Findings::default(),
    );
    assert_eq!(failure.to_string(), "the builder ran out of memory");
}

#[test]
fn a_foreign_program_without_emulation_is_the_builds() {
    let native = ExitContext {
        emulated: false,
        ..ending(100)
    };
    let failure = diagnose(&native, &failed("with exit code 1", "x: Exec format error"));
    assert_eq!(failure.class, Class::Build);
    assert!(
        failure
            .hints
            .iter()
            .any(|h| h.contains("another architecture"))
    );
}

#[test]
fn images_that_are_too_small_have_a_hint() {
    for (line, hint) in [
        (
            "mkfs.ext4: Could not allocate block in ext2 filesystem while populating file system",
            "too small",
        ),
        ("mcopy: Disk full", "firmwareSize"),
        (
            "qemu: uncaught target signal 11 (Segmentation fault)",
            "emulator",
        ),
    ] {
        let failure = diagnose(&ending(100), &failed("with exit code 1", line));
        assert_eq!(failure.class, Class::Build);
        assert!(failure.hints.iter().any(|h| h.contains(hint)), "{line}");
    }
}

#[test]
fn no_space_for_another_namespace_is_no_full_disk() {
    let line = "sdbuild: private emulation: namespaces: unshare: No space left on device";
    let mut findings = Findings::default();
    findings.others.push_back(line.to_owned());
    let failure = diagnose(&ending(119), &findings);
    assert_eq!(failure.class, Class::Environment);
    let (text, hints) = (failure.to_string(), failure.hints.join(" "));
    assert!(text.contains("namespaces: unshare"), "{text}");
    assert!(
        hints.contains("max_user_namespaces") && !hints.contains("df -h"),
        "{hints}"
    );
}

#[test]
fn a_builder_that_was_not_held_says_so() {
    let mut findings = Findings::default();
    let said = "sdbuild: watchdog: nothing was heard for ten minutes";
    findings.others.push_back(said.into());
    let failure = diagnose(&ending(143), &findings);
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(
        text.ends_with("waited for it: nothing was heard for ten minutes"),
        "{text}"
    );
    assert!(failure.hints[0].contains("run it again"), "{failure:?}");
}

#[test]
fn ends_without_a_word() {
    for (code, class) in [
        (137, Class::Environment),
        (143, Class::Environment),
        (120, Class::Environment),
        (127, Class::Internal),
        (77, Class::Environment),
    ] {
        assert_eq!(
            diagnose(&ending(code), &Findings::default()).class,
            class,
            "{code}"
        );
    }
    let foreign = ExitContext {
        foreign: true,
        ..ending(127)
    };
    assert_eq!(diagnose(&foreign, &Findings::default()).class, Class::Usage);
    let mut findings = Findings::default();
    findings
        .others
        .push_back("sdbuild: the archive is no nixpkgs: it must hold one directory".into());
    assert_eq!(diagnose(&ending(120), &findings).class, Class::Usage);
    assert_eq!(
        diagnose(
            &ending(102),
            &said("hash mismatch in fixed-output derivation 'x'")
        )
        .class,
        Class::Build
    );
}

#[test]
fn nothing_is_said_twice() {
    let failure = diagnose(
        &ending(1),
        &said("The option `x' does not exist.\n  - In `/build/config/sd-card.nix': 5"),
    );
    assert_eq!(
        failure.to_string(),
        "evaluate the configuration: The option `x' does not exist. - In `pi/sd-card.nix': 5"
    );
    assert!(failure.log_tail.is_empty(), "{:?}", failure.log_tail);
    let elsewhere = diagnose(&ending(1), &said("infinite recursion encountered"));
    assert_eq!(
        elsewhere.to_string(),
        "evaluate the configuration pi/sd-card.nix: infinite recursion encountered"
    );
}

#[test]
fn endless_messages_are_cut() {
    let failure = diagnose(&ending(1), &said(&"ä".repeat(5000)));
    assert!(failure.to_string().chars().count() < 700);
}
