//! Builds of the user's own that fail because they lack a program.

use super::evidence::{ExitContext, FailedBuild};
use super::written_values::strings;
use crate::nixos::programs::package_of;

/// The package that `failed` lacks, if the user's files define that derivation.
pub(super) fn hint(context: &ExitContext<'_>, failed: &FailedBuild) -> Option<String> {
    // The shell ends with this status.
    let is_last = failed.message.contains("exit code 127");
    let program = failed.tail.iter().rev().find_map(|line| missing(line));
    let program = program.filter(|_| is_last)?;
    let (place, name) = place_of(context, &failed.name)?;
    let place = format!("{}{place}", context.shown_dir);
    Some(match package_of(program) {
        Some(package) => format!(
            "{place}: {name} has no {program}. Write nativeBuildInputs = [ pkgs.{package} ]; in it, or add the package \
             to that list"
        ),
        None => format!(
            "{place}: {name} has no {program}. Add the package that has it to its nativeBuildInputs"
        ),
    })
}

/// The program that the shell did not find, according to `line` of its output.
fn missing(line: &str) -> Option<&str> {
    let line = line.trim_end();
    let bash = line.strip_suffix(": command not found");
    // That of busybox has the number of the line.
    let other = || {
        line.strip_suffix(": not found")
            .filter(|start| start.contains(": line "))
    };
    let start = bash.or_else(other)?;
    let (_, program) = start.rsplit_once(": ")?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "+-._".contains(c);
    (!program.is_empty() && program.chars().all(is_plain)).then_some(program)
}

/// Where the user's files have the only string that is the name of the derivation `name`, with or without its version; and that string.
fn place_of(context: &ExitContext<'_>, name: &str) -> Option<(String, String)> {
    let dashes = name.match_indices('-').map(|(at, _)| at);
    let starts = dashes.rev().filter_map(|at| {
        let (start, version) = name.split_at_checked(at)?;
        let is_version = version.starts_with('-') && version.chars().nth(1)?.is_ascii_digit();
        is_version.then_some(start)
    });
    let names: Vec<&str> = [name].into_iter().chain(starts).collect();
    names.into_iter().find_map(|name| {
        let (place, ()) = context.files?.only_place(|text| {
            let found = strings(text, name).into_iter();
            found.map(|value| (value.line, ())).collect()
        })?;
        Some((place, name.to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::user_files::UserFiles;

    fn hint_for(name: &str, nix: &str, line: &str, status: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("sd-card.nix"), nix).unwrap();
        let context = ExitContext {
            shown_dir: "pi/",
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        let failed = FailedBuild {
            name: name.to_owned(),
            message: format!("builder for 'x' failed with exit code {status};"),
            tail: vec![line.to_owned(), "the last line".to_owned()],
            ..FailedBuild::default()
        };
        hint(&context, &failed)
    }

    #[test]
    fn a_program_that_an_own_build_lacks_has_its_package() {
        let nix = "{ pkgs }:\npkgs.runCommand \"app\" { } \"make\"";
        let bash = "/nix/store/x-stdenv/setup: line 1766: make: command not found";
        let expected = "pi/sd-card.nix:2: app has no make. Write nativeBuildInputs = [ pkgs.gnumake ]; in it, or add \
         the package to that list";
        assert_eq!(hint_for("app", nix, bash, "127").as_deref(), Some(expected));
        assert_eq!(
            hint_for("app-1.0", nix, bash, "127").as_deref(),
            Some(expected)
        );
        let busybox = "/nix/store/x/sh: line 3: frob: not found";
        let other = hint_for("app", nix, busybox, "127").unwrap();
        assert!(
            other
                .ends_with("app has no frob. Add the package that has it to its nativeBuildInputs"),
            "{other}"
        );
    }

    #[test]
    fn a_build_that_fails_otherwise_has_no_such_hint() {
        let nix = "{ a = \"app\"; }";
        let line = "x: line 3: make: command not found";
        for (name, line, status) in [
            ("app", line, "2"),
            ("linux", line, "127"),
            ("app", "curl: file not found", "127"),
            ("app", "the file a b: command not found", "127"),
        ] {
            assert_eq!(hint_for(name, nix, line, status), None, "{name} {line}");
        }
    }
}
