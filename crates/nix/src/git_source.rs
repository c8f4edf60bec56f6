//! Repositories as flakes name them, and where git finds them. Pure.
//!
//! Locks and `flake.nix` files have them as attributes (`type`, `url`, `owner`, …), references as URLs of one of these forms:
//! `git+https://…`, `github:OWNER/REPOSITORY`.

use std::collections::BTreeMap;

use super::flake_ref::{FlakeUrl, decoded, normal_path};
use sdbuild_core::http_url::hide_secrets;

/// Digits of a commit in hex: of a SHA-1 or a SHA-256.
const COMMIT_DIGITS: [usize; 2] = [40, SHA256_DIGITS];
const SHA256_DIGITS: usize = 64;

/// A repository, and which commit of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// The address, as git takes it: `ssh:`, `file:`, `https:` or `http:`.
    pub url: String,
    /// The branch or tag, which git takes for nothing else; `None` for the default branch.
    pub branch: Option<String>,
    /// The commit in hex; `None` for the last one of the branch.
    pub revision: Option<String>,
    /// Whether Nix takes it as an archive that the server makes (`github:`, `gitlab:`, `sourcehut:`).
    pub is_archive: bool,
}

/// Why git cannot fetch what is a repository. The message is a clause, for the place where the attribute is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GitSourceError {
    /// It has an attribute that cannot be passed to git.
    #[error("`{0}` is not supported")]
    Unsupported(String),
    /// The commit is none.
    #[error("`rev` is not a commit, which has 40 or 64 hex digits")]
    Revision,
    /// The branch is none.
    #[error("`ref` is not the name of a branch or tag")]
    Branch,
    /// The address of an SSH server has a password.
    #[error("ssh accepts no password in an address, only keys (and an agent)")]
    SshPassword,
}

/// Attributes by their names.
pub type Attributes = BTreeMap<String, String>;

impl GitSource {
    /// The repository with these attributes; `None` for what is none.
    pub fn new(attributes: &Attributes) -> Result<Option<Self>, GitSourceError> {
        let field = |name: &str| attributes.get(name).map(String::as_str);
        let kind = field("type").unwrap_or_default();
        let (url, known) = match default_host(kind) {
            Some(host) => (
                forge_url(field("host").unwrap_or(host), attributes),
                &["owner", "repo", "host"][..],
            ),
            None if kind == "git" => (field("url").and_then(git_url), &["url"][..]),
            None => return Ok(None),
        };
        let Some(url) = url else { return Ok(None) };
        if has_ssh_password(&url) {
            return Err(GitSourceError::SshPassword);
        }
        // What the commit is, Nix writes into locks; git finds it out.
        let described = ["narHash", "lastModified", "revCount"];
        let common = ["type", "ref", "rev", "dir"];
        let is_known = |name: &str| {
            known.contains(&name) || common.contains(&name) || described.contains(&name)
        };
        let mut names = attributes.iter();
        if let Some((name, _)) = names.find(|(name, value)| !is_known(name) && *value != "false") {
            return Err(GitSourceError::Unsupported(name.clone()));
        }
        let (branch, revision) = (field("ref"), field("rev"));
        if !branch.is_none_or(is_branch) {
            return Err(GitSourceError::Branch);
        }
        if !revision.is_none_or(is_commit) {
            return Err(GitSourceError::Revision);
        }
        Ok(Some(Self {
            url,
            branch: branch.map(str::to_owned),
            revision: revision.map(str::to_ascii_lowercase),
            is_archive: kind != "git",
        }))
    }

    /// The repository that the `reference` of a flake names. Fails with a sentence if git cannot fetch it.
    pub fn of_reference(reference: &str) -> Result<Self, String> {
        let all = attributes(reference)?.unwrap_or_default();
        let shown = hide_secrets(reference);
        let source = Self::new(&all).map_err(|error| format!("{error} in `{shown}`"))?;
        source.ok_or_else(|| format!("`{shown}` is not a repository that git can fetch"))
    }

