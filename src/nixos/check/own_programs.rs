//! Services of the user's own whose programs the machine does not have. Pure.

use super::etc_files::is_absent;
use super::facts::{ConfigFacts, ProgramFacts};
use super::known_programs::{is_of_systemd, package_of};
use super::{Finding, Severity};
use crate::common::attribute_path;

/// One for each option whose programs a service cannot start, and one for each script that does not find its programs.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let of_one_option =
        |a: &ProgramFacts, b: &ProgramFacts| a.service == b.service && a.option == b.option;
    let of_options = facts.own_programs.chunk_by(of_one_option);
    of_options.filter_map(|programs| in_script(programs).or_else(|| in_commands(facts, programs)))
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
    let names = joined(names)?;
    Some(Finding {
        id: "no-program",
        severity: Severity::Note,
        is: format!("{option} starts {names}"),
        why: reasons(&said),
        add: vec![format!("{option} = {}", value(&said))],
        place: None,
    })
}

/// Why these programs do not start: a reason that all have, or that of each.
fn reasons(said: &[(&ProgramFacts, Said)]) -> String {
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for (program, said) in said {
        match reasons.iter_mut().find(|(why, _)| *why == said.why) {
            Some((_, paths)) => paths.push(&program.path),
            None => reasons.push((said.why, vec![&program.path])),
        }
    }
    if let [(why, _)] = reasons.as_slice() {
        return (*why).to_owned();
    }
    let reasons = reasons.into_iter().filter_map(|(why, paths)| {
        let paths = joined(paths.into_iter())?;
        Some(format!("{paths}: {why}"))
    });
    reasons.collect::<Vec<String>>().join("; ")
}

/// The value of an option in which all of these programs are found, and a comment.
fn value(said: &[(&ProgramFacts, Said)]) -> String {
    let of_one_command =
        |a: &(&ProgramFacts, Said), b: &(&ProgramFacts, Said)| a.0.command == b.0.command;
    let commands = said.chunk_by(of_one_command).map(|parts| {
        let texts: Vec<&str> = parts.iter().map(|(_, said)| said.text.as_str()).collect();
        let is_argument = parts.first().is_some_and(|(_, said)| said.is_argument);
        let start = if is_argument { "… " } else { "" };
        format!("\"{start}{} …\"", texts.join(" "))
    });
    let commands: Vec<String> = commands.collect();
    let all = said.first().map_or(0, |(program, _)| program.commands);
    let mut comments: Vec<String> = Vec::new();
    for comment in said.iter().filter_map(|(_, said)| said.comment.clone()) {
        if !comments.contains(&comment) {
            comments.push(comment);
        }
    }
    if all > commands.len() {
        comments.push("and the other commands of the list".to_owned());
    }
    let text = match commands.as_slice() {
        [only] if all <= 1 => only.clone(),
        all => format!("[ {} ]", all.join(" ")),
    };
    let comment = if comments.is_empty() {
        String::new()
    } else {
        format!(" # {}", comments.join("; "))
    };
    format!("{text};{comment}")
}

/// `names` in quotes, each once: `"git", "ps" and "pgrep"`; `None` if there are none.
fn joined<'a>(names: impl Iterator<Item = &'a str>) -> Option<String> {
    let mut quoted: Vec<String> = Vec::new();
    for name in names.map(|name| format!("\"{name}\"")) {
        if !quoted.contains(&name) {
            quoted.push(name);
        }
    }
    let (last, others) = quoted.split_last()?;
    Some(if others.is_empty() {
        last.clone()
    } else {
        format!("{} and {last}", others.join(", "))
    })
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
    let told = joined(names.iter().copied())?;
    let what = match names.as_slice() {
        [_] => "that command is",
        _ => "these commands are",
    };
    let service = ["systemd", "services", &first.service].map(str::to_owned);
    let service = attribute_path::text(&service);
    Some(Finding {
        id: "no-program",
        severity: Severity::Note,
        is: format!("{service}.script runs {told}"),
        why: format!(
            "a service finds the programs of its own `path`, and not those of environment.systemPackages: {what} not found"
        ),
        add: vec![format!("{service}.path = [ {} ];", packages.join(" "))],
        place: None,
    })
}

/// What is said of a program.
struct Said {
    /// What is wrong with it, and what follows from that.
    why: &'static str,
    /// What to write in place of it, in a string of Nix.
    text: String,
    /// What is to be known of that.
    comment: Option<String>,
    /// Whether it may be what an interpreter runs, in the midst of a command.
    is_argument: bool,
}

/// What is wrong with the program; `None` if nothing is.
fn said_of(facts: &ConfigFacts, program: &ProgramFacts) -> Option<Said> {
    let path = program.path.as_str();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_in = |dir: &&str| path.starts_with(*dir);
    let is_of_other_systems = ["/bin/", "/sbin/", "/usr/"].iter().any(is_in);
    let in_store = |why| {
        let package = package_of(name).unwrap_or("NAME");
        let is_known = package_of(name).is_some();
        Said {
            why,
            text: format!("${{pkgs.{package}}}/bin/{name}"),
            comment: (!is_known).then(|| format!("NAME is the package that has {name}")),
            is_argument: false,
        }
    };
    let beside = |why, comment: &str, is_argument| Said {
        why,
        text: format!("${{./{name}}}"),
        comment: Some(comment.to_owned()),
        is_argument,
    };
    Some(match (path.starts_with('/'), path == name) {
        (true, _) if !is_absent(facts, path) => return None,
        (true, _) if is_of_other_systems => {
            in_store("NixOS has no program there: the service does not start")
        }
        (true, _) => beside(
            "the image has no such file: the service does not start until something makes it on the machine",
            "copy the file beside the configuration",
            true,
        ),
        (false, true) if is_of_systemd(name) => return None,
        (false, true) => in_store(
            "systemd finds only its own programs by their names alone, whatever PATH is: the service does not start",
        ),
        (false, false) => beside(
            "systemd takes no path that does not begin with a slash: the service does not start",
            "if that file is beside the configuration",
            false,
        ),
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
            let part = |text: &str| text.strip_prefix(start).unwrap().to_owned();
            (part(&one.is), one.why, part(&one.add.concat()))
        };
        let (is, why, line) = told(2, &[(0, "python3"), (1, "node")]);
        assert_eq!(is, "starts \"python3\" and \"node\"");
        assert!(why.starts_with("systemd finds only its own"), "{why}");
        let list = "= [ \"${pkgs.python3}/bin/python3 …\" \"${pkgs.nodejs}/bin/node …\" ];";
        assert_eq!(line, list);
        let (is, why, line) = told(1, &[(0, "/usr/bin/python3"), (0, "/home/pi/app.py")]);
        assert_eq!(is, "starts \"/usr/bin/python3\" and \"/home/pi/app.py\"");
        assert!(why.starts_with("\"/usr/bin/python3\": NixOS has"), "{why}");
        assert!(why.contains("; \"/home/pi/app.py\": the image"), "{why}");
        let both = "= \"${pkgs.python3}/bin/python3 ${./app.py} …\"; # copy the file beside the configuration";
        assert_eq!(line, both);
        let (_, _, line) = told(2, &[(1, "node")]);
        let one = "= [ \"${pkgs.nodejs}/bin/node …\" ]; # and the other commands of the list";
        assert_eq!(line, one);
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
