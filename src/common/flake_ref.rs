//! References to flakes: `REF[#NAME]`, as Nix's commands take them. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::attribute_path;
use super::git_source::{GitSource, attributes};

/// A reference to a flake, and what in it is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FlakeRef {
    /// Where the flake is.
    pub location: FlakeLocation,
    /// The flake's directory below that (`?dir=`); empty for the top.
    pub dir: String,
    /// The names in the attribute path after `#`; empty without one. A single name is one of `nixosConfigurations`.
    pub attribute: Vec<String>,
    /// The text before `#`, as the user wrote it.
    pub text: String,
}

/// Where a flake is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlakeLocation {
    /// A directory of this machine.
    Directory {
        /// Its path.
        path: PathBuf,
        /// Whether the files that git does not track belong to the flake too (`path:`).
        untracked: bool,
    },
    /// A repository that the user's own git has access to (`git+ssh:`).
    Repository {
        /// What git clones.
        url: String,
        /// The branch or tag (`?ref=`); `None` for the default branch.
        branch: Option<String>,
        /// The commit (`?rev=`).
        revision: Option<String>,
    },
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
    pub fn relative_to(mut self, dir: &Path) -> Self {
        if let FlakeLocation::Directory { path, .. } = &mut self.location {
            *path = dir.join(&*path).components().collect();
        }
        self
    }

    /// The same flake, for the user's git to fetch if it is elsewhere. Fails if it is no repository.
    pub fn by_git(mut self) -> Result<Self, String> {
        let FlakeLocation::Remote(text) = &self.location else {
            return Ok(self);
        };
        let source = attributes(text).map_or(Ok(None), |all| GitSource::new(&all));
        let source = source.map_err(|key| format!("`{key}` is not supported in `{text}`"))?;
        let source =
            source.ok_or_else(|| format!("`{text}` is no repository that git can fetch"))?;
        self.location = FlakeLocation::Repository {
            url: source.url,
            branch: source.branch,
            revision: source.revision,
        };
        Ok(self)
    }

    /// The directory of this machine that it names.
    pub fn directory(&self) -> Option<PathBuf> {
        match &self.location {
            FlakeLocation::Directory { path, .. } if self.dir.is_empty() => Some(path.clone()),
            FlakeLocation::Directory { path, .. } => Some(path.join(&self.dir)),
            FlakeLocation::Repository { .. } | FlakeLocation::Remote(_) => None,
        }
    }
}

impl fmt::Display for FlakeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if self.attribute.is_empty() {
            return Ok(());
        }
        write!(f, "#{}", attribute_path::text(&self.attribute))
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
            return Err("a flake reference has no control characters".to_owned());
        }
        let (base, attribute) = text.split_once('#').unwrap_or((text, ""));
        let base = if base.is_empty() { "." } else { base };
        let (url, mut query) = match base.split_once('?') {
            Some((url, query)) => (url, Query::parse(query)?),
            None => (base, Query::default()),
        };
        let dir = query.take("dir").unwrap_or_default();
        if !is_inside(&dir) {
            return Err(format!("`dir={dir}` is not a directory inside the flake"));
        }
        let location = location(url, base, &mut query)?;
        if let (FlakeLocation::Directory { .. } | FlakeLocation::Repository { .. }, Some(key)) =
            (&location, query.keys().next())
        {
            return Err(format!("`{key}` is not supported in `{base}`"));
        }
        Ok(Self {
            location,
            dir,
            attribute: attribute_path::parse(attribute)?,
            text: base.to_owned(),
        })
    }
}

/// Where the flake of `url` is; takes what it uses from `query`. `base` is the URL with its query.
fn location(url: &str, base: &str, query: &mut Query) -> Result<FlakeLocation, String> {
    let local = |path: &str, untracked| FlakeLocation::Directory {
        path: PathBuf::from(if path.is_empty() { "." } else { path }),
        untracked,
    };
    Ok(match scheme(url) {
        None => local(url, false),
        Some(("path", path)) => local(path, true),
        Some(("git+file", path)) => {
            query.take("submodules");
            local(path.strip_prefix("//").unwrap_or(path), false)
        }
        Some(("git+ssh", rest)) => FlakeLocation::Repository {
            url: format!("ssh:{rest}"),
            branch: query.take("ref"),
            revision: query.take("rev"),
        },
        Some(("flake", name)) => {
            return Err(format!(
                "`flake:{name}` is looked up in a registry, which sdbuild does not use: give its URL, such as \
                 github:OWNER/REPOSITORY"
            ));
        }
        Some(_) => FlakeLocation::Remote(base.to_owned()),
    })
}

