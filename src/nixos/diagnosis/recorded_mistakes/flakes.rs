//! Mistakes in the form of a `flake.nix`.

use super::*;

#[test]
fn the_form_of_a_flake_is_explained_at_its_place() {
    for (name, message, line, hint) in [
        (
            "flake-outputs-set",
            "pi/flake.nix:3:3: expected a function but got a set",
            "3|   outputs = {",
            "outputs is a function of the inputs",
        ),
        (
            "flake-function",
            "pi/flake.nix:2:1: a flake.nix must be a set",
            "2| { self, nixpkgs, ... }:",
            "write { inputs.nixpkgs.url",
        ),
        (
            "flake-input-attribute",
            "pi/flake.nix:2:3: unexpected flake input attribute 'ulr'",
            "2|   inputs.nixpkgs.ulr",
            "write url instead of ulr. Line 2 then reads: inputs.nixpkgs.url = ",
        ),
        (
            "flake-url-list",
            "pi/flake.nix:3:5: expected a string or a path but got a list",
            "3|     nixpkgs.url = [",
            "the URL of an input is a single string",
        ),
        (
            "flake-flag-string",
            "pi/flake.nix:3:3: expected a Boolean but got a string",
            "3|   inputs.nixpkgs.flake",
            "write true or false, without quotes",
        ),
        (
            "flake-nix-config",
            "pi/flake.nix:3:3: expected a set but got an integer",
            "3|   nixConfig = 5;",
            "nixConfig is a set of settings of Nix",
        ),
    ] {
        let failure = recorded(name);
        assert_hint(&failure, message, hint);
        assert!(failure.log_tail[1].starts_with(line), "{failure:?}");
    }
    let log = recording("flake-function", "log");
    let failure = failure("let x = 1; in { }", &log, "");
    assert_hint(
        &failure,
        "flake.nix:1:1",
        "the file must begin with its `{`",
    );
}

#[test]
fn the_url_of_an_input_is_found_in_the_flake() {
    let once = "{\n  inputs.nixpkgs.url = \"gihtub:NixOS/nixpkgs\";\n  outputs = { ... }: { nixosConfigurations = { }; };\n}\n";
    let error = "input 'gihtub:NixOS/nixpkgs' is unsupported";
    let log = format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {error}","raw_msg":"{error}"}}"#
    );
    let told = failure(once, &log, "");
    assert_hint(
        &told,
        "flake.nix:2:24: input 'gihtub:NixOS/nixpkgs' is unsupported",
        "did you mean github:?",
    );
    assert!(told.log_tail[1].starts_with("2|   inputs"), "{told:?}");
    // Which of two is meant is not known.
    let twice = once.replace(
        "  outputs",
        "  inputs.b.url = \"gihtub:NixOS/nixpkgs\";\n  outputs",
    );
    let told = failure(&twice, &log, "");
    assert_hint(
        &told,
        ": input 'gihtub:NixOS/nixpkgs' is unsupported",
        "did you mean github:?",
    );
    assert!(!told.to_string().contains("flake.nix:"), "{told}");
}

/// It is about the `flake.nix` of an input.
#[test]
fn the_form_of_another_flake_is_not_taken_for_the_users() {
    let sound = "{\n  inputs.a.url = \"path:./a\";\n  inputs.b.url = \"path:./b\";\n  outputs = { self, a, b }: { };\n}\n";
    for name in [
        "flake-outputs-set",
        "flake-function",
        "flake-input-attribute",
        "flake-url-list",
    ] {
        let failure = failure(sound, &recording(name, "log"), "");
        assert!(
            failure.to_string().contains("-source/flake.nix"),
            "{failure}"
        );
    }
}

#[test]
fn an_argument_that_modules_lack_comes_from_special_args() {
    let message = "attribute 'inputs' missing";
    let write = "write specialArgs = { inherit inputs; }; next to modules = …";
    let asks = "a module asks for the argument inputs. In flake.nix, ";
    let failed = recorded("flake-module-argument");
    assert_hint(&failed, message, &format!("{asks}{write}"));
    let nix = recording("flake-module-argument", "nix");
    let log = recording("flake-module-argument", "log");
    let failed = failure(nix.replace("}@inputs:", "}:"), &log, "");
    let begin = "begin the outputs with outputs = { self, nixpkgs, ... }@inputs: and ";
    assert_hint(&failed, message, &format!("{asks}{begin}{write}"));
    let failed = failure(nix.replace("@inputs", "@all"), &log, "");
    let other = write.replace("inherit inputs", "inputs = all");
    assert_hint(&failed, message, &format!("{asks}{other}"));
}

