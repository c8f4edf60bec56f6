//! Values and names that have another form than Nix's.

use super::hint_at;

#[test]
fn brackets_and_names_of_another_form_are_corrected() {
    for (marked, summary, expected) in [
        (
            "{ a = lib.max(1|, 2); }",
            "unexpected ',', expecting ')'",
            "the arguments of a function are separated by spaces, with no parentheses around them: lib.max a b",
        ),
        (
            "{ a = ( enable |= true; ); }",
            "unexpected '=', expecting ')'",
            "definitions are in braces: { NAME = VALUE; }",
        ),
        (
            "{ a = [ enable |= true; ]; }",
            "unexpected '='",
            "definitions are in braces: { NAME = VALUE; }",
        ),
        (
            "{ a = [ A|=b ]; c = 1; }",
            "unexpected '='",
            "an element of a list that has a `=` is a string, in double quotes: [ \"a=b\" ]",
        ),
        (
            "{ a = [ vim ] |with pkgs; }",
            "unexpected WITH, expecting ';'",
            "`with pkgs;` stands before the list: with pkgs; [ … ]",
        ),
        (
            "{ a = pkgs.|[ vim ]; }",
            "unexpected '[', expecting ID or OR_KW or DOLLAR_CURLY or '\"'",
            "`with pkgs;` stands before the list: with pkgs; [ … ]",
        ),
        (
            "{ a = With pkgs; |[ vim ]; }",
            "unexpected '[', expecting INHERIT",
            "write `with` in lower case: with pkgs; [ … ]",
        ),
        (
            "{ services |openssh enable = true; }",
            "unexpected ID, expecting '.' or '='",
            "write dots between the parts of the name: services.openssh.enable",
        ),
        (
            "{ |services/openssh/enable = true; }",
            "unexpected PATH, expecting INHERIT",
            "write dots in place of the slashes: services.openssh.enable",
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
fn variables_of_a_shell_are_escaped() {
    let hint = hint_at(
        "{ script = \"for i in ${LIST[|@]}; do\"; }",
        "unexpected '@'",
    );
    let expected = "write ''${LIST[@]} for a variable of the shell in a string that begins with '', or \\${LIST[@]} in one that begins \
                    with \"";
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
