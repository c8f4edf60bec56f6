//! The files of a local flake: those that git tracks around it, or a directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Content;
use super::FlakeSearch;
use super::checkout::{Checkout, History};
use super::lock_file;
use crate::config_dir;
use crate::config_dir::{ConfigDir, Files, Selection};
use crate::git::Git;
use crate::stored_tree::InputTree;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::shell_word::{command_line, quoted};
use sdbuild_core::shown_path::{shown_dir, shown_path};
use sdbuild_core::terminal::output_files;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text, flakes_below};
use sdbuild_nix::flake_file::may_have_configuration;
use sdbuild_nix::flake_ref::encoded;
use sdbuild_nix::flake_ref::{FlakeLocation, FlakeRef};
use sdbuild_nix::flake_ref::{is_in_registry, registry_alternative};
use sdbuild_nix::user_files::UserFiles;

/// Names of untracked files that a warning lists; the rest is counted.
const MAX_UNTRACKED: usize = 10;

/// The files of a flake, and what pins them.
#[derive(Clone, Debug)]
pub(super) struct FlakeTree {
    /// The directory that is uploaded: the top of the git repository, or the flake's own.
    root: PathBuf,
    /// The flake's directory below it; empty for the root itself.
    dir: String,
    content: Content,
    /// The directory as the user gave it.
    given: PathBuf,
    /// Whether the user's home directory is in it.
    has_home: bool,
    git: Option<GitTree>,
    /// What git fetched, if the flake is elsewhere.
    checkout: Option<Arc<Checkout>>,
}

impl FlakeTree {
    /// The files of `reference`, whose path is absolute; `None` for one that the builder's Nix fetches. A usage error when a
    /// flake has no `flake.nix`, or git tracks nothing of it.
    pub(super) async fn of(
        reference: &FlakeRef,
        content: Content,
        search: FlakeSearch<'_>,
    ) -> Result<Option<Self>, Failure> {
        match &reference.location {
            FlakeLocation::Directory { untracked, .. } => {
                let dir = reference.directory().unwrap_or_default();
                let found = Self::find(&dir, *untracked, content, search)
                    .await
                    .map(Some);
                found.map_err(|mut failure| {
                    // A directory that does not exist may be meant as a name in a registry, or as a configuration.
                    if !dir.exists() {
                        failure.hints = vec![missing_directory_hint(&dir, reference)];
                    }
                    failure
                })
            }
            FlakeLocation::Repository(source) => {
                let checkout = Checkout::fetch(source, History::Commit, search).await?;
                Self::fetched(checkout, reference, content, search)
                    .await
                    .map(Some)
            }
            FlakeLocation::Remote(_) => Ok(None),
        }
    }

    /// The flake of `reference` in what git has fetched of its repository: its files, and no others that its links lead to.
    async fn fetched(
        checkout: Checkout,
        reference: &FlakeRef,
        content: Content,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let text = &reference.text;
        let top = checkout.files_dir();
        let root = top.canonicalize().or_environment("find what was fetched")?;
        let dir = top.join(&reference.dir).canonicalize().ok();
        let is_whole = |dir: &Path| content == Content::Files || dir.join(FLAKE_FILE).is_file();
        let dir = dir.filter(|dir| dir.starts_with(&root) && is_whole(dir));
        let dir = dir.ok_or_else(|| {
            let place = match reference.dir.as_str() {
                "" => "at its top".to_owned(),
                dir => format!("in its directory {dir}"),
            };
            Failure::usage(format!("{text} has no flake.nix {place}"))
                .hint("name the flake's directory with the parameter `dir`: ?dir=DIRECTORY")
        })?;
        let names = checkout.files(search).await?;
        let git = checkout.git(search).await?;
        Ok(Self {
            dir: below(&dir, &root)?,
            content,
            given: dir,
            has_home: false,
            root,
            git: Some(GitTree::of_commit(&git, names).await),
            checkout: Some(Arc::new(checkout)),
        })
    }

    /// The flake in `dir` or, inside a git repository, in the next directory above that has a `flake.nix`; plain files are those of
    /// `dir` itself. With `untracked` the directory is taken as it is, without git.
    pub(super) async fn find(
        dir: &Path,
        untracked: bool,
        content: Content,
        search: FlakeSearch<'_>,
    ) -> Result<Self, Failure> {
        let real = real_directory(dir, content)?;
        let mut up = real.ancestors();
        let repository = up.find(|dir| dir.join(".git").exists());
        let repository = repository.filter(|_| !untracked);
        let found = match content {
            Content::Flake => flake_directory(&real, repository),
            Content::Files => Some(&*real),
        };
        let flake = found.ok_or_else(|| {
            let failure = Failure::usage(format!("there is no flake.nix in {}", dir.display()));
            failure.hint(no_flake_hint(&real))
        })?;
        if repository.is_none() && flake == Path::new("/") {
            return Err(Failure::usage(
                "the flake is in the root directory, and its whole directory would be uploaded",
            )
            .hint("move it into a directory of its own"));
        }
        let root = repository.unwrap_or(flake);
        let below = below(flake, root)?;
        let git = match repository {
            Some(top) => {
                let git = Git::find(search.path, top, search.cancel).await?;
                Some(GitTree::read(&git, &below, content).await?)
            }
            None => None,
        };
        Ok(Self {
            dir: below,
            content,
            has_home: config_dir::has_home(root, search.home),
            root: root.to_path_buf(),
            given: dir.to_path_buf(),
            git,
            checkout: None,
        })
    }

