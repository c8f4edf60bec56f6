//! Recorded builds that failed: `tests/streams` has Nix's standard error of each.

use super::*;
use crate::nixos::build_log::BuildLog;
use crate::nixos::log::Log;
use sdbuild_core::system::System;

/// The failure of a build with the log `stream` and the exit status `code`.
fn failure(stream: &str, code: i64) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let mut log = Log::default();
    for line in stream.lines() {
        if let Some(event) = log.line(line) {
            build_log.note(&event, log.take_error());
        }
    }
    let (findings, write_error) = build_log.finish();
    assert!(write_error.is_none());
    let context = ExitContext {
        code,
        emulated: Some(System::Aarch64Linux),
        store: "sdbuild-store",
        shown_dir: "pi/",
        source: "pi/c.nix",
        in_words: "the configuration pi/c.nix",
        ..ExitContext::default()
    };
    diagnose(&context, &findings)
}

macro_rules! stream {
    ($name:literal) => {
        include_str!(concat!("../../../tests/streams", $name, ".log"))
    };
}

/// Asserts the class, a part of the message and a part of the first hint.
#[track_caller]
fn assert_failure(failure: &Failure, class: Class, message: &str, hint: &str) {
    assert_eq!(failure.class, class, "{failure}");
    assert!(failure.to_string().contains(message), "{failure}");
    let first = failure.hints.first().map_or("no hint", String::as_str);
    assert!(first.contains(hint), "{first}");
}

#[test]
fn a_configuration_without_an_image() {
    let failure = failure(stream!("no-sd-image"), 1);
    assert_failure(
        &failure,
        Class::Usage,
        "pi/c.nix: attribute 'sdImage' in selection path 'config.system.build.sdImage' not found",
        "imports = [ (modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\") ];",
    );
}

#[test]
fn a_remote_builder_that_was_killed() {
    let failure = failure(stream!("builder-lost"), 1);
    assert_failure(
        &failure,
        Class::Environment,
        "a remote builder was lost while it built linux-6.12: Nix daemon disconnected unexpectedly",
        "run it again",
    );
}

#[test]
fn a_remote_builder_that_went_away() {
    let failure = failure(stream!("builder-refused"), 1);
    let message = "a remote builder can no longer be used: cannot build on 'ssh-ng://root@pi.lan'";
    assert_failure(&failure, Class::Environment, message, "run it again");
}

#[test]
fn an_unfree_package() {
    let failure = failure(stream!("unfree"), 1);
    assert_failure(
        &failure,
        Class::Usage,
        "Refusing to evaluate package 'secret-1.37.0'",
        "nixpkgs.config.allowUnfreePredicate = pkg: builtins.elem (lib.getName pkg) [ \"secret\" ];",
    );
    assert!(!failure.to_string().contains("nix-env"), "{failure}");
    assert!(failure.log_tail.is_empty(), "{:?}", failure.log_tail);
}

#[test]
fn an_option_that_was_removed() {
    let failure = failure(stream!("option-gone"), 1);
    let message = "`sdImage.bootSize' in `pi/c.nix' no longer has any effect; please remove it.\nThe boot files";
    assert_failure(&failure, Class::Usage, message, "remove the option");
}

#[test]
fn an_option_that_does_not_exist() {
    let failure = failure(stream!("unknown-option"), 1);
    let message = "The option `networking.hotsName' does not exist";
    let hint = "did you mean networking.hostName? All options";
    assert_failure(&failure, Class::Usage, message, hint);
}

#[test]
fn a_package_that_was_renamed() {
    let failure = failure(stream!("package-renamed"), 1);
    let message = "'_1password' has been renamed to/replaced by '_1password-cli'";
    assert_failure(
        &failure,
        Class::Usage,
        message,
        "write _1password-cli instead",
    );
}

#[test]
fn a_package_that_does_not_exist() {
    let failure = failure(stream!("missing-attribute"), 1);
    let message = "pi/c.nix:3:34: attribute 'nosuchthing' missing";
    assert_failure(&failure, Class::Usage, message, "search.nixos.org/packages");
}

