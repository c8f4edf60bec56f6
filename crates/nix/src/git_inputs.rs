//! The inputs of a flake that the user's own git fetches, because only it has the keys, and those that cannot be fetched.
//!
//! `sdbuild lock` for such inputs: git finds the commit and fetches it; the builder's Nix locks the uploaded files in the place of the
//! repository, and what it wrote gets the commit.

use serde::Deserialize as _;
use serde_json::{Map, Value};

use super::flake_file::FlakeFile;
use super::flake_lock::{Lock, LockedInput, Node};
use super::flake_ref::encoded;
use super::git_source;
use super::git_source::{Attributes, GitSource, GitSourceError};
use super::layout;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::http_url::without_secrets;

/// An input that is a commit of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedRepository {
    /// Its names from the flake on, joined by slashes.
    pub path: String,
    /// Repository that git fetches the input from.
    pub source: GitSource,
    /// Whether it is one of the inputs that are named for git.
    pub is_named: bool,
}

/// The inputs that git on the user's machine fetches: those that only it can fetch, and those that the user has `named`; without those
/// that are `replaced`, and what git cannot fetch.
pub fn private_repositories(
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
            is_named,
        };
        Some(locked).filter(|locked| is_wanted && locked.source.revision.is_some())
    };
    let inputs = lock.inputs(replaced).into_iter();
    inputs.filter_map(repository).collect()
}

/// The first of the `named` inputs that git cannot fetch, and why.
pub fn not_fetched_by_git<'a>(lock: &Lock, named: &[&'a str]) -> Option<(&'a str, String)> {
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

/// An input that neither the builder nor [`private_repositories`] fetches.
#[derive(Debug)]
pub struct UnreachableInput {
    /// Its names from the flake on, joined by slashes.
    pub path: String,
    /// Why it is not fetched, in words that follow its path.
    pub why: String,
    /// Its URL or directory.
    pub address: String,
}

/// The inputs that neither the builder nor [`private_repositories`] fetches.
pub fn unreachable_inputs(lock: &Lock, replaced: &[&str]) -> Vec<UnreachableInput> {
    let reason = |node: &Node| {
        let all = locked_attributes(node);
        let url = all.get("url").cloned().unwrap_or_default();
        match GitSource::new(&all) {
            Err(GitSourceError::Unsupported(_)) if git_source::is_private(&all) => Some((
                "with its submodules, for which it has no key".to_owned(),
                url,
            )),
            Err(error) if git_source::is_private(&all) => {
                Some((format!("as flake.lock has it, in which {error}"), url))
            }
            _ if node.is_directory_elsewhere() => Some((
                "from a directory of this machine".to_owned(),
                all.get("path").cloned()?,
            )),
            _ => None,
        }
    };
    let unreachable = |input: LockedInput<'_>| {
        let (why, address) = reason(input.node)?;
        Some(UnreachableInput {
            path: input.path,
            why,
            address,
        })
    };
    let inputs = lock.inputs(replaced).into_iter();
    inputs.filter_map(unreachable).collect()
}

/// What the lock says of an input, but for how Nix fetches its commit.
fn locked_attributes(node: &Node) -> Attributes {
    const FETCH_PARAMETERS: [&str; 3] = ["allRefs", "shallow", "verifyCommit"];
    let mut all = node.locked.clone();
    all.retain(|name, _| !FETCH_PARAMETERS.contains(&name.as_str()));
    all
}

/// An input that a `flake.nix` declares, and whose commit git has to find.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnlockedRepository {
    /// Name of the input.
    pub name: String,
    /// Repository that git fetches the input from.
    pub source: GitSource,
    /// Whether it is one of the inputs that are named for git.
    pub is_named: bool,
    /// What the `flake.nix` says of it, as locks have it.
    attributes: Attributes,
}

/// A commit that git has fetched.
#[derive(Debug)]
pub struct Commit {
    /// SHA-1 of the commit in hex.
    pub revision: String,
    /// The branch or tag that it was found on, if it is known.
    pub branch: Option<String>,
    /// The number of commits up to it.
    pub count: u64,
    /// Its time in seconds since 1970.
    pub last_modified: u64,
}

/// An input that is added to the lock, or updated in it.
#[derive(Debug)]
pub struct NewInput {
    /// What the `flake.nix` says of it.
    pub declared: UnlockedRepository,
    /// The commit as locks have it, without the hash of its files.
    pub commit: Map<String, Value>,
}

