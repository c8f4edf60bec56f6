//! Packages that nixpkgs had once: what it says of one names no line of the user's.

use rnix::SyntaxKind::NODE_IDENT;

use super::evidence::ExitContext;
use crate::nixos::log::NixError;
use crate::nixos::nix_syntax::parse;

/// How nixpkgs goes on behind the name of a package that it no longer has.
const VERBS: [&str; 3] = [" has been removed", " was removed", " previously "];
/// The newest kernel.
const NEWEST_KERNEL: &str = "linuxPackages_latest";
/// The begin of the names of kernels with their modules.
const KERNELS: &str = "linuxPackages_";

/// The name of the package that nixpkgs no longer has, according to `summary`.
fn removed(summary: &str) -> Option<String> {
    if let Some(rest) = summary.strip_prefix("linux ") {
        let (version, rest) = rest.split_once(' ')?;
        let is_removed = rest.starts_with("was removed");
        return is_removed.then(|| format!("{KERNELS}{}", version.replace('.', "_")));
    }
    let quote = summary.chars().next().filter(|c| ['\'', '`'].contains(c))?;
    let (name, rest) = summary.strip_prefix(quote)?.split_once(['\'', '`'])?;
    let is_name = |c: char| c.is_alphanumeric() || "_-".contains(c);
    let is_removed = VERBS.iter().any(|verb| rest.starts_with(verb));
    (is_removed && name.chars().all(is_name)).then(|| name.to_owned())
}

/// The only place of the user's files that names the package of which `summary` says that it was removed, as `sd-card.nix:9`.
pub(super) fn place(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let name = removed(summary)?;
    let (place, ()) = context.files?.only_place(|text| {
        let root = parse(text).syntax();
        let names = root.descendants().filter(|node| node.kind() == NODE_IDENT);
        let names = names.filter(|node| node.text() == name.as_str());
        let starts = names.map(|node| usize::from(node.text_range().start()));
        let before = starts.filter_map(|start| text.get(..start));
        let lines = before.map(|before| (before.matches('\n').count() + 1, ()));
        lines.collect()
    })?;
    Some(place)
}

/// What to write in place of a package that nixpkgs no longer has.
pub(super) fn hint(error: &NixError) -> Option<String> {
    let name = removed(&error.summary)?;
    if name.starts_with(KERNELS) {
        return Some(newest_kernel(&name));
    }
    Some(match named_instead(&error.summary) {
        Some(other) => format!("write {other} in place of {name}"),
        None => {
            format!("remove {name}, or take another package: https://search.nixos.org/packages")
        }
    })
}

/// The one package of which the message says that it is to be used instead.
fn named_instead(summary: &str) -> Option<&str> {
    let mut behind = summary.split("use ").skip(1);
    let (rest, others) = (behind.next()?, behind.next());
    let rest = rest
        .strip_prefix(['\'', '`'])
        .filter(|_| others.is_none())?;
    let (name, rest) = rest.split_once(['\'', '`'])?;
    let is_name = |c: char| c.is_alphanumeric() || "_-.".contains(c);
    (rest.trim_start().starts_with("instead") && name.chars().all(is_name)).then_some(name)
}

/// What to write in place of the kernel `name`, which nixpkgs does not have; `None` for another package.
pub(super) fn missing_kernel(name: &str) -> Option<String> {
    // Without a version or the name of a board it may be a slip.
    let has_number = name.contains(|c: char| c.is_ascii_digit());
    (name.starts_with(KERNELS) && has_number).then(|| newest_kernel(name))
}

fn newest_kernel(name: &str) -> String {
    format!("nixpkgs has no kernel {name}: pkgs.{NEWEST_KERNEL} is its newest one")
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
        (place(&context, summary), hint(&error))
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
                "write python3 in place of python",
            ),
            (
                "boot.kernelPackages = pkgs.linuxPackages_6_17;",
                kernel,
                "pkgs.linuxPackages_latest is its newest one",
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
        assert!(missing_kernel("linuxPackages_rpi5").is_some());
        assert_eq!(missing_kernel("linuxPackages_hardend"), None);
        assert_eq!(missing_kernel("linux-firmware"), None);
    }
}
