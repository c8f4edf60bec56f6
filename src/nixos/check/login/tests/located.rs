use serde_json::{Value, json};

use crate::nixos::check::tests::{KEY, user, wheel, with};
use crate::nixos::check::{OwnDefinitions, findings};
use crate::nixos::cli_module::CliModule;
use crate::nixos::user_files::UserFiles;

/// The line of the finding `id` in a configuration whose second line is `line`.
fn line_of(id: &str, line: &str, changes: &[(&str, Value)]) -> Option<usize> {
    let dir = tempfile::tempdir().unwrap();
    let text = format!("{{\n  {line}\n}}\n");
    std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
    let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
    let definitions = OwnDefinitions::read(Some(&files), "", &CliModule::default());
    let mut found = findings(&with(changes), "aarch64-linux", None);
    definitions.locate(&mut found);
    let found = found.into_iter().find(|finding| finding.id == id);
    let finding = found.unwrap_or_else(|| panic!("no {id}: {line}"));
    finding.place.map(|place| place.line)
}

/// The texts named the settings without the options that have them.
#[test]
fn what_decides_on_logins_has_its_place() {
    let settings = |text: &str| format!("services.openssh.settings.{text};");
    let users = |one: Value| ("/users", json!([one]));
    let ann = || users(wheel("ann", &[KEY], "none"));
    for (line, changes) in [
        (
            settings("PermitRootLogin = \"no\""),
            vec![
                users(user("root", &[KEY], "none")),
                ("/ssh/root", json!("no")),
            ],
        ),
        (
            settings("AllowUsers = [ \"bob\" ]"),
            vec![ann(), ("/ssh/allowed", json!(["bob"]))],
        ),
        (
            settings("PasswordAuthentication = false"),
            vec![users(wheel("ann", &[], "set"))],
        ),
        (
            settings("PubkeyAuthentication = false"),
            vec![ann(), ("/ssh/keys", json!(false))],
        ),
    ] {
        assert_eq!(
            line_of("ssh-turns-away", &line, &changes),
            Some(2),
            "{line}"
        );
    }
    let person = "users.users.ann = { isNormalUser = true; };";
    assert_eq!(line_of("no-admin", person, &[ann()]), Some(2));
    let mut root = user("root", &[KEY], "set");
    root["open_password"] = json!(true);
    root["password_option"] = json!("initialPassword");
    let password = "users.users.root.initialPassword = \"x\";";
    assert_eq!(
        line_of("stored-password", password, &[users(root)]),
        Some(2)
    );
    let network = "networking.wireless.networks.\"Home\".psk = \"ext:home\";";
    let one = [("/network/networks", json!(1))];
    assert_eq!(line_of("wireless-off", network, &one), Some(2));
}
