mod characters;
mod expressions;
mod forms;
mod lists;
mod names;
mod statements;

use super::*;

/// The summary of a name where a definition has a `=`.
const NAME: &str = "unexpected ID, expecting '.' or '='";

/// The token is after `|`, which is not in the text.
fn hint_at(marked: &str, summary: &str) -> Option<String> {
    let (before, after) = marked.split_once('|').unwrap();
    let position = Position {
        file: String::new(),
        line: before.matches('\n').count() as u64 + 1,
        column: before.rsplit('\n').next().unwrap().len() as u64 + 1,
    };
    hint(&format!("{before}{after}"), &position, summary)
}

#[test]
fn signs_of_other_languages_are_replaced() {
    for (marked, summary, expected) in [
        (
            "{ networking|,hostName = \"pi\"; }",
            "unexpected ',', expecting '.' or '='",
            "a dot instead of the comma: networking.hostName",
        ),
        (
            "{ services|: { openssh.enable = true; } }",
            "unexpected ':', expecting '.' or '='",
            "write services = { … };",
        ),
        (
            "{ imports|: [ ./a.nix ]; }",
            "unexpected ':', expecting '.' or '='",
            "write imports = [ … ];",
        ),
        (
            "{\n  |-- text\n  a = 1; }",
            "unexpected '-', expecting INHERIT",
            "a comment begins with `#`",
        ),
        (
            "{ a =|> 1; }",
            "unexpected '>'",
            "write `=` instead of `=>`",
        ),
        (
            "{ a = with pkgs; { vim |htop git }; }",
            "unexpected ID, expecting '.' or '='",
            "write a list in square brackets: with pkgs; [ vim htop git ]",
        ),
        (
            "{ a = 1; |<!-- b --> }",
            "unexpected '<', expecting INHERIT",
            "a comment begins with `#`",
        ),
        (
            "{ a = [ b ] ++ |if c then [ d ]; }",
            "unexpected IF",
            "lib.optionals CONDITION",
        ),
    ] {
        let hint = hint_at(marked, summary).unwrap();
        assert!(hint.contains(expected), "{marked}: {hint}");
    }
    let arguments = hint_at(
        "{ outputs = self|, nixpkgs: { }; }",
        "unexpected ',', expecting ';'",
    );
    let braces = "put the arguments of a function in braces: { self, …, ... }: …";
    assert_eq!(arguments.as_deref(), Some(braces));
    // Arguments, which are not a name.
    let arguments = hint_at("{ a|, b = 1; }", "unexpected ',', expecting '.' or '='");
    assert_eq!(arguments, None);
    let called = hint_at("{ a = f(g(1)|, 2); }", "unexpected ',', expecting ')'");
    assert_eq!(called, None);
    // Of a value in the next line nothing is known.
    let colon = hint_at("{ a|:\n b }", "unexpected ':', expecting '.' or '='");
    assert_eq!(colon, None);
    let yaml = hint_at("{ a|:\n  b: 1 }", "unexpected ':', expecting '.' or '='");
    assert_eq!(yaml.as_deref(), Some("write a = { … };"));
}

#[test]
fn a_lone_dot_and_a_joined_path_are_corrected() {
    for (marked, summary, expected) in [
        (
            "{ modules = |.; }",
            "unexpected '.'",
            "name the files of the modules in a list, such as modules = [ ./sd-card.nix ];",
        ),
        (
            "{ imports = [ |. ]; }",
            "unexpected '.'",
            "name the files in a list, such as imports = [ ./FILE.nix ];",
        ),
        (
            "{ src = |.; }",
            "unexpected '.'",
            "write the directory of this file as ./. with a slash: src = ./.;",
        ),
        (
            "{ imports = [ modulesPath |++ \"/a/b.nix\" ]; }",
            "unexpected CONCAT",
            "with `+`, in parentheses: (modulesPath + \"/a/b.nix\")",
        ),
    ] {
        let hint = hint_at(marked, summary).unwrap();
        assert!(hint.ends_with(expected), "{marked}: {hint}");
    }
    for more in ["{ src = |. + \"/x\"; }", "{ imports = [ |. + \"/x\" ]; }"] {
        assert_eq!(hint_at(more, "unexpected '.'"), None, "{more}");
    }
    let path = hint_at("{ imports = [ ./x |++ \"/a.nix\" ]; }", "unexpected CONCAT");
    assert!(path.unwrap().ends_with(": (./x + \"/a.nix\")"));
    for other in [
        "{ imports = [ modulesPath |++ \"/a-${\"x\"}.nix\" ]; }",
        "{ imports = [ modulesPath |++ \"/a\" + \"/b.nix\" ]; }",
        "{ imports = [ <nixpkgs/nixos> |++ \"/a.nix\" ]; }",
    ] {
        assert_eq!(hint_at(other, "unexpected CONCAT"), None, "{other}");
    }
    let lists = hint_at("{ a = [ b |++ [ c ] ]; }", "unexpected CONCAT");
    assert_eq!(lists, None);
}

