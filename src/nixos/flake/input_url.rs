//! Addresses of flakes that Nix takes for something else than what is meant.

use std::path::Path;

use crate::common::flake_url::{FlakeUrl, decoded};
use crate::common::repository_address::{
    misnamed_parameter, of_forge, of_ssh, without_fragment, without_server,
};
use crate::nixos::known_repository::{url_of_branch, usual_url};
use sdbuild_core::shell_word::quoted;

/// What to write in place of `reference` if that is the name of a registry's flake, such as `nixpkgs` or `nixpkgs/BRANCH`, with the
/// condition under which it is meant: people also take `OWNER/REPOSITORY` for the address on GitHub.
pub(super) fn proposal(reference: &str) -> Option<String> {
    if let Some(meant) = of_forge(reference) {
        return Some(format!("write {meant}"));
    }
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
        [host @ ("github" | "gitlab"), owner, repository] => {
            Some(format!("write {host}:{owner}/{repository}"))
        }
        [owner, repository] if text == reference => Some(format!(
            "if the repository {owner}/{repository} on GitHub is meant, write github:{owner}/{repository}"
        )),
        _ => None,
    }
}

/// What Nix would take the `url` of the input `name` for, as the rest of a sentence, and what to write instead; `None` for what may be right.
/// `dir` is the flake's directory below the one that is uploaded.
pub(super) fn problem(name: &str, url: &str, dir: &str) -> Option<(&'static str, String)> {
    if let Some((flake, attribute)) = url.split_once('#')
        && !(flake.is_empty() || attribute.is_empty())
    {
        let what = "which names an attribute, and an input is a whole flake";
        return problem(name, flake, dir)
            .or_else(|| Some((what, without_fragment(flake, attribute))));
    }
    let without_scheme = url.strip_prefix("https://").unwrap_or(url);
    if let Some(meant) = of_forge(without_scheme) {
        let what = "which is a web page, not a flake";
        return Some((what, format!("write {meant}")));
    }
    if let Some(hint) = in_place_of_channel(url) {
        return Some(("which is a web page, not a flake", hint));
    }
    let in_brackets = url.strip_prefix('<').and_then(|url| url.strip_suffix('>'));
    if let Some(searched) = in_brackets {
        let what = "which is not the address of a flake";
        let written = proposal(searched).unwrap_or_else(elsewhere);
        return Some((what, written));
    }
    if let Some(meant) = of_ssh(url) {
        return Some((
            "which is not the address of a flake",
            format!("write {meant}"),
        ));
    }
    if let Some(meant) = without_server(url) {
        return Some(("which does not name a server", format!("write {meant}")));
    }
    if let Some((_, meant)) = misnamed_parameter(url) {
        let what = "which has a parameter that Nix does not know";
        return Some((what, format!("write {meant}")));
    }
    // Behind the repository a branch or tag may have an `@`.
    if let Some((owner, repository)) = url
        .strip_prefix("github:")
        .and_then(|rest| rest.split_once('/'))
        && !repository.contains(['/', '?'])
        && let Some((repository, branch)) = repository.split_once('@')
    {
        let what = "in which Nix reads the `@` as part of the repository's name";
        return Some((what, format!("write github:{owner}/{repository}/{branch}")));
    }
    if let Some(found) = of_directory(name, url, dir) {
        return Some(found);
    }
    if !is_in_registry(url) {
        return None;
    }
    Some(match on_branch(name, url) {
        Some(written) => (
            "only the name of a branch, which is not the address of a flake",
            written,
        ),
        None => (
            "a name in a registry of flakes, and a build reads none",
            proposal(url).unwrap_or_else(elsewhere),
        ),
    })
}

/// The same for the `url` of a directory.
fn of_directory(name: &str, url: &str, dir: &str) -> Option<(&'static str, String)> {
    if let Some(hint) = without_branch(url) {
        let what = "in which Nix takes the directory as it is, without git";
        return Some((what, hint));
    }
    let hint = outside(name, url, dir)?;
    Some(("a directory that the builder does not have", hint))
}

