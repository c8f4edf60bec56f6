//! The names in the outputs of a flake's inputs, which an evaluation that fails writes to the log (`expressions/default.nix`).

use std::collections::BTreeMap;

use crate::common::nix_name::is_of_path;
use sdbuild_core::nearest::similar_names;
use sdbuild_nix::trace::{is_trace, traced};

/// What precedes the names in a trace of Nix.
const TRACED: &str = "sdbuild: outputs";
/// Outputs that are kept.
const MAX_OUTPUTS: usize = 100;
/// Names of an output that are kept.
const MAX_NAMES: usize = 10_000;
/// Names that are proposed.
const MAX_PROPOSED: usize = 5;

/// The names by the path of their set: of `hw.nixosModules` those of the modules.
#[derive(Clone, Debug, Default)]
pub(super) struct FlakeOutputs(BTreeMap<String, Vec<String>>);

impl FlakeOutputs {
    /// Keeps the names in `line` of Nix's log; `false` if it is not a trace with names. Anything that the builder runs can write such a
    /// line.
    pub(super) fn note(&mut self, line: &str) -> bool {
        if !is_trace(line, TRACED) {
            return false;
        }
        let text = traced(line, TRACED).unwrap_or_default();
        let is_name = |word: &&str| word.chars().all(is_of_path);
        let mut words = text.split_ascii_whitespace().filter(is_name);
        if let Some(path) = words.next().filter(|_| self.0.len() < MAX_OUTPUTS) {
            let names = words.take(MAX_NAMES).map(str::to_owned).collect();
            self.0.insert(path.to_owned(), names);
        }
        true
    }

    /// The names in the set at `path`; none if it is not known.
    pub(super) fn names(&self, path: &str) -> &[String] {
        self.0.get(path).map_or(&[], Vec::as_slice)
    }

    /// The names in the set at `path`, of which those that `unknown` may mean come first, in words; `None` if it is not known.
    pub(super) fn in_words(&self, path: &str, unknown: &str) -> Option<String> {
        let names = self.0.get(path)?;
        if names.is_empty() {
            return Some(format!("{path} is empty"));
        }
        if let Some(similar) = similar_names(unknown, names.iter().map(String::as_str)) {
            return Some(format!("did you mean {similar}?"));
        }
        let mut nearest: Vec<&String> = names.iter().collect();
        nearest.sort_by_key(|name| (!has_letters_of(name, unknown), *name));
        let shown: Vec<&str> = nearest
            .iter()
            .take(MAX_PROPOSED)
            .map(|n| n.as_str())
            .collect();
        let more = names.len().saturating_sub(shown.len());
        let more = if more == 0 {
            String::new()
        } else {
            format!(" and {more} more")
        };
        Some(format!("it has {}{more}", shown.join(", ")))
    }
}

/// Whether `name` has all letters of `short` in their order: `raspberry-pi-4` those of `rpi4`.
fn has_letters_of(name: &str, short: &str) -> bool {
    let mut letters = name.chars();
    let mut wanted = short.chars().filter(char::is_ascii_alphanumeric);
    wanted.all(|wanted| letters.any(|letter| letter.eq_ignore_ascii_case(&wanted)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_of_an_output_come_first() {
        let mut outputs = FlakeOutputs::default();
        let line = |names: &str| {
            format!(r#"@nix {{"action":"msg","msg":"trace: sdbuild: outputs: {names}"}}"#)
        };
        let modules = "hw.nixosModules a b c d e raspberry-pi-4 raspberry-pi-5 $(reboot)";
        assert!(outputs.note(&line(modules)));
        assert!(outputs.note(&line("hw nixosModules")));
        assert!(outputs.note(&line("hw.overlays")));
        assert!(!outputs.note("sdbuild: outputs: forged"));
        let told = |path: &str, name: &str| outputs.in_words(path, name);
        assert_eq!(
            told("hw.nixosModules", "rpi4").unwrap(),
            "it has raspberry-pi-4, a, b, c, d and 2 more"
        );
        assert_eq!(
            told("hw.nixosModules", "raspbery-pi-4").unwrap(),
            "did you mean raspberry-pi-4?"
        );
        assert_eq!(
            told("hw", "nixosModule").unwrap(),
            "did you mean nixosModules?"
        );
        assert_eq!(told("hw.overlays", "x").unwrap(), "hw.overlays is empty");
        assert_eq!(told("other", "x"), None);
    }
}
