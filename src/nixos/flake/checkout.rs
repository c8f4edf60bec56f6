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
    /// Whether its whole history is fetched.
    pub(super) history: bool,
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

    /// The branch that the repository `url`, which this was fetched from, has as its default; `None` if it does not say.
    pub(super) async fn default_branch(
        &self,
        url: &str,
        search: FlakeSearch<'_>,
    ) -> Result<Option<String>, Failure> {
        let git = Git::find(search.path, self.path(), search.cancel).await?;
        let git = git.reaching(Protocol::of(url)?);
        let words = ["ls-remote", "--symref", "--", url, "HEAD"];
        let told = String::from_utf8_lossy(&git.output(&words).await?).into_owned();
        let branch = told.lines().find_map(|line| line.strip_prefix("ref: "));
        Ok(branch.and_then(|line| Some(line.split_once('\t')?.0.to_owned())))
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
    let fetch = async |depth: &[&str], what: &str| {
        let words = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let words = [&words[..], depth, &["--", commit.url, what]].concat();
        git.output(&words).await
    };
    let depth: &[&str] = if commit.history { &[] } else { &["--depth=1"] };
    let fetched = fetch(depth, commit.revision.unwrap_or(branch)).await;
    match commit.revision {
        None => fetched.map(drop)?,
        Some(_) if fetched.is_ok() => {}
        // Some servers give only the ends of branches.
        Some(_) => fetch(&[], branch).await.map(drop)?,
    }
    let wanted = commit.revision.unwrap_or("FETCH_HEAD");
    git.output(&["checkout", "--quiet", "--detach", wanted, "--"])
        .await?;
    Ok(())
}
