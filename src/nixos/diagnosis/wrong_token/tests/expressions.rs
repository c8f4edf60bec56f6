//! Values and functions in the syntax of other languages.

use super::NAME;
use super::hint_at;

/// What is written, what Nix says, and what the hint has.
const EXPRESSIONS: &[(&str, &str, &str)] = &[
    (
        "{ a = { b, c }|; }",
        "unexpected ';', expecting ':' or '@'",
        "in double quotes: a = [ \"b\" \"c\" ];",
    ),
    (
        "{ a = { \"b\" |}; }",
        "unexpected '}', expecting '.' or '='",
        "a = [ \"b\" ];",
    ),
    (
        "{ services = { a.enable |}; }",
        "unexpected '}', expecting '.' or '='",
        "write a.enable = true;",
    ),
    (
        "{ a.b = { enable }|; }",
        "unexpected ';', expecting ':' or '@'",
        "each name has a value: a.b = { enable = true; };",
    ),
    (
        "{ a.b = { enable|; }; }",
        "unexpected ';', expecting '.' or '='",
        "write enable = true;",
    ),
    (
        "{ a = { b = true|, }; }",
        "unexpected ',', expecting ';'",
        "write `;` instead of each comma",
    ),
    (
        "{ a = x |=> x; }",
        "unexpected '=', expecting ';'",
        "a colon after the argument",
    ),
    (
        "{ a = true && |; }",
        "unexpected ';'",
        "a value is missing before the `;`",
    ),
    (
        "{ a = \"b\" + |; }",
        "unexpected ';'",
        "a value is missing between `+` and `;`",
    ),
    (
        "{ a = \"${b|%.c}\"; }",
        "unexpected invalid token, expecting '}'",
        "for a shell variable, write \\${b%.c}",
    ),
    (
        "{ a = {|{ b }}; }",
        "unexpected '{', expecting INHERIT",
        "that a template fills in",
    ),
    (
        "let |= { a = 1; };",
        "unexpected '=', expecting IN_KW or INHERIT",
        "`let` has no `=`",
    ),
    ("{ a = |${B}; }", "unexpected '${'", "without it, B,"),
    (
        "{ a = 10|,5; }",
        "unexpected ',', expecting ';'",
        "a dot instead of the comma",
    ),
    (
        "{\n  a.script = while true; do |echo 1; done;\n}",
        NAME,
        "a.script = '' while … '';",
    ),
    (
        "{ a = { inherit pkgs|.b.c; }; }",
        "unexpected '.'",
        "inherit (pkgs.b) c;",
    ),
    (
        "{ a = b.c ? 1 |: 2; }",
        "unexpected ':', expecting ';'",
        "a = if b.c then 1 else 2;",
    ),
    (
        "{ a = [ 8080|:80 ]; }",
        "unexpected ':'",
        "in double quotes: \"8080:80\"",
    ),
    (
        "{ a.ports = 8080|:80; }",
        "unexpected ':', expecting ';'",
        "a.ports = [ \"8080:80\" ];",
    ),
    (
        "{ a.dates = 04|:40; }",
        "unexpected ':', expecting ';'",
        "a.dates = \"04:40\";",
    ),
    (
        "{ b.allowedTCPPorts = [ 80|:90 ]; }",
        "unexpected ':'",
        "b.allowedTCPPortRanges = [ { from = 80; to = 90; } ];",
    ),
    (
        "{ a = [ ./b |&& ./c ]; }",
        "unexpected AND",
        "without `&&`: ./b ./c",
    ),
    (
        "{ modules = [ { pkgs|, ... }: { } ]; }",
        "unexpected ',', expecting '.' or '='",
        "needs parentheses: ({ pkgs, ... }: { … })",
    ),
    (
        "{\n  outputs = { a, ... } |{\n  };\n}",
        "unexpected '{', expecting ':' or '@'",
        "end with a colon: outputs = { a, ... }: { … };",
    ),
    (
        "{\n  outputs = b@{ a, ... }\n  |{ };\n}",
        "unexpected '{', expecting ':'",
        "end with a colon: outputs = b@{ a, ... }: { … };",
    ),
    (
        "{ a = [ |*/5 * * * * root ]; }",
        "unexpected '*'",
        "in double quotes",
    ),
    (
        "{ a.text = |<<EOF\nb\nEOF; }",
        "unexpected '<'",
        "a.text = '' … '';",
    ),
    (
        "{\n  a = p@|ss;\n}",
        "unexpected ID, expecting '{'",
        "in double quotes: a = \"p@ss\";",
    ),
    (
        "lib|, pkgs, ...:\n{ }\n",
        "unexpected ',', expecting end of file",
        "in braces: { lib, pkgs, ... }:",
    ),
    (
        "[ lib|, pkgs, ... ]:\n{ }\n",
        "unexpected ','",
        "in braces: { lib, pkgs, ... }:",
    ),
];

#[test]
fn values_and_functions_of_other_languages_are_corrected() {
    for (marked, summary, expected) in EXPRESSIONS {
        let hint = hint_at(marked, summary).unwrap_or_default();
        assert!(hint.contains(expected), "{marked}: {hint}");
    }
}
