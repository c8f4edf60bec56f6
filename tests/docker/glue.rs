//! Native glue: the same image as under emulation, made by the builder's own architecture; and the guard that
//! finds what would not be the same.

mod builders;
mod commands;
mod containers;
mod equality;
mod guard;
mod idioms;
mod killed;
mod old_releases;
mod tree;

use std::collections::BTreeSet;
use std::fs;

use crate::support::*;

/// A configuration with things in it that a system has: a key, a user, a unit of its own, files, packages.
fn system(name: &str, body: &str) -> String {
    let overlay = "(final: prev: { htop = prev.htop.overrideAttrs { changed = \"yes\"; }; })";
    configuration(&format!(
        "  networking.hostName = \"{name}\";\n  services.openssh.enable = true;\n  \
           users.users.ann = {{ isNormalUser = true; }};\n  \
           environment.systemPackages = [ pkgs.htop (pkgs.writeShellScriptBin \"mine\" \"echo mine\") ];\n  \
           environment.etc.\"a-file\".text = \"text\";\n  \
           environment.etc.made.source = pkgs.runCommand \"made\" {{ }} \"echo made >$out\";\n  \
           nixpkgs.overlays = [ {overlay} ];\n  nixpkgs.config.allowUnfree = true;\n{body}"
    ))
}