/// The scheme of `url` and what follows its colon; `None` for a path.
fn scheme(url: &str) -> Option<(&str, &str)> {
    let (scheme, rest) = url.split_once(':')?;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c);
    let begins = scheme.starts_with(|c: char| c.is_ascii_lowercase());
    (begins && scheme.chars().all(allowed)).then_some((scheme, rest))
}

/// Whether `dir` is relative and never leads above its start.
fn is_inside(dir: &str) -> bool {
    let dir = Path::new(dir);
    dir.components()
        .all(|part| matches!(part, std::path::Component::Normal(_)))
}

/// The parameters after `?`.
#[derive(Default)]
struct Query(Vec<(String, String)>);

impl Query {
    fn parse(text: &str) -> Result<Self, String> {
        let pair = |part: &str| {
            let (key, value) = part.split_once('=').ok_or_else(|| {
                format!("`{part}` in the flake reference is not of the form KEY=VALUE")
            })?;
            Ok((key.to_owned(), value.to_owned()))
        };
        let parts = text.split('&').filter(|part| !part.is_empty());
        parts.map(pair).collect::<Result<_, _>>().map(Self)
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let at = self.0.iter().position(|(other, _)| other == key)?;
        Some(self.0.remove(at).1)
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(key, _)| key.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> FlakeRef {
        text.parse().unwrap()
    }

    #[test]
    fn directories_are_recognised() {
        for (text, path, untracked, dir) in [
            (".", ".", false, ""),
            ("", ".", false, ""),
            ("./sub?dir=a/b", "./sub", false, "a/b"),
            ("/home/me/pi", "/home/me/pi", false, ""),
            ("path:.", ".", true, ""),
            ("path:/x y?dir=b", "/x y", true, "b"),
            ("git+file:///x?dir=b&submodules=1", "/x", false, "b"),
            ("git+file:.", ".", false, ""),
            ("pi", "pi", false, ""),
        ] {
            let path = PathBuf::from(path);
            let directory = FlakeLocation::Directory { path, untracked };
            let got = parse(text);
            assert_eq!((got.location, got.dir.as_str()), (directory, dir), "{text}");
        }
    }

    #[test]
    fn everything_with_another_scheme_is_remote() {
        for text in [
            "github:o/r/main?dir=x",
            "gitlab:o/r",
            "git+https://h.example/r?ref=x",
            "https://h.example/a.tar.gz",
        ] {
            assert_eq!(parse(text).location, FlakeLocation::Remote(text.into()));
        }
        let ssh = FlakeLocation::Repository {
            url: "ssh://git@h.example/r.git".into(),
            branch: Some("dev".into()),
            revision: None,
        };
        assert_eq!(parse("git+ssh://git@h.example/r.git?ref=dev").location, ssh);
    }

    #[test]
    fn the_users_git_fetches_repositories_elsewhere() {
        let location = |text: &str| parse(text).by_git().map(|reference| reference.location);
        let repository = |url: &str, branch: Option<&str>| FlakeLocation::Repository {
            url: url.into(),
            branch: branch.map(str::to_owned),
            revision: None,
        };
        let found = location("git+https://h.example/r?ref=x&dir=d").unwrap();
        assert_eq!(found, repository("https://h.example/r", Some("x")));
        let found = location("github:o/r").unwrap();
        assert_eq!(found, repository("https://github.com/o/r", None));
        assert_eq!(location("./x"), Ok(parse("./x").location));
        for (text, part) in [
            ("https://h.example/a.tar.gz", "no repository"),
            ("git+https://h.example/r?submodules=1", "submodules"),
        ] {
            let failure = location(text).unwrap_err();
            assert!(failure.contains(part), "{failure}");
        }
    }

    #[test]
    fn attributes_are_names_separated_by_dots() {
        let names = |text: &str| parse(text).attribute.join("|");
        assert_eq!(names(".#pi"), "pi");
        assert_eq!(names(".#\"pi.lan\""), "pi.lan");
        assert_eq!(names("#a.\"b.c\".d"), "a|b.c|d");
        assert_eq!(parse(".#a.\"b.c\"").to_string(), ".#a.\"b.c\"");
        assert_eq!(parse("#").attribute, [""; 0]);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            ".#a..b",
            ".#\"a",
            ".#${x}",
            ".?dir=../x",
            ".?dir=/x",
            ".?rev=abc",
            "path:.?x",
            "flake:nixpkgs",
            "a\nb",
        ] {
            assert!(text.parse::<FlakeRef>().is_err(), "{text}");
        }
    }

    #[test]
    fn relative_paths_become_absolute() {
        let dir = |text: &str| parse(text).relative_to(Path::new("/pi")).directory();
        assert_eq!(dir(".#x"), Some("/pi".into()));
        assert_eq!(dir("../a?dir=b"), Some("/pi/../a/b".into()));
        assert_eq!(dir("/b"), Some("/b".into()));
        assert_eq!(dir("github:a/b"), None);
    }
}
