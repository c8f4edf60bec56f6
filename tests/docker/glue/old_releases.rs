//! Images with the interface that older releases of nixpkgs have: see `tests/nixpkgs-releases/README.md`.

use std::collections::BTreeSet;

use super::{built, emulated};
use crate::support::*;

/// Builds a system of `release` with `body` in its configuration; returns the name of the image.
fn build(release: &str, body: &str) -> String {
    let tree = mini_nixpkgs_of(release);
    let user = TestUser::new();
    let host = format!("  networking.hostName = \"of-{}\";\n{body}", nonce());
    user.write("sd-card.nix", &configuration(&host));
    let mut build = user.sdbuild(&["build", "--nixpkgs"]);
    let image = run(build.arg(tree.path())).assert_exit_code(0).image();

    let inspect = ["inspect", image.to_str().unwrap()];
    let inspected = run(&mut user.sdbuild(&inspect)).assert_exit_code(0).stdout;
    for seen in ["FIRMWARE", "NIXOS_SD", "extlinux.conf", "of-"] {
        assert!(inspected.contains(seen), "{seen}: {inspected}");
    }
    let derivations: BTreeSet<_> = built(&user).into_iter().collect();
    let parts = ["-ext4-fs.img.drv", ".img.drv", "-closure-info.drv"];
    let emulated = emulated(&derivations);
    for part in parts {
        let is_part = |drv: &String| drv.ends_with(part);
        assert!(derivations.iter().any(is_part), "{part}: {derivations:?}");
        assert!(!emulated.iter().any(is_part), "{part}: {emulated:?}");
    }
    image.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn an_image_of_24_11_is_built_natively() {
    needs!(engine_ready());
    let name = build("24.11", "  sdImage.imageBaseName = \"kitchen\";");
    assert!(name.starts_with("kitchen-"), "{name}");
}

#[test]
fn an_image_of_25_05_is_built_natively() {
    needs!(engine_ready());
    let name = build("25.05", "  image.baseName = \"kitchen\";");
    assert!(name.starts_with("kitchen.img"), "{name}");
}

#[test]
fn nixpkgs_24_11_has_no_other_formats() {
    needs!(engine_ready());
    let tree = mini_nixpkgs_of("24.11");
    let user = TestUser::new();
    user.write("sd-card.nix", &configuration(""));
    let mut build = user.sdbuild(&["build", "--format", "raw-efi", "--nixpkgs"]);
    run(build.arg(tree.path()))
        .assert_exit_code(2)
        .assert_stderr_contains(&["has no image variants", "25.05"]);
}
