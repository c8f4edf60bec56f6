//! Services of the user's own whose programs the machine does not have. Pure.

use super::etc_files::is_absent;
use super::facts::{ConfigFacts, ProgramFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;

/// Programs, each with the package that is certain to have it.
const PACKAGES: [(&str, &str); 63] = [
    ("awk", "gawk"),
    ("bash", "bash"),
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("chown", "coreutils"),
    ("cp", "coreutils"),
    ("curl", "curl"),
    ("date", "coreutils"),
    ("dmesg", "util-linux"),
    ("docker", "docker"),
    ("echo", "coreutils"),
    ("env", "coreutils"),
    ("ethtool", "ethtool"),
    ("ffmpeg", "ffmpeg"),
    ("flock", "util-linux"),
    ("free", "procps"),
    ("git", "git"),
    ("gpioset", "libgpiod"),
    ("gzip", "gzip"),
    ("i2cdetect", "i2c-tools"),
    ("i2cget", "i2c-tools"),
    ("i2cset", "i2c-tools"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("iw", "iw"),
    ("jq", "jq"),
    ("ln", "coreutils"),
    ("lsblk", "util-linux"),
    ("lsmod", "kmod"),
    ("mkdir", "coreutils"),
    ("modprobe", "kmod"),
    ("mosquitto_pub", "mosquitto"),
    ("mount", "util-linux"),
    ("mv", "coreutils"),
    ("nmcli", "networkmanager"),
    ("node", "nodejs"),
    ("npm", "nodejs"),
    ("openssl", "openssl"),
    ("perl", "perl"),
    ("pgrep", "procps"),
    ("php", "php"),
    ("ping", "iputils"),
    ("pkill", "procps"),
    ("ps", "procps"),
    ("python", "python3"),
    ("python3", "python3"),
    ("rfkill", "util-linux"),
    ("rm", "coreutils"),
    ("rsync", "rsync"),
    ("ruby", "ruby"),
    ("scp", "openssh"),
    ("sh", "bash"),
    ("sleep", "coreutils"),
    ("socat", "socat"),
    ("sqlite3", "sqlite"),
    ("ssh", "openssh"),
    ("sysctl", "procps"),
    ("tar", "gnutar"),
    ("touch", "coreutils"),
    ("umount", "util-linux"),
    ("unzip", "unzip"),
    ("wg", "wireguard-tools"),
    ("wget", "wget"),
];

/// Programs of systemd itself, which it finds by their names, besides `systemd-…` and `…ctl`. It finds no others, not even `sh`: nixpkgs
/// builds it with its own directory as the only one in which it looks.
const FOUND: [&str; 11] = [
    "halt",
    "init",
    "kernel-install",
    "poweroff",
    "reboot",
    "run0",
    "runlevel",
    "shutdown",
    "telinit",
    "udevadm",
    "ukify",
];

/// One for each program that a service cannot start, and one for each script that does not find its programs.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let of_one_option =
        |a: &ProgramFacts, b: &ProgramFacts| a.service == b.service && a.option == b.option;
    let of_options = facts.own_programs.chunk_by(of_one_option);
    of_options.flat_map(|programs| {
        let in_script = in_script(programs);
        let in_command = programs.iter().filter_map(|one| in_command(facts, one));
        in_script.into_iter().chain(in_command)
    })
}

/// What is said of a program that the command of an option starts, if something is wrong with it.
fn in_command(facts: &ConfigFacts, program: &ProgramFacts) -> Option<Finding> {
    if program.option == SCRIPT {
        return None;
    }
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
        names.push(format!("\"{name}\""));
        let package = format!("pkgs.{package}");
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    let (last, others) = names.split_last()?;
    let (told, what) = if others.is_empty() {
        (last.clone(), "that command is")
    } else {
        let others = others.join(", ");
        (format!("{others} and {last}"), "these commands are")
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

/// The package that has the program `name`.
fn package_of(name: &str) -> Option<&'static str> {
    let known = PACKAGES.iter().find(|(program, _)| *program == name);
    known.map(|(_, package)| *package)
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
    match package_of(name) {
        Some(package) => format!("\"${{pkgs.{package}}}/bin/{name} …\";"),
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

    /// Without those of coreutils, which every service has in its path.
    #[test]
    fn the_expression_knows_the_same_programs() {
        let text = super::super::SCRIPT_PROGRAMS;
        let (_, list) = text.split_once("known = [").unwrap();
        let names = list
            .split(']')
            .next()
            .unwrap()
            .split('"')
            .skip(1)
            .step_by(2);
        let names: Vec<&str> = names.collect();
        let packages = super::PACKAGES.iter();
        let packages = packages.filter(|(_, package)| *package != "coreutils");
        let with_package: Vec<&str> = packages.map(|(name, _)| *name).collect();
        assert_eq!(names, with_package);
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
