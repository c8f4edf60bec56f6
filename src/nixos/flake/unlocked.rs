//! Inputs that a `flake.nix` declares and its lock lacks.

use std::path::Path;

use rnix::SyntaxKind::NODE_PAT_ENTRY;
use rnix::SyntaxNode;

use super::declared_inputs::{InputNames, declared_attributes, declared_inputs};
use super::lock::Lock;
use super::lock_file;
use crate::common::configuration_file::{flake_text, lock_command};
use crate::common::failure::Failure;
use crate::common::flake_ref::FlakeRef;
use crate::common::nearest::similar_names;
use crate::nixos::known_repository::{KnownRepository, release_in, usual_url};
use crate::nixos::nix_definitions::line_number_of;
use crate::nixos::nix_syntax::parse;

/// What nixpkgs has and people take for an input, and what the outputs write where they use it.
const OF_NIXPKGS: [(&str, &str); 2] = [
    ("lib", "nixpkgs.lib instead of lib"),
    (
        "pkgs",
        "nixpkgs.lib instead of pkgs.lib, and nixpkgs.legacyPackages.aarch64-linux instead of pkgs before the name of a package",
    ),
];

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

/// A flake whose lock lacks inputs.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnlockedFlake<'a> {
    /// As the user named it.
    pub(super) reference: &'a FlakeRef,
    /// Whether it is the user's own directory.
    pub(super) is_local: bool,
    /// Whether there is a lock.
    pub(super) has_lock: bool,
    /// Whether an `sd-card.nix` is beside it, which `sdbuild lock` takes instead.
    pub(super) is_beside_module: bool,
}

impl UnlockedFlake<'_> {
    /// A build needs the inputs `missing` in its lock.
    pub(super) fn failure(self, missing: &[String]) -> Failure {
        let (first, names) = (missing.first().map_or("", |name| name), missing.join(", "));
        let noun = if missing.len() == 1 {
            "input"
        } else {
            "inputs"
        };
        let text = if self.has_lock {
            format!("flake.lock lacks the {noun} {names}, and a build never changes that file")
        } else {
            format!("there is no flake.lock, which a build needs for the {noun} {names}")
        };
        let command = self.lock_command();
        let hint = match (self.is_local, self.has_lock) {
            (true, true) => format!("complete it: {command}"),
            (true, false) => format!("`{command}` writes one"),
            (false, true) => {
                "clone the repository and complete its lock there, with `sdbuild lock`".to_owned()
            }
            (false, false) => {
                "clone the repository and write its lock there, with `sdbuild lock`".to_owned()
            }
        };
        Failure::usage(text).hint(hint).hint(overriding(first))
    }

    /// An argument of the outputs, among the inputs `missing` of the flake with this `text`, that is none of its inputs, and what to
    /// do about it. Nix would look for it in a registry, and none is read.
    pub(super) fn undeclared_argument(self, missing: &[String], text: &str) -> Option<Failure> {
        let InputNames {
            inputs, arguments, ..
        } = InputNames::read(text);
        let is_undeclared = |name: &&String| arguments.contains(*name) && !inputs.contains(*name);
        let name = missing.iter().find(is_undeclared)?;
        let failure = Failure::usage(format!(
            "the outputs of flake.nix have the argument {name}{}, which is not one of its inputs",
            line_of_argument(text, name)
        ));
        if let Some(meant) = similar_names(name, inputs.iter().map(String::as_str)) {
            return Some(failure.hint(format!("did you mean {meant}?")));
        }
        let of_nixpkgs = OF_NIXPKGS.iter().find(|(of, _)| of == name);
        if let Some((_, used)) = of_nixpkgs.filter(|_| inputs.contains("nixpkgs")) {
            return Some(failure.hint(format!(
                "{name} comes from nixpkgs. Write nixpkgs instead of {name} in the {{ … }} of the outputs. Where the outputs \
                 use it, write {used}"
            )));
        }
        let declared = failure.hint(match url_beside(text, name) {
            Some(url) if self.is_local => format!(
                "declare it: inputs.{name}.url = \"{url}\"; then run `{}`",
                self.lock_command()
            ),
            None if self.is_local => format!(
                "remove the argument, or declare it in the inputs with a URL and run `{}`",
                self.lock_command()
            ),
            Some(_) | None => {
                "declare it in its inputs with a URL, or remove the argument".to_owned()
            }
        });
        Some(declared.hint(overriding(name)))
    }

    /// The command that writes or completes the lock.
    pub(super) fn lock_command(self) -> String {
        lock_command(&self.reference.text, self.is_beside_module)
    }
}

