//! Recorded mistakes of beginners: `tests/streams` has the configuration and Nix's standard error of each, without the lines
//! about progress.

use super::*;
use crate::nixos::build_log::BuildLog;
use crate::nixos::cli_module::CliModule;
use crate::nixos::log::Log;
use crate::nixos::user_files::UserFiles;

/// The failure of a build of `c.nix` with the text `nix`, the log `stream` and the values `set` of `--set`.
fn failure(nix: &str, stream: &str, set: &[&str]) -> Failure {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("pi");
    std::fs::create_dir(&root).unwrap();
    std::fs::write(root.join("c.nix"), nix).unwrap();
    std::fs::write(root.join("wifi.nix"), "{ }").unwrap();
    std::fs::write(root.join(".gitignore"), "wifi.nix\n").unwrap();
    std::fs::write(dir.path().join("common.nix"), "{ }").unwrap();
    let mut build_log = BuildLog::create(&dir.path().join("log")).unwrap();
    let mut log = Log::default();
    for line in stream.lines() {
        if let Some(event) = log.line(line) {
            build_log.note(&event, log.take_error());
        }
    }
    let (findings, _) = build_log.finish();
    let mut cli_module = CliModule::default();
    for text in set {
        cli_module.set(text).unwrap();
    }
    let context = ExitContext {
        code: 1,
        shown_dir: "pi/",
        source: "pi/c.nix",
        files: Some(&UserFiles::new(&root)),
        cli_module: Some(&cli_module),
        ..ExitContext::default()
    };
    diagnose(&context, &findings)
}

macro_rules! recorded {
    ($name:literal $(, $set:literal)*) => {
        failure(
            include_str!(concat!("../../../tests/streams/", $name, ".nix")),
            include_str!(concat!("../../../tests/streams/", $name, ".log")),
            &[$($set),*],
        )
    };
}

/// Asserts that the message and the only hint contain these texts.
#[track_caller]
fn assert_hint(failure: &Failure, message: &str, hint: &str) {
    assert_eq!(failure.class, Class::Usage, "{failure}");
    assert!(failure.to_string().contains(message), "{failure}");
    assert_eq!(failure.hints.len(), 1, "{:?}", failure.hints);
    assert!(failure.hints[0].contains(hint), "{:?}", failure.hints);
}

#[test]
fn an_argument_that_was_not_asked_for_names_the_line() {
    let pkgs = recorded!("undefined-pkgs");
    assert_hint(
        &pkgs,
        "pi/c.nix:4:34: undefined variable 'pkgs'",
        "add pkgs to the { … }: of line 1",
    );
    let path = recorded!("undefined-modules-path");
    assert_hint(
        &path,
        "undefined variable 'modulesPath'",
        "add modulesPath to the { … }: of line 5",
    );
    let none = recorded!("undefined-without-arguments");
    assert_hint(
        &none,
        "undefined variable 'pkgs'",
        "begins with what it asks for: { pkgs, ... }:",
    );
}

#[test]
fn a_name_inside_with_pkgs_is_no_package() {
    let failure = recorded!("undefined-in-with");
    let hint = "nixpkgs has no package htopp; find its name: https://search.nixos.org/packages?query=htopp";
    assert_hint(&failure, "pi/c.nix:4:49: undefined variable 'htopp'", hint);
}

#[test]
fn a_missing_package_names_what_nix_proposes() {
    let failure = recorded!("missing-attribute-package");
    assert_hint(&failure, "attribute 'htopp' missing", "write htop or btop");
}

#[test]
fn message_place_and_proposal_are_told_once() {
    let variable = recorded!("undefined-in-with");
    assert_eq!(
        variable.log_tail[1..],
        [
            "4|   environment.systemPackages = with pkgs; [ vim htopp git ];",
            " |                                                 ^",
            "5| }",
        ]
    );
    // Nix's proposal is in the hint, and its advice for contradictions has a better one.
    let package = recorded!("missing-attribute-package");
    assert_eq!(package.log_tail.last().unwrap(), "5| }");
    assert_eq!(recorded!("conflict").log_tail, [""; 0]);
}

#[test]
fn infinite_recursion_names_its_cause() {
    let message = "infinite recursion encountered";
    let pkgs = recorded!("recursion-pkgs");
    assert_hint(&pkgs, message, "imports of pi/c.nix needs pkgs");
    assert!(
        pkgs.log_tail.is_empty(),
        "inside nixpkgs: {:?}",
        pkgs.log_tail
    );
    let config = recorded!("recursion-config");
    assert_hint(&config, message, "imports of pi/c.nix depends on config");
    let inputs = recorded!("recursion-special-args");
    assert_hint(&inputs, message, "pi/c.nix asks for the argument inputs");
    let own = recorded!("recursion-other");
    assert_hint(&own, message, "an option is defined by its own value");
}

