//! Names that are not bound, and recursion through the arguments of modules.

use super::*;

#[test]
fn an_argument_that_was_not_asked_for_names_the_line() {
    let pkgs = recorded("undefined-pkgs");
    assert_hint(
        &pkgs,
        "pi/c.nix:4:34: undefined variable 'pkgs'",
        "add pkgs to the { … }: of line 1",
    );
    let nix = recording("undefined-pkgs", "nix").replacen("lib, ...", "lib", 1);
    assert!(nix.starts_with("{ lib }:"), "{nix}");
    let closed = failure(&nix, &recording("undefined-pkgs", "log"), "");
    let message = "undefined variable 'pkgs'";
    assert_hint(&closed, message, "add pkgs and ... to the { … }: of line 1");
    let path = recorded("undefined-modules-path");
    assert_hint(
        &path,
        "undefined variable 'modulesPath'",
        "add modulesPath to the { … }: of line 5",
    );
    let none = recorded("undefined-without-arguments");
    assert_hint(
        &none,
        "undefined variable 'pkgs'",
        "begins with its arguments: { pkgs, ... }:",
    );
}

#[test]
fn a_module_without_arguments_is_told_all_that_it_uses() {
    let hint = |name: &str, column: usize, text: &str| {
        hints_of_line(text, column, &format!("undefined variable '{name}'")).concat()
    };
    let text = "{ imports = [ (modulesPath + \"/x.nix\") ]; a = [ pkgs.vim ]; b = lib.mkForce 1; config = { }; }";
    let header = "a module begins with its arguments: { lib, pkgs, modulesPath, ... }:";
    for (name, column) in [("modulesPath", 16), ("pkgs", 48), ("lib", 65)] {
        assert_eq!(hint(name, column, text), header);
    }
    let function = "{ a = mkForce [ pkgs.vim ]; }";
    let expected = "write lib.mkForce, and begin the file with { lib, pkgs, ... }:";
    assert_eq!(hint("mkForce", 7, function), expected);
}

#[test]
fn a_missing_attribute_is_searched_where_it_belongs() {
    let log = recording("missing-attribute", "log");
    for (set, searched) in [("config", "options"), ("pkgs.x", "packages")] {
        let text =
            format!("{{ ... }}:\n{{\n  environment.systemPackages = [ {set}.nosuchthing ];\n}}\n");
        assert_hint(
            &failure(text, &log, ""),
            "pi/c.nix:3:34: attribute 'nosuchthing' missing",
            &format!("https://search.nixos.org/{searched}"),
        );
    }
}

#[test]
fn infinite_recursion_names_its_cause() {
    let message = "infinite recursion encountered";
    let pkgs = recorded("recursion-pkgs");
    assert_hint(&pkgs, message, "the imports in pi/c.nix:3 use pkgs");
    assert!(
        pkgs.log_tail.is_empty(),
        "inside nixpkgs: {:?}",
        pkgs.log_tail
    );
    let config = recorded("recursion-config");
    assert_hint(
        &config,
        message,
        "the imports in pi/c.nix:3 depend on config",
    );
    let inputs = recorded("recursion-special-args");
    assert_hint(&inputs, message, "pi/c.nix asks for the argument inputs");
    let own = recorded("recursion-other");
    assert_hint(&own, message, "an option is defined by its own value");
}

#[test]
fn an_argument_of_a_flake_is_named() {
    let failure = recorded("missing-module-argument");
    assert_hint(
        &failure,
        "attribute 'inputs' missing",
        "which a flake would pass in specialArgs",
    );
}

#[test]
fn a_module_without_an_ellipsis_names_the_line() {
    let failure = recorded("no-ellipsis");
    assert_hint(
        &failure,
        "pi/c.nix:1:1: function",
        "end the { … }: of line 1 with `, ...`",
    );
}

#[test]
fn a_function_of_the_library_is_no_package() {
    let failure = recorded("library-function");
    let hint = "write lib.mkForce, and lib in the { … }: of line 1";
    assert_hint(&failure, "undefined variable 'mkForce'", hint);
}

#[test]
fn outputs_without_an_ellipsis_are_written_out() {
    let outputs = recorded("flake-outputs");
    assert_hint(
        &outputs,
        "pi/flake.nix:3:13: function 'outputs' called with unexpected argument 'self'",
        "write { self, nixpkgs, ... }: in line 3",
    );
    // Of another flake in the store, whose line is another one.
    let nix = recording("flake-outputs", "nix").replace("outputs = ", "outputs  = ");
    let other = failure(&nix, &recording("flake-outputs", "log"), "");
    let place = other.log_tail.first().map_or("", String::as_str);
    assert!(place.starts_with("at /nix/store/"), "{other:?}");
    assert!(other.hints.is_empty(), "{:?}", other.hints);
}

