use super::*;

#[test]
fn values_are_found_by_what_they_are() {
    let text = "{\n  imports = [ import ./a.nix ];\n  b = (import ./c.nix);\n  x = lib.nixosSystem [ ./d.nix ];\n  y = other [ ];\n}";
    let lines = |found: Vec<DefinedValue>| {
        let lines = found.into_iter().map(|value| value.line);
        lines.collect::<Vec<_>>()
    };
    assert_eq!(lines(imports_in_lists(text)), [2]);
    assert_eq!(lines(given_to(text, "nixosSystem", &[NODE_LIST])), [4]);
    assert!(given_to(text, "nixosSystem", &[NODE_STRING]).is_empty());
    assert_eq!(
        lines(named(
            "{ a.b = [ ];\n b = 1;\n c = [ ]; }",
            "b",
            &[NODE_LIST]
        )),
        [1]
    );
    let set = "{ a = x.f { b = [ ]; };\n flake.b = [ ]; }";
    assert_eq!(lines(arguments(set, "f", "b", &[NODE_LIST])), [1]);
    let own = "{ a.b = self.a.b;\n c.b = self.a.b;\n d = self.d.e; }";
    assert_eq!(lines(defined_by_themselves(own)), [1]);
    let calls = "{ a = import x.f { };\n b = x.f { };\n c = import (x.f) { }; }";
    assert_eq!(lines(calls_of(calls, "import", "f")), [1]);
    assert_eq!(lines(paths_to("{ a = ./x/c.nix; }", "c.nix")), [1]);
    let numbers = "{ o.port = 5;\n a = \"${5}\";\n b = \"x\" + 5;\n c = ''${config.o.port}'';\n d = \"5\" + x;\n e = ''${6}'';\n f = ./${5}; }";
    assert_eq!(lines(numbers_in_strings(numbers, "5")), [2, 3, 4]);
    let names = "let port = 5; in { o = { port = 5; };\n a = \"${port}\";\n b = \"${o.port}\";\n c = \"${x.port}\"; }";
    assert_eq!(lines(numbers_in_strings(names, "5")), [2, 3]);
    let absolute = "{ a = [ /etc/x.nix\n /etcetera ./etc/y.nix ]; }";
    assert_eq!(lines(paths_below(absolute, "/etc")), [1]);
    assert_eq!(
        lines(strings("{ a = [ \"b\" ];\n c = \"b\"; }", "b")),
        [1, 2]
    );
    let strings = "{ a = [ \"b\" ];\n c = \"b\"; }";
    assert_eq!(lines(whole_strings(strings, "b")), [2]);
    let imports = "{ imports = m + \"/x/c.nix\";\n a = m + \"/x/c.nix\"; }";
    assert_eq!(lines(imports_ending_like(imports, "/m/x/c.nix")), [1]);
    assert_eq!(lines(imports_ending_like(imports, "/m/d.nix")), [0; 0]);
    let joined = "{ a = [ ] ++\n pkgs.b ++ c; d = pkgs.e; }";
    assert_eq!(lines(joined_packages(joined)), [2]);
    assert_eq!(
        lines(values_of("{ a.b = 1;\n a = { b = 2; }; }", "a.b")),
        [1, 2]
    );
}
