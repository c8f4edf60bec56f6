//! References to flakes, `REF[#NAME]`, as Nix's commands take them, and their URLs: `SCHEME:PATH?KEY=VALUE&…`, percent-encoded.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use super::attribute_path;
use super::git_source::GitSource;
use super::known_repository::usual_url;
use sdbuild_core::absolute_path::absolute;
use sdbuild_core::http_url::hide_secrets;
use sdbuild_core::shell_word::quoted;

/// What Nix encodes in the path of a URL.
const IN_PATH: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/')
    .remove(b':')
    .remove(b'@');
/// What is encoded in a parameter: more than Nix needs, so that no character can end it.
const IN_PARAMETER: &AsciiSet = &IN_PATH.add(b':').add(b'@');

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
        if let Some((what, reference)) = of_repository(base) {
            let shown = hide_secrets(base);
            let fragment = with_sign(attribute);
            return Err(format!(
                "`{shown}` is {what}; as a flake, write {reference}{fragment}"
            ));
        }
        if attribute.contains('?') && !attribute.contains('"') {
            let shown = hide_secrets(text);
            return Err(format!(
                "the parameters of `{shown}` are after the `#`; write them before it"
            ));
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
            let shown = hide_secrets(base);
            let instead = if ["ref", "rev"].contains(&key) {
                format!("check it out with git: git checkout {}", quoted(value))
            } else {
                format!("leave out {key}")
            };
            return Err(format!(
                "`{key}` is not supported in the directory `{shown}`; {instead}"
            ));
        }
        Ok(Self {
            location,
            dir,
            attribute: attribute_path::parse(attribute)?,
            text: base.to_owned(),
        })
    }
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
                "`{shown}` is a name in a flake registry, which sdbuild does not use; {}",
                registry_alternative(base)
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

/// What `text` is, in words, and the reference that it means, if it is the address of a repository as a browser shows it, or as git
/// takes it for SSH.
pub fn of_repository(text: &str) -> Option<(&'static str, String)> {
    if let Some(meant) = of_ssh(text) {
        return Some(("an SSH address as only git takes it", meant));
    }
    let meant = of_forge(text.strip_prefix("https://")?)?;
    Some(("the address of a repository", meant))
}

/// The reference for `text`, the address of a repository by SSH with a colon after the host: `git@HOST:PATH`.
fn of_ssh(text: &str) -> Option<String> {
    let schemes = ["git+ssh://", "ssh://"];
    let after_scheme = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let address = after_scheme.or_else(|| text.starts_with("git@").then_some(text))?;
    let (host, path) = address.split_once(':')?;
    let port = path.split('/').next().unwrap_or(path);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    // Otherwise a password is before the `@`.
    let is_host = !host.contains('/') && !path.contains('@');
    let user = if host.contains('@') { "" } else { "git@" };
    let is_meant = is_host && (after_scheme.is_none() || !is_port);
    is_meant.then(|| format!("git+ssh://{user}{host}/{path}"))
}

/// The reference for `address`, that of a repository on GitHub or GitLab, without `https://`.
fn of_forge(address: &str) -> Option<String> {
    let forges = [("github.com/", "github"), ("gitlab.com/", "gitlab")];
    let (path, forge) = forges
        .iter()
        .find_map(|(start, forge)| Some((address.strip_prefix(start)?, forge)))?;
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    let is_repository = path.split('/').count() == 2 && !path.contains(['?', '#']);
    is_repository.then(|| format!("{forge}:{path}"))
}

/// Whether Nix would look for the flake of this `url` in a registry, by the grammar of Nix.
pub fn is_in_registry(url: &str) -> bool {
    let first = url.split('/').next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    let is_id = first.starts_with(|c: char| c.is_ascii_alphabetic()) && first.chars().all(is_part);
    url.starts_with("flake:") || !url.contains(':') && is_id
}

/// What to write in place of the `reference`, a name in a registry of flakes or a repository without its scheme.
pub fn registry_alternative(reference: &str) -> String {
    let name = reference.strip_prefix("flake:").unwrap_or(reference);
    let parts: Vec<&str> = name.split('/').collect();
    match parts.as_slice() {
        [name] => match usual_url(name) {
            Some(url) => format!("write {url}"),
            None => "write where it is, such as github:OWNER/REPOSITORY".to_owned(),
        },
        ["nixpkgs", branch] => format!("write github:NixOS/nixpkgs/{branch}"),
        _ => format!("write github:{name} if it is on GitHub"),
    }
}

/// A URL in its parts, or a path with parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlakeUrl<'a> {
    /// What precedes the first colon; `None` for a path.
    pub scheme: Option<&'a str>,
    /// What precedes the parameters, as it is written.
    pub path: &'a str,
    /// Names and values of the parameters; the values are decoded.
    parameters: Vec<(&'a str, String)>,
}

impl<'a> FlakeUrl<'a> {
    /// The parts of `text`, which has no `#`. Fails with a sentence if a parameter has no value or is wrongly encoded.
    pub fn parse(text: &'a str) -> Result<Self, String> {
        let (base, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, path) = match scheme(base) {
            Some((scheme, path)) => (Some(scheme), path),
            None => (None, base),
        };
        let parameters = query.split('&').filter(|part| !part.is_empty());
        Ok(Self {
            scheme,
            path,
            parameters: parameters.map(parameter).collect::<Result<_, _>>()?,
        })
    }

    /// Removes the parameter `name`; its value.
    pub fn take(&mut self, name: &str) -> Option<String> {
        let at = self
            .parameters
            .iter()
            .position(|(other, _)| *other == name)?;
        Some(self.parameters.remove(at).1)
    }

    /// The parameters that are left.
    pub fn parameters(&self) -> impl Iterator<Item = (&'a str, &str)> {
        let all = self.parameters.iter();
        all.map(|(name, value)| (*name, value.as_str()))
    }
}

/// `text` without percent-encoding. Fails with a sentence if that is wrong, or hides control characters.
pub fn decoded(text: &str) -> Result<String, String> {
    let wrong = || format!("`{text}` is wrongly percent-encoded");
    let is_byte =
        |part: &str| part.len() >= 2 && part.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(is_byte) {
        return Err(wrong());
    }
    let decoded = percent_decode_str(text).decode_utf8();
    let decoded = decoded.map_err(|_| wrong())?.into_owned();
    if decoded.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(decoded)
}

/// `path`, which may be encoded in any way, in the encoding of Nix.
pub fn normal_path(path: &str) -> Result<String, String> {
    Ok(utf8_percent_encode(&decoded(path)?, IN_PATH).to_string())
}

/// `text` for the value of a parameter: all but unreserved characters and slashes as `%XX`.
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_PARAMETER).to_string()
}

/// The scheme of `url` and what follows its colon; `None` for a path.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    (begins && scheme.chars().all(allowed)).then_some((scheme, rest))
}

/// Whether `text` begins as a URL does, with a scheme.
pub fn has_scheme(text: &str) -> bool {
    scheme(text).is_some()
}

/// Nix does not decode the names.
fn parameter(text: &str) -> Result<(&str, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| format!("`{text}` in the flake reference is not of the form KEY=VALUE"))?;
    // The value may be a secret.
    let value =
        decoded(value).map_err(|_| format!("the value of `{name}` is wrongly percent-encoded"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests;