/// The line of the argument `name` of the outputs in the `flake.nix` with this `text`, in parentheses; empty if there are several.
fn line_of_argument(text: &str, name: &str) -> String {
    let root = parse(text).syntax();
    let is_it = |node: &SyntaxNode| {
        let first = node.first_child();
        node.kind() == NODE_PAT_ENTRY && first.is_some_and(|first| first.text() == name)
    };
    let mut found = root.descendants().filter(is_it);
    match (found.next(), found.next()) {
        (Some(argument), None) => format!(" (line {})", line_number_of(text, &argument)),
        _ => String::new(),
    }
}

/// The URL of the input `name`, if it is known: of the branch for the nixpkgs of the `flake.nix` with this `text`.
fn url_beside(text: &str, name: &str) -> Option<String> {
    let url = usual_url(name)?;
    let inputs = declared_attributes(text);
    let nixpkgs = inputs.get("nixpkgs").and_then(|input| input.get("url"));
    let release = nixpkgs.and_then(|url| release_in(url));
    let known = KnownRepository::called(name);
    let branch = known.map(|known| (known.branch(release), known.default_branch));
    Some(match branch {
        Some((branch, default)) if branch != default => format!("{url}/{branch}"),
        Some(_) | None => url,
    })
}

/// How to do without `input` in a lock.
pub(super) fn overriding(input: &str) -> String {
    format!("or take the input from a directory: --override-input {input} DIR")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_is_no_input_is_told() {
        let text =
            "{ inputs.nixpkgs.url = \"x\"; outputs = { self, nixpkg, disko, other, pkgs }: { }; }";
        let hints = |missing: &str, reference: &str, is_local| {
            let reference = &reference.parse().unwrap();
            let flake = UnlockedFlake {
                reference,
                is_local,
                has_lock: true,
                is_beside_module: false,
            };
            let failure = flake.undeclared_argument(&[missing.into()], text);
            failure.map(|failure| failure.hints)
        };
        assert_eq!(
            hints("nixpkg", ".", true).unwrap(),
            ["did you mean nixpkgs?"]
        );
        let packages = hints("pkgs", ".", true).unwrap();
        let [packages] = packages.as_slice() else {
            panic!("{packages:?}")
        };
        assert!(packages.starts_with("pkgs comes from nixpkgs. Write nixpkgs"));
        let declare = "declare it: inputs.disko.url = \"github:nix-community/disko\"; then run";
        for (reference, command) in [
            (".", "sdbuild lock"),
            ("./my pi", "sdbuild lock --flake './my pi'"),
        ] {
            let expected = [format!("{declare} `{command}`"), overriding("disko")];
            assert_eq!(hints("disko", reference, true).unwrap(), expected);
        }
        let without_url = "declare it in its inputs with a URL, or remove the argument";
        let remote = hints("disko", "github:me/pi", false).unwrap();
        assert_eq!(remote, [without_url.to_owned(), overriding("disko")]);
        let locked =
            "remove the argument, or declare it in the inputs with a URL and run `sdbuild lock`";
        let other = [locked.to_owned(), overriding("other")];
        assert_eq!(hints("other", ".", true).unwrap(), other);
        assert!(hints("nixpkgs", ".", true).is_none());
    }

    #[test]
    fn the_branch_of_a_known_input_fits_nixpkgs() {
        let text = "{ inputs.nixpkgs.url = \"github:NixOS/nixpkgs/nixos-26.05\"; outputs = { ... }: { }; }";
        let url = |name| url_beside(text, name);
        let released = "github:nix-community/home-manager/release-26.05";
        assert_eq!(url("home-manager").as_deref(), Some(released));
        assert_eq!(url("disko").as_deref(), Some("github:nix-community/disko"));
        assert_eq!(url("other"), None);
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
        let failure = |text: &str, is_local, has_lock| {
            let reference = &text.parse().unwrap();
            let flake = UnlockedFlake {
                reference,
                is_local,
                has_lock,
                is_beside_module: text == ".#kitchen",
            };
            flake.failure(&["a".into(), "b".into()])
        };
        let hints = |text: &str, is_local| {
            let failure = failure(text, is_local, true);
            assert!(
                failure.to_string().contains("lacks the inputs a, b"),
                "{failure}"
            );
            failure.hints
        };
        let none = failure(".#pi", true, false);
        assert!(
            none.to_string().starts_with("there is no flake.lock,"),
            "{none}"
        );
        assert_eq!(none.hints[0], "`sdbuild lock` writes one");
        let beside = failure(".#kitchen", true, false);
        assert_eq!(beside.hints[0], "`sdbuild lock --flake .` writes one");
        let remote = failure("git+ssh://h.example/x", false, false);
        assert!(remote.hints[0].contains("write its lock"), "{remote:?}");
        assert_eq!(hints(".#pi", true)[0], "complete it: sdbuild lock");
        assert_eq!(
            hints("my pi", true),
            [
                "complete it: sdbuild lock --flake 'my pi'",
                "or take the input from a directory: --override-input a DIR"
            ]
        );
        assert!(hints("git+ssh://h.example/x", false)[0].starts_with("clone"));
    }
}
