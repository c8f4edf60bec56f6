//! How the builder's Nix names a flake: references, arguments and expressions.

use super::Flake;
use crate::common::flake_ref::FlakeRef;
use crate::nixos::layout;
use sdbuild_core::nix_string::nix_string;

impl Flake {
    /// The reference for the builder's Nix, without an attribute.
    pub(in crate::nixos) fn url(&self) -> String {
        match &self.tree {
            Some(tree) => tree.url(layout::CONFIG),
            None => self.reference.text.clone(),
        }
    }

    /// The image of its configuration as an argument of `nix build` in the builder: the derivation `attribute` of the
    /// configuration, unless the user named a whole attribute.
    pub fn installable(&self, attribute: &str) -> String {
        let mut installable = FlakeRef {
            text: self.url(),
            ..self.reference.clone()
        };
        match installable.attribute.len() {
            0 => installable.attribute = vec!["nixosConfigurations".into(), "NAME".into()],
            1 => installable
                .attribute
                .insert(0, "nixosConfigurations".into()),
            _ => return installable.to_string(),
        }
        format!("{installable}.{attribute}")
    }

    /// The arguments of `nix build` in the builder for its [`Self::installable`]: with the flakes that replace inputs.
    pub fn build_arguments(&self, attribute: &str) -> Vec<String> {
        let overrides = self.overrides.iter().enumerate();
        let overrides = overrides.flat_map(|(at, o)| {
            let url = o.url(&layout::overriding(at));
            ["--override-input".to_owned(), o.input().to_owned(), url]
        });
        std::iter::once(self.installable(attribute))
            .chain(overrides)
            .collect()
    }

    /// The text of a `flake.nix` that has this flake as its input `configuration`, with other inputs; `None` without such.
    pub(in crate::nixos) fn overriding_flake(&self) -> Option<String> {
        if self.overrides.is_empty() {
            return None;
        }
        let url = |path: &str, url: &str| format!("  {path}.url = {};\n", nix_string(url));
        let mut inputs = url("inputs.configuration", &self.url());
        for (at, o) in self.overrides.iter().enumerate() {
            inputs += &url(&o.attribute_path(), &o.url(&layout::overriding(at)));
        }
        Some(format!(
            "{{\n{inputs}  outputs = inputs: {{ inherit (inputs) configuration; }};\n}}\n"
        ))
    }

    /// The expression of the source, a part of sdbuild's expressions. `changed`: the command line changes the configuration.
    pub(in crate::nixos) fn expression(&self, system: &str, changed: bool) -> String {
        let names = self.reference.attribute.iter();
        let attribute: String = names.map(|name| nix_string(name) + " ").collect();
        let (system, reference) = (nix_string(system), nix_string(&self.reference.text));
        let in_words = nix_string(&self.reference.in_words());
        let overridden = !self.overrides.is_empty();
        format!(
            "import ./flake-source.nix {{ system = {system}; reference = {reference}; inWords = {in_words}; \
             attribute = [ {attribute}]; changed = {changed}; overridden = {overridden}; }}\n"
        )
    }
}
