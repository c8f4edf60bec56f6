//! Files of a repository that the builder cannot reach: the user's own git fetches them, with the user's keys.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::FlakeSearch;
use super::lock_file;
use super::tree::commit_time;
use crate::config_dir::{ConfigDir, Files, Selection};
use crate::git::{Git, Protocol, plain_path};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::http_url;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_nix::flake_lock::Lock;
use sdbuild_nix::git_inputs::{Commit, LockedRepository, NewInput, UnlockedRepository};
use sdbuild_nix::git_source::GitSource;

/// The files are those of the commit, to the byte, as Nix takes them: no attribute changes them.
const NO_CONVERSION: &str = "* -text -eol -ident -filter -working-tree-encoding\n";

/// An archive is what the attributes of the repository itself make of it, as on a server.
const NO_OWN_SETTINGS: [[&str; 2]; 3] = [
    ["core.autocrlf", "false"],
    ["core.eol", "lf"],
    ["core.attributesFile", "/dev/null"],
];
/// The archive, below the directory of the repository.
const ARCHIVE: &str = ".git/sdbuild.tar";
/// The directory with its files, below that.
const UNPACKED: &str = ".git/sdbuild";

/// How much of a repository is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum History {
    /// One commit.
    Commit,
    /// All commits up to it.
    Whole,
}

/// The files of a commit, in a directory that is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Checkout {
    dir: ScratchDir,
    /// The names of the files of an archive.
    archived: Option<Vec<String>>,
}

impl Checkout {
    /// Fetches the commit of `source`. A usage error with git's message when it cannot be had.
    pub(super) async fn fetch(
        source: &GitSource,
        history: History,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let shown = hide_secrets(&source.url);
        check_access(&source.url, search)?;
        let cache = search.cache.display();
        let dir = ScratchDir::create(search.cache)
            .or_environment(format!("create a directory in {cache}"))?;
        search
            .events
            .notice(format!("fetching {shown} with your git"));
        let fetched = fetch(source, history, dir.path(), search).await;
        fetched.map_err(|failure| {
            let failure = failure.context(format!("fetch {shown}"));
            failure.hint(format!(
                "`git ls-remote {shown}` shows whether your git has access; sdbuild never asks for a password"
            ))
        })?;
        let mut checkout = Self {
            dir,
            archived: None,
        };
        if source.is_archive {
            let unpacked = checkout.unpack(search).await;
            checkout.archived = Some(
                unpacked
                    .map_err(|failure| failure.context(format!("unpack the files of {shown}")))?,
            );
        }
        Ok(checkout)
    }

    /// Unpacks the archive; the names of its files.
    async fn unpack(&self, search: FlakeSearch<'_>) -> Result<Vec<String>, Failure> {
        let dir = self.path().to_owned();
        let unpacking = tokio::task::spawn_blocking(move || unpack(&dir));
        let unpacked = search.cancel.race(unpacking).await?.or_internal("unpack")?;
        let names = unpacked.or_environment("unpack")?;
        names.iter().map(|name| plain_path(name)).collect()
    }

    /// Git for the repository that was fetched.
    pub(super) async fn git(&self, search: FlakeSearch<'_>) -> Result<Git, Failure> {
        Git::find(search.path, self.path(), search.cancel).await
    }

    /// The names of its files.
    pub(super) async fn files(&self, search: FlakeSearch<'_>) -> Result<Vec<String>, Failure> {
        if let Some(names) = &self.archived {
            return Ok(names.clone());
        }
        let git = self.git(search).await?;
        git.paths(&["ls-files", "-z", "--cached"]).await
    }

    /// The directory with the files.
    pub(super) fn files_dir(&self) -> PathBuf {
        match &self.archived {
            Some(_) => self.path().join(UNPACKED),
            None => self.path().to_owned(),
        }
    }

    /// The branch that the repository `url`, which this was fetched from, has as its default; `None` if it does not say.
    pub(super) async fn default_branch(
        &self,
        url: &str,
        search: FlakeSearch<'_>,
    ) -> Result<Option<String>, Failure> {
        let git = self.git(search).await?.reaching(Protocol::of(url)?);
        let words = ["ls-remote", "--symref", "--", url, "HEAD"];
        let told = String::from_utf8_lossy(&git.output(&words).await?).into_owned();
        let branch = told.lines().find_map(|line| line.strip_prefix("ref: "));
        Ok(branch.and_then(|line| Some(line.split_once('\t')?.0.to_owned())))
    }

    /// The directory of the repository.
    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }
}

