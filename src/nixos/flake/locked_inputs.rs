//! The locked inputs of a flake that git on the user's machine fetches, and those that cannot be fetched.

use super::lock::{Lock, LockedInput, Node};
use crate::common::git_source;
use crate::common::git_source::{Attributes, GitSource, GitSourceError};

/// An input that is a commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LockedRepository {
    /// Its names from the flake on, joined by slashes.
    pub(super) path: String,
    /// Repository that git fetches the input from.
    pub(super) source: GitSource,
}

/// The inputs that git on the user's machine fetches: those that only it can fetch, and those that the user has `named`; without those
/// that are `replaced`, and what git cannot fetch.
pub(super) fn private_repositories(
    lock: &Lock,
    replaced: &[&str],
    named: &[String],
) -> Vec<LockedRepository> {
    let named: Vec<&Node> = named.iter().filter_map(|name| lock.input(name)).collect();
    let repository = |input: LockedInput<'_>| {
        let attributes = locked_attributes(input.node);
        let is_named = named.iter().any(|node| std::ptr::eq(*node, input.node));
        let is_wanted = git_source::is_private(&attributes) || is_named;
        let locked = LockedRepository {
            path: input.path,
            source: GitSource::new(&attributes).ok()??,
        };
        Some(locked).filter(|locked| is_wanted && locked.source.revision.is_some())
    };
    let inputs = lock.inputs(replaced).into_iter();
    inputs.filter_map(repository).collect()
}

/// The first of the `named` inputs that git cannot fetch, and why.
pub(super) fn not_fetched_by_git<'a>(lock: &Lock, named: &[&'a str]) -> Option<(&'a str, String)> {
    let reason = |name: &str| {
        let node = lock.input(name);
        match node.map(|node| GitSource::new(&locked_attributes(node))) {
            None => Some("is not in flake.lock".to_owned()),
            Some(Ok(None)) => Some("is not a repository".to_owned()),
            Some(Err(GitSourceError::Unsupported(name))) if name == "submodules" => {
                Some("has submodules, which sdbuild does not fetch".to_owned())
            }
            Some(Err(error)) => Some(format!("cannot be fetched: {error}")),
            Some(Ok(Some(_))) => None,
        }
    };
    named.iter().find_map(|name| Some((*name, reason(name)?)))
}

/// The inputs that neither the builder nor [`private_repositories`] fetches, and why.
pub(super) fn unreachable_inputs(lock: &Lock, replaced: &[&str]) -> Vec<(String, String)> {
    let reason = |node: &Node| {
        let all = locked_attributes(node);
        match GitSource::new(&all) {
            Err(GitSourceError::Unsupported(_)) if git_source::is_private(&all) => {
                Some("with its submodules, for which it has no key".to_owned())
            }
            Err(error) if git_source::is_private(&all) => {
                Some(format!("as flake.lock has it, in which {error}"))
            }
            _ if node.is_directory_elsewhere() => {
                Some("from a directory of this machine".to_owned())
            }
            _ => None,
        }
    };
    let inputs = lock.inputs(replaced).into_iter();
    inputs
        .filter_map(|input| Some((input.path, reason(input.node)?)))
        .collect()
}

/// What the lock says of an input, but for how Nix fetches its commit.
fn locked_attributes(node: &Node) -> Attributes {
    const FETCH_PARAMETERS: [&str; 3] = ["allRefs", "shallow", "verifyCommit"];
    let mut all = node.locked.clone();
    all.retain(|name, _| !FETCH_PARAMETERS.contains(&name.as_str()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each node has another name than the input.
    fn lock() -> Lock {
        let text = r#"{"nodes":{
            "a":{"locked":{"type":"git","url":"ssh://git@h.example/s","ref":"main","rev":"R","shallow":true}},
            "b":{"locked":{"type":"git","url":"ssh://git@h.example/m","rev":"R","submodules":true}},
            "c":{"locked":{"type":"git","url":"https://h.example/p","rev":"R"}},
            "d":{"locked":{"type":"path","path":"./sub"},"parent":[]},
            "e":{"locked":{"type":"path","path":"/home/me/nixpkgs","narHash":"x"}},
            "f":{"locked":{"type":"github","owner":"o","repo":"r","rev":"R"}},
            "g":{"locked":{"type":"git","url":"ssh://git@h.example/l","rev":"--force"}},
            "secret":{"locked":{"type":"github","owner":"o","repo":"other","rev":"R"}},
            "lib":{"inputs":{"secret":"secret"},"locked":{"type":"github","owner":"o","repo":"lib","rev":"R"}},
            "root":{"inputs":{"secret":"a","modules":"b","public":"c","relative":"d","home":"e","forge":"f","flag":"g","lib":"lib",
                "same":["lib","secret"]}}},"root":"root"}"#;
        Lock::parse(&text.replace("\"R\"", &format!("\"{}\"", "0".repeat(40)))).unwrap()
    }

    #[test]
    fn inputs_that_only_this_machine_reaches_are_found() {
        let lock = lock();
        let fetched = |replaced: &[&str], named: &[&str]| {
            let named: Vec<_> = named.iter().map(|&name| name.to_owned()).collect();
            let found = private_repositories(&lock, replaced, &named).into_iter();
            found
                .map(|locked| format!("{} {}", locked.path, locked.source.url))
                .collect::<Vec<_>>()
        };
        let secret = "secret ssh://git@h.example/s";
        assert_eq!(fetched(&[], &[]), [secret]);
        let public = "public https://h.example/p";
        assert_eq!(fetched(&[], &["public"]), [public, secret]);
        // The node with the name of the replaced input is another flake's.
        assert!(fetched(&["secret"], &[]).is_empty());
        let theirs = "lib/secret https://github.com/o/other";
        for named in ["lib/secret", "same"] {
            assert_eq!(fetched(&["secret"], &[named]), [theirs]);
        }
        assert!(fetched(&["lib", "secret"], &["same"]).is_empty());
    }

    #[test]
    fn inputs_that_nobody_fetches_are_named() {
        let lock = lock();
        let told = |replaced: &[&str]| {
            let found = unreachable_inputs(&lock, replaced).into_iter();
            found
                .map(|(path, why)| format!("{path} {why}"))
                .collect::<Vec<_>>()
        };
        let flag = "flag as flake.lock has it, in which `rev` is not a commit, which has 40 or 64 hex digits";
        let home = "home from a directory of this machine";
        let modules = "modules with its submodules, for which it has no key";
        assert_eq!(told(&[]), [flag, home, modules]);
        assert_eq!(told(&["home", "flag"]), [modules]);
        for (named, expected) in [
            ("home", "is not a repository"),
            ("modules", "has submodules, which sdbuild does not fetch"),
            ("flag", "cannot be fetched: `rev` is not a commit"),
            ("c", "is not in flake.lock"),
        ] {
            let (name, why) = not_fetched_by_git(&lock, &["forge", "public", named]).unwrap();
            assert!(name == named && why.starts_with(expected), "{name} {why}");
        }
        assert!(not_fetched_by_git(&lock, &["forge", "lib/secret"]).is_none());
    }
}
