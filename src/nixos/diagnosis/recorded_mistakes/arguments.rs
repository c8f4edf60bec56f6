//! Arguments of modules and of the outputs of flakes that a file uses without asking for them.

use super::*;

#[test]
fn all_arguments_that_a_header_lacks_are_named() {
    let hint = |name: &str, column: usize, text: &str| {
        hints_of_line(text, column, &format!("undefined variable '{name}'")).concat()
    };
    let text = "{ pkgs, ... }: let x = lib.y; in { a = with pkgs; [ vim ]; b = config.c; d = x; }";
    let expected =
        "add config and lib to the { … }: of line 1, which then reads { pkgs, config, lib, ... }:";
    for (name, column) in [("lib", 24), ("config", 64)] {
        assert_eq!(hint(name, column, text), expected);
    }
    // Another module in the file that asks for it says nothing about this one.
    let text = "{ ... }: { a = lib.b; c = { config, ... }: config.d; e = config.f; }";
    let expected =
        "add config and lib to the { … }: of line 1, which then reads { config, lib, ... }:";
    assert_eq!(hint("lib", 16, text), expected);
    let all = "args@{ ... }: with lib; { a = pkgs.b; c = config.d; }";
    let expected = "add config, lib and pkgs to the { … }: of line 1, which then reads args@{ config, lib, pkgs, ... }:";
    assert_eq!(hint("lib", 20, all), expected);
}

#[test]
fn a_module_in_a_flake_asks_for_its_arguments() {
    let hint = |name: &str, modules: &str| {
        let text = format!(
            "{{\n outputs = {{ nixpkgs, ... }}: {{\n  nixosConfigurations.pi = nixpkgs.lib.nixosSystem {{ modules = [\n{modules}\n]; }};\n }};\n}}\n"
        );
        let column = modules.find(name).unwrap() + 1;
        let error = format!("undefined variable '{name}'");
        let stream = reported("/build/config/flake.nix", (4, column), &error, "");
        failure(text, &stream, "").hints.concat()
    };
    let plain = hint("pkgs", "{ a = [ pkgs.vim ]; b = lib.c nixpkgs; }");
    let write = "write ({ lib, pkgs, ... }: { … }) instead of the { … } of line 4";
    assert_eq!(plain, write);
    let function = hint("pkgs", "({ lib, ... }: { a = [ pkgs.vim ]; b = lib.c; })");
    let add = "add pkgs to the { lib, ... }: of line 4, which then reads { lib, pkgs, ... }:";
    assert_eq!(function, add);
    let library = hint("mkForce", "{ a = mkForce 1; }");
    let write = "write lib.mkForce, and write ({ lib, ... }: { … }) instead of the { … } of line 4";
    assert_eq!(library, write);
    let outside = hint("pkgs", "(f pkgs.vim)");
    assert_eq!(
        outside,
        "in the outputs of a flake write nixpkgs.legacyPackages.aarch64-linux"
    );
}

