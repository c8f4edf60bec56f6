//! Names that are not bound, where it is known what is meant by them: arguments of modules, functions of `lib`, packages.
//! What may be meant by any other name is in [`undefined_variable`](super::undefined_variable).

use std::ffi::OsStr;
use std::path::Path;

use super::evidence::{ExitContext, Findings};
use super::module_arguments::{ARGUMENTS, Header, is_in_with_pkgs};
use super::names::quoted_after;
use super::other_nixpkgs::packages_of_branch;
use super::syntax_at::uses_unbound;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::log::{NixError, Position};

pub(super) fn argument_not_asked_for(
    context: &ExitContext<'_>,
    error: &NixError,
) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let position = error.position.as_ref();
    let file = &position.filter(|_| ARGUMENTS.contains(&name))?.file;
    if Path::new(file).file_name() == Some(OsStr::new(FLAKE_FILE)) {
        return in_outputs(name);
    }
    let text = context.files.and_then(|files| files.text(file));
    Some(match text.as_deref().and_then(Header::find) {
        Some(header) if header.has("...") => {
            format!("add {name} to the {{ … }}: of line {}", header.line)
        }
        // Without them the next error would be about the arguments that it does not name.
        Some(header) => format!("add {name} and ... to the {{ … }}: of line {}", header.line),
        None => format!(
            "a module begins with its arguments: {}",
            header_with(name, text.as_deref())
        ),
    })
}

/// The header of a module that has none: with `name`, and what else of the arguments its `text` uses.
fn header_with(name: &str, text: Option<&str>) -> String {
    let is_used = |argument: &str| text.is_some_and(|text| uses_unbound(text, argument));
    let arguments = ARGUMENTS.into_iter();
    let asked: Vec<&str> = arguments
        .filter(|argument| *argument == name || is_used(argument))
        .collect();
    format!("{{ {}, ... }}:", asked.join(", "))
}

/// Where the outputs of a flake have what modules get as the argument `name`.
fn in_outputs(name: &str) -> Option<String> {
    let value = match name {
        "lib" => "nixpkgs.lib",
        "pkgs" => "nixpkgs.legacyPackages.aarch64-linux",
        _ => return None,
    };
    Some(format!("in the outputs of a flake write {value}"))
}

/// Functions of `lib` that configurations use most.
const LIBRARY_FUNCTIONS: [&str; 12] = [
    "mkAfter",
    "mkBefore",
    "mkDefault",
    "mkEnableOption",
    "mkForce",
    "mkIf",
    "mkMerge",
    "mkOption",
    "mkOverride",
    "optional",
    "optionals",
    "optionalString",
];

pub(super) fn library_function(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let file = &error.position.as_ref()?.file;
    let is_known = LIBRARY_FUNCTIONS.contains(&name);
    let text = context
        .files
        .filter(|_| is_known)
        .and_then(|files| files.text(file));
    let header = text.as_deref().and_then(Header::find);
    is_known.then(|| match header {
        Some(header) => format!(
            "write lib.{name}, and lib in the {{ … }}: of line {} if it is not there",
            header.line
        ),
        None => format!(
            "write lib.{name}, and begin the file with {}",
            header_with("lib", text.as_deref())
        ),
    })
}

/// Programs that people ask for, and the packages of nixpkgs that have them.
const PROGRAMS: [(&[&str], &str); 16] = [
    (&["awk"], "gawk"),
    (&["nslookup"], "dnsutils"),
    (&["free", "pgrep", "pkill", "ps", "top", "watch"], "procps"),
    (&["ifconfig", "netstat", "route"], "nettools"),
    (&["ip"], "iproute2"),
    (&["ping"], "iputils"),
    (&["killall", "pstree"], "psmisc"),
    (&["lsblk"], "util-linux"),
    (&["lspci"], "pciutils"),
    (&["lsusb"], "usbutils"),
    (&["make"], "gnumake"),
    (&["node", "npm"], "nodejs"),
    (&["nvim"], "neovim"),
    (&["pip", "pip3"], "python3Packages.pip"),
    (&["rg"], "ripgrep"),
    (&["vcgencmd"], "libraspberrypi"),
];

fn package_of_program(name: &str) -> Option<String> {
    let mut programs = PROGRAMS.iter();
    let (_, package) = programs.find(|(programs, _)| programs.contains(&name))?;
    Some(format!("the program {name} is in the package {package}"))
}

/// The package of the program `name` that the user's file takes for one: `pkgs.name`.
pub(super) fn program_in_pkgs(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_missing = error.summary.ends_with("' missing");
    let name = quoted_after(&error.summary, "attribute").filter(|_| is_missing)?;
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let selection = text.get(position.offset(&text)?..)?;
    let behind = selection.strip_prefix("pkgs.")?.strip_prefix(name)?;
    let is_whole = !behind.starts_with(|c: char| c.is_alphanumeric() || "_-'".contains(c));
    package_of_program(name).filter(|_| is_whole)
}

pub(super) fn no_such_package(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let name = quoted_after(&error.summary, "undefined variable")?;
    let Position { file, line, column } = error.position.as_ref()?;
    if let Some(hint) = packages_of_branch(context, name, file) {
        return Some(hint);
    }
    let text = context.files?.text(file)?;
    if !is_in_with_pkgs(&text, *line, *column) {
        return None;
    }
    if let Some(hint) = package_of_program(name) {
        return Some(hint);
    }
    let search = format!("https://search.nixos.org/packages?query={name}");
    Some(match findings.packages.similar(name) {
        Some(similar) => {
            format!(
                "nixpkgs has no package {name}: did you mean {similar}? Search for others: {search}"
            )
        }
        None => format!("nixpkgs has no package {name}; find its name: {search}"),
    })
}
