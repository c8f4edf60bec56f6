//! Exit statuses and messages, and the failures they become.

use super::*;
use crate::nixos::log::{NixError, Position};

fn context(code: i64) -> ExitContext<'static> {
    ExitContext {
        code,
        emulated: true,
        store: "sdbuild-store",
        shown_dir: "pi/",
        source: "pi/sd-card.nix",
        ..ExitContext::default()
    }
}

fn nix_error(summary: &str) -> NixError {
    NixError {
        summary: summary.into(),
        text: format!("error: {summary}"),
        position: None,
    }
}

fn with_error(summary: &str) -> Findings {
    Findings {
        nix_errors: vec![nix_error(summary)],
        ..Findings::default()
    }
}

fn with_failed_build(how: &str, line: &str) -> Findings {
    let message = format!("builder for '/nix/store/x-kernel.drv' failed {how}");
    let failed = FailedBuild {
        derivation: None,
        name: "kernel".into(),
        message: message.clone(),
        tail: vec![line.into()],
        known_errors: known_errors(line).collect(),
    };
    Findings {
        failed: Some(failed),
        ..with_error(&message)
    }
}

#[test]
fn a_failed_derivation_is_a_build_failure() {
    let failure = diagnose(
        &context(100),
        &with_failed_build("with exit code 3", "make: *** [all] Error 1"),
    );
    assert_eq!(failure.class, Class::Build);
    assert_eq!(
        failure.to_string(),
        "the build of kernel failed with exit code 3"
    );
    assert_eq!(failure.log_tail, ["make: *** [all] Error 1"]);
}

#[test]
fn configuration_errors_are_usage_failures() {
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
        let failure = diagnose(&context(1), &with_error(summary));
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
    let mut findings = with_error("syntax error, unexpected '}', expecting ';'");
    findings.nix_errors[0].position = Some(Position {
        file: "/build/config/sd-card.nix".into(),
        line: 7,
        column: 1,
    });
    findings.nix_errors[0].text =
        "error:\n  … while calling x\n  error: syntax error\n  at /build/config/sd-card.nix:7:1:\n\n  6| x".into();
    let failure = diagnose(&context(1), &findings);
    assert_eq!(
        failure.to_string(),
        "evaluate the configuration: pi/sd-card.nix:7:1: syntax error, unexpected '}', expecting ';'"
    );
    assert_eq!(
        failure.log_tail,
        ["error: syntax error", "at pi/sd-card.nix:7:1:", "6| x"]
    );
    let assertion = with_error(
        "\nFailed assertions:\n- networking.hostName: ‘bad_host!’ is not a valid host name",
    );
    assert!(
        diagnose(&context(1), &assertion)
            .to_string()
            .contains("Failed assertions:\n- networking")
    );
}

#[test]
fn hints_for_a_syntax_error_fit_what_nix_did_not_expect() {
    for (message, hint) in [
        ("unexpected ','", "no comma belongs there"),
        ("unexpected ID, expecting '.' or '='", "a `,`"),
        ("unexpected end of file", "or the file is empty"),
        ("unexpected '@', expecting ';'", "a quote before it"),
        ("unexpected '}'", "a bracket, a quote or a `;`"),
    ] {
        let failure = diagnose(
            &context(1),
            &with_error(&format!("syntax error, {message}")),
        );
        assert!(failure.hints[0].contains(hint), "{:?}", failure.hints);
    }
}

#[test]
fn two_definitions_in_one_line_name_it_once() {
    let mut findings =
        with_error("attribute 'a' already defined at /build/config/sd-card.nix:16:3");
    findings.nix_errors[0].position = Some(Position {
        file: "/build/config/sd-card.nix".to_owned(),
        line: 16,
        column: 30,
    });
    let failure = diagnose(&context(1), &findings);
    assert_eq!(
        failure.hints,
        ["keep one of the two definitions in line 16"]
    );
}

