//! Packages that nixpkgs had once, or refuses: what it says of one names no line of the user's.

use rnix::SyntaxKind::{NODE_IDENT, NODE_SELECT};

use super::eval_error::EvalError;
use super::evidence::ExitContext;
use super::kernels;
use super::names::{SEARCH, is_name, quoted_after};
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::line_number_of;
use crate::nixos::nix_syntax::parse;

/// How nixpkgs goes on after the name of a package that it no longer has.
const VERBS: [&str; 4] = [
    " has been removed",
    " was removed",
    " was moved to",
    " previously ",
];
/// The characters around names in its messages.
const QUOTES: [char; 4] = ['\'', '`', '‘', '’'];
/// The set of packages that it had for programs of Node.
const OF_NODE: &str = "nodePackages";

/// The name of the package or the set of packages that nixpkgs no longer has, according to `summary`.
fn removed(summary: &str) -> Option<String> {
    let is_removed = |rest: &str| VERBS.iter().any(|verb| rest.starts_with(verb));
    if let Some(rest) = summary.strip_prefix("linux ") {
        let (version, rest) = rest.split_once(' ')?;
        return rest
            .starts_with("was removed")
            .then(|| kernels::of_version(version));
    }
    if summary.strip_prefix(OF_NODE).is_some_and(is_removed) {
        return Some(OF_NODE.to_owned());
    }
    let quoted = summary.strip_prefix("The ").unwrap_or(summary);
    let (name, rest) = quoted.strip_prefix(QUOTES)?.split_once(QUOTES)?;
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (is_removed(rest) && name.chars().all(is_name)).then(|| name.to_owned())
}

/// The name, without its version, of the package that nixpkgs refuses according to `summary`.
fn refused(summary: &str) -> Option<String> {
    EvalError::find(summary).filter(|error| error.is_refused_package())?;
    let name = quoted_after(summary, "ackage ")?;
    let is_version = |rest: &str| rest.starts_with(|c: char| c.is_ascii_digit());
    let mut dashes = name.match_indices('-').map(|(at, _)| name.split_at(at));
    let front = dashes.find(|(_, rest)| rest.strip_prefix('-').is_some_and(is_version));
    Some(front.map_or(name, |(front, _)| front).to_owned())
}

/// The only place of the user's files that names the package of which `summary` says that it was removed or is refused, as
/// `sd-card.nix:9`, and what is selected from it there.
fn found(context: &ExitContext<'_>, summary: &str) -> Option<(String, String)> {
    let name = removed(summary).or_else(|| refused(summary))?;
    context.files?.only_place(|text| {
        let root = parse(text).syntax();
        let names = root
            .descendants()
            .filter(|node| [NODE_IDENT, NODE_SELECT].contains(&node.kind()));
        // Of `pkgs.a.b` the selection is found, and not its names.
        let whole =
            names.filter(|node| node.ancestors().skip(1).all(|of| of.kind() != NODE_SELECT));
        let found = whole.filter_map(|node| {
            let written = node.text().to_string();
            let path = written.strip_prefix("pkgs.").unwrap_or(&written);
            let rest = path.strip_prefix(name.as_str())?;
            let selected = rest
                .strip_prefix('.')
                .or(Some(rest).filter(|rest| rest.is_empty()))?;
            Some((line_number_of(text, &node), selected.to_owned()))
        });
        found.collect()
    })
}

/// The same place.
pub(super) fn place(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    found(context, summary).map(|(place, _)| place)
}

/// What to write in place of a package that nixpkgs no longer has.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let name = removed(&error.summary)?;
    if error.summary.starts_with("linux ") {
        return Some(kernels::newest_in_place_of(&name));
    }
    if name == OF_NODE {
        let selected = found(context, &error.summary).map(|(_, selected)| selected);
        let package = selected.filter(|selected| is_name(selected) && !selected.contains('.'));
        let package = package.as_deref().unwrap_or("NAME");
        return Some(format!(
            "if nixpkgs still has it, it is pkgs.{package}: {SEARCH}{package}"
        ));
    }
    Some(match named_instead(&error.summary) {
        Some(other) => format!("write {other} instead of {name}"),
        None => {
            format!("remove {name}, or take another package: https://search.nixos.org/packages")
        }
    })
}

/// The one package of which the message says that it is to be used instead.
fn named_instead(summary: &str) -> Option<&str> {
    let mut behind = summary.split("use ").skip(1);
    let (rest, others) = (behind.next()?, behind.next());
    let rest = rest.strip_prefix(QUOTES).filter(|_| others.is_none())?;
    let (name, rest) = rest.split_once(QUOTES)?;
    let rest = rest.trim_start();
    let is_instead = rest.starts_with("instead") || rest.starts_with("directly");
    (is_instead && is_name(name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::user_files::UserFiles;

    /// The place and the hint for a message about a configuration with `nix` in its second line.
    fn told(nix: &str, summary: &str) -> (Option<String>, Option<String>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("c.nix"),
            format!("{{ pkgs, ... }}: {{\n{nix}\n}}\n"),
        )
        .unwrap();
        let context = ExitContext {
            files: Some(&UserFiles::new(dir.path())),
            ..ExitContext::default()
        };
        let error = NixError {
            summary: summary.to_owned(),
            text: String::new(),
            position: None,
        };
        (place(&context, summary), hint(&context, &error))
    }

    /// As nixpkgs says it.
    #[test]
    fn a_package_that_was_removed_has_its_line() {
        let neofetch = "'neofetch' has been removed because it was unmaintained upstream. Consider using the updated fork 'neowofetch' provided by the 'hyfetch' package or the alternative 'fastfetch' instead.";
        let python = "`python` previously pointed to Python 2; use `python3` instead";
        let kernel = "linux 6.17 was removed because it reached its end of life upstream";
        for (nix, summary, hint) in [
            (
                "a = with pkgs; [ vim neofetch ]; # neofetch",
                neofetch,
                "remove neofetch, or take another package",
            ),
            (
                "a = [ pkgs.python ];",
                python,
                "write python3 instead of python",
            ),
            (
                "a = [ pkgs.gnome.nautilus ];",
                "The ‘gnome.nautilus’ was moved to top-level. Please use ‘pkgs.nautilus’ directly.",
                "write pkgs.nautilus instead of gnome.nautilus",
            ),
            (
                "a = [ pkgs.nodePackages.typescript ];",
                "nodePackages has been removed. Many packages are now available at the top level (e.g. `pkgs.package-name`).",
                "it is pkgs.typescript",
            ),
            (
                "boot.kernelPackages = pkgs.linuxPackages_6_17;",
                kernel,
                "Its newest one is pkgs.linuxPackages_latest",
            ),
        ] {
            let (place, told) = told(nix, summary);
            assert_eq!(place.as_deref(), Some("c.nix:2"), "{nix}");
            assert!(
                told.as_ref().is_some_and(|told| told.contains(hint)),
                "{told:?}"
            );
        }
    }

    #[test]
    fn other_messages_are_left() {
        for (nix, summary) in [
            (
                "a = [ pkgs.neofetch pkgs.neofetch ];",
                "'neofetch' has been removed",
            ),
            ("a = \"neofetch\";", "'neofetch' has been removed"),
            ("a = 1;", "The option `a' has been removed"),
            ("a = 1;", "'a' has a problem"),
        ] {
            assert_eq!(told(nix, summary).0, None, "{nix}");
        }
        assert_eq!(told("", "'a' has a problem").1, None);
        assert_eq!(told("", "linux is old").1, None);
    }
}
