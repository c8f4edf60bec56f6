//! A flake as the source of an image: which files of a local one are uploaded, and how the builder's Nix names it.
//!
//! A local flake is the git tree around it, as git sees it: the tracked files with their present content, and those of
//! submodules. Relative inputs (`path:../common`) are in it too. It is uploaded and evaluated as `path:`, with the commit and
//! its time, so that `self.rev` is right for a clean tree; `self.dirtyRev` does not exist in a dirty one. Outside git, and
//! with `path:`, it is the directory itself with sdbuild's own ignore rules. What only the user's git reaches (`git+ssh:`, also
//! as a locked input) is fetched here and uploaded too. Any other flake is fetched by the builder's Nix.

mod checkout;
mod content;
mod declared_inputs;
mod declared_places;
mod git_tree;
mod ignored_overrides;
mod input_url;
mod inputs;
mod lock;
mod lock_changes;
mod lock_file;
mod locked_inputs;
mod nix_text;
mod override_input;
mod plain_syntax;
mod private_input;
mod private_lock;
mod report;
mod search;
mod tree;
mod unlocked;

use std::path::PathBuf;
use std::sync::Arc;

use content::Content;
pub(super) use declared_inputs::{InputNames, attribute_names, configuration_meant};
pub use declared_places::first_configuration;
pub use ignored_overrides::ignored_overrides;
use lock::Lock;
pub use lock_changes::lock_changes;
pub use lock_file::{
    NAME as LOCK, formatted as formatted_lock, read as read_lock, write as write_lock,
};
pub use override_input::Override;
use private_input::PrivateInput;
pub use report::FlakeReport;
pub use search::FlakeSearch;
use tree::FlakeTree;

use super::config_dir::UploadDir;
use super::layout;
use super::user_files::UserFiles;
use crate::common::configuration_file::flake_text;
use crate::common::flake_ref::FlakeRef;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_core::http_url::without_secrets;

/// The flake itself among the inputs that the user's git fetches.
pub const SELF: &str = "self";
/// The flake's output with its configurations.
const CONFIGURATIONS: &str = "nixosConfigurations";

/// A flake that exists, as far as that is known without Nix.
#[derive(Clone, Debug)]
pub struct Flake {
    reference: FlakeRef,
    /// The files of a local one.
    tree: Option<FlakeTree>,
    overrides: Vec<Override>,
    /// Locked inputs that the builder cannot fetch.
    inputs: Vec<Arc<PrivateInput>>,
}

impl Flake {
    /// Finds the flake of `reference`, whose path is absolute, and fetches it if only the user's git reaches it. A
    /// usage error when it has no `flake.nix`, git does not track it, or git cannot fetch.
    pub async fn open(
        reference: FlakeRef,
        overrides: Vec<Override>,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let tree = FlakeTree::of(&reference, Content::Flake, search).await?;
        Ok(Self {
            reference,
            tree,
            overrides,
            inputs: Vec::new(),
        })
    }

    /// The same flake with these `overrides`.
    #[must_use]
    pub fn with_overrides(self, overrides: Vec<Override>) -> Self {
        Self { overrides, ..self }
    }

    /// The reference as the user wrote it.
    pub fn reference(&self) -> &FlakeRef {
        &self.reference
    }

    /// The directory of a local flake, which has its `flake.nix`, lock and `sdbuild.toml`.
    pub fn directory(&self) -> Option<PathBuf> {
        self.local_tree().map(FlakeTree::directory)
    }

    /// The files of a flake of this machine.
    fn local_tree(&self) -> Option<&FlakeTree> {
        self.tree.as_ref().filter(|tree| tree.is_local())
    }

    /// Its lock, as far as it is known without Nix, which reports a lock that cannot be read.
    fn lock(&self) -> Option<Lock> {
        let dir = self.tree.as_ref()?.directory();
        Lock::parse(&lock_file::read(&dir).ok()??)
    }

    /// Whether its uploaded files decide what is evaluated: it is local, and its own lock is used. What replaces an input may have
    /// no lock, and follow a branch.
    pub(super) fn is_uploaded(&self) -> bool {
        self.tree.is_some() && self.overrides.is_empty()
    }

