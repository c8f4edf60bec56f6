//! Locked inputs that only the user's own git reaches. They are uploaded, and added to the builder's store: Nix takes an input
//! with the locked hash from there, and fetches nothing. Another content has another path in the store.

use super::checkout::{Checkout, RemoteCommit};
use super::lock_file::LockedRepository;
use super::search::FlakeSearch;
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::Failure;
use crate::nixos::config_dir::{ConfigDir, Files, Selection};
use crate::nixos::git::Git;

/// The files of an input.
#[derive(Debug)]
pub(super) struct PrivateInput {
    checkout: Checkout,
    /// The names of the files.
    files: Vec<String>,
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
        };
        let input = |failure: Failure| failure.context(format!("fetch the input {}", locked.name));
        let checkout = Checkout::fetch(commit, search).await.map_err(input)?;
        let git = Git::find(search.path, checkout.path(), search.cancel).await?;
        let files = git
            .paths(&["ls-files", "-z", "--cached"])
            .await
            .map_err(input)?;
        Ok(Self { checkout, files })
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
