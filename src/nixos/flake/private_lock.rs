//! `sdbuild lock` for inputs that only the user's own git reaches. Git finds the commit and fetches it; the builder's Nix locks the
//! uploaded files in the place of the repository, and what it wrote gets the commit.

use std::path::Path;

use serde_json::{Map, Value};

use super::declared_inputs::declared_urls;
use super::tree::percent_encoded;
use crate::common::failure::{Class, Failure};
use crate::common::flake_ref::{FlakeLocation, FlakeRef};
use crate::common::http_url::without_secrets;
use crate::nixos::layout;

/// An input that a `flake.nix` declares, and whose commit git has to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UnlockedRepository {
    /// Its name.
    pub(super) name: String,
    /// The name of its node in the lock that is replaced, if it has one.
    pub(super) node: Option<String>,
    /// Its address, as git takes it.
    pub(super) url: String,
    /// The branch or tag; `None` for the default branch.
    pub(super) branch: Option<String>,
    /// The commit; `None` for the last one of the branch.
    pub(super) revision: Option<String>,
    /// The flake's directory; empty for the top.
    pub(super) dir: String,
}

/// An input that is added to the lock, or updated in it.
#[derive(Debug)]
pub(super) struct NewInput {
    /// What the `flake.nix` says of it.
    pub(super) declared: UnlockedRepository,
    /// The commit as locks have it, without the hash of its files.
    pub(super) commit: Map<String, Value>,
}

impl UnlockedRepository {
    /// The input `name` with the address `url`; `None` if the builder's Nix can fetch it.
    fn parse(name: &str, url: &str) -> Result<Option<Self>, Failure> {
        let is_file = url.starts_with("git+file:");
        if !is_file && !url.starts_with("git+ssh:") {
            return Ok(None);
        }
        let reference: FlakeRef = url.parse().map_err(|reason: String| {
            Failure::usage(reason).context(format!("lock the input {name}"))
        })?;
        let (url, branch, revision) = match reference.location {
            FlakeLocation::Repository {
                url,
                branch,
                revision,
            } => (url, branch, revision),
            FlakeLocation::Directory { path, .. } if path.is_absolute() => {
                (format!("file://{}", path.display()), None, None)
            }
            FlakeLocation::Directory { .. } | FlakeLocation::Remote(_) => return Ok(None),
        };
        Ok(Some(Self {
            name: name.to_owned(),
            node: None,
            url,
            branch,
            revision,
            dir: reference.dir,
        }))
    }

    /// Whether a lock has it with the same address.
    fn is_locked_as(&self, original: Option<&Value>) -> bool {
        let field = |key: &str| original?.get(key)?.as_str();
        field("url") == Some(&self.url)
            && field("ref") == self.branch.as_deref()
            && field("rev") == self.revision.as_deref()
            && field("dir").unwrap_or_default() == self.dir
    }
}

/// The inputs of the `flake.nix` with the text `flake` that only git on the user's machine reaches, and that its `lock` lacks or
/// has with another address; and those in `updated`. A usage error for an address that is not supported.
pub(super) fn unlocked_repositories(
    flake: &str,
    lock: Option<&str>,
    updated: &[String],
) -> Result<Vec<UnlockedRepository>, Failure> {
    let lock: Value = lock
        .and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default();
    let nodes = lock.get("nodes");
    let root = lock.get("root").and_then(Value::as_str);
    let inputs = root.and_then(|root| nodes?.get(root)?.get("inputs"));
    let mut found = Vec::new();
    for (name, url) in declared_urls(flake) {
        let Some(mut input) = UnlockedRepository::parse(&name, &url)? else {
            continue;
        };
        let node = inputs.and_then(|inputs| inputs.get(&name)?.as_str());
        let original = node.and_then(|node| nodes?.get(node)?.get("original"));
        if updated.contains(&name) || !input.is_locked_as(original) {
            input.node = node.map(str::to_owned);
            found.push(input);
        }
    }
    Ok(found)
}

impl NewInput {
    /// The arguments of Nix that lock the files in the directory with the number `at` in its place.
    pub(super) fn arguments(&self, at: usize) -> [String; 3] {
        let dir = match self.declared.dir.as_str() {
            "" => String::new(),
            dir => format!("?dir={}", percent_encoded(dir)),
        };
        let place = layout::input(at);
        [
            "--override-input".to_owned(),
            self.declared.name.clone(),
            format!("path:{place}{dir}"),
        ]
    }

