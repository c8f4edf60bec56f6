//! Lists in other brackets, and statements of other languages.

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

/// The summary of a name where a definition has a `=`.
const NAME: &str = "unexpected ID, expecting '.' or '='";

/// Places, the summaries of Nix's messages about them, and parts of the hints.
const STATEMENTS: &[(&str, &str, &str)] = &[
    (
        "{\n  lib.mkIf |c { a.b = 1; };\n}",
        NAME,
        "a.b = lib.mkIf c 1;",
    ),
    (
        "{\n  mkIf |c { a = 1; b.d = [ 2 3 ]; };\n}",
        NAME,
        "a = mkIf c 1; b.d = mkIf c [ 2 3 ];",
    ),
    (
        "{\n  mkIf |c == \"d e\" {\n    a = \"f\";\n  };\n  g = { };\n}",
        NAME,
        "a = mkIf (c == \"d e\") \"…\";",
    ),
    (
        "{\n  mkIf |c {\n    inherit a;\n  };\n}",
        NAME,
        "NAME = mkIf (CONDITION) VALUE;",
    ),
    (
        "{ a = { b, c }|; }",
        "unexpected ';', expecting ':' or '@'",
        "in double quotes: a = [ … ];",
    ),
    (
        "{ a = { \"b\" |}; }",
        "unexpected '}', expecting '.' or '='",
        "a = [ \"…\" ];",
    ),
    (
        "{ services = { a.enable |}; }",
        "unexpected '}', expecting '.' or '='",
        "write a.enable = true;",
    ),
    (
        "{\n  services.a |enable;\n}",
        NAME,
        "write services.a.enable = true;",
    ),
    (
        "{\n  a.b |c;\n}",
        NAME,
        "a `=` is missing between a.b and its value",
    ),
    (
        "{\n  a.b |false;\n}",
        NAME,
        "write `=` before false: a.b = false;",
    ),
    (
        "{\n  a.enable |true;\n}",
        NAME,
        "write `=` before true: a.enable = true;",
    ),
    ("{\n  install |pkgs.a;\n}", NAME, "with pkgs; [ a ];"),
    (
        "{\n  install |-y a\n}",
        "unexpected '-', expecting '.' or '='",
        "with pkgs; [ a ];",
    ),
    (
        "{\n  ENV |A=b C='d e' # f\n}",
        NAME,
        "environment.variables.A = \"b\"; environment.variables.C = \"d e\";",
    ),
    (
        "{\n  export |A=b C_TOKEN=d;\n}",
        NAME,
        "environment.variables.C_TOKEN = \"…\";",
    ),
    (
        "{\n  export |A=b && c\n}",
        NAME,
        "environment.variables.A = \"…\";",
    ),
    (
        "{\n  EXPOSE |80/tcp 53/udp\n}",
        "unexpected PATH, expecting '.' or '='",
        "allowedTCPPorts = [ 80 ]; networking.firewall.allowedUDPPorts = [ 53 ];",
    ),
    (
        "{\n  EXPOSE |80-90\n}",
        "unexpected INT_LIT, expecting '.' or '='",
        "allowedTCPPorts = [ PORT ];",
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
        "{\n  enable |services.a.settings.B;\n}",
        NAME,
        "true or false, write services.a.settings.B = true;",
    ),
    (
        "{\n  enable |networking.useDHCP;\n}",
        NAME,
        "takes true or false, networking.useDHCP = true;",
    ),
    ("{\n  ENV |A=b\n}", NAME, "environment.variables.A = \"b\";"),
    (
        "{\n  EXPOSE |80 443\n}",
        "unexpected INT_LIT, expecting '.' or '='",
        "allowedTCPPorts = [ 80 443 ];",
    ),
    (
        "{\n  sudo |systemctl enable a\n}",
        NAME,
        "commands are no part",
    ),
    (
        "{ a = { b = true|, }; }",
        "unexpected ',', expecting ';'",
        "write `;` in place of the comma",
    ),
    (
        "{ a = x |=> x; }",
        "unexpected '=', expecting ';'",
        "a colon behind its argument",
    ),
    (
        "{\n  |- a\n}",
        "unexpected '-', expecting INHERIT",
        "NAME = [ a b ];",
    ),
    (
        "{\n  |/ * a * /\n}",
        "unexpected '/', expecting INHERIT",
        "a comment begins with `#`",
    ),
    (
        "{\n  |rec a = 1;\n}",
        "unexpected REC, expecting INHERIT",
        "NAME = rec { … };",
    ),
    (
        "{\n  a.b |++ [ 1 ];\n}",
        "unexpected CONCAT, expecting '.' or '='",
        "write a.b = [ … ];",
    ),
    (
        "{\n  inherit (a) b\n|}",
        "unexpected '}'",
        "behind the names of `inherit`",
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
        "{\n  include |\"b.nix\"\n}",
        "unexpected '\"', expecting '.' or '='",
        "imports = [ ./b.nix ];",
    ),
    (
        "{\n  |@import b/c.nix;\n}",
        "unexpected '@', expecting INHERIT",
        "imports = [ ./b/c.nix ];",
    ),
    (
        "{\n  |.a.b = 1;\n}",
        "unexpected '.', expecting INHERIT",
        "remove the dot",
    ),
    (
        "{\n  source |./a.sh\n}",
        "unexpected PATH, expecting '.' or '='",
        "interactiveShellInit = builtins.readFile ./a.sh;",
    ),
    (
        "{\n  export |A='b c'\n}",
        NAME,
        "environment.variables.A = \"b c\";",
    ),
    (
        "{\n  export |MY_TOKEN=b\n}",
        NAME,
        "environment.variables.MY_TOKEN = \"…\";",
    ),
    (
        "{\n  export |A=b$C;\n}",
        NAME,
        "environment.extraInit = '' export A=… '';",
    ),
    (
        "{ a = \"${b|%.c}\"; }",
        "unexpected invalid token, expecting '}'",
        "\\${b%.c} in one",
    ),
    (
        "{\n  lib.mkForce |a.b = 1;\n}",
        NAME,
        "NAME = lib.mkForce VALUE;",
    ),
    (
        "{\n  import |./a.nix;\n}",
        "unexpected PATH, expecting '.' or '='",
        "imports = [ ./a.nix ];",
    ),
    (
        "{\n  enable |services.a;\n}",
        NAME,
        "write services.a.enable = true;",
    ),
    (
        "{\n  export |A=b;\n}",
        NAME,
        "environment.variables.A = \"b\";",
    ),
    ("{\n  for |a in [ 1 ]; do\n}", NAME, "Nix has no loops"),
    (
        "{\n  |...\n}",
        "unexpected ELLIPSIS, expecting INHERIT",
        "only among the arguments",
    ),
    (
        "{ a = {|{ b }}; }",
        "unexpected '{', expecting INHERIT",
        "that a template fills in",
    ),
    (
        "{\n  |$ ls\n}",
        "unexpected invalid token, expecting INHERIT",
        "remove the line",
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
        "a dot in place of the comma",
    ),
    ("{\n  var |a = 1;\n}", NAME, "let NAME = VALUE; in"),
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
        "{\n  services-|>a.enable = true;\n}",
        "unexpected '>', expecting '.' or '='",
        "write services.a.enable",
    ),
    (
        "{\n  |services::a::enable = true;\n}",
        "unexpected URI, expecting INHERIT",
        "write services.a.enable",
    ),
    (
        "{\n  services|[\"a\"].enable = true;\n}",
        "unexpected '[', expecting '.' or '='",
        "write services.a.enable",
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
        "a string, in double quotes",
    ),
    (
        "{ a.text = |<<EOF\nb\nEOF; }",
        "unexpected '<'",
        "a.text = '' … '';",
    ),
    (
        "{\n  a = p@|ss;\n}",
        "unexpected ID, expecting '{'",
        "in double quotes: \"p@ss\"",
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
fn statements_of_other_languages_are_definitions() {
    for (marked, summary, expected) in STATEMENTS {
        let hint = hint_at(marked, summary).unwrap_or_default();
        assert!(hint.contains(expected), "{marked}: {hint}");
    }
}

#[test]
fn what_is_no_option_is_not_switched_on() {
    for marked in [
        "{\n  enable |pkgs.vim;\n}",
        "{\n  enable |services.a.enable.b;\n}",
        "{\n  enable |.enable;\n}",
    ] {
        let hint = hint_at(marked, NAME).unwrap_or_default();
        assert!(!hint.contains("= "), "{marked}: {hint}");
    }
}
