//! Inputs that only the user's own git reaches. They are uploaded, and added to the builder's store: Nix takes an input with the
//! locked hash from there, and fetches nothing. Another content has another path in the store.

use serde_json::{Map, Value, json};

use super::checkout::{Checkout, RemoteCommit};
use super::git_tree::commit_time;
use super::lock_file::LockedRepository;
use super::private_lock::{NewInput, UnlockedRepository};
use super::search::FlakeSearch;
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Class, Failure};
use crate::nixos::config_dir::{ConfigDir, Files, Selection};
use crate::nixos::git::Git;

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
        let commit = RemoteCommit {
            url: &locked.url,
            branch: locked.branch.as_deref(),
            revision: Some(&locked.revision),
            history: false,
        };
        let fetched = Self::of(commit, search).await;
        fetched.map_err(|failure| failure.context(format!("fetch the input {}", locked.name)))
    }

    /// Fetches the commit that the `flake.nix` names: the last one of a branch, unless it names one.
    pub(super) async fn resolve(
        declared: UnlockedRepository,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let commit = RemoteCommit {
            url: &declared.url,
            branch: declared.branch.as_deref(),
            revision: declared.revision.as_deref(),
            // Nix counts its commits.
            history: true,
        };
        let resolved = async {
            let input = Self::of(commit, search).await?;
            let commit = input.commit(&declared, search).await?;
            Ok((input, commit))
        };
        let context = format!("fetch the input {}", declared.name);
        let (mut input, commit) = resolved
            .await
            .map_err(|failure: Failure| failure.context(context))?;
        input.new = Some(NewInput { declared, commit });
        Ok(input)
    }

    async fn of(commit: RemoteCommit<'_>, search: FlakeSearch<'_>) -> Result<Self, Failure> {
        let checkout = Checkout::fetch(commit, search).await?;
        let git = Git::find(search.path, checkout.path(), search.cancel).await?;
        let files = git.paths(&["ls-files", "-z", "--cached"]).await?;
        Ok(Self {
            checkout,
            files,
            new: None,
        })
    }

    /// The commit that was fetched, as Nix has it in locks.
    async fn commit(
        &self,
        declared: &UnlockedRepository,
        search: FlakeSearch<'_>,
    ) -> Result<Map<String, Value>, Failure> {
        let git = Git::find(search.path, self.checkout.path(), search.cancel).await?;
        let missing = || Failure::message(Class::Usage, "git says nothing about its commit");
        let number = |text: Option<String>| text.and_then(|text| text.parse::<u64>().ok());
        let revision = git.line(&["rev-parse", "--verify", "HEAD"]).await;
        let count = git.line(&["rev-list", "--count", "HEAD"]).await;
        let branch = match &declared.branch {
            Some(branch) => Some(branch.clone()),
            None => self.checkout.default_branch(&declared.url, search).await?,
        };
        let fields = [
            ("type", Some(json!("git"))),
            ("url", Some(json!(declared.url))),
            ("ref", branch.map(Value::from)),
            ("rev", Some(revision.ok_or_else(missing)?.into())),
            ("revCount", Some(number(count).ok_or_else(missing)?.into())),
            (
                "lastModified",
                Some(number(commit_time(&git).await).ok_or_else(missing)?.into()),
            ),
        ];
        let fields = fields.into_iter();
        Ok(fields
            .filter_map(|(key, value)| Some((key.to_owned(), value?)))
            .collect())
    }

    /// What the lock will have of it, if it lacks this commit.
    pub(super) fn new_input(&self) -> Option<&NewInput> {
        self.new.as_ref()
    }

    /// The text of its own lock, if it is a new flake.
    pub(super) fn own_lock(&self) -> Option<String> {
        let dir = self.checkout.path().join(&self.new_input()?.declared.dir);
        super::lock_file::read(&dir).ok().flatten()
    }

    /// Lists the files.
    pub(super) fn collect(&self, cancel: &Cancel, events: &Events) -> Result<ConfigDir, Failure> {
        let selection = Selection {
            files: Files::Named(self.files.clone()),
            ..Selection::default()
        };
        ConfigDir::collect(self.checkout.path(), selection, cancel, events)
    }
}
