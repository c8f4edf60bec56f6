//! Which configuration or derivation of a flake is built.

use super::{assert_tells, check, lock, without_a_network};
use crate::support::*;

/// Outputs with configurations and attributes of many kinds.
fn many_outputs() -> String {
    let system = |attributes: &str, body: &str| {
        format!("nixpkgs.lib.nixosSystem {{ {attributes} modules = [ {} ]; }}", flake_module(body))
    };
    let arm = "system = \"aarch64-linux\";";
    let kitchen = system(arm, "warnings = [ \"I am kitchen\" ]; services.openssh.enable = true;");
    let dotted = system(arm, "warnings = [ \"I am dotted, ${config.networking.hostName}\" ];");
    let intel = system("", "nixpkgs.hostPlatform = \"x86_64-linux\";");
    // As nvmd/nixos-raspberrypi has it: a function of the user's own around lib.nixosSystem, with specialArgs.
    let board = "lib.boardSystem = { modules, ... }: nixpkgs.lib.nixosSystem { system = \"aarch64-linux\"; \
        specialArgs = { board = \"special board\"; }; modules = modules ++ [ { nixpkgs.overlays = [ (final: prev: { }) ]; } ]; };";
    let special = flake_module("").replace("config, lib", "board, config, lib").replace(
        "system.stateVersion",
        "warnings = [ \"I have a ${board}\" ]; system.stateVersion",
    );
    let impure = system(arm, "warnings = [ \"${builtins.currentSystem}\" ];");
    format!(
        "nixosConfigurations.kitchen = {kitchen};\n nixosConfigurations.\"pi.lan\" = {dotted};\n \
         nixosConfigurations.intel = {intel};\n nixosConfigurations.impure = {impure};\n {board}\n \
         nixosConfigurations.special = self.lib.boardSystem {{ modules = [ {special} ]; }};\n \
         packages.aarch64-linux.image = self.nixosConfigurations.kitchen.config.system.build.sdImage;\n \
         packages.aarch64-linux.small = nixpkgs.legacyPackages.aarch64-linux.runCommand \"product\" {{ }} ''\n{}\n  '';\n \
         packages.aarch64-linux.broken = nixpkgs.legacyPackages.aarch64-linux.runCommand \"broken\" {{ }} (throw \"I am broken\");\n \
         packages.aarch64-linux.nothing = 1;\n \
         packages.x86_64-linux = throw \"I am no PC\";",
        fresh(SMALL_IMAGE)
    )
}

#[test]
#[expect(clippy::too_many_lines, reason = "tables of references")]
fn a_name_or_an_attribute_says_what_is_built() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    let text = flake_text("./nixpkgs", &many_outputs());
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    repository.commit();
    for (flake, more, parts) in [
        ("pi#kitchen", &[][..], &["I am kitchen"][..]),
        ("pi#\"pi.lan\"", &["--hostname", "attic"], &["I am dotted, attic"]),
        ("pi#pi.lan", &["--set", "networking.hostName=cellar"], &["dotted, cellar"]),
        ("pi#special", &[], &["I have a special board"]),
        ("path:pi#nixosConfigurations.kitchen.config.system.build.sdImage", &[], &["I am kitchen"]),
    ] {
        let checked = check(&user, &[&["--flake", flake], more].concat()).assert_exit_code(6);
        assert_tells(&checked, parts);
    }
    for (flake, more, parts) in [
        ("pi", &[][..], &["several configurations", "pi#kitchen", "pi#pi.lan"][..]),
        ("pi#cupboard", &[], &["no configuration cupboard", "pi#kitchen"]),
        (
            "pi#packages.aarch64-linux.nothing",
            &[],
            &["neither a NixOS configuration nor a derivation"],
        ),
        ("pi#packages.riscv.image", &[], &["packages has no riscv", "aarch64-linux"]),
        ("pi#packages.aarch64-linux.image", &[], &["is a derivation, not a NixOS configuration"]),
        ("pi#image", &[], &["pi#image is a derivation"]),
        ("pi#impure", &[], &["currentSystem", "a flake does not know the system"]),
    ] {
        check(&user, &[&["--flake", flake], more].concat())
            .assert_exit_code(2)
            .assert_stderr_contains(parts);
    }
    let dry = |words: &[&str]| {
        let mut build = user.sdbuild(&["build", "--dry-run", "--output"]);
        run(build.arg(user.out()).args(words))
    };
    let build = |flake: &str| {
        let mut build = user.sdbuild(&["build", flake, "--output"]);
        run(build.arg(user.out()))
    };
    build("pi#intel")
        .assert_exit_code(2)
        .assert_stderr_contains(&["the configuration is for x86_64-linux", "nixpkgs.hostPlatform"]);
    // The derivation is the same, however it is named; as a mere derivation without native glue.
    let derivation = |flake: &str| {
        let told = dry(&["--flake", flake, "--glue", "emulated"]).assert_exit_code(0);
        let line = told.stdout.lines().find(|line| line.starts_with("derivation"));
        line.unwrap().to_owned()
    };
    let image = derivation("pi#packages.aarch64-linux.image");
    let whole = derivation("pi#nixosConfigurations.kitchen.config.system.build.sdImage");
    assert_eq!(whole, derivation("pi#kitchen"));
    assert_ne!(whole, image, "sdbuild switches compression off in a configuration");
    for glue in ["auto", "emulated"] {
        dry(&["--flake", "pi#packages.aarch64-linux.broken", "--glue", glue])
            .assert_exit_code(2)
            .assert_stderr_contains(&["I am broken"]);
    }
    dry(&["--flake", "pi#packages.aarch64-linux.image", "--hostname", "x"])
        .assert_exit_code(2)
        .assert_stderr_contains(&["is a derivation"]);
    let small = build("pi#small").assert_exit_code(0);
    assert!(small.image().exists(), "{}", small.stdout);
    runs.assert_nothing_left();
}

#[test]
fn mistyped_names_of_outputs_are_proposed() {
    needs!(engine_ready());
    let user = without_a_network();
    let text = flake_text("./nixpkgs", &many_outputs());
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    let refuse = |flake: &str, parts: &[&str]| {
        check(&user, &["--flake", flake]).assert_exit_code(2).assert_stderr_contains(parts);
    };
    refuse("pi#kitchn", &["the flake pi has no configuration kitchn", "did you mean pi#kitchen?"]);
    refuse(
        "pi#nixosConfiguration.kitchen",
        &["the flake has no nixosConfiguration", "did you mean pi#kitchen?"],
    );
    repository.write("flake.nix", &text.replace("nixosConfigurations", "nixosConfiguration"));
    refuse(
        "pi",
        &[
            "the flake pi has no nixosConfigurations",
            "rename nixosConfiguration to nixosConfigurations",
        ],
    );
    let empty = flake_text("./nixpkgs", "nixosConfigurations = { };");
    repository.write("flake.nix", &empty);
    refuse(
        "pi",
        &[
            "the flake pi has a nixosConfigurations without a configuration",
            "nixpkgs.lib.nixosSystem",
        ],
    );
}