#[test]
fn machine_errors_are_environment_failures() {
    let full = "dd: error writing '/nix/x': No space left on device";
    for (findings, words) in [
        (with_failed_build("with exit code 1", full), "no space left"),
        (
            with_error("writing to file: No space left on device"),
            "no space left",
        ),
        (
            with_failed_build(
                "with exit code 1\nnote: build failure may have been caused by lack of free disk space",
                "",
            ),
            "no space left",
        ),
        (
            with_failed_build(
                "with exit code 2",
                "sh: can't fork: Resource temporarily unavailable",
            ),
            "another process",
        ),
        (
            with_error("unexpected EOF reading a line"),
            "another process",
        ),
        (
            with_failed_build(
                "with exit code 1",
                "error: executing '/nix/store/b': Exec format error",
            ),
            "handler vanished",
        ),
        (
            with_failed_build("due to signal 9 (Killed)", ""),
            "probably ran out of memory",
        ),
        (
            with_error("unable to download 'https://c/x.narinfo': Could not resolve hostname (6)"),
            "it needs: unable to download 'https://c/x.narinfo'",
        ),
        (
            with_error("interrupted by the user"),
            "stopped from outside",
        ),
    ] {
        let failure = diagnose(
            &context(if findings.failed.is_some() { 100 } else { 1 }),
            &findings,
        );
        assert_eq!(failure.class, Class::Environment, "{words}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.hints.is_empty(), "{words}");
    }
}

#[test]
fn an_unsigned_path_names_the_flag_to_trust_it() {
    let text = "cannot add path '/nix/store/x' because it lacks a signature by a trusted key";
    let failure = diagnose(&context(1), &with_error(text));
    assert_eq!(failure.class, Class::Usage);
    let flag = "--extra-trusted-public-keys KEY";
    assert!(failure.hints[0].ends_with(flag), "{:?}", failure.hints);
}

#[test]
fn a_cache_that_another_one_makes_good_is_not_the_cause() {
    let mut findings = with_failed_build("with exit code 3", "make: *** [all] Error 1");
    for text in [
        "hash mismatch importing path '/nix/store/x-a'",
        "unable to download 'http://c/nar/x.nar.zst': HTTP error 503",
        "unable to download 'http://c/nar/y.nar.zst': Timeout was reached (28)",
    ] {
        findings.nix_errors.insert(0, nix_error(text));
        assert_eq!(diagnose(&context(100), &findings).class, Class::Build);
    }
}

#[test]
fn the_newest_cache_of_a_damaged_path_is_named() {
    let mut findings = with_error("hash mismatch importing path '/nix/store/x-a';\n  got: y");
    for cache in ["http://old", "http://new"] {
        let fetch = ("/nix/store/x-a".to_owned(), cache.to_owned());
        findings.fetches.push_back(fetch);
    }
    let text = diagnose(&context(1), &findings).to_string();
    let said = "the binary cache http://new sent a damaged file for /nix/store/x-a";
    assert_eq!(text, said);
}

#[test]
fn out_of_memory_is_reported_by_the_kernel() {
    let killed = ExitContext {
        oom_killed: true,
        ..context(100)
    };
    let failure = diagnose(&killed, &with_failed_build("with exit code 137", "Killed"));
    assert_eq!(failure.class, Class::Environment);
    assert!(failure.to_string().contains("ran out of memory"));
    let failure = diagnose(
        &ExitContext {
            oom_killed: true,
            ..context(137)
        },
        &Findings::default(),
    );
    assert_eq!(failure.to_string(), "the builder ran out of memory");
}

#[test]
fn a_foreign_program_without_emulation_is_a_build_failure() {
    let native = ExitContext {
        emulated: false,
        ..context(100)
    };
    let failure = diagnose(
        &native,
        &with_failed_build("with exit code 1", "x: Exec format error"),
    );
    assert_eq!(failure.class, Class::Build);
    assert!(
        failure
            .hints
            .iter()
            .any(|h| h.contains("another architecture"))
    );
}

#[test]
fn partitions_that_are_too_small_have_a_hint() {
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
        let failure = diagnose(&context(100), &with_failed_build("with exit code 1", line));
        assert_eq!(failure.class, Class::Build);
        assert!(failure.hints.iter().any(|h| h.contains(hint)), "{line}");
    }
}

