//! A flake's work tree as git sees it.

use std::path::Path;

use super::content::Content;
use super::lock_file;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::git::Git;
use sdbuild_core::failure::Failure;
use sdbuild_core::shell_word::command_line;

/// Names of untracked files that a warning lists; the rest is counted.
const MAX_UNTRACKED: usize = 10;

/// What git knows about a work tree.
#[derive(Clone, Debug)]
pub(super) struct GitTree {
    /// Tracked files, also of submodules, that may be missing in the work tree.
    pub(super) files: Vec<String>,
    /// Untracked `.nix` files that no ignore file lists, also of submodules.
    untracked: Vec<String>,
    /// The commit, if the tracked files are those of the commit.
    pub(super) revision: Option<String>,
    /// The time of the last commit in seconds since 1970.
    pub(super) last_modified: Option<String>,
}

impl GitTree {
    /// Asks git about the repository; the flake, or the plain files, are in its directory `dir`.
    pub(super) async fn read(git: &Git, dir: &str, content: Content) -> Result<Self, Failure> {
        let tracked = ["ls-files", "-z", "--cached", "--recurse-submodules"];
        let files = git.paths(&tracked).await?;
        let flake = Path::new(dir).join(FLAKE_FILE);
        let has = |file: &Path| files.iter().any(|name| Path::new(name).starts_with(file));
        if content == Content::Files && !has(Path::new(dir)) {
            return Err(untracked_files(git.dir(), dir));
        }
        if content == Content::Flake && !has(&flake) {
            return Err(untracked_flake(git, &flake).await?);
        }
        let lock = Path::new(dir).join(lock_file::NAME);
        let lock_is_committed = !git.dir().join(&lock).exists() || has(&lock);
        let revision = git.line(&["rev-parse", "--verify", "HEAD"]).await;
        let repositories = with_submodules(git).await?;
        let is_clean = lock_is_committed && are_clean(&repositories).await?;
        Ok(Self {
            untracked: untracked(&repositories, git.dir()).await?,
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
                "the flake contains only files that git tracks, so it lacks {listed}{rest}. Run `git add` on what \
                 belongs to it"
            )
        })
    }
}

/// The failure for the directory `dir` of the repository in `top`, of which git tracks nothing.
fn untracked_files(top: &Path, dir: &str) -> Failure {
    let dir = top.join(dir);
    let shown = dir.display();
    Failure::usage(format!("git tracks no file in {shown}")).hint(format!(
        "git add its files, or give path:{shown}, which takes the directory without git"
    ))
}

/// The failure for the file `flake`, which git does not track: with the line that adds it and the modules beside it.
async fn untracked_flake(git: &Git, flake: &Path) -> Result<Failure, Failure> {
    let mut names = untracked(std::slice::from_ref(git), git.dir()).await?;
    names.retain(|name| Path::new(name).parent() == flake.parent());
    // It is not among them if an ignore file lists it.
    if names.len() > MAX_UNTRACKED || !names.iter().any(|name| Path::new(name) == flake) {
        names = vec![flake.display().to_string()];
    }
    Ok(Failure::usage(format!(
        "{} is not part of its flake, because git does not track it",
        flake.display()
    ))
    .hint(format!("git add {}", command_line(&names))))
}

/// The repository, and those of its submodules that are checked out, at every level.
async fn with_submodules(git: &Git) -> Result<Vec<Git>, Failure> {
    let mut repositories = vec![git.clone()];
    let mut searched = 0;
    while let Some(git) = repositories.get(searched).cloned() {
        for dir in git.submodules().await? {
            repositories.push(git.inside(&dir).await?);
        }
        searched += 1;
    }
    Ok(repositories)
}

/// Whether the tracked files of `repositories` are those of their commits.
async fn are_clean(repositories: &[Git]) -> Result<bool, Failure> {
    // Of a submodule only the commit: the git that `status` starts in it would run programs that its settings name.
    let status = [
        "status",
        "--porcelain",
        "-z",
        "--untracked-files=no",
        "--ignore-submodules=dirty",
    ];
    for git in repositories {
        if !git.output(&status).await?.is_empty() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The untracked `.nix` files of `repositories` that no ignore file lists, by their paths below `top`.
async fn untracked(repositories: &[Git], top: &Path) -> Result<Vec<String>, Failure> {
    let others = [
        "ls-files",
        "-z",
        "--others",
        "--exclude-standard",
        "--",
        "*.nix",
    ];
    let mut all = Vec::new();
    for git in repositories {
        let dir = git.dir().strip_prefix(top).unwrap_or(git.dir());
        let names = git.names(&others).await?;
        let paths = names
            .iter()
            .map(|name| dir.join(name).display().to_string());
        all.extend(paths);
    }
    Ok(all)
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
