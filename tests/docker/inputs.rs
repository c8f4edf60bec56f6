//! Configurations that Nix refuses: the person's own file, line and option are named.

use crate::support::*;

#[track_caller]
fn refused(text: &str, parts: &[&str]) {
    if !engine_is_here() {
        return;
    }
    let before = Machine::now();
    let person = Person::new();
    let config = person.write("sd-card.nix", text);
    let ran = ran(&mut person.build(&[])).exits(2).says(parts);
    let ran = ran.says(&[config.to_str().unwrap()]);
    assert!(!ran.stderr.contains("/build/config"), "{}", ran.stderr);
    assert!(person.outputs().is_empty());
    before.is_unchanged();
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
    if !engine_is_here() {
        return;
    }
    let person = Person::new();
    person.write("sd-card.nix", "{ system.stateVersion = \"26.05\"; }");
    ran(&mut person.build(&[])).exits(2).says(&["sdImage"]);
}
