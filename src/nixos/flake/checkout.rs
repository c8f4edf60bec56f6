//! Files of a repository that the builder cannot reach: the user's own git fetches them, with the user's keys.

use std::path::{Path, PathBuf};
use std::{fs, io};

use super::search::FlakeSearch;
use crate::common::failure::{Failure, OrFail as _};
use crate::common::git_source::GitSource;
use crate::common::http_url::{self, without_secrets};
use crate::common::scratch_dir::ScratchDir;
use crate::nixos::git::{Git, Protocol};

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

/// A commit of a repository.
#[derive(Clone, Copy, Debug)]
pub(super) struct RemoteCommit<'a> {
    /// The address, as git takes it.
    pub(super) url: &'a str,
    /// The branch or tag; `None` for the default branch.
    pub(super) branch: Option<&'a str>,
    /// The commit; `None` for the last one of the branch.
    pub(super) revision: Option<&'a str>,
    /// Whether its whole history is fetched.
    pub(super) history: bool,
    /// Whether its files are those of an archive that `git archive` makes.
    pub(super) is_archive: bool,
}

impl<'a> RemoteCommit<'a> {
    /// The commit of `source`, without its history.
    pub(super) fn of(source: &'a GitSource) -> Self {
        Self {
            url: &source.url,
            branch: source.branch.as_deref(),
            revision: source.revision.as_deref(),
            history: false,
            is_archive: source.is_archive,
        }
    }
}

/// The files of a commit, in a directory that is removed when the value is dropped.
#[derive(Debug)]
pub(super) struct Checkout {
    dir: ScratchDir,
    /// The names of the files of an archive.
    archived: Option<Vec<String>>,
}

impl Checkout {
    /// Fetches `commit`. A usage error with git's message when it cannot be had.
    pub(super) async fn fetch(
        commit: RemoteCommit<'_>,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let shown = without_secrets(commit.url);
        if commit.url.starts_with("http")
            && let Some(secret) = http_url::secret_in(commit.url)
        {
            return Err(
                Failure::usage(format!("the address {shown} {secret}")).hint(
                    "let a credential helper of git have it: arguments of programs are no secret",
                ),
            );
        }
        if search.offline && Protocol::of(commit.url)? != Protocol::File {
            let text =
                format!("{shown} would be fetched by your git, and --offline allows no fetch");
            return Err(Failure::environment(text)
                .hint("clone it, and give the directory: --override-input INPUT DIR"));
        }
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
        let archived = if commit.is_archive {
            let dir = dir.path().to_owned();
            let unpacked = tokio::task::spawn_blocking(move || unpack(&dir));
            let unpacked = search.cancel.race(unpacked).await?.or_internal("unpack")?;
            Some(unpacked.or_environment(format!("unpack the files of {shown}"))?)
        } else {
            None
        };
        Ok(Self { dir, archived })
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

async fn fetch(
    commit: RemoteCommit<'_>,
    dir: &Path,
    search: FlakeSearch<'_>,
) -> Result<(), Failure> {
    let protocol = Protocol::of(commit.url)?;
    let git = Git::find(search.path, dir, search.cancel).await?;
    git.output(&["init", "--quiet", "--template="]).await?;
    if commit.is_archive {
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
    let branch = commit.branch.unwrap_or("HEAD");
    let fetch = async |depth: &[&str], what: &str| {
        let words = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules"];
        let words = [&words[..], depth, &["--", commit.url, what]].concat();
        git.output(&words).await
    };
    let depth: &[&str] = if commit.history { &[] } else { &["--depth=1"] };
    let fetched = fetch(depth, commit.revision.unwrap_or(branch)).await;
    match fetched {
        // Some servers give only the ends of branches, and those without git only whole histories.
        Err(failure) if commit.revision.is_some() || gives_only_histories(&failure) => {
            fetch(&[], branch).await.map(drop)?;
        }
        fetched => fetched.map(drop)?,
    }
    let wanted = commit.revision.unwrap_or("FETCH_HEAD");
    if commit.is_archive {
        git.output(&["update-ref", "--no-deref", "HEAD", wanted])
            .await?;
        let output = format!("--output={ARCHIVE}");
        git.output(&["archive", "--format=tar", &output, "HEAD"])
            .await?;
    } else {
        git.output(&["checkout", "--quiet", "--detach", wanted, "--"])
            .await?;
    }
    Ok(())
}

/// Whether git says that a server has only files of repositories.
fn gives_only_histories(failure: &Failure) -> bool {
    failure
        .to_string()
        .contains("transport does not support shallow capabilities")
}

/// Unpacks the archive in the repository `dir`; the names of its files.
fn unpack(dir: &Path) -> io::Result<Vec<String>> {
    let archive = || Ok::<_, io::Error>(tar::Archive::new(fs::File::open(dir.join(ARCHIVE))?));
    archive()?.unpack(dir.join(UNPACKED))?;
    let mut names = Vec::new();
    for entry in archive()?.entries()? {
        let entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_symlink() {
            names.push(entry.path()?.to_string_lossy().into_owned());
        }
    }
    Ok(names)
}
