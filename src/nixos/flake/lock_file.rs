//! Reading and writing the user's `flake.lock`.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use serde_json::Value;

use crate::common::failure::{Class, Failure, OrFail as _};
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
    /// Its address, as git takes it.
    pub(super) url: String,
    /// The branch or tag that the commit was found on.
    pub(super) branch: Option<String>,
    /// The commit.
    pub(super) revision: String,
}

/// The inputs in the lock `text` that only git on the user's machine can fetch, without those that have submodules.
pub(super) fn private_repositories(text: &str) -> Vec<LockedRepository> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let repository = |(name, node): (&String, &Value)| {
        let locked = node.get("locked")?;
        let field = |name: &str| locked.get(name).and_then(Value::as_str);
        let url = field("url").filter(|_| is_private_repository(locked) && !has_submodules(locked));
        Some(LockedRepository {
            name: name.clone(),
            url: url?.to_owned(),
            branch: field("ref").map(str::to_owned),
            revision: field("rev")?.to_owned(),
        })
    };
    nodes.into_iter().flatten().filter_map(repository).collect()
}

/// Whether `locked` is a repository that the builder has no access to.
fn is_private_repository(locked: &Value) -> bool {
    let field = |name: &str| locked.get(name).and_then(Value::as_str);
    let url = field("url").unwrap_or_default();
    field("type") == Some("git") && (url.starts_with("ssh:") || url.starts_with("file:"))
}

fn has_submodules(locked: &Value) -> bool {
    locked.get("submodules").and_then(Value::as_bool) == Some(true)
}

/// The inputs in the lock `text` that neither the builder nor [`private_repositories`] fetches, and why.
pub(super) fn unreachable_inputs(text: &str) -> Vec<(String, &'static str)> {
    let lock: Value = serde_json::from_str(text).unwrap_or_default();
    let nodes = lock.get("nodes").and_then(Value::as_object);
    let reason = |node: &Value| {
        let locked = node.get("locked")?;
        let field = |name: &str| locked.get(name).and_then(Value::as_str);
        let is_outside = node.get("parent").is_none();
        match field("type")? {
            "git" if is_private_repository(locked) && has_submodules(locked) => {
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
            "secret":{"locked":{"type":"git","url":"ssh://git@h.example/s","ref":"main","rev":"1"}},
            "with-modules":{"locked":{"type":"git","url":"ssh://git@h.example/m","rev":"1","submodules":true}},
            "public":{"locked":{"type":"git","url":"https://h.example/p","rev":"1"}},
            "relative":{"locked":{"type":"path","path":"./sub"},"parent":[]},
            "home":{"locked":{"type":"path","path":"/home/me/nixpkgs","narHash":"x"}},
            "root":{"inputs":{}}}}"#;
        let found = unreachable_inputs(text);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["home", "with-modules"]);
        let secret = LockedRepository {
            name: "secret".into(),
            url: "ssh://git@h.example/s".into(),
            branch: Some("main".into()),
            revision: "1".into(),
        };
        assert_eq!(private_repositories(text), [secret]);
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
