//! What a `flake.lock` says: a graph of nodes, whose edges are inputs.
//!
//! A node has a name of its own (`nixpkgs_2`), by which only the lock knows it. Users know inputs by their paths from the flake,
//! such as `nixpkgs` and `home-manager/nixpkgs`. A lock may be anybody's: its graph is followed only so far.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::path::Path;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::git_source::Attributes;
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::untrusted;

/// Names in the path of an input: far more than anybody nests, and what follows itself ends there.
const MAX_DEPTH: usize = 64;
/// Versions of the format that Nix reads (`src/libflake/flake/lockfile.cc`).
const VERSIONS: RangeInclusive<u64> = 5..=7;
/// Begins a line where git could not merge.
const CONFLICT_MARK: &str = "<<<<<<< ";

/// A lock that was read. What its nodes have besides is Nix's own matter.
#[derive(Debug, Default, Deserialize)]
pub struct Lock {
    /// The name of the node that is the flake itself.
    root: String,
    nodes: BTreeMap<String, Node>,
}

/// A locked flake.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Node {
    inputs: BTreeMap<String, Edge>,
    /// What the `flake.nix` says of it.
    #[serde(deserialize_with = "texts")]
    pub original: Attributes,
    /// The locked attributes of the input.
    #[serde(deserialize_with = "texts")]
    pub locked: Attributes,
    /// There is one if its path is relative to another input.
    parent: Option<IgnoredAny>,
    /// Whether it is a flake; Nix writes only that one is none.
    flake: Option<bool>,
}

impl Node {
    /// The names of its inputs.
    pub fn input_names(&self) -> impl Iterator<Item = &str> {
        self.inputs.keys().map(String::as_str)
    }

    /// Its inputs, by their names.
    pub fn edges(&self) -> impl Iterator<Item = (&str, &Edge)> {
        self.inputs.iter().map(|(name, edge)| (name.as_str(), edge))
    }

    /// The target of its input `name`.
    pub fn edge(&self, name: &str) -> Option<&Edge> {
        self.inputs.get(name)
    }
}

/// Target of a node's input.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Edge {
    /// The node of this name.
    Node(String),
    /// The same as the input with this path (`follows`).
    Follows(Vec<String>),
}

/// An input of the flake or of another input.
#[derive(Clone, Debug)]
pub struct LockedInput<'a> {
    /// Its names from the flake on, joined by slashes.
    pub path: String,
    /// The input's node in the lock.
    pub node: &'a Node,
}