#[test]
fn a_value_without_an_equals_sign_is_told_from_a_name() {
    for (marked, summary, expected) in [
        (
            "{ a.enable |true; }",
            "unexpected ID, expecting '.' or '='",
            "write `=` before true: a.enable = true;",
        ),
        (
            "{ a.package |pkgs.vim ; }",
            "unexpected ID, expecting '.' or '='",
            "write `=` before pkgs.vim: a.package = pkgs.vim;",
        ),
        (
            "{ services.openssh |enable = true; }",
            "unexpected ID, expecting '.' or '='",
            "a dot is missing between openssh and enable",
        ),
    ] {
        let hint = hint_at(marked, summary).unwrap();
        assert!(hint.contains(expected), "{marked}: {hint}");
    }
}

#[test]
fn a_token_is_explained_by_what_is_around_it() {
    for (marked, summary, expected) in [
        ("{ a = [ b|; c ]; }", "unexpected ';'", "remove the `;`"),
        (
            "{ keys = [ ssh-ed25519 AAAAC3Nz/F|+4G3 me ]; }",
            "unexpected '+'",
            "put the key in double quotes",
        ),
        (
            "{ interfaces.eth0|.100.ipv4 = x; }",
            "unexpected FLOAT_LIT, expecting '.' or '='",
            "in quotes: \"eth0.100\"",
        ),
        ("{ a = [ b|=c ]; }", "unexpected '='", "[ \"a=b\" ]"),
        ("{ a = [ 1 |- 2 ]; }", "unexpected '-'", "[ (a + b) ]"),
        ("{ a = [ |-5 ]; }", "unexpected '-'", "[ (-1) ]"),
        (
            "{ a = [ |-quiet ]; }",
            "unexpected '-'",
            "begins with `-` in double quotes",
        ),
        (
            "{ a = [ |--disable x ]; }",
            "unexpected '-'",
            "begins with `-` in double quotes",
        ),
        (
            "{ a.allowedUDPPorts = [\n  22\n  60000|-61000\n]; }",
            "unexpected '-'",
            "allowedUDPPortRanges = [ {",
        ),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
}

#[test]
fn a_token_that_ends_or_begins_a_definition_is_explained() {
    for (marked, summary, expected) in [
        (
            "{ a = [ b ]|]; }",
            "unexpected ']', expecting ';'",
            "one `]` too many",
        ),
        (
            "{ a = b|,\n c = d; }",
            "unexpected ',', expecting ';'",
            "write `;`",
        ),
        (
            "{ a = b|, c; }",
            "unexpected ',', expecting ';'",
            "a = [ b c ];",
        ),
        (
            "{ a = b|, c.d = e; }",
            "unexpected ',', expecting ';'",
            "write `;`",
        ),
        (
            "{ fileSystems |\"/\" = { }; }",
            "unexpected '\"', expecting '.' or '='",
            "fileSystems.\"/\"",
        ),
        (
            "{ a.b |\"c\"; }",
            "unexpected '\"', expecting '.' or '='",
            "a `=` is missing",
        ),
        (
            "{ a, ...|, b }: a",
            "unexpected ',', expecting '}'",
            "is the last argument",
        ),
        ("{ a =|; }", "unexpected ';'", "between `=` and `;`"),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
}

#[test]
fn a_token_in_place_of_a_definition_is_explained() {
    let inherit = |token: &str| format!("unexpected {token}, expecting INHERIT");
    let dot = |token: &str| format!("unexpected {token}, expecting '.' or '='");
    for (marked, summary, expected) in [
        ("{ a = 1;|; }", inherit("';'"), "one `;` too many"),
        (
            "{ |let x = 1; in a = x; }",
            inherit("LET"),
            "before the `{`",
        ),
        ("{ |if x { } }", inherit("IF"), "lib.mkIf"),
        ("{ |with pkgs; a = 1; }", inherit("WITH"), "before a value"),
        (
            "{ networking |{ }; }",
            dot("'{'"),
            "between networking and its value",
        ),
        ("{ pkgs.vim|; }", dot("';'"), "Packages = [ pkgs.vim ];"),
        ("{ a.enable.true|; }", dot("';'"), "write a.enable = true;"),
        ("{ pkgs |... }: { }", dot("ELLIPSIS"), "`,` is missing"),
        ("{ set |a.b = 1; }", dot("ID"), "remove `set`"),
        (
            "{ a.Home |Network.psk = 1; }",
            dot("ID"),
            "\"Home Network\"",
        ),
        (
            "{ a = if true |else 1; }",
            "unexpected ELSE, expecting THEN".to_owned(),
            "if … then",
        ),
    ] {
        let found = hint_at(marked, &summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
    let comma = hint_at("{ config|; pkgs; ... }: { }", &dot("';'")).unwrap();
    assert!(comma.contains("by commas"), "{comma}");
    assert_eq!(hint_at("{ pkgs |lib, ... }: { }", &dot("ID")), None);
    // The name is in quotes.
    assert_eq!(hint_at("{ a.\"b\" |{ }; }", &dot("'{'")), None);
}

#[test]
fn what_is_not_certain_has_no_hint() {
    for (marked, summary) in [
        ("{ a = |‘b; }", "unexpected invalid token"),
        ("{ a = |'80'; }", "unexpected invalid token"),
        ("{ a = |'b''c'; }", "unexpected invalid token"),
        ("{ a = b |- ; }", "unexpected '-'"),
        ("{ a = b|.; }", "unexpected '.'"),
        ("{ ./|x }", "unexpected PATH, expecting INHERIT"),
    ] {
        assert_eq!(hint_at(marked, summary), None, "{marked}");
    }
}
