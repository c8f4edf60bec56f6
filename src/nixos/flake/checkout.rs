//! Files of a repository that the builder cannot reach: the user's own git fetches them, with the user's keys.

use std::fs;
use std::path::Path;

use super::search::FlakeSearch;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::http_url::without_secrets;
use crate::common::scratch_dir::ScratchDir;
use crate::nixos::git::{Git, Protocol};

/// The files are those of the commit, to the byte, as Nix takes them: no attribute changes them.
const NO_CONVERSION: &str = "* -text -eol -ident -filter -working-tree-encoding\n";

/// A commit of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteCommit<'a> {
    /// The address, as git takes it: `ssh:` or `file:`.
    pub(super) url: &'a str,
    /// The branch or tag; `None` for the default branch.
    pub(super) branch: Option<&'a str>,
    /// The commit; `None` for the last one of the branch.
    pub(super) revision: Option<&'a str>,
}

/// The files of a commit, in a directory that is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Checkout(ScratchDir);

impl Checkout {
    /// Fetches `commit`. A usage error with git's message when it cannot be had.
    pub(super) async fn fetch(
        commit: RemoteCommit<'_>,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let shown = without_secrets(commit.url);
        let cache = search.cache.display();
        let dir = ScratchDir::create(search.cache)
            .or_environment(format!("create a directory in {cache}"))?;
        search
            .events
            .notice(format!("fetching {shown} with your git"));
        let fetched = fetch(commit, dir.path(), search).await;
        fetched.map_err(|failure| {
            let failure = failure.context(format!("fetch {shown}"));
            failure.hint(format!(
                "`git ls-remote {shown}` shows whether your git has access; nobody is asked for a password here"
            ))
        })?;
        Ok(Self(dir))
    }

    /// The directory with the files.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }
}

async fn fetch(
    commit: RemoteCommit<'_>,
    dir: &Path,
    search: FlakeSearch<'_>,
) -> Result<(), Failure> {
    let protocol = Protocol::of(commit.url)?;
    let git = Git::find(search.path, dir, search.cancel).await?;
    git.output(&["init", "--quiet", "--template="]).await?;
    let info = dir.join(".git/info");
    let write =
        fs::create_dir_all(&info).and_then(|()| fs::write(info.join("attributes"), NO_CONVERSION));
    write.or_environment(format!("write {}", info.display()))?;
    let git = git.reaching(protocol);
    let branch = commit.branch.unwrap_or("HEAD");
    let one = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-recurse-submodules",
        "--depth=1",
        "--",
        commit.url,
    ];
    let fetched = git
        .output(&[&one[..], &[commit.revision.unwrap_or(branch)]].concat())
        .await;
    match commit.revision {
        None => fetched.map(drop)?,
        Some(_) if fetched.is_ok() => {}
        // Some servers give only the ends of branches.
        Some(_) => {
            let all = [
                "fetch",
                "--quiet",
                "--no-tags",
                "--no-recurse-submodules",
                "--",
                commit.url,
            ];
            git.output(&[&all[..], &[branch]].concat()).await?;
        }
    }
    let wanted = commit.revision.unwrap_or("FETCH_HEAD");
    git.output(&["checkout", "--quiet", "--detach", wanted, "--"])
        .await?;
    Ok(())
}