    /// The flake's directory below the one that is uploaded.
    pub(super) fn dir(&self) -> &str {
        &self.dir
    }

    /// The flake's directory.
    pub(super) fn directory(&self) -> PathBuf {
        self.root.join(&self.dir)
    }

    /// Whether it is the user's own directory, not what git fetched.
    pub(super) fn is_local(&self) -> bool {
        self.checkout.is_none()
    }

    /// Whether it is plain files, not a flake.
    pub(super) fn is_files(&self) -> bool {
        self.content == Content::Files
    }

    /// What is wrong with the directory `path` beside the `flake.nix`, which is an input, and what to do; `is_files`: it is no flake.
    pub(super) fn problem_of_input(
        &self,
        path: &str,
        is_files: bool,
    ) -> Option<(&'static str, String)> {
        let full = self.directory().join(path).canonicalize();
        let Ok(full) = full else {
            return Some((
                "which does not exist",
                "make that directory, or name another one".to_owned(),
            ));
        };
        let wanted = if is_files {
            full
        } else {
            full.join(FLAKE_FILE)
        };
        if !wanted.exists() {
            let hint = "write its flake.nix, or declare it with `flake = false`";
            return Some(("which has no flake.nix", hint.to_owned()));
        }
        let below = wanted.strip_prefix(&self.root).ok()?;
        let is_in = |name: &String| Path::new(name).starts_with(below);
        let is_tracked = self
            .git
            .as_ref()
            .is_none_or(|git| git.files.iter().any(is_in));
        (!is_tracked).then(|| {
            let file = quoted(&below.to_string_lossy());
            ("which git does not track", format!("git add {file}"))
        })
    }

    /// Describes the uploaded files, for the plan.
    pub(super) fn describe(&self) -> String {
        let root = self.root.display();
        match &self.git {
            Some(GitTree {
                revision: Some(revision),
                ..
            }) if !self.is_local() => format!("fetched by git at {revision}"),
            None => format!("the directory {root}"),
            Some(git) => {
                let state = git.revision.as_deref();
                let state =
                    state.map_or("with changes".to_owned(), |rev| format!("clean at {rev}"));
                format!("the files of {root} that git tracks, {state}")
            }
        }
    }

    /// The directory that is uploaded in messages: empty if it is the current one as far as the user's words tell.
    pub(super) fn shown_dir(&self) -> String {
        let is_root = |dir: &Path| dir.canonicalize().is_ok_and(|real| real == self.root);
        if is_root(Path::new(".")) {
            return String::new();
        }
        shown_dir(if is_root(&self.given) {
            &self.given
        } else {
            &self.root
        })
    }

    /// The files, to look at.
    pub(super) fn user_files(&self) -> UserFiles {
        let files = match &self.git {
            Some(_) => UserFiles::tracked(&self.root),
            None => UserFiles::new(&self.root),
        };
        let flake = Path::new(&self.dir).join(FLAKE_FILE);
        files.beginning_with(&flake.to_string_lossy())
    }

    /// The reference of the flake when the files are in the directory `place`.
    pub(super) fn url(&self, place: &str) -> String {
        let git = self.git.as_ref();
        // Of plain files, Nix ignores the parameter `dir`, and takes all.
        let is_part = self.is_local() && self.content == Content::Files && !self.dir.is_empty();
        if is_part {
            return format!("path:{place}/{}", encoded(&self.dir));
        }
        // In the order in which Nix shows them.
        let parameters = [
            ("dir", Some(self.dir.as_str()).filter(|dir| !dir.is_empty())),
            (
                "lastModified",
                git.and_then(|git| git.last_modified.as_deref()),
            ),
            ("rev", git.and_then(|git| git.revision.as_deref())),
        ];
        let parameters = parameters
            .into_iter()
            .filter_map(|(key, value)| Some(format!("{key}={}", encoded(value?))));
        let query = parameters.collect::<Vec<_>>().join("&");
        let separator = if query.is_empty() { "" } else { "?" };
        format!("path:{place}{separator}{query}")
    }

    /// The files, in the place of an input. They are hashed, unless they were before and have not changed.
    pub(super) async fn stored(&self, search: FlakeSearch<'_>) -> Result<InputTree, Failure> {
        let (tree, hashes) = (self.clone(), search.hashes.to_owned());
        let (cancel, events) = (search.cancel.clone(), search.events.clone());
        let shown = self.root.display().to_string();
        let work = move || {
            let files = tree.collect(true, &cancel, &events)?.stored(&tree.root);
            InputTree::of(files, &hashes, &cancel).or_usage(format!("read {shown}"))
        };
        let work = search.cancel.race(tokio::task::spawn_blocking(work));
        work.await?.or_internal("read the files of an input")?
    }

