//! Options that do not exist, and values of the wrong form.

use super::*;

#[test]
fn a_value_of_the_wrong_type_names_the_right_form() {
    let boolean = recorded("wrong-type");
    assert_hint(
        &boolean,
        "pi/c.nix:4: A definition for option",
        "write services.openssh.enable = true;",
    );
    let package = recorded("wrong-type-list");
    assert_hint(
        &package,
        "is not of type `package'",
        "write pkgs.vim, without quotes",
    );
    let list = recorded("wrong-type-list-without-brackets");
    assert_hint(
        &list,
        "is not of type `list of package'",
        "write a list: environment.systemPackages = [ pkgs.vim ];",
    );
}

#[test]
fn definitions_that_contradict_are_resolved() {
    let image = recorded("defined-by-image");
    let message = "The option `fileSystems.\"/\".device' has conflicting definition values";
    assert_hint(
        &image,
        message,
        "the image sets fileSystems.\"/\".device itself, so remove it",
    );
    let files = recorded("conflict");
    let message = "The option `time.timeZone' has conflicting definition values";
    let lines = "remove the definition in pi/c.nix:4 or the one in pi/two.nix";
    assert_hint(&files, message, lines);
    // Nix's own proposal, which is wrong for the first, is not repeated.
    for failure in [image, files] {
        assert!(!failure.to_string().contains("lib.mkForce"), "{failure}");
    }
}

#[test]
fn values_that_look_right_have_their_form_explained() {
    let name = recorded("host-name");
    let hint = "a host name has at most 63 letters from a to z, digits and `-`: networking.hostName = \"my-pi\";";
    assert_hint(&name, "pi/c.nix:4: A definition for option", hint);
    let number = recorded("host-name-number");
    assert_hint(
        &number,
        "pi/c.nix:4: A definition for option",
        "write a string in quotes: networking.hostName = \"5\";",
    );
    let call = recorded("call-in-list");
    assert_hint(
        &call,
        "<function>",
        "a call inside a list needs parentheses: (callPackage ./x.nix { })",
    );
    let path = recorded("quoted-path");
    assert_hint(
        &path,
        "doesn't represent an absolute path",
        "write a path without quotes",
    );
    let list = recorded("not-a-module");
    assert_hint(&list, "but a list", "a module is a set");
    let colon = recorded("colon");
    assert_hint(
        &colon,
        "pi/c.nix:3:10: syntax error",
        "imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];",
    );
}

#[test]
fn a_call_without_parentheses_is_written_with_them() {
    let log = recording("call-in-list", "log");
    let hints = |list: &str, entry: &str, value: &str| {
        let nix = format!("{{ environment.systemPackages = {list}; }}");
        let log = log.replace("-entry 2]", entry).replace("<function>", value);
        failure(nix, &log, "").hints.concat()
    };
    let needs = "a call inside a list needs parentheses: ";
    for (list, entry, value, call) in [
        (
            "[ pkgs.python3.withPackages (p: [ p.requests ]) ]",
            "-entry 1]",
            "<function>",
            "(pkgs.python3.withPackages (p: [ p.requests ]))",
        ),
        (
            "with pkgs; [ vim mine.build a b ]",
            "-entry 2]",
            "<function, args: {a}>",
            "(mine.build …)",
        ),
        (
            "[ lib.mkIf true pkgs.vim ]",
            "-entry 2]",
            "true",
            "(lib.mkIf true pkgs.vim)",
        ),
    ] {
        assert_eq!(hints(list, entry, value), format!("{needs}{call}"));
    }
    let nested = hints("[ [ pkgs.vim ] ]", "-entry 1]", "[ <derivation vim> ]");
    assert!(nested.starts_with("remove the brackets"), "{nested}");
    // The elements before it are calls of their own, or the list is not the only one.
    for (list, value) in [
        ("[ (lib.mkIf true pkgs.vim) true ]", "true"),
        ("[ pkgs.x.override { } (p: p) true ]", "true"),
        ("[ a b ] ++ [ c d ]", "true"),
        (
            "[ ]; environment.systemPackages = [ lib.mkIf true x ]",
            "true",
        ),
    ] {
        let hints = hints(list, "-entry 4]", value);
        assert_eq!(hints, "write pkgs.NAME, without quotes", "{list}");
    }
}

