//! The agent's list of the entries in the table. Pure; the text is untrusted.

use crate::binfmt::status;
use crate::binfmt::status::Entry;

/// A list of entries, parsed line by line.
#[derive(Debug, Default)]
pub(super) struct EntryList(Vec<Listed>);

#[derive(Debug, Default)]
struct Listed {
    name: String,
    age: Option<u64>,
    text: String,
}

impl EntryList {
    /// Adds a line of the agent's; those that belong to no list are ignored.
    pub(super) fn push(&mut self, line: &str) {
        if let Some(name) = line.strip_prefix("entry ") {
            // A list that was requested twice: the later one counts.
            self.0.retain(|listed| listed.name != name);
            self.0.push(Listed {
                name: name.to_owned(),
                ..Listed::default()
            });
        } else if let Some(entry) = self.0.last_mut() {
            if let Some(text) = line.strip_prefix("| ") {
                entry.text.push_str(text);
                entry.text.push('\n');
            } else if let Some(age) = line.strip_prefix("age ") {
                entry.age = age.parse().ok();
            }
        }
    }

    /// The entries listed so far.
    pub(super) fn entries(&self) -> Vec<Entry> {
        let entry = |listed: &Listed| Entry {
            age: listed.age,
            ..status::parse(&listed.name, &listed.text)
        };
        self.0.iter().map(entry).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_list_replaces_an_earlier_one() {
        let mut list = EntryList::default();
        for line in [
            "age 9",
            "entry a",
            "age 7",
            "| enabled",
            "entry b",
            "| enabled",
            "entry a",
            "age 3",
            "| disabled",
            "nonsense",
            "entry c",
            "age -1",
        ] {
            list.push(line);
        }
        let entries = list.entries();
        let seen: Vec<_> = entries
            .iter()
            .map(|e| (e.name.as_str(), e.age, e.enabled))
            .collect();
        assert_eq!(
            seen,
            [("b", None, true), ("a", Some(3), false), ("c", None, false)]
        );
    }
}
