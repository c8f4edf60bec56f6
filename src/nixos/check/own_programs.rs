//! Services of the user's own whose programs the machine does not have. Pure.

use super::etc_files::is_absent;
use super::facts::ConfigFacts;
use super::own_facts::ProgramFacts;
use super::program_value::{IS_ABSENT, Said, said_of, value};
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::text::listed;
use crate::nixos::programs::package_of;

/// One for each option whose programs a service cannot start, and one for each script that does not find its programs.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let of_one_option =
        |a: &ProgramFacts, b: &ProgramFacts| a.service == b.service && a.option == b.option;
    let of_options = facts.own_programs.chunk_by(of_one_option);
    let found = of_options.flat_map(|programs| {
        let of_other_systems = of_other_systems_in_script(facts, programs);
        [
            in_script(programs),
            of_other_systems,
            in_commands(facts, programs),
        ]
    });
    found.flatten()
}

/// What is said of the programs that the commands of an option start, if something is wrong with them. In one line for all of them: the
/// option can be defined once.
fn in_commands(facts: &ConfigFacts, programs: &[ProgramFacts]) -> Option<Finding> {
    let programs = programs.iter().filter(|program| program.option != SCRIPT);
    let said = programs.filter_map(|program| Some((program, said_of(facts, program)?)));
    let said: Vec<(&ProgramFacts, Said)> = said.collect();
    let (first, _) = said.first()?;
    let path = [
        "systemd",
        "services",
        &first.service,
        "serviceConfig",
        &first.option,
    ];
    let option = attribute_path::text(&path.map(str::to_owned));
    let names = said.iter().map(|(program, _)| program.path.as_str());
    let names = quoted(names);
    let value = value(&said).map(|value| format!("{option} = {value}"));
    Some(Finding {
        id: "no-program",
        severity: Severity::Warning,
        is: format!("{option} starts {names}"),
        why: reasons(&said),
        add: value.into_iter().collect(),
        place: None,
    })
}

/// Why these programs do not start: a reason that all have, or that of each, and the consequence once.
fn reasons(said: &[(&ProgramFacts, Said)]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (program, said) in said {
        match reasons.iter_mut().find(|(why, _)| *why == said.why) {
            Some((_, paths)) => paths.push(&program.path),
            None => reasons.push((said.why, vec![&program.path])),
        }
    }
    let is_for_now = said.iter().all(|(_, said)| said.why == IS_ABSENT);
    let until = if is_for_now {
        " until something makes it on the machine"
    } else {
        ""
    };
    let told = match reasons.as_slice() {
        [(why, _)] => (*why).to_owned(),
        several => {
            let several = several
                .iter()
                .map(|(why, paths)| format!("{why} ({})", quoted(paths.iter().copied())));
            several.collect::<Vec<String>>().join("; ")
        }
    };
    format!("{told}, so the service does not start{until}")
}

/// `names` in quotes, each once: `"git", "ps" and "pgrep"`; empty if there are none.
fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let mut quoted: Vec<String> = Vec::new();
    for name in names.map(|name| format!("\"{name}\"")) {
        if !quoted.contains(&name) {
            quoted.push(name);
        }
    }
    listed(&quoted)
}

/// The option with the script of a service.
const SCRIPT: &str = "script";

