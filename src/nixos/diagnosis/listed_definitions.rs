//! The definitions that Nix lists below a message about an option. Pure.

/// What precedes the file of a definition.
pub(super) const IN_FILE: &str = "- In `";

/// The file of each definition, and the first line of its value, which is empty if the value has several lines.
pub(super) fn listed(summary: &str) -> impl Iterator<Item = (&str, &str)> {
    let lines = summary.lines().map(str::trim_start);
    lines.filter_map(|line| {
        let (file, value) = line.strip_prefix(IN_FILE)?.split_once('\'')?;
        Some((file, value.strip_prefix(": ").unwrap_or_default()))
    })
}

/// The values that stand beside their files.
pub(super) fn values(summary: &str) -> impl Iterator<Item = &str> {
    listed(summary)
        .map(|(_, value)| value)
        .filter(|value| !value.is_empty())
}

/// The option that has the list, and the number of the element, from 1 on, of `OPTION."[definition I-entry J]"`; the rest of the path
/// is of no interest.
pub(super) fn list_element(path: &str) -> Option<(&str, usize)> {
    let (option, rest) = path.split_once(".\"[definition ")?;
    let (number, _) = rest.split_once("-entry ")?.1.split_once(']')?;
    Some((option, number.parse().ok()?))
}

/// What `path` begins with up to the dot after `OPTION."[definition I-entry J]"`, the list's last element in it; empty without one.
pub(super) fn up_to_element(path: &str) -> &str {
    let end = "]\".";
    let at = path.rfind(end).filter(|_| list_element(path).is_some());
    at.and_then(|at| path.get(..at + end.len()))
        .unwrap_or_default()
}
