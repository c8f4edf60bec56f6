//! Inputs that a `flake.nix` declares and its lock lacks.

use std::path::Path;

use rnix::SyntaxKind::NODE_PAT_ENTRY;
use rnix::SyntaxNode;

use super::declared_inputs::{InputNames, declared_attributes, declared_inputs};
use super::lock::Lock;
use super::lock_file;
use crate::common::configuration_file::{FLAKE_FILE, flake_text, lock_command};
use crate::common::flake_ref::FlakeRef;
use crate::common::nix_name::is_of_name;
use crate::nixos::known_repository::{KnownRepository, release_in, usual_url};
use crate::nixos::nix_definitions::line_number_of;
use crate::nixos::nix_syntax::parse;
use sdbuild_core::failure::Failure;
use sdbuild_core::nearest::similar_names;

/// Inputs of many flakes beside those whose URLs are known.
const WELL_KNOWN: [&str; 4] = ["flake-parts", "flake-utils", "impermanence", "treefmt-nix"];
/// Longer lines are not repeated in a hint.
const MAX_SHOWN: usize = 160;

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

    /// An argument of the outputs that is none of the inputs of the flake with this `text`, and what to do about it: one of the inputs
    /// `missing`, or one of which an input among these is a misspelling. Nix would look for it in a registry, and none is read.
    pub(super) fn undeclared_argument(self, missing: &[String], text: &str) -> Option<Failure> {
        let names = InputNames::read(text);
        let is_missing = |name: &String| missing.contains(name);
        let is_wrong = |name: &&String| {
            let misspelt = || misspelt_input(&names, name);
            let is_undeclared = !names.inputs.contains(*name);
            is_undeclared && (is_missing(name) || misspelt().as_ref().is_some_and(is_missing))
        };
        let name = names.arguments.iter().find(is_wrong)?;
        let inputs = names.inputs;
        let failure = Failure::usage(format!(
            "the outputs of flake.nix have the argument {name}{}, which is not one of its inputs",
            line_of_argument(text, name)
        ));
        if let Some(meant) = similar_names(name, inputs.iter().map(String::as_str)) {
            let is_misspelt = is_well_known(name) && !is_well_known(&meant);
            return Some(failure.hint(if is_misspelt && inputs.contains(&meant) {
                rename_input(text, &meant, name)
            } else {
                format!("did you mean {meant}?")
            }));
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

/// The only input that the argument `name` of the outputs is a misspelling of, or that is one of it, and that the outputs do not have.
fn misspelt_input(names: &InputNames, name: &str) -> Option<String> {
    let similar = similar_names(name, names.inputs.iter().map(String::as_str))?;
    let is_unused = names.inputs.contains(&similar) && !names.arguments.contains(&similar);
    is_unused.then_some(similar)
}

/// Whether inputs in instructions on the web are called `name`.
fn is_well_known(name: &str) -> bool {
    usual_url(name).is_some() || WELL_KNOWN.contains(&name)
}

/// How to call the input `misspelt` of the `flake.nix` with this `text` by the right `name`.
fn rename_input(text: &str, misspelt: &str, name: &str) -> String {
    let lines = (1..).zip(text.lines());
    let is_it = |line: &str| {
        let code = line.split('#').next().unwrap_or_default();
        code.split(|c| !is_of_name(c)).any(|word| word == misspelt)
    };
    let mut having = lines.filter(|(_, line)| is_it(line));
    let asked = format!("the input is called {misspelt}. Did you mean {name}?");
    match (having.next(), having.next()) {
        (Some((number, line)), None) if line.len() <= MAX_SHOWN => {
            let line = line.trim().replacen(misspelt, name, 1);
            format!("{FLAKE_FILE}:{number}: {asked} The line then reads: {line}")
        }
        _ => format!("{asked} Rename the input in {FLAKE_FILE}"),
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
        // The argument may be replaced by a directory.
        let overridden = hints("nixpkgs", ".", true);
        assert_eq!(overridden.unwrap(), ["did you mean nixpkgs?"]);
        assert!(hints("a", ".", true).is_none());
    }

    #[test]
    fn a_misspelt_input_is_to_be_renamed() {
        let reference = &".".parse().unwrap();
        let flake = UnlockedFlake {
            reference,
            is_local: true,
            has_lock: false,
            is_beside_module: false,
        };
        let hints = |missing: &str, text: &str| {
            let failure = flake.undeclared_argument(&[missing.into()], text);
            failure.map(|failure| failure.hints)
        };
        let text = "{\n  inputs.nixpgks.url = \"x\";\n  outputs = { self, nixpkgs }: { };\n}";
        let rename = "flake.nix:2: the input is called nixpgks. Did you mean nixpkgs? The line then reads: inputs.nixpkgs.url = \"x\";";
        // The argument may be replaced by a directory, and the input be in the lock.
        for missing in ["nixpgks", "nixpkgs"] {
            assert_eq!(hints(missing, text).unwrap(), [rename], "{missing}");
        }
        let twice = text.replace("self", "self /* nixpgks */");
        let rename = hints("nixpgks", &twice).unwrap();
        assert!(rename[0].ends_with("Rename the input in flake.nix"));
        let both = text.replace("nixpkgs }", "nixpgks, nixpkgs }");
        assert!(hints("nixpgks", &both).is_none(), "the outputs have it");
        let own = text
            .replace("nixpgks", "modules")
            .replace("nixpkgs", "module");
        assert_eq!(hints("module", &own).unwrap(), ["did you mean modules?"]);
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
