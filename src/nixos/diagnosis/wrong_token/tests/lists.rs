//! Lists in other brackets.

use super::hint_at;

#[test]
fn lists_have_their_own_brackets_and_no_commas() {
    for (marked, expected) in [
        ("{ a.b = { |80 }; }", "a.b = [ 80 ];"),
        ("{ a.b = { |80; 443; }; }", "a.b = [ 80 443 ];"),
        ("{ a.b = { \"x y\" |\"z\" }; }", "a.b = [ \"x y\" \"z\" ];"),
        ("{ a.b = { pkgs.c |pkgs.d }; }", "a.b = [ pkgs.c pkgs.d ];"),
        ("{ a.b = (80|, 443); }", "a.b = [ 80 443 ];"),
        ("{ a.b = [ c|, d, ]; }", "a.b = [ c d ];"),
        (
            "{ a.b = with pkgs; [ c|, d ]; }",
            "a.b = with pkgs; [ c d ];",
        ),
    ] {
        let hint = hint_at(marked, "unexpected ','").unwrap();
        assert!(hint.contains(expected), "{marked}: {hint}");
    }
    for marked in [
        "{ a.b = { c |d }; }",
        "{ a.b = { c.d |}; }",
        "{ a.b = { \"c\" |true }; }",
        "{ a.b = { \"c\"|\"d\" }; }",
        "{ a.b = { \"c\" |1 = 2; }; }",
        "{ a.b = c (80|, 443); }",
    ] {
        let hint = hint_at(marked, "unexpected '\"'");
        assert!(
            !hint.is_some_and(|hint| hint.contains("a list is")),
            "{marked}"
        );
    }
}
