//! Inputs of inputs that a `flake.nix` changes and that do not exist, which Nix ignores. Pure.

use super::lock::Lock;
use super::plain_syntax::plain_values;
use crate::common::nearest::similar_names;

/// What may be meant by an input of an input that the `flake.nix` with this `text` names, such as the b of `inputs.a.inputs.b.follows`,
/// and that is not in its `lock`; `None` if there is none, or no other name is similar.
pub fn misspelt_input(text: &str, lock: &str) -> Option<String> {
    let lock = Lock::parse(lock)?;
    let mut paths = plain_values(text).into_keys();
    paths.find_map(|path| {
        let ["inputs", outer, "inputs", name, ..] = path.as_slice() else {
            return None;
        };
        let names: Vec<&str> = lock.own_input(outer)?.input_names().collect();
        let meant = similar_names(name, names.iter().copied()).filter(|_| !names.contains(name))?;
        Some(format!(
            "the input {outer} has no input {name}, which flake.nix changes. Did you mean {meant}?"
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
                "the input hm has no input nixpkg, which flake.nix changes. Did you mean nixpkgs?"
            )
        );
        for other in [
            "hm.inputs.nixpkgs",
            "hm.inputs.utils",
            "hm",
            "other.inputs.nixpkg",
        ] {
            assert_eq!(told(other), None, "{other}");
        }
    }
}
