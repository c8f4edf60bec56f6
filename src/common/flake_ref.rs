//! References to flakes: `REF[#NAME]`, as Nix's commands take them. Pure.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::absolute_path::absolute;
use super::attribute_path;
use super::flake_url::{FlakeUrl, decoded};
use super::git_source::GitSource;
use super::http_url::hide_secrets;
use super::repository_address::of_repository;
use super::shell_word::quoted;

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
            let fragment = with_sign(attribute);
            return Err(format!(
                "`{base}` is {what}; as a flake, write {reference}{fragment}"
            ));
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
            let checkout = match key {
                "ref" | "rev" => format!(". Check it out instead: git checkout {}", quoted(value)),
                _ => String::new(),
            };
            return Err(format!("`{key}` is not supported in `{base}`{checkout}"));
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
                "`{base}` is a name in a flake registry, which sdbuild does not use; give its URL, such as \
                 github:OWNER/REPOSITORY"
            ));
        }
        Some(forge @ ("github" | "gitlab" | "sourcehut")) if !url.path.contains('/') => {
            return Err(format!(
                "`{base}` does not name a repository; write {forge}:OWNER/REPOSITORY"
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
            // A URL is encoded, a path is not.
            ("path:/x%20y?dir=a%20b", "/x y", true, "a b"),
            ("git+file:///x%20y", "/x y", false, ""),
            ("/x%20y?dir=a%20b", "/x%20y", false, "a b"),
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
        let ssh = FlakeLocation::Repository(GitSource {
            url: "ssh://git@h.example/r.git".into(),
            branch: Some("feature/x".into()),
            revision: None,
            is_archive: false,
        });
        let reference = parse("git+ssh://git@h.example/r.git?ref=feature%2Fx&dir=d");
        assert_eq!((reference.location, reference.dir.as_str()), (ssh, "d"));
    }

    #[test]
    fn the_users_git_fetches_repositories_elsewhere() {
        let location = |text: &str| parse(text).by_git().map(|reference| reference.location);
        let repository = |url: &str, branch: Option<&str>, is_archive| {
            FlakeLocation::Repository(GitSource {
                url: url.into(),
                branch: branch.map(str::to_owned),
                revision: None,
                is_archive,
            })
        };
        let found = location("git+https://h.example/r?ref=x&dir=d").unwrap();
        assert_eq!(found, repository("https://h.example/r", Some("x"), false));
        let found = location("github:o/r").unwrap();
        assert_eq!(found, repository("https://github.com/o/r", None, true));
        assert_eq!(location("./x"), Ok(parse("./x").location));
        for (text, part) in [
            ("https://h.example/a.tar.gz", "not a repository"),
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
    fn addresses_of_repositories_are_told_as_references() {
        for (text, reference) in [
            ("https://github.com/me/conf", "github:me/conf"),
            ("https://github.com/me/conf.git#pi", "github:me/conf#pi"),
            ("https://gitlab.com/me/conf/", "gitlab:me/conf"),
            (
                "git@github.com:me/conf.git",
                "git+ssh://git@github.com/me/conf.git",
            ),
            (
                "git+ssh://github.com:me/conf",
                "git+ssh://git@github.com/me/conf",
            ),
            (
                "git+ssh://me@h.example:conf#pi",
                "is an SSH address as only git takes it; as a flake, write git+ssh://me@h.example/conf#pi",
            ),
            (
                "https://github.com/me/conf/blob/main/flake.nix",
                "is a web page; as a flake, write github:me/conf/main",
            ),
            (
                "https://github.com/me/conf/blob/main/a/b/flake.nix",
                "github:me/conf/main?dir=a/b",
            ),
        ] {
            let told = text.parse::<FlakeRef>().unwrap_err();
            assert!(told.ends_with(reference), "{told}");
        }
        let archive = "https://github.com/me/conf/archive/main.tar.gz";
        assert!(archive.parse::<FlakeRef>().is_ok());
        assert!("git+ssh://git@h.example:22/x".parse::<FlakeRef>().is_ok());
        for text in [
            "git+ssh://me:secret@h.example/x",
            "git+https://me:secret@h.example/x#pi?dir=s",
            "git+https://h.example/x?access_token=secret#pi?dir=s",
        ] {
            let told = text.parse::<FlakeRef>().unwrap_err();
            assert!(!told.contains("secret"), "{told}");
        }
        let told = ".#pi?ref=main".parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with("git checkout main"), "{told}");
        let told = ".#pi?dir=sub".parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with("write '.?dir=sub#pi'"), "{told}");
        let told = "github:a/b?ref=x#pi?dir=c".parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with("'github:a/b?ref=x&dir=c#pi'"), "{told}");
        let told = ".?ref=main#pi".parse::<FlakeRef>().unwrap_err();
        assert!(told.ends_with("git checkout main"), "{told}");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for text in [
            ".#a..b",
            ".#\"a",
            ".#${x}",
            ".?dir=../x",
            ".?dir=/x",
            ".?dir=%2e%2e/x",
            "path:/x%",
            "git+ssh://h.example/r?rev=--force",
            "git+ssh:h.example/r",
            "git+ssh://git:secret@h.example/r",
            ".?rev=abc",
            "path:.?x",
            "flake:nixpkgs",
            "github:me",
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
