//! Statements of other languages.

use super::NAME;
use super::hint_at;

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
        "a = mkIf (c == \"d e\") \"f\";",
    ),
    (
        "{\n  mkIf |c {\n    inherit a;\n  };\n}",
        NAME,
        "NAME = mkIf (CONDITION) VALUE;",
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
    ("{\n  install |pkgs.a;\n}", NAME, "Packages = [ pkgs.a ];"),
    ("{\n  enable |pkgs.a;\n}", NAME, "Packages = [ pkgs.a ];"),
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
        "serviceConfig.EnvironmentFile",
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
        "{\n  enable |services.a.settings.B;\n}",
        NAME,
        "true or false, write services.a.settings.B = true;",
    ),
    (
        "{\n  enable |networking.useDHCP;\n}",
        NAME,
        "write networking.useDHCP = true;",
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
        "commands are not part",
    ),
    (
        "{\n  |- a\n}",
        "unexpected '-', expecting INHERIT",
        "environment.systemPackages = with pkgs; [ a ];",
    ),
    (
        "{\n  |/ * a * /\n}",
        "unexpected '/', expecting INHERIT",
        "a comment begins with `#`",
    ),
    (
        "{\n  |rec a = 1;\n}",
        "unexpected REC, expecting INHERIT",
        "`rec` belongs only before the `{` of a value: a = 1;",
    ),
    (
        "{\n  inherit (a) b\n|}",
        "unexpected '}'",
        "after the names of `inherit`",
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
        "Remove the dot",
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
        "serviceConfig.EnvironmentFile",
    ),
    (
        "{\n  export |A=b$C;\n}",
        NAME,
        "environment.extraInit = '' export A=… '';",
    ),
    (
        "{\n  lib.mkForce |a.b = 1;\n}",
        NAME,
        "a.b = lib.mkForce 1;",
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
        "only in the arguments",
    ),
    (
        "{\n  |$ ls\n}",
        "unexpected invalid token, expecting INHERIT",
        "Remove the line",
    ),
    ("{\n  var |a = 1;\n}", NAME, "let a = 1; in"),
    (
        "{\n  |let a = 1;\n}",
        "unexpected LET, expecting INHERIT",
        "of the definitions: let a = 1; in",
    ),
    (
        "let\n  a = 1;\n|{\n}",
        "unexpected '{', expecting IN_KW or INHERIT",
        "end with `in`: let a = 1; in { … }",
    ),
    (
        "{\n  |if a then { b.c = 1; }\n}",
        "unexpected IF, expecting INHERIT",
        "Write b.c = lib.mkIf a 1;",
    ),
    (
        "{\n  |if (a) {\n b = 1; }\n}",
        "unexpected IF, expecting INHERIT",
        "Write NAME = lib.mkIf CONDITION VALUE;",
    ),
    (
        "{\n  services |a.b = 1;\n}",
        NAME,
        "between services and a. Write services.a.b = 1;",
    ),
    (
        "{\n  a.b |++ [ 1 ];\n}",
        "unexpected CONCAT, expecting '.' or '='",
        "Write a.b = [ 1 ];",
    ),
    (
        "{\n  a = { b = \"c,d\"|, e = [ 1 ] };\n}",
        "unexpected ',', expecting ';'",
        "last definition: a = { b = \"c,d\"; e = [ 1 ]; };",
    ),
    (
        "{\n  services-|>a.enable = true;\n}",
        "unexpected '>', expecting '.' or '='",
        "services.a.enable",
    ),
    (
        "{\n  |services::a::enable = true;\n}",
        "unexpected URI, expecting INHERIT",
        "services.a.enable",
    ),
    (
        "{\n  services|[\"a\"].enable = true;\n}",
        "unexpected '[', expecting '.' or '='",
        "services.a.enable",
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
        "{\n  enable |services.a.enable.b;\n}",
        "{\n  enable |.enable;\n}",
    ] {
        let hint = hint_at(marked, NAME).unwrap_or_default();
        assert!(!hint.contains("= "), "{marked}: {hint}");
    }
}