#[test]
fn a_value_of_another_kind_names_its_line() {
    for (name, message, hint) in [
        (
            "quoted-import",
            "string './wifi.nix' doesn't represent",
            "pi/c.nix:4: write a path without quotes: ./wifi.nix",
        ),
        (
            "imports-string",
            "expected a list but found a string",
            "pi/c.nix:4: imports is a list: imports = [ ./wifi.nix ];",
        ),
        (
            "kernel-name",
            "expected a set but found a string",
            "pi/c.nix:4: a kernel and its modules are a set of packages: boot.kernelPackages = pkgs.linuxPackages_latest;",
        ),
        (
            "keys-list",
            "`users.users.root.openssh.authorizedKeys'",
            "pi/c.nix:4: write the keys as the list users.users.root.openssh.authorizedKeys.keys = [",
        ),
        (
            "lists-plus",
            "cannot coerce a list to a string",
            "pi/c.nix:4: join two lists with `++`",
        ),
    ] {
        let failure = recorded(name);
        assert_hint(&failure, message, hint);
        let quoted = failure.log_tail.get(1).map_or("", String::as_str);
        assert!(quoted.starts_with("4| "), "{failure:?}");
    }
}

#[test]
fn only_a_value_that_must_be_meant_is_named() {
    let log = recording("kernel-name", "log");
    let two = "{\n  a.tag = \"latest\";\n  boot.kernelPackages = \"latest\";\n}\n";
    assert!(failure(two, &log, "").hints.is_empty());
    let sum = recording("lists-plus", "log");
    let other = "{ a = \"b\" + lib.concatStringsSep \",\" [ \"c\" ]; }";
    let hints = failure(other, &sum, "").hints;
    assert_eq!(
        hints,
        ["make a string of a list with lib.concatStringsSep \" \" [ … ]"]
    );
}

#[test]
fn definitions_beside_options_are_moved_into_config() {
    let message = "has an unsupported attribute `boot'";
    let options = recorded("options-without-config");
    assert_hint(
        &options,
        message,
        "Move boot and all others except imports there",
    );
    let nix = recording("options-without-config", "nix")
        .replace("options.my.x = lib.mkOption { }", "config.my.x = 1");
    let config = failure(nix, &recording("options-without-config", "log"), "");
    assert_hint(&config, message, "write all definitions without `config.`");
}

#[test]
fn values_side_by_side_are_a_list() {
    let failure = recorded("with-parentheses");
    let message = "pi/c.nix:4:45: attempt to call something which is not a function";
    assert_hint(&failure, message, "Put several values into a list, [ a b ]");
}

#[test]
fn an_option_that_is_defined_twice_names_both_lines() {
    let failed = recorded("defined-twice");
    assert_hint(
        &failed,
        "already defined at pi/c.nix:4:3",
        "remove the definition in line 4 or the one in line 6",
    );
    let log = recording("defined-twice", "log").replace("networking.hostName", "imports");
    let nix = recording("defined-twice", "nix");
    let nix: String = nix
        .lines()
        .map(|line| {
            if line.contains("networking.hostName") {
                "  imports = [ ./wifi.nix ];\n".to_owned()
            } else {
                format!("{line}\n")
            }
        })
        .collect();
    let hints = failure(&nix, &log, "").hints;
    assert_eq!(
        hints,
        ["put the lists of line 4 and line 6 into one definition: imports = [ ./wifi.nix ];"]
    );
    // All of a set, and a part of it.
    let log = recording("defined-twice", "log").replace("networking.hostName", "services.openssh");
    let nix = recording("defined-twice", "nix")
        .replacen("networking.hostName", "services.openssh", 1)
        .replacen("networking.hostName", "services.openssh.settings.X", 1);
    let of_value = "line 4 gives services.openssh a single value, but line 6 sets services.openssh.settings.X inside \
     it. Keep one of the two";
    assert_eq!(failure(&nix, &log, "").hints, [of_value]);
    let set = nix.replacen("\"kitchen\"", "lib.mkIf x { enable = true; }", 1);
    let of_set = "line 4 sets all of services.openssh, and line 6 sets a part of it. Put services.openssh.settings.X \
     into the value of line 4";
    assert_eq!(failure(&set, &log, "").hints, [of_set]);
}

