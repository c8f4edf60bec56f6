//! What `scripts/modules` finds in sources that are made for it.

use std::fs;
use std::process::Command;

use crate::support::*;

/// What the script reports of a crate with these files below its directory.
fn problems(files: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let of_crate = [("src/lib.rs", "//! ```text\n//! ```\n")];
    for (path, text) in of_crate.iter().chain(files) {
        let path = dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let script = dir.path().join("scripts/modules");
    fs::create_dir(script.parent().unwrap()).unwrap();
    fs::copy(root().join("scripts/modules"), &script).unwrap();
    run(Command::new(&script).arg("--write")).assert_exit_code(0);
    let checked = run(&mut Command::new(&script));
    let expected = i32::from(!checked.stderr.is_empty());
    checked.assert_exit_code(expected).stderr
}

/// The report of a circle.
fn circle(files: &str) -> String {
    format!("scripts/modules: these files import each other in a circle: {files}\n")
}

#[test]
fn every_way_to_import_closes_a_circle() {
    if !tools_available(&["perl"]) {
        return;
    }
    let siblings = [
        ("src/a/mod.rs", "mod x;\nmod y;\n"),
        ("src/a/x.rs", "use super::y::Y;\n"),
        ("src/a/y.rs", "fn f() { crate::a::x::f() }\n"),
    ];
    assert_eq!(problems(&siblings), circle("a/x.rs, a/y.rs"));
    let child = ("src/a/x.rs", "use super::Shared;\n");
    for parent in [
        "mod x;\nuse self::x::X;\nstruct Shared;\n",
        "mod x;\nfn f() { self::x::f() }\nstruct Shared;\n",
        "mod x;\nfn f() { x::f() }\nstruct Shared;\n",
        "mod x;\nconst F: [fn(); 1] = [x::f];\nstruct Shared;\n",
    ] {
        let found = problems(&[("src/a/mod.rs", parent), child]);
        assert_eq!(found, circle("a/mod.rs, a/x.rs"), "{parent}");
    }
}

#[test]
fn what_is_no_code_neither_hides_nor_makes_an_import() {
    if !tools_available(&["perl"]) {
        return;
    }
    let child = ("src/a/x.rs", "use super::Shared;\n");
    for before in [
        r#"const URL: &str = "https://x"; "#,
        r##"const RAW: &str = r#"" // "#; "##,
        r#"const QUOTES: [char; 3] = ['"', '\'', '\u{22}']; "#,
        "fn of<'a>(text: &'a str) -> &'a str { text } ",
        "/* \" /* nested \" */ \" */ ",
        "// it's a \"\n",
    ] {
        let parent = format!("mod x;\n{before}fn f() {{ x::f(\"\") }}\n");
        let found = problems(&[("src/a/mod.rs", &parent), child]);
        assert_eq!(found, circle("a/mod.rs, a/x.rs"), "{before}");
    }
    for text in [
        "const TEXT: &str = \"x::f\";",
        "/* x::f() */ // x::f()",
        "fn f() { other::x::f() }",
        "#[cfg(test)]\nmod tests {\n    fn f() { x::f() }\n}",
        "#[cfg(test)]\npub(super) mod fixture {\n    use super::x::f;\n}",
    ] {
        let parent = format!("mod x;\n{text}\n");
        assert_eq!(problems(&[("src/a/mod.rs", &parent), child]), "", "{text}");
    }
}

#[test]
fn names_of_tests_have_at_most_60_characters() {
    if !tools_available(&["perl"]) {
        return;
    }
    let (short, long) = ("a".repeat(60), "b".repeat(61));
    let attributes = ["#[test]", "#[tokio::test(start_paused = true)]\nasync"];
    for attributes in attributes {
        let test = |name: &str| format!("{attributes} fn {name}() {{}}\n");
        let allowed = format!("fn {long}() {{}}\n{}", test(&short));
        assert_eq!(problems(&[("tests/cli/x.rs", &allowed)]), "");
        let found = problems(&[("tests/cli/x.rs", &test(&long))]);
        let expected = format!(
            "scripts/modules: the name of a test has more than 60 characters: {long} in tests/cli/x.rs\n"
        );
        assert_eq!(found, expected);
    }
}
