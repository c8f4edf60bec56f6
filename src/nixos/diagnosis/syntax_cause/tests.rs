use super::*;

#[test]
fn a_with_without_its_semicolon_is_found() {
    let line = |text: &str| with_without_semicolon(text, 3).map(|cause| cause.line);
    assert_eq!(line("{\n  a = with pkgs [ vim ];\n  b = 1;\n}"), Some(2));
    assert_eq!(line("{\n  a = with pkgs: [ vim ];\n  b = 1;\n}"), Some(2));
    assert_eq!(line("{\n  a = with pkgs; [ vim ];\n  b = 1;\n}"), None);
    assert_eq!(line("{\n  # with pkgs [\n  b = 1;\n}"), None);
    assert_eq!(line("{\n\n\n  a = with pkgs [ vim ];\n}"), None, "later");
    assert_eq!(line("{\n  a = with f [ 1 ]; x;\n  b = 1;\n}"), None);
    assert_eq!(line("{\n  a = with pkgs { };\n}"), None);
}

/// As Nix reports it: what follows the definition is read as its value.
#[test]
fn the_last_with_of_a_set_may_lack_its_semicolon() {
    let text = "{\n  a = with pkgs [ vim ];\n}\n";
    let position = Position {
        file: String::new(),
        line: 3,
        column: 1,
    };
    let found = cause(text, &position, "syntax error, unexpected '}'").unwrap();
    assert_eq!(found.hint, "write `with pkgs;` in line 2, with a `;`");
    let elsewhere = "{\n  a = \"with lib: x\";\n  b = [ 1 }\n";
    let at = Position {
        column: 11,
        ..position
    };
    let found = cause(elsewhere, &at, "syntax error, unexpected '}'");
    assert!(found.is_none_or(|found| !found.hint.contains("with")));
}

#[test]
fn a_semicolon_behind_the_whole_file_is_removed() {
    let summary = "syntax error, unexpected ';', expecting end of file";
    let at = |line, column| Position {
        file: String::new(),
        line,
        column,
    };
    let hint = |text: &str| cause(text, &at(3, 2), summary).unwrap().hint;
    let removed = "remove the `;`. Nothing may follow the last `}` of a file";
    assert_eq!(hint("{\n  a = 1;\n};\n\n# end\n"), removed);
    assert_eq!(hint("{\n  a = { };\n};"), removed);
    let more = hint("{\n  a = 1;\n};\n  b = 2;\n}\n");
    assert!(more.starts_with("line 3 closes"), "{more}");
}

#[test]
fn a_semicolon_inside_of_a_line_is_found() {
    let hint = |text: &str, column, token: &str| {
        let at = Position {
            file: String::new(),
            line: 1,
            column,
        };
        let summary = format!("syntax error, unexpected {token}, expecting ';'");
        cause(text, &at, &summary).map(|found| found.hint)
    };
    let missing = |next: &str| Some(format!("a `;` is missing before `{next}`"));
    assert_eq!(hint("{ a = \"b\" c.d = 1; }", 15, "'='"), missing("c.d"));
    assert_eq!(hint("{ a = 1 }", 9, "'}'"), missing("}"));
    assert_eq!(hint("{ a = b + }", 11, "'}'"), None);
    assert_eq!(hint("{ a = 1 }; }", 9, "'}'"), None);
}

#[test]
fn a_set_behind_arguments_is_no_second_one() {
    let at = Position {
        file: String::new(),
        line: 1,
        column: 11,
    };
    let summary = "syntax error, unexpected ';', expecting ':' or '@'";
    let found = cause("{ b, ... };\n{\n  a = 1;\n}\n", &at, summary);
    assert!(found.is_none_or(|found| !found.hint.contains("second")));
}

#[test]
fn one_quote_of_two_may_be_too_many() {
    let at = Position {
        file: String::new(),
        line: 2,
        column: 1,
    };
    let hint = |text: &str| {
        let summary = "syntax error, unexpected end of file, expecting '\"'";
        cause(text, &at, summary).unwrap().hint
    };
    for text in [
        "{ a = \"\"b\"; }\n",
        "{ a = \"b\"\"; }\n",
        "{ a = [ \"\"ssh-rsa A\" ]; }\n",
    ] {
        let hint = hint(text);
        assert!(
            hint.starts_with("there is one `\"` too many in line 1"),
            "{text}{hint}"
        );
    }
    let open = hint("{ a = \"\"; b = \"c; }\n");
    assert!(open.contains("has no closing quote"), "{open}");
}

