//! Tokens in lists of packages.

use super::hint_at;

#[test]
fn tokens_in_lists_of_packages_are_explained() {
    for (marked, summary, expected) in [
        (
            "{ environment.systemPackages = with pkgs; [ nodejs|@20 ]; }",
            "unexpected '@'",
            "write nodejs for the version that this nixpkgs has",
        ),
        (
            "{ a = [ pkgs.python3|==3.11 ]; }",
            "unexpected EQ",
            "`==` is no part of a name: write pkgs.python3",
        ),
        // This name throws.
        (
            "{ a = [ pkgs.python|==3.12 ]; }",
            "unexpected EQ",
            "write pkgs.python3 for the version that this nixpkgs has",
        ),
        (
            "{ environment.systemPackages = with pkgs; [ vim 2048|-in-terminal ]; }",
            "unexpected '-'",
            "as in _2048-in-terminal: https://search.nixos.org/packages?query=2048-in-terminal",
        ),
        (
            "{ a.names = [ 389|-ds-base ]; }",
            "unexpected '-'",
            "a string is in double quotes: \"389-ds-base\"",
        ),
        (
            "{ services.x.package = nodejs|@20; }",
            "unexpected '@', expecting ';'",
            "packages?query=nodejs",
        ),
        (
            "{ environment.systemPackages = [ |with pkgs; vim ]; }",
            "unexpected WITH",
            "environment.systemPackages = with pkgs; [ … ];",
        ),
        (
            "{ a = [ b ] ++ [ |with pkgs; vim ]; }",
            "unexpected WITH",
            "(with pkgs; [ … ])",
        ),
        (
            "{ a.b |+= [ pkgs.htop ]; }",
            "unexpected '+', expecting '.' or '='",
            "Nix has no `+=`: write a.b = …;",
        ),
        (
            "{\n a.b = [ ];\n a.b |+= [ pkgs.htop ]; }",
            "unexpected '+', expecting '.' or '='",
            "into the definition of line 2",
        ),
    ] {
        let found = hint_at(marked, summary).unwrap();
        assert!(found.contains(expected), "{marked}: {found}");
    }
    let strings = hint_at("{ a.names = [ me|@20 ]; }", "unexpected '@'");
    assert_eq!(strings, None);
}