#[test]
fn inputs_are_arguments_of_the_outputs() {
    let message = "pi/flake.nix:3:30: undefined variable 'nixpkgs'";
    let add = "add nixpkgs to the { … } of the outputs";
    let declare = ", and declare the input: inputs.nixpkgs.url = ";
    let undeclared = recorded("flake-undefined-input");
    assert_hint(&undeclared, message, &format!("{add}{declare}"));
    let nix = recording("flake-undefined-input", "nix");
    let log = recording("flake-undefined-input", "log");
    for arguments in ["inputs:", "{ self, ... }@inputs:", "inputs@{ self, ... }:"] {
        let [nix, log] = [&nix, &log].map(|text| text.replace("{ self, ... }:", arguments));
        let hints = failure(&nix, &log, "").hints.concat();
        assert!(
            hints.starts_with(&format!("write inputs.nixpkgs{declare}")),
            "{hints}"
        );
    }
    let [of_lib, lib_log] = [&nix, &log].map(|text| {
        text.replace("nixpkgs.lib", "lib")
            .replace("'\\u001b[35;1mnixpkgs", "'\\u001b[35;1mlib")
    });
    let hints = failure(&of_lib, &lib_log, "").hints;
    assert_eq!(hints, ["in the outputs of a flake write nixpkgs.lib"]);
    // Also of an input that the flake does not declare.
    let [other, other_log] = [&nix, &log].map(|text| text.replace("nixpkgs", "agenix"));
    let hints = failure(&other, &other_log, "").hints.concat();
    assert!(
        hints.contains("declare the input: inputs.agenix.url"),
        "{hints}"
    );
    let slip = nix.replacen("{ self, ... }", "{ self, nixpkg, ... }", 1);
    let slip_log = log.replacen("{ self, ... }", "{ self, nixpkg, ... }", 1);
    assert_eq!(
        failure(&slip, &slip_log, "").hints,
        ["did you mean nixpkg?"]
    );
    let nix = nix.replacen('{', "{ inputs.nixpkgs.url = \"x\";", 1);
    assert_eq!(failure(&nix, &log, "").hints, [add]);
}

#[test]
fn a_flake_without_outputs_is_mended() {
    let renamed = recorded("flake-without-outputs");
    let hint = "rename output to outputs in flake.nix";
    assert_hint(&renamed, "lacks attribute 'outputs'", hint);
    let log = recording("flake-without-outputs", "log");
    let none = failure("{ inputs = { }; }", &log, "");
    let add = "add outputs = { self, nixpkgs, ... }: { … }; to flake.nix";
    assert_eq!(none.hints, [add]);
    let remote = log.replace("path:/build/config", "github:me/data");
    let input = failure("{ outputs = { self }: { }; }", &remote, "");
    assert!(input.hints[0].contains("flake = false"), "{input:?}");
    // A local input, or a set that is not plain.
    for text in [
        "{ outputs = { self }: { }; }",
        "rec { outputs = { self }: { }; }",
    ] {
        let other = failure(text, &log, "");
        assert!(other.hints.is_empty(), "{other:?}");
    }
}

#[test]
fn a_key_without_quotes_is_no_package() {
    let failure = recorded("key-without-quotes");
    let hint = "a key is a string, in double quotes: \"ssh-ed25519 …\"";
    assert_hint(&failure, "undefined variable 'ssh-ed25519'", hint);
}

#[test]
fn blanks_of_another_kind_are_named() {
    let error = "syntax error, unexpected invalid token";
    let hint =
        "line 1 has the character U+00A0, which looks like a space: write a space in its place";
    let line = "{ networking.hostName\u{a0}= \"x\"; }";
    assert_eq!(hints_of_line(line, 22, error), [hint]);
    let quotes = hints_of_line("{ a = \u{201c}x\u{201d}; }", 7, error);
    assert!(quotes[0].contains("double quotes"), "{quotes:?}");
}

#[test]
fn a_system_by_another_name_is_explained() {
    let system = recorded("platform-arm64");
    assert_hint(
        &system,
        "system string 'arm64'",
        "pi/c.nix:4: Nix calls the system \"aarch64-linux\"",
    );
}
