//! The files of a local flake: those that git tracks around it, or a directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkout::{Checkout, History};
use super::content::Content;
use super::git_tree::GitTree;
use super::input_url;
use super::lock_file;
use super::search::FlakeSearch;
use crate::common::configuration_file::{CONFIG_NAME, FLAKE_FILE, flake_text};
use crate::common::flake_ref::{FlakeLocation, FlakeRef};
use crate::common::flake_url::encoded;
use crate::nixos::config_dir;
use crate::nixos::config_dir::{ConfigDir, Files, Selection};
use crate::nixos::git::Git;
use crate::nixos::user_files::UserFiles;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::parent_dir::parent_dir;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::{shown_dir, shown_path};
use sdbuild_core::terminal::output_files;

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
                let elsewhere =
                    input_url::proposal(&reference.text).map(|write| write + &reference.fragment());
                let meant = name_of_registry(reference)
                    .or_else(|| home_of_other(&reference.text))
                    .or(elsewhere);
                found.map_err(|mut failure| {
                    // A directory that is not there is not meant.
                    if let Some(meant) = meant.filter(|_| !dir.exists()) {
                        failure.hints = vec![meant];
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

/// What to write in place of `nixpkgs#NAME`, which is a package or a configuration: Nix takes its flake from a registry.
fn name_of_registry(reference: &FlakeRef) -> Option<String> {
    let [name] = reference.attribute.as_slice() else {
        return None;
    };
    (reference.text == "nixpkgs").then(|| {
        format!(
            "nixpkgs is a name in a flake registry, which sdbuild does not use. For a configuration of your flake, write \
             its directory before the #, such as .#{name}. A package is a part of a configuration: \
             environment.systemPackages = [ pkgs.{name} ];"
        )
    })
}

/// What to write in place of the path `text` that begins with the home of another user.
fn home_of_other(text: &str) -> Option<String> {
    let is_other = text.starts_with('~') && !text.starts_with("~/") && text != "~";
    is_other.then(|| {
        "of paths that begin with ~, only ~/ is known, your own home. Write the whole path of another user's directory"
            .to_owned()
    })
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
    let real = real
        .or_usage(format!("find the flake {shown}"))
        .map_err(|failure| failure.hint(missing_directory_hint(dir)))?;
    if real.is_file() {
        return Err(Failure::usage(format!("{shown} is a file, not a flake"))
            .hint("give the directory with the flake.nix; --config takes a file with a NixOS configuration"));
    }
    Ok(real)
}

/// What to do about a `dir` that does not exist, which may be the name of a configuration of the flake in the directory above it.
fn missing_directory_hint(dir: &Path) -> String {
    let (above, name) = (parent_dir(dir), dir.file_name().unwrap_or_default());
    let name = name.to_string_lossy();
    let text = flake_text(above).unwrap_or_default();
    let Some(name) = super::configuration_meant(&text, &name) else {
        return "name a directory with a flake.nix; `.` is the current directory".to_owned();
    };
    let is_here = std::env::current_dir().is_ok_and(|here| here == above);
    let place = if is_here {
        ".".to_owned()
    } else {
        shown_path(above)
    };
    let reference = quoted(&format!("{place}#{name}"));
    format!("write the configuration {name} of a flake after a `#`: {reference}")
}

/// What to do about the directory `dir`, which has no `flake.nix`.
fn no_flake_hint(dir: &Path) -> String {
    let file = dir.join(CONFIG_NAME);
    if !file.is_file() {
        return "give the directory of a flake, or a file with a NixOS configuration with --config; `sdbuild init --flake` writes a flake".to_owned();
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