    /// Lists the files; warns of those that git does not track. `is_input`: it replaces an input.
    pub(super) fn collect(
        &self,
        is_input: bool,
        cancel: &Cancel,
        events: &Events,
    ) -> Result<ConfigDir, Failure> {
        let always: Vec<String> = [FLAKE_FILE, lock_file::NAME]
            .into_iter()
            .map(|name| {
                Path::new(&self.dir)
                    .join(name)
                    .to_string_lossy()
                    .into_owned()
            })
            .collect();
        let files = match &self.git {
            None if self.has_home => {
                events.warn(config_dir::HOME_WARNING);
                Files::NotIgnored { no_hidden: true }
            }
            None => Files::default(),
            Some(git) => {
                if let Some(warning) = git.warning() {
                    events.warn(warning);
                }
                Files::Named(git.files.clone())
            }
        };
        let selection = Selection {
            files,
            always,
            excluded: output_files(),
            is_input,
        };
        ConfigDir::collect(&self.root, selection, cancel, events)
    }
}

/// What git knows about a work tree.
#[derive(Clone, Debug)]
struct GitTree {
    /// Tracked files, also of submodules, that may be missing in the work tree.
    files: Vec<String>,
    /// Untracked `.nix` files that no ignore file lists, also of submodules.
    untracked: Vec<String>,
    /// The commit, if the tracked files are those of the commit.
    revision: Option<String>,
    /// The time of the last commit in seconds since 1970.
    last_modified: Option<String>,
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

/// The directory `dir` without symbolic links.
fn real_directory(dir: &Path, content: Content) -> Result<PathBuf, Failure> {
    let shown = dir.display();
    let real = dir.canonicalize();
    if content == Content::Files {
        let real = real.or_usage(format!("find the directory {shown}"))?;
        if real.is_dir() {
            return Ok(real);
        }
        return Err(Failure::usage(format!("{shown} is a file")).hint("give a directory"));
    }
    let real = real.or_usage(format!("find the flake {shown}"))?;
    if real.is_file() {
        return Err(Failure::usage(format!("{shown} is a file, not a flake"))
            .hint("give the directory with the flake.nix; --config takes a file with a NixOS configuration"));
    }
    Ok(real)
}

/// What may be meant by the `reference` to the directory `dir`, which does not exist: a configuration of the flake beside it, or a
/// repository without `github:`.
fn missing_directory_hint(dir: &Path, reference: &FlakeRef) -> String {
    let (above, name) = (parent_dir(dir), dir.file_name().unwrap_or_default());
    let (text, name) = (
        flake_text(above).unwrap_or_default(),
        name.to_string_lossy(),
    );
    if may_have_configuration(&text, &name) {
        let is_here = std::env::current_dir().is_ok_and(|here| here == above);
        let place = if is_here {
            ".".to_owned()
        } else {
            shown_path(above)
        };
        let reference = quoted(&format!("{place}#{name}"));
        return format!("write the configuration {name} of a flake after a `#`: {reference}");
    }
    if is_in_registry(&reference.text) && reference.text.contains('/') {
        return registry_alternative(&reference.text) + &reference.fragment();
    }
    "name a directory with a flake.nix; `.` is the current directory".to_owned()
}

/// What to do about the directory `dir`, which has no `flake.nix`.
fn no_flake_hint(dir: &Path) -> String {
    let file = dir.join(CONFIG_NAME);
    if !file.is_file() {
        return flakes_below(dir).unwrap_or_else(|| "give the directory of a flake, or a file with a NixOS configuration with --config; `sdbuild init --flake` writes a flake".to_owned());
    }
    match shown_path(&file) {
        here if here == CONFIG_NAME => {
            format!("{CONFIG_NAME} is here. sdbuild uses it if you name no flake")
        }
        file => format!("{CONFIG_NAME} is there; give {}", quoted(&file)),
    }
}

/// The next directory from `dir` upwards with a `flake.nix`, as far as the `repository` goes; without one only `dir` itself.
fn flake_directory<'a>(dir: &'a Path, repository: Option<&Path>) -> Option<&'a Path> {
    let is_inside = |up: &&Path| repository.map_or(*up == dir, |top| up.starts_with(top));
    let mut inside = dir.ancestors().take_while(is_inside);
    inside.find(|dir| dir.join(FLAKE_FILE).is_file())
}

/// The path of `flake` below `root`.
fn below(flake: &Path, root: &Path) -> Result<String, Failure> {
    let below = flake.strip_prefix(root).unwrap_or(Path::new(""));
    let below = below.to_str().ok_or_else(|| {
        Failure::usage(format!(
            "the name of {} is not plain UTF-8",
            flake.display()
        ))
        .hint("rename it")
    })?;
    Ok(below.to_owned())
}

#[cfg(test)]
mod tests;
