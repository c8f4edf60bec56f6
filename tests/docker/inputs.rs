//! Configurations that Nix rejects: the error names the user's own file, line and option.

use crate::support::*;

#[test]
fn an_error_names_the_users_file() {
    needs!(engine_ready());
    let user = TestUser::new();
    let runs = user.track_runs();
    let import = configuration("").replace("imports = [", "imports = [ ./none.nix");
    for (text, parts) in [
        (
            "{ config, ... }: {\n  networking.hostName = \"x\"\n}\n",
            &["syntax error", "sd-card.nix:2"][..],
        ),
        (
            &configuration("  networking.hotsName = \"x\";"),
            &["networking.hotsName", "does not exist"],
        ),
        (&configuration("  networking.hostName = 5;"), &["networking.hostName", "is not of type"]),
        (&import, &["none.nix"]),
    ] {
        let outcome = user.build_of(text, &[]).assert_exit_code(2).assert_stderr_contains(parts);
        let stderr = &outcome.stderr;
        let places = ["configuration: sd-card.nix:", "configuration sd-card.nix: "];
        assert!(places.iter().any(|it| stderr.contains(it)), "{stderr}");
        assert!(!stderr.contains("/build/config"), "{stderr}");
    }
    assert!(user.outputs().is_empty());
    runs.assert_nothing_left();
}

#[test]
fn configuration_without_image_is_refused() {
    needs!(engine_ready());
    let user = TestUser::new();
    // As before 25.05, when there were no variants of images, of which the one for SD cards would be built.
    let bare = "{ disabledModules = [ \"image/images.nix\" ]; system.stateVersion = \"26.05\"; }";
    user.build_of(bare, &[]).assert_exit_code(2).assert_stderr_contains(&["sdImage"]);
}

#[test]
fn a_file_above_the_configuration_is_imported_with_root() {
    needs!(engine_ready());
    let user = TestUser::new();
    let text = configuration("").replace("imports = [", "imports = [ ../common.nix");
    user.write("machines/pi/sd-card.nix", &text);
    user.write("machines/common.nix", "{ networking.hotsName = 1; }");
    let mini = mini_nixpkgs();
    let check = |more: &[&str]| {
        let mut check = user.sdbuild(&["check", "machines/pi", "--nixpkgs"]);
        run(check.arg(&mini).args(more)).assert_exit_code(2)
    };
    check(&[]).assert_stderr_contains(&["common.nix' does not exist", "--root"]);
    check(&["--root", "machines"])
        .assert_stderr_contains(&["machines/common.nix", "networking.hotsName"]);
}

/// A checkout of nixpkgs has its packages from a binary cache: a mirror that hangs would only delay it.
#[test]
fn only_the_miniature_nixpkgs_asks_a_mirror() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", "{ }");
    user.write("nixpkgs/nixos/default.nix", "");
    user.write("nixpkgs/nixos/lib/eval-config.nix", "throw \"evaluated\"");
    let server = CacheServer::good(user.home.path());
    let user = user.with("SDBUILD_DEBIAN_MIRROR", server.url());
    let check = || {
        run(&mut user.sdbuild(&["check", "--nixpkgs", "nixpkgs"]))
            .assert_exit_code(2)
            .assert_stderr_contains(&["evaluated"]);
        let requests = server.requests();
        let asks = |request: &&Request| request.file().ends_with("dists/stable/Release");
        requests.iter().filter(asks).count()
    };
    assert_eq!(check(), 0);
    user.write("nixpkgs/nixos/modules/mini.nix", "{ }");
    assert_eq!(check(), 1);
}
