//! Packages of Python, which are in a set of their own.

use super::evidence::ExitContext;
use super::names::{SEARCH, quoted_after};
use super::syntax_at::NameAt;
use crate::nixos::log::NixError;
use sdbuild_core::nearest::is_slip;

/// Packages of Python that people ask for, each with what Debian or an `import` calls it, in lower case and with `-` for `.` and `_`.
const PACKAGES: [(&str, &[&str]); 42] = [
    ("aiohttp", &[]),
    ("beautifulsoup4", &["bs4"]),
    ("bleak", &[]),
    ("cryptography", &[]),
    ("dbus-python", &["dbus"]),
    ("django", &[]),
    ("evdev", &[]),
    ("fastapi", &[]),
    ("flask", &[]),
    ("gpiod", &["libgpiod"]),
    ("gpiozero", &[]),
    ("i2c-tools", &["smbus"]),
    ("influxdb-client", &[]),
    ("jinja2", &[]),
    ("lgpio", &[]),
    ("lxml", &[]),
    ("matplotlib", &[]),
    ("mysqlclient", &["mysqldb"]),
    ("numpy", &[]),
    ("opencv4", &["cv2", "opencv", "opencv-python"]),
    ("paho-mqtt", &["paho"]),
    ("pandas", &[]),
    ("pigpio", &[]),
    ("pillow", &["pil"]),
    ("pip", &[]),
    ("psutil", &[]),
    ("psycopg2", &[]),
    ("pygame", &[]),
    ("pygobject3", &["gi"]),
    ("pyserial", &["serial"]),
    ("python-dateutil", &["dateutil"]),
    ("pyusb", &["usb"]),
    ("pyyaml", &["yaml"]),
    ("pyzmq", &["zmq"]),
    ("requests", &[]),
    ("rpi-gpio", &[]),
    ("scikit-learn", &["sklearn"]),
    ("scipy", &[]),
    ("smbus2", &[]),
    ("spidev", &[]),
    ("sqlalchemy", &[]),
    ("websockets", &[]),
];

/// Packages of Debian, after `python3-`, whose content Python itself has in nixpkgs.
const OF_PYTHON: [&str; 4] = ["dev", "full", "minimal", "venv"];

/// The package of Python that is called `name`, also by others than nixpkgs.
fn known(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase().replace(['.', '_'], "-");
    let is_meant =
        |(own, others): &&(&str, &[&str])| *own == name || others.contains(&name.as_str());
    let known = PACKAGES.iter().find(is_meant);
    known.map(|(package, _)| *package)
}

/// How to get the `package` of Python that is called `name`.
fn with_python(name: &str, package: &str) -> String {
    let is = if name == package {
        "is a package of Python".to_owned()
    } else {
        format!("is {package} among the packages of Python")
    };
    format!(
        "{name} {is}. For a Python that has it, write (pkgs.python3.withPackages (ps: [ ps.{package} ]))"
    )
}

/// What is meant by the package `name`, which `pkgs` does not have; `None` if it is none of Python.
pub(super) fn among_others(name: &str) -> Option<String> {
    // Other languages have packages of such short names, too.
    if let Some(package) = known(name).filter(|package| name.eq_ignore_ascii_case(package)) {
        return Some(with_python(name, package));
    }
    let part = name.strip_prefix("python3-")?;
    if OF_PYTHON.contains(&part) {
        return Some(format!("python3 has that. Write python3 instead of {name}"));
    }
    Some(match known(part) {
        Some(package) => with_python(name, package),
        None => format!(
            "the packages of Python are attributes of pkgs.python3Packages. Find the name of this one: {SEARCH}{part}"
        ),
    })
}

/// What is meant by a name that Python, or the set of its packages, does not have.
pub(super) fn missing(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let (before, here) = text.split_at_checked(position.offset(&text)?)?;
    if let Some(name) = quoted_after(&error.summary, "undefined variable") {
        let at = NameAt::find(&text, position)?;
        // No other name has a dot.
        if let Some(package) =
            known(&at.written).filter(|_| at.called.is_empty() && at.written != name)
        {
            return Some(with_python(&at.written, package));
        }
        let is_given = at.called.iter().any(|called| called == "withPackages");
        let (_, function) = before.rsplit_once("withPackages").filter(|_| is_given)?;
        // The name may be one of `pkgs`, without its set.
        let is_in_set = function.contains("with ") && at.written.starts_with(name);
        return is_in_set.then(|| instead(&at.written)).flatten();
    }
    let is_missing = error.summary.ends_with("' missing");
    let name = quoted_after(&error.summary, "attribute").filter(|_| is_missing)?;
    let selection = here.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
    let selection = selection.into_iter().next()?;
    let of_pkgs = selection.strip_prefix("pkgs.").unwrap_or_default();
    if let Some(package) = known(of_pkgs).filter(|_| of_pkgs != name && of_pkgs.starts_with(name)) {
        return Some(with_python(of_pkgs, package));
    }
    let set = selection.get(..selection.find(&format!(".{name}"))?)?;
    // No name in nixpkgs has a dot.
    let whole = selection.get(set.len() + 1..).unwrap_or(name);
    let asked = if known(whole).is_some() { whole } else { name };
    let version = set
        .strip_prefix("pkgs.")
        .unwrap_or(set)
        .strip_prefix("python3");
    let rest = version.map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
    match rest {
        Some("") if name == "packages" => {
            Some(format!("write {set}Packages instead of {set}.packages"))
        }
        Some("") if name == "withPackages" => None,
        Some("") if is_slip(name, "withPackages") => Some("did you mean withPackages?".to_owned()),
        Some("") => Some(with_python(name, known(name).unwrap_or(name))),
        Some("Packages") => instead(asked),
        Some(_) => None,
        None => {
            let (_, function) = before.rsplit_once("withPackages")?;
            function
                .contains(&format!("({set}:"))
                .then(|| instead(asked))
                .flatten()
        }
    }
}

