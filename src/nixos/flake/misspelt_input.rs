//! Inputs of inputs that a `flake.nix` changes and that do not exist, which Nix ignores. Pure.

use super::declared_places::only_line;
use super::lock::Lock;
use super::plain_syntax::plain_values;
use crate::common::nearest::similar_names;

/// What may be meant by an input of an input that the `flake.nix` with this `text` names, such as the b of `inputs.a.inputs.b.follows`,
/// and that is not in its `lock`; `None` if there is none.
pub fn misspelt_input(text: &str, lock: &str) -> Option<String> {
    let lock = Lock::parse(lock)?;
    let mut values = plain_values(text).into_iter();
    values.find_map(|(path, value)| {
        let ["inputs", outer, "inputs", name, ..] = path.as_slice() else {
            return None;
        };
        let names: Vec<&str> = lock.own_input(outer)?.input_names().collect();
        if names.contains(name) {
            return None;
        }
        let is_it = |line: &str| line.contains(&format!("{outer}.inputs.{name}."));
        let place = only_line(text, is_it);
        let rest = path.get(4..).unwrap_or_default().join(".");
        let is_follows = rest == "follows";
        let lacks =
            format!("{place}the input {outer} has no input {name}, which flake.nix changes");
        let Some(meant) = similar_names(name, names.iter().copied()) else {
            let known = if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            };
            return Some(format!("{lacks}, so that has no effect. It has {known}"));
        };
        let keeps = if is_follows {
            format!(", so {outer} keeps its own {meant}")
        } else {
            String::new()
        };
        Some(format!(
            "{lacks}{keeps}. Did you mean {meant}? Write \
             inputs.{outer}.inputs.{meant}.{rest} = \"{value}\";"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_similar_name_is_proposed_for_an_input_of_an_input() {
        let lock = r#"{"nodes":{"root":{"inputs":{"hm":"hm"}},"hm":{"inputs":{"nixpkgs":"n"}},"n":{}},"root":"root","version":7}"#;
        let told = |path: &str| {
            let text =
                format!("{{ inputs.{path}.follows = \"nixpkgs\"; outputs = inputs: {{ }}; }}");
            misspelt_input(&text, lock)
        };
        assert_eq!(
            told("hm.inputs.nixpkg").as_deref(),
            Some(
                "flake.nix:1: the input hm has no input nixpkg, which flake.nix changes, so hm keeps its own nixpkgs. Did you mean \
                 nixpkgs? Write inputs.hm.inputs.nixpkgs.follows = \"nixpkgs\";"
            )
        );
        assert_eq!(
            told("hm.inputs.utils").as_deref(),
            Some(
                "flake.nix:1: the input hm has no input utils, which flake.nix changes, so that has no effect. It has nixpkgs"
            )
        );
        for other in ["hm.inputs.nixpkgs", "hm", "other.inputs.nixpkg"] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