impl Lock {
    /// The lock in `text`; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let lock: Self = untrusted::json(text).ok()?;
        lock.nodes.contains_key(&lock.root).then_some(lock)
    }

    /// The names of the flake's own inputs.
    pub fn input_names(&self) -> BTreeSet<String> {
        let root = self.nodes.get(&self.root);
        let inputs = root.into_iter().flat_map(|root| root.inputs.keys());
        inputs.cloned().collect()
    }

    /// A node that an input of the flake leads to, and that does not exist.
    pub fn missing_node(&self) -> Option<&str> {
        let mut seen = BTreeSet::from([self.root.as_str()]);
        let mut open = VecDeque::from([self.root.as_str()]);
        while let Some(name) = open.pop_front() {
            let Some(node) = self.nodes.get(name) else {
                return Some(name);
            };
            for edge in node.inputs.values() {
                if let Edge::Node(to) = edge
                    && seen.insert(to)
                {
                    open.push_back(to);
                }
            }
        }
        None
    }

    /// What the lock has of the input with this path; of the one that it follows, if it does.
    pub fn input(&self, path: &str) -> Option<&Node> {
        let mut at = self.root.as_str();
        let mut names: VecDeque<&str> = path.split('/').collect();
        for _ in 0..MAX_DEPTH {
            let Some(name) = names.pop_front() else {
                return self.nodes.get(at);
            };
            match self.nodes.get(at)?.inputs.get(name)? {
                Edge::Node(node) => at = node,
                Edge::Follows(path) if names.len() + path.len() <= MAX_DEPTH => {
                    at = &self.root;
                    path.iter().rev().for_each(|name| names.push_front(name));
                }
                Edge::Follows(_) => return None,
            }
        }
        None
    }

    /// The node of this name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(name)
    }

    /// What the lock has of the input with this path, if no input of the path follows another; of the flake itself for no path.
    pub fn own_node(&self, path: &[impl AsRef<str>]) -> Option<&Node> {
        let root = self.nodes.get(&self.root)?;
        path.iter()
            .try_fold(root, |node, name| match node.inputs.get(name.as_ref())? {
                Edge::Node(node) => self.nodes.get(node),
                Edge::Follows(_) => None,
            })
    }

    /// Every input, the flake's own first. What is reached only through one of the paths `replaced` is left out: another flake is in
    /// its place.
    pub fn inputs(&self, replaced: &[&str]) -> Vec<LockedInput<'_>> {
        let replaced: BTreeSet<_> = replaced.iter().filter_map(|path| self.edge(path)).collect();
        let mut found = Vec::new();
        let mut seen = BTreeSet::from([self.root.as_str()]);
        let mut open = VecDeque::from([(self.root.as_str(), String::new())]);
        while let Some((name, path)) = open.pop_front() {
            for (input, edge) in self.nodes.get(name).into_iter().flat_map(|n| &n.inputs) {
                let Edge::Node(to) = edge else { continue };
                let is_near = path.split('/').count() < MAX_DEPTH;
                if replaced.contains(&(name, input)) || !is_near || !seen.insert(to) {
                    continue;
                }
                let path = match path.as_str() {
                    "" => input.clone(),
                    path => format!("{path}/{input}"),
                };
                open.push_back((to, path.clone()));
                if let Some(node) = self.nodes.get(to) {
                    found.push(LockedInput { path, node });
                }
            }
        }
        found
    }

    /// The edge that is replaced with the input `path`: the name of a node, and of an input of it. Nix looks for nothing to replace
    /// below an input that follows another one.
    fn edge<'a>(&'a self, path: &'a str) -> Option<(&'a str, &'a str)> {
        let (parents, last) = path.rsplit_once('/').unwrap_or(("", path));
        let mut at = self.root.as_str();
        for name in parents.split('/').filter(|name| !name.is_empty()) {
            let Edge::Node(node) = self.nodes.get(at)?.inputs.get(name)? else {
                return None;
            };
            at = node;
        }
        Some((at, last))
    }

    /// The path of the first input that is fetched from the address `url`: an archive of its commit, or its repository.
    pub fn input_of_address(&self, url: &str) -> Option<String> {
        let is_at = |locked: &Attributes| {
            let field = |name: &str| locked.get(name).map_or("", String::as_str);
            let repository = format!("/{}/{}/", field("owner"), field("repo"));
            let commit = field("rev");
            let is_archive =
                !commit.is_empty() && url.contains(&repository) && url.contains(commit);
            let own = field("url").trim_end_matches('/');
            is_archive || !own.is_empty() && own == url.trim_end_matches('/')
        };
        let mut inputs = self.inputs(&[]).into_iter();
        inputs
            .find(|input| is_at(&input.node.locked))
            .map(|input| input.path)
    }

    /// The name of the node that is locked to the directory `path`.
    pub fn node_of_directory(&self, path: &str) -> Option<&str> {
        let is_here = |node: &Node| {
            let locked = node.locked.get("path");
            locked.is_some_and(|locked| Path::new(locked) == Path::new(path))
        };
        let mut nodes = self.nodes.iter();
        nodes
            .find(|(_, node)| is_here(node))
            .map(|(name, _)| name.as_str())
    }
}

impl Node {
    /// Whether it is plain files, not a flake.
    pub fn is_files(&self) -> bool {
        self.flake == Some(false)
    }

    /// Whether it is a directory of the machine where it was locked, not one of another input.
    pub fn is_directory_elsewhere(&self) -> bool {
        let field = |name: &str| self.locked.get(name).map_or("", String::as_str);
        self.parent.is_none() && field("type") == "path" && field("path").starts_with('/')
    }
}

/// Attributes whose values are text, numbers, true or false.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Attributes, D::Error> {
    let values = BTreeMap::<String, Value>::deserialize(deserializer)?;
    let text = |value: Value| {
        let text = value.as_str().map(str::to_owned);
        text.unwrap_or_else(|| value.to_string())
    };
    Ok(values
        .into_iter()
        .map(|(name, value)| (name, text(value)))
        .collect())
}

/// The field that every version of the format has.
#[derive(Deserialize)]
struct Format {
    version: u64,
}

/// What is wrong with the lock `text`, as the rest of a sentence.
pub fn problem(text: &str) -> Option<String> {
    if text.trim().is_empty() {
        return Some("is empty".to_owned());
    }
    if text.lines().any(|line| line.starts_with(CONFLICT_MARK)) {
        return Some("has marks of a conflict of git".to_owned());
    }
    match untrusted::json::<Format>(text).map(|format| format.version) {
        Ok(version) if VERSIONS.contains(&version) => {}
        Ok(version) => {
            let (first, last) = (VERSIONS.start(), VERSIONS.end());
            return Some(format!(
                "has version {version}, and the builder's Nix reads versions {first} to {last}"
            ));
        }
        Err(error) if error.is_data() => {
            return Some(format!("is not the lock of a flake: {error}"));
        }
        Err(error) => return Some(format!("is not JSON: {error}")),
    }
    match Lock::parse(text) {
        None => Some("lacks the nodes with the flake's inputs".to_owned()),
        Some(lock) => lock
            .missing_node()
            .map(|node| format!("lacks the node {node}, which it names as an input")),
    }
}

