//! `--override-input NAME REF`: another flake in place of an input.

use super::Flake;
use super::search::FlakeSearch;
use super::tree::FlakeTree;
use crate::common::flake_ref::FlakeRef;
use sdbuild_core::failure::Failure;
use sdbuild_core::nix_string::nix_string;

/// An input and the flake that replaces it.
#[derive(Clone, Debug)]
pub struct Override {
    input: String,
    reference: FlakeRef,
    tree: Option<FlakeTree>,
}

impl Override {
    /// Replaces the input of `flake` with the name `input`, such as `nixpkgs` or `home-manager/nixpkgs`, by what `reference` names,
    /// whose path is absolute: a flake, unless the input is plain files.
    pub async fn new(
        flake: &Flake,
        input: &str,
        reference: FlakeRef,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let tree = FlakeTree::of(&reference, flake.content_of(input), search).await?;
        Ok(Self {
            input: input.to_owned(),
            reference,
            tree,
        })
    }

    /// The name of the input.
    pub(super) fn input(&self) -> &str {
        &self.input
    }

    /// The files of a local flake.
    pub(super) fn tree(&self) -> Option<&FlakeTree> {
        self.tree.as_ref()
    }

    /// The input's attribute path in a flake that has the overridden one as its input `configuration`.
    pub(super) fn attribute_path(&self) -> String {
        let names = self.input.split('/').map(nix_string);
        names.fold("inputs.configuration".to_owned(), |path, name| {
            format!("{path}.inputs.{name}")
        })
    }

    /// The reference for the builder's Nix; the files of a local one are in its directory `place`.
    pub(super) fn url(&self, place: &str) -> String {
        match &self.tree {
            Some(tree) => tree.url(place),
            None => self.reference.text.clone(),
        }
    }
}