    /// Whether its commits are named by SHA-256, as far as that is known.
    pub fn has_sha256(&self) -> bool {
        let revision = self.revision.as_ref();
        revision.is_some_and(|commit| commit.len() == SHA256_DIGITS)
    }
}

/// Whether only this machine reaches the repository with these attributes: with the user's keys or as a directory.
pub fn is_private(attributes: &Attributes) -> bool {
    let field = |name: &str| attributes.get(name).map_or("", String::as_str);
    let url = field("url");
    field("type") == "git" && (url.starts_with("ssh:") || url.starts_with("file:"))
}

/// The attributes of the repository that the `reference` of a flake names, as Nix has them; `None` for another kind. Fails with a
/// sentence if it is not a URL.
pub fn attributes(reference: &str) -> Result<Option<Attributes>, String> {
    let url = FlakeUrl::parse(reference)?;
    let mut all: Attributes = url
        .parameters()
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let Some(scheme) = url.scheme else {
        return Ok(None);
    };
    let mut set = |key: &str, value: String| all.insert(key.to_owned(), value);
    if let Some(scheme) = scheme.strip_prefix("git+") {
        set("type", "git".to_owned());
        set(
            "url",
            format!("{scheme}:{}", without_other_encoding(url.path)?),
        );
        return Ok(Some(all));
    }
    let mut parts = url.path.splitn(3, '/');
    let (Some(_), Some(owner), Some(repository)) =
        (default_host(scheme), parts.next(), parts.next())
    else {
        return Ok(None);
    };
    set("type", scheme.to_owned());
    set("owner", owner.to_owned());
    set("repo", decoded(repository)?);
    if let Some(commit) = parts.next() {
        let key = if is_commit(commit) { "rev" } else { "ref" };
        set(key, decoded(commit)?);
    }
    Ok(Some(all))
}

/// `//HOST/PATH` or a path, encoded as Nix does.
fn without_other_encoding(text: &str) -> Result<String, String> {
    let Some(after) = text.strip_prefix("//") else {
        return normal_path(text);
    };
    let (host, path) = after.split_at(after.find('/').unwrap_or(after.len()));
    Ok(format!("//{host}{}", normal_path(path)?))
}

/// The server of the repositories of a `kind`, unless an attribute names another one.
fn default_host(kind: &str) -> Option<&'static str> {
    match kind {
        "github" => Some("github.com"),
        "gitlab" => Some("gitlab.com"),
        "sourcehut" => Some("git.sr.ht"),
        _ => None,
    }
}

fn forge_url(host: &str, attributes: &Attributes) -> Option<String> {
    // Groups of GitLab have slashes in their names.
    let owner = attributes.get("owner")?.replace("%2F", "/");
    let owner = owner.replace("%2f", "/");
    let repository = attributes.get("repo")?;
    let is_name = |text: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/".contains(c);
        !text.is_empty() && text.chars().all(allowed)
    };
    let is_host = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    let valid = is_name(&owner) && is_name(repository) && host.chars().all(is_host);
    valid.then(|| format!("https://{host}/{owner}/{repository}"))
}

/// `url` as git takes it; `None` if it is not absolute or has another scheme than git is allowed.
fn git_url(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once(':')?;
    match scheme {
        "ssh" | "https" | "http" if rest.starts_with("//") => Some(url.to_owned()),
        "file" => {
            let path = rest.strip_prefix("//").unwrap_or(rest);
            path.starts_with('/').then(|| format!("file://{path}"))
        }
        _ => None,
    }
}

/// Whether `url` is `ssh://USER:PASSWORD@…`.
fn has_ssh_password(url: &str) -> bool {
    let authority = url
        .strip_prefix("ssh://")
        .and_then(|rest| rest.split('/').next());
    let user = authority.and_then(|authority| authority.rsplit_once('@'));
    user.is_some_and(|(user, _)| user.contains(':'))
}

