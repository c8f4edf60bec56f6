//! Inputs that a `flake.nix` declares and its lock lacks.

use std::path::Path;

use super::declared_inputs::{InputNames, declared_inputs};
use super::lock::Lock;
use super::lock_file;
use crate::common::configuration_file::FLAKE_FILE;
use crate::common::failure::Failure;
use crate::common::flake_ref::FlakeRef;
use crate::common::nearest::similar_names;
use crate::common::plain_file;
use crate::common::shell_word::quoted;
use crate::nixos::known_repository::repository_called;

/// Far above what anybody writes by hand.
const MAX_FLAKE_BYTES: u64 = 1 << 20;

/// The inputs that the `flake.nix` in `dir` declares and the lock beside it lacks, sorted; none if either cannot be read,
/// which Nix reports.
pub(super) fn inputs(dir: &Path) -> Vec<String> {
    let locked = match lock_file::read(dir) {
        Ok(Some(lock)) => Lock::parse(&lock).map(|lock| lock.input_names()),
        Ok(None) => Some(std::collections::BTreeSet::new()),
        Err(_) => None,
    };
    let (Some(text), Some(locked)) = (flake_text(dir), locked) else {
        return Vec::new();
    };
    declared_inputs(&text)
        .difference(&locked)
        .cloned()
        .collect()
}

/// The text of the `flake.nix` in `dir`; `None` if it cannot be read.
pub(super) fn flake_text(dir: &Path) -> Option<String> {
    plain_file::read_text(&dir.join(FLAKE_FILE), MAX_FLAKE_BYTES).ok()
}

/// An argument of the outputs, among the inputs `missing` of the flake with this `text`, that is none of its inputs, and what to do
/// about it. Nix would look for it in a registry, and none is read.
pub(super) fn undeclared_argument(missing: &[String], text: &str) -> Option<Failure> {
    let InputNames {
        inputs, arguments, ..
    } = InputNames::read(text);
    let is_undeclared = |name: &&String| arguments.contains(*name) && !inputs.contains(*name);
    let name = missing.iter().find(is_undeclared)?;
    let text = format!(
        "the outputs of flake.nix have the argument {name}, which is not one of its inputs"
    );
    let hint = match similar_names(name, inputs.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!(
            "declare it: inputs.{name}.url = \"{}\"; then run `sdbuild lock`",
            usual_url(name)
        ),
    };
    Some(Failure::usage(text).hint(hint))
}

/// The URL that an input called `name` usually has.
fn usual_url(name: &str) -> String {
    match name {
        "nixpkgs" => "github:NixOS/nixpkgs/nixos-26.05".to_owned(),
        _ => format!(
            "github:{}",
            repository_called(name).unwrap_or("OWNER/REPOSITORY")
        ),
    }
}

/// A build needs the inputs `missing` of the flake `reference` in its lock. `is_local`: it is the user's own directory.
pub(super) fn failure(missing: &[String], reference: &FlakeRef, is_local: bool) -> Failure {
    let (first, names) = (missing.first().map_or("", |name| name), missing.join(", "));
    let noun = if missing.len() == 1 {
        "input"
    } else {
        "inputs"
    };
    let failure = Failure::usage(format!(
        "flake.lock lacks the {noun} {names}, and a build never changes it"
    ));
    let command = match reference.text.as_str() {
        "." => "sdbuild lock".to_owned(),
        text => format!("sdbuild lock --flake {}", quoted(text)),
    };
    let failure = if is_local {
        failure.hint(format!("complete it: {command}"))
    } else {
        failure.hint("clone the repository, and complete its lock there: sdbuild lock")
    };
    failure.hint(format!(
        "or give another flake instead: --override-input {first} DIR"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_is_no_input_is_told() {
        let text = "{ inputs.nixpkgs.url = \"x\"; outputs = { self, nixpkg, disko, other }: { }; }";
        for (missing, expected) in [
            ("nixpkg", "did you mean nixpkgs?"),
            (
                "disko",
                "declare it: inputs.disko.url = \"github:nix-community/disko\"; then run `sdbuild lock`",
            ),
            (
                "other",
                "declare it: inputs.other.url = \"github:OWNER/REPOSITORY\"; then run `sdbuild lock`",
            ),
        ] {
            let failure = undeclared_argument(&[missing.into()], text).unwrap();
            assert_eq!(failure.hints, [expected]);
        }
        assert!(undeclared_argument(&["nixpkgs".into()], text).is_none());
    }

    #[test]
    fn inputs_that_the_lock_lacks_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        let found = || inputs(dir.path());
        assert!(found().is_empty(), "there is no flake");
        write("flake.nix", "{ outputs = { self, a, b }: { }; }");
        assert_eq!(found(), ["a", "b"]);
        let lock = r#"{"nodes":{"root":{"inputs":{"a":"a"}}},"root":"root","version":7}"#;
        write("flake.lock", lock);
        assert_eq!(found(), ["b"]);
        write("flake.lock", "damaged");
        assert!(found().is_empty(), "Nix reports it");
    }

    #[test]
    fn the_command_that_completes_the_lock_is_named() {
        let hints = |text: &str, is_local| {
            let reference = text.parse().unwrap();
            let failure = failure(&["a".into(), "b".into()], &reference, is_local);
            assert!(
                failure.to_string().contains("lacks the inputs a, b"),
                "{failure}"
            );
            failure.hints
        };
        assert_eq!(hints(".#pi", true)[0], "complete it: sdbuild lock");
        assert_eq!(
            hints("my pi", true),
            [
                "complete it: sdbuild lock --flake 'my pi'",
                "or give another flake instead: --override-input a DIR"
            ]
        );
        assert!(hints("git+ssh://h.example/x", false)[0].starts_with("clone"));
    }
}
