//! The names of nixpkgs' packages, which an evaluation that fails writes to the log (`expressions/default.nix`).

use crate::store_path::is_store_path;
use crate::trace::{is_trace, traced};
use sdbuild_core::nearest::similar_names;
use sdbuild_core::text::alternatives;

/// What precedes the names in a trace of Nix.
const TRACED: &str = "sdbuild: packages";
/// Names that are kept: nixpkgs has some 30,000.
const MAX_NAMES: usize = 100_000;
/// Bytes of a name.
const MAX_NAME_BYTES: usize = 100;

/// Versions of a package that are proposed.
const MAX_VERSIONS: usize = 3;

/// What precedes the inputs in a trace: `NAME=DIRECTORY=FUNCTION` each.
const TRACED_INPUTS: &str = "sdbuild: inputs";
/// Inputs that are kept.
const MAX_INPUTS: usize = 100;

/// An input of the flake with a function that makes configurations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputFunction {
    /// Its name in `flake.nix`.
    pub name: String,
    /// Its directory in the store.
    pub dir: String,
    /// The function in its `lib`.
    pub function: String,
}

/// The packages that a configuration can name, and the inputs that make configurations.
#[derive(Clone, Debug, Default)]
pub struct PackageNames(Vec<String>, Vec<InputFunction>);

impl InputFunction {
    fn parse(word: &str) -> Option<Self> {
        let (name, rest) = word.split_once('=')?;
        let (dir, function) = rest.split_once('=')?;
        let is_sound = is_store_path(dir) && [name, function].iter().all(|name| is_name(name));
        is_sound.then(|| Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
            function: function.to_owned(),
        })
    }
}

/// Whether `name` can be repeated in a line of Nix.
fn is_name(name: &str) -> bool {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "_-+".contains(c);
    name.len() <= MAX_NAME_BYTES && name.chars().all(is_allowed)
}

impl PackageNames {
    /// Keeps the names in `line` of Nix's log; `false` if it is not a trace with names. Anything that the builder runs can write such
    /// a line.
    pub fn note(&mut self, line: &str) -> bool {
        if is_trace(line, TRACED_INPUTS) {
            let words = traced(line, TRACED_INPUTS).unwrap_or_default();
            let inputs = words
                .split_ascii_whitespace()
                .filter_map(InputFunction::parse);
            self.1.extend(inputs.take(MAX_INPUTS));
            self.1.truncate(MAX_INPUTS);
            return true;
        }
        if !is_trace(line, TRACED) {
            return false;
        }
        let names = traced(line, TRACED).unwrap_or_default();
        let names = names.split_ascii_whitespace().filter(|name| is_name(name));
        let free = MAX_NAMES.saturating_sub(self.0.len());
        self.0.extend(names.take(free).map(str::to_owned));
        true
    }

    /// The inputs that make configurations.
    pub fn inputs(&self) -> impl Iterator<Item = &InputFunction> {
        self.1.iter()
    }

    pub fn all(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// The names that the mistyped name `unknown` may mean, such as `htop or btop`.
    pub fn similar(&self, unknown: &str) -> Option<String> {
        let other_versions = self.other_versions(unknown);
        other_versions.or_else(|| similar_names(unknown, self.all()))
    }

    /// Names that differ from `unknown` only by the version at their end, of many the last ones: `nodejs_24` for `nodejs-18`.
    fn other_versions(&self, unknown: &str) -> Option<String> {
        let is_of_version = |c: char| c.is_ascii_digit() || "._-".contains(c);
        let base = unknown.trim_end_matches(is_of_version);
        if base == unknown || base.is_empty() {
            return None;
        }
        let is_version = |name: &&str| {
            let version = name.strip_prefix(base);
            version.is_some_and(|version| version.chars().all(is_of_version))
        };
        let mut names: Vec<&str> = self.all().filter(is_version).collect();
        names.sort_by_key(|name| (name.len(), *name));
        names.dedup();
        let last = names.split_off(names.len().saturating_sub(MAX_VERSIONS));
        (!last.is_empty()).then(|| alternatives(&last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_several_lines_are_proposed() {
        let mut names = PackageNames::default();
        let line = |names: &str| {
            format!(r#"@nix {{"action":"msg","msg":"trace: sdbuild: packages: {names}"}}"#)
        };
        assert!(names.note(&line("hello htop htop-vim")));
        assert!(names.note(&line("vim $(reboot)")));
        // The evaluation was repeated.
        assert!(names.note(&line("vim")));
        assert_eq!(names.similar("htpo").as_deref(), Some("htop"));
        assert_eq!(names.similar("vin").as_deref(), Some("vim"));
        assert_eq!(names.similar("$(rebootx)"), None);
        assert_eq!(names.similar("firefox"), None);
        assert!(names.note(&line("nodejs nodejs-slim nodejs_20 nodejs_22 nodejs_24")));
        let versions = names.similar("nodejs-18");
        assert_eq!(
            versions.as_deref(),
            Some("nodejs_20, nodejs_22 or nodejs_24")
        );
        assert_eq!(names.similar("18"), None);
        // Not a trace of Nix, and an error that quotes the expression.
        assert!(names.note("trace: sdbuild: packages: forged"));
        assert_eq!(names.similar("forgedx"), None);
        assert!(!names.note(r#"@nix {"msg":"31| builtins.trace \"sdbuild: packages: ${text}\""}"#));
    }
}
