//! Values and names that have another form than Nix's.

use super::hint_at;

#[test]
fn brackets_and_names_of_another_form_are_corrected() {
    for (marked, summary, expected) in [
        (
            "{ a = lib.max(1|, 2); }",
            "unexpected ',', expecting ')'",
            "separate the arguments of a function by spaces, without parentheses around them: lib.max 1 2",
        ),
        (
            "{ a = b.concatStrings(\"c\"|, d + e); }",
            "unexpected ',', expecting ')'",
            "separate the arguments of a function by spaces, without parentheses around them: b.concatStrings [ \"c\" (d + e) ]",
        ),
        (
            "{ a = ( enable |= true; ); }",
            "unexpected '=', expecting ')'",
            "write definitions in braces: { enable = true; }",
        ),
        (
            "{ a = [ enable |= true; ]; }",
            "unexpected '='",
            "write definitions in braces: a = { enable = true; }; or, for a list of sets, a = [ { enable = true; } ];",
        ),
        (
            "{ a = [ A|=b ]; c = 1; }",
            "unexpected '='",
            "put an element of a list with a `=` in double quotes: [ \"a=b\" ]",
        ),
        (
            "{ a = [ vim ] |with pkgs; }",
            "unexpected WITH, expecting ';'",
            "write `with pkgs;` before the list: with pkgs; [ … ]",
        ),
        (
            "{ a = pkgs.|[ vim ]; }",
            "unexpected '[', expecting ID or OR_KW or DOLLAR_CURLY or '\"'",
            "write `with pkgs;` before the list: with pkgs; [ … ]",
        ),
        (
            "{ a = With pkgs; |[ vim ]; }",
            "unexpected '[', expecting INHERIT",
            "write `with` in lower case: with pkgs; [ … ]",
        ),
        (
            "{ services |openssh enable = true; }",
            "unexpected ID, expecting '.' or '='",
            "write dots between the parts of the name: services.openssh.enable = true;",
        ),
        (
            "{ |services/openssh/enable = true; }",
            "unexpected PATH, expecting INHERIT",
            "write dots instead of the slashes: services.openssh.enable = true;",
        ),
    ] {
        assert_eq!(
            hint_at(marked, summary).as_deref(),
            Some(expected),
            "{marked}"
        );
    }
}

#[test]
fn definitions_in_a_list_of_several_lines_are_no_strings() {
    for (marked, place) in [
        (
            "{ a = [\n b |= [ \"c;\" ];\n d = 1;\n]; }",
            "a = { … }; or, for a list of sets, a = [ { … } ];",
        ),
        ("{ a = [\n ./b.nix c |= 1;\n]; }", "{ NAME = VALUE; }"),
        (
            "{ a = f [\n b |= 1;\n]; }",
            "{ NAME = VALUE; } instead of [ … ], or [ { NAME = VALUE; } ] for a list of sets",
        ),
    ] {
        let expected = format!("write definitions in braces: {place}");
        let hint = hint_at(marked, "unexpected '='");
        assert_eq!(hint, Some(expected), "{marked}");
    }
}

#[test]
fn variables_of_a_shell_are_escaped() {
    let hint = hint_at(
        "{ script = \"for i in ${LIST[|@]}; do\"; }",
        "unexpected '@'",
    );
    let expected = "for a shell variable, write \\${LIST[@]}";
    assert_eq!(hint.as_deref(), Some(expected));
}

#[test]
fn other_tokens_are_left_to_general_hints() {
    for (marked, summary) in [
        ("{ a = { b = 1; } |/ 2; }", "unexpected '/'"),
        ("{ a = \"${b |c}\"; }", "unexpected ID"),
        ("{ a = x.|[ 1 ]; }", "unexpected '['"),
        (
            "{ foo |openssh enable = true; }",
            "unexpected ID, expecting '.' or '='",
        ),
    ] {
        assert_eq!(hint_at(marked, summary), None, "{marked}");
    }
}

#[test]
fn numbers_with_a_minus_in_lists_are_explained() {
    let minus = "unexpected '-'";
    for (marked, summary, expected) in [
        (
            "{ a.systemPackages = with pkgs; [ vim 2048|-in-terminal ]; }",
            minus,
            "most such names begin with `_`, as _2048-in-terminal: https://",
        ),
        (
            "{ a.systemPackages = [ pkgs.389|-ds-base ]; }",
            minus,
            "as pkgs._389-ds-base: https://",
        ),
        (
            "let tools = with pkgs; [ 389|-ds-base ]; in { }",
            minus,
            "as _389-ds-base: https://",
        ),
        (
            "{ a.words = [ 8|-bit ]; }",
            minus,
            "in double quotes: \"8-bit\". A calculation",
        ),
        (
            "{ a.allowedTCPPortRanges = [ 8000|-8010 ]; }",
            minus,
            "Write { from = 8000; to = 8010; } instead of 8000-8010",
        ),
        (
            "{ a.systemPackages = [ vim ] ++ |with pkgs; [ htop ]; }",
            "unexpected WITH",
            "needs parentheses, together with its list: ++ (with pkgs; [ … ])",
        ),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
}
