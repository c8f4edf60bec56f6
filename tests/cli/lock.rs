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
        .stderr("nixpkgs has no lock")
        .run();
}
