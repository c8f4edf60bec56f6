//! Flakes that are named as in Nix's registry of flakes, of which none is read.

use crate::nixos::known_repository::usual_url;

/// What to write in place of `reference` if that is the name of a registry's flake, such as `nixpkgs` or `nixpkgs/BRANCH`, with the
/// condition under which it is meant: people also take `OWNER/REPOSITORY` for the address on GitHub.
pub(super) fn proposal(reference: &str) -> Option<String> {
    let text = reference.strip_prefix("flake:").unwrap_or(reference);
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let parts: Vec<&str> = text.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && part.chars().all(is_part);
    if !is_id(text) || !parts.iter().all(is_plain) {
        return None;
    }
    match parts.as_slice() {
        ["nixpkgs", branch] => Some(format!("write github:NixOS/nixpkgs/{branch}")),
        [name] => usual_url(name).map(|url| format!("write {url}")),
        [name, branch] if usual_url(name).is_some() => {
            usual_url(name).map(|url| format!("write {url}/{branch}"))
        }
        [owner, repository] if text == reference => Some(format!(
            "if the repository {owner}/{repository} on GitHub is meant, write github:{owner}/{repository}"
        )),
        _ => None,
    }
}

/// Whether Nix would look for the input with this URL in a registry.
pub(super) fn is_in_registry(url: &str) -> bool {
    url.starts_with("flake:") || !url.contains(':') && is_id(url)
}

/// Whether `text` begins with the name of a flake in a registry, as Nix's grammar has it, and not with a directory.
fn is_id(text: &str) -> bool {
    let first = text.split('/').next().unwrap_or_default();
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-".contains(c);
    first.starts_with(|c: char| c.is_ascii_alphabetic()) && first.chars().all(is_part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_a_registry_have_urls() {
        for (name, told) in [
            ("nixpkgs", Some("write github:NixOS/nixpkgs/nixos-26.05")),
            (
                "flake:nixpkgs/nixos-25.11",
                Some("write github:NixOS/nixpkgs/nixos-25.11"),
            ),
            ("disko", Some("write github:nix-community/disko")),
            (
                "home-manager/release-26.05",
                Some("write github:nix-community/home-manager/release-26.05"),
            ),
            (
                "NixOS/nixpkgs",
                Some(
                    "if the repository NixOS/nixpkgs on GitHub is meant, write github:NixOS/nixpkgs",
                ),
            ),
            ("flake:utils/main", None),
            ("nixpkgs/nixos-25.11/0123", None),
            ("unknown", None),
            ("a/b/c", None),
            ("./pi", None),
            ("a b/c", None),
            ("github:NixOS/nixpkgs", None),
        ] {
            assert_eq!(proposal(name).as_deref(), told, "{name}");
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
            "flakes.d/base",
            "2nd",
            "",
        ] {
            assert!(!is_in_registry(url), "{url}");
        }
    }
}