/// The derivations that the last run built, in order, as its log has them; what was built twice is there twice.
fn built(user: &TestUser) -> Vec<String> {
    let logs = user.state.path().join(".local/state/sdbuild/logs");
    let newest = fs::read_dir(&logs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .max_by_key(|path| path.metadata().unwrap().modified().unwrap());
    let text = fs::read_to_string(newest.unwrap()).unwrap();
    let name = |line: &str| Some(line.strip_prefix("building '")?.strip_suffix('\'')?.to_owned());
    text.lines().filter_map(name).collect()
}

/// Those of some derivations on the store volume that are built by aarch64 programs.
fn emulated(derivations: &BTreeSet<String>) -> Vec<String> {
    let names: Vec<&str> = derivations.iter().map(String::as_str).collect();
    let list = r#"cat "$@" >/dev/null; grep -lF '],"aarch64-linux","' /dev/null "$@" || true"#;
    let said = said_inside(STORE, list, &names);
    said.lines().map(str::to_owned).collect()
}

/// A command of NixOS's own modules that makes the derivation `name`, in /etc: it has native tools unless its text shows
/// that it may depend on the machine.
fn command_of_nixos(name: &str, command: &str) -> String {
    format!(
        "  environment.etc.{name}.source = config._module.args.pkgs.runCommand \"{name}\" {{ }} ''\n{command}\n  '';"
    )
}

/// Builds the smallest image, so that the engine has the builder's container image and the store what it is made of.
fn ready() {
    let user = TestUser::new();
    user.build_of(&configuration(""), &["--glue", "native"]).assert_exit_code(0);
}

/// What a shell script says in a builder: it has nixpkgs, the glue's expressions in /glue and its shell functions in
/// /guard.
fn said_inside(store: &str, script: &str, arguments: &[&str]) -> String {
    let here = env!("CARGO_MANIFEST_DIR");
    let volumes = [
        format!("{}:/nixpkgs:ro", mini_nixpkgs().display()),
        format!("{here}/crates/build/src/expressions/glue:/glue:ro"),
        format!("{here}/containers/builder/glue:/guard:ro"),
    ];
    let volumes: Vec<&str> = volumes.iter().map(String::as_str).collect();
    let said = in_builder(store, &volumes, script, arguments).assert_exit_code(0);
    said.stdout.trim().to_owned()
}

#[test]
fn failure_without_native_glue_is_not_retried() {
    needs!(engine_ready());
    let user = TestUser::new();
    // As with a cross configuration: nothing to be had natively, and programs of the builder's make the image.
    let image = fresh("    exit 1");
    user.write(
        "sd-card.nix",
        &configuration(&format!(
            "  system.build.sdImage = lib.mkForce ((import pkgs.path {{ system = builtins.currentSystem; }}).runCommand \
             \"hopeless\" {{ }} ''\n{image}\n  '');"
        )),
    );
    let failed = run(&mut user.build(&[])).assert_exit_code(4);
    let failed = failed.assert_stderr_contains(&["hopeless"]);
    let told = failed.stderr.matches("a native build is not possible").count();
    assert_eq!(told, 1, "{}", failed.stderr);
    let tries = built(&user);
    let tries = tries.iter().filter(|drv| drv.ends_with("-hopeless.drv"));
    assert_eq!(tries.count(), 1);
}

#[test]
fn configuration_error_is_reported_once_with_its_location() {
    needs!(engine_ready());
    let user = TestUser::new();
    user.write("sd-card.nix", &system("wrong", "  networking.hotsName = \"x\";"));
    let failed = run(&mut user.build(&[])).assert_exit_code(2);
    let failed = failed.assert_stderr_contains(&["networking.hotsName", "sd-card.nix"]);
    assert_eq!(failed.stderr.matches("error:").count(), 1, "{}", failed.stderr);
    assert!(
        !failed.stderr.contains("all of the image is built under emulation"),
        "{}",
        failed.stderr
    );
    // A second evaluation would take as long, and find the same.
    let verbose = run(&mut user.build(&["-v"])).assert_exit_code(2);
    let evaluations = verbose.stderr.matches("error:\n").count();
    assert_eq!(evaluations, 1, "{}", verbose.stderr);
}

#[test]
fn native_failure_is_tried_alone_under_emulation() {
    needs!(engine_ready());
    let user = TestUser::new();
    // The machine of the shell that the derivation's own variable names, which only emulated is the image's.
    let machine = "od -An -tx1 -j18 -N1 $(env | sed -n s/^builder=//p)";
    let picky = fresh(&format!("[ $({machine}) = b7 ] && touch $out"));
    let done = user
        .build_of(&system("picky", &command_of_nixos("picky", &picky)), &["--force"])
        .assert_exit_code(0);
    let why = "builder> built under emulation, because it failed natively: picky";
    let retry = "builder> failed natively, trying again under emulation: picky";
    let done = done.assert_stderr_contains(&[retry, why]);
    assert!(!done.stderr.contains("all of the image is built under emulation"), "{}", done.stderr);
    // Of all, of this one, and of the rest.
    let forecasts = done.stderr.matches("to build: ").count();
    assert_eq!(forecasts, 3, "{}", done.stderr);
    let all: BTreeSet<String> = built(&user).into_iter().collect();
    let slow = emulated(&all);
    let of = |part: &str, all: &[String]| all.iter().filter(|drv| drv.contains(part)).count();
    let all: Vec<String> = all.into_iter().collect();
    assert_eq!((of("-picky.drv", &all), of("-picky.drv", &slow)), (2, 1));
    assert_eq!((of("-aarch64-linux.img", &all), of("-aarch64-linux.img", &slow)), (1, 0));

    let failed = run(&mut user.build(&["--glue", "native", "--force"])).assert_exit_code(4);
    failed.assert_stderr_contains(&["picky"]);
}

/// A kernel has no more modules for a modprobe that is emulated.
#[test]
fn a_missing_kernel_module_is_not_looked_for_under_emulation() {
    needs!(engine_ready());
    let user = TestUser::new();
    let text = "modprobe: FATAL: Module dw-hdmi not found in directory /lib/modules/6.12";
    let closure = fresh(&format!("    echo '{text}'; exit 1"));
    let closure = command_of_nixos("linux-modules-shrunk", &closure);
    user.build_of(&system("modules", &closure), &[])
        .assert_exit_code(4)
        .assert_stderr_contains(&[text, "hint: the kernel has no module dw-hdmi"]);
    let tries = built(&user);
    let tries = tries.iter().filter(|drv| drv.ends_with("-shrunk.drv"));
    assert_eq!(tries.count(), 1);
}

#[test]
fn failure_under_emulation_too_is_the_only_error() {
    needs!(engine_ready());
    let user = TestUser::new();
    let wrong = fresh("    echo for the second time; exit 3");
    let failed = user
        .build_of(&system("wrong", &command_of_nixos("wrong", &wrong)), &[])
        .assert_exit_code(4);
    let failed = failed.assert_stderr_contains(&["the build of wrong failed with exit code 3"]);
    assert_eq!(failed.stderr.matches("error:").count(), 1, "{}", failed.stderr);
    assert!(
        !failed.stderr.contains("all of the image is built under emulation"),
        "{}",
        failed.stderr
    );
    let tries = built(&user);
    let tries = tries.iter().filter(|drv| drv.ends_with("-wrong.drv"));
    assert_eq!(tries.count(), 2);
}
