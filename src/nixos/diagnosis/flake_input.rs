//! Wrong inputs of a flake, and wrong arguments of the `nixosSystem` that an input provides.

use super::evidence::MAX_SHOWN;
use super::names::quoted_after;
use crate::common::nix_name::is_of_path;
use crate::nixos::log::NixError;
use sdbuild_core::nearest::similar_names;

/// The file of nixpkgs with the function after `nixosSystem`.
const NIXOS_SYSTEM_FILE: &str = "/nixos/lib/eval-config.nix";
/// Arguments of `nixosSystem`.
const NIXOS_SYSTEM_ARGUMENTS: [&str; 5] = ["lib", "modules", "pkgs", "specialArgs", "system"];
/// Schemes of the URLs of inputs.
const SCHEMES: [&str; 9] = [
    "git+file",
    "git+https",
    "git+ssh",
    "github",
    "gitlab",
    "https",
    "path",
    "sourcehut",
    "tarball+https",
];

/// What to write in place of an input's wrong attribute or URL, or of a wrong argument of `nixosSystem`.
pub(super) fn wrong_input_hint(error: &NixError) -> Option<String> {
    let summary = error.summary.as_str();
    if let Some(name) = quoted_after(summary, "unexpected flake input attribute") {
        return attribute_hint(error, name);
    }
    if let Some(url) = unsupported_url(summary) {
        return Some(url_hint(url));
    }
    if summary.contains("-source/github:") {
        return Some(
            "the URL of an input on GitHub is github:OWNER/REPOSITORY, or with a branch github:OWNER/REPOSITORY/BRANCH"
                .to_owned(),
        );
    }
    if summary.starts_with("found circular import of flake 'path:'") {
        return Some(
            "an input in flake.nix has an empty URL. Give it one, such as github:OWNER/REPOSITORY"
                .to_owned(),
        );
    }
    let is_missing = summary == "attribute 'nixosSystem' missing";
    if is_missing && quoted_line(error).is_some_and(is_of_packages) {
        return Some(
            "nixosSystem is in the lib of the flake nixpkgs, not of its packages. Write nixpkgs.lib.nixosSystem"
                .to_owned(),
        );
    }
    if is_missing && !error.text.contains(".lib.nixosSystem") {
        let hint = "write nixpkgs.lib.nixosSystem";
        return Some(hint.to_owned() + &whole_line(error, ".nixosSystem", ".lib.nixosSystem"));
    }
    nixos_system_hint(error)
}

/// The line that Nix quotes at the place of `error`.
fn quoted_line(error: &NixError) -> Option<&str> {
    let number = format!("{}|", error.position.as_ref()?.line);
    let mut lines = error.text.lines().map(str::trim_start);
    lines.find(|line| line.starts_with(&number))
}

/// Whether `line` takes `nixosSystem` from the packages of nixpkgs: of `import nixpkgs { … }`, `pkgs` or `legacyPackages`.
fn is_of_packages(line: &str) -> bool {
    let Some((before, _)) = line.split_once(".lib.nixosSystem") else {
        return line.contains("import nixpkgs");
    };
    let path = before.rsplit(|c| !is_of_path(c)).next();
    let path = path.unwrap_or_default();
    before.contains("import nixpkgs") || path == "pkgs" || path.contains("legacyPackages")
}

/// How the only line of those that Nix quotes in `error` reads that has `wrong`, with `right` in its place: a sentence after a
/// hint; empty if that line is not known.
pub(super) fn whole_line(error: &NixError, wrong: &str, right: &str) -> String {
    let lines = error.text.lines().filter_map(|line| line.split_once("| "));
    let is_meant = |line: &str| line.contains(wrong) && line.len() <= MAX_SHOWN;
    let mut having = lines.filter(|(_, line)| is_meant(line));
    let (Some((number, line)), None) = (having.next(), having.next()) else {
        return String::new();
    };
    let (number, line) = (number.trim(), line.trim().replacen(wrong, right, 1));
    format!(". Line {number} then reads: {line}")
}

fn attribute_hint(error: &NixError, name: &str) -> Option<String> {
    match name {
        "ref" | "branch" => Some(in_url(name, "BRANCH", "ref=BRANCH")),
        "tag" => Some(in_url(name, "TAG", "ref=refs/tags/TAG")),
        "rev" | "commit" => Some(in_url(name, "COMMIT", "rev=COMMIT")),
        "dir" => Some("write the directory at the end of the URL: ?dir=DIRECTORY".to_owned()),
        "owner" | "repo" => Some(
            "give the input its address as a URL: url = \"github:OWNER/REPOSITORY\";".to_owned(),
        ),
        _ => {
            let similar = similar_names(name, ["url", "flake", "follows", "inputs", "type"])?;
            let wrong = format!("{name} =");
            Some(match whole_line(error, &wrong, &format!("{similar} =")) {
                line if line.is_empty() => format!("did you mean {similar}?"),
                line => format!("write {similar} instead of {name}{line}"),
            })
        }
    }
}

/// Where the attribute `name`, a `value` such as a branch, is in a URL; in one of git it is a `parameter`.
fn in_url(name: &str, value: &str, parameter: &str) -> String {
    format!(
        "write {name} as a part of the URL: github:OWNER/REPOSITORY/{value}, or ?{parameter} at the end of a git+https: \
         URL"
    )
}