/// What to write in place of `name` where the set of Python's packages is meant.
fn instead(name: &str) -> Option<String> {
    let package = known(name).filter(|package| *package != name)?;
    Some(format!(
        "among the packages of Python, {name} is called {package}. Write {package} instead of {name}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Position;
    use crate::nixos::user_files::UserFiles;

    fn told(nix: &str, at: &str, summary: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("c.nix"), nix).unwrap();
        let context = ExitContext {
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        let column = nix.find(at).unwrap() + 1;
        let error = NixError {
            summary: summary.to_owned(),
            text: String::new(),
            position: Some(Position {
                file: "/build/config/c.nix".to_owned(),
                line: 1,
                column: column.try_into().unwrap(),
            }),
        };
        missing(&context, &error)
    }

    #[test]
    fn a_package_of_python_has_one_name() {
        let is_sorted = PACKAGES.is_sorted_by(|(a, _), (b, _)| a < b);
        assert!(is_sorted);
        for (name, part) in [
            ("requests", Some("ps.requests")),
            ("Pillow", Some("ps.pillow")),
            ("python3-requests", Some("ps.requests")),
            ("python3-yaml", Some("ps.pyyaml")),
            ("python3-pil", Some("python3-pil is pillow among")),
            ("python3-rpi.gpio", None),
            ("python3-venv", Some("Write python3 instead")),
            ("python3-foo", Some("query=foo")),
            ("yaml", None),
            ("htop", None),
        ] {
            let hint = among_others(name);
            match part {
                Some(part) => assert!(hint.is_some_and(|hint| hint.contains(part)), "{name}"),
                None if name.starts_with("python3-") => assert!(hint.is_some(), "{name}"),
                None => assert_eq!(hint, None, "{name}"),
            }
        }
    }

    #[test]
    fn what_python_lacks_is_elsewhere() {
        let with = "write (pkgs.python3.withPackages (ps: [ ps.requests ]))";
        for (selection, name, expected) in [
            ("pkgs.python3.requests", "requests", Some(with)),
            ("pkgs.python312.requests", "requests", Some(with)),
            (
                "pkgs.python3.withPackage",
                "withPackage",
                Some("did you mean withPackages?"),
            ),
            (
                "pkgs.python3Packages.yaml",
                "yaml",
                Some("Write pyyaml instead of yaml"),
            ),
            (
                "pkgs.RPi.GPIO",
                "RPi",
                Some("write (pkgs.python3.withPackages (ps: [ ps.rpi-gpio ]))"),
            ),
            (
                "python3Packages.RPi.GPIO",
                "RPi",
                Some("Write rpi-gpio instead of RPi.GPIO"),
            ),
            (
                "python3.packages.requests",
                "packages",
                Some("write python3Packages instead of python3.packages"),
            ),
            ("pkgs.python3Packages.foo", "foo", None),
            ("pkgs.requests", "requests", None),
        ] {
            let summary = format!("attribute '{name}' missing");
            let hint = told(&format!("[ {selection} ]"), selection, &summary);
            let ends = expected.is_none_or(|end| hint.as_ref().unwrap().ends_with(end));
            assert!(ends && hint.is_some() == expected.is_some(), "{selection}");
        }
    }

    #[test]
    fn names_in_a_function_for_python_are_those_of_nixpkgs() {
        let write = "among the packages of Python, serial is called pyserial. Write pyserial instead of serial";
        let summary = "undefined variable 'serial'";
        let nix = "[ (pkgs.python3.withPackages (ps: with ps; [ serial ])) ]";
        assert_eq!(told(nix, "serial", summary).as_deref(), Some(write));
        let nix = "[ (pkgs.python3.withPackages (ps: [ ps.serial ])) ]";
        let missing = "attribute 'serial' missing";
        assert_eq!(told(nix, "ps.serial", missing).as_deref(), Some(write));
        let nix = "[ (pkgs.python3.withPackages (ps: [ serial ])) ]";
        assert_eq!(told(nix, "serial", summary), None);
    }
}
