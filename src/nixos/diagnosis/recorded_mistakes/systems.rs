//! Systems that are none, or another one than the builder's.

use super::*;

#[test]
fn systems_by_other_names_are_corrected() {
    for (nix, error, hint) in [
        (
            "{ nixpkgs.hostPlatform = \"arm64-linux\"; }",
            "Unknown CPU type: arm64",
            "pi/c.nix:1: \"arm64-linux\" is not a system of Nix. Write \"aarch64-linux\"",
        ),
        (
            "{ nixpkgs.hostPlatform = \"linux-arm64\"; networking.hostName = \"linux-pi\"; }",
            "Unknown CPU type: linux",
            "pi/c.nix:1: \"linux-arm64\" is not a system of Nix. Write \"aarch64-linux\"",
        ),
    ] {
        let hints = failure(nix, &without_place(error), "").hints;
        assert_eq!(hints, [hint], "{nix}");
    }
}

#[test]
fn a_derivation_of_another_system_is_for_another_builder() {
    let nix = "{ system.build.sdImage = derivation { system = \"riscv64-linux\"; }; }";
    let error = "a 'riscv64-linux' with features {} is required to build '/nix/store/x.drv', but I am a 'x86_64-linux'";
    let hints = failure(nix, &without_place(error), "").hints;
    assert!(hints[0].starts_with("neither this builder"), "{hints:?}");
}