/// Whether `text` is the name of a commit: 40 or 64 hex digits.
pub fn is_commit(text: &str) -> bool {
    COMMIT_DIGITS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether git takes `text` for a name, not for an expression, a mapping of names or a flag (git-check-ref-format).
fn is_branch(text: &str) -> bool {
    let refused = |c: char| c.is_control() || " ~^:?*[\\".contains(c);
    let begins_well = !text.is_empty() && !text.starts_with(['-', '+', '/']);
    begins_well && !text.contains(refused) && !text.contains("..") && !text.contains("@{")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COMMIT: &str = "0123456789012345678901234567890123456789";

    fn parsed(reference: &str) -> Result<Option<GitSource>, GitSourceError> {
        GitSource::new(&attributes(reference).unwrap().unwrap())
    }

    /// The source in one line: address, branch, commit, and whether it is an archive.
    fn source(reference: &str) -> String {
        let source = parsed(reference).unwrap().unwrap();
        let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let (branch, revision) = (word(source.branch), word(source.revision));
        let kind = if source.is_archive { "archive" } else { "git" };
        format!("{} {branch} {revision} {kind}", source.url)
    }

    #[test]
    fn repositories_are_found_where_nix_finds_them() {
        // The last ones are in the encoding of Nix, which compares them.
        let rows = "git+https://h.example/r?ref=x&dir=d => https://h.example/r x - git
            git+ssh://git@h.example/r?rev=COMMIT&dir=d => ssh://git@h.example/r - COMMIT git
            git+file:///srv/r => file:///srv/r - - git
            github:o/r/main => https://github.com/o/r main - archive
            github:o/r/a/b => https://github.com/o/r a/b - archive
            github:o/r/COMMIT?host=h.example&dir=d => https://h.example/o/r - COMMIT archive
            gitlab:g%2Fs/r => https://gitlab.com/g/s/r - - archive
            sourcehut:~o/r => https://git.sr.ht/~o/r - - archive
            git+https://h.example/r?ref=feature%2Fx => https://h.example/r feature/x - git
            github:o/r/feature%2Fx => https://github.com/o/r feature/x - archive
            git+ssh://git@h.example/a%2fb%20c => ssh://git@h.example/a/b%20c - - git"
            .replace("COMMIT", COMMIT);
        for row in rows.lines() {
            let (reference, expected) = row.trim().split_once(" => ").unwrap();
            assert_eq!(source(reference), expected, "{reference}");
        }
    }

    #[test]
    fn what_is_no_repository_is_left_to_nix() {
        for reference in [
            "https://h.example/a.tar.gz",
            "path:./x",
            "nixpkgs",
            "github:o",
        ] {
            assert_eq!(attributes(reference), Ok(None), "{reference}");
        }
        for reference in [
            "git+file:./x",
            "git+ext::sh",
            "github:o/r?host=h/../x",
            "github:-o%20/r",
        ] {
            assert_eq!(parsed(reference), Ok(None), "{reference}");
        }
    }

    /// Git would take them for flags or expressions.
    #[test]
    fn only_names_of_commits_and_branches_reach_git() {
        let url = "git+https://h.example/r";
        for rev in [
            "--force",
            "HEAD",
            "0123",
            "",
            "x%27",
            &COMMIT.replace('0', "g"),
        ] {
            let wrong = parsed(&format!("{url}?rev={rev}"));
            assert_eq!(wrong, Err(GitSourceError::Revision), "{rev}");
        }
        for name in [
            "--all", "+a", "a:b", "a..b", "a@{1}", "", "a%20b", "a^", "*",
        ] {
            let wrong = parsed(&format!("{url}?ref={name}"));
            assert_eq!(wrong, Err(GitSourceError::Branch), "{name}");
        }
        let sha256 = "A1".repeat(32);
        let source = GitSource::of_reference(&format!("{url}?rev={sha256}")).unwrap();
        assert!(source.has_sha256());
        assert_eq!(source.revision, Some(sha256.to_lowercase()));
    }
}
