//! Which inputs a `flake.nix` declares in another way than its `flake.lock` has them. Nix finds that only after it has fetched what the
//! `flake.nix` names, and names neither.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path};

use super::flake_file::FlakeFile;
use super::flake_lock::{Edge, Lock, Node};
use super::flake_ref::{FlakeUrl, decoded, has_scheme, is_in_registry};
use super::git_source;
use super::git_source::{Attributes, is_commit};
use sdbuild_core::http_url::hide_secrets;

/// What decides which flake a reference names. Other attributes only say how Nix fetches it, and are written in several ways.
const NAMING: [&str; 10] = [
    "type", "owner", "repo", "host", "ref", "rev", "url", "path", "id", "dir",
];

/// An input that the lock has in another way than the `flake.nix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedInput {
    /// Its names from the flake on, joined by slashes.
    pub path: String,
    /// What the `flake.nix` says of it.
    pub declared: String,
    /// What the lock says of it.
    pub locked: String,
}

/// A `flake.nix` compared with its lock.
#[derive(Debug, Default)]
pub struct Comparison {
    /// The inputs that the lock has in another way. Those that it lacks are not among them.
    pub changed: Vec<ChangedInput>,
    /// Whether everything could be compared: Nix would find nothing else.
    pub is_whole: bool,
}

impl Comparison {
    /// Compares `file` with `lock`.
    pub fn of(file: &FlakeFile, lock: &Lock) -> Self {
        let mut comparison = Self {
            is_whole: file.is_plain && !file.has_errors,
            ..Self::default()
        };
        let declared = file.declarations();
        for (path, attributes) in &declared {
            comparison.compare(path, attributes, lock);
        }
        comparison.find_removed(&declared, lock);
        comparison
    }

    fn compare(&mut self, path: &[String], declared: &Attributes, lock: &Lock) {
        let Some((name, parents)) = path.split_last() else {
            return;
        };
        // Of an input that follows another one, or that the lock lacks, nothing is replaced.
        let Some(edge) = lock.own_node(parents).and_then(|node| node.edge(name)) else {
            return;
        };
        let follows = declared.get("follows").map(|target| names_in(target));
        // A registry is asked only for an input of the flake's own of which nothing is said.
        let says_where = is_reference(declared) || follows.is_some();
        if !(says_where || parents.is_empty() && self.is_whole) {
            return;
        }
        let original = match (edge, follows) {
            (Edge::Follows(locked), Some(target)) if *locked == target => return,
            (Edge::Node(to), None) => lock.node(to).map(|node| &node.original),
            (Edge::Follows(_), _) | (Edge::Node(_), Some(_)) => None,
        };
        let wanted = reference(name, declared);
        let is_same = match (original, &wanted) {
            (Some(original), Some(wanted)) => self.is_same(wanted, original),
            // What cannot be read is left to Nix.
            (Some(_), None) => {
                self.is_whole = false;
                true
            }
            (None, _) => false,
        };
        if !is_same {
            let shown = declared
                .get("url")
                .filter(|_| !declared.contains_key("type"));
            let shown = shown.map_or_else(
                || wanted.as_ref().map_or_else(String::new, url),
                Clone::clone,
            );
            let declared = match declared.get("follows") {
                Some(target) => format!("the input {target}"),
                None => hide_secrets(&shown).into_owned(),
            };
            self.add(path.join("/"), declared, shown_edge(edge, lock));
        }
    }

