//! Packages of Python, which are in a set of their own.

use super::evidence::ExitContext;
use super::names::quoted_after;
use crate::nixos::log::NixError;

/// How to get the package `name` of Python.
pub(super) fn of_python(name: &str) -> String {
    format!(
        "{name} is a package of Python: (pkgs.python3.withPackages (ps: [ ps.{name} ])) is a Python that has it"
    )
}

/// The attribute that a Python lacks where the user's file has it as one of `pkgs.python3`: its packages are elsewhere.
pub(super) fn missing_in_python<'a>(
    context: &ExitContext<'_>,
    error: &'a NixError,
) -> Option<&'a str> {
    let is_missing = error.summary.ends_with("' missing");
    let name = quoted_after(&error.summary, "attribute").filter(|_| is_missing)?;
    let position = error.position.as_ref()?;
    let text = context.files?.text(&position.file)?;
    let selection = text.get(position.offset(&text)?..)?;
    let python = selection.strip_prefix("pkgs.python3")?;
    let behind = python.trim_start_matches(|c: char| c.is_ascii_digit());
    behind.strip_prefix('.')?.starts_with(name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Position;
    use crate::nixos::user_files::UserFiles;

    #[test]
    fn a_package_selected_from_python_is_found() {
        for (selection, expected) in [
            ("pkgs.python3.requests", Some("requests")),
            ("pkgs.python312.requests", Some("requests")),
            ("pkgs.python3Packages.requests", None),
            ("pkgs.requests", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("c.nix"), format!("[ {selection} ]")).unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let error = NixError {
                summary: "attribute 'requests' missing".to_owned(),
                text: String::new(),
                position: Some(Position {
                    file: "/build/config/c.nix".to_owned(),
                    line: 1,
                    column: 3,
                }),
            };
            assert_eq!(missing_in_python(&context, &error), expected, "{selection}");
        }
    }
}
