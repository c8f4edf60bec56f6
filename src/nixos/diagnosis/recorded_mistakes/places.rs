//! The lines that a failure quotes, and the line that a syntax error names.

use super::*;

#[test]
fn a_syntax_error_names_the_line_of_its_cause() {
    for (failure, place, hint) in [
        (
            recorded("missing-semicolon"),
            "pi/c.nix:7:27",
            "a `;` is missing at the end of line 4",
        ),
        (
            recorded("missing-quote"),
            "pi/c.nix:6:25",
            "the string that begins in line 4 has no closing quote",
        ),
        (
            recorded("extra-bracket"),
            "pi/c.nix:5:26",
            "line 4 closes the { … } of the whole file",
        ),
        (
            recorded("open-bracket"),
            "pi/c.nix:4:32",
            "the `[` of line 4 is not closed",
        ),
        (
            recorded("open-list"),
            "pi/c.nix:6:26",
            "the `[` of line 4 is not closed",
        ),
        (
            recorded("single-quotes"),
            "pi/c.nix:4:25",
            "write a string in straight double quotes: networking.hostName = \"pi\";",
        ),
    ] {
        assert_hint(&failure, place, hint);
    }
}

#[test]
fn what_is_no_nix_is_told_as_a_whole() {
    let fence = "syntax error, unexpected invalid token";
    let told = hints_of_line("```nix", 1, fence).concat();
    assert_eq!(
        told,
        "remove the lines with ```, which are Markdown, not Nix"
    );
    let prose = "undefined variable 'please'";
    let told = hints_of_line("please write a file", 1, prose).concat();
    assert!(
        told.starts_with("this does not look like a NixOS configuration"),
        "{told}"
    );
}

#[test]
fn a_wrong_character_is_named_with_what_replaces_it() {
    for (failure, place, hint) in [
        (
            recorded("wildcard"),
            "pi/c.nix:3:15",
            "Nix has no wildcards (`*`). Name each file of line 3",
        ),
        (
            recorded("double-equals"),
            "pi/c.nix:3:27",
            "write `=` instead of `==`",
        ),
        (
            recorded("comma-for-semicolon"),
            "pi/c.nix:3:33",
            "write `;` instead of each comma",
        ),
        (
            recorded("semicolon-in-parentheses"),
            "pi/c.nix:3:51",
            "write the `;` after the `)`",
        ),
        (
            recorded("let-without-in"),
            "pi/c.nix:4:1",
            "the definitions of a `let` end with `in`",
        ),
        (
            recorded("sum-in-list"),
            "pi/c.nix:3:27",
            "in parentheses: [ (a + b) ]",
        ),
        (
            recorded("zero-width-space"),
            "pi/c.nix:2:7",
            "line 2 has an invisible character (U+200B). Delete it",
        ),
        (
            recorded("indented-string-not-closed"),
            "pi/c.nix:5:9",
            "begins with `''` in line 1 is not closed",
        ),
    ] {
        assert_hint(&failure, place, hint);
    }
}

#[test]
fn a_token_that_is_missing_or_superfluous_is_named() {
    for (failure, place, hint) in [
        (
            recorded("dot-twice"),
            "pi/c.nix:4:14",
            "there is one dot too many",
        ),
        (
            recorded("value-missing"),
            "pi/c.nix:4:18",
            "a value is missing between `=` and `;`",
        ),
        (
            recorded("equals-missing"),
            "pi/c.nix:4:17",
            "a `=` is missing between the name and the string",
        ),
        (
            recorded("else-missing"),
            "pi/c.nix:4:39",
            "an `if` needs an `else`",
        ),
        (
            recorded("name-with-slash"),
            "pi/c.nix:4:3",
            "in double quotes: fileSystems.\"/boot\"",
        ),
        (
            recorded("port-range"),
            "pi/c.nix:4:45",
            "allowedTCPPortRanges = [ { from = 80; to = 90; } ];",
        ),
        (recorded("two-dots"), "pi/c.nix:1:8", "`...` has three dots"),
        (
            recorded("shell-variable"),
            "pi/c.nix:4:23",
            "no variables that begin with `$`",
        ),
        (
            recorded("dash"),
            "pi/c.nix:4:25",
            "line 4 has the dash – (U+2013). Write a minus",
        ),
    ] {
        assert_hint(&failure, place, hint);
    }
}

#[test]
fn a_line_before_the_place_is_quoted() {
    let earlier = recorded("missing-semicolon");
    assert_eq!(
        earlier.log_tail[..3],
        [
            "4|   networking.hostName = \"pi\"",
            "…",
            "6|   # Remote login.",
        ]
    );
    // Nix quotes that line itself.
    let near = recorded("extra-bracket");
    assert!(!near.log_tail.contains(&"…".to_owned()), "{near:?}");
}

