//! Mistakes of beginners that Nix reports with a place, or with a list of definitions.

use super::*;

/// Nix's message about `error`, of which it names no place.
fn without_place(error: &str) -> String {
    let message = serde_json::to_string(&format!("error: {error}")).unwrap();
    let raw = serde_json::to_string(error).unwrap();
    format!(
        r#"@nix {{"action":"msg","column":null,"file":null,"level":0,"line":null,"msg":{message},"raw_msg":{raw}}}"#
    )
}

/// What nixpkgs says of the value of `option`, as Nix shows it.
fn wrong(option: &str, kind: &str, shown: &str) -> String {
    format!(
        "A definition for option `{option}' is not of type `{kind}'. Definition values:\n- In `/build/config/c.nix': {shown}"
    )
}

/// What nixpkgs says of an option that it does not have.
fn unknown(option: &str) -> String {
    format!(
        "The option `{option}' does not exist. Definition values:\n- In `/build/config/c.nix': {{ }}"
    )
}

#[test]
fn the_home_of_a_user_is_a_string() {
    let error = "path '/nix/var/sdbuild/home/ada' does not exist";
    let hint = |nix: &str| failure(nix, &without_place(error), "").hints.concat();
    let string = "Write a path on the machine as a string: users.users.ada.home = \"/home/ada\";";
    let told = hint("{ users.users.ada = { home = ~/ada; }; }");
    assert!(
        told.starts_with("pi/c.nix:1: ") && told.ends_with(string),
        "{told}"
    );
    let pure = without_place("the path '~/ada' can not be resolved in pure mode");
    let in_flake = failure(
        "{ modules = [ { users.users.ada.home = ~/ada; } ]; }",
        &pure,
        "",
    )
    .hints
    .concat();
    assert!(in_flake.ends_with(string), "{in_flake}");
    let source = failure("{ environment.etc.x.source = ~/ada; }", &pure, "")
        .hints
        .concat();
    assert!(source.ends_with("write ./ada instead of ~/ada"), "{source}");
    let file = hint("{ environment.etc.x.source = ~/ada; }");
    assert!(
        file.contains("Write ./ada, and copy the file there: cp ~/ada /"),
        "{file}"
    );
}

#[test]
fn a_package_does_not_begin_with_a_digit() {
    let option = "environment.systemPackages.\"[definition 2-entry 2]\"";
    let list = "{ environment.systemPackages = with pkgs; [ vim 7zip ]; }";
    let found = failure(list, &without_place(&wrong(option, "package", "7")), "");
    assert!(
        found.hints[0].ends_with("Nix reads 7zip as a number and a name. Write _7zz"),
        "{found:?}"
    );
    let selected = hints_of_line(
        "{ a.packages = [ pkgs.7zip ]; }",
        24,
        "undefined variable 'zip'",
    );
    assert!(selected[0].ends_with("Write pkgs._7zz"), "{selected:?}");
    let other = hints_of_line(
        "{ a.packages = [ zip 7zap ]; }",
        18,
        "undefined variable 'zip'",
    );
    assert!(!other[0].contains("digit"), "{other:?}");
}

#[test]
fn values_in_place_of_sets_and_booleans_are_corrected() {
    for (option, kind, written, hint) in [
        (
            "users.users",
            "attribute set of (submodule)",
            "[ \"ada\" ]",
            "write each one with its name: users.users.ada = { isNormalUser = true; };",
        ),
        (
            "networking.wireless.networks",
            "attribute set of (submodule)",
            "\"Home\"",
            "write each network with its name and its passphrase: networking.wireless.networks.\"NAME\".psk = \"…\";",
        ),
        (
            "security.sudo.wheelNeedsPassword",
            "boolean",
            "\"no\"",
            "write security.sudo.wheelNeedsPassword = false;",
        ),
        (
            "networking.interfaces.end0.ipv4",
            "submodule",
            "\"192.168.1.5/16\"",
            "write networking.interfaces.end0.ipv4.addresses = [ { address = \"192.168.1.5\"; prefixLength = 16; } ];",
        ),
    ] {
        let nix = format!("{{ {option} = {written}; }}");
        let shown = if written.starts_with('[') {
            ""
        } else {
            written
        };
        let found = failure(nix, &without_place(&wrong(option, kind, shown)), "");
        assert_eq!(found.hints, [hint], "{option}");
    }
}

