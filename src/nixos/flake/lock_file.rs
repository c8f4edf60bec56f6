//! Reading and writing the user's `flake.lock`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::git_source::{self, Attributes, GitSource};
use crate::common::plain_file;
use crate::nixos::lock::replace_file;

/// Its name.
pub const NAME: &str = "flake.lock";
/// Largest lock that is read, in bytes.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// The text of the lock in `dir`; `None` without one. A usage error when it is not a plain file or cannot be read.
pub fn read(dir: &Path) -> Result<Option<String>, Failure> {
    let path = dir.join(NAME);
    match plain_file::read_text(&path, MAX_FILE_BYTES) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).or_usage(format!("read {}", path.display())),
    }
}

/// Replaces the lock in `dir` by `text`, which the builder's Nix printed, formatted as Nix does. Returns whether it changed.
pub fn write(dir: &Path, text: &str) -> Result<bool, Failure> {
    let lock: Value = serde_json::from_str(text).map_err(|_| not_a_lock())?;
    let is_lock = lock.get("version").is_some_and(Value::is_u64)
        && lock.get("nodes").is_some_and(Value::is_object)
        && lock.get("root").is_some_and(Value::is_string);
    if !is_lock {
        return Err(not_a_lock());
    }
    let text = serde_json::to_string_pretty(&lock).or_internal("write JSON")? + "\n";
    if read(dir)?.is_some_and(|before| before == text) {
        return Ok(false);
    }
    replace_file(&dir.join(NAME), &text)?;
    Ok(true)
}

/// The names of the flake's own inputs in the lock `text`; `None` if it is no lock.
pub(super) fn input_names(text: &str) -> Option<BTreeSet<String>> {
    let lock: Value = serde_json::from_str(text).ok()?;
    let root = lock.get("nodes")?.get(lock.get("root")?.as_str()?)?;
    let inputs = root.get("inputs").and_then(Value::as_object);
    Some(
        inputs
            .into_iter()
            .flatten()
            .map(|(name, _)| name.clone())
            .collect(),
    )
}

/// An input that is a commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockedRepository {
    /// The name of its node in the lock.
    pub(super) name: String,
    /// Where git finds it.
    pub(super) source: GitSource,
}

/// The inputs in the lock `text` that git on the user's machine fetches: those that nobody else can, and those that the user
/// has `named`; without those that have submodules.
pub(super) fn private_repositories(text: &str, named: &[String]) -> Vec<LockedRepository> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let named = named_nodes(&lock, named);
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let repository = |(name, node): (&String, &Value)| {
        let attributes = attributes(node.get("locked")?);
        let is_wanted = git_source::is_private(&attributes) || named.contains(name);
        let locked = LockedRepository {
            name: name.clone(),
            source: GitSource::new(&attributes).ok()??,
        };
        Some(locked).filter(|locked| is_wanted && locked.source.revision.is_some())
    };
    nodes.into_iter().flatten().filter_map(repository).collect()
}

/// The names among `named` that are no inputs in the lock `text` that git can fetch, and why.
pub(super) fn not_fetched_by_git(text: &str, named: &[String]) -> Vec<(String, &'static str)> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let reason = |name: &String| {
        let nodes = named_nodes(&lock, std::slice::from_ref(name)).into_iter();
        let mut nodes = nodes.filter_map(|node| lock.get("nodes")?.get(node)?.get("locked"));
        match nodes
            .next()
            .map(|locked| GitSource::new(&attributes(locked)))
        {
            None => Some("is not in flake.lock"),
            Some(Ok(None)) => Some("is no repository"),
            Some(Err(_)) => Some("has submodules, which sdbuild does not fetch"),
            Some(Ok(Some(_))) => None,
        }
    };
    let reasons = named.iter();
    reasons
        .filter_map(|name| Some((name.clone(), reason(name)?)))
        .collect()
}

/// The nodes of `lock` with the names `named`, and those that its own inputs of these names are.
fn named_nodes(lock: &Value, named: &[String]) -> BTreeSet<String> {
    let nodes = lock.get("nodes");
    let root = lock.get("root").and_then(Value::as_str);
    let inputs = root.and_then(|root| nodes?.get(root)?.get("inputs"));
    let of_root = |name: &String| Some(inputs?.get(name)?.as_str()?.to_owned());
    let is_node = |name: &&String| nodes.is_some_and(|nodes| nodes.get(name.as_str()).is_some());
    let of_names = named.iter().filter(is_node).cloned();
    named.iter().filter_map(of_root).chain(of_names).collect()
}

/// What `locked` says of an input, but for how Nix fetches its commit.
fn attributes(locked: &Value) -> Attributes {
    const HOW: [&str; 3] = ["allRefs", "shallow", "verifyCommit"];
    let all = locked.as_object().into_iter().flatten();
    let all = all.filter(|(name, _)| !HOW.contains(&name.as_str()));
    let text = |value: &Value| {
        let text = value.as_str();
        text.map_or_else(|| value.to_string(), str::to_owned)
    };
    all.map(|(name, value)| (name.clone(), text(value)))
        .collect()
}