impl UnlockedRepository {
    /// The input `name` that the `flake.nix` `declares`; `None` if the builder's Nix can fetch it, unless it `is_named`.
    fn parse(name: &str, declared: Attributes, is_named: bool) -> Result<Option<Self>, Failure> {
        let attributes = match declared.get("url") {
            // Nix says what is wrong with a URL.
            Some(url) if !declared.contains_key("type") => {
                git_source::attributes(url).ok().flatten()
            }
            Some(_) | None => Some(declared),
        };
        let Some(mut attributes) = attributes else {
            return Ok(None);
        };
        if !is_named && !git_source::is_private(&attributes) {
            return Ok(None);
        }
        attributes.retain(|_, value| value != "false");
        let source = GitSource::new(&attributes).map_err(|error| {
            Failure::usage(format!("{error}, and your git fetches it"))
                .context(format!("lock the input {name}"))
                .hint(format!(
                    "clone it, and give the directory: --override-input {name} DIR"
                ))
        })?;
        Ok(source.map(|source| Self {
            name: name.to_owned(),
            source,
            is_named,
            attributes,
        }))
    }

    /// The directory of the flake in it; empty for the top.
    pub fn dir(&self) -> &str {
        self.attributes.get("dir").map_or("", String::as_str)
    }

    /// Its address and what is locked of it, by the commit that git has fetched.
    pub fn locked(&self, commit: Commit) -> Map<String, Value> {
        let mut locked: Map<_, _> = ["type", "url", "owner", "repo", "host"]
            .into_iter()
            .filter_map(|key| Some((key.to_owned(), self.attributes.get(key)?.clone().into())))
            .collect();
        locked.insert("rev".to_owned(), commit.revision.into());
        locked.insert("lastModified".to_owned(), commit.last_modified.into());
        if !self.source.is_archive {
            locked.insert("revCount".to_owned(), commit.count.into());
            locked.extend(
                commit
                    .branch
                    .map(|branch| ("ref".to_owned(), branch.into())),
            );
        }
        locked
    }
}

/// The inputs of the `flake.nix` with the text `flake` that only git on the user's machine reaches, and that its `lock` lacks or
/// has with another address; and those in `updated`. Those that the user has `named` are among them although the builder could ask
/// for them. A usage error for an address that is not supported.
pub fn unlocked_repositories(
    flake: &str,
    lock: Option<&Lock>,
    updated: &[String],
    named: &[String],
) -> Result<Vec<UnlockedRepository>, Failure> {
    let mut found = Vec::new();
    for (name, declared) in FlakeFile::read(flake).input_attributes() {
        let is_named = named.contains(&name);
        let Some(input) = UnlockedRepository::parse(&name, declared, is_named)? else {
            continue;
        };
        let locked = lock.and_then(|lock| lock.own_node(&[name.as_str()]));
        let is_locked = locked.is_some_and(|node| node.original == input.attributes);
        if updated.contains(&name) || !is_locked {
            found.push(input);
        }
    }
    Ok(found)
}

impl NewInput {
    /// The arguments of Nix that lock the files in the directory with the number `at` in its place.
    pub fn arguments(&self, at: usize) -> [String; 3] {
        let dir = match self.declared.dir() {
            "" => String::new(),
            dir => format!("?dir={}", encoded(dir)),
        };
        let place = layout::input(at);
        [
            "--override-input".to_owned(),
            self.declared.name.clone(),
            format!("path:{place}{dir}"),
        ]
    }