#[test]
fn inputs_are_arguments_of_the_outputs() {
    let message = "pi/flake.nix:3:30: undefined variable 'nixpkgs'";
    let add = "add nixpkgs to the { … } of the outputs in line 2, which then reads { self, nixpkgs, ... }:";
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
    let line = "nixosConfigurations.pi = nixpkgs.lib.nixosSystem { modules = [ ]; };";
    let write = format!("in the outputs of a flake write nixpkgs.lib. Line 3 then reads: {line}");
    assert_eq!(hints, [write]);
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
fn an_input_that_a_flake_lacks_is_declared() {
    let hint = |inputs: &str, name: &str| {
        let text = format!(
            "{{\n{inputs}\n  outputs = {{ nixpkgs, ... }}:\n{{ nixosConfigurations.pi = nixpkgs.lib.nixosSystem {{ modules = [ {name}.nixosModules.default ]; }}; }};\n}}\n"
        );
        let error = format!("undefined variable '{name}'");
        let stream = reported("/build/config/flake.nix", (4, 66), &error, "");
        failure(text, &stream, "").hints.concat()
    };
    let nixpkgs = "nixpkgs.url = \"github:NixOS/nixpkgs/nixos-26.05\";";
    let add = |name: &str| {
        format!(
            "add {name} to the {{ … }} of the outputs in line 3, which then reads {{ nixpkgs, {name}, ... }}:"
        )
    };
    let beside = hint(&format!("  inputs.{nixpkgs}"), "home-manager");
    let url = "github:nix-community/home-manager/release-26.05";
    let declare =
        format!(", and declare the input next to line 2: inputs.home-manager.url = \"{url}\";");
    let lock = " then run sdbuild lock --flake pi";
    assert_eq!(beside, add("home-manager") + &declare + lock);
    let inside = hint(&format!("  inputs = {{ {nixpkgs} }};"), "mine");
    let declare = ", and add mine.url = \"…\"; to the inputs in line 2;";
    assert_eq!(inside, add("mine") + declare + lock);
    let declared = hint("  inputs.mine.url = \"github:me/mine\";", "mine");
    assert_eq!(declared, add("mine"));
}

#[test]
fn a_header_in_another_form_gets_no_second_one() {
    for (text, column) in [
        ("{ pkgs, x ? { }, ... }: { a = config.b; }", 31),
        ("args: { a = config.b; }", 13),
        ("let y = 1; in { pkgs, ... }: { a = config.b; }", 36),
    ] {
        let hints = hints_of_line(text, column, "undefined variable 'config'").concat();
        assert!(!hints.contains("begin the file"), "{text}: {hints}");
    }
    let set = hints_of_line("{ a = config.b; }", 7, "undefined variable 'config'").concat();
    assert_eq!(
        set,
        "begin the file with the module's arguments: { config, ... }:"
    );
}

/// The hints for the input `name` in a module of a flake with these outputs.
fn hint_in_module(outputs: &str, name: &str) -> String {
    hint_in(
        "{ imports = [ NAME.nixosModules.default ]; }",
        outputs,
        name,
    )
}

/// The hints for the input `name`, in place of `NAME`, in a module of a flake with these outputs.
fn hint_in(module: &str, outputs: &str, name: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let column = module.find("NAME").unwrap() as u64 + 1;
    let module = format!("{{ pkgs, ... }}:\n{module}\n").replace("NAME", name);
    std::fs::write(dir.path().join("configuration.nix"), &module).unwrap();
    let flake = format!("{{ inputs.mine.url = \"x\";\n outputs = {outputs} {{ }}; }}");
    std::fs::write(dir.path().join("flake.nix"), flake).unwrap();
    let context = ExitContext {
        is_flake: true,
        files: Some(&UserFiles::new(dir.path())),
        ..ExitContext::default()
    };
    let error = NixError {
        summary: format!("undefined variable '{name}'"),
        position: Some(crate::nixos::log::Position {
            file: "/build/config/configuration.nix".to_owned(),
            line: 2,
            column,
        }),
        ..NixError::default()
    };
    let findings = Findings {
        nix_errors: vec![error],
        ..Findings::default()
    };
    diagnose(&context, &findings).hints.join("\n")
}

#[test]
fn an_input_among_packages_is_no_package() {
    let module = "{ environment.systemPackages = with pkgs; [ vim NAME.packages.a ]; }";
    for name in ["inputs", "mine"] {
        let hint = hint_in(module, "{ self, ... }@inputs:", name);
        let ask = format!(
            "\n  in line 1 of configuration.nix write {{ pkgs, {name}, ... }}:\n  in flake.nix, next to"
        );
        assert!(
            hint.contains(" changes pass ") && hint.contains(&ask),
            "{hint}"
        );
    }
    let other = hint_in(module, "{ self, ... }:", "other");
    assert!(other.starts_with("nixpkgs has no package other"), "{other}");
}

#[test]
fn a_module_of_a_flake_gets_an_input_by_special_args() {
    let hint = hint_in_module;
    let pass = |count: &str, passed: &str| {
        format!(
            "{count} changes pass mine to the module:\n  in line 1 of configuration.nix write {{ pkgs, mine, ... }}:\n  in flake.nix, next to modules = …, write specialArgs = {{ inherit \
             {passed}; }};"
        )
    };
    assert_eq!(hint("{ self, mine }:", "mine"), pass("two", "mine"));
    assert_eq!(
        hint("{ self, ... }@inputs:", "mine"),
        pass("two", "(inputs) mine")
    );
    let both = hint("{ self, ... }:", "mine");
    let ask = "\n  in flake.nix, add mine to the { … } of the outputs in line 2, which then reads { self, mine, ... }:";
    assert_eq!(both, pass("three", "mine") + ask);
    assert!(!hint("{ self, ... }:", "other").contains("specialArgs"));
    let with = |given: &str| {
        let system = format!(
            "inputs@{{ mine, ... }}: n.lib.nixosSystem {{ specialArgs = {given}; modules = [ ]; }} //"
        );
        hint(&system, "mine")
    };
    let ask = "in line 1 of configuration.nix write { pkgs, mine, ... }:";
    for given in ["{ inherit a mine; }", "{ mine = 1; }", "inputs"] {
        assert_eq!(with(given), ask, "{given}");
    }
    let more = format!(
        "two changes pass mine to the module:\n  {ask}\n  in line 2 of flake.nix add inherit mine; to the specialArgs"
    );
    for given in ["{ }", "{ inherit inputs; other = mine; }"] {
        assert_eq!(with(given), more, "{given}");
    }
    // Another machine has them.
    let two = with("{ inherit mine; }; }) + (n.lib.nixosSystem { x = 1");
    assert!(
        two.contains("next to modules = … of this machine, write specialArgs"),
        "{two}"
    );
    assert!(!with("f mine").contains("specialArgs = "));
    assert!(!with("{ } // mine").contains("specialArgs"));
}

#[test]
fn a_module_gets_all_inputs_of_a_flake() {
    let all = hint_in_module("{ self, ... }@all:", "inputs");
    assert!(
        all.contains("write specialArgs = { inputs = all; };"),
        "{all}"
    );
    let none = hint_in_module("{ self, ... }:", "inputs");
    let after = "inherit inputs; };\n  in flake.nix, write @inputs after the { … } of the outputs. Line 2 then reads: outputs = { self, ... }@inputs:";
    assert!(none.ends_with(after), "{none}");
}

#[test]
fn an_argument_that_call_package_does_not_find_is_shown() {
    let nixpkgs = "/nix/var/sdbuild/nixpkgs/tree-0/lib/customisation.nix";
    let failure = |text: &str, place: &str| {
        let error = format!(
            "evaluation aborted with the following error message: 'lib.customisation.callPackageWith: Function called without \
             required argument \\\"openssll\\\" at {place}, did you mean \\\"openssl\\\", \\\"openshell\\\" or \\\"openslp\\\"?'"
        );
        failure(text, &reported(nixpkgs, (326, 7), &error, ""), "")
    };
    let text = "{ stdenv,\n  openssll }: stdenv.mkDerivation { }";
    for dir in ["/build/config", "/nix/store/0-source"] {
        let shown = failure(text, &format!("{dir}/c.nix:2"));
        let message = "pi/c.nix:2:3: Function called without required argument \"openssll\", did you mean openssl, openshell or \
                       openslp?";
        assert_hint(&shown, message, "nixpkgs has no package openssll. Correct");
        let marked = ["2|   openssll }: stdenv.mkDerivation { }", " |   ^"];
        assert_eq!(shown.log_tail[1..], marked);
    }
    // Of nixpkgs' own packages, and of a file that has changed.
    for place in [
        "/nix/var/sdbuild/nixpkgs/tree-0/c.nix:2",
        "/build/config/c.nix:1",
    ] {
        assert!(failure(text, place).hints.is_empty(), "{place}");
    }
}
