//! The engine goes away in mid-build, or cannot do what a build needs.

use nix::sys::signal::Signal;

use crate::support::*;

/// An image whose making needs no network and no emulated program.
fn offline(script: &str) -> String {
    format!(
        "{{ lib, ... }}: {{ system.build.sdImage = lib.mkForce (derivation {{ name = \"offline\"; \
         system = \"aarch64-linux\"; builder = \"/bin/sh\"; args = [ \"-c\" ''{script}'' ]; }}); \
         imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ]; \
         system.stateVersion = \"26.05\"; }}"
    )
}

#[test]
fn a_killed_or_stopped_engine_leaves_nothing_after_the_next_run() {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let mut engine = OwnEngine::start(false);
    let person = Person::new().with("DOCKER_HOST", engine.host());
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        person.write(
            "sd-card.nix",
            &offline("echo in the middle; /bin/sleep 600"),
        );
        let mut build = Running::start(&mut person.build(&["-v"]));
        build.until("in the middle");
        engine.end(signal);
        let ran = build.finish();
        // 5 where the handler could not be removed without an engine: then it is listed.
        assert!(
            matches!(ran.code, Some(3 | 5)),
            "{signal}: {:?} {}",
            ran.code,
            ran.stderr
        );
        assert!(ran.stderr.contains("engine"), "{}", ran.stderr);
        engine.restart();
        let quick = "/bin/mkdir -p $out/sd-image $out/nix-support; echo x > $out/sd-image/x.img; \
                     echo \"file sd-image $out/sd-image/x.img\" > $out/nix-support/hydra-build-products";
        person.write("sd-card.nix", &offline(quick));
        let again = support_ran(&person);
        assert_eq!(again.code, Some(0), "{}", again.stderr);
        assert_eq!(handlers(), before.handlers);
        let left = engine.docker(&["ps", "--all", "--quiet"]).stdout;
        assert_eq!(left, "", "containers are left in the engine");
    }
}

fn support_ran(person: &Person) -> Ran {
    ran(&mut person.build(&["--force"]))
}

#[test]
fn a_host_without_binfmt_misc_is_served_by_a_privileged_registrar_or_told_how_to_mount_it() {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let engine = OwnEngine::start(true);
    let person = Person::new().with("DOCKER_HOST", engine.host());
    person.write("sd-card.nix", &offline("echo x > $out"));
    let ran = ran(&mut person.build(&[]));
    let ran = ran.says(&["binfmt_misc is not mounted", "privileged container"]);
    // Where the engine may start one, the build comes as far as its lack of a product.
    match ran.code {
        Some(4) => ran.says(&["hydra-build-products"]),
        _ => ran.exits(3).says(&["mount -t binfmt_misc binfmt_misc"]),
    };
    assert_eq!(engine.docker(&["ps", "--all", "--quiet"]).stdout, "");
    before.is_unchanged();
}