/// The URL that Nix does not know how to fetch.
pub(super) fn unsupported_url(summary: &str) -> Option<&str> {
    let unsupported = || {
        let url = summary.strip_prefix("input '")?;
        url.strip_suffix("' is unsupported")
    };
    let with_fragment = || {
        let (_, url) = summary
            .strip_prefix("unexpected fragment '")?
            .split_once("' in flake reference '")?;
        url.strip_suffix('\'')
    };
    unsupported().or_else(with_fragment)
}

fn url_hint(url: &str) -> String {
    if let Some((flake, fragment)) = url.split_once('#') {
        return format!("write {flake}, without #{fragment}: an input is a whole flake");
    }
    let (scheme, rest) = url.split_once(':').unwrap_or((url, ""));
    if scheme == "ssh" {
        return format!("write git+ssh:{rest}");
    }
    match similar_names(scheme, SCHEMES) {
        Some(similar) => format!("did you mean {similar}:?"),
        None => "the URL of an input begins with github:, gitlab:, git+https:, git+ssh: or https:"
            .to_owned(),
    }
}

fn nixos_system_hint(error: &NixError) -> Option<String> {
    let summary = error.summary.as_str();
    let is_call = summary.contains("called without required argument 'modules'");
    if is_call && error.text.contains(NIXOS_SYSTEM_FILE) {
        return Some("nixosSystem takes a set with modules = [ ./configuration.nix ];".to_owned());
    }
    let position = error.position.as_ref()?;
    if !position.file.ends_with(NIXOS_SYSTEM_FILE) {
        return None;
    }
    let name = quoted_after(summary, "called with unexpected argument")?;
    // Home Manager's function calls it so.
    let of_home = Some("specialArgs".to_owned()).filter(|_| name == "extraSpecialArgs");
    let similar = of_home.or_else(|| similar_names(name, NIXOS_SYSTEM_ARGUMENTS))?;
    Some(format!(
        "rename the argument {name} of nixosSystem to {similar}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::log::Position;

    fn hint(summary: &str) -> Option<String> {
        wrong_input_hint(&NixError {
            summary: summary.to_owned(),
            ..NixError::default()
        })
    }

    #[test]
    fn wrong_inputs_are_explained() {
        let attribute = |name: &str| {
            hint(&format!(
                "unexpected flake input attribute '{name}', at flake.nix:2:3"
            ))
        };
        assert_eq!(attribute("ulr").unwrap(), "did you mean url?");
        for name in ["ref", "rev"] {
            let hint = attribute(name).unwrap();
            assert!(
                hint.starts_with(&format!("write {name} as a part of the URL: ")),
                "{hint}"
            );
        }
        assert!(attribute("owner").unwrap().contains("url = \"github:"));
        assert!(attribute("dir").unwrap().contains("?dir="));
        assert_eq!(attribute("description"), None);
        let url = |url: &str| hint(&format!("input '{url}' is unsupported")).unwrap();
        assert_eq!(url("gihub:NixOS/nixpkgs"), "did you mean github:?");
        assert_eq!(
            url("ssh://git@github.com/me/x"),
            "write git+ssh://git@github.com/me/x"
        );
        assert!(url("svn://x").contains("git+ssh: or https:"));
        for (address, told) in [
            ("github:me/x", "github:me/x/main if main"),
            ("git+https://h.example/x", "x?ref=main if main"),
        ] {
            let summary = format!("unexpected fragment 'main' in flake reference '{address}#main'");
            assert!(hint(&summary).unwrap().contains(told), "{address}");
        }
        let path = hint("path '/nix/store/0-source/github:NixOS/flake.nix' does not exist");
        assert!(path.unwrap().contains("github:OWNER/REPOSITORY"));
        let system = hint("attribute 'nixosSystem' missing").unwrap();
        assert_eq!(system, "write nixpkgs.lib.nixosSystem");
        let empty = hint("found circular import of flake 'path:'").unwrap();
        assert!(empty.contains("has an empty URL"), "{empty}");
    }

    #[test]
    fn packages_have_no_nixos_system() {
        for (line, expected) in [
            ("5| a = pkgs.lib.nixosSystem {", true),
            ("5| a = (import nixpkgs { }).lib.nixosSystem {", true),
            (
                "5| nixpkgs.legacyPackages.aarch64-linux.lib.nixosSystem {",
                true,
            ),
            ("5| a = nixpkgs.lib.nixosSystem {", false),
            ("5| a = inputs.pkgs-2.lib.nixosSystem {", false),
        ] {
            assert_eq!(is_of_packages(line), expected, "{line}");
        }
    }

    #[test]
    fn only_arguments_of_nixos_system_are_explained() {
        let hint = |file: &str, summary: &str| {
            wrong_input_hint(&NixError {
                summary: summary.to_owned(),
                position: Some(Position {
                    file: file.to_owned(),
                    line: 11,
                    column: 1,
                }),
                ..NixError::default()
            })
        };
        let file = "/nix/store/0-source/nixos/lib/eval-config.nix";
        let of_home =
            "function 'anonymous lambda' called with unexpected argument 'extraSpecialArgs'";
        assert_eq!(
            hint(file, of_home).unwrap(),
            "rename the argument extraSpecialArgs of nixosSystem to specialArgs"
        );
        let unexpected = "function 'anonymous lambda' called with unexpected argument 'module'";
        let rename = "rename the argument module of nixosSystem to modules";
        assert_eq!(hint(file, unexpected).as_deref(), Some(rename));
        assert_eq!(hint("/build/config/c.nix", unexpected), None);
    }
}
