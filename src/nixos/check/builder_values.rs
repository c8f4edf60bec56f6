//! Values that a configuration takes from the machine that evaluates it, which is the builder's container. Pure.

use rnix::SyntaxKind::{NODE_APPLY, NODE_PATH_ABS, NODE_STRING};
use rnix::SyntaxNode;

use super::{Finding, Place, Severity};
use crate::nixos::nix_definitions::{called, line_number_of};
use crate::nixos::nix_syntax::parse;

/// Why a variable of the environment has no value.
const NO_VARIABLE: &str = "it is empty, because the builder does not have the variables of your shell. Write the value itself, or set \
 the option on the command line with --set. A secret belongs into a file on the card";
/// Why a file is another one than is meant.
const OTHER_FILE: &str = "it is the file of the builder's container, neither that of your machine nor that of the card. Copy the \
 file next to the configuration, and write its path as ./NAME without quotes";

/// Directories of every Linux, of which the builder has its own. What is elsewhere, such as in `/home`, Nix does not find.
const OF_CONTAINER: [&str; 5] = ["/etc/", "/proc/", "/run/", "/sys/", "/var/"];

/// A place that reads such a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BuilderValue {
    /// Its line, counted from 1.
    line: usize,
    written: String,
    why: &'static str,
}

/// The places in `text` that read such values.
pub(super) fn builder_values(text: &str) -> Vec<BuilderValue> {
    let root = parse(text).syntax();
    let found = root.descendants();
    found
        .filter_map(|node| builder_value(text, &node))
        .collect()
}

fn builder_value(text: &str, node: &SyntaxNode) -> Option<BuilderValue> {
    let given = node.last_child().filter(|_| node.kind() == NODE_APPLY)?;
    let function = called(node)?;
    let written = given.text().to_string();
    let is_string = given.kind() == NODE_STRING && !written.contains("${");
    let path = written.trim_matches('"');
    let is_of_container = OF_CONTAINER.iter().any(|dir| path.starts_with(dir));
    let why = match function.as_str() {
        "getEnv" if is_string => NO_VARIABLE,
        "readFile" if is_of_container && (is_string || given.kind() == NODE_PATH_ABS) => OTHER_FILE,
        _ => return None,
    };
    Some(BuilderValue {
        line: line_number_of(text, node),
        written: format!("builtins.{function} {written}"),
        why,
    })
}

/// What is said of such `values`, each behind its file.
pub(super) fn findings(values: &[(String, BuilderValue)]) -> Vec<Finding> {
    let found = values.iter().map(|(file, value)| Finding {
        id: "value-of-builder",
        severity: Severity::Warning,
        is: value.written.clone(),
        why: value.why.to_owned(),
        add: Vec::new(),
        place: Some(Place {
            file: file.clone(),
            line: value.line,
        }),
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_the_builder_are_told_with_their_place() {
        let text = "{ a = builtins.getEnv \"X\";\n  b = builtins.readFile \"/etc/hostname\";\n  c = builtins.readFile /etc/x;\n  \
                    d = builtins.readFile ./x; e = builtins.readFile \"/home/me/x\"; f = lib.getEnv y; g = getEnv \"${z}\"; }";
        let values = builder_values(text).into_iter();
        let values: Vec<_> = values.map(|one| ("c.nix".to_owned(), one)).collect();
        let found = findings(&values).into_iter().map(|one| {
            let place = one.place.unwrap();
            format!("{}:{} {} {}", place.file, place.line, one.is, one.why)
        });
        let found: Vec<String> = found.collect();
        let starts = [
            "c.nix:1 builtins.getEnv \"X\" it is empty",
            "c.nix:2 builtins.readFile \"/etc/hostname\" it is the file of",
            "c.nix:3 builtins.readFile /etc/x it is the file of",
        ];
        assert_eq!(found.len(), starts.len(), "{found:?}");
        for (told, start) in found.iter().zip(starts) {
            assert!(told.starts_with(start), "{told}");
        }
    }
}
