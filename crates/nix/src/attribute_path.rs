//! Attribute paths of Nix: names separated by dots, those with dots in quotes. Pure.

use sdbuild_core::nix_string::nix_string;

/// The names in `path`; none if it is empty.
pub fn parse(path: &str) -> Result<Vec<String>, String> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let wrong = || format!("`{path}` is not an attribute path such as NAME or a.\"b.c\".d");
    let (mut names, mut name, mut in_quotes) = (Vec::new(), String::new(), false);
    for c in path.chars() {
        match c {
            '"' => in_quotes = !in_quotes,
            '.' if !in_quotes => names.push(std::mem::take(&mut name)),
            '$' | '\\' => return Err(wrong()),
            c => name.push(c),
        }
    }
    names.push(name);
    if names.last().is_some_and(String::is_empty) && path.ends_with('.') && path.len() > 1 {
        return Err(format!(
            "`{path}` ends with a dot. Leave it out, or write a name after it"
        ));
    }
    if in_quotes || names.iter().any(String::is_empty) {
        return Err(wrong());
    }
    Ok(names)
}

/// The path of `names` as source text of Nix.
pub fn text(names: &[String]) -> String {
    let quoted = |name: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_'".contains(c);
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if name.chars().all(is_plain) && begins {
            name.clone()
        } else {
            nix_string(name)
        }
    };
    let names: Vec<_> = names.iter().map(quoted).collect();
    names.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn accepted_paths_round_trip(path in "[a-z0-9.\"'_ $ü-]{0,16}") {
            if let Ok(names) = parse(&path) {
                proptest::prop_assert_eq!(parse(&text(&names)), Ok(names));
            }
        }
    }
}