/// What is said of the programs that a script runs, as far as the packages that have them are known. In one line for all of them: `path`
/// can be defined once.
fn in_script(programs: &[ProgramFacts]) -> Option<Finding> {
    let first = programs.first().filter(|first| first.option == SCRIPT)?;
    let (mut names, mut packages) = (Vec::new(), Vec::new());
    for ProgramFacts { path: name, .. } in programs {
        let Some(package) = package_of(name) else {
            continue;
        };
        names.push(name.as_str());
        let package = format!("pkgs.{package}");
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let told = quoted(names.iter().copied());
    let what = match names.as_slice() {
        [] => return None,
        [_] => "that command is",
        _ => "these commands are",
    };
    let service = ["systemd", "services", &first.service].map(str::to_owned);
    let service = attribute_path::text(&service);
    Some(Finding {
        id: "no-program",
        severity: Severity::Warning,
        is: format!("{service}.script runs {told}"),
        why: format!(
            "a service finds only the programs of its own `path`, not those of environment.systemPackages, so {what} not \
             found"
        ),
        add: vec![format!("{service}.path = [ {} ];", packages.join(" "))],
        place: None,
    })
}

/// What is said of the programs that a script runs where only other systems have them.
fn of_other_systems_in_script(facts: &ConfigFacts, programs: &[ProgramFacts]) -> Option<Finding> {
    let is_absent =
        |program: &&ProgramFacts| program.option == SCRIPT && is_absent(facts, &program.path);
    let absent: Vec<&ProgramFacts> = programs.iter().filter(is_absent).collect();
    let first = absent.first()?;
    let told = quoted(absent.iter().map(|program| program.path.as_str()));
    let service = ["systemd", "services", &first.service].map(str::to_owned);
    let service = attribute_path::text(&service);
    let cure = absent.iter().find_map(|program| {
        let name = program.path.rsplit('/').next()?;
        let package = package_of(name)?;
        Some(format!(
            ". Write ${{pkgs.{package}}}/bin/{name} instead of {}",
            program.path
        ))
    });
    Some(Finding {
        id: "no-program",
        severity: Severity::Warning,
        is: format!("{service}.script runs {told}"),
        why: format!(
            "there is no program at that path on NixOS{}",
            cure.unwrap_or_default()
        ),
        add: Vec::new(),
        place: None,
    })
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
            ("sh", "\"${pkgs.bash}/bin/sh …\";"),
            ("env", "\"${pkgs.coreutils}/bin/env …\";"),
            (
                "my-app",
                "\"${pkgs.NAME}/bin/my-app …\"; # NAME is the package with my-app",
            ),
            ("/usr/bin/node", "\"${pkgs.nodejs}/bin/node …\";"),
            (
                "/home/pi/app.py",
                "\"… ${./app.py} …\"; # put the file beside the configuration",
            ),
            ("pkgs.hello/bin/hello", "\"${pkgs.hello}/bin/hello …\";"),
            ("$(pkgs.hello)/bin/hello", "\"${pkgs.hello}/bin/hello …\";"),
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
            "/bin/sh",
            "/usr/bin/env",
            "/opt/app/run",
            "/var/lib/app/run",
        ] {
            assert_eq!(found(path), None, "{path}");
        }
    }

    #[test]
    fn the_program_of_a_script_is_told_with_its_package() {
        let program = json!([{"service": "a.b", "option": "script", "path": "ip"}]);
        let facts = with(&[("/own_programs", program)]);
        let found = findings(&facts, "aarch64-linux", None).remove(0);
        let is = "systemd.services.\"a.b\".script runs \"ip\"";
        assert_eq!((found.id, found.is.as_str()), ("no-program", is));
        let line = "systemd.services.\"a.b\".path = [ pkgs.iproute2 ];";
        assert_eq!(found.add, [line]);
    }

    #[test]
    fn a_program_of_other_systems_in_a_script_is_told() {
        let one = |path: &str| json!({"service": "web", "option": "script", "path": path});
        let all = json!([
            one("git"),
            one("/usr/bin/python3"),
            one("/bin/sh"),
            one("/bin/foo")
        ]);
        let found = findings(&with(&[("/own_programs", all)]), "aarch64-linux", None);
        let told: Vec<_> = found.iter().map(|f| (f.is.as_str(), f.add.len())).collect();
        let start = "systemd.services.web.script runs";
        let by_name = format!("{start} \"git\"");
        let by_path = format!("{start} \"/usr/bin/python3\" and \"/bin/foo\"");
        assert_eq!(told, [(by_name.as_str(), 1), (by_path.as_str(), 0)]);
        let cure = "Write ${pkgs.python3}/bin/python3 instead of /usr/bin/python3";
        assert!(found[1].why.ends_with(cure), "{}", found[1].why);
    }

    /// Each had a line of its own, and Nix takes only one.
    #[test]
    fn the_programs_of_a_script_have_one_line() {
        let one = |service: &str, path: &str| json!({"service": service, "option": "script", "path": path});
        let all = json!([
            one("a", "git"),
            one("a", "ps"),
            one("a", "pgrep"),
            one("b", "curl")
        ]);
        let found = findings(&with(&[("/own_programs", all)]), "aarch64-linux", None);
        let told = found
            .iter()
            .map(|finding| (finding.is.as_str(), finding.add.join("\n")));
        let told: Vec<(&str, String)> = told.collect();
        assert_eq!(
            told,
            [
                (
                    "systemd.services.a.script runs \"git\", \"ps\" and \"pgrep\"",
                    "systemd.services.a.path = [ pkgs.git pkgs.procps ];".to_owned()
                ),
                (
                    "systemd.services.b.script runs \"curl\"",
                    "systemd.services.b.path = [ pkgs.curl ];".to_owned()
                ),
            ]
        );
    }

    /// Each had a line of its own, and the second one replaced the first.
    #[test]
    fn the_programs_of_an_option_have_one_line() {
        let told = |commands: usize, parts: &[(usize, &str)]| {
            let parts = parts.iter().map(|(command, path)| {
                json!({ "service": "web", "option": "ExecStart", "path": path, "command": command, "commands": commands })
            });
            let facts = with(&[("/own_programs", parts.collect())]);
            let [one] = findings(&facts, "aarch64-linux", None).try_into().unwrap();
            let start = "systemd.services.web.serviceConfig.ExecStart ";
            let part = |text: &str| text.strip_prefix(start).unwrap_or_default().to_owned();
            (part(&one.is), one.why, part(&one.add.concat()))
        };
        let (is, why, line) = told(2, &[(0, "python3"), (1, "node")]);
        assert_eq!(is, "starts \"python3\" and \"node\"");
        assert!(why.starts_with("systemd needs the whole path"), "{why}");
        let list = "= [ \"${pkgs.python3}/bin/python3 …\" \"${pkgs.nodejs}/bin/node …\" ];";
        assert_eq!(line, list);
        let (is, why, line) = told(1, &[(0, "/usr/bin/python3"), (0, "/home/pi/app.py")]);
        assert_eq!(is, "starts \"/usr/bin/python3\" and \"/home/pi/app.py\"");
        let all = "there is no program at that path on NixOS (\"/usr/bin/python3\"); the image has no such file \
                   (\"/home/pi/app.py\"), so the service does not start";
        assert_eq!(why, all);
        let both = "= \"${pkgs.python3}/bin/python3 ${./app.py} …\"; # put the file beside the configuration";
        assert_eq!(line, both);
        let (_, _, line) = told(2, &[(1, "node")]);
        let one = "= [ \"${pkgs.nodejs}/bin/node …\" ]; # and the other commands of the list";
        assert_eq!(line, one);
        let (_, _, line) = told(2, &[(0, "foo"), (1, "bar")]);
        let two = "= [ \"${pkgs.NAME1}/bin/foo …\" \"${pkgs.NAME2}/bin/bar …\" ]; # NAME1 is the package of foo, NAME2 that of bar";
        assert_eq!(line, two);
        // Nothing to copy.
        for parts in [
            &[(0, "/home/pi/bin/")][..],
            &[(0, "/home/pi/venv/bin/python"), (0, "/home/pi/app.py")],
        ] {
            assert_eq!(told(1, parts).2, "", "{parts:?}");
        }
    }

    /// A drop-in without the empty command has two, and systemd refuses it; a definition beside that of nixpkgs conflicts with it.
    #[test]
    fn the_line_keeps_what_takes_other_commands_away() {
        for (is_reset, is_forced, value) in [
            (true, false, "[ \"\" \"${pkgs.python3}/bin/python3 …\" ];"),
            (
                true,
                true,
                "lib.mkForce [ \"\" \"${pkgs.python3}/bin/python3 …\" ];",
            ),
            (
                false,
                true,
                "lib.mkForce \"${pkgs.python3}/bin/python3 …\";",
            ),
        ] {
            let program = json!([{
                "service": "web", "option": "ExecStart", "path": "python3",
                "commands": 1, "is_reset": is_reset, "is_forced": is_forced,
            }]);
            let facts = with(&[("/own_programs", program)]);
            let found = findings(&facts, "aarch64-linux", None).remove(0);
            let line = format!("systemd.services.web.serviceConfig.ExecStart = {value}");
            assert_eq!(found.add, [line]);
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