/// The lock `text`, which the builder's Nix printed, formatted as Nix does.
pub fn formatted(text: &str) -> Result<String, Failure> {
    let lock: Value = untrusted::json(text).map_err(|_| not_a_lock())?;
    if Lock::parse(text).is_none() || !lock.get("version").is_some_and(Value::is_u64) {
        return Err(not_a_lock());
    }
    Ok(serde_json::to_string_pretty(&lock).or_internal("write JSON")? + "\n")
}

fn not_a_lock() -> Failure {
    Failure::message(Class::Internal, "Nix printed no lock file")
}

/// What is locked differently after a change of the lock, in words.
pub fn lock_changes(before: Option<&str>, after: &str) -> String {
    let before = before.and_then(Lock::parse).unwrap_or_default();
    let after = Lock::parse(after).unwrap_or_default();
    let (before, after) = (locked(&before), locked(&after));
    let change = |(path, now): (&String, &&Attributes)| match before.get(path) {
        Some(earlier) if earlier == now => None,
        Some(_) => Some(format!("{path} updated")),
        None => Some(format!("{path} added")),
    };
    let removed = before.keys().filter(|path| !after.contains_key(*path));
    let changed = after.iter().filter_map(change);
    let all: Vec<_> = changed
        .chain(removed.map(|path| format!("{path} removed")))
        .collect();
    match all.as_slice() {
        [] => "nothing is locked differently".to_owned(),
        all => all.join(", "),
    }
}

