//! Exit statuses and messages, and the failures they become.

use super::super::*;
use crate::log::Position;
use crate::user_files::UserFiles;
use sdbuild_core::system::System;

pub(super) fn context(code: i64) -> ExitContext<'static> {
    ExitContext {
        code,
        emulated: Some(System::Aarch64Linux),
        store: "sdbuild-store",
        shown_dir: "pi/",
        source: "pi/sd-card.nix",
        in_words: "the configuration pi/sd-card.nix",
        ..ExitContext::default()
    }
}

pub(super) fn nix_error(summary: &str) -> NixError {
    NixError {
        summary: summary.into(),
        text: format!("error: {summary}"),
        position: None,
    }
}

pub(super) fn with_error(summary: &str) -> Findings {
    Findings {
        nix_errors: vec![nix_error(summary)],
        ..Findings::default()
    }
}

pub(super) fn with_failed_build(how: &str, line: &str) -> Findings {
    let message = format!("builder for '/nix/store/x-kernel.drv' failed {how}");
    let failed = FailedBuild {
        derivation: None,
        name: "kernel".into(),
        message: message.clone(),
        tail: vec![line.into()],
        known_errors: known_errors(line).collect(),
        ..FailedBuild::default()
    };
    Findings {
        failed: Some(failed),
        ..with_error(&message)
    }
}

/// The facts of a derivation for `system`.
pub(super) fn facts(system: &str, is_fixed_output: bool) -> DerivationFacts {
    DerivationFacts {
        system: system.into(),
        is_fixed_output,
    }
}

#[test]
fn facts_of_a_derivation_are_in_the_beginning_of_its_file() {
    let of = |outputs: &str, inputs: &str| {
        let text = format!(
            r#"Derive([{outputs}],[{inputs}],["/nix/store/s"],"aarch64-linux","/nix/store/b",["-e"],[("system","x")])"#
        );
        DerivationFacts::parse(&text)
    };
    let inputs = r#"("/nix/store/a.drv",["out"]),("/nix/store/c.drv",["bin","dev"])"#;
    for inputs in ["", inputs] {
        let plain = r#"("dev","/nix/store/d","",""),("out","/nix/store/o","","")"#;
        assert_eq!(of(plain, inputs), Some(facts("aarch64-linux", false)));
        let fixed = r#"("out","/nix/store/o","r:sha256","0123")"#;
        assert_eq!(of(fixed, inputs), Some(facts("aarch64-linux", true)));
    }
    assert_eq!(DerivationFacts::parse("Derive([(\"out\""), None);
}

#[test]
fn phase_and_emulation_are_shown_and_failed_checks_advised() {
    let failed = |phase: &str, system: &str, machine: &str| {
        let mut findings = with_failed_build("with exit code 2", "1 test failed");
        let failed = findings.failed.as_mut().unwrap();
        failed.phase = Some(phase.to_owned());
        failed.facts = Some(facts(system, false));
        failed.machine = machine.to_owned();
        diagnose(&context(100), &findings)
    };
    let emulated = failed("checkPhase", "aarch64-linux", "");
    assert!(
        emulated
            .to_string()
            .ends_with("with exit code 2 in checkPhase, under emulation")
    );
    assert!(
        emulated.hints[0].contains("doCheck = false"),
        "{emulated:?}"
    );
    let installed = failed("installCheckPhase", "aarch64-linux", "");
    assert!(installed.hints[0].contains("doInstallCheck = false"));
    for (phase, system, machine) in [
        ("buildPhase", "aarch64-linux", ""),
        ("checkPhase", "x86_64-linux", ""),
        ("checkPhase", "aarch64-linux", "ssh-ng://pi"),
    ] {
        let failure = failed(phase, system, machine);
        assert!(failure.hints.is_empty(), "{failure:?}");
        let shows_emulation = failure.to_string().contains("under emulation");
        assert_eq!(shows_emulation, phase == "buildPhase", "{failure}");
    }
}