#[test]
fn a_function_of_nixpkgs_is_named_in_a_flake() {
    let hint = |head: &str, inputs: &str| {
        let text = format!(
            "{{ {inputs} outputs = {head} {{ nixosConfigurations.pi = nixosSystem {{ }}; }}; }}"
        );
        let (before, _) = text.split_once("nixosSystem").unwrap();
        let column = before.chars().count() + 1;
        let error = "undefined variable 'nixosSystem'";
        let log = reported("/build/config/flake.nix", (1, column), error, "");
        failure(&text, &log, "").hints.concat()
    };
    let declared = "inputs.nixpkgs.url = \"github:NixOS/nixpkgs\";";
    for (head, inputs, expected) in [
        (
            "{ self, nixpkgs }:",
            declared,
            "write nixpkgs.lib.nixosSystem",
        ),
        ("inputs:", declared, "write inputs.nixpkgs.lib.nixosSystem"),
        (
            "{ self, ... }:",
            declared,
            "write nixpkgs.lib.nixosSystem, and add nixpkgs to the { … } of the outputs in line 1, which then reads \
             { self, nixpkgs, ... }:",
        ),
        (
            "{ self, stable }:",
            "inputs.stable.url = \"github:NixOS/nixpkgs\";",
            "write INPUT.lib.nixosSystem, with the name of the input that is nixpkgs",
        ),
    ] {
        assert_eq!(hint(head, inputs), expected);
    }
}

/// Each file has one line.
#[test]
fn values_of_the_wrong_kind_are_found_in_the_users_file() {
    for (name, hint) in [
        (
            "flake-modules-set",
            "modules is a list: modules = [ { … } ];",
        ),
        (
            "flake-modules-function",
            "modules is a list: modules = [ ({ … }: { … }) ];",
        ),
        (
            "flake-special-args-list",
            "specialArgs is a set: specialArgs = { inherit self; };",
        ),
        (
            "flake-path-given",
            "nixosSystem takes a set: nixpkgs.lib.nixosSystem { modules = [ ./configuration.nix ]; }",
        ),
        (
            "flake-import-function",
            "nixosSystem is a function, not a file. Remove import",
        ),
    ] {
        let failure = recorded(name);
        assert_hint(&failure, "", &format!("pi/flake.nix:1: {hint}"));
        let shown = failure.log_tail.concat();
        assert!(shown.contains("1| {"), "{failure:?}");
    }
    let list = "{ outputs = { self, nixpkgs }: { nixosConfigurations = [ ]; }; }";
    let words = "expected a set but found a list: [ ]";
    let log = reported("flake-source.nix", (1, 1), words, "");
    let failure = failure(list, &log, "");
    assert_hint(&failure, words, "flake.nix:1: nixosConfigurations is a set");
}

#[test]
fn what_a_flake_cannot_reach_is_named() {
    for (name, hint) in [
        (
            "flake-import-nixpkgs",
            "nixosSystem is in the lib of the flake nixpkgs",
        ),
        (
            "flake-own-configuration",
            "a configuration is defined by itself",
        ),
        (
            "flake-absolute-path",
            "pi/flake.nix:1 names /etc/nixos/hardware-configuration.nix. That file describes the disks of an installed machine",
        ),
        ("flake-url-interpolated", "without evaluating them"),
        (
            "flake-byte-order-mark",
            "the file begins with a byte order mark",
        ),
        (
            "flake-nixpkgs-file",
            "pi/flake.nix:1 names sd-image-aarch65.nix, which this nixpkgs does not have. Did you mean \
             sd-image-aarch64.nix?",
        ),
    ] {
        assert_hint(&recorded(name), "", hint);
    }
}

#[test]
fn another_absolute_path_in_a_flake_is_copied() {
    let other =
        |kind| recording("flake-absolute-path", kind).replace("hardware-configuration", "mine");
    assert_hint(
        &failure(other("nix"), &other("log"), ""),
        "",
        "names /etc/nixos/mine.nix, which is outside the flake. Copy it next to flake.nix, git add it, and write \
         ./mine.nix",
    );
}

#[test]
fn a_key_file_outside_a_flake_has_its_line() {
    let flake = "{\n  nixosConfigurations.pi = f { modules = [ { a.keyFiles = [ \"/home/me/key.pub\" ]; } ]; };\n}\n";
    let error = "access to absolute path '/home' is forbidden in pure evaluation mode";
    assert_hint(
        &failure(flake, &message(error), ""),
        "",
        "pi/flake.nix:2 reads /home/me/key.pub, which is outside the flake. Copy it next to that file, git add it, and",
    );
}

#[test]
fn a_list_in_place_of_the_set_of_a_system_is_found() {
    assert_hint(
        &recorded("flake-system-list"),
        "expected a set but found a list",
        "flake.nix:4: nixosSystem takes a set",
    );
}

/// As Nix reports what has no place in the user's files.
fn message(error: &str) -> String {
    let error = error.replace('"', "\\\"");
    format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {error}","raw_msg":"{error}"}}"#
    )
}