    /// Whether both name the same flake. The lock of another version of Nix may have it in another form.
    fn is_same(&mut self, wanted: &Attributes, original: &Attributes) -> bool {
        let kind = |of: &Attributes| of.get("type").cloned().unwrap_or_default();
        let is_absolute = |of: &Attributes| of.get("path").map(|path| path.starts_with('/'));
        let (own, theirs) = (kind(wanted), kind(original));
        let is_archive = |kind: &str| ["tarball", "file"].contains(&kind);
        if is_absolute(wanted) != is_absolute(original) && (own == "path" || own == theirs) {
            self.is_whole = false;
            return true;
        }
        let others = |of: &Attributes| -> Attributes {
            let is_other = |(key, value): &(&String, &String)| {
                !NAMING.contains(&key.as_str()) && !["false", "0"].contains(&value.as_str())
            };
            let all = of.iter().filter(is_other);
            all.map(|(key, value)| (key.clone(), value.clone()))
                .collect()
        };
        self.is_whole &= others(wanted) == others(original);
        let same_kind = own == theirs || is_archive(&own) && is_archive(&theirs);
        let naming = NAMING.iter().filter(|key| **key != "type");
        same_kind
            && naming
                .into_iter()
                .all(|key| normal(wanted.get(*key)) == normal(original.get(*key)))
    }

    /// Inputs of the lock that the `flake.nix` has no more, and inputs that follow others no more.
    fn find_removed(&mut self, declared: &BTreeMap<Vec<String>, Attributes>, lock: &Lock) {
        if !self.is_whole {
            return;
        }
        for name in lock.input_names() {
            let path = [name.clone()];
            if !declared.contains_key(&path[..])
                && let Some(edge) = lock.own_node(&[""; 0]).and_then(|root| root.edge(&name))
            {
                self.add(name, String::new(), shown_edge(edge, lock));
                continue;
            }
            let changed: BTreeSet<_> = self.changed.iter().map(|input| &input.path).collect();
            if changed.contains(&name) {
                continue;
            }
            let Some(node) = lock.own_node(&path) else {
                continue;
            };
            // A flake can make inputs of its own follow only others of its own.
            let removed = node.edges().filter_map(|(input, edge)| match edge {
                Edge::Follows(target) if target.first().is_some_and(|first| *first != name) => {
                    let path = vec![name.clone(), input.to_owned()];
                    (!declared.contains_key(&path)).then_some((path, edge))
                }
                Edge::Follows(_) | Edge::Node(_) => None,
            });
            let removed: Vec<_> = removed.collect();
            for (path, edge) in removed {
                self.add(path.join("/"), String::new(), shown_edge(edge, lock));
            }
        }
    }

    fn add(&mut self, path: String, declared: String, locked: String) {
        self.changed.push(ChangedInput {
            path,
            declared,
            locked,
        });
    }
}

impl ChangedInput {
    /// The change as a clause.
    pub fn sentence(&self) -> String {
        let Self {
            path,
            declared,
            locked,
        } = self;
        match declared.as_str() {
            "" => format!("the input {path} is {locked} in flake.lock, and not in flake.nix"),
            declared => {
                format!("the input {path} is {declared} in flake.nix, and {locked} in flake.lock")
            }
        }
    }
}

