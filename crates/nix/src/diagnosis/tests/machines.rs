//! Failures whose cause is the machine, the network, a binary cache or the emulation.

use super::super::*;
use super::exits::{context, facts, nix_error, with_error, with_failed_build};
use super::findings;
use super::recording;
use crate::shell_session::Derivation;

/// A machine whose store volume has `bytes`, and nothing else wrong.
fn machine(bytes: u64) -> Machine {
    Machine {
        bytes: Some(bytes),
        inodes: Some(1_000_000),
        killed: Some(0),
        refused: Some(0),
        lost_handler: false,
    }
}

/// A text, how the derivation that wrote it failed, what confirms it, and what the failure says then.
type Suspicion = (&'static str, &'static str, fn(&mut Findings), &'static str);

/// Packages whose tests print a text and fail for another reason, and those of which it is true.
#[test]
fn a_text_of_a_build_counts_only_if_something_confirms_it() {
    const FULL: &str = "dd: error writing '/nix/x': No space left on device";
    const FORK: &str = "sh: fork: retry: Resource temporarily unavailable";
    const EXEC: &str = "error: executing '/nix/store/b': Exec format error";
    const KILLED: &str = "g++: fatal error: Killed signal terminated program cc1plus";
    const HOST: &str = "curl: (6) Could not resolve host: c.example";
    const TLS: &str = "curl: (60) SSL peer certificate was not OK";
    const NOTE: &str = "1\nnote: build failure may have been caused by lack of free disk space";
    let fixed: fn(&mut Findings) =
        |f| f.failed.as_mut().unwrap().facts = Some(facts("aarch64-linux", true));
    let suspicions: [Suspicion; 8] = [
        (FULL, "1", |f| f.machine.bytes = Some(4096), "no space left"),
        (FULL, "1", |f| f.machine.inodes = Some(0), "no space left"),
        (
            FORK,
            "2",
            |f| f.machine.refused = Some(3),
            "start another process",
        ),
        (
            EXEC,
            "1",
            |f| f.machine.lost_handler = true,
            "entry vanished",
        ),
        (
            KILLED,
            "1",
            |f| f.machine.killed = Some(1),
            "ran out of memory",
        ),
        (HOST, "1", fixed, "could not reach a server"),
        (TLS, "1", fixed, "the certificate of a server"),
        (FULL, NOTE, |_| (), "no space left"),
    ];
    for (line, code, confirm, words) in suspicions {
        let code = format!("with exit code {code}");
        let mut findings = with_failed_build(&code, line);
        findings.machine = machine(60 << 30);
        findings.failed.as_mut().unwrap().facts = Some(facts("aarch64-linux", false));
        if !code.contains("note:") {
            let ordinary = diagnose(&context(100), &findings);
            assert_eq!(ordinary.class, Class::Build, "{line}: {ordinary}");
            assert_eq!(ordinary.log_tail, [line]);
            assert!(ordinary.hints.is_empty(), "{line}: {ordinary:?}");
        }
        confirm(&mut findings);
        let failure = diagnose(&context(100), &findings);
        assert_eq!(failure.class, Class::Environment, "{words}: {failure}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.hints.is_empty(), "{words}");
    }
}

#[test]
fn errors_of_nix_itself_are_environment_failures() {
    let unresolved = "unable to download 'https://c/x.narinfo': Could not resolve hostname (6)";
    let killed = with_failed_build("due to signal 9 (Killed)", "");
    for (findings, words) in [
        (
            with_error("writing to file: No space left on device"),
            "no space left",
        ),
        (
            with_error("unexpected EOF reading a line"),
            "another process",
        ),
        (killed, "probably ran out of memory"),
        (
            with_error(unresolved),
            "it needs: unable to download 'https://c/x.narinfo'",
        ),
        (
            with_error("interrupted by the user"),
            "stopped from outside",
        ),
    ] {
        let code = if findings.failed.is_some() { 100 } else { 1 };
        let failure = diagnose(&context(code), &findings);
        assert_eq!(failure.class, Class::Environment, "{words}");
        assert!(failure.to_string().contains(words), "{failure}");
        assert!(!failure.hints.is_empty(), "{words}");
    }
    let mut thrown = with_error("No space left on device");
    thrown.nix_errors[0].text =
        "error:\n  … while evaluating x\n  error: No space left on device".into();
    thrown.machine = machine(60 << 30);
    assert_eq!(diagnose(&context(1), &thrown).class, Class::Usage);
}

#[test]
fn a_signal_is_a_lack_of_memory_only_if_the_kernel_sent_it() {
    let mut findings = with_failed_build("due to signal 9 (Killed)", "a test ends its own group");
    findings.machine = machine(60 << 30);
    assert_eq!(diagnose(&context(100), &findings).class, Class::Build);
    findings.machine.killed = Some(2);
    let failure = diagnose(&context(100), &findings);
    assert_eq!(failure.to_string(), "the build of kernel ran out of memory");
}

#[test]
fn a_full_disk_of_a_remote_builder_is_not_the_store_volume() {
    let how =
        "with exit code 1\nnote: build failure may have been caused by lack of free disk space";
    let mut findings = with_failed_build(how, "");
    findings.failed.as_mut().unwrap().machine = "ssh-ng://pi".into();
    findings.machine = machine(60 << 30);
    let failure = diagnose(&context(100), &findings);
    assert_eq!(
        failure.to_string(),
        "no space left on the remote builder ssh-ng://pi"
    );
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
fn out_of_memory_is_reported_by_the_kernel() {
    let built = with_failed_build("with exit code 137", "Killed");
    for (code, findings) in [(100, built), (137, Findings::default())] {
        let killed = ExitContext {
            oom_killed: true,
            ..context(code)
        };
        let failure = diagnose(&killed, &findings);
        assert_eq!(failure.class, Class::Environment);
        assert!(
            failure.to_string().ends_with("ran out of memory"),
            "{failure}"
        );
    }
}

#[test]
fn a_download_without_a_network_is_no_error_of_a_server() {
    let offline = ExitContext {
        offline: true,
        ..context(1)
    };
    let line = "unable to download 'https://h.example/x': Could not resolve hostname (6) Could not resolve host: h.example";
    let evaluated = with_error(line);
    let mut built = with_failed_build("with exit code 1", line);
    built.failed.as_mut().unwrap().facts = Some(facts("aarch64-linux", true));
    for (findings, what) in [
        (&evaluated, "https://h.example/x is fetched"),
        (&built, "the build of"),
    ] {
        let failure = diagnose(&offline, findings);
        assert_eq!(failure.class, Class::Environment);
        let text = failure.to_string();
        assert!(
            text.contains("no network (--offline)") && text.contains(what),
            "{text}"
        );
        let online = diagnose(&context(1), findings).to_string();
        assert!(!online.contains("--offline"), "{online}");
    }
    let refused = diagnose(&offline, &with_error("syntax error"));
    assert_eq!(refused.class, Class::Usage);
}

#[test]
fn a_foreign_program_without_emulation_is_a_build_failure() {
    let native = ExitContext {
        emulated: None,
        ..context(100)
    };
    let findings = with_failed_build("with exit code 1", "x: Exec format error");
    let failure = diagnose(&native, &findings);
    assert_eq!(failure.class, Class::Build);
    assert_eq!(failure.hints, [Row::NoEmulation.advice().text()]);
}

#[test]
fn an_image_that_was_computed_too_small_is_not_a_full_disk() {
    const IMAGE: &str = "/nix/store/00000000000000000000000000000000-nixos.img.drv";
    const BLOCK: &str = "mkfs.ext4: Could not allocate block in ext2 filesystem";
    const POPULATE: &str = "mke2fs: No space left on device while populating file system";
    for (name, line, row) in [
        ("ext4-fs.img", BLOCK, Some(Row::RootTooSmall)),
        ("ext4-fs.img.zst", POPULATE, Some(Row::RootTooSmall)),
        ("nixos.img", "mcopy: Disk full", Some(Row::FirmwareTooSmall)),
        ("mtools-4.0", "mcopy: Disk full", None),
        ("e2fsprogs-1.47", POPULATE, None),
    ] {
        let mut findings = with_failed_build("with exit code 1", line);
        findings.machine = machine(60 << 30);
        let failed = findings.failed.as_mut().unwrap();
        failed.name = name.into();
        failed.derivation = (name == "nixos.img").then(|| Derivation::new(IMAGE).unwrap());
        let of_image = ExitContext {
            image: Some(IMAGE),
            ..context(100)
        };
        let failure = diagnose(&of_image, &findings);
        assert_eq!(failure.class, Class::Build);
        let hints: Vec<_> = row.into_iter().map(|row| row.advice().text()).collect();
        assert_eq!(failure.hints, hints, "{name}");
        findings.machine = machine(0);
        let full = diagnose(&of_image, &findings);
        let is_full = full.class == Class::Environment;
        assert_eq!(is_full, line == POPULATE, "{name}: {full}");
    }
}

#[test]
fn what_the_builders_own_programs_report_is_the_reason() {
    let namespaces = "namespaces: unshare: No space left on device";
    for (code, line, class, reason, row) in [
        (
            119,
            "private emulation: ",
            Class::Environment,
            namespaces,
            Row::PrivateHandler,
        ),
        (
            143,
            "watchdog: ",
            Class::Environment,
            "nothing was heard",
            Row::Interrupted,
        ),
        (
            122,
            "glue: lacking: kvm: ",
            Class::Build,
            "disks",
            Row::WrongPlatform,
        ),
    ] {
        let mut findings = Findings::default();
        findings
            .other_lines
            .push_back(format!("sdbuild: {line}{reason}"));
        let failure = diagnose(&context(code), &findings);
        assert_eq!(failure.class, class, "{line}");
        assert!(failure.to_string().contains(reason), "{failure}");
        assert_eq!(failure.hints, [row.advice().text()]);
    }
}

#[test]
fn a_name_server_that_does_not_answer_is_told_apart() {
    let hints = |reason: &str| {
        let error = format!("unable to download 'https://c/x.narinfo': {reason}");
        diagnose(&context(1), &with_error(&error)).hints
    };
    let dns = "check the network and the engine's DNS";
    let resolving = hints("Timeout was reached (28) Resolving timed out after 15000 milliseconds");
    assert!(resolving.iter().any(|hint| hint == dns), "{resolving:?}");
    let connected = hints("Timeout was reached (28)");
    assert!(!connected.iter().any(|hint| hint == dns), "{connected:?}");
}

/// The failure of a build whose log is the recording `name`: of a derivation that may use the network, with a handler that is gone.
fn recorded(name: &str, code: i64) -> Failure {
    let stream = String::from_utf8(recording(&format!("{name}.log"))).unwrap();
    let mut findings = findings(&stream);
    findings.machine.lost_handler = true;
    if let Some(failed) = &mut findings.failed {
        failed.facts = Some(facts("builtin", true));
    }
    diagnose(&context(code), &findings)
}

#[test]
fn recorded_failures_of_the_machine_have_their_class() {
    use Class::{Build, Environment, Usage};
    for (name, code, class, row) in [
        ("builder-lost", 1, Environment, Row::BuilderLost),
        ("builder-refused", 1, Environment, Row::BuilderLost),
        ("exec-format", 100, Environment, Row::NoHandler),
        ("unreachable", 1, Environment, Row::CheckNetwork),
        ("certificate", 1, Environment, Row::Clock),
        ("certificate-expired", 1, Environment, Row::Clock),
        ("download-stalled", 1, Environment, Row::RunAgain),
        ("fetch-refused", 1, Environment, Row::CheckAddress),
        ("fetch-unresolved", 1, Environment, Row::CheckAddress),
        ("fetch-git", 1, Environment, Row::CheckAddress),
        ("fetch-not-found", 1, Usage, Row::UrlNotFound),
        ("hash-mismatch", 102, Build, Row::WrongHash),
    ] {
        let failure = recorded(name, code);
        assert_eq!(failure.class, class, "{name}: {failure}");
        let begin = row.advice().text();
        let begin = begin.split('{').next().unwrap();
        assert!(failure.hints[0].starts_with(begin), "{name}: {failure:?}");
    }
}
