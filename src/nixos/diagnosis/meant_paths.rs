//! Paths that are written as strings or by variables, and how they are written as paths. Pure.

/// The path that is `written` in quotes or by a variable, as an element of a list.
pub(super) fn file(written: &str) -> Option<String> {
    path(written.trim_matches('"')).or_else(|| with_variable(written))
}

/// The path that is `written` by a variable, such as `modulesPath + "/a.nix"`, as an element of a list; `None` for everything else.
fn with_variable(written: &str) -> Option<String> {
    let is_string = written.starts_with('"') && written.contains("${");
    let is_sum = !written.starts_with('"') && written.contains('+');
    is_string
        .then(|| written.to_owned())
        .or_else(|| is_sum.then(|| format!("({written})")))
}

/// What to write in place of the path that is in quotes.
pub(super) fn quoted_path(string: &str) -> String {
    match path(string) {
        Some(path) => format!("write a path without quotes: {path}"),
        None => "write a path without quotes: ./FILE.nix, or <nixpkgs/…>".to_owned(),
    }
}

/// `string` as a path of Nix's syntax; `None` for an address, and for what no path can be.
fn path(string: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+/".contains(c);
    let begins = |starts: &[&str]| starts.iter().any(|start| string.starts_with(start));
    if begins(&["nixpkgs/"]) {
        return Some(format!("<{string}>"));
    }
    if begins(&["./", "../", "/", "~/", "<"]) {
        return Some(string.to_owned());
    }
    let is_name = string.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_name && string.chars().all(is_plain)).then(|| format!("./{string}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_files_become_paths() {
        for (string, expected) in [
            ("wifi.nix", Some("./wifi.nix")),
            ("./wifi.nix", Some("./wifi.nix")),
            ("nixpkgs/nixos/x.nix", Some("<nixpkgs/nixos/x.nix>")),
            ("https://example.org/x.tar.gz", None),
            ("github:me/x", None),
            ("my file.nix", None),
            ("..", None),
        ] {
            assert_eq!(path(string).as_deref(), expected, "{string}");
        }
    }
}
