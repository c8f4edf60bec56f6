//! Flakes that are named as in Nix's registry of flakes, of which none is read.

use crate::nixos::known_repository::usual_url;

/// What to write in place of `reference` if that is the name of a registry's flake: `nixpkgs`, `nixpkgs/BRANCH`; people also take
/// `OWNER/REPOSITORY` for the address on GitHub.
pub(super) fn full_url(reference: &str) -> Option<String> {
    let text = reference.strip_prefix("flake:").unwrap_or(reference);
    let is_name = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    if !text.starts_with(|c: char| c.is_ascii_alphabetic()) || !text.chars().all(is_name) {
        return None;
    }
    let (name, rest) = text.split_once('/').unwrap_or((text, ""));
    match (name, rest) {
        ("nixpkgs", branch) if !branch.is_empty() => Some(format!("github:NixOS/nixpkgs/{branch}")),
        (name, "") => usual_url(name),
        (owner, repository) if !repository.contains('/') => {
            Some(format!("github:{owner}/{repository}"))
        }
        _ => None,
    }
}

/// Whether Nix would look for the input with this URL in a registry.
pub(super) fn is_in_registry(url: &str) -> bool {
    url.starts_with("flake:")
        || !url.contains(':') && url.starts_with(|c: char| c.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_registry_have_urls() {
        for (name, url) in [
            ("NixOS/nixpkgs", Some("github:NixOS/nixpkgs")),
            ("nixpkgs", Some("github:NixOS/nixpkgs/nixos-26.05")),
            (
                "flake:nixpkgs/nixos-25.11",
                Some("github:NixOS/nixpkgs/nixos-25.11"),
            ),
            ("disko", Some("github:nix-community/disko")),
            ("unknown", None),
            ("a/b/c", None),
            ("./pi", None),
            ("a b/c", None),
            ("github:NixOS/nixpkgs", None),
        ] {
            assert_eq!(full_url(name).as_deref(), url, "{name}");
        }
    }

    #[test]
    fn a_url_with_a_server_and_a_path_are_in_no_registry() {
        for url in ["NixOS/nixpkgs", "nixpkgs", "flake:nixpkgs"] {
            assert!(is_in_registry(url), "{url}");
        }
        for url in [
            "github:NixOS/nixpkgs",
            "./pi",
            "../pi",
            "/pi",
            "path:pi",
            "",
        ] {
            assert!(!is_in_registry(url), "{url}");
        }
    }
}