#[test]
fn message_place_and_proposal_are_reported_once() {
    let variable = recorded("undefined-in-with");
    assert_eq!(
        variable.log_tail[1..],
        [
            "4|   environment.systemPackages = with pkgs; [ vim htopp git ];",
            " |                                                 ^",
            "5| }",
        ]
    );
    // Nix's proposal is in the hint, and its advice for contradictions has a better one.
    let package = recorded("missing-attribute-package");
    assert_eq!(package.log_tail.last().unwrap(), "5| }");
    let conflict = recorded("conflict").log_tail;
    assert_eq!(conflict[1], "4|   time.timeZone = \"Europe/Berlin\";");
}

#[test]
fn expressions_of_sdbuild_are_not_quoted() {
    let log = recording("assertion", "log");
    let in_nixpkgs = "/nix/var/sdbuild/nixpkgs/tree/lib/modules.nix";
    let own = log.replace(in_nixpkgs, "/build/sdbuild/expressions/default.nix");
    assert_ne!(own, log);
    let nix = recording("assertion", "nix");
    assert_eq!(failure(&nix, &own, "").log_tail, [""; 0]);
    // One of the places is the user's.
    let users = own.replacen(
        "/build/sdbuild/expressions/default.nix",
        "/build/config/c.nix",
        1,
    );
    let quoted = failure(&nix, &users, "").log_tail.join("\n");
    assert!(quoted.contains("at pi/c.nix:163:7"), "{quoted}");
}

#[test]
fn a_wrong_value_is_quoted_with_its_line() {
    let failure = recorded("wrong-type");
    let message =
        "pi/c.nix:4: A definition for option `services.openssh.enable' is not of type `boolean'.";
    assert!(failure.to_string().ends_with(message), "{failure}");
    assert_eq!(
        failure.log_tail[1..3],
        ["4|   services.openssh.enable = \"yes\";", " |   ^"]
    );
}

#[test]
fn an_empty_flake_is_recognised() {
    let failure = recorded("flake-empty");
    let hint = "the file is empty. Remove it, then `sdbuild init --flake` writes one";
    assert_hint(&failure, "pi/flake.nix:1:1: syntax error", hint);
}

#[test]
fn the_end_of_a_flake_that_is_cut_short_is_the_users() {
    let failure = recorded("flake-cut-short");
    let message = "pi/flake.nix:4:1: syntax error";
    assert_hint(&failure, message, "the `{` of line 2 is not closed");
}

#[test]
fn a_second_set_belongs_into_the_first() {
    let called = "attempt to call something which is not a function but a set: { a = 1; }";
    let comma = "syntax error, unexpected ',', expecting '.' or '='";
    let first = "{ ... }:\n{\n  a = 1;\n}\n";
    let hint = "a second { … } begins in line 5, but a file holds only one. Move its definitions into the first, above \
     the `}` of line 4";
    for (second, place, error) in [
        ("{\n  b = 2;\n}\n", (2, 1), called),
        ("{ ..., ... }:\n{\n  b = 2;\n}\n", (5, 6), comma),
    ] {
        let stream = reported("/build/config/c.nix", place, error, "");
        let hints = failure(format!("{first}{second}"), &stream, "").hints;
        assert_eq!(hints, [hint], "{second}");
    }
    let stream = reported("/build/config/c.nix", (5, 7), comma, "");
    let second = "{ pkgs, lib ? 1, ... }:\n{\n  b = 2;\n}\n";
    let with_arguments = |first: &str, arguments: &str| {
        let hints = failure(format!("{first}{second}"), &stream, "").hints;
        assert_eq!(hints, [format!("{hint}{arguments}")]);
    };
    with_arguments(
        first,
        ", and its arguments pkgs, lib into those of the first",
    );
    let has_one = first.replace("...", "pkgs, ...");
    with_arguments(&has_one, ", and its argument lib into those of the first");
}

#[test]
fn a_list_behind_a_package_set_lacks_its_with() {
    let error = "syntax error, unexpected '[', expecting 'inherit'";
    let hint = "write `with pkgs;` instead of `pkgs;` in line 1";
    assert_eq!(hints_of_line("{ a = pkgs; [ vim ]; }", 13, error), [hint]);
    let set = "write `with pkgs.python3Packages;` instead of `pkgs.python3Packages;` in line 1";
    let line = "{ a = pkgs.python3Packages; [ six ]; }";
    assert_eq!(hints_of_line(line, 29, error), [set]);
    for (line, column) in [
        ("{ a = 1; [ vim ]; }", 10),
        ("{ a = pkgs.vim; [ vim ]; }", 17),
    ] {
        let other = hints_of_line(line, column, error).concat();
        assert!(!other.contains("with"), "{other}");
    }
}

