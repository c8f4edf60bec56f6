//! Inputs that only the user's own git reaches. They are uploaded, and added to the builder's store: Nix takes an input with the
//! locked hash from there, and fetches nothing. Another content has another path in the store.

use super::checkout::{Checkout, History};
use super::git_tree::commit_time;
use super::lock::Lock;
use super::lock_file;
use super::locked_inputs::LockedRepository;
use super::private_lock::{Commit, NewInput, UnlockedRepository};
use super::search::FlakeSearch;
use crate::common::git_source::GitSource;
use crate::nixos::config_dir::{ConfigDir, Files, Selection};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure};

/// The files of an input.
#[derive(Debug)]
pub(super) struct PrivateInput {
    checkout: Checkout,
    /// The names of the files.
    files: Vec<String>,
    /// What the lock will have of it, if it lacks this commit.
    new: Option<NewInput>,
}

impl PrivateInput {
    /// Fetches the commit that the lock names.
    pub(super) async fn fetch(
        locked: &LockedRepository,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let fetched = Self::of(&locked.source, History::Commit, search).await;
        fetched.map_err(|failure| failure.context(format!("fetch the input {}", locked.path)))
    }

    /// Fetches the commit that the `flake.nix` names: the last one of a branch, unless it names one.
    pub(super) async fn resolve(
        declared: UnlockedRepository,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        // Nix counts the commits of what is not an archive.
        let history = if declared.source.is_archive {
            History::Commit
        } else {
            History::Whole
        };
        let resolved = async {
            let input = Self::of(&declared.source, history, search).await?;
            let commit = input.commit(&declared.source, search).await?;
            Ok((input, commit))
        };
        let context = format!("fetch the input {}", declared.name);
        let (mut input, commit) = resolved
            .await
            .map_err(|failure: Failure| failure.context(context))?;
        let commit = declared.locked(commit);
        input.new = Some(NewInput { declared, commit });
        Ok(input)
    }

    async fn of(
        source: &GitSource,
        history: History,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let checkout = Checkout::fetch(source, history, search).await?;
        let files = checkout.files(search).await?;
        Ok(Self {
            checkout,
            files,
            new: None,
        })
    }

    /// The commit that was fetched.
    async fn commit(&self, source: &GitSource, search: FlakeSearch<'_>) -> Result<Commit, Failure> {
        let git = self.checkout.git(search).await?;
        let missing = || Failure::message(Class::Usage, "git says nothing about its commit");
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        let revision = git.line(&["rev-parse", "--verify", "HEAD"]).await;
        let count = git.line(&["rev-list", "--count", "HEAD"]).await;
        let branch = match &source.branch {
            Some(branch) => Some(branch.clone()),
            None if source.is_archive => None,
            None => self.checkout.default_branch(&source.url, search).await?,
        };
        Ok(Commit {
            revision: revision.ok_or_else(missing)?,
            branch,
            count: number(count).ok_or_else(missing)?,
            last_modified: number(commit_time(&git).await).ok_or_else(missing)?,
        })
    }

    /// What the lock will have of it, if it lacks this commit.
    pub(super) fn new_input(&self) -> Option<&NewInput> {
        self.new.as_ref()
    }

    /// Its own lock, if it is a new flake.
    pub(super) fn own_lock(&self) -> Option<Lock> {
        let declared = &self.new_input()?.declared;
        let dir = self.checkout.files_dir().join(declared.dir());
        Lock::parse(&lock_file::read(&dir).ok()??)
    }

    /// Lists the files.
    pub(super) fn collect(&self, cancel: &Cancel, events: &Events) -> Result<ConfigDir, Failure> {
        let selection = Selection {
            files: Files::Named(self.files.clone()),
            is_input: true,
            ..Selection::default()
        };
        ConfigDir::collect(&self.checkout.files_dir(), selection, cancel, events)
    }
}
