//! Configurations that Nix refuses: the user's own file, line and option are named.

use crate::support::*;

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    if !engine_available() {
        return;
    }
    let before = Machine::snapshot();
    let user = TestUser::new();
    let config = user.write("sd-card.nix", text);
    let outcome = run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(parts);
    let outcome = outcome.assert_stderr_contains(&[config.to_str().unwrap()]);
    assert!(
        !outcome.stderr.contains("/build/config"),
        "{}",
        outcome.stderr
    );
    assert!(user.outputs().is_empty());
    before.assert_unchanged();
}

#[test]
fn a_syntax_error() {
    refused(
        "{ config, ... }: {\n  networking.hostName = \"x\"\n}\n",
        &["syntax error", "sd-card.nix:3"],
    );
}

#[test]
fn an_unknown_option() {
    let text = configuration("  networking.hotsName = \"x\";");
    refused(&text, &["networking.hotsName", "does not exist"]);
}

#[test]
fn a_value_of_the_wrong_type() {
    refused(
        &configuration("  networking.hostName = 5;"),
        &["networking.hostName", "is not of type"],
    );
}

#[test]
fn a_missing_import() {
    refused(
        &configuration("").replace("imports = [", "imports = [ ./none.nix"),
        &["none.nix"],
    );
}

#[test]
fn a_configuration_that_makes_no_image() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", "{ system.stateVersion = \"26.05\"; }");
    run(&mut user.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["sdImage"]);
}

#[test]
fn a_copy_of_nixpkgs_that_nobody_uses_any_more_goes_and_the_others_stay() {
    if !engine_available() {
        return;
    }
    let user = TestUser::new();
    user.write("sd-card.nix", &product(SMALL_IMAGE));
    let on_the_store = |script: &str| {
        in_builder(STORE, &[], script, &[])
            .assert_exit_code(0)
            .stdout
    };
    let dir = "/nix/var/sdbuild/nixpkgs";
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    // The one in use has come from an archive, or was last used, long ago: it is used now.
    on_the_store(&format!(
        "mkdir -p {dir}/test-old/read-only {dir}/test-young && \
         chmod a-w {dir}/test-old/read-only && touch -d '20 days ago' {dir}/test-young && \
         touch -d '40 days ago' {dir}/test-old"
    ));
    let before = on_the_store(&format!("ls {dir}"));
    run(&mut user.build(&["--force"])).assert_exit_code(0);
    let after = on_the_store(&format!("ls {dir}; rmdir {dir}/test-young"));
    assert_eq!(after, before.replace("test-old\n", ""));
}