#[test]
fn a_package_that_nixpkgs_refuses_has_one_line() {
    let refused = "Refusing to evaluate package 'nodejs-20.1' in /n/p.nix:1 because it";
    let platform = "is not available on the requested hostPlatform:\\n  hostPlatform.system = \\\"aarch64-linux\\\"";
    for (why, told, hint) in [
        (
            platform,
            "is not available on the requested hostPlatform",
            "nixpkgs does not build nodejs-20.1 for aarch64-linux",
        ),
        (
            "is marked as insecure\\n\\nKnown issues:\\n - old",
            "is marked as insecure",
            "nixpkgs.config.permittedInsecurePackages = [ \\\"nodejs-20.1\\\" ];",
        ),
    ] {
        let stream = reported("/n/p.nix", (1, 1), &format!("{refused} {why}"), "");
        let failed = failure("{ }", &stream, "");
        assert!(failed.to_string().ends_with(told), "{failed}");
        let hint = hint.replace('\\', "");
        assert!(failed.hints.concat().contains(&hint), "{:?}", failed.hints);
    }
    let called = reported("/n/p.nix", (1, 1), "attribute 'extend' missing", "");
    let hints = failure("{ }", &called, "").hints.concat();
    assert!(hints.contains("such as pkgs.linuxPackages"), "{hints}");
}

#[test]
fn two_functions_side_by_side_need_parentheses() {
    let error = "attempt to call something which is not a function but a set: { _type = \\\"override\\\"; content = «thunk»; priority = 50; }";
    let hints = hints_of_line("{ a = lib.mkForce lib.mkDefault 1; }", 7, error).concat();
    assert!(
        hints.ends_with("or put what belongs together in parentheses"),
        "{hints}"
    );
}

#[test]
fn a_proposal_that_differs_only_in_capitals_is_the_only_one() {
    let proposed = "\\nDid you mean one of mkIf, min or mod?";
    let error = "attribute 'mkif' missing";
    let stream = reported("/build/config/c.nix", (1, 7), error, proposed);
    let hints = failure("{ a = lib.mkif true 1; }", &stream, "").hints;
    assert_eq!(hints, ["did you mean mkIf?"]);
}

#[test]
fn a_set_that_is_called_as_an_overlay_has_its_line() {
    let error = "attempt to call something which is not a function but a set: { vim = 1; }";
    let file = "/nix/var/sdbuild/nixpkgs/tree/lib/fixed-points.nix";
    let stream = reported(file, (1, 1), error, "");
    let hints = |nix: &str| failure(nix, &stream, "").hints.concat();
    assert_eq!(
        hints("{\n  nixpkgs.overlays = [ { vim = 1; } ];\n}"),
        "pi/c.nix:2: an overlay is a function of two sets of packages. Write (final: prev: { vim = 1; }) instead of the \
         set"
    );
    assert_eq!(hints("{ overlays = [ (final: prev: { }) ]; }"), "");
}

#[test]
fn a_single_value_beside_its_list_is_put_into_it() {
    let error = "attribute 'a.b' already defined at /build/config/c.nix:2:3";
    let stream = reported("/build/config/c.nix", (3, 3), error, "");
    let hints = |one: &str, other: &str| {
        let nix = format!("{{\n  a.b = {one};\n  a.b = {other};\n}}");
        failure(nix, &stream, "").hints.concat()
    };
    assert_eq!(
        hints("pkgs.htop", "[ pkgs.vim ]"),
        "put pkgs.htop of line 2 into the list of line 3: a.b = [ pkgs.htop … ];"
    );
    assert_eq!(
        hints("with pkgs; [ vim ]", "\"x\""),
        "put \"x\" of line 3 into the list of line 2: a.b = [ \"x\" … ];"
    );
    let in_a_set = "{\n  a = { b = [ 1 ]; };\n  a.b = [ 2 ];\n}".to_owned();
    let stream = reported(
        "/build/config/c.nix",
        (3, 3),
        "attribute 'a.b' already defined at /build/config/c.nix:2:9",
        "",
    );
    assert_eq!(
        failure(in_a_set, &stream, "").hints,
        ["put the lists of line 2 and line 3 into one definition: a.b = [ 1 2 ];"]
    );
    let unknown = hints("x", "[ 1 ]");
    assert_eq!(
        unknown,
        "remove the definition in line 2 or the one in line 3"
    );
}
