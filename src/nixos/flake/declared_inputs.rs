//! The inputs that a `flake.nix` declares, read without Nix: the file must be a plain attribute set with plain inputs.

use std::collections::{BTreeMap, BTreeSet};

use super::plain_syntax::{argument_with_all, arguments, attributes, plain_values, tokens};
use crate::common::git_source::Attributes;
use sdbuild_core::nearest::similar_names;

/// The names of the inputs that the `flake.nix` with this text declares: those of its `inputs`, and the other arguments of
/// its `outputs`. What is not plain is left out: Nix says what is wrong with it.
pub(super) fn declared_inputs(text: &str) -> BTreeSet<String> {
    let InputNames {
        inputs, arguments, ..
    } = InputNames::read(text);
    inputs.into_iter().chain(arguments).collect()
}

/// The names of inputs in a `flake.nix`, by where they are.
#[derive(Debug, Default)]
pub(in crate::nixos) struct InputNames {
    /// Those of its `inputs`.
    pub(in crate::nixos) inputs: BTreeSet<String>,
    /// The arguments of its `outputs`, except `self`: Nix takes those that are not among the inputs for inputs too.
    pub(in crate::nixos) arguments: BTreeSet<String>,
    /// The argument that has all of them: `inputs` of `inputs: …` and of `{ … }@inputs: …`.
    pub(in crate::nixos) all: Option<String>,
}

impl InputNames {
    pub(in crate::nixos) fn read(text: &str) -> Self {
        let tokens = tokens(text);
        let mut names = Self::default();
        for (path, value) in attributes(&tokens) {
            match path.as_slice() {
                ["inputs"] => {
                    let inputs = attributes(value).into_iter();
                    let inputs = inputs.filter_map(|(path, _)| path.first().copied());
                    names.inputs.extend(inputs.map(str::to_owned));
                }
                ["inputs", name, ..] => {
                    names.inputs.insert((*name).to_owned());
                }
                ["outputs"] => {
                    let arguments = arguments(value).into_iter().map(str::to_owned);
                    names.arguments.extend(arguments);
                    names.all = argument_with_all(value).map(str::to_owned);
                }
                _ => {}
            }
        }
        // Not an input: attributes of the flake itself.
        names.inputs.remove("self");
        names.arguments.remove("self");
        names
    }
}

/// The configuration of a flake with this `text` that the `name` of a missing file or directory means: `pi`, also written `.pi`,
/// `.:pi`, `.@pi` or `.?pi`.
pub(in crate::nixos) fn configuration_meant<'a>(text: &str, name: &'a str) -> Option<&'a str> {
    let behind = name.strip_prefix('.');
    let behind = behind.map(|name| name.trim_start_matches([':', '@', '?']));
    let mut names = [Some(name), behind].into_iter().flatten();
    names.find(|name| !name.is_empty() && may_have_configuration(text, name))
}

/// Whether a configuration of the `flake.nix` with this text may be called `name`: it has that word, and not for an input.
pub(in crate::nixos) fn may_have_configuration(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let is_input = InputNames::read(text).inputs.contains(name);
    !is_input && text.split(|c| !is_of_name(c)).any(|word| word == name)
}

/// What the `flake.nix` with this text says of its inputs, by their names: `url`, or `type` and further attributes. What is
/// neither plain text nor true or false is left out.
pub(super) fn declared_attributes(text: &str) -> BTreeMap<String, Attributes> {
    let mut inputs = BTreeMap::<String, Attributes>::new();
    for (path, value) in plain_values(text) {
        if let ["inputs", name, attribute] = path.as_slice() {
            let input = inputs.entry((*name).to_owned()).or_default();
            input.insert((*attribute).to_owned(), value.to_owned());
        }
    }
    // Of the input, not of its repository.
    for input in inputs.values_mut() {
        input.remove("flake");
        input.remove("follows");
    }
    inputs
}

/// Whether the `flake.nix` with this text says of its input `name` that it is no flake.
pub(super) fn is_declared_as_files(text: &str, name: &str) -> bool {
    plain_values(text).get(["inputs", name, "flake"].as_slice()) == Some(&"false")
}

/// An input that follows one that its flake does not have.
#[derive(Debug, PartialEq)]
pub(super) struct FollowsNothing<'a> {
    /// The path of the input: `a/b` is the input b of the input a.
    pub(super) input: String,
    /// What it follows: `a/b` is the input b of the input a.
    pub(super) target: &'a str,
    /// The input that the flake does not have: the first name of `target`.
    pub(super) missing: &'a str,
}