/// The names in the path of an input.
fn names_in(path: &str) -> Vec<String> {
    let names = path.split('/').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

/// Whether the attributes of an input say which flake it is.
fn is_reference(declared: &Attributes) -> bool {
    declared.contains_key("url") || declared.contains_key("type")
}

/// The attributes of the reference of the input `name`, as locks have them; `None` if its form is not known.
fn reference(name: &str, declared: &Attributes) -> Option<Attributes> {
    let of = |all: &[(&str, &str)]| -> Attributes {
        let all = all.iter().filter(|(_, value)| !value.is_empty());
        all.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    };
    if declared.contains_key("type") {
        let mut all = declared.clone();
        all.retain(|key, _| !["flake", "follows"].contains(&key.as_str()));
        return Some(all);
    }
    let Some(text) = declared.get("url") else {
        return Some(of(&[("type", "indirect"), ("id", name)]));
    };
    if let Some(all) = git_source::attributes(text).ok()? {
        return Some(all);
    }
    let parsed = FlakeUrl::parse(text).ok()?;
    let parameters: Vec<(&str, &str)> = parsed.parameters().collect();
    match parsed.scheme {
        Some("http" | "https" | "file") => parameters
            .is_empty()
            .then(|| of(&[("type", "tarball"), ("url", text)])),
        Some("path") => {
            let path = decoded(parsed.path).ok()?;
            let own = [("type", "path"), ("path", path.as_str())];
            Some(of(&[&own[..], &parameters].concat()))
        }
        None if !has_scheme(text) && text.starts_with(['.', '/']) && parameters.is_empty() => {
            Some(of(&[("type", "path"), ("path", parsed.path)]))
        }
        _ if is_in_registry(text) && parameters.is_empty() => {
            let mut parts = parsed.path.split('/');
            let id = parts.next()?;
            let (first, second) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
            let (branch, commit) = if is_commit(first) {
                (second, first)
            } else {
                (first, second)
            };
            Some(of(&[
                ("type", "indirect"),
                ("id", id),
                ("ref", branch),
                ("rev", commit),
            ]))
        }
        _ => None,
    }
}

/// A value in one of the forms in which it may be written.
fn normal(value: Option<&String>) -> String {
    let value = value.map_or("", String::as_str);
    let text = decoded(value).unwrap_or_else(|_| value.to_owned());
    if !text.starts_with('.') {
        return text;
    }
    let parts = Path::new(&text).components();
    let parts = parts.filter(|part| *part != Component::CurDir);
    parts.collect::<std::path::PathBuf>().display().to_string()
}

/// What the lock says of an input.
fn shown_edge(edge: &Edge, lock: &Lock) -> String {
    match edge {
        Edge::Follows(target) => format!("the input {}", target.join("/")),
        Edge::Node(name) => lock.node(name).map_or_else(String::new, |node: &Node| {
            hide_secrets(&url(&node.original)).into_owned()
        }),
    }
}

/// The reference with these attributes as a URL.
fn url(attributes: &Attributes) -> String {
    let field = |name: &str| attributes.get(name).map_or("", String::as_str);
    let kind = field("type");
    let mut parameters = vec!["dir", "host"];
    let base = match kind {
        "github" | "gitlab" | "sourcehut" => format!("{kind}:{}/{}", field("owner"), field("repo")),
        "indirect" => field("id").to_owned(),
        "path" => format!("path:{}", field("path")),
        "tarball" | "file" => field("url").to_owned(),
        _ => {
            parameters.extend(["ref", "rev"]);
            format!("{kind}+{}", field("url"))
        }
    };
    let after = ["ref", "rev"]
        .into_iter()
        .filter(|name| !parameters.contains(name));
    let after = after.map(field).filter(|text| !text.is_empty());
    let base = after.fold(base, |base, text| format!("{base}/{text}"));
    let query = parameters.iter().filter(|name| !field(name).is_empty());
    let query: Vec<_> = query
        .map(|name| format!("{name}={}", field(name)))
        .collect();
    let sign = if query.is_empty() { "" } else { "?" };
    format!("{base}{sign}{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCK: &str = r#"{"root":"root","version":7,"nodes":{
        "root":{"inputs":{"nixpkgs":"nixpkgs_2","hm":"hm","own":"own","sec":"sec","arch":"arch","reg":"reg"}},
        "nixpkgs_2":{"original":{"type":"github","owner":"NixOS","repo":"nixpkgs","ref":"nixos-25.11"}},
        "hm":{"inputs":{"nixpkgs":["nixpkgs"],"lib":["hm","nixpkgs"],"x":"x"},
              "original":{"type":"github","owner":"n","repo":"hm"}},
        "x":{"original":{"type":"github","owner":"o","repo":"x"}},
        "own":{"original":{"type":"path","path":"./own"},"parent":[]},
        "sec":{"flake":false,"original":{"type":"git","url":"ssh://git@h.example/s","ref":"main","submodules":true}},
        "arch":{"original":{"type":"tarball","url":"https://h.example/a.tar.gz"}},
        "reg":{"original":{"type":"indirect","id":"flake-utils"}}}}"#;

    /// The inputs of a flake with that lock, a line for each.
    const INPUTS: &str = r#"nixpkgs.url = "github:NixOS/nixpkgs/nixos-25.11";
hm = { url = "github:n/hm"; inputs.nixpkgs.follows = "nixpkgs"; };
own.url = "path:./own";
sec = { url = "git+ssh://git@h.example/s?ref=main&submodules=true"; flake = false; };
arch.url = "https://h.example/a.tar.gz";
reg.url = "flake-utils";"#;

    /// The comparison of the flake of the lock in which the input `name` is `declared`.
    fn with(name: &str, declared: &str) -> Comparison {
        let is_it = |line: &&str| line.split(['.', ' ']).next() == Some(name);
        let inputs = INPUTS
            .lines()
            .map(|line| if is_it(&line) { declared } else { line });
        let inputs: String = inputs.collect();
        let text = format!("{{ inputs = {{ {inputs} }}; outputs = {{ self, ... }}: {{ }}; }}");
        Comparison::of(&FlakeFile::read(&text), &Lock::parse(LOCK).unwrap())
    }

    fn changes(name: &str, declared: &str) -> Vec<String> {
        let changed = with(name, declared).changed.into_iter();
        changed
            .map(|one| format!("{} | {} | {}", one.path, one.declared, one.locked))
            .collect()
    }

    #[test]
    fn a_lock_of_the_same_inputs_is_whole() {
        let same = with("", "");
        assert_eq!(same.changed, []);
        assert!(same.is_whole);
        for declared in [
            "own.url = \"./own\";",
            "arch = { type = \"tarball\"; url = \"https://h.example/a.tar.gz\"; };",
            "nixpkgs = { type = \"github\"; owner = \"NixOS\"; repo = \"nixpkgs\"; ref = \"nixos-25.11\"; };",
            "reg.url = \"flake:flake-utils\";",
        ] {
            let name = declared.split(['.', ' ']).next().unwrap();
            assert!(changes(name, declared).is_empty(), "{declared}");
        }
    }

    #[test]
    fn a_changed_input_has_both_urls() {
        // The input, what is declared of it, and what is told: its path, the declaration and what is locked.
        for row in r#"
            nixpkgs => nixpkgs.url = "github:NixOS/nixpkgs/nixos-26.05"; => nixpkgs | github:NixOS/nixpkgs/nixos-26.05 | github:NixOS/nixpkgs/nixos-25.11
            hm => hm = { url = "github:n/hm/b"; inputs.nixpkgs.follows = "nixpkgs"; }; => hm | github:n/hm/b | github:n/hm
            hm => hm.url = "github:n/hm"; => hm/nixpkgs |  | the input nixpkgs
            hm => hm = { url = "github:n/hm"; inputs.nixpkgs.follows = "nixpkgs"; inputs.x.follows = "own"; }; => hm/x | the input own | github:o/x
            hm => hm = { url = "github:n/hm"; inputs.nixpkgs.follows = "nixpkgs"; inputs.x.url = "github:o/y"; }; => hm/x | github:o/y | github:o/x
            own => own.url = "path:./other"; => own | path:./other | path:./own
            own => own.follows = "hm"; => own | the input hm | path:./own
            sec => sec.url = "git+ssh://git@h.example/s?ref=b"; => sec | git+ssh://git@h.example/s?ref=b | git+ssh://git@h.example/s?ref=main
            arch => arch.url = "https://me:pass@h.example/b.tar.gz"; => arch | https://***@h.example/b.tar.gz | https://h.example/a.tar.gz
            reg =>  => reg |  | flake-utils"#
            .trim_start()
            .lines()
        {
            let parts: Vec<&str> = row.trim().split(" => ").collect();
            assert_eq!(changes(parts[0], parts[1]), [parts[2]], "{row}");
        }
    }

    #[test]
    fn what_cannot_be_compared_is_left_to_nix() {
        for declared in [
            "own.url = \"path:/home/me/own\";",
            "own.url = ./own;",
            "reg.url = \"hg+https://h.example/r\";",
            "reg = import ./reg.nix;",
            "sec.url = \"git+ssh://git@h.example/s?ref=main&shallow=1\";",
            "arch.url = \"https://h.example/a.tar.gz?dir=x\";",
        ] {
            let compared = with(declared.split(['.', ' ']).next().unwrap(), declared);
            assert_eq!(compared.changed, [], "{declared}");
            assert!(!compared.is_whole, "{declared}");
        }
    }
}