#[test]
fn no_space_for_a_namespace_is_not_a_full_disk() {
    let line = "sdbuild: private emulation: namespaces: unshare: No space left on device";
    let mut findings = Findings::default();
    findings.other_lines.push_back(line.to_owned());
    let failure = diagnose(&context(119), &findings);
    assert_eq!(failure.class, Class::Environment);
    let (text, hints) = (failure.to_string(), failure.hints.join(" "));
    assert!(text.contains("namespaces: unshare"), "{text}");
    assert!(
        hints.contains("max_user_namespaces") && !hints.contains("df -h"),
        "{hints}"
    );
}

#[test]
fn a_builder_ended_by_its_watchdog_is_explained() {
    let mut findings = Findings::default();
    let line = "sdbuild: watchdog: nothing was heard for ten minutes";
    findings.other_lines.push_back(line.into());
    let failure = diagnose(&context(143), &findings);
    assert_eq!(failure.class, Class::Environment);
    let text = failure.to_string();
    assert!(
        text.ends_with("had lost sdbuild: nothing was heard for ten minutes"),
        "{text}"
    );
    assert!(failure.hints[0].contains("run it again"), "{failure:?}");
}

#[test]
fn exit_statuses_without_a_message() {
    for (code, class) in [
        (137, Class::Environment),
        (143, Class::Environment),
        (120, Class::Environment),
        (127, Class::Internal),
        (77, Class::Environment),
    ] {
        assert_eq!(
            diagnose(&context(code), &Findings::default()).class,
            class,
            "{code}"
        );
    }
    let foreign = ExitContext {
        foreign: true,
        ..context(127)
    };
    assert_eq!(diagnose(&foreign, &Findings::default()).class, Class::Usage);
    let mut findings = Findings::default();
    findings.other_lines.push_back(
        "sdbuild: the archive is not a nixpkgs checkout: it must hold one directory".into(),
    );
    assert_eq!(diagnose(&context(120), &findings).class, Class::Usage);
    assert_eq!(
        diagnose(
            &context(102),
            &with_error("hash mismatch in fixed-output derivation 'x'")
        )
        .class,
        Class::Build
    );
}

#[test]
fn messages_are_not_repeated() {
    let failure = diagnose(
        &context(1),
        &with_error("The option `x' does not exist.\n  - In `/build/config/sd-card.nix': 5"),
    );
    assert_eq!(
        failure.to_string(),
        "evaluate the configuration: The option `x' does not exist.\n- In `pi/sd-card.nix': 5"
    );
    assert!(failure.log_tail.is_empty(), "{:?}", failure.log_tail);
    let elsewhere = diagnose(&context(1), &with_error("infinite recursion encountered"));
    assert_eq!(
        elsewhere.to_string(),
        "evaluate the configuration pi/sd-card.nix: infinite recursion encountered"
    );
}

#[test]
fn long_messages_are_truncated() {
    let failure = diagnose(&context(1), &with_error(&"ä".repeat(5000)));
    assert!(failure.to_string().chars().count() < 700);
}

#[test]
fn errors_of_flakes_are_explained() {
    // As Nix 2.26 reports them.
    for (message, hint) in [
        (
            "flake 'path:/build/config' requires lock file changes but they're not allowed due to '--no-update-lock-file'",
            "`sdbuild lock`",
        ),
        (
            "'flake:nixpkgs' is an indirect flake reference, but registry lookups are not allowed",
            "give the input a URL",
        ),
        (
            "path '//home/me/nixpkgs' does not exist",
            "--override-input",
        ),
        (
            "access to absolute path '/etc/passwd' is forbidden in pure evaluation mode (use '--impure' to override)",
            "in pure mode",
        ),
        ("attribute 'currentSystem' missing", "in pure mode"),
        (
            "cannot look up '<nixpkgs>' in pure evaluation mode (use '--impure' to override)",
            "in pure mode",
        ),
    ] {
        let failure = diagnose(&context(1), &with_error(message));
        assert_eq!(failure.class, Class::Usage, "{message}");
        assert!(failure.hints.concat().contains(hint), "{failure:?}");
    }
}