/// What to write in place of the `url` of a directory with a branch or a commit, which only git has.
fn without_branch(url: &str) -> Option<String> {
    let (path, query) = url.strip_prefix("path:")?.split_once('?')?;
    let is_of_git = |part: &&str| {
        let name = part.split('=').next().unwrap_or_default();
        ["branch", "commit", "ref", "rev", "tag"].contains(&name)
    };
    let named = query.split('&').find(is_of_git)?;
    let others: Vec<&str> = query.split('&').filter(|part| !is_of_git(part)).collect();
    let query = if others.is_empty() {
        String::new()
    } else {
        format!("?{}", others.join("&"))
    };
    Some(format!(
        "leave out {named}, and check the commit out before: write path:{path}{query}"
    ))
}

/// What to do about the `url` of the input `name` that is a directory outside the one that is uploaded, which has the flake in `dir`.
fn outside(name: &str, url: &str, dir: &str) -> Option<String> {
    let path = url.strip_prefix("path:").unwrap_or(url);
    let up = path.split('/').take_while(|part| *part == "..").count();
    let depth = dir.split('/').filter(|part| !part.is_empty()).count();
    let is_elsewhere = path.starts_with(['/', '~']) && !path.starts_with("/nix/");
    (is_elsewhere || up > depth).then(|| {
        let path = quoted(path);
        format!("move it into the flake's directory, as {name}, and write path:./{name}; or build with --override-input {name} {path}")
    })
}

/// The same for the `url` of the input `name` that is a relative path, where the flake in the directory `flake` has nothing at it.
pub(super) fn missing_path(name: &str, url: &str, flake: &Path) -> Option<(&'static str, String)> {
    let parsed = FlakeUrl::parse(url).ok()?;
    let path = match parsed.scheme {
        None => parsed.path.to_owned(),
        Some("path") => decoded(parsed.path).ok()?,
        Some(_) => return None,
    };
    let is_relative = !path.is_empty() && !path.starts_with('/') && !is_in_registry(url);
    // A link may lead to nothing on this machine.
    let is_missing = flake.join(path).symlink_metadata().is_err();
    (is_relative && is_missing).then(|| {
        let what = "which Nix reads as a path, and the flake has nothing there";
        let usual = || usual_url(name).map(|url| format!("correct the path, or write {url}"));
        let hint = on_branch(name, url).or_else(usual);
        let hint = hint.unwrap_or_else(|| format!("correct the path, or {}", elsewhere()));
        (what, hint)
    })
}

/// What to write for the URL of the input `name` that is only a branch.
fn on_branch(name: &str, branch: &str) -> Option<String> {
    url_of_branch(name, branch).map(|url| format!("write {url}"))
}

/// What to write in place of the `url` of a channel, at which is a page with its files.
fn in_place_of_channel(url: &str) -> Option<String> {
    let pages = ["https://channels.nixos.org/", "https://nixos.org/channels/"];
    let name = pages.iter().find_map(|start| url.strip_prefix(start))?;
    let name = name.trim_end_matches('/');
    let branch = url_of_branch("nixpkgs", name)?;
    Some(format!(
        "write {branch}, or the channel's archive, https://channels.nixos.org/{name}/nixexprs.tar.xz"
    ))
}

/// What to write for a flake that is not known.
fn elsewhere() -> String {
    "write where it is, such as github:OWNER/REPOSITORY".to_owned()
}