/// The inputs in the lock `text` that neither the builder nor [`private_repositories`] fetches, and why.
pub(super) fn unreachable_inputs(text: &str) -> Vec<(String, &'static str)> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let reason = |node: &Value| {
        let locked = node.get("locked")?;
        let field = |name: &str| locked.get(name).and_then(Value::as_str);
        let is_outside = node.get("parent").is_none();
        let all = attributes(locked);
        match field("type")? {
            "git" if git_source::is_private(&all) && GitSource::new(&all).is_err() => {
                Some("with its submodules, for which it has no key")
            }
            "path" if is_outside && field("path")?.starts_with('/') => {
                Some("from a directory of this machine")
            }
            _ => None,
        }
    };
    let nodes = nodes.into_iter().flatten();
    nodes
        .filter_map(|(name, node)| Some((name.clone(), reason(node)?)))
        .collect()
}

fn not_a_lock() -> Failure {
    Failure::message(Class::Internal, "Nix printed no lock file")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_that_only_this_machine_reaches_are_found() {
        let text = r#"{"nodes":{
            "secret":{"locked":{"type":"git","url":"ssh://git@h.example/s","ref":"main","rev":"1","shallow":true}},
            "with-modules":{"locked":{"type":"git","url":"ssh://git@h.example/m","rev":"1","submodules":true}},
            "public":{"locked":{"type":"git","url":"https://h.example/p","rev":"1"}},
            "relative":{"locked":{"type":"path","path":"./sub"},"parent":[]},
            "home":{"locked":{"type":"path","path":"/home/me/nixpkgs","narHash":"x"}},
            "forge_2":{"locked":{"type":"github","owner":"o","repo":"r","rev":"1"}},
            "root":{"inputs":{"forge":"forge_2"}}},"root":"root"}"#;
        let found = unreachable_inputs(text);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["home", "with-modules"]);
        let fetched = |inputs: &[&str]| {
            let wanted: Vec<_> = inputs.iter().map(|&name| name.to_owned()).collect();
            let found = private_repositories(text, &wanted).into_iter();
            found
                .map(|locked| format!("{} {}", locked.name, locked.source.url))
                .collect::<Vec<_>>()
        };
        let secret = "secret ssh://git@h.example/s";
        assert_eq!(fetched(&[]), [secret]);
        let public = "public https://h.example/p";
        assert_eq!(fetched(&["public"]), [public, secret]);
        // By the name that the flake has for it.
        let forge = "forge_2 https://github.com/o/r";
        assert_eq!(fetched(&["forge"]), [forge, secret]);
        let wanted = ["forge", "public", "home", "with-modules", "none"].map(str::to_owned);
        let wrong = not_fetched_by_git(text, &wanted).into_iter();
        let wrong: Vec<_> = wrong.map(|(name, why)| format!("{name} {why}")).collect();
        let expected = [
            "home is no repository",
            "with-modules has submodules, which sdbuild does not fetch",
            "none is not in flake.lock",
        ];
        assert_eq!(wrong, expected);
        assert!(unreachable_inputs("no JSON").is_empty());
    }

    #[test]
    fn the_flakes_own_inputs_are_those_of_the_root() {
        let text = r#"{"nodes":{"a":{"inputs":{"deep":"deep"}},"deep":{},
            "top":{"inputs":{"a":"a","b":["a","deep"]}}},"root":"top","version":7}"#;
        let names = input_names(text).unwrap();
        assert_eq!(names.iter().collect::<Vec<_>>(), ["a", "b"]);
        let none = r#"{"nodes":{"root":{}},"root":"root","version":7}"#;
        assert_eq!(input_names(none), Some(BTreeSet::new()));
        for bad in ["", "{}", "{\"nodes\":{},\"root\":\"root\"}"] {
            assert_eq!(input_names(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_lock_is_written_as_nix_does() {
        let dir = tempfile::tempdir().unwrap();
        let text = "{\"nodes\":{\"root\":{}},\"root\":\"root\",\"version\":7}";
        assert!(write(dir.path(), text).unwrap());
        let written = std::fs::read_to_string(dir.path().join("flake.lock")).unwrap();
        assert_eq!(
            written,
            "{\n  \"nodes\": {\n    \"root\": {}\n  },\n  \"root\": \"root\",\n  \"version\": 7\n}\n"
        );
        assert!(!write(dir.path(), text).unwrap());
        for bad in ["", "[]", "{}", "{\"version\":7}"] {
            assert!(write(dir.path(), bad).is_err(), "{bad}");
        }
    }

    /// Writing a lock over a pipe waited for a writer for ever, and no signal ended that.
    #[test]
    fn a_pipe_is_no_lock_and_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(dir.path()).unwrap(), None);
        nix::unistd::mkfifo(&dir.path().join(NAME), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let text = "{\"nodes\":{\"root\":{}},\"root\":\"root\",\"version\":7}";
        for failure in [
            read(dir.path()).unwrap_err(),
            write(dir.path(), text).unwrap_err(),
        ] {
            assert_eq!(failure.class, Class::Usage);
            let message = failure.to_string();
            assert!(message.contains("not a plain file"), "{message}");
        }
    }
}
