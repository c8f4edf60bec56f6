//! Names that are not bound, packages that do not exist, and recursion through the arguments of modules.

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
fn a_name_inside_with_pkgs_is_no_package() {
    let failure = recorded("undefined-in-with");
    let hint = "nixpkgs has no package htopp; find its name: https://search.nixos.org/packages?query=htopp";
    assert_hint(&failure, "pi/c.nix:4:49: undefined variable 'htopp'", hint);
}

#[test]
fn a_program_leads_to_its_package() {
    let named = |kind| recording("undefined-in-with", kind).replace("htopp", "lsusb");
    assert_hint(
        &failure(named("nix"), &named("log"), ""),
        "undefined variable 'lsusb'",
        "the program lsusb is in the package usbutils",
    );
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
fn a_missing_package_names_what_nix_proposes() {
    let failure = recorded("missing-attribute-package");
    assert_hint(
        &failure,
        "attribute 'htopp' missing",
        "did you mean htop or btop?",
    );
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
fn a_text_without_quotes_is_distinguished_from_a_package() {
    let text = recorded("text-without-quotes");
    assert_hint(&text, "undefined variable 'kitchen'", "kitchen");
    let hint = "a string is written in quotes: \"kitchen\"";
    assert_eq!(text.hints, [hint]);
    let list = recorded("list-without-with");
    let hint = "write pkgs.vim, or `with pkgs;` before the list: with pkgs; [ vim … ]";
    assert_hint(&list, "undefined variable 'vim'", hint);
}

#[test]
fn a_name_beside_a_quote_or_a_number_is_no_package() {
    for (name, hint) in [
        (
            "inner-quotes",
            "a quote inside of a string is written \\\": \"… \\\"hi …\"",
        ),
        (
            "number-with-unit",
            "write only 1, in the unit of the option, or the string \"1G\"",
        ),
        (
            "script-without-quotes",
            "commands of a shell are a string: script = ''echo …'';",
        ),
    ] {
        assert_hint(&recorded(name), "undefined variable", hint);
    }
}

#[test]
fn only_units_and_commands_are_taken_for_such() {
    let hint = |line: &str, column: usize, name: &str| {
        hints_of_line(line, column, &format!("undefined variable '{name}'")).concat()
    };
    let mode = hint("{ x.mode = 1920x1080; }", 16, "x1080");
    assert_eq!(
        mode,
        "what is no number is written in double quotes: the string \"1920x1080\""
    );
    let size = hint("{ x.size = 1.5G; }", 15, "G");
    assert!(size.contains("write only 1.5, "), "{size}");
    let function = hint("{ x.ExecStart = getExe pkgs.foo; }", 17, "getExe");
    assert!(!function.contains("script"), "{function}");
    let path = hint("{ x.source = ./my file.txt; }", 19, "file");
    assert_eq!(path, "a path with a space is written ./. + \"/my file…\"");
    for line in ["{ x = f ./a.nix file; }", "{ x = [ ./a.nix file ]; }"] {
        let other = hint(line, 17, "file");
        assert!(!other.contains("space"), "{line}: {other}");
    }
    let module = hints_of_line("pkgs: { x = pkgs.vim; }", 13, "attribute 'vim' missing").concat();
    assert_eq!(
        module,
        "a module begins with { pkgs, ... }:, not with pkgs:"
    );
    let element = hint("{ x = [ \"a\"b ]; }", 12, "b");
    assert!(!element.contains("a quote inside"), "{element}");
}

#[test]
fn a_key_without_quotes_is_no_package() {
    let failure = recorded("key-without-quotes");
    let hint = "a key is a string, in double quotes: \"ssh-ed25519 …\"";
    assert_hint(&failure, "undefined variable 'ssh-ed25519'", hint);
}

/// The hints for `error` in line 1, column `column`, of a configuration that is this `line`.
fn hints_of_line(line: &str, column: usize, error: &str) -> Vec<String> {
    let stream = reported("/build/config/c.nix", (1, column), error, "");
    failure(line, &stream, "").hints
}

#[test]
fn names_that_are_no_packages_are_told_apart() {
    for (line, name, hint) in [
        (
            "{ services.openssh.enable = yes; }",
            "yes",
            "write true: an option that is on or off is true or false",
        ),
        (
            "{ users.users.me.extraGroups = [ wheel ]; }",
            "wheel",
            "a group is a string, in double quotes: \"wheel\"",
        ),
        (
            "{ console.keyMap = no; }",
            "no",
            "write false for an option that is on or off, or \"no\" for one that takes a string",
        ),
        (
            "{ a = [ on ]; }",
            "on",
            "a string is written in double quotes: \"on\"",
        ),
        (
            "{ lib, ... }: { a = lib.mkDefault services.x.port; }",
            "services",
            "to read another option, write config.services.x.port, and add config to the { … }: of line 1",
        ),
        (
            "{ config, ... }: { a = time.zone; }",
            "time",
            "to read another option, write config.time.zone",
        ),
        (
            "{ imports = [ hello.nix ]; }",
            "hello",
            "if the file hello.nix is meant, write ./hello.nix",
        ),
    ] {
        let column = line.rfind(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn the_option_tells_a_string_from_a_package() {
    for (line, name, hint) in [
        (
            "{ boot.kernelPackages = linuxPackages_latest; }",
            "linuxPackages_latest",
            "packages are attributes of pkgs: write pkgs.linuxPackages_latest",
        ),
        (
            "{ users.users.pi.password = raspberry; }",
            "raspberry",
            "a string is written in quotes: \"raspberry\"",
        ),
        (
            "{ fonts.fonts = [ noto ]; }",
            "noto",
            "write pkgs.noto, or `with pkgs;` before the list: with pkgs; [ noto … ]",
        ),
        (
            "{ x.y = unknown; }",
            "unknown",
            "a string is written in quotes: \"unknown\"; if it is a package, write pkgs.unknown",
        ),
        (
            "{ x.script = \"${python3}/bin/python\"; }",
            "python3",
            "packages are attributes of pkgs: write ${pkgs.python3}",
        ),
        (
            "{ x.script = \"${HOME}/x\"; }",
            "HOME",
            "write ''${HOME} for a variable of the shell in a string that begins with '', or \\${HOME} in one that begins with \"",
        ),
        (
            "{ x.domain = \"${user}.lan\"; }",
            "user",
            "${user} stands for a value of Nix, and user has none there: check its spelling",
        ),
    ] {
        let column = line.find(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        assert_eq!(hints_of_line(line, column, &error), [hint], "{line}");
    }
}

#[test]
fn packages_of_unstable_need_its_archive() {
    let error = "undefined variable 'unstable'";
    let get = "let unstable = import (builtins.fetchTarball \"https://github.com/NixOS/nixpkgs/archive/nixos-unstable.tar.gz\") \
               { inherit (pkgs.stdenv.hostPlatform) system; }; in";
    for line in [
        "{ a.packages = [ unstable.vim ]; }",
        "{ a.packages = with pkgs; [ unstable.vim ]; }",
    ] {
        let column = line.find("unstable").unwrap() + 1;
        let hints = hints_of_line(line, column, error).concat();
        assert!(hints.ends_with(get), "{hints}");
    }
    let flake = "{ nixosConfigurations.a = { b = unstable.vim; }; }";
    let column = flake.find("unstable").unwrap() + 1;
    let stream = reported("/build/config/flake.nix", (1, column), error, "");
    let hints = failure(flake, &stream, "").hints.concat();
    assert!(!hints.contains("specialArgs"), "{hints}");
    // An input of the flake, in a file of it.
    let stream = reported("/build/config/flake.nix", (1, 31), error, "");
    let flake = "{ outputs = { self, ... }: { a = unstable.vim; }; }";
    let hints = failure(flake, &stream, "").hints.concat();
    assert!(!hints.contains("fetchTarball"), "{hints}");
}

#[test]
fn packages_and_options_are_told_apart_in_lists_and_flakes() {
    let flake = "{ outputs = { self, ... }: { m = { a = services.x; }; }; }";
    let error = "undefined variable 'services'";
    let stream = reported("/build/config/flake.nix", (1, 40), error, "");
    let hints = failure(flake, &stream, "").hints;
    assert_eq!(
        hints,
        [
            "to read another option, write config.services.x, in a module that begins with { config, ... }:"
        ]
    );
    for (line, name) in [
        ("{ a = [ htop ]; }", "htop"),
        (
            "{ environment.systemPackages = [ networkmanager ]; }",
            "networkmanager",
        ),
        (
            "{ environment.systemPackages = [ systemd.out ]; }",
            "systemd",
        ),
    ] {
        let column = line.find(name).unwrap() + 1;
        let hints = hints_of_line(line, column, &format!("undefined variable '{name}'"));
        assert!(hints[0].contains(&format!("pkgs.{name}")), "{hints:?}");
    }
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
