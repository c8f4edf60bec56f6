//! Services of the user's own that nothing starts. Pure.

use super::facts::ConfigFacts;
use super::{Finding, Severity};
use crate::common::attribute_path;

/// One for each service that nothing starts.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    facts.idle_services.iter().map(|name| {
        let path = ["systemd", "services", name.as_str()].map(str::to_owned);
        let service = attribute_path::text(&path);
        Finding {
            id: "idle-service",
            severity: Severity::Warning,
            is: format!("nothing in the configuration starts {service}"),
            why: "it has no wantedBy, and no timer, unit or script names it, so it does not run when the machine starts"
                .to_owned(),
            add: vec![format!("{service}.wantedBy = [ \"multi-user.target\" ];")],
            place: None,
        }
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{OwnDefinitions, findings, tests::with};
    use crate::nixos::cli_module::CliModule;
    use crate::nixos::user_files::UserFiles;

    #[test]
    fn only_an_own_service_that_nothing_starts_is_told() {
        let all = with(&[("/idle_services", json!(["hello", "a.b", "other"]))]);
        let dir = tempfile::tempdir().unwrap();
        let text = "{\n  systemd.services.hello.script = \"true\";\n  systemd.services.hello.path = [ ];\n  \
                    systemd.services.\"a.b\" = {\n    script = \"true\"; }; }";
        std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
        let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
        let definitions = OwnDefinitions::read(Some(&files), "", &CliModule::default());
        let mut facts = all.clone();
        definitions.keep_unexplained(&mut facts);
        let mut found = findings(&facts, "aarch64-linux", None);
        definitions.locate(&mut found);
        let [hello, other] = found.as_slice() else {
            panic!("{found:?}");
        };
        let is = "nothing in the configuration starts systemd.services.hello";
        assert_eq!((hello.id, hello.is.as_str()), ("idle-service", is));
        let line = "systemd.services.hello.wantedBy = [ \"multi-user.target\" ];";
        assert_eq!((hello.add.concat().as_str(), &hello.place), (line, &None));
        let line = "systemd.services.\"a.b\".wantedBy = [ \"multi-user.target\" ];";
        assert_eq!(other.add, [line]);
        assert_eq!(other.place.as_ref().map(|place| place.line), Some(4));
        let mut facts = all;
        OwnDefinitions::default().keep_unexplained(&mut facts);
        assert_eq!(findings(&facts, "aarch64-linux", None), []);
    }

    #[test]
    fn what_commands_of_the_user_may_do_is_no_finding() {
        let link = json!([{"name": "a", "source": "/home/me/a"}]);
        let all = with(&[
            ("/idle_services", json!(["hello"])),
            ("/etc_links", link),
            ("/sd/makes_menu", json!(true)),
        ]);
        let left = |more: &str| {
            let dir = tempfile::tempdir().unwrap();
            let text = format!("{{ systemd.services.hello.script = \"true\"; {more} }}");
            std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
            let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
            let definitions = OwnDefinitions::read(Some(&files), "", &CliModule::default());
            let mut facts = all.clone();
            definitions.keep_unexplained(&mut facts);
            let counts = (facts.idle_services.len(), facts.etc_links.len());
            (counts, facts.sd.makes_menu)
        };
        assert_eq!(left(""), ((1, 1), true));
        assert_eq!(left("services.udev.extraRules = \"\";"), ((0, 1), true));
        assert_eq!(left("system.activationScripts.a = \"\";"), ((0, 0), true));
        let root = "sdImage = { populateRootCommands = \"${config.system.build.toplevel}\"; };";
        assert_eq!(left(root), ((1, 0), false));
    }
}