#[test]
fn a_file_of_an_input_gets_no_advice_for_files_of_the_user() {
    const INPUT: &str = "/nix/store/00000000000000000000000000000000-source";
    let dir = tempfile::tempdir().unwrap();
    let flake = "inputs: inputs.nixos-raspberrypi.lib.nixosSystem { }";
    std::fs::write(dir.path().join("flake.nix"), flake).unwrap();
    let files = UserFiles::new(dir.path());
    let calling = ExitContext {
        files: Some(&files),
        ..context(1)
    };
    let missing_in = |context: &ExitContext<'_>, name: &str, file: &str, traces: &[&str]| {
        let mut findings = with_error(&format!("attribute '{name}' missing"));
        findings.nix_errors[0].position = Some(Position {
            file: format!("{INPUT}/{file}"),
            line: 7,
            column: 1,
        });
        for words in traces {
            let trace = format!(
                r#"@nix {{"action":"msg","level":0,"msg":"trace: sdbuild: inputs: {words}"}}"#
            );
            assert!(findings.packages.note(&trace), "{trace}");
        }
        diagnose(context, &findings).hints
    };
    let missing =
        |name: &str, file: &str, traces: &[&str]| missing_in(&context(1), name, file, traces);
    let hints = |file: &str, traces: &[&str]| missing("raspberrypi-utils", file, traces);
    let maker = format!("nixos-raspberrypi={INPUT}=nixosSystem other=/nix/store/x=y");
    let without = missing("specialArgs", "lib/internal.nix", &[&maker]);
    let pass = "specialArgs = { inherit nixos-raspberrypi; }";
    assert!(without[0].contains(pass), "{without:?}");
    let named = hints("modules/pi.nix", &[&maker]);
    let module = "<nixos-raspberrypi>/modules/pi.nix is a module";
    assert!(named[0].contains(module), "{named:?}");
    let function = "write nixos-raspberrypi.lib.nixosSystem";
    assert!(named[0].contains(function), "{named:?}");
    let called = missing_in(&calling, "linux-kernel", "modules/pi.nix", &[&maker]);
    assert!(
        !called.iter().any(|hint| hint.contains(function)),
        "{called:?}"
    );
    let unnamed = hints("modules/pi.nix", &[]);
    let file = "modules/pi.nix is a file of an input";
    assert!(unnamed[0].starts_with(file), "{unnamed:?}");
    let of_nixpkgs = hints("nixos/modules/x.nix", &[]);
    assert!(!of_nixpkgs[0].contains("input"), "{of_nixpkgs:?}");
}

#[test]
fn a_board_does_not_emulate_itself() {
    let text = "assertion '(system != (pkgs).stdenv.hostPlatform.system)' failed";
    let mut findings = with_error(text);
    assert!(diagnose(&context(1), &findings).hints.is_empty());
    findings.nix_errors[0].position = Some(Position {
        file: "/nix/var/sdbuild/nixpkgs/x/nixos/modules/system/boot/binfmt.nix".into(),
        line: 260,
        column: 9,
    });
    let hints = diagnose(&context(1), &findings).hints;
    let names = "boot.binfmt.emulatedSystems names";
    assert!(hints[0].starts_with(names), "{hints:?}");
}

#[test]
fn a_missing_module_is_named_with_what_asks_for_it() {
    let line =
        "modprobe: FATAL: Module dw-hdmi not found in directory /nix/store/x/lib/modules/6.12";
    let mut findings = with_failed_build("with exit code 1", line);
    assert!(diagnose(&context(100), &findings).hints.is_empty());
    findings.failed.as_mut().unwrap().name = "linux-6.12-modules-shrunk".into();
    let hints = diagnose(&context(100), &findings).hints;
    assert!(
        hints[0].starts_with("the kernel has no module dw-hdmi"),
        "{hints:?}"
    );
}

#[test]
fn a_failed_derivation_is_a_build_failure() {
    let mut findings = with_failed_build("with exit code 3", "make: *** [all] Error 1");
    let failure = diagnose(&context(100), &findings);
    assert_eq!(failure.class, Class::Build);
    let text = "the build of kernel failed with exit code 3";
    assert_eq!(failure.to_string(), text);
    assert_eq!(failure.log_tail, ["make: *** [all] Error 1"]);
    findings.failed.as_mut().unwrap().tail.clear();
    let silent = diagnose(&context(100), &findings).to_string();
    assert_eq!(silent, format!("{text}: it printed nothing"));
}

