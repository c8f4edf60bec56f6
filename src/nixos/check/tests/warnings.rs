use serde_json::{Value, json};

use super::traced_line;
use super::with;
use crate::nixos::check::{OwnDefinitions, is_trace, traced_facts, warnings};
use crate::nixos::cli_module::CliModule;
use crate::nixos::user_files::UserFiles;
use sdbuild_core::system::System;

#[test]
fn a_build_warns_of_what_locks_out_or_fails_later() {
    let told = |changes: &[(&str, Value)]| {
        warnings(
            &traced_facts(&traced_line(changes)).unwrap(),
            System::Aarch64Linux,
            &OwnDefinitions::default(),
        )
    };
    assert!(is_trace(&traced_line(&[])));
    let quoted = r#"@nix {"action":"msg","msg":"error: x\n 31| builtins.trace \"sdbuild: facts: ${facts.value}\" value"}"#;
    assert!(!is_trace(quoted));
    assert_eq!(told(&[]), [""; 0]);
    assert_eq!(told(&[("/state_version", Value::Null)]), [""; 0]);
    let off = told(&[("/ssh/enable", json!(false))]);
    assert!(
        off[0].contains("services.openssh.enable = false"),
        "{off:?}"
    );
    let zone = told(&[("/time_zone", json!("Europe/Berln"))]);
    let meant = "\"Europe/Berln\" (did you mean Europe/Berlin?)";
    assert!(zone[0].contains(meant), "{zone:?}");
    // A failed assertion ends the build with its own text.
    assert_eq!(told(&[("/assertions", json!(["no"]))]), [""; 0]);
    let forged = "@nix {\"msg\":\"sdbuild: facts: {}\"}";
    assert_eq!(traced_facts(forged), None);
}

#[test]
fn a_build_names_the_place_of_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let text = "{\n  services.openssh.enable = false;\n}\n";
    std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "pi/", &CliModule::default());
    let facts = with(&[("/ssh/enable", json!(false))]);
    let told = warnings(&facts, System::Aarch64Linux, &definitions);
    let start = "pi/sd-card.nix:2: services.openssh.enable = false: ";
    assert!(told[0].starts_with(start), "{told:?}");
}