#[test]
fn an_address_of_ipv6_is_in_its_own_list() {
    let list = "networking.interfaces.end0.ipv4.addresses";
    let option = format!("{list}.\"[definition 1-entry 1]\".prefixLength");
    let stream = without_place(&wrong(&option, "signed integer", "64"));
    let hint = |address: &str| {
        let nix = format!("{{ {list} = [ {{ address = \"{address}\"; prefixLength = 64; }} ]; }}");
        failure(nix, &stream, "").hints.concat()
    };
    let six = "[ { address = \"fd00::5\"; prefixLength = 64; } ];";
    assert_eq!(
        hint("fd00::5"),
        format!("for an IPv6 address, write networking.interfaces.end0.ipv6.addresses = {six}")
    );
    assert!(hint("192.168.1.5").contains("is at most 32"));
    let four = "{ address = \"192.168.1.5\"; prefixLength = 24; }";
    let other =
        format!("{{ {list} = [ {{ address = \"fd00::5\"; prefixLength = 64; }} {four} ]; }}");
    assert_eq!(
        failure(other, &stream, "").hints.concat(),
        "fd00::5 is an IPv6 address. Move it into the list networking.interfaces.end0.ipv6.addresses: { address = \
         \"fd00::5\"; prefixLength = 64; }"
    );
}

#[test]
fn options_without_their_namespace_are_completed() {
    for (nix, option, hint) in [
        (
            "{ openssh.enable = true; }",
            "openssh",
            "did you mean services.openssh.enable?",
        ),
        (
            "{ tailscale = { enable = true; }; }",
            "tailscale",
            "did you mean services.tailscale.enable?",
        ),
        (
            "{ enable.tailscale = true; }",
            "enable",
            "`enable` comes last. Did you mean services.tailscale.enable?",
        ),
        (
            "{ enable.programs.git = true; }",
            "enable",
            "`enable` comes last. Did you mean programs.git.enable?",
        ),
        (
            "{ home.packages = [ ]; }",
            "home",
            "home.packages is an option of Home Manager, not of NixOS. Write users.users.NAME.packages for one user, or \
             environment.systemPackages for all",
        ),
        (
            "{ home.stateVersion = \"26.05\"; home.username = \"ann\"; home.packages = [ ]; }",
            "home",
            "home.stateVersion is an option of Home Manager, not of NixOS. Write system.stateVersion",
        ),
    ] {
        let found = failure(nix, &without_place(&unknown(option)), "");
        assert_eq!(found.hints, [hint], "{nix}");
    }
}

#[test]
fn the_definition_is_found_where_a_name_stands_twice() {
    let keys = "users.users.ann.openssh.authorizedKeys.keys";
    let nix = "{ users.users.bob.openssh.authorizedKeys.keys = [ ];\n\
               users.users.ann = { openssh.authorizedKeys.keys = \"ssh-ed25519 AAAA ann@pc\"; }; }";
    let kind = "list of (optionally newline-terminated) single-line string";
    let error = wrong(keys, kind, "\"ssh-ed25519 AAAA ann@pc\"");
    let found = failure(nix, &without_place(&error), "");
    let message = found.to_string();
    assert!(
        message.contains("pi/c.nix:2: A definition for option"),
        "{message}"
    );
    let list = format!("write a list: {keys} = [ \"ssh-ed25519 AAAA ann@pc\" ];");
    assert_eq!(found.hints, [list]);
}

#[test]
fn elements_of_lists_are_named_by_their_number() {
    let option = "swapDevices.\"[definition 2-entry 3]\".size";
    let found = failure(
        "{ }",
        &without_place(&wrong(option, "signed integer", "\"x\"")),
        "",
    );
    let message = found.to_string();
    let shown = "A definition for option `swapDevices.*.size' (entry 3 of the list) is not of type";
    assert!(message.contains(shown), "{message}");
    let element = "a.b.\"[definition 1-entry 1]\"";
    let found = failure("{ }", &without_place(&wrong(element, "string", "1")), "");
    assert!(
        found.to_string().contains("`a.b' (entry 1 of the list) is"),
        "{found}"
    );
}