/// The files of an input that only the user's own git reaches. They are uploaded, and added to the builder's store: Nix takes an input with
/// the locked hash from there, and fetches nothing. Another content has another path in the store.
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
        check_is_users(&locked.path, &locked.source, locked.is_named, search)?;
        let fetched = Self::of(&locked.source, History::Commit, search).await;
        fetched.map_err(|failure| failure.context(format!("fetch the input {}", locked.path)))
    }

    /// Fetches the commit that the `flake.nix` names: the last one of a branch, unless it names one.
    pub(super) async fn resolve(
        declared: UnlockedRepository,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        check_is_users(&declared.name, &declared.source, declared.is_named, search)?;
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

    /// Its name, if the lock lacks it.
    pub(super) fn name(&self) -> Option<&str> {
        self.new_input().map(|new| new.declared.name.as_str())
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

/// Refuses the input `path` from a repository of this machine, unless the user names it: whoever wrote the flake would read it.
fn check_is_users(
    path: &str,
    source: &GitSource,
    is_named: bool,
    search: FlakeSearch<'_>,
) -> Result<(), Failure> {
    if !source.url.starts_with("file:") || is_named && search.names_git_inputs {
        return Ok(());
    }
    let text = format!(
        "the flake's input {path} is a repository of this machine, {}, which no flake reads unless you name the input",
        source.url
    );
    Err(Failure::usage(text).hint(format!(
        "if you trust the flake with it, give --git-inputs {path}, or set git-inputs in your own ~/.config/sdbuild/sdbuild.toml"
    )))
}

/// Refuses an address with a secret in it, which would be an argument of git, and one that is not offline.
fn check_access(url: &str, search: FlakeSearch<'_>) -> Result<(), Failure> {
    let shown = hide_secrets(url);
    if url.starts_with("http")
        && let Some(secret) = http_url::secret_in(url)
    {
        return Err(Failure::usage(format!("the address {shown} {secret}"))
            .hint("let a credential helper of git have it: arguments of programs are not secret"));
    }
    if search.offline && Protocol::of(url)? != Protocol::File {
        let text = format!("your git would fetch {shown}, but --offline does not allow that");
        return Err(Failure::environment(text)
            .hint("clone it, and give the directory: --override-input INPUT DIR"));
    }
    Ok(())
}

/// Fetches the commit of `source` into the new repository `dir`, with its files, or with their archive.
async fn fetch(
    source: &GitSource,
    history: History,
    dir: &Path,
    search: FlakeSearch<'_>,
) -> Result<(), Failure> {
    let protocol = Protocol::of(&source.url)?;
    let git = Git::find(search.path, dir, search.cancel).await?;
    let sha256 = source.has_sha256().then_some("--object-format=sha256");
    let init = ["init", "--quiet", "--template="].into_iter().chain(sha256);
    git.output(&init.collect::<Vec<_>>()).await?;
    if source.is_archive {
        for [setting, value] in NO_OWN_SETTINGS {
            git.output(&["config", setting, value]).await?;
        }
    } else {
        let info = dir.join(".git/info");
        let write = fs::create_dir_all(&info)
            .and_then(|()| fs::write(info.join("attributes"), NO_CONVERSION));
        write.or_environment(format!("write {}", info.display()))?;
    }
    let git = git.reaching(protocol);
    fetch_commit(&git, source, history).await?;
    if source.is_archive {
        let output = format!("--output={ARCHIVE}");
        git.output(&["archive", "--format=tar", &output, "HEAD"])
            .await?;
    } else {
        git.output(&["reset", "--quiet", "--hard", "HEAD", "--"])
            .await?;
    }
    Ok(())
}

/// Fetches the commit of `source`, which is HEAD then.
async fn fetch_commit<'s>(
    git: &Git,
    source: &'s GitSource,
    history: History,
) -> Result<(), Failure> {
    let branch = source.branch.as_deref().unwrap_or("HEAD");
    let words = |depth: &[&'static str], what: &'s str| {
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        [&fetch[..], depth, &["--", &source.url, what]].concat()
    };
    let depth: &[_] = match history {
        History::Commit => &["--depth=1"],
        History::Whole => &[],
    };
    let near = words(depth, source.revision.as_deref().unwrap_or(branch));
    git.fetch(&near, &words(&[], branch)).await?;
    // Also where a tag names it.
    let wanted = source.revision.as_deref().unwrap_or("FETCH_HEAD^{commit}");
    git.output(&["update-ref", "--no-deref", "HEAD", wanted])
        .await?;
    let head = git.line(&["rev-parse", "--verify", "HEAD^{commit}"]).await;
    match (&source.revision, head) {
        (None, Some(_)) => Ok(()),
        (Some(wanted), Some(head)) if *wanted == head => Ok(()),
        (wanted, _) => {
            let wanted = wanted.as_deref().unwrap_or(branch);
            Err(Failure::usage(format!("{wanted} is not a commit there")))
        }
    }
}

/// Unpacks the archive in the repository `dir`; the names of its files, which may be any.
fn unpack(dir: &Path) -> io::Result<Vec<Vec<u8>>> {
    let archive = || Ok::<_, io::Error>(tar::Archive::new(fs::File::open(dir.join(ARCHIVE))?));
    archive()?.unpack(dir.join(UNPACKED))?;
    let mut names = Vec::new();
    for entry in archive()?.entries()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_symlink() {
            names.push(entry.path_bytes().into_owned());
        }
    }
    Ok(names)
}
