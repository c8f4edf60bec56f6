//! What is wrong with a program that a service starts, and what to write in place of it. Pure.

use super::etc_files::is_absent;
use super::facts::ConfigFacts;
use super::own_facts::ProgramFacts;
use crate::nixos::programs::package_of;

/// Programs of systemd itself, which it finds by their names, besides `systemd-…` and `…ctl`. It finds no others, not even `sh`: nixpkgs
/// builds it with its own directory as the only one in which it looks.
const PROGRAMS_OF_SYSTEMD: [&str; 11] = [
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

/// What is said of a program.
pub(super) struct Said {
    /// What is wrong with it.
    pub(super) why: &'static str,
    /// What to write in place of it.
    cure: Cure,
    /// What is to be known of that.
    comment: Option<&'static str>,
    /// Whether it may be what an interpreter runs, in the midst of a command.
    is_argument: bool,
}

/// What stands in place of a program in a string of Nix.
enum Cure {
    /// The program of a package, as far as its name is known.
    Package(Option<&'static str>),
    /// The path in a package, which the text names without `${…}`.
    InPackage(String),
    /// A file beside the configuration.
    FileBeside,
    /// What is meant is not known.
    Unknown,
}

/// What is wrong with a file that the image does not have.
pub(super) const IS_ABSENT: &str = "the image has no such file";

/// What is wrong with the program; `None` if nothing is.
pub(super) fn said_of(facts: &ConfigFacts, program: &ProgramFacts) -> Option<Said> {
    let path = program.path.as_str();
    let name = name_of(program);
    let is_in = |dir: &&str| path.starts_with(*dir);
    let is_of_other_systems = ["/bin/", "/sbin/", "/usr/"].iter().any(is_in);
    // The interpreter of a Python environment, for instance, is no file to copy.
    let is_file = !name.is_empty() && package_of(name).is_none();
    let in_store = |why| Said {
        why,
        cure: if name.is_empty() {
            Cure::Unknown
        } else {
            Cure::Package(package_of(name))
        },
        comment: None,
        is_argument: false,
    };
    let beside = |why, comment, is_argument| Said {
        why,
        cure: if is_file {
            Cure::FileBeside
        } else {
            Cure::Unknown
        },
        comment: Some(comment),
        is_argument,
    };
    Some(match (path.starts_with('/'), path == name) {
        (true, _) if !is_absent(facts, path) => return None,
        (true, _) if is_of_other_systems => in_store("there is no program at that path on NixOS"),
        (true, _) => beside(IS_ABSENT, "put the file beside the configuration", true),
        (false, true) if is_of_systemd(name) => return None,
        (false, true) => in_store("systemd needs the whole path of a program, whatever PATH is"),
        (false, false) if let Some(cure) = in_package(path) => Said {
            cure: Cure::InPackage(cure),
            ..in_store("in a string, the path of a package needs ${…} around its name")
        },
        (false, false) => beside(
            "the path of a program must begin with a slash",
            "if that file is beside the configuration",
            false,
        ),
    })
}

/// The value of an option in which all of these programs are found, and a comment; `None` where what to write is not known.
pub(super) fn value(said: &[(&ProgramFacts, Said)]) -> Option<String> {
    let (first, _) = said.first()?;
    let unknown = unknown_packages(said);
    let of_one_command =
        |a: &(&ProgramFacts, Said), b: &(&ProgramFacts, Said)| a.0.command == b.0.command;
    let commands = said.chunk_by(of_one_command).map(|parts| {
        let texts = parts
            .iter()
            .map(|(program, said)| text_of(program, said, &unknown));
        let texts = texts.collect::<Option<Vec<String>>>()?;
        let is_argument = parts.first().is_some_and(|(_, said)| said.is_argument);
        let start = if is_argument { "… " } else { "" };
        Some(format!("\"{start}{} …\"", texts.join(" ")))
    });
    let mut commands = commands.collect::<Option<Vec<String>>>()?;
    let mut comments: Vec<String> = packages_told(&unknown).into_iter().collect();
    for comment in said.iter().filter_map(|(_, said)| said.comment) {
        if !comments.iter().any(|other| other == comment) {
            comments.push(comment.to_owned());
        }
    }
    if first.commands > commands.len() {
        comments.push("and the other commands of the list".to_owned());
    }
    if first.is_reset {
        commands.insert(0, "\"\"".to_owned());
    }
    let text = match commands.as_slice() {
        [only] if first.commands <= 1 => only.clone(),
        all => format!("[ {} ]", all.join(" ")),
    };
    let wrapper = if first.is_forced { "lib.mkForce " } else { "" };
    let comment = if comments.is_empty() {
        String::new()
    } else {
        format!(" # {}", comments.join("; "))
    };
    Some(format!("{wrapper}{text};{comment}"))
}

/// What stands in place of a program in its command, of which those of `unknown` are in packages of unknown names.
fn text_of(program: &ProgramFacts, said: &Said, unknown: &[&str]) -> Option<String> {
    let name = name_of(program);
    Some(match &said.cure {
        Cure::Package(Some(package)) => format!("${{pkgs.{package}}}/bin/{name}"),
        Cure::Package(None) => {
            let package = match unknown {
                [_] => "NAME".to_owned(),
                several => format!("NAME{}", several.iter().position(|one| *one == name)? + 1),
            };
            format!("${{pkgs.{package}}}/bin/{name}")
        }
        Cure::InPackage(path) => path.clone(),
        Cure::FileBeside => format!("${{./{name}}}"),
        Cure::Unknown => return None,
    })
}

/// The programs whose packages are not known, each once.
fn unknown_packages<'a>(said: &[(&'a ProgramFacts, Said)]) -> Vec<&'a str> {
    let mut names = Vec::new();
    for (program, said) in said {
        let name = name_of(program);
        if matches!(said.cure, Cure::Package(None)) && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What the names in place of those packages mean.
fn packages_told(unknown: &[&str]) -> Option<String> {
    match unknown {
        [] => None,
        [name] => Some(format!("NAME is the package with {name}")),
        several => {
            let all = several.iter().enumerate();
            let all = all.map(|(n, name)| format!("NAME{} that of {name}", n + 1));
            let all = all.collect::<Vec<String>>().join(", ");
            Some(all.replacen(" that of", " is the package of", 1))
        }
    }
}

/// What `pkgs.hello/bin/hello` and `$(pkgs.hello)/bin/hello` mean.
fn in_package(path: &str) -> Option<String> {
    let (package, rest) = path.split_once('/')?;
    let package = package
        .strip_prefix("$(")
        .map_or(package, |inner| inner.trim_end_matches(')'));
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let is_package = package.starts_with("pkgs.") && package.chars().all(is_name);
    is_package.then(|| format!("${{{package}}}/{rest}"))
}

/// The name of a program's file; empty for a directory.
fn name_of(program: &ProgramFacts) -> &str {
    program.path.rsplit('/').next().unwrap_or_default()
}

/// Whether systemd finds the program `name`.
pub(super) fn is_of_systemd(name: &str) -> bool {
    name.starts_with("systemd-") || name.ends_with("ctl") || PROGRAMS_OF_SYSTEMD.contains(&name)
}
