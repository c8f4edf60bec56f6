use super::*;

#[test]
fn what_is_not_closed_is_found_with_its_line() {
    // The line, what is open, and the text.
    for row in [
        "2 /* {\n/* a\n}",
        "2 /* {\n/*/ a\n}",
        "2 '' {\n x = ''a; };\n}",
        "2 '' { a = ''b'';\n c = ''d\n;\n e = ''\n f\n ''; }",
        "2 { {\n  a = {\n    b = 1;\n  c = 2;\n}\n",
        "3 '' { a = if b then ''c''\n else ''d'';\n e = ''f; }",
        "1 /* { a = x/* b; }",
        "2 '' { a = [ ''b'' c ];\n d = ''e; }",
        "2 \" {\n  a = \"x;\n}",
        "2 ${ {\n a = \"b ${c.d\";\n e = 1;\n}",
        "3 ${ {\n a = ''\n  b ${c.d\n '';\n e = 1;\n}",
        "2 \" {\n  a = \"x; }",
        "2 [ {\n  a = [ b;\n}",
        "3 { { x, ... }:\n{\n  a = { b = 1;\n}",
        "1 ${ { a = \"${b\"; }",
    ] {
        let mut parts = row.splitn(3, ' ');
        let mut next = || parts.next().unwrap();
        let (line, token, text) = (next().parse().unwrap(), next(), next());
        let opens = true;
        assert_eq!(
            imbalance(text),
            Some(Imbalance { token, line, opens }),
            "{text}"
        );
    }
    let (token, line, opens) = ("}", 3, false);
    let found = Imbalance { token, line, opens };
    assert_eq!(imbalance("{\n  a = 1; }\n}"), Some(found));
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
