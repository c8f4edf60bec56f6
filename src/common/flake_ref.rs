//! References to flakes: `REF[#NAME]`, as Nix's commands take them. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::attribute_path;
use super::flake_url::{FlakeUrl, decoded};
use super::git_source::GitSource;
use super::repository_address::{misnamed_parameter, of_repository, without_server};
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::shell_word::quoted;

/// A reference to a flake, and what in it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlakeRef {
    /// Location of the flake.
    pub location: FlakeLocation,
    /// The flake's directory below that (`?dir=`); empty for the top.
    pub dir: String,
    /// The names in the attribute path after `#`; empty without one. A single name is one of `nixosConfigurations`.
    pub attribute: Vec<String>,
    /// The text before `#`, as the user wrote it.
    pub text: String,
}

/// Location of a flake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlakeLocation {
    /// A directory of this machine.
    Directory {
        /// Its path.
        path: PathBuf,
        /// Whether the files that git does not track belong to the flake too (`path:`).
        untracked: bool,
    },
    /// A repository that the user's own git fetches: by SSH, or what the user has named for it.
    Repository(GitSource),
    /// What the builder's Nix fetches: `github:`, `gitlab:`, `git+https:`, an archive.
    Remote(String),
}

impl FlakeRef {
    /// The flake in the current directory.
    pub fn here() -> Self {
        Self {
            location: FlakeLocation::Directory {
                path: PathBuf::from("."),
                untracked: false,
            },
            dir: String::new(),
            attribute: Vec::new(),
            text: ".".to_owned(),
        }
    }

    /// The reference with a relative path made absolute; it is relative to `dir`.
    #[must_use]
    pub fn relative_to(self, dir: &Path) -> Self {
        self.located_by(|path| absolute(path, dir))
    }

    /// The reference with what `locate` makes of its path, if it has one.
    #[must_use]
    pub fn located_by(mut self, locate: impl FnOnce(&Path) -> PathBuf) -> Self {
        if let FlakeLocation::Directory { path, .. } = &mut self.location {
            *path = locate(path);
        }
        self
    }

    /// The same flake, for the user's git to fetch if it is elsewhere. Fails if it is not a repository.
    pub fn by_git(mut self) -> Result<Self, String> {
        let FlakeLocation::Remote(text) = &self.location else {
            return Ok(self);
        };
        self.location = FlakeLocation::Repository(GitSource::of_reference(text)?);
        Ok(self)
    }

    /// Its attribute path with the sign before it, empty without one.
    pub fn fragment(&self) -> String {
        with_sign(&attribute_path::text(&self.attribute))
    }

    /// The flake as messages name it, without the attribute: `the flake ../pi`.
    pub fn in_words(&self) -> String {
        match self.text.as_str() {
            "." => "the flake in this directory".to_owned(),
            text => format!("the flake {text}"),
        }
    }

    /// The directory of this machine that it names.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.location {
            FlakeLocation::Directory { path, .. } if self.dir.is_empty() => Some(path.clone()),
            FlakeLocation::Directory { path, .. } => Some(path.join(&self.dir)),
            FlakeLocation::Repository(_) | FlakeLocation::Remote(_) => None,
        }
    }
}

impl fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.text, self.fragment())
    }
}

impl From<FlakeRef> for String {
    fn from(reference: FlakeRef) -> Self {
        reference.to_string()
    }
}

impl TryFrom<String> for FlakeRef {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for FlakeRef {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.chars().any(char::is_control) {
            return Err("a flake reference must not contain control characters".to_owned());
        }
        let (base, attribute) = text.split_once('#').unwrap_or((text, ""));
        let base = if base.is_empty() { "." } else { base };
        if let Some(refusal) = misread(base, attribute) {
            return Err(refusal);
        }
        if let Some((name, parameters)) = attribute
            .split_once('?')
            .filter(|_| !attribute.contains('"'))
        {
            let separator = if base.contains('?') { '&' } else { '?' };
            let meant = format!("{base}{separator}{parameters}{}", with_sign(name));
            // What is wrong with that is said at once.
            return Err(meant.parse::<Self>().err().unwrap_or_else(|| {
                let (text, meant) = (hide_secrets(text), quoted(&hide_secrets(&meant)));
                format!("the parameters of `{text}` are after the `#`; write {meant}")
            }));
        }
        let mut url = FlakeUrl::parse(base)?;
        let dir = url.take("dir").unwrap_or_default();
        if !is_inside(&dir) {
            return Err(format!("`dir={dir}` is not a directory inside the flake"));
        }
        let location = location(&mut url, base)?;
        if let (FlakeLocation::Directory { .. }, Some((key, value))) =
            (&location, url.parameters().next())
        {
            let is_commit = ["ref", "rev"].contains(&key);
            let instead = match url.scheme {
                Some("path") if is_commit => {
                    format!(
                        ", which takes the directory as it is, without git. {}",
                        without_commit(base, attribute, (key, value))
                    )
                }
                _ if is_commit => {
                    let directory = base.split('?').next().unwrap_or_default();
                    let commit = quoted(value);
                    let meant = quoted(&format!("{directory}{}", with_sign(attribute)));
                    // Without its other parameters it is another flake.
                    if dir.is_empty() {
                        format!(". If git has it, run `git checkout {commit}`, and write {meant}")
                    } else {
                        format!(". If git has it, check it out: git checkout {commit}")
                    }
                }
                _ => format!(". Leave out {key}"),
            };
            let shown = hide_secrets(base);
            return Err(format!("`{key}` is not supported in `{shown}`{instead}"));
        }
        Ok(Self {
            location,
            dir,
            attribute: attribute_path::parse(attribute)?,
            text: base.to_owned(),
        })
    }
}