#[test]
fn an_undefined_variable() {
    let failure = failure(stream!("undefined-variable"), 1);
    let message = "pi/c.nix:3:43: undefined variable 'htop'";
    assert_failure(&failure, Class::Usage, message, "write pkgs.htop");
}

#[test]
fn a_syntax_error_shows_its_line() {
    let failure = failure(stream!("syntax"), 1);
    let message = "pi/c.nix:4:27: syntax error, unexpected '=', expecting ';'";
    assert_failure(&failure, Class::Usage, message, "a `;` is missing");
    let lines: Vec<&str> = failure.log_tail.iter().map(|line| line.trim()).collect();
    assert!(
        lines.contains(&"3|   networking.hostName = \"x\""),
        "{lines:?}"
    );
    assert!(
        lines.contains(&"4|   services.openssh.enable = true;"),
        "{lines:?}"
    );
}

#[test]
fn a_syntax_error_is_not_repeated_in_nixs_words() {
    let eq = stream!("double-equals");
    let in_string = eq.replace(
        "EQ, expecting '.' or '='",
        "end of file, expecting IND_STR or DOLLAR_CURLY or IND_STRING_CLOSE",
    );
    for (stream, words) in [
        (eq, "unexpected '==', expecting '.' or '='"),
        (
            &in_string,
            "unexpected end of file, expecting text or '${' or end of string",
        ),
    ] {
        let failure = failure(stream, 1);
        assert!(failure.to_string().ends_with(words), "{failure}");
        let lines = failure.log_tail.join("\n");
        assert!(
            !lines.contains("syntax error") && !lines.contains("at pi/"),
            "{lines}"
        );
        assert!(
            lines.contains("3|   services.openssh.enable == true;"),
            "{lines}"
        );
    }
}

#[test]
fn a_file_that_git_does_not_track() {
    let failure = failure(stream!("untracked"), 1);
    assert_failure(
        &failure,
        Class::Usage,
        "new.nix' does not exist",
        "git add new.nix",
    );
}

#[test]
fn a_wrong_hash_comes_with_the_right_one() {
    let failure = failure(stream!("hash-mismatch"), 102);
    assert_failure(
        &failure,
        Class::Build,
        "hash mismatch in fixed-output derivation",
        "write sha256-7Qi6jzsUYY8Pu32Ipgm1CyTxAe1d4aMWWjskSf6a0D0= instead of \
         sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
    );
}

#[test]
fn a_program_of_another_architecture() {
    let failure = failure(stream!("exec-format"), 100);
    assert_failure(
        &failure,
        Class::Environment,
        "binfmt_misc entry vanished",
        "(a restart of systemd-binfmt does), or sdbuild's registrar, the container that holds the entry, was stopped",
    );
    assert_eq!(
        failure.log_tail,
        ["error: executing '/cfg/arm': Exec format error"]
    );
}

#[test]
fn a_server_that_cannot_be_resolved() {
    let failure = failure(stream!("unreachable"), 1);
    let message = "could not reach a server that it needs: unable to download 'https://cache.nosuch.invalid/x'";
    assert_failure(&failure, Class::Environment, message, "check the network");
    // It is not an address of a cache.
    assert_eq!(failure.hints.len(), 1, "{:?}", failure.hints);
}

#[test]
fn an_invalid_certificate() {
    for stream in [stream!("certificate"), stream!("certificate-expired")] {
        let failure = failure(stream, 1);
        let message =
            "the certificate of a server is not valid: unable to download 'https://localhost:443";
        assert_failure(&failure, Class::Environment, message, "clock");
    }
}

#[test]
fn a_download_that_stalls() {
    let failure = failure(stream!("download-stalled"), 1);
    let message =
        "does not answer: unable to download 'http://localhost:4433/x': Timeout was reached (28)";
    assert_failure(&failure, Class::Environment, message, "run it again");
}
