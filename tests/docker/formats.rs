//! Other formats than an SD card: variants of nixpkgs' images.

use std::fs;

use serde_json::Value;

use crate::support::*;

/// A configuration for a card with a variant of its own, an archive that is quickly made and is in no store yet.
fn with_variant() -> String {
    let script = fresh(
        "    mkdir -p $out/tarball $out/nix-support\n    echo small > $out/tarball/small.tar.xz\n    \
         echo \"file system-tarball $out/tarball/small.tar.xz\" > $out/nix-support/hydra-build-products",
    );
    configuration(&format!(
        "  sdImage.compressImage = false;\n  image.modules.small = {{ system.build.image = pkgs.runCommand \"small\" {{ }} \
         ''\n{script}\n  ''; }};"
    ))
}

#[test]
fn variants_that_cannot_be_built_are_refused_at_once() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &configuration(""));
    let build = |variant: &str| run(&mut user.build(&["--format", variant])).assert_exit_code(2);
    build("nixpkgs:raw-efi").assert_stderr_contains(&[
        "the image variant `raw-efi' is made in a virtual machine with KVM",
        "hint: `sdbuild formats` lists what is made without one",
    ]);
    let unknown = build("nixpkgs:raw-eif");
    unknown.assert_stderr_contains(&[
        "has no image variant `raw-eif'; it has: ",
        "raw-efi, sd-card",
        "hint: did you mean --format nixpkgs:raw-efi?",
    ]);
    user.write(
        "sd-card.nix",
        &configuration("  disabledModules = [ \"image/images.nix\" ];"),
    );
    build("nixpkgs:raw-efi").assert_stderr_contains(&[
        "the nixpkgs of the configuration has no image variants",
        "hint: take a nixpkgs that has them",
    ]);
    runs.assert_nothing_left();
}

#[test]
fn a_variant_is_built_of_a_configuration_for_a_card() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let runs = user.track_runs();
    user.write("sd-card.nix", &with_variant());
    let build = || {
        let built = run(&mut user.build(&["--json", "--format", "nixpkgs:small"]));
        built.assert_exit_code(0)
    };
    let first = build();
    let manifest: Value = serde_json::from_str(&first.stdout).unwrap();
    assert_eq!(manifest["format"], "nixpkgs:small");
    assert_eq!(manifest["image"]["name"], "small.tar.xz");
    assert_eq!(manifest["image"]["compression"], "none");
    let archive = user.out().join("small.tar.xz");
    assert_eq!(fs::read_to_string(&archive).unwrap(), "small\n");
    let files = ["small.tar.xz", "small.tar.xz.json", "small.tar.xz.sha256"];
    assert_eq!(file_names(&user.out()), files);
    // The archive is in the configuration's directory, and is not uploaded.
    let again = build();
    assert_eq!(again.stdout, first.stdout);
    assert!(!again.stderr.contains("\nBuild: done"), "{}", again.stderr);
    runs.assert_nothing_left();
}

#[test]
fn a_flakes_image_has_no_other_format() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    let outputs = flake_configuration("pi", &flake_module(""));
    let text = flake_text("./nixpkgs", &outputs);
    FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    run(&mut user.sdbuild(&["lock", "--flake", "pi"])).assert_exit_code(0);
    let image = "./pi#nixosConfigurations.pi.config.system.build.sdImage";
    run(&mut user.sdbuild(&["build", image, "--format", "nixpkgs:raw-efi"]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["is already an image: leave out --format"]);
}
