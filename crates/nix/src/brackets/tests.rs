use super::*;

#[test]
fn what_is_not_closed_is_found_with_its_line() {
    for (text, found) in [
        ("{\n/* a\n}", Imbalance::opened(("/*", 2))),
        ("{\n/*/ a\n}", Imbalance::opened(("/*", 2))),
        ("{\n x = ''a; };\n}", Imbalance::opened(("''", 2))),
        (
            "{ a = ''b'';\n c = ''d\n;\n e = ''\n f\n ''; }",
            Imbalance::opened(("''", 2)),
        ),
        (
            "{\n  a = {\n    b = 1;\n  c = 2;\n}\n",
            Imbalance::opened(("{", 2)),
        ),
        (
            "{ a = if b then ''c''\n else ''d'';\n e = ''f; }",
            Imbalance::opened(("''", 3)),
        ),
        ("{ a = x/* b; }", Imbalance::opened(("/*", 1))),
        (
            "{ a = [ ''b'' c ];\n d = ''e; }",
            Imbalance::opened(("''", 2)),
        ),
        ("{\n  a = \"x;\n}", Imbalance::opened(("\"", 2))),
        (
            "{\n a = \"b ${c.d\";\n e = 1;\n}",
            Imbalance::opened(("${", 2)),
        ),
        (
            "{\n a = ''\n  b ${c.d\n '';\n e = 1;\n}",
            Imbalance::opened(("${", 3)),
        ),
        ("{\n  a = \"x; }", Imbalance::opened(("\"", 2))),
        ("{\n  a = [ b;\n}", Imbalance::opened(("[", 2))),
        (
            "{ x, ... }:\n{\n  a = { b = 1;\n}",
            Imbalance::opened(("{", 3)),
        ),
        (
            "{\n  a = 1; }\n}",
            Imbalance {
                token: "}",
                line: 3,
                opens: false,
            },
        ),
        ("{ a = \"${b\"; }", Imbalance::opened(("${", 1))),
    ] {
        assert_eq!(imbalance(text), Some(found), "{text}");
    }
}

#[test]
fn balanced_texts_have_no_imbalance() {
    for text in [
        "",
        "{ lib, ... }: { a = [ (f { }) ]; }",
        "{ a = \"}\\\" ${b \"[\" { }} $${ \"; } # }",
        "{ a = ''\n  \" { '' + '' ''${ ''' ''\\n ${x} \n''; }",
        "/* { \" */ foldl' (a: a') [ ]",
        "ä \"ö\" # \"",
    ] {
        assert_eq!(imbalance(text), None, "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn any_text_is_scanned_to_its_end(text in "[a'\"${}\\[\\]\\\\\n#/*ä ]{0,60}") {
        let lines = text.lines().count() as u64 + 1;
        let line = imbalance(&text).map_or(1, |found| found.line);
        proptest::prop_assert!((1..=lines).contains(&line));
    }
}