#[test]
fn an_argument_of_a_flake_is_named() {
    let failure = recorded!("missing-module-argument");
    assert_hint(
        &failure,
        "attribute 'inputs' missing",
        "which a flake would pass in specialArgs",
    );
}

#[test]
fn a_module_without_an_ellipsis_names_the_line() {
    let failure = recorded!("no-ellipsis");
    assert_hint(
        &failure,
        "pi/c.nix:1:1: function",
        "end the { … }: of line 1 with `, ...`",
    );
}

#[test]
fn another_search_path_is_replaced_by_a_download() {
    let hardware = recorded!("search-path");
    let write = "write (builtins.fetchTarball \"https://github.com/NixOS/nixos-hardware/archive/master.tar.gz\" + \
                 \"/raspberry-pi/4\") in place of <nixos-hardware/raspberry-pi/4>";
    assert_hint(&hardware, "not found in the Nix search path", write);
    let home = recorded!("search-path-home-manager");
    assert_hint(
        &home,
        "home-manager/nixos",
        "nix-community/home-manager/archive/master.tar.gz",
    );
}

#[test]
fn a_value_of_the_wrong_type_names_the_right_form() {
    let boolean = recorded!("wrong-type");
    assert_hint(
        &boolean,
        "pi/c.nix:4: A definition for option",
        "true or false, without quotes",
    );
    let package = recorded!("wrong-type-list");
    assert_hint(
        &package,
        "is not of type `package'",
        "pkgs.NAME, without quotes",
    );
    let list = recorded!("wrong-type-list-without-brackets");
    assert_hint(
        &list,
        "is not of type `list of package'",
        "write a list: [ … ]",
    );
}

#[test]
fn definitions_that_contradict_are_resolved() {
    let image = recorded!("defined-by-image");
    let message = "The option `fileSystems.\"/\".device' has conflicting definition values";
    assert_hint(
        &image,
        message,
        "the image sets fileSystems.\"/\".device itself: remove it",
    );
    let files = recorded!("conflict");
    let message = "The option `time.timeZone' has conflicting definition values";
    assert_hint(&files, message, "keep one of the definitions");
    // Nix's own proposal, which is wrong for the first, is not repeated.
    for failure in [image, files] {
        assert!(!failure.to_string().contains("lib.mkForce"), "{failure}");
    }
}

#[test]
fn values_that_look_right_have_their_form_explained() {
    let name = recorded!("host-name");
    let hint = "a host name has letters, digits and `-`, at most 63";
    assert_hint(&name, "pi/c.nix:4: A definition for option", hint);
    let call = recorded!("call-in-list");
    assert_hint(
        &call,
        "<function>",
        "a call inside a list needs parentheses",
    );
    let path = recorded!("quoted-path");
    assert_hint(
        &path,
        "doesn't represent an absolute path",
        "a path has no quotes",
    );
    let list = recorded!("not-a-module");
    assert_hint(&list, "but a list", "a module is a set");
    let colon = recorded!("colon");
    assert_hint(
        &colon,
        "pi/c.nix:3:10: syntax error",
        "write `=` in place of `:`",
    );
}

#[test]
fn a_function_of_the_library_is_no_package() {
    let failure = recorded!("library-function");
    let hint = "write lib.mkForce, and lib in the { … }: of line 1";
    assert_hint(&failure, "undefined variable 'mkForce'", hint);
}

#[test]
fn an_option_that_is_defined_twice_names_both_lines() {
    let failure = recorded!("defined-twice");
    assert_hint(
        &failure,
        "already defined at pi/c.nix:4:3",
        "keep one of the lines 4 and 6",
    );
}

#[test]
fn options_of_an_image_without_its_module_name_the_import() {
    let failure = recorded!("no-sd-image-option");
    let import = "imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];";
    assert_hint(&failure, "The option `sdImage' does not exist", import);
}

#[test]
fn an_unknown_option_names_its_line() {
    let failure = recorded!("unknown-option-nested");
    let message = "pi/c.nix:6: The option `services.openssh.pasword' does not exist.";
    assert_hint(&failure, message, "search.nixos.org/options");
    // The only definition is quoted.
    assert!(failure.to_string().ends_with(message), "{failure}");
    let line = [
        "5|     enable = true;",
        "6|     pasword = false;",
        " |     ^",
        "7|   };",
    ];
    assert_eq!(failure.log_tail, line);
}