#[test]
fn nixpkgs_in_angle_brackets_is_an_input_of_a_flake() {
    for (written, hint) in [
        ("nixpkgs", "Write nixpkgs, an input of the flake"),
        ("nixpkgs/nixos", "Write nixpkgs.lib.nixosSystem"),
        (
            "nixpkgs/nixos/modules/a.nix",
            "In a module write \"${modulesPath}/a.nix\"",
        ),
    ] {
        let flake = format!(
            "{{\n  outputs = {{ nixpkgs, ... }}: {{\n    nixosConfigurations.pi = import <{written}>;\n  }};\n}}\n"
        );
        let error = format!(
            "cannot look up '<{written}>' in pure evaluation mode (use '--impure' to override)"
        );
        let failure = failure(flake, &message(&error), "");
        let place = format!("pi/flake.nix:3 names <{written}>, which no flake has. ");
        assert_hint(
            &failure,
            "in pure evaluation mode",
            &format!("{place}{hint}"),
        );
    }
}

#[test]
fn a_download_without_a_hash_gets_one_in_a_flake() {
    for given in [
        "\"https://h.example/x\"",
        "{ url = \"https://h.example/x\"; }",
    ] {
        let flake = format!(
            "{{\n  outputs = _: {{ nixosConfigurations.pi = builtins.fetchTarball {given}; }};\n}}\n"
        );
        let error = "in pure evaluation mode, 'fetchTarball' requires a 'sha256' argument";
        assert_hint(
            &failure(flake, &message(error), ""),
            "in pure evaluation mode",
            "pi/flake.nix:2: in a flake, fetchTarball needs a hash. Write builtins.fetchTarball { url = \
             \"https://h.example/x\"; sha256 = \"\"; }",
        );
    }
}

#[test]
fn options_given_to_the_function_of_a_system_are_in_modules() {
    let other = |name: &str| {
        format!("function 'anonymous lambda' called with unexpected argument '{name}'")
    };
    for (error, given, hint) in [
        (
            other("networking"),
            "networking.hostName = \"pi\";",
            "pi/flake.nix:1: move the options of the system into modules: nixosSystem { modules = [ { \
             networking.hostName = \"pi\"; } ]; }",
        ),
        (
            other("imports"),
            "imports = [ ./a.nix ];",
            "rename imports to modules: nixosSystem { modules = [ ./a.nix ]; }",
        ),
        (
            other("imports"),
            "imports = [ ./a.nix ]; modules = [ ];",
            "pi/flake.nix:1: nixosSystem does not take imports. Add its files to modules",
        ),
        (
            "attribute 'modules' missing".to_owned(),
            "system = \"aarch64-linux\";",
            "pi/flake.nix:1: give nixosSystem its modules: nixosSystem { system = \"aarch64-linux\"; modules = [ ./configuration.nix ]; }\n  Write the file configuration.nix, which is not there yet",
        ),
        (
            other("module"),
            "system = \"aarch64-linux\"; module = [ ./a.nix ];",
            "pi/flake.nix:1: rename the argument module of nixosSystem to modules",
        ),
    ] {
        let flake = format!(
            "{{ outputs = {{ n, ... }}: {{ nixosConfigurations.pi = n.lib.nixosSystem {{ {given} }}; }}; }}"
        );
        assert_hint(&failure(flake, &message(&error), ""), &error, hint);
    }
}

#[test]
fn an_input_that_is_an_address_is_a_set() {
    for written in ["\"github:NixOS/nixpkgs\"", "github:NixOS/nixpkgs"] {
        let flake = format!(
            "{{\n  inputs.nixpkgs = {written};\n  outputs = {{ ... }}: {{ nixosConfigurations = {{ }}; }};\n}}\n"
        );
        let error = "expected a set but got a string at /nix/store/x-source/flake.nix:2:3";
        assert_hint(
            &failure(flake, &message(error), ""),
            "pi/flake.nix:2:3: expected a set but got a string",
            "inputs.nixpkgs.url = \"github:NixOS/nixpkgs\";",
        );
    }
}

#[test]
fn nixpkgs_is_imported_with_a_system() {
    let error = "attribute 'currentSystem' missing";
    for (given, written) in [
        ("{ }", "{ system = \"aarch64-linux\"; }"),
        (
            "{ config = { }; }",
            "{ system = \"aarch64-linux\"; config = { }; }",
        ),
    ] {
        let flake = format!(
            "{{\n  outputs = {{ nixpkgs, ... }}:\n  let pkgs = import nixpkgs {given}; in {{ nixosConfigurations = {{ }}; }};\n}}\n"
        );
        let hint = format!(
            "pi/flake.nix:3: a flake does not know the system of the computer that evaluates it. Write import nixpkgs {written}"
        );
        assert_hint(&failure(flake, &message(error), ""), error, &hint);
    }
}

#[test]
fn outputs_that_are_a_set_have_no_arguments_to_add() {
    let flake = "{ outputs = { nixosConfigurations.pi = nixpkgs.lib.nixosSystem { }; }; }";
    let stream = reported(
        "/build/config/flake.nix",
        (1, 40),
        "undefined variable 'nixpkgs'",
        "",
    );
    assert_hint(
        &failure(flake, &stream, ""),
        "undefined variable",
        "outputs is a function of the inputs",
    );
}
