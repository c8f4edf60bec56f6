//! `--offline`: the builder has no network, and whatever would need one is refused in one sentence.

use super::{check, lock, without_a_network};
use crate::support::*;

#[test]
fn what_needs_a_network_is_refused_offline() {
    needs!(engine_ready());
    let user = without_a_network();
    let runs = user.track_runs();
    // Nix asks for no file whose hash it has in the store.
    let hash = format!("sha256:{:064x}", nonce());
    let fetch = format!(
        "warnings = [ (builtins.readFile (builtins.fetchurl {{ url = \"http://host.example/x\"; sha256 = \"{hash}\"; }})) ];"
    );
    let outputs = |body: &str| flake_configuration("pi", &flake_module(body));
    let text = flake_text("./nixpkgs", &outputs(&fetch));
    let repository = FlakeRepository::new(&user, "pi", &[("flake.nix", &text)]);
    lock(&user, &["--flake", "pi"]).assert_exit_code(0);
    check(&user, &["--flake", "pi"]).assert_exit_code(3).assert_stderr_contains(&[
        "the builder has no network (--offline) but needs one: http://host.example/x is fetched",
        "hint: run it once without --offline",
    ]);

    let fetching = outputs(
        "system.build.sdImage = lib.mkForce (pkgs.fetchurl { url = \"http://host.example/y\"; hash = \"sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"; name = \"y\"; });",
    );
    repository.write("flake.nix", &flake_text("./nixpkgs", &fetching));
    let mut build = user.sdbuild(&["build", "pi", "--output", "out"]);
    run(&mut build).assert_exit_code(3).assert_stderr_contains(&[
        "the builder has no network (--offline) but needs one: the build of",
    ]);

    // An input elsewhere, to be locked; by the builder, and by the user's git.
    let elsewhere = |url: &str| {
        let input = format!("  inputs.library.url = \"{url}\";\n  outputs");
        let text = flake_text("./nixpkgs", &outputs(""));
        repository.write("flake.nix", &text.replace("  outputs", &input));
        lock(&user, &["--flake", "pi"]).assert_exit_code(3)
    };
    elsewhere("http://host.example/library.tar.gz")
        .assert_stderr_contains(&["no network (--offline)"]);
    elsewhere("git+ssh://git@host.example/library").assert_stderr_contains(&[
        "your git would fetch ssh://git@host.example/library, but --offline does not allow that",
        "--override-input INPUT DIR",
    ]);

    let mut shell = user.sdbuild(&["shell", "--flake", "pi", "--run", "ls /sys/class/net"]);
    repository.write("flake.nix", &flake_text("./nixpkgs", &outputs("")));
    let interfaces = run(&mut shell).assert_exit_code(0).stdout;
    assert_eq!(interfaces, "lo\n");
    let mut build = user.sdbuild(&["build", "pi", "--builder-image", "host.example/none:1"]);
    run(&mut build).assert_exit_code(3).assert_stderr_contains(&[
        "does not have host.example/none:1",
        "--offline does not allow pulling",
    ]);
    runs.assert_nothing_left();
}