/// The first input of the `flake.nix` with this text that follows one that the flake does not have; `None` also where not all
/// inputs are plain.
pub(super) fn follows_nothing(text: &str) -> Option<FollowsNothing<'_>> {
    let known = all_declared_inputs(text)?;
    let mut values = plain_values(text).into_iter();
    values.find_map(|(path, target)| {
        let ["inputs", names @ .., "follows"] = path.as_slice() else {
            return None;
        };
        // Those of an input are in its own `inputs`.
        let names: Vec<&str> = names.iter().copied().step_by(2).collect();
        let input = names.join("/");
        // An empty target removes the input.
        let missing = target.split('/').find(|part| !part.is_empty())?;
        // Nix ignores an input of an input that does not exist.
        let is_own = names.len() == 1;
        let is_misspelt = || similar_names(missing, known.iter().map(String::as_str)).is_some();
        let is_wrong = !known.contains(missing) && (is_own || is_misspelt());
        is_wrong.then_some(FollowsNothing {
            input,
            target,
            missing,
        })
    })
}

/// Inputs of the `flake.nix` with this text that follow each other in a circle, as `a → b → a`.
pub(super) fn follows_itself(text: &str) -> Option<String> {
    let values = plain_values(text);
    let followed = |name: &str| values.get(["inputs", name, "follows"].as_slice()).copied();
    let circle = |first: &str| {
        let mut names = vec![first.to_owned()];
        let mut next = followed(first)?;
        while next != first {
            // Another circle further on has its own first name.
            if names.iter().any(|name| name == next) {
                return None;
            }
            names.push(next.to_owned());
            next = followed(next)?;
        }
        names.push(first.to_owned());
        Some(names.join(" → "))
    };
    let mut names = values.keys().filter_map(|path| path.get(1).copied());
    names.find_map(circle)
}

/// The input of the `flake.nix` with this text that has a `follows.OWN`, OWN, and the definition that is meant.
pub(super) fn misplaced_follows(text: &str) -> Option<(&str, &str, String)> {
    let mut values = plain_values(text).into_iter();
    values.find_map(|(path, target)| {
        let ["inputs", name, "follows", own] = path.as_slice() else {
            return None;
        };
        let meant = format!("inputs.{name}.inputs.{own}.follows = \"{target}\";");
        Some((*name, *own, meant))
    })
}

