//! A flake as the source of an image: which files of a local one are uploaded, and how the builder's Nix names it.
//!
//! A local flake is the git tree around it, as git sees it: the tracked files with their present content, and those of
//! submodules. Relative inputs (`path:../common`) are in it too. It is uploaded and evaluated as `path:`, with the commit and
//! its time, so that `self.rev` is right for a clean tree; `self.dirtyRev` does not exist in a dirty one. Outside git, and
//! with `path:`, it is the directory itself with sdbuild's own ignore rules. What only the user's git reaches (`git+ssh:`, also
//! as a locked input) is fetched here and uploaded too. Any other flake is fetched by the builder's Nix.

mod checkout;
mod declared_inputs;
mod git_tree;
mod lock_file;
mod override_input;
mod private_input;
mod private_lock;
mod report;
mod search;
mod tree;
mod unlocked;

use std::path::PathBuf;
use std::sync::Arc;

use lock_file::LockedRepository;
pub use lock_file::{NAME as LOCK, read as read_lock, write as write_lock};
pub use override_input::Override;
use private_input::PrivateInput;
use private_lock::{NewInput, UnlockedRepository};
pub use report::FlakeReport;
pub use search::FlakeSearch;
use tree::FlakeTree;

use super::config_dir::UploadDir;
use super::layout;
use super::user_files::UserFiles;
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::flake_ref::FlakeRef;
use crate::common::http_url::without_secrets;
use crate::common::nix_string::nix_string;

