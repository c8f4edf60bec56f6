//! Names in Nix's messages.

/// The first quoted name after `prefix`.
pub(super) fn quoted_after<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(prefix)?;
    let name = rest.split(['\'', '`', '"', '‘', '’']).nth(1)?;
    is_name(name).then_some(name)
}

/// Whether the `names` of a path are those of `pattern`, in which `*` is any name.
pub(super) fn is_at(names: &[String], pattern: &str) -> bool {
    let parts: Vec<&str> = pattern.split('.').collect();
    let mut pairs = parts.iter().zip(names);
    parts.len() == names.len() && pairs.all(|(part, name)| *part == "*" || part == name)
}

/// Where packages are searched, up to the name.
pub(super) const SEARCH: &str = "https://search.nixos.org/packages?query=";

/// Whether `text` is safe to propose in a hint: a name, option or path without characters that a shell
/// interprets.
pub(super) fn is_name(text: &str) -> bool {
    let allowed = |c: char| c.is_alphanumeric() || "._-+/".contains(c);
    (1..200).contains(&text.len()) && text.chars().all(allowed)
}