/// What to write in place of `base`, a directory with this `attribute` that is taken without git, and has the parameter of a commit.
fn without_commit(base: &str, attribute: &str, (key, value): (&str, &str)) -> String {
    let (directory, query) = base.split_once('?').unwrap_or((base, ""));
    let is_of_commit = |part: &&str| part.split('=').next() == Some(key);
    let others: Vec<&str> = query
        .split('&')
        .filter(|part| !is_of_commit(part))
        .collect();
    let named: Vec<&str> = query.split('&').filter(is_of_commit).collect();
    let others = others.join("&");
    let sign = if others.is_empty() { "" } else { "?" };
    let meant = format!("{directory}{sign}{others}{}", with_sign(attribute));
    let path = directory.strip_prefix("path:").unwrap_or(directory);
    let (path, commit, meant) = (quoted(path), quoted(value), quoted(&hide_secrets(&meant)));
    let which = if key == "ref" { "branch" } else { "commit" };
    format!(
        "Write {meant} without {}; for that {which}, first run `git -C {path} checkout {commit}`",
        named.join("&")
    )
}

/// What is said of `base`, an address with this `attribute` that Nix does not know or takes for something else, with what is meant.
fn misread(base: &str, attribute: &str) -> Option<String> {
    let (shown, fragment) = (hide_secrets(base), with_sign(attribute));
    if let Some((what, reference)) = of_repository(base) {
        return Some(format!(
            "`{shown}` is {what}; as a flake, write {reference}{fragment}"
        ));
    }
    if let Some(meant) = without_server(base) {
        return Some(format!("`{shown}` does not name a server; write {meant}"));
    }
    let (name, meant) = misnamed_parameter(base)?;
    let meant = quoted(&format!("{}{fragment}", hide_secrets(&meant)));
    Some(format!(
        "`{name}` is not supported in `{shown}`; write {meant}"
    ))
}

/// `attribute` with the sign before it, empty without one.
fn with_sign(attribute: &str) -> String {
    let sign = if attribute.is_empty() { "" } else { "#" };
    format!("{sign}{attribute}")
}

/// Where the flake of `url` is; takes what it uses from the parameters. `base` is the whole URL.
fn location(url: &mut FlakeUrl<'_>, base: &str) -> Result<FlakeLocation, String> {
    let shown = hide_secrets(base);
    let local = |path: &str, untracked| FlakeLocation::Directory {
        path: PathBuf::from(if path.is_empty() { "." } else { path }),
        untracked,
    };
    Ok(match url.scheme {
        // Only URLs are encoded.
        None => local(url.path, false),
        Some("path") => local(&decoded(url.path)?, true),
        Some("git+file") => {
            url.take("submodules");
            let path = url.path.strip_prefix("//").unwrap_or(url.path);
            local(&decoded(path)?, false)
        }
        Some("git+ssh") => FlakeLocation::Repository(GitSource::of_reference(base)?),
        Some("flake") => {
            return Err(format!(
                "`{shown}` is a name in a flake registry, which sdbuild does not use; give its URL, such as \
                 github:OWNER/REPOSITORY"
            ));
        }
        Some(forge @ ("github" | "gitlab" | "sourcehut")) if !url.path.contains('/') => {
            return Err(format!(
                "`{shown}` does not name a repository; write {forge}:OWNER/REPOSITORY"
            ));
        }
        Some(_) => FlakeLocation::Remote(base.to_owned()),
    })
}

/// Whether `dir` is relative and never leads above its start.
fn is_inside(dir: &str) -> bool {
    let dir = Path::new(dir);
    dir.components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
}

#[cfg(test)]
mod tests;
