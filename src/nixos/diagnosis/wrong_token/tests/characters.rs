//! Characters that Nix knows only in strings.

use super::hint_at;

#[test]
fn a_character_that_means_nothing_is_explained() {
    for (marked, expected) in [
        ("{ a = b |& c; }", "join conditions with `&&`"),
        ("{ a = |\u{200e}b; }", "U+200E). Delete it"),
        ("{ a = |%b; }", "`%` means nothing"),
        ("{ a = |→; }", "→ (U+2192)"),
        ("{ a = 50|%; }", "write 50 without the `%`"),
        ("{ a = |`b`; }", "double quotes: a = \"b\";"),
        ("{ a = [ |‘b’ ‘c’ ]; }", "a = [ \"b\" \"c\" ];"),
        ("{ a = [\n  |'b'\n]; }", "double quotes: \"b\""),
        ("{ a.packages = [ |'b' ]; }", "without quotes: pkgs.b"),
        ("{ a = |'true'; }", "without quotes: a = true;"),
        (
            "{ a = |$6$abcd$efgh; }",
            "the hash in double quotes: a = \"…\";",
        ),
    ] {
        let found = hint_at(marked, "unexpected invalid token").unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
}