/// What each input is locked to, by its path.
fn locked(lock: &Lock) -> BTreeMap<String, &Attributes> {
    let inputs = lock.inputs(&[]).into_iter();
    let locked = inputs.map(|input| (input.path, &input.node.locked));
    locked.filter(|(_, locked)| !locked.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lock(nodes: &str) -> Lock {
        Lock::parse(&format!(
            "{{\"root\":\"top\",\"version\":7,\"nodes\":{{{nodes}}}}}"
        ))
        .unwrap()
    }

    /// `secrets` and `nixpkgs` of the flake have nodes of other names; the nodes `secrets` and `nixpkgs` are the library's.
    fn library() -> Lock {
        lock(
            r#""top":{"inputs":{"lib":"lib","nixpkgs":"nixpkgs_2","secrets":"secrets_2","same":["lib","secrets"]}},
            "lib":{"inputs":{"secrets":"secrets","nixpkgs":"nixpkgs","top":["secrets"]},"locked":{"rev":"lib"}},
            "secrets":{"locked":{"rev":"theirs"}}, "secrets_2":{"locked":{"rev":"ours"}},
            "nixpkgs":{"locked":{"rev":"old"},"inputs":{"deep":"deep"}}, "nixpkgs_2":{"locked":{"rev":"new","n":1}},
            "deep":{}, "unused":{}"#,
        )
    }

    fn revision(node: Option<&Node>) -> &str {
        node.and_then(|node| node.locked.get("rev"))
            .map_or("-", String::as_str)
    }

    #[test]
    fn inputs_are_found_by_their_paths() {
        let lock = library();
        for (path, expected) in [
            ("secrets", "ours"),
            ("lib/secrets", "theirs"),
            ("same", "theirs"),
            ("lib/top", "ours"),
            ("lib/nixpkgs", "old"),
            ("secrets_2", "-"),
            ("lib/none", "-"),
        ] {
            assert_eq!(revision(lock.input(path)), expected, "{path}");
        }
        let names: Vec<_> = lock.input_names().into_iter().collect();
        assert_eq!(names, ["lib", "nixpkgs", "same", "secrets"]);
    }

    #[test]
    fn an_input_is_found_by_the_address_that_it_is_fetched_from() {
        let lock = lock(
            r#""top":{"inputs":{"a":"n1","b":"n2","c":"n3"}}, "n3":{"inputs":{"d":"n4"}},
            "n1":{"locked":{"type":"github","owner":"o","repo":"r","rev":"abc"}},
            "n2":{"locked":{"type":"git","url":"https://h.example/b","rev":"abc"}},
            "n4":{"locked":{"type":"tarball","url":"https://h.example/d.tar.gz"}}"#,
        );
        for (url, path) in [
            ("https://github.com/o/r/archive/abc.tar.gz", Some("a")),
            ("https://api.github.com/repos/o/r/tarball/abc", Some("a")),
            ("https://github.com/o/r/archive/def.tar.gz", None),
            ("https://h.example/b/", Some("b")),
            ("https://h.example/d.tar.gz", Some("c/d")),
            ("https://h.example/", None),
        ] {
            assert_eq!(lock.input_of_address(url).as_deref(), path, "{url}");
        }
    }

    #[test]
    fn what_is_replaced_is_no_input_any_more() {
        let lock = library();
        let paths = |replaced: &[&str]| {
            let inputs = lock.inputs(replaced).into_iter();
            inputs.map(|input| input.path).collect::<Vec<_>>().join(" ")
        };
        let all = "lib nixpkgs secrets lib/nixpkgs lib/secrets lib/nixpkgs/deep";
        assert_eq!(paths(&[]), all);
        // The library keeps its own.
        assert_eq!(
            paths(&["secrets"]),
            "lib nixpkgs lib/nixpkgs lib/secrets lib/nixpkgs/deep"
        );
        assert_eq!(
            paths(&["lib/nixpkgs", "nixpkgs"]),
            "lib secrets lib/secrets"
        );
        assert_eq!(paths(&["lib"]), "nixpkgs secrets");
        // What only follows another input is none of its own, and no name of a node is one of an input.
        for other in ["same", "lib/top", "same/x", "secrets_2", "none/x"] {
            assert_eq!(paths(&[other]), all, "{other}");
        }
    }

    #[test]
    fn what_follows_itself_ends() {
        let endless = lock(
            r#""top":{"inputs":{"a":["b"],"b":["a"],"c":["c","c"],"d":"top","e":"e"}},"e":{"inputs":{"e":"e"}}"#,
        );
        for path in ["a", "b", "c"] {
            assert!(endless.input(path).is_none(), "{path}");
        }
        let paths: Vec<_> = endless.inputs(&[]).into_iter().map(|i| i.path).collect();
        assert_eq!(paths, ["e"]);
        let chain: Vec<_> = (0..9999)
            .map(|n| format!("\"n{n}\":{{\"inputs\":{{\"x\":\"n{}\"}}}}", n + 1))
            .collect();
        let chain = lock(&format!(
            "\"top\":{{\"inputs\":{{\"x\":\"n0\"}}}},{}",
            chain.join(",")
        ));
        assert_eq!(chain.inputs(&[]).len(), MAX_DEPTH);
    }

    #[test]
    fn a_missing_node_is_found_where_inputs_lead_to_it() {
        let missing = |nodes: &str| lock(nodes).missing_node().map(str::to_owned);
        let found = missing(r#""top":{"inputs":{"a":"a"}},"a":{"inputs":{"b":"b","top":"top"}}"#);
        assert_eq!(found.as_deref(), Some("b"));
        let unused = r#""top":{"inputs":{"a":["x"]}},"unused":{"inputs":{"b":"b"}}"#;
        assert_eq!(missing(unused), None);
    }

    #[test]
    fn what_is_no_lock_is_not_read() {
        let deep = format!("{{\"root\":{}1{}}}", "[".repeat(9999), "]".repeat(9999));
        for bad in ["", "{}", "[]", "{\"nodes\":{},\"root\":\"root\"}", &deep] {
            assert!(Lock::parse(bad).is_none(), "{bad}");
        }
        let bare = r#"{"nodes":{"root":{}},"root":"root","version":7}"#;
        assert!(Lock::parse(bare).unwrap().input_names().is_empty());
    }

    #[test]
    fn changes_of_a_lock_are_named() {
        let lock = |inputs: &str, nodes: &str| {
            format!(
                r#"{{"root":"top","version":7,"nodes":{{"top":{{"inputs":{{{inputs}}}}},{nodes}}}}}"#
            )
        };
        let node = |name: &str, rest: &str| format!(r#""{name}":{{"locked":{{"rev":"1"}}{rest}}}"#);
        let inner = node("a", r#","inputs":{"b":"b_2"}"#) + "," + &node("b_2", "");
        let a = lock(r#""a":"a""#, &inner);
        assert_eq!(lock_changes(None, &a), "a added, a/b added");
        let both = lock(r#""a":"a","b":"b""#, &format!("{inner},{}", node("b", "")));
        let newer = a.replacen(r#""rev":"1""#, r#""rev":"2""#, 1);
        assert_eq!(lock_changes(Some(&both), &newer), "a updated, b removed");
        // Other names of nodes, other declarations and another format do not change what is locked.
        let renamed = a
            .replace("b_2", "b_3")
            .replace(r#""rev":"1"}"#, r#""rev":"1"},"original":{"x":"y"}"#);
        for same in [&a, &renamed] {
            assert_eq!(
                lock_changes(Some(&a), same),
                "nothing is locked differently"
            );
        }
    }
}