#[test]
fn exit_statuses_without_a_message() {
    let foreign = |code| ExitContext {
        foreign: true,
        ..context(code)
    };
    let none = Findings::default;
    let mut archive = none();
    let line = "sdbuild: the archive is not a nixpkgs checkout: it must hold one directory";
    archive.other_lines.push_back(line.into());
    let hash = with_error("hash mismatch in fixed-output derivation 'x'");
    for (context, findings, class) in [
        (context(137), none(), Class::Environment),
        (context(143), none(), Class::Environment),
        (context(120), none(), Class::Environment),
        (context(77), none(), Class::Environment),
        (context(127), none(), Class::Internal),
        (foreign(127), none(), Class::Usage),
        (context(120), archive, Class::Usage),
        (context(102), hash, Class::Build),
    ] {
        assert_eq!(
            diagnose(&context, &findings).class,
            class,
            "{}",
            context.code
        );
    }
}

#[test]
fn messages_are_not_repeated() {
    let text = "The option `x' does not exist.\n  - In `/build/config/sd-card.nix': 5";
    let failure = diagnose(&context(1), &with_error(text));
    assert!(
        failure
            .to_string()
            .ends_with("not exist.\n- In `pi/sd-card.nix': 5"),
        "{failure}"
    );
    assert!(failure.log_tail.is_empty(), "{:?}", failure.log_tail);
    let long = diagnose(&context(1), &with_error(&"ä".repeat(5000)));
    assert!(long.to_string().chars().count() < 700);
}

#[test]
fn an_input_without_a_lock_names_the_command_that_locks_it() {
    let commit = "api.github.com/repos/NixOS/nixpkgs/commits/nixos-26.05";
    let failed = |context: &ExitContext<'_>, address: &str| {
        let reason = "Could not resolve hostname (6) Could not resolve host: h";
        let message = format!("unable to download 'https://{address}': {reason}");
        diagnose(context, &with_error(&message))
    };
    let failure = failed(&context(1), commit);
    assert_eq!(failure.class, Class::Environment);
    assert!(
        failure.hints.concat().contains("`sdbuild lock`"),
        "{failure:?}"
    );
    let overridden = ExitContext {
        overrides: &[("base".to_owned(), "github:NixOS/nixpkgs".to_owned())],
        ..context(1)
    };
    let failure = failed(&overridden, commit);
    assert!(
        failure
            .to_string()
            .contains("the newest commit of the input base is"),
        "{failure}"
    );
    assert!(
        failure.hints[1].starts_with("--override-input base asks"),
        "{failure:?}"
    );
    let of_lock = ExitContext {
        command: "sdbuild lock --flake",
        ..context(1)
    };
    for address in [
        commit,
        "channels.nixos.org/flake-registry.json",
        "h.example/x.tar.gz",
    ] {
        let failure = failed(&of_lock, address);
        assert!(failure.to_string().starts_with("lock "), "{failure}");
        assert!(
            !failure.hints.concat().contains("`sdbuild lock`"),
            "{failure:?}"
        );
    }
}

#[test]
fn an_output_that_the_flake_does_not_have_is_suggested() {
    for (message, hint) in [
        (
            "no configuration kitchn. Its configurations are pi#kitchen, pi#attic",
            "did you mean pi#kitchen?",
        ),
        (
            "no attribute nixosConfiguration.kitchen, because x. It has y. Its configurations are pi#kitchen",
            "did you mean pi#kitchen?",
        ),
        (
            "no nixosConfigurations. It has nixosConfiguration, packages",
            "rename nixosConfiguration",
        ),
        (
            "a nixosConfigurations without a configuration",
            "define one in the outputs",
        ),
        (
            "several configurations. Name one of them: pi#kitchen, pi#attic",
            "for instance: sdbuild check pi#kitchen",
        ),
    ] {
        let of_flake = ExitContext {
            command: "sdbuild check",
            is_flake: true,
            in_words: "the flake pi",
            source: "pi",
            ..context(1)
        };
        let failure = diagnose(
            &of_flake,
            &with_error(&format!("the flake pi has {message}")),
        );
        assert!(failure.hints[0].starts_with(hint), "{:?}", failure.hints);
    }
}
