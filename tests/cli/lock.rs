//! `sdbuild lock`, as far as it needs no engine.

use crate::cli_test::CliTest;

#[test]
fn only_nixpkgs_is_locked_beside_a_module_file() {
    CliTest::new(&["lock", "home-manager"])
        .config()
        .exit_code(2)
        .stderr("`home-manager` is not in sdbuild.lock, which has only nixpkgs")
        .run();
    CliTest::new(&["lock"])
        .config()
        .file("sdbuild.toml", "nixpkgs = \"./nixpkgs\"")
        .exit_code(2)
        .stderr("there is nothing to update, because nixpkgs is the directory")
        .stderr("hint: update that directory yourself")
        .run();
}

/// Otherwise a build would use a lock that is never renewed.
#[test]
fn the_lock_is_that_of_what_a_build_takes() {
    // Of a module file and a flake beside it, the module file.
    CliTest::new(&["lock"])
        .config()
        .file("flake.nix", "{ outputs = _: { }; }")
        .file("sdbuild.toml", "nixpkgs = \"./nixpkgs\"")
        .exit_code(2)
        .stderr("there is nothing to update, because nixpkgs is the directory")
        .run();
    // The flake that the settings name, not the one here.
    let settings = |flake: &str| format!("flake = \"{flake}#pi\"");
    for file in ["flake.nix", "sd-card.nix"] {
        CliTest::new(&["lock"])
            .file(file, "{ }")
            .file("sdbuild.toml", &settings("./nix"))
            .file("nix/readme", "")
            .exit_code(2)
            .stderr("there is no flake.nix in ")
            .stderr("/nix\n")
            .run();
    }
    // A flag counts more.
    CliTest::new(&["lock", "--flake", "other"])
        .file("sdbuild.toml", &settings("./nix"))
        .exit_code(2)
        .stderr("/other")
        .run();
    CliTest::new(&["lock"]).exit_code(2).stderr("sdbuild init").run();
}
