//! A flake as the source of an image: which files of a local one are uploaded, and how the builder's Nix names it.
//!
//! A local flake is the git tree around it, as git sees it: the tracked files with their present content, and those of
//! submodules. Relative inputs (`path:../common`) are in it too. It is uploaded and evaluated as `path:`, with the commit and
//! its time, so that `self.rev` is right for a clean tree; `self.dirtyRev` does not exist in a dirty one. Outside git, and
//! with `path:`, it is the directory itself with sdbuild's own ignore rules. What only the user's git reaches (`git+ssh:`, also
//! as a locked input) is fetched here and uploaded too. Any other flake is fetched by the builder's Nix.

mod checkout;
mod inputs;
mod lock_file;
mod tree;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use checkout::PrivateInput;
pub use lock_file::{NAME as LOCK, read as read_lock, write as write_lock};
use tree::FlakeTree;

use super::config_dir::UploadDir;
use super::stored_tree::InputTree;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_core::http_url::without_secrets;
use sdbuild_core::nix_string::nix_string;
use sdbuild_nix::configuration_file::flake_text;
use sdbuild_nix::flake_file::{CONFIGURATIONS, FlakeFile};
use sdbuild_nix::flake_lock::Lock;
use sdbuild_nix::flake_ref::FlakeRef;
use sdbuild_nix::layout;
use sdbuild_nix::user_files::UserFiles;

/// The flake itself among the inputs that the user's git fetches.
pub const SELF: &str = "self";

/// What is known of this machine when a flake is looked for.
#[derive(Clone, Copy, Debug)]
pub struct FlakeSearch<'a> {
    /// The value of `PATH`, where git is looked up.
    pub path: &'a OsStr,
    /// The user's home directory.
    pub home: Option<&'a Path>,
    /// The directory for what git fetches.
    pub cache: &'a Path,
    /// The file with the hashes of directories.
    pub hashes: &'a Path,
    /// Inputs that the user's git fetches although the builder could ask for them.
    pub git_inputs: &'a [String],
    /// Whether the user names them, not the settings of a project.
    pub names_git_inputs: bool,
    /// Whether git may fetch from this machine's own directories only.
    pub offline: bool,
    /// The run's cancellation, which ends git.
    pub cancel: &'a Cancel,
    /// Receiver of messages for the user.
    pub events: &'a Events,
}