    /// The paths of the inputs of inputs that its `flake.nix` overrides.
    pub(super) fn overrides_in_file(&self) -> Vec<String> {
        let text = self.directory().and_then(|dir| flake_text(&dir));
        ignored_overrides::overrides_in_file(&text.unwrap_or_default())
    }

    /// What is uploaded and evaluated, for `--dry-run`.
    pub fn describe(&self) -> String {
        let name = self.reference.to_string();
        match &self.tree {
            None => format!("flake {name}, fetched by the builder"),
            Some(tree) => format!("flake {name}: {}", tree.describe()),
        }
    }

    /// The name in manifests: without a path of this machine.
    pub(super) fn public_name(&self) -> String {
        let local = |tree: &FlakeTree| match tree.dir() {
            "" => ".".to_owned(),
            dir => format!("./{dir}"),
        };
        let text = self.local_tree().map(local);
        FlakeRef {
            text: text.unwrap_or_else(|| without_secrets(&self.reference.text)),
            ..self.reference.clone()
        }
        .to_string()
    }

    /// The names of the overridden inputs, as the user gave them.
    pub(super) fn overridden_inputs(&self) -> Vec<&str> {
        self.overrides.iter().map(Override::input).collect()
    }

    /// The inputs that are replaced by what Nix fetches, and its references.
    pub(super) fn remote_overrides(&self) -> Vec<(String, String)> {
        let remote = self.overrides.iter().filter(|of| of.tree().is_none());
        remote
            .map(|of| (of.input().to_owned(), of.url("")))
            .collect()
    }

    /// Where it is: a directory, or the reference without an attribute.
    pub(super) fn location(&self) -> String {
        match self.directory() {
            Some(dir) => dir.to_string_lossy().into_owned(),
            None => self.reference.text.clone(),
        }
    }

    /// What distinguishes it from other sources, for its name on the store volume.
    pub(super) fn identity(&self) -> String {
        let attribute = self.reference.attribute.join("\0");
        format!("{}#{attribute}", self.place())
    }

    /// What distinguishes it from other flakes, whichever of its configurations is built.
    pub(super) fn place(&self) -> String {
        format!("flake {}", self.location())
    }

    /// The name of its configuration; `None` for the only one of a flake, which need not be named.
    pub(super) fn configuration_name(&self) -> Option<String> {
        let attribute = match self.reference.attribute.as_slice() {
            [] => return None,
            [set, name @ ..] if set == CONFIGURATIONS && !name.is_empty() => name,
            name => name,
        };
        // Nix takes `pi.lan` for a name of this kind, too.
        Some(attribute.join("."))
    }

    /// The files of a local flake.
    pub(super) fn user_files(&self) -> Option<UserFiles> {
        self.tree.as_ref().map(FlakeTree::user_files)
    }

    /// What replaces the directory of its source in messages: empty or with a slash at the end.
    pub(super) fn shown_dir(&self) -> String {
        match self.local_tree() {
            Some(tree) => tree.shown_dir(),
            None => format!("{}/", self.reference.text),
        }
    }

    /// Lists the files to upload, and warns of those that are left out.
    pub(super) fn collect(
        &self,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<Vec<UploadDir>, Failure> {
        self.warn_of_unreachable_inputs(events);
        let collect = |(place, tree): (String, FlakeTree)| {
            let files = tree.collect(place != layout::CONFIG, cancel, events)?;
            Ok(UploadDir { place, files })
        };
        let trees = self.trees().into_iter().map(collect);
        let inputs = self.inputs.iter().enumerate().map(|(at, input)| {
            let (place, files) = (layout::input(at), input.collect(cancel, events)?);
            Ok(UploadDir { place, files })
        });
        trees.chain(inputs).collect()
    }

    /// Every directory that is uploaded, with its path in the builder.
    fn trees(&self) -> Vec<(String, FlakeTree)> {
        let own = self.tree.as_ref();
        let own = own.map(|tree| (layout::CONFIG.to_owned(), tree.clone()));
        let overriding =
            |(at, o): (usize, &Override)| Some((layout::overriding(at), o.tree()?.clone()));
        let others = self.overrides.iter().enumerate().filter_map(overriding);
        own.into_iter().chain(others).collect()
    }
}
