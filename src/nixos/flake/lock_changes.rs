//! What has changed from one `flake.lock` to the next.

use std::collections::BTreeMap;

use super::lock::Lock;
use crate::common::git_source::Attributes;

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