/// What a tree is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// A flake.
    Flake,
    /// Plain files: an input with `flake = false`.
    Files,
}

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

    /// The same flake with the configuration `attribute`.
    pub(super) fn with_attribute(&self, attribute: &[String]) -> Self {
        let mut other = self.clone();
        other.reference.attribute = attribute.to_vec();
        other
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
    pub(super) fn lock(&self) -> Option<Lock> {
        let dir = self.tree.as_ref()?.directory();
        Lock::parse(&lock_file::read(&dir).ok()??)
    }

    /// Whether its uploaded files decide what is evaluated: they are here, and no lock has to be completed. What replaces an input may
    /// have no lock, and follow a branch.
    pub(super) fn is_uploaded(&self) -> bool {
        let is_locked = || self.is_locked() && self.overrides.iter().all(Override::is_locked);
        self.tree.is_some() && (self.overrides.is_empty() || is_locked())
    }

    /// What is in the place of its inputs and stays on the store volume, each content once.
    pub(super) fn input_trees(&self) -> Vec<InputTree> {
        let mut trees: Vec<InputTree> = Vec::new();
        for tree in self.overrides.iter().filter_map(|o| o.stored.as_ref()) {
            if trees.iter().all(|known| known.digest() != tree.digest()) {
                trees.push(tree.clone());
            }
        }
        trees
    }

    /// The text of its `flake.nix`, if its files are here.
    fn flake_text(&self) -> Option<String> {
        self.directory().and_then(|dir| flake_text(&dir))
    }

    /// What its `flake.nix` declares.
    fn file(&self) -> FlakeFile {
        self.flake_text()
            .map(|text| FlakeFile::read(&text))
            .unwrap_or_default()
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
        remote.map(|of| (of.input().to_owned(), of.url())).collect()
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

    /// The name of its configuration; `None` without one: the only one of a flake need not be named.
    pub(super) fn configuration_name(&self) -> Option<String> {
        let name = match self.reference.attribute.as_slice() {
            [set, name @ ..] if set == CONFIGURATIONS && !name.is_empty() => name,
            name => name,
        };
        (!name.is_empty()).then(|| name.join("\0"))
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
        let own = self.tree.iter().map(|tree| {
            let files = tree.collect(false, cancel, events)?;
            let place = layout::CONFIG.to_owned();
            Ok(UploadDir { place, files })
        });
        let inputs = self.inputs.iter().enumerate().map(|(at, input)| {
            let (place, files) = (layout::input(at), input.collect(cancel, events)?);
            Ok(UploadDir { place, files })
        });
        own.chain(inputs).collect()
    }

    /// The reference for the builder's Nix, without an attribute.
    pub(super) fn url(&self) -> String {
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
        let overrides = self.overrides.iter().flat_map(|o| {
            let flag = "--override-input".to_owned();
            [flag, o.input().to_owned(), o.url()]
        });
        std::iter::once(self.installable(attribute))
            .chain(overrides)
            .collect()
    }

    /// The text of a `flake.nix` that has this flake as its input `configuration`, whose inputs are replaced when it is locked; `None`
    /// without overrides.
    pub(super) fn overriding_flake(&self) -> Option<String> {
        let url = nix_string(&self.url());
        let outputs = "outputs = inputs: { inherit (inputs) configuration; };";
        let text = format!("{{\n  inputs.configuration.url = {url};\n  {outputs}\n}}\n");
        (!self.overrides.is_empty()).then_some(text)
    }

    /// Each overridden input with the reference for the builder's Nix, a line each.
    pub(super) fn override_lines(&self) -> String {
        let overrides = self.overrides.iter();
        let lines = overrides.map(|o| format!("{} {}", o.input(), o.url()));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// The expression of the source, a part of sdbuild's expressions. `changed`: the command line changes the configuration.
    pub(super) fn expression(&self, system: &str, changed: bool) -> String {
        let names = self.reference.attribute.iter();
        let attribute: String = names.map(|name| nix_string(name) + " ").collect();
        let (system, reference) = (nix_string(system), nix_string(&self.reference.text));
        let in_words = nix_string(&self.reference.in_words());
        let path = |o: &Override| {
            let names = o.input().split('/').map(|name| nix_string(name) + " ");
            format!("[ {}] ", names.collect::<String>())
        };
        let overrides: String = self.overrides.iter().map(path).collect();
        format!(
            "import ./flake-source.nix {{ system = {system}; reference = {reference}; inWords = {in_words}; \
             attribute = [ {attribute}]; changed = {changed}; overrides = [ {overrides}]; }}\n"
        )
    }
}

/// An input and the flake that replaces it.
#[derive(Clone, Debug)]
pub struct Override {
    input: String,
    reference: FlakeRef,
    tree: Option<FlakeTree>,
    /// Its files, as the store volume keeps them.
    stored: Option<InputTree>,
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
        let stored = match &tree {
            Some(tree) => Some(tree.stored(search).await?),
            None => None,
        };
        Ok(Self {
            input: input.to_owned(),
            reference,
            tree,
            stored,
        })
    }

    /// The name of the input.
    fn input(&self) -> &str {
        &self.input
    }

    /// The files of a local flake.
    fn tree(&self) -> Option<&FlakeTree> {
        self.tree.as_ref()
    }

    /// Whether its files decide all of it: no lock has to be completed.
    fn is_locked(&self) -> bool {
        self.tree
            .as_ref()
            .is_some_and(|tree| tree.is_files() || inputs::is_locked(tree))
    }

    /// The reference for the builder's Nix.
    fn url(&self) -> String {
        match (&self.tree, &self.stored) {
            (Some(tree), Some(stored)) => tree.url(&stored.path()),
            _ => self.reference.text.clone(),
        }
    }
}