    /// Puts the commit into the `lock` that Nix has written with these arguments.
    pub(super) fn complete(&self, at: usize, lock: &mut Value) -> Result<(), Failure> {
        let place = layout::input(at);
        let nodes = lock.get_mut("nodes").and_then(Value::as_object_mut);
        let locked = nodes.into_iter().flatten();
        let mut locked = locked.filter_map(|(_, node)| node.get_mut("locked"));
        let is_here = |locked: &&mut Value| {
            let path = locked.get("path").and_then(Value::as_str);
            path.is_some_and(|path| Path::new(path) == Path::new(&place))
        };
        let url = without_secrets(&self.declared.url);
        let missing = || Failure::message(Class::Internal, format!("Nix did not lock {url}"));
        let locked = locked.find(is_here).ok_or_else(missing)?;
        let mut commit = self.commit.clone();
        for field in ["narHash", "dir"] {
            if let Some(value) = locked.get(field) {
                commit.insert(field.to_owned(), value.clone());
            }
        }
        *locked = Value::Object(commit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FLAKE: &str = r#"{ inputs = {
        a = { url = "git+ssh://git@h.example/a?ref=main&dir=sub"; flake = false; };
        b.url = "git+file:///srv/b";
        c.url = "git+https://h.example/c";
    }; outputs = _: { }; }"#;

    fn unlocked(lock: Option<&Value>, updated: &[&str]) -> Vec<String> {
        let lock = lock.map(Value::to_string);
        let updated: Vec<_> = updated.iter().map(|&name| name.to_owned()).collect();
        let found = unlocked_repositories(FLAKE, lock.as_deref(), &updated).unwrap();
        found.into_iter().map(|input| input.name).collect()
    }

    #[test]
    fn inputs_that_only_git_can_lock_are_found() {
        assert_eq!(unlocked(None, &[]), ["a", "b"]);
        let original =
            json!({ "type": "git", "url": "ssh://git@h.example/a", "ref": "main", "dir": "sub" });
        let mut lock = json!({ "root": "top", "nodes": { "top": { "inputs": { "a": "a_2", "b": ["x", "b"] } },
            "a_2": { "original": original } } });
        assert_eq!(unlocked(Some(&lock), &[]), ["b"]);
        assert_eq!(unlocked(Some(&lock), &["a"]), ["a", "b"]);
        lock["nodes"]["a_2"]["original"]["ref"] = json!("other");
        assert_eq!(unlocked(Some(&lock), &[]), ["a", "b"]);
    }

    #[test]
    fn parameters_that_git_is_not_told_are_refused() {
        let flake = "{ inputs.a.url = \"git+ssh://h.example/a?submodules=1\"; }";
        let failure = unlocked_repositories(flake, None, &[]).unwrap_err();
        assert!(failure.to_string().contains("submodules"), "{failure}");
    }

    #[test]
    fn the_lock_names_the_commit_and_not_the_upload() {
        let mut found = unlocked_repositories(FLAKE, None, &[]).unwrap();
        let commit = json!({ "type": "git", "url": "ssh://git@h.example/a", "rev": "1" });
        let input = NewInput {
            declared: found.remove(0),
            commit: commit.as_object().unwrap().clone(),
        };
        let arguments = [
            "--override-input",
            "a",
            "path:/build/input-3/source?dir=sub",
        ];
        assert_eq!(input.arguments(3), arguments);
        let uploaded = json!({ "type": "path", "path": "/build/input-3/source", "narHash": "h", "lastModified": 1, "dir": "sub" });
        let mut lock =
            json!({ "nodes": { "a": { "locked": uploaded, "original": "o" }, "root": {} } });
        input.complete(3, &mut lock).unwrap();
        let locked = json!({ "type": "git", "url": "ssh://git@h.example/a", "rev": "1", "narHash": "h", "dir": "sub" });
        let node = json!({ "locked": locked, "original": "o" });
        assert_eq!(lock, json!({ "nodes": { "a": node, "root": {} } }));
        input.complete(3, &mut lock).unwrap_err();
    }
}