#[test]
fn definitions_behind_the_whole_file_are_moved_into_it() {
    let summary = "syntax error, unexpected '=', expecting end of file";
    let at = Position {
        file: String::new(),
        line: 5,
        column: 7,
    };
    let hint = |text: &str| cause(text, &at, summary).unwrap().hint;
    assert_eq!(
        hint("{ ... }:\n{\n  a = 1;\n}\nb.c   = 2;\n"),
        "line 5 is after the last `}` of the file. Move it above line 4"
    );
    assert_eq!(
        hint("{ ... }:\n{\n  a = 1;\n}\nb.c   = {\n  d = 1;\n};\n# end\n"),
        "lines 5 to 7 are after the last `}` of the file. Move them above line 4"
    );
    let extra = hint("{ ... }:\n{\n  a = 1;\n}\nb.c   = 2;\n}\n");
    assert!(extra.starts_with("line 4 closes"), "{extra}");
}

#[test]
fn a_list_that_does_not_begin_is_found() {
    let text = "{\n  keys =\n    \"a\"\n  ];\n}\n";
    let at = |line, column| Position {
        file: String::new(),
        line,
        column,
    };
    let summary = "syntax error, unexpected ']', expecting ';'";
    let found = cause(text, &at(4, 3), summary).unwrap();
    assert_eq!(found.line, 2);
    assert!(found.hint.contains("`]` of line 4"), "{}", found.hint);
    for list in [
        "{\n  a =\n    [ 1 ( ];\n}\n",
        "{\n  a =\n    [ 1 + ];\n}\n",
        "{ a = [ { b =\n  1\n          ];\n}\n",
    ] {
        assert!(list_without_bracket(list, &at(3, 11)).is_none(), "{list}");
    }
}

#[test]
fn a_body_is_missing_where_a_line_ends_before_an_expression() {
    let hint_to = |line: &str, expected: &str| {
        let text = format!("{{\n  {line}\n    # more\n    b.c = 1;\n  }};\n}}\n");
        let at = Position {
            file: String::new(),
            line: 4,
            column: 9,
        };
        let summary = format!("syntax error, unexpected '=', expecting '{expected}'");
        cause(&text, &at, &summary).unwrap().hint
    };
    let hint = |line: &str| hint_to(line, ";");
    let set = "a `{` is missing at the end of line 2, before the definitions below it";
    for line in [
        "outputs = { nixpkgs, ... }:",
        "outputs = inputs: # of it",
        "a = let d = 1; in",
        "a = { lib, ... }: with lib;",
    ] {
        assert_eq!(hint(line), set, "{line}");
    }
    assert_eq!(hint_to("a = [ ({ lib, ... }:", ")"), set);
    let keyword = Position {
        file: String::new(),
        line: 2,
        column: 5,
    };
    let summary = "syntax error, unexpected '=', expecting IN or INHERIT";
    let found = cause("{ pkgs, ... }:\nlet = {\n};\n{ }\n", &keyword, summary).unwrap();
    assert!(found.hint.starts_with("`let` has no `=`"), "{}", found.hint);
    let value = "a value is missing after the `with pkgs;` of line 2";
    assert_eq!(hint("a = with pkgs;"), value);
    let begin = "a value is missing after the `=` of line 2. Write `{` there: ";
    for (line, name) in [
        ("users.users.\"a b\" =", "users.users.\"a b\""),
        ("users.\"b\" = # c", "users.\"b\""),
    ] {
        assert_eq!(hint(line), format!("{begin}{name} = {{"), "{line}");
    }
    let inside = "the `;` of line 2 is inside the string. Write it after the closing quote: \"…\";";
    assert_eq!(hint("a = \"b;\""), inside);
    let end = "a `;` is missing at the end of line 2";
    for line in ["a = 1", "a = \"with b\"", "a = b"] {
        assert_eq!(hint(line), end, "{line}");
    }
}

#[test]
fn a_brace_is_missing_in_the_same_line_too() {
    let begin = "a value is missing after the `=` of line 2. Write `{` there: ";
    let at = Position {
        file: String::new(),
        line: 2,
        column: 11,
    };
    let summary = "syntax error, unexpected '=', expecting ';'";
    let text = "{\n  a.\"b\" = c = 1; };\n}\n";
    let same_line = cause(text, &at, summary).unwrap();
    assert_eq!(same_line.hint, format!("{begin}a.\"b\" = {{"));
    assert!(cause("{\n  a.\"b\" = c = 1;\n}\n", &at, summary).is_none());
    let balanced = Position {
        line: 3,
        column: 7,
        ..at
    };
    let set = cause("{\n  a =\n    b = 1;\n}\n", &balanced, summary).unwrap();
    assert!(set.hint.ends_with("into a set: a = { … };"), "{}", set.hint);
}
