//! Overrides in a `flake.nix` of inputs of its inputs, such as `inputs.a.inputs.b.follows`. Nix ignores those of inputs that do not
//! exist. Pure.

use super::declared_places::only_line;
use super::lock::Lock;
use super::plain_syntax::plain_values;
use sdbuild_core::nearest::similar_names;

/// What a `flake.nix` says of an input of an input.
struct InputOverride<'t> {
    /// The path of the input that has it.
    outer: Vec<&'t str>,
    name: &'t str,
    /// What is set of it, such as `follows`.
    attribute: String,
    value: &'t str,
}

/// The paths of the inputs of inputs that the `flake.nix` with this `text` overrides, as Nix writes them: `a/b`.
pub(super) fn overrides_in_file(text: &str) -> Vec<String> {
    overrides(text).iter().map(InputOverride::path).collect()
}

/// What is wrong with each override in the `flake.nix` with this `text` whose input is not in the `lock`, and what to write.
pub fn ignored_overrides(text: &str, lock: &str) -> Vec<String> {
    let Some(lock) = Lock::parse(lock) else {
        return Vec::new();
    };
    let overrides = overrides(text).into_iter();
    overrides.filter_map(|it| it.ignored(text, &lock)).collect()
}

/// The overrides that are written plainly, one of each input.
fn overrides(text: &str) -> Vec<InputOverride<'_>> {
    let values = plain_values(text).into_iter();
    let mut found: Vec<_> = values.filter_map(InputOverride::read).collect();
    found.dedup_by_key(|it| it.path());
    found
}

impl<'t> InputOverride<'t> {
    /// The override that is written as an attribute with this path.
    fn read((path, value): (Vec<&'t str>, &'t str)) -> Option<Self> {
        let mut inputs = Vec::new();
        let mut rest = path.as_slice();
        while let ["inputs", input, further @ ..] = rest {
            inputs.push(*input);
            rest = further;
        }
        let name = inputs.pop()?;
        let is_override = !inputs.is_empty() && !rest.is_empty();
        is_override.then(|| Self {
            outer: inputs,
            name,
            attribute: rest.join("."),
            value,
        })
    }

    fn path(&self) -> String {
        format!("{}/{}", self.outer.join("/"), self.name)
    }

    /// What is told of it if the `lock` has no such input.
    fn ignored(&self, text: &str, lock: &Lock) -> Option<String> {
        let Self {
            outer,
            name,
            attribute,
            value,
        } = self;
        let names: Vec<&str> = lock.own_input(outer)?.input_names().collect();
        if names.contains(name) {
            return None;
        }
        let written = format!("{}.inputs.{name}.", outer.join(".inputs."));
        let place = only_line(text, |line| line.contains(&written));
        let shown = outer.join("/");
        let lacks =
            format!("{place}the input {shown} has no input {name}, which flake.nix overrides");
        let Some(meant) = similar_names(name, names.iter().copied()) else {
            let known = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Some(format!("{lacks}, so that has no effect. It has {known}"));
        };
        let keeps = if attribute == "follows" {
            format!(", so {shown} keeps its own {meant}")
        } else {
            String::new()
        };
        let path = outer.join(".inputs.");
        Some(format!(
            "{lacks}{keeps}. Did you mean {meant}? Write \
             inputs.{path}.inputs.{meant}.{attribute} = \"{value}\";"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"nodes":{"root":{"inputs":{"hm":"hm"}},"hm":{"inputs":{"nixpkgs":"n"}},"n":{}},"root":"root","version":7}"#;

    #[test]
    fn every_override_of_a_nonexistent_input_is_told() {
        let text = "{\n  inputs.hm.url = \"path:hm\";\n  inputs.hm.inputs.nixpkg.follows = \"nixpkgs\";\n  \
                    inputs.hm.inputs.utils.url = \"path:u\";\n  inputs.hm.inputs.utils.flake = false;\n  \
                    inputs.hm.inputs.nixpkgs.inputs.lib.follows = \"a\";\n  outputs = inputs: { };\n}";
        let deep = "hm/nixpkgs/lib";
        assert_eq!(overrides_in_file(text), ["hm/nixpkg", deep, "hm/utils"]);
        assert_eq!(
            ignored_overrides(text, LOCK),
            [
                "flake.nix:3: the input hm has no input nixpkg, which flake.nix overrides, so hm keeps its own nixpkgs. Did you \
                 mean nixpkgs? Write inputs.hm.inputs.nixpkgs.follows = \"nixpkgs\";",
                "flake.nix:6: the input hm/nixpkgs has no input lib, which flake.nix overrides, so that has no effect. It has none",
                "the input hm has no input utils, which flake.nix overrides, so that has no effect. It has nixpkgs",
            ]
        );
    }

    #[test]
    fn overrides_of_inputs_that_exist_have_an_effect() {
        for path in ["hm.inputs.nixpkgs", "hm", "other.inputs.nixpkg"] {
            let text = format!("{{ inputs.{path}.follows = \"a\"; outputs = inputs: {{ }}; }}");
            assert_eq!(ignored_overrides(&text, LOCK), [""; 0], "{path}");
        }
    }
}
