use super::*;

#[test]
fn a_line_is_explained_by_what_it_looks_like() {
    for (line, expected) in [
        ("jobs = 2,", "a line has nothing after its value: jobs = 2"),
        ("jobs = 2;", "a line has nothing after its value: jobs = 2"),
        ("// more jobs", "a comment begins with `#`"),
        ("{\"jobs\": 2}", "without braces"),
        ("jobs: 2", "write `=` instead of `:`"),
        ("jobs 2", "jobs = …"),
        ("jobs =", "a value is missing"),
        ("nixpkgs = “26.05”", "nixpkgs = \"26.05\""),
        ("nixpkgs = ‘26.05’ # mine", "nixpkgs = \"26.05\""),
        ("compress = four # don’t", HOW_TO_WRITE),
        ("format = iso", "a string is in quotes: format = \"iso\""),
        ("output = ./out", "output = \"./out\""),
        ("cores = four", "the value is a number"),
        ("offline = enabled", "the value is true or false"),
        ("compress = lzma", HOW_TO_WRITE),
        (
            "substituters = https://a.example",
            "substituters = [\"https://a.example\"]",
        ),
        ("jobs = 02 # two", "no zeros in front: jobs = 2"),
        ("memory-mib = 8GB", "without a unit"),
        ("nixpkgs = 26.05.1", HOW_TO_WRITE),
        ("offline = yes", "write true or false: offline = true"),
        ("offline = OFF", "write true or false: offline = false"),
        (
            "boot-test = True",
            "true is written in lower case: boot-test = true",
        ),
        (
            "nixpkgs = True",
            "a string is in quotes: nixpkgs = \"True\"",
        ),
        ("offline = true", HOW_TO_WRITE),
        ("offline = true jobs = 2", HOW_TO_WRITE),
        ("x = \"say \"hi\"\"", HOW_TO_WRITE),
        ("]", HOW_TO_WRITE),
        ("substituters = \"a\" \"b\"", "[\"a\", \"b\"]"),
        ("substituters = [\"a\" \"b\"]", HOW_TO_WRITE),
        ("format = \"iso", HOW_TO_WRITE),
    ] {
        let told = hint(&format!("cores = 1\n{line}\n"), "cores = 1\n".len(), "");
        assert!(told.contains(expected), "{line}: {told}");
    }
    assert!(hint("", 0, "duplicate key").contains("only once"));
    assert_eq!(hint("a = 1", 99, ""), HOW_TO_WRITE);
}

#[test]
fn a_refused_value_gets_a_right_one_beside_it() {
    for (line, expected) in [
        ("jobs = -1", Some("for instance jobs = 1")),
        ("jobs = 0", Some("for instance jobs = 1")),
        ("jobs = 5000000000", None),
        (
            "store = \"x\"",
            Some("for instance store = \"sdbuild-store-x\""),
        ),
        ("store = \"My Store\"", None),
        ("nixpkgs = \"\"", None),
    ] {
        let at = line.find("= ").unwrap() + 2;
        let told = of_refused_value(line, &(at..line.len()));
        assert_eq!(told.as_deref(), expected, "{line}");
    }
}

#[test]
fn values_of_another_type_than_their_settings_are_explained() {
    for (line, expected) in [
        ("jobs = [2]", "without brackets: jobs = 2"),
        ("jobs = [2, 3]", HOW_TO_WRITE),
        (
            "nixpkgs = [\"26.05\"]",
            "without brackets: nixpkgs = \"26.05\"",
        ),
        (
            "nixpkgs = true",
            "a string, not true or false: nixpkgs = \"…\"",
        ),
        (
            "nixpkgs = 26.05",
            "a string is in quotes: nixpkgs = \"26.05\"",
        ),
        ("compress = true", "a string is in quotes; it is one of "),
        ("substituters = 1", "the setting is a list of strings"),
        ("offline = 1", "the value is true or false"),
        ("offline = \"yes\"", "without quotes: offline = true"),
        ("offline = \"perhaps\"", HOW_TO_WRITE),
        ("jobs = \"on\"", HOW_TO_WRITE),
        ("format = [\"qcow2\", \"raw\"]", HOW_TO_WRITE),
    ] {
        let at = line.find("= ").unwrap() + 2;
        let told = of_type(line, &(at..line.len()));
        assert!(told.contains(expected), "{line}: {told}");
    }
}
