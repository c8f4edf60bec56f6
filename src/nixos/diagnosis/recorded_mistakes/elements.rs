//! Elements of lists that are none.

use super::*;

#[test]
fn elements_that_are_no_packages_are_explained() {
    for (value, expected) in [
        (
            "[ <derivation htop-3> <derivation git-2> ]",
            "Join another list to it with `++`: [ a ] ++ (with pkgs; [ b c ])",
        ),
        ("7", "a number is not a package"),
    ] {
        let error = format!(
            "A definition for option `environment.systemPackages.\\\"[definition 1-entry 2]\\\"' is not of type `package'. Definition \
             values:\\n- In `/build/config/c.nix': {value}"
        );
        let hints = hints_of_line("{ }", 1, &error).concat();
        assert!(hints.contains(expected), "{hints}");
    }
}

#[test]
fn the_packages_of_the_kernel_are_no_list() {
    let line = "{ boot.kernelPackages = [ linuxPackages_latest ]; }";
    let error = "undefined variable 'linuxPackages_latest'";
    let hints = hints_of_line(line, 27, error).concat();
    let meant =
        "write one set of packages, not a list: boot.kernelPackages = pkgs.linuxPackages_latest;";
    assert_eq!(hints, meant);
}