#[test]
fn options_of_an_image_without_its_module_name_the_import() {
    let message = "The option `sdImage' does not exist";
    let module = "(modulesPath + \"/installer/sd-card/sd-image-aarch64.nix\")";
    let failed = recorded("no-sd-image-option");
    let line = format!(
        "add the line imports = [ {module} ]; to the configuration\n    Also add modulesPath to the {{ … }}: of line 1"
    );
    assert_hint(&failed, message, &line);
    // A second definition of imports would be an error of its own.
    let stream = recording("no-sd-image-option", "log");
    let hint_for = |nix| failure(nix, &stream, "").hints.join("\n");
    assert_eq!(
        hint_for("{ modulesPath, ... }:\n{\n  imports = [\n    ./wifi.nix\n  ];\n}\n"),
        format!("add {module} to the imports of line 3")
    );
    assert_eq!(
        hint_for("# imports = [ ]\n{\n  imports = [ ];\n}\n"),
        format!(
            "add {module} to the imports of line 3\n    Also begin the file with {{ modulesPath, ... }}:"
        )
    );
}

#[test]
fn an_unknown_option_names_its_line() {
    let failure = recorded("unknown-option-nested");
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
fn failed_assertions_have_a_line_each() {
    let failure = recorded("assertion");
    let message = "Failed assertions:\n- The option x must be set.\n- y is wrong";
    assert!(failure.to_string().ends_with(message), "{failure}");
}

#[test]
fn errors_of_the_command_line_name_the_flag() {
    let unknown = recorded_with("services.opensh.enable=true", "set-unknown-option");
    let message = "The option `services.opensh' does not exist. Definition values:\n- On the command line: --set \
                   services.opensh.enable=true";
    assert_hint(&unknown, message, "options");
    let value = recorded_with("time.timeZone=5", "set-wrong-value");
    assert_hint(
        &value,
        "- On the command line: --set time.timeZone=5",
        "a time zone is a string",
    );
    let set = "environment.systemPackages=[ pkgs.vim htopp ]";
    let undefined = recorded_with(
        "environment.systemPackages=[ pkgs.vim htopp ]",
        "set-undefined",
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

#[test]
fn options_that_nixpkgs_never_had_are_explained() {
    for (name, message, hint) in [
        (
            "option-of-home-manager",
            "The option `home-manager' does not exist",
            "the module of home-manager has this option, but is not part of nixpkgs",
        ),
        (
            "option-without-openssh",
            "The option `users.users.root.authorizedKeys' does not exist",
            "did you mean users.users.root.openssh.authorizedKeys.keys?",
        ),
        (
            "option-import",
            "The option `import' does not exist",
            "include other files with imports = [ … ];",
        ),
    ] {
        assert_hint(&recorded(name), message, hint);
    }
}

#[test]
fn misspelt_options_of_users_have_a_proposal() {
    let failure = recorded("option-misspelt");
    assert_hint(
        &failure,
        "pi/c.nix:4: The option `users.users.root.openssh.authorisedKeys' does not exist.",
        "did you mean users.users.root.openssh.authorizedKeys?",
    );
    assert!(!failure.to_string().contains("Did you mean"), "{failure}");
}

/// Nix names only the first part of it.
#[test]
fn user_in_place_of_users_is_corrected_as_a_whole() {
    let hint = |text: &str| {
        let error =
            "The option `user' does not exist. Definition values:\\n- In `/build/config/c.nix'";
        let stream = format!(
            r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":"error: {error}","raw_msg":"{error}"}}"#
        );
        failure(text, &stream, "").hints.concat()
    };
    for (text, meant) in [
        (
            "{ user.users.pi = { isNormalUser = true; }; }",
            "users.users.pi",
        ),
        (
            "{ user.pi.isNormalUser = true; }",
            "users.users.pi.isNormalUser",
        ),
        ("{ user.mutableUsers = false; }", "users.mutableUsers"),
    ] {
        assert_eq!(hint(text), format!("did you mean {meant}?"), "{text}");
    }
    // Two of them.
    let two = hint("{ user.users.pi.uid = 1; user.users.ann.uid = 2; }");
    assert!(two.starts_with("check its spelling"), "{two}");
}
