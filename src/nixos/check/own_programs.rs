//! Services of the user's own whose programs the machine does not have. Pure.

use super::etc_files::is_absent;
use super::facts::{ConfigFacts, ProgramFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;

/// Programs, each with the package that is certain to have it.
const PACKAGES: [(&str, &str); 24] = [
    ("bash", "bash"),
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("chown", "coreutils"),
    ("cp", "coreutils"),
    ("curl", "curl"),
    ("date", "coreutils"),
    ("echo", "coreutils"),
    ("git", "git"),
    ("jq", "jq"),
    ("ln", "coreutils"),
    ("mkdir", "coreutils"),
    ("mv", "coreutils"),
    ("node", "nodejs"),
    ("perl", "perl"),
    ("python", "python3"),
    ("python3", "python3"),
    ("rm", "coreutils"),
    ("rsync", "rsync"),
    ("ruby", "ruby"),
    ("sleep", "coreutils"),
    ("socat", "socat"),
    ("touch", "coreutils"),
    ("wget", "wget"),
];

/// Programs of systemd itself, which it finds by their names, besides `systemd-…` and `…ctl`; and of `/bin` and `/usr/bin`.
const FOUND: [&str; 13] = [
    "env",
    "halt",
    "init",
    "kernel-install",
    "poweroff",
    "reboot",
    "run0",
    "runlevel",
    "sh",
    "shutdown",
    "telinit",
    "udevadm",
    "ukify",
];

/// One for each program that a service cannot start.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let programs = facts.own_programs.iter();
    programs.filter_map(|program| {
        let (what, why, value) = said_of(facts, program)?;
        let path = [
            "systemd",
            "services",
            &program.service,
            "serviceConfig",
            &program.option,
        ];
        let option = attribute_path::text(&path.map(str::to_owned));
        Some(Finding {
            id: "no-program",
            severity: Severity::Note,
            is: format!("{option} {what}"),
            why: why.to_owned(),
            add: vec![format!("{option} = {value}")],
            place: None,
        })
    })
}

/// What is wrong with the command, what follows from it, and the value in place of it; `None` if nothing is.
fn said_of(facts: &ConfigFacts, program: &ProgramFacts) -> Option<(String, &'static str, String)> {
    let path = program.path.as_str();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_in = |dir: &&str| path.starts_with(*dir);
    let is_of_other_systems = ["/bin/", "/sbin/", "/usr/"].iter().any(is_in);
    let (why, value) = match (path.starts_with('/'), path == name) {
        (true, _) if !is_absent(facts, path) => return None,
        (true, _) if is_of_other_systems => (
            "NixOS has no program there: the service does not start",
            in_store(name),
        ),
        (true, _) => (
            "the image has no such file: the service does not start until something makes it on the machine",
            format!("\"… ${{./{name}}} …\"; # copy the file beside the configuration"),
        ),
        (false, true) if is_of_systemd(name) => return None,
        (false, true) => (
            "systemd finds only its own programs by their names alone, whatever PATH is: the service does not start",
            in_store(name),
        ),
        (false, false) => (
            "systemd takes no path that does not begin with a slash: the service does not start",
            format!("\"${{./{name}}} …\"; # if that file is beside the configuration"),
        ),
    };
    Some((format!("starts \"{path}\""), why, value))
}

/// The value that starts the program `name` of a package.
fn in_store(name: &str) -> String {
    let package = PACKAGES.iter().find(|(program, _)| *program == name);
    match package {
        Some((_, package)) => format!("\"${{pkgs.{package}}}/bin/{name} …\";"),
        None => {
            format!("\"${{pkgs.NAME}}/bin/{name} …\"; # NAME is the package that has {name}")
        }
    }
}

/// Whether systemd finds the program `name`.
fn is_of_systemd(name: &str) -> bool {
    name.starts_with("systemd-") || name.ends_with("ctl") || FOUND.contains(&name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::tests::with;
    use super::super::{Finding, OwnDefinitions, findings};
    use crate::nixos::cli_module::CliModule;
    use crate::nixos::user_files::UserFiles;

    fn program(path: &str) -> Value {
        json!([{"service": "web", "option": "ExecStart", "path": path}])
    }

    fn found(path: &str) -> Option<Finding> {
        let facts = with(&[("/own_programs", program(path))]);
        let mut found = findings(&facts, "aarch64-linux", None);
        found.pop()
    }

    #[test]
    fn a_program_that_no_service_can_start_is_told() {
        for (path, line) in [
            ("python3", "\"${pkgs.python3}/bin/python3 …\";"),
            (
                "my-app",
                "\"${pkgs.NAME}/bin/my-app …\"; # NAME is the package that has my-app",
            ),
            ("/usr/bin/node", "\"${pkgs.nodejs}/bin/node …\";"),
            (
                "/home/pi/app.py",
                "\"… ${./app.py} …\"; # copy the file beside the configuration",
            ),
            (
                "bin/app",
                "\"${./app} …\"; # if that file is beside the configuration",
            ),
        ] {
            let finding = found(path).unwrap();
            let is = format!("systemd.services.web.serviceConfig.ExecStart starts \"{path}\"");
            assert_eq!((finding.id, finding.is), ("no-program", is));
            let line = format!("systemd.services.web.serviceConfig.ExecStart = {line}");
            assert_eq!(finding.add, [line]);
        }
        for path in [
            "systemctl",
            "systemd-run",
            "sh",
            "/bin/sh",
            "/usr/bin/env",
            "/opt/app/run",
            "/var/lib/app/run",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn only_the_program_of_an_own_service_is_told() {
        let left = |more: &str, path: &str| {
            let dir = tempfile::tempdir().unwrap();
            let text = format!(
                "{{\n  systemd.services.web.serviceConfig.ExecStart = \"{path}\";\n{more} }}"
            );
            std::fs::write(dir.path().join("sd-card.nix"), text).unwrap();
            let files = UserFiles::new(dir.path()).beginning_with("sd-card.nix");
            let definitions = OwnDefinitions::read(Some(&files), "", &CliModule::default());
            let mut facts = with(&[("/own_programs", program(path))]);
            definitions.keep_unexplained(&mut facts);
            let mut found = findings(&facts, "aarch64-linux", None);
            definitions.locate(&mut found);
            let place = found.pop().map(|finding| finding.place);
            place.map(|place| place.map(|place| place.line))
        };
        assert_eq!(left("", "python3"), Some(Some(2)));
        let script = "system.activationScripts.a = \"\";";
        assert_eq!(left(script, "python3"), Some(Some(2)));
        assert_eq!(left("", "/home/pi/app"), Some(Some(2)));
        assert_eq!(left(script, "/home/pi/app"), None);
        let mut of_others = with(&[("/own_programs", program("python3"))]);
        OwnDefinitions::default().keep_unexplained(&mut of_others);
        assert_eq!(of_others.own_programs, []);
    }
}
