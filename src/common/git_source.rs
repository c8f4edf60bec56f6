//! Repositories as flakes name them, and where git finds them. Pure.
//!
//! Locks and `flake.nix` files have them as attributes (`type`, `url`, `owner`, …), references as URLs of one of these forms:
//! `git+https://…`, `github:OWNER/REPOSITORY`.

use std::collections::BTreeMap;

/// Digits of a commit's SHA-1.
const COMMIT_DIGITS: usize = 40;

/// A repository, and which commit of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitSource {
    /// The address, as git takes it: `ssh:`, `file:`, `https:` or `http:`.
    pub url: String,
    /// The branch or tag; `None` for the default branch.
    pub branch: Option<String>,
    /// The commit; `None` for the last one of the branch.
    pub revision: Option<String>,
    /// The flake's directory; empty for the top.
    pub dir: String,
    /// Whether Nix takes it as an archive that the server makes (`github:`, `gitlab:`, `sourcehut:`).
    pub is_archive: bool,
}

/// Attributes by their names.
pub type Attributes = BTreeMap<String, String>;

impl GitSource {
    /// The repository with these attributes; `None` for what is none. Fails with the name of an attribute that git cannot be
    /// told.
    pub fn new(attributes: &Attributes) -> Result<Option<Self>, String> {
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
        // What the commit is, Nix writes into locks; git finds it out.
        let described = ["narHash", "lastModified", "revCount"];
        let common = ["type", "ref", "rev", "dir"];
        let is_known = |name: &str| {
            known.contains(&name) || common.contains(&name) || described.contains(&name)
        };
        let mut names = attributes.iter();
        if let Some((name, _)) = names.find(|(name, value)| !is_known(name) && *value != "false") {
            return Err(name.clone());
        }
        Ok(Some(Self {
            url,
            branch: field("ref").map(str::to_owned),
            revision: field("rev").map(str::to_owned),
            dir: field("dir").unwrap_or_default().to_owned(),
            is_archive: kind != "git",
        }))
    }
}

/// Whether only this machine reaches the repository with these attributes: with the user's keys or as a directory.
pub fn is_private(attributes: &Attributes) -> bool {
    let field = |name: &str| attributes.get(name).map_or("", String::as_str);
    let url = field("url");
    field("type") == "git" && (url.starts_with("ssh:") || url.starts_with("file:"))
}

/// The attributes of the repository that the `reference` of a flake names, as Nix has them; `None` for another kind.
pub fn attributes(reference: &str) -> Option<Attributes> {
    let (base, query) = reference.split_once('?').unwrap_or((reference, ""));
    let (scheme, rest) = base.split_once(':')?;
    let mut all: Attributes = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    let mut set = |key: &str, value: &str| all.insert(key.to_owned(), value.to_owned());
    if let Some(scheme) = scheme.strip_prefix("git+") {
        set("type", "git");
        set("url", &format!("{scheme}:{rest}"));
        return Some(all);
    }
    default_host(scheme)?;
    let mut parts = rest.splitn(3, '/');
    set("type", scheme);
    set("owner", parts.next()?);
    set("repo", parts.next()?);
    if let Some(commit) = parts.next() {
        let key = if is_commit(commit) { "rev" } else { "ref" };
        set(key, commit);
    }
    Some(all)
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

fn is_commit(text: &str) -> bool {
    text.len() == COMMIT_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The source in one line: address, branch, commit, directory, and whether it is an archive.
    fn source(reference: &str) -> String {
        let source = GitSource::new(&attributes(reference).unwrap());
        let source = source.unwrap().unwrap();
        let word = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        let (branch, revision) = (word(source.branch), word(source.revision));
        let kind = if source.is_archive { "archive" } else { "git" };
        format!("{} {branch} {revision} {} {kind}", source.url, source.dir)
    }

    #[test]
    fn repositories_are_found_where_nix_finds_them() {
        let commit = "0123456789012345678901234567890123456789";
        let expected = format!("https://h.example/o/r - {commit} d archive");
        let reference = format!("github:o/r/{commit}?host=h.example&dir=d");
        for (reference, expected) in [
            (
                "git+https://h.example/r?ref=x&dir=d",
                "https://h.example/r x - d git",
            ),
            (
                "git+ssh://git@h.example/r?rev=1&dir=d",
                "ssh://git@h.example/r - 1 d git",
            ),
            ("git+file:///srv/r", "file:///srv/r - -  git"),
            ("github:o/r/main", "https://github.com/o/r main -  archive"),
            ("github:o/r/a/b", "https://github.com/o/r a/b -  archive"),
            (&reference, &expected),
            ("gitlab:g%2Fs/r", "https://gitlab.com/g/s/r - -  archive"),
            ("sourcehut:~o/r", "https://git.sr.ht/~o/r - -  archive"),
        ] {
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
            assert_eq!(attributes(reference), None, "{reference}");
        }
        for reference in [
            "git+file:./x",
            "git+ext::sh",
            "github:o/r?host=h/../x",
            "github:-o%20/r",
        ] {
            let attributes = attributes(reference).unwrap();
            assert_eq!(GitSource::new(&attributes), Ok(None), "{reference}");
        }
    }

    #[test]
    fn parameters_that_git_is_not_told_are_named() {
        let named = |reference: &str| GitSource::new(&attributes(reference).unwrap());
        let wrong = named("git+https://h.example/r?submodules=1");
        assert_eq!(wrong, Err("submodules".into()));
        assert!(named("git+https://h.example/r?shallow=false").is_ok());
    }
}