#[test]
fn packages_side_by_side_are_a_list() {
    let line = "{ environment.systemPackages = with pkgs; vim htop; }";
    let error = "attempt to call something which is not a function but a set: { type = \\\"derivation\\\"; all = «thunk»; }";
    let quoted = format!("\\n       at /build/config/c.nix:1:43:\\n            1| {line}");
    let stream = reported("/build/config/c.nix", (1, 43), error, &quoted);
    let found = failure(line, &stream, "");
    let hint = "put several values into a list, in brackets: environment.systemPackages = with pkgs; [ vim htop ];";
    assert_eq!(found.hints, [hint]);
    let tail = found.log_tail.concat();
    assert!(tail.contains("1| {") && !tail.contains("thunk"), "{tail}");
}

#[test]
fn a_name_beside_a_list_may_be_a_package() {
    let error = "expected a list but found a set: { type = \"derivation\"; all = «thunk»; }";
    let hints = |nix: &str| failure(nix, &without_place(error), "").hints.concat();
    assert_eq!(
        hints("{ a = with pkgs; [ vim ] ++ htop; }"),
        "pi/c.nix:1: `++` joins two lists. Write ++ [ htop ]"
    );
    assert_eq!(hints("let x = y; in { a = with pkgs; [ vim ] ++ x; }"), "");
    assert_eq!(hints("{ a = [ vim ] ++ htop; }"), "");
}

#[test]
fn what_a_flake_does_not_evaluate_has_no_names() {
    let hint = |line: &str, column: usize| {
        let flake =
            format!("{{ {line}\n outputs = {{ ... }}: {{ nixosConfigurations = {{ }}; }}; }}");
        let stream = reported(
            "/build/config/flake.nix",
            (1, column),
            "undefined variable 'pkgs'",
            "",
        );
        failure(flake, &stream, "").hints.concat()
    };
    let description = hint("description = pkgs.hello;", 17);
    assert_eq!(
        description,
        "the description is a string, without names: description = \"…\";"
    );
    let input = hint("inputs.a.url = pkgs.hello;", 18);
    assert!(
        input.starts_with("Nix reads description, inputs and nixConfig"),
        "{input}"
    );
}

#[test]
fn an_address_without_quotes_is_a_string() {
    let option = "networking.nameservers.\"[definition 1-entry 1]\"";
    let stream = without_place(&wrong(option, "string", "1.100000"));
    let hints = |list: &str| {
        failure(
            format!("{{ networking.nameservers = {list}; }}"),
            &stream,
            "",
        )
        .hints
        .concat()
    };
    let string = "put the address in double quotes: \"1.1.1.1\"";
    assert_eq!(hints("[ 1.1.1.1 8.8.8.8 ]"), string);
    assert!(hints("[ 1.1 ]").contains("\"1.1\""));
}

#[test]
fn an_alias_is_a_string() {
    let error = "undefined variable 'ls'";
    let hints = hints_of_line("{ environment.shellAliases = { ll = ls -l; }; }", 37, error);
    assert_eq!(
        hints,
        ["put the alias in double quotes: environment.shellAliases.ll = \"ls -l\";"]
    );
    let other = hints_of_line("{ programs.x.shellAliases.ll = \"a\" + ls; }", 39, error);
    assert!(!other.concat().contains("alias"), "{other:?}");
}

#[test]
fn options_of_another_set_are_named_with_it() {
    for (option, meant) in [
        (
            "systemd.services.hello.ExecStart",
            "systemd.services.hello.serviceConfig.ExecStart",
        ),
        (
            "networking.wireless.networks.Home.password",
            "networking.wireless.networks.Home.psk",
        ),
    ] {
        let found = failure("{ }", &without_place(&unknown(option)), "");
        assert_eq!(found.hints, [format!("did you mean {meant}?")]);
    }
}
