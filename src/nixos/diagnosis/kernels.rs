//! Kernels that nixpkgs does not have.

use super::evidence::{ExitContext, Findings};
use super::names::quoted_after;
use super::written_values::definitions_of;
use crate::nixos::log::NixError;

/// The newest kernel.
const NEWEST: &str = "linuxPackages_latest";
/// The begin of the names of kernels with their modules.
const KERNELS: &str = "linuxPackages";
/// The option whose value they are.
const OPTION: &str = "boot.kernelPackages";
/// How people begin the name of a kernel, the longest first.
const BEGINS: [&str; 4] = [
    "linuxKernel.packages.linux",
    "linuxKernel.linux",
    KERNELS,
    "linux",
];

/// What is meant by the kernel of which `error` says that nixpkgs does not have it.
pub(super) fn missing(
    context: &ExitContext<'_>,
    findings: &Findings,
    error: &NixError,
) -> Option<String> {
    let attribute = quoted_after(&error.summary, "attribute");
    let attribute = attribute.filter(|_| error.summary.ends_with("' missing"));
    let name = attribute.or_else(|| quoted_after(&error.summary, "undefined variable"))?;
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let here = text.get(position.offset(&text)?..)?;
    let mut words = here.split(|c: char| !c.is_ascii_alphanumeric() && !"._-".contains(c));
    let written = words.next()?;
    let of_pkgs = written.strip_prefix("pkgs.").unwrap_or(written);
    let rest = BEGINS
        .iter()
        .find_map(|begin| of_pkgs.strip_prefix(begin))?;
    let kernels = findings.packages.all().filter_map(|known| {
        let rest = known.strip_prefix(KERNELS)?;
        Some((known, rest))
    });
    let mut meant = kernels.filter(|(_, known)| !rest.is_empty() && parts(known) == parts(rest));
    if let Some((meant, _)) = meant.next() {
        return Some(format!(
            "nixpkgs has no kernel {written}. Did you mean pkgs.{meant}?"
        ));
    }
    // Without a version or the name of a board it may be a slip.
    let is_kernel = name.starts_with(KERNELS) && name.contains(|c: char| c.is_ascii_digit());
    is_kernel.then(|| newest_in_place_of(of_pkgs))
}

/// What to write in place of the kernel itself as the value of `boot.kernelPackages`.
pub(super) fn in_place_of_packages(context: &ExitContext<'_>) -> String {
    let value = context.files.and_then(|files| {
        files.only_place(|text| {
            let found = definitions_of(text, OPTION).into_iter();
            found.map(|value| (value.line, value.written)).collect()
        })
    });
    let found = value.and_then(|(place, written)| {
        let of_kernel = written.strip_suffix(".kernel").map(str::to_owned);
        let rest = || {
            Some(format!(
                "pkgs.{KERNELS}{}",
                written.strip_prefix("pkgs.linux")?
            ))
        };
        Some((place, of_kernel.or_else(rest)?))
    });
    match found {
        Some((place, packages)) => format!(
            "{}{place}: that is the kernel alone, without its modules. Write {OPTION} = {packages};",
            context.shown_dir
        ),
        None => format!(
            "if {OPTION} is a single kernel, make it a set of packages, such as pkgs.{KERNELS}"
        ),
    }
}

/// What to write in place of the kernel `name`, which nixpkgs does not have, or no longer.
pub(super) fn newest_in_place_of(name: &str) -> String {
    format!("nixpkgs has no kernel {name}. Its newest one is pkgs.{NEWEST}")
}

/// The name of the kernel of the `version`, as `6.12`.
pub(super) fn of_version(version: &str) -> String {
    format!("{KERNELS}_{}", version.replace('.', "_"))
}

/// The words and the numbers in a part of the name of a kernel: those of `_rpi4`, `-rpi-4` and `.raspberrypi4` are the same.
fn parts(name: &str) -> Vec<String> {
    let name = name.to_lowercase().replace("raspberrypi", "rpi");
    let mut parts: Vec<String> = Vec::new();
    let mut last = None;
    for c in name.chars() {
        let kind = c.is_alphanumeric().then(|| c.is_ascii_digit());
        match parts.last_mut() {
            Some(part) if kind.is_some() && kind == last => part.push(c),
            _ if kind.is_some() => parts.push(c.to_string()),
            _ => {}
        }
        last = kind;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Position;
    use crate::nixos::user_files::UserFiles;

    /// What is written, what Nix says, and how the hint ends.
    const KNOWN: [(&str, &str, Option<&str>); 9] = [
        (
            "pkgs.linuxPackages_6.12",
            "attribute 'linuxPackages_6' missing",
            Some("Did you mean pkgs.linuxPackages_6_12?"),
        ),
        (
            "pkgs.linuxPackages_rpi_4",
            "attribute 'linuxPackages_rpi_4' missing",
            Some("Did you mean pkgs.linuxPackages_rpi4?"),
        ),
        (
            "pkgs.linuxPackages.latest",
            "attribute 'latest' missing",
            Some("Did you mean pkgs.linuxPackages_latest?"),
        ),
        (
            "pkgs.linuxKernel.packages.linux_6.12",
            "attribute 'linux_6' missing",
            Some("Did you mean pkgs.linuxPackages_6_12?"),
        ),
        (
            "linuxPackages_6.12",
            "undefined variable 'linuxPackages_6'",
            Some("Did you mean pkgs.linuxPackages_6_12?"),
        ),
        (
            "pkgs.linuxPackages_rpi5",
            "attribute 'linuxPackages_rpi5' missing",
            Some("Its newest one is pkgs.linuxPackages_latest"),
        ),
        (
            "pkgs.linuxPackages_6_12.foo6",
            "attribute 'foo6' missing",
            None,
        ),
        (
            "pkgs.linuxPackages_hardend",
            "attribute 'linuxPackages_hardend' missing",
            None,
        ),
        (
            "pkgs.linux-firmware2",
            "attribute 'linux-firmware2' missing",
            None,
        ),
    ];

    #[test]
    fn a_kernel_belongs_to_its_packages() {
        for (value, end) in [
            (
                "pkgs.linuxPackages_latest.kernel",
                "= pkgs.linuxPackages_latest;",
            ),
            ("pkgs.linux_6_12", "= pkgs.linuxPackages_6_12;"),
            ("x.y", "such as pkgs.linuxPackages"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let nix = format!("{{ boot.kernelPackages = {value}; }}");
            std::fs::write(dir.path().join("c.nix"), nix).unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let told = in_place_of_packages(&context);
            assert!(told.ends_with(end), "{told}");
        }
    }

    #[test]
    fn a_kernel_is_known_by_its_parts() {
        for (written, summary, hint) in KNOWN {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("c.nix"), format!("[ {written} ]")).unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let mut findings = Findings::default();
            let names = "linuxPackages linuxPackages_6_1 linuxPackages_6_12 linuxPackages_latest linuxPackages_rpi4 linux_6_12";
            findings.packages.note(&format!(
                r#"@nix {{"action":"msg","msg":"trace: sdbuild: packages: {names}"}}"#
            ));
            let error = NixError {
                summary: summary.to_owned(),
                text: String::new(),
                position: Some(Position {
                    file: "/build/config/c.nix".to_owned(),
                    line: 1,
                    column: 3,
                }),
            };
            let told = missing(&context, &findings, &error);
            match hint {
                Some(end) => assert!(
                    told.as_ref().is_some_and(|told| told.ends_with(end)),
                    "{told:?}"
                ),
                None => assert_eq!(told, None, "{written}"),
            }
        }
    }
}