/// Its [`declared_inputs`], if both its inputs and the arguments of its outputs are written plainly.
fn all_declared_inputs(text: &str) -> Option<BTreeSet<String>> {
    let tokens = tokens(text);
    let found = attributes(&tokens);
    let mut sets = found.iter().filter(|(path, _)| path == &["inputs"]);
    let names = InputNames::read(text);
    let is_plain = sets.all(|(_, value)| !attributes(value).is_empty());
    let has_arguments = !names.arguments.is_empty() || names.all.is_some();
    (is_plain && has_arguments).then(|| declared_inputs(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn assert_inputs(text: &str, names: &[&str]) {
        let found = declared_inputs(text);
        assert_eq!(found.iter().collect::<Vec<_>>(), names, "{text}");
    }

    #[test]
    fn the_words_of_follows_have_an_order() {
        for written in [
            "hm.follows.n = \"m\";",
            "hm = { follows = { n = \"m\"; }; };",
        ] {
            let text = format!("{{ inputs = {{ {written} }}; outputs = _: {{ }}; }}");
            let (_, _, meant) = misplaced_follows(&text).unwrap();
            assert_eq!(meant, "inputs.hm.inputs.n.follows = \"m\";");
        }
        let right = "{ inputs.hm.inputs.n.follows = \"m\"; inputs.a.follows = \"n\"; }";
        assert_eq!(misplaced_follows(right), None);
    }

    #[test]
    fn inputs_that_follow_each_other_are_found() {
        let circle = |inputs: &str| {
            follows_itself(&format!(
                "{{ inputs = {{ {inputs} }}; outputs = _: {{ }}; }}"
            ))
        };
        let follow = "a.follows = \"b\"; b.follows = \"c\"; c.follows = \"a\";";
        assert_eq!(circle(follow).unwrap(), "a → b → c → a");
        assert_eq!(circle("a.follows = \"a\";").unwrap(), "a → a");
        assert_eq!(circle("a.follows = \"b\"; b.url = \"x\";"), None);
    }

    #[test]
    fn an_input_that_follows_nothing_is_found() {
        let found = |inputs: &str| {
            let text = format!(
                "{{ inputs = {{ {inputs} }}; outputs = {{ self, implicit, ... }}: {{ }}; }}"
            );
            follows_nothing(&text)
                .map(|found| [&found.input, found.target, found.missing].map(str::to_owned))
        };
        let named = |names: [&str; 3]| Some(names.map(str::to_owned));
        assert_eq!(
            found("a.url = \"x\"; b.follows = \"c\";"),
            named(["b", "c", "c"])
        );
        assert_eq!(
            found("a.url = \"x\"; b.follows = \"n/m\";"),
            named(["b", "n/m", "n"])
        );
        assert_eq!(
            found("nixpkgs.url = \"x\"; b.inputs.a.follows = \"nixpkg\";"),
            named(["b/a", "nixpkg", "nixpkg"])
        );
        for fine in [
            "a.url = \"x\"; b = { url = \"y\"; inputs.a.follows = \"n\"; };",
            "a.url = \"x\"; b.follows = \"/a\";",
            "a.url = \"x\"; b.follows = \"a\";",
            "a.url = \"x\"; b.follows = \"a/c\";",
            "a.url = \"x\"; b.follows = \"implicit\";",
            "a.url = \"x\"; a.inputs.b.follows = \"\";",
        ] {
            assert_eq!(found(fine), None, "{fine}");
        }
        for text in [
            "{ inputs = rec { a.url = \"x\"; }; inputs.b.follows = \"a\"; outputs = { self, a }: { }; }",
            "{ inputs.b.follows = \"a\"; outputs = ({ self, a }: { }); }",
        ] {
            assert_eq!(follows_nothing(text), None, "{text}");
        }
    }

    #[test]
    fn a_configuration_is_meant_without_its_sign() {
        let text = "{ outputs = { self }: { nixosConfigurations.pi = self; }; }";
        for name in ["pi", ".pi", ".:pi", ".@pi", ".?pi"] {
            assert_eq!(configuration_meant(text, name), Some("pi"), "{name}");
        }
        for name in ["", ".", ".nas", "?pi"] {
            assert_eq!(configuration_meant(text, name), None, "{name}");
        }
    }

    #[test]
    fn inputs_are_found_in_every_way_of_writing_them() {
        for text in [
            "{ inputs.a.url = \"x\"; inputs.b = { url = \"y\"; }; outputs = _: { }; }",
            "{ inputs = { a.url = \"x\"; \"b\".follows = \"a/b\"; }; outputs = inputs: { }; }",
            "{ inputs = { a.url = github:o/r; a.inputs.c.follows = \"b\"; b.flake = false; }; outputs = { self, ... }: { }; }",
            "{ outputs = { self, a, b ? null, ... }@inputs: { }; }",
            "# inputs.c.url = \"x\";\n{ outputs = inputs@{ b, ... }: let inputs.c = 1; in { }; inputs.a.url = \"x\"; }",
            "{ inputs.self.submodules = true; inputs.a.url = \"x\"; inputs.b.url = ''${\"}\"}'';\n}",
        ] {
            assert_inputs(text, &["a", "b"]);
        }
    }

    #[test]
    fn addresses_of_inputs_are_found() {
        let found = |text: &str| {
            let found = declared_attributes(text).into_iter();
            let words = |input: Attributes| {
                let words = input.iter().map(|(key, value)| format!(" {key}={value}"));
                words.collect::<String>()
            };
            let found: Vec<_> = found
                .map(|(name, input)| format!("{name}{}", words(input)))
                .collect();
            found
        };
        for text in [
            "{ inputs.a.url = \"x:y\"; inputs.b = { url = \"z\"; flake = false; }; outputs = _: { }; }",
            "{ inputs = { a.url = x:y; \"b\".url = \"z\"; b.inputs.a.follows = \"a\"; }; outputs = inputs: { }; }",
        ] {
            assert_eq!(found(text), ["a url=x:y", "b url=z"], "{text}");
        }
        for text in [
            "{ inputs.a = { type = \"git\"; url = \"ssh://h/a\"; submodules = true; flake = false; }; }",
            "{ inputs = { a.type = \"git\"; a = { url = \"ssh://h/a\"; submodules = true; }; }; }",
        ] {
            let attributes = ["a submodules=true type=git url=ssh://h/a"];
            assert_eq!(found(text), attributes, "{text}");
        }
        assert_eq!(
            found("{ inputs.b.type = \"git\"; inputs.b.url = \"x${y}\"; }"),
            ["b type=git"]
        );
        for text in [
            "{ inputs.a.url = \"x${y}\"; outputs = { inputs.c.url = \"x\"; }; }",
            "{ inputs.a.inputs.b.url = \"x\"; outputs = _: { inputs.c.url = \"x\"; }; }",
        ] {
            assert!(found(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn code_that_only_looks_like_inputs_declares_none() {
        for text in [
            "",
            "{",
            "}}}; in in",
            "{ outputs = _: { inputs.a.url = \"x\"; }; }",
            "{ outputs = _: with { }; let b = { }; inputs.a = b; in assert true; { }; }",
            "{ description = \"inputs.a.url = 1;\"; inputs = { }; outputs = { self }: { }; }",
            "{ inputs = import ./inputs.nix; outputs = import ./outputs.nix; }",
            "{ inputs.${name}.url = \"x\"; outputs = { a = 1; }; }",
            "rec { inputs.a.url = \"x\"; }",
        ] {
            assert_inputs(text, &[]);
        }
    }
}