/// Inputs that the builder cannot fetch and that are named: the lock may be anybody's.
const MAX_UNREACHABLE: usize = 16;
/// The flake itself among the inputs that the user's git fetches.
pub const SELF: &str = "self";

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
        let tree = FlakeTree::of(&reference, search).await?;
        Ok(Self {
            reference,
            tree,
            overrides,
            inputs: Vec::new(),
        })
    }

    /// Fetches the locked inputs that only the user's git reaches, and those that the user names for it; a usage error when it
    /// cannot.
    pub async fn fetch_inputs(&mut self, search: FlakeSearch<'_>) -> Result<(), Failure> {
        self.check_git_inputs(search.git_inputs)?;
        for locked in self.locked_repositories(search.git_inputs) {
            let input = PrivateInput::fetch(&locked, search).await?;
            self.inputs.push(Arc::new(input));
        }
        Ok(())
    }

    /// Fetches them for a lock that is completed, or in which the inputs `updated` are updated: those that are new to it at the
    /// commit that the `flake.nix` names.
    pub async fn resolve_inputs(
        &mut self,
        updated: &[String],
        search: FlakeSearch<'_>,
    ) -> Result<(), Failure> {
        let new = self.unlocked_repositories(updated, search.git_inputs)?;
        let is_new = |locked: &LockedRepository| {
            let mut nodes = new.iter().filter_map(|input| input.node.as_ref());
            nodes.any(|node| *node == locked.name)
        };
        let mut locked = self.locked_repositories(search.git_inputs);
        locked.retain(|locked| !is_new(locked));
        for declared in new {
            let input = PrivateInput::resolve(declared, search).await?;
            let own_lock = input.own_lock();
            locked.extend(
                own_lock
                    .iter()
                    .flat_map(|lock| lock_file::private_repositories(lock, &[])),
            );
            self.inputs.push(Arc::new(input));
        }
        for locked in locked {
            let input = PrivateInput::fetch(&locked, search).await?;
            self.inputs.push(Arc::new(input));
        }
        Ok(())
    }

    /// The inputs that only the user's git can lock.
    fn unlocked_repositories(
        &self,
        updated: &[String],
        named: &[String],
    ) -> Result<Vec<UnlockedRepository>, Failure> {
        let Some(text) = self.directory().and_then(|dir| unlocked::flake_text(&dir)) else {
            return Ok(Vec::new());
        };
        private_lock::unlocked_repositories(&text, self.lock().as_deref(), updated, named)
    }

    /// The inputs that are new to the lock, with the number of the directory that each is uploaded to.
    fn new_inputs(&self) -> impl Iterator<Item = (usize, &NewInput)> {
        let inputs = self.inputs.iter().enumerate();
        inputs.filter_map(|(at, input)| Some((at, input.new_input()?)))
    }

    /// Further arguments of the Nix command that locks it.
    pub fn lock_arguments(&self) -> Vec<String> {
        let arguments = self.new_inputs().map(|(at, new)| new.arguments(at));
        arguments.flatten().collect()
    }

    /// The text of its lock, of which Nix wrote `text`.
    pub fn complete_lock(&self, text: String) -> Result<String, Failure> {
        if self.new_inputs().next().is_none() {
            return Ok(text);
        }
        let mut lock = serde_json::from_str(&text).or_internal("read the lock that Nix wrote")?;
        for (at, new) in self.new_inputs() {
            new.complete(at, &mut lock)?;
        }
        Ok(lock.to_string())
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

    /// The text of its lock, as far as it is known without Nix, which reports a lock that cannot be read.
    fn lock(&self) -> Option<String> {
        let dir = self.tree.as_ref()?.directory();
        lock_file::read(&dir).ok().flatten()
    }

    /// Fails if an input of a flake whose files are here is neither locked nor overridden: Nix would fetch every input before
    /// it refused that. What only Nix sees, such as another URL, is left to it.
    pub fn check_lock(&self) -> Result<(), Failure> {
        let missing = self.unlocked_inputs();
        let missing: Vec<_> = missing
            .into_iter()
            .filter(|input| !self.is_overridden(input))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let is_local = self.local_tree().is_some();
        Err(unlocked::failure(&missing, &self.reference, is_local))
    }

    /// Whether its lock is complete only with the overridden inputs.
    pub(super) fn is_locked_by_overrides(&self) -> bool {
        !self.unlocked_inputs().is_empty() && self.check_lock().is_ok()
    }

    /// The inputs of a flake whose files are here that its lock lacks.
    fn unlocked_inputs(&self) -> Vec<String> {
        let directory = self.tree.as_ref().map(FlakeTree::directory);
        directory.map_or_else(Vec::new, |dir| unlocked::inputs(&dir))
    }

    /// Whether its uploaded files decide what is evaluated: it is local, and its own lock is used. What replaces an input may have
    /// no lock, and follow a branch.
    pub(super) fn is_uploaded(&self) -> bool {
        self.tree.is_some() && self.overrides.is_empty()
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

    /// The names of the overridden inputs.
    pub(super) fn overridden_inputs(&self) -> Vec<String> {
        self.overrides
            .iter()
            .map(|o| o.input().to_owned())
            .collect()
    }

    /// Where it is: a directory, or the reference without an attribute.
    pub(super) fn location(&self) -> String {
        let directory = self.directory();
        let directory = directory.map(|dir| dir.to_string_lossy().into_owned());
        directory.unwrap_or_else(|| self.reference.text.clone())
    }

    /// What distinguishes it from other sources, for its name on the store volume.
    pub(super) fn identity(&self) -> String {
        let (location, attribute) = (self.location(), self.reference.attribute.join("\0"));
        format!("flake {location}#{attribute}")
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
        for (input, how) in self.unreachable_inputs() {
            events.warn(format!(
                "the builder would fetch the input {input} {how}: clone it, and give --override-input {input} DIR"
            ));
        }
        let collect = |(place, tree): (String, FlakeTree)| {
            let files = tree.collect(cancel, events)?;
            Ok(UploadDir { place, files })
        };
        let trees = self.trees().into_iter().map(collect);
        let inputs = self.inputs.iter().enumerate().map(|(at, input)| {
            let (place, files) = (layout::input(at), input.collect(cancel, events)?);
            Ok(UploadDir { place, files })
        });
        trees.chain(inputs).collect()
    }

    /// The inputs of a local flake that the builder cannot fetch and that are not overridden, and why.
    fn unreachable_inputs(&self) -> Vec<(String, &'static str)> {
        let lock = self.lock();
        let inputs = lock.as_deref().map(lock_file::unreachable_inputs);
        let inputs = inputs.into_iter().flatten();
        let inputs = inputs.filter(|(name, _)| !self.is_overridden(name));
        inputs.take(MAX_UNREACHABLE).collect()
    }

    /// Fails if the user's git cannot fetch an input that the user has `named` for it.
    fn check_git_inputs(&self, named: &[String]) -> Result<(), Failure> {
        let named = named.iter();
        let named = named.filter(|name| *name != SELF && !self.is_overridden(name));
        let named: Vec<_> = named.cloned().collect();
        if self.tree.is_none() && !named.is_empty() {
            let text = "--git-inputs names inputs of a flake that the builder fetches";
            return Err(
                Failure::usage(text).hint("--git-inputs 'self …' has your git fetch the flake too")
            );
        }
        let lock = self.lock().unwrap_or_default();
        let wrong = lock_file::not_fetched_by_git(&lock, &named)
            .into_iter()
            .next();
        wrong.map_or(Ok(()), |(name, why)| {
            Err(Failure::usage(format!(
                "--git-inputs: the input {name} {why}"
            )))
        })
    }

    /// The inputs of a flake that only the user's git can fetch and that are not overridden, and those that the user has `named`.
    fn locked_repositories(&self, named: &[String]) -> Vec<LockedRepository> {
        let lock = self.lock();
        let inputs = lock
            .as_deref()
            .map(|lock| lock_file::private_repositories(lock, named));
        let inputs = inputs.into_iter().flatten();
        inputs
            .filter(|locked| !self.is_overridden(&locked.name))
            .collect()
    }

    fn is_overridden(&self, input: &str) -> bool {
        self.overrides.iter().any(|o| o.input() == input)
    }

    /// Every directory that is uploaded, with its path in the builder.
    fn trees(&self) -> Vec<(String, FlakeTree)> {
        let own = self.tree.iter();
        let own = own.map(|tree| (layout::CONFIG.to_owned(), tree.clone()));
        let others = self.overrides.iter().enumerate();
        let others = others.filter_map(|(at, o)| Some((layout::overriding(at), o.tree()?.clone())));
        own.chain(others).collect()
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

    /// The text of a `flake.nix` that has this flake as its input `configuration`, with other inputs; `None` without such.
    pub(super) fn overriding_flake(&self) -> Option<String> {
        if self.overrides.is_empty() {
            return None;
        }
        let url = |path: &str, url: &str| format!("  {path}.url = {};\n", nix_string(url));
        let own = url("inputs.configuration", &self.url());
        let others = self.overrides.iter().enumerate();
        let others =
            others.map(|(at, o)| url(&o.attribute_path(), &o.url(&layout::overriding(at))));
        let inputs: String = std::iter::once(own).chain(others).collect();
        Some(format!(
            "{{\n{inputs}  outputs = inputs: {{ inherit (inputs) configuration; }};\n}}\n"
        ))
    }

    /// The expression of the source, a part of sdbuild's expressions. `changed`: the command line changes the configuration.
    pub(super) fn expression(&self, system: &str, changed: bool) -> String {
        let attribute = self.reference.attribute.iter();
        let attribute: String = attribute.map(|name| nix_string(name) + " ").collect();
        let (system, reference) = (nix_string(system), nix_string(&self.reference.text));
        let overridden = !self.overrides.is_empty();
        format!(
            "import ./flake-source.nix {{ system = {system}; reference = {reference}; attribute = [ {attribute}]; \
             changed = {changed}; overridden = {overridden}; }}\n"
        )
    }
}