/// Whether Nix would look for the input with this URL in a registry.
fn is_in_registry(url: &str) -> bool {
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
            ("github/me/pi", Some("write github:me/pi")),
            ("github.com/me/pi", Some("write github:me/pi")),
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

    #[track_caller]
    fn assert_told(url: &str, told: Option<&str>) {
        let hint = problem("nixpkgs", url, "").map(|(_, hint)| hint);
        assert_eq!(hint.is_some(), told.is_some(), "{url}: {hint:?}");
        let (hint, told) = (hint.unwrap_or_default(), told.unwrap_or_default());
        assert!(hint.contains(told), "{url}: {hint}");
    }

    #[test]
    fn what_nix_does_not_know_in_an_address_is_corrected() {
        for (url, told) in [
            (
                "nixos-unstable",
                Some("write github:NixOS/nixpkgs/nixos-unstable"),
            ),
            ("/home/me/nixpkgs", Some("--override-input")),
            ("path:/nix/store/x-source", None),
            ("git:me/x", Some("github:me/x if it is on GitHub")),
            (
                "path:./hw?dir=a&ref=main",
                Some("leave out ref=main, and check the commit out before: write path:./hw?dir=a"),
            ),
            ("path:./hw?dir=a", None),
            ("github:me/x?branch=a", Some("write github:me/x/a")),
            (
                "https://channels.nixos.org/nixos-26.05",
                Some(
                    "write github:NixOS/nixpkgs/nixos-26.05, or the channel's archive, https://channels.nixos.org/nixos-26.05/nixexprs.tar.xz",
                ),
            ),
            (
                "https://channels.nixos.org/nixos-26.05/nixexprs.tar.xz",
                None,
            ),
        ] {
            assert_told(url, told);
        }
    }

    #[test]
    fn addresses_that_nix_takes_otherwise_are_corrected() {
        for (url, told) in [
            ("<nixpkgs>", Some("write github:NixOS/nixpkgs/nixos-26.05")),
            (
                "https://github.com/NixOS/nixpkgs",
                Some("write github:NixOS/nixpkgs"),
            ),
            (
                "github.com/NixOS/nixpkgs.git",
                Some("write github:NixOS/nixpkgs"),
            ),
            (
                "git@github.com:me/secrets.git",
                Some("write git+ssh://git@github.com/me/secrets.git"),
            ),
            (
                "github:NixOS/nixpkgs@nixos-26.05",
                Some("write github:NixOS/nixpkgs/nixos-26.05"),
            ),
            (
                "github:NixOS/nixpkgs/nixos-26.05#pi",
                Some("write github:NixOS/nixpkgs/nixos-26.05"),
            ),
            (
                "https://github.com/NixOS/nixpkgs#pi",
                Some("write github:NixOS/nixpkgs"),
            ),
            ("github:NixOS/nixpkgs#", None),
            ("~/nixpkgs", Some("--override-input")),
            ("../nixpkgs", Some("--override-input")),
            ("unknown", Some("write where it is")),
            (
                "https://github.com/NixOS/nixpkgs/archive/master.tar.gz",
                None,
            ),
            ("github:NixOS/nixpkgs/nixos-26.05", None),
            ("github:me/mono/pkg@1.2.0", None),
            ("github:me/x?ref=pkg@1.2.0", None),
            ("git+ssh://git@github.com/me/secrets", None),
            ("./pi", None),
        ] {
            assert_told(url, told);
        }
        assert!(problem("a", "path:../common", "hosts/pi").is_none());
        assert!(problem("a", "../../../common", "hosts/pi").is_some());
    }

    #[test]
    fn a_path_with_nothing_at_it_is_corrected() {
        let flake = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(flake.path().join("a b/26.05")).unwrap();
        for (name, url, told) in [
            (
                "nixpkgs",
                "nixos-26.05",
                Some("write github:NixOS/nixpkgs/nixos-26.05"),
            ),
            (
                "nixpkgs",
                "26.05",
                Some("write github:NixOS/nixpkgs/nixos-26.05"),
            ),
            (
                "home-manager",
                "release-26.05",
                Some("write github:nix-community/home-manager/release-26.05"),
            ),
            (
                "nixpkgs",
                "./nixpkgs",
                Some("or write github:NixOS/nixpkgs/nixos-26.05"),
            ),
            (
                "common",
                "path:common?dir=x",
                Some("such as github:OWNER/REPOSITORY"),
            ),
            ("common", "path:./a%20b", None),
            ("nixpkgs", "./a b/26.05", None),
            ("self", ".", None),
            ("nixpkgs", "nixos-unstable", None),
            ("nixpkgs", "github:NixOS/nixpkgs", None),
        ] {
            let hint = missing_path(name, url, flake.path()).map(|(_, hint)| hint);
            assert_eq!(hint.is_some(), told.is_some(), "{url}: {hint:?}");
            let (hint, told) = (hint.unwrap_or_default(), told.unwrap_or_default());
            assert!(hint.ends_with(told), "{url}: {hint}");
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