    /// Puts the commit into the `lock` that Nix has written with these arguments.
    pub fn complete(&self, at: usize, lock: &mut Value) -> Result<(), Failure> {
        let place = layout::input(at);
        let url = without_secrets(&self.declared.source.url);
        let missing = || Failure::message(Class::Internal, format!("Nix did not lock {url}"));
        let parsed = Lock::deserialize(&*lock).ok();
        let name = parsed
            .as_ref()
            .and_then(|lock| lock.node_of_directory(&place));
        let locked = name.and_then(|name| lock.get_mut("nodes")?.get_mut(name)?.get_mut("locked"));
        let locked = locked.ok_or_else(missing)?;
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

    /// Each node has another name than the input.
    fn lock_with_all_kinds() -> Lock {
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
        let lock = lock_with_all_kinds();
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
        let lock = lock_with_all_kinds();
        let told = |replaced: &[&str]| {
            let found = unreachable_inputs(&lock, replaced).into_iter();
            found
                .map(|input| format!("{} {}", input.path, input.why))
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

    const FLAKE: &str = r#"{ inputs = {
        a = { url = "git+ssh://git@h.example/a?ref=main&dir=sub"; flake = false; };
        b = { type = "git"; url = "file:///srv/b"; ref = "x"; flake = false; };
        c.url = "git+https://h.example/c";
        d = { type = "github"; owner = "o"; repo = "r"; submodules = false; };
        e.url = "https://h.example/e.tar.gz";
    }; outputs = _: { }; }"#;

    fn unlocked(lock: Option<&Value>, updated: &[&str]) -> Vec<String> {
        names(lock, updated, &[])
    }

    fn names(lock: Option<&Value>, updated: &[&str], named: &[&str]) -> Vec<String> {
        let lock = lock.map(Value::to_string);
        let owned = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let (updated, named) = (owned(updated), owned(named));
        let lock = lock.map(|lock| Lock::parse(&lock).unwrap());
        let found = unlocked_repositories(FLAKE, lock.as_ref(), &updated, &named).unwrap();
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
        assert_eq!(names(None, &[], &["c", "d", "e"]), ["a", "b", "c", "d"]);
        // Nix decodes a URL before it writes it.
        let flake = "{ inputs.a.url = \"git+ssh://h.example/a%2fb?ref=feature%2Fx\"; }";
        let original = json!({ "type": "git", "url": "ssh://h.example/a/b", "ref": "feature/x" });
        let lock = json!({ "root": "top", "nodes": { "top": { "inputs": { "a": "a" } }, "a": { "original": original } } });
        let lock = Lock::parse(&lock.to_string());
        let found = unlocked_repositories(flake, lock.as_ref(), &[], &[]).unwrap();
        assert!(found.is_empty(), "{found:?}");
        // The attribute form is locked as the URL form is.
        let original = json!({ "type": "github", "owner": "o", "repo": "r" });
        let lock = json!({ "root": "top", "nodes": { "top": { "inputs": { "d": "d" } }, "d": { "original": original } } });
        assert_eq!(names(Some(&lock), &[], &["c", "d"]), ["a", "b", "c"]);
    }

    #[test]
    fn parameters_that_git_does_not_get_are_refused() {
        for flake in [
            "{ inputs.a.url = \"git+ssh://h.example/a?submodules=1\"; }",
            "{ inputs.a = { type = \"git\"; url = \"ssh://h.example/a\"; submodules = true; }; }",
            "{ inputs.a.url = \"git+ssh://h.example/a?rev=--submodules\"; }",
        ] {
            let failure = unlocked_repositories(flake, None, &[], &[]).unwrap_err();
            assert!(
                failure.to_string().contains("lock the input a: `"),
                "{failure}"
            );
            assert!(failure.hints[0].contains("--override-input a DIR"));
        }
    }

    #[test]
    fn a_commit_is_locked_as_nix_does() {
        let named = ["d".to_owned()];
        let found = unlocked_repositories(FLAKE, None, &[], &named).unwrap();
        let locked = |name: &str, branch: Option<&str>| {
            let input = found.iter().find(|input| input.name == name).unwrap();
            Value::Object(input.locked(Commit {
                revision: "1".into(),
                branch: branch.map(str::to_owned),
                count: 2,
                last_modified: 3,
            }))
        };
        let expected = json!({ "type": "git", "url": "file:///srv/b", "ref": "x", "rev": "1", "revCount": 2, "lastModified": 3 });
        assert_eq!(locked("b", Some("x")), expected);
        let expected =
            json!({ "type": "github", "owner": "o", "repo": "r", "rev": "1", "lastModified": 3 });
        assert_eq!(locked("d", None), expected);
    }

    #[test]
    fn the_lock_names_the_commit_and_not_the_upload() {
        let mut found = unlocked_repositories(FLAKE, None, &[], &[]).unwrap();
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
        let mut lock = json!({ "nodes": { "a": { "locked": uploaded, "original": {} }, "root": {} }, "root": "root" });
        input.complete(3, &mut lock).unwrap();
        let locked = json!({ "type": "git", "url": "ssh://git@h.example/a", "rev": "1", "narHash": "h", "dir": "sub" });
        let node = json!({ "locked": locked, "original": {} });
        assert_eq!(
            lock,
            json!({ "nodes": { "a": node, "root": {} }, "root": "root" })
        );
        input.complete(3, &mut lock).unwrap_err();
    }
}
