//! A flake's work tree as git sees it.

use std::path::Path;

use super::lock_file;
use crate::common::failure::Failure;
use crate::nixos::git::Git;

/// Names of untracked files that a warning lists; the rest is counted.
const MAX_UNTRACKED: usize = 10;

/// What git knows about a work tree.
#[derive(Clone, Debug)]
pub(super) struct GitTree {
    /// Tracked files, also of submodules, that may be missing in the work tree.
    pub(super) files: Vec<String>,
    /// Untracked `.nix` files that no ignore file lists.
    untracked: Vec<String>,
    /// The commit, if the tracked files are those of the commit.
    pub(super) revision: Option<String>,
    /// The time of the last commit in seconds since 1970.
    pub(super) last_modified: Option<String>,
}

impl GitTree {
    /// Asks git about the repository; the flake is in its directory `dir`.
    pub(super) async fn read(git: &Git, dir: &str) -> Result<Self, Failure> {
        let tracked = ["ls-files", "-z", "--cached", "--recurse-submodules"];
        let files = git.paths(&tracked).await?;
        let flake = Path::new(dir).join("flake.nix");
        if !files.iter().any(|name| Path::new(name) == flake) {
            let flake = flake.display();
            return Err(Failure::usage(format!(
                "{flake} is not part of its flake, because git does not track it"
            ))
            .hint(format!("git add {flake}")));
        }
        let others = [
            "ls-files",
            "-z",
            "--others",
            "--exclude-standard",
            "--",
            "*.nix",
        ];
        let lock = Path::new(dir).join(lock_file::NAME);
        let lock_is_committed =
            !git.dir().join(&lock).exists() || files.iter().any(|name| Path::new(name) == lock);
        let revision = git.line(&["rev-parse", "--verify", "HEAD"]).await;
        let is_clean = lock_is_committed && is_clean(git).await?;
        Ok(Self {
            untracked: git.names(&others).await?,
            revision: revision.filter(|_| is_clean),
            last_modified: commit_time(git).await,
            files,
        })
    }

    /// The files `names` of the commit that git has.
    pub(super) async fn of_commit(git: &Git, names: Vec<String>) -> Self {
        Self {
            files: names,
            untracked: Vec::new(),
            revision: git.line(&["rev-parse", "--verify", "HEAD"]).await,
            last_modified: commit_time(git).await,
        }
    }

    /// The warning that names the first files that git does not track, if there are some.
    pub(super) fn warning(&self) -> Option<String> {
        let names = &self.untracked;
        let listed: Vec<&str> = names
            .iter()
            .take(MAX_UNTRACKED)
            .map(String::as_str)
            .collect();
        let rest = match names.len().saturating_sub(MAX_UNTRACKED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!names.is_empty()).then(|| {
            let listed = listed.join(", ");
            format!(
                "git does not track {listed}{rest}: a flake contains only files that git tracks; `git add` what belongs to it"
            )
        })
    }
}

/// Whether the tracked files of a repository and of its submodules are those of the commit.
async fn is_clean(git: &Git) -> Result<bool, Failure> {
    // Of a submodule only the commit: the git that `status` starts in it would run programs that its settings name.
    let status = [
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=dirty",
    ];
    let mut repositories = vec![git.clone()];
    while let Some(git) = repositories.pop() {
        if !git.output(&status).await?.is_empty() {
            return Ok(false);
        }
        for dir in git.submodules().await? {
            repositories.push(git.inside(&dir).await?);
        }
    }
    Ok(true)
}

/// The time of the last commit in seconds since 1970. (`log` would also check signatures, with a program of the settings.)
pub(super) async fn commit_time(git: &Git) -> Option<String> {
    let commit = ["rev-list", "--max-count=1", "--timestamp", "HEAD"];
    let line = git.line(&commit).await?;
    let time = line.split(' ').next()?;
    time.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| time.to_owned())
}