#[test]
fn a_wrong_value_is_quoted_with_its_line() {
    let failure = recorded!("wrong-type");
    let message =
        "pi/c.nix:4: A definition for option `services.openssh.enable' is not of type `boolean'.";
    assert!(failure.to_string().ends_with(message), "{failure}");
    assert_eq!(
        failure.log_tail[1..3],
        ["4|   services.openssh.enable = \"yes\";", " |   ^"]
    );
}

#[test]
fn a_syntax_error_names_the_line_of_its_cause() {
    for (failure, place, hint) in [
        (
            recorded!("missing-semicolon"),
            "pi/c.nix:7:27",
            "a `;` is missing at the end of line 4",
        ),
        (
            recorded!("missing-quote"),
            "pi/c.nix:6:25",
            "a quote is missing: the text that begins in line 4 goes on",
        ),
        (
            recorded!("extra-bracket"),
            "pi/c.nix:5:26",
            "line 4 closes the { … } of the whole file",
        ),
        (
            recorded!("open-bracket"),
            "pi/c.nix:4:32",
            "the `[` of line 4 is not closed",
        ),
        (
            recorded!("single-quotes"),
            "pi/c.nix:4:25",
            "a text has double quotes",
        ),
    ] {
        assert_hint(&failure, place, hint);
    }
}

#[test]
fn failed_assertions_have_a_line_each() {
    let failure = recorded!("assertion");
    let message = "Failed assertions:\n- The option x must be set.\n- y is wrong";
    assert!(failure.to_string().ends_with(message), "{failure}");
}

#[test]
fn a_download_of_the_configuration_is_told_from_a_cache() {
    for (failure, message) in [
        (
            recorded!("fetch-unresolved"),
            "Could not resolve hostname (6)",
        ),
        (
            recorded!("fetch-refused"),
            "Could not connect to server (7)",
        ),
        (
            recorded!("fetch-git"),
            "Could not resolve host: github.nosuch.invalid",
        ),
        (recorded!("fetch-url"), "Could not resolve hostname (6)"),
    ] {
        assert_eq!(failure.class, Class::Environment, "{failure}");
        let text = failure.to_string();
        assert!(
            text.contains("evaluate pi/c.nix: the configuration fetches http"),
            "{text}"
        );
        assert!(text.contains(message), "{text}");
        let hints = failure.hints.join(" ");
        assert!(
            hints.contains("the network, and the DNS") && !hints.contains("cache"),
            "{hints}"
        );
    }
    let not_found = recorded!("fetch-not-found");
    assert_hint(
        &not_found,
        "which failed: HTTP error 404",
        "check the address",
    );
}

#[test]
fn a_wrong_hash_in_the_configuration_is_replaced() {
    let failure = recorded!("fetch-wrong-hash");
    let hint =
        "write sha256:0bk2zxzmhrlx9r13h8h56idz89xh3ngvlg2djl9qnxl6qxvk9nyx in place of sha256:0000";
    assert_hint(&failure, "hash mismatch in file downloaded from", hint);
}

#[test]
fn a_file_that_the_builder_lacks_is_explained() {
    let ignored = recorded!("file-missing");
    assert_hint(
        &ignored,
        "path 'pi/wifi.nix' does not exist",
        "put the line !/wifi.nix into .sdbuildignore",
    );
    let above = recorded!("file-above");
    assert_hint(
        &above,
        "path '/build/common.nix' does not exist",
        "/common.nix lies above ",
    );
    let absolute = recorded!("file-absolute-read");
    assert_hint(
        &absolute,
        "opening file '/home/me/name'",
        "the builder has only ",
    );
}

#[test]
fn errors_of_the_command_line_name_the_flag() {
    let unknown = recorded!("set-unknown-option", "services.opensh.enable=true");
    let message = "The option `services.opensh' does not exist. Definition values:\n- On the command line: --set \
                   services.opensh.enable=true";
    assert_hint(&unknown, message, "options");
    let value = recorded!("set-wrong-value", "time.timeZone=5");
    assert_hint(
        &value,
        "- On the command line: --set time.timeZone=5",
        "a text in quotes",
    );
    let set = "environment.systemPackages=[ pkgs.vim htopp ]";
    let undefined = recorded!(
        "set-undefined",
        "environment.systemPackages=[ pkgs.vim htopp ]"
    );
    assert_hint(
        &undefined,
        &format!("--set {set}: undefined variable 'htopp'"),
        "pkgs.htopp",
    );
    for failure in [unknown, value, undefined] {
        let all = format!("{failure} {:?}", failure.log_tail);
        assert!(!all.contains("/build/") && !all.contains("_type"), "{all}");
    }
}
