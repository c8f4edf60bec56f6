//! Options with what stands for a value of the user's own, and names of files that are below `/etc` twice. Pure.

use super::facts::ConfigFacts;
use super::own_facts::{EtcNameFacts, UnfilledFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::nix_string::nix_string;

/// One for each such option.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let unfilled = facts.unfilled.iter().map(unfilled);
    let names = facts.etc_names.iter().map(etc_name);
    unfilled.chain(names)
}

fn unfilled(found: &UnfilledFacts) -> Finding {
    let UnfilledFacts { option, text } = found;
    let option = attribute_path::text(option);
    let is_name = found.option.last() == Some(text);
    Finding {
        id: "placeholder",
        severity: Severity::Warning,
        is: if is_name {
            option
        } else {
            format!("{option} has \"{text}\"")
        },
        why: "that is a placeholder from a line that sdbuild proposed, or from its documentation. Write your own value \
              instead".to_owned(),
        add: Vec::new(),
        place: None,
    }
}

fn etc_name(file: &EtcNameFacts) -> Finding {
    let EtcNameFacts {
        name,
        target,
        meant,
        content,
    } = file;
    let option =
        |name: &str| attribute_path::text(&["environment", "etc", name].map(str::to_owned));
    let (is, line) = if target == name {
        let (old, new) = (option(name), option(meant));
        let line = format!("{new}.{content} = …; # replaces {old}.{content}; keep its value");
        (old, line)
    } else {
        let option = format!("{}.target", option(name));
        let line = format!("{option} = {};", nix_string(meant));
        (format!("{option} = {}", nix_string(target)), line)
    };
    Finding {
        id: "etc-in-etc",
        severity: Severity::Warning,
        is,
        why: format!(
            "names in environment.etc are already below /etc, so the file is /etc/etc/{meant}"
        ),
        add: vec![line],
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::with;

    /// Id, text and lines of the only finding.
    #[track_caller]
    fn only(changes: &[(&str, Value)]) -> (&'static str, String, Vec<String>) {
        let mut found = findings(&with(changes), "aarch64-linux", None);
        assert_eq!(found.len(), 1, "{found:?}");
        let finding = found.remove(0);
        (finding.id, finding.is, finding.add)
    }

    #[test]
    fn what_stands_for_a_value_of_the_users_is_told() {
        let told = |option: &[&str], text: &str| {
            let unfilled = json!([{ "option": option, "text": text }]);
            let (id, is, _) = only(&[("/unfilled", unfilled)]);
            assert_eq!(id, "placeholder");
            is
        };
        let network = ["networking", "wireless", "networks", "…"];
        let is = "networking.wireless.networks.\"…\"";
        assert_eq!(told(&network, "…"), is);
        let flake = ["system", "autoUpgrade", "flake"];
        let is = "system.autoUpgrade.flake has \"github:me/config#NAME\"";
        assert_eq!(told(&flake, "github:me/config#NAME"), is);
    }

    #[test]
    fn the_examples_of_the_documentation_are_known() {
        let page = include_str!("../../../docs/configuration.md");
        let known = include_str!("../expressions/check/unfilled.nix");
        let words = page.split(|c: char| c.is_whitespace() || "\";".contains(c));
        let is_example = |word: &&str| {
            let is_key = word.len() == 64 && word.bytes().all(|b| b.is_ascii_hexdigit());
            is_key || word.starts_with("AAAAC3") || word.starts_with("AAAAB3")
        };
        let examples: Vec<&str> = words.filter(is_example).collect();
        assert!(examples.len() >= 3, "{examples:?}");
        for example in examples {
            assert!(known.contains(example), "{example}");
        }
    }

    #[test]
    fn a_file_is_below_etc_once() {
        let told = |name: &str, target: &str| {
            let file =
                json!([{ "name": name, "target": target, "meant": "motd", "content": "text" }]);
            let (id, is, add) = only(&[("/etc_names", file)]);
            assert_eq!(id, "etc-in-etc");
            (is, add.concat())
        };
        let old = "environment.etc.\"/etc/motd\"";
        let line = format!("environment.etc.motd.text = …; # replaces {old}.text; keep its value");
        assert_eq!(told("/etc/motd", "/etc/motd"), (old.to_owned(), line));
        let option = "environment.etc.a.target";
        let (is, line) = (
            format!("{option} = \"etc/motd\""),
            format!("{option} = \"motd\";"),
        );
        assert_eq!(told("a", "etc/motd"), (is, line));
    }
}
