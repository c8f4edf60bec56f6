//! Sets in place of overlays, which are functions.

use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_IDENT, NODE_LAMBDA, NODE_LIST, NODE_PAREN, NODE_PATH_REL, TOKEN_REC,
};
use rnix::SyntaxNode;

use super::evidence::ExitContext;
use super::written_values::{elements_of, named, sets_in_list, values_below};
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defined_path;
use crate::nixos::nix_syntax::parse;

/// Longest set that a hint repeats, in characters.
const MAX_CHARS: usize = 60;

/// What to write in place of a set in `overlays` that nixpkgs calls, and where.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let is_call = error
        .summary
        .starts_with("attempt to call something which is not a function but a set");
    let is_own = error
        .position
        .as_ref()
        .is_some_and(|place| place.file.starts_with(CONFIG_DIR));
    let files = context.files.filter(|_| is_call && !is_own)?;
    let of_one = files.only_place(|text| {
        let lists = named(text, "overlays", &[NODE_LIST]).into_iter();
        let found = lists.flat_map(|list| {
            let elements = elements_of(&list.written).unwrap_or_default().into_iter();
            elements.map(move |element| (list.line, element))
        });
        found
            .filter(|(_, element)| has_one_argument(element))
            .collect()
    });
    if let Some((place, _)) = of_one {
        return Some(format!(
            "{}{place}: an overlay takes two sets of packages: (final: prev: {{ … }})",
            context.shown_dir
        ));
    }
    let of_flake = files.only_place(|text| {
        let lists = named(text, "overlays", &[NODE_LIST]).into_iter();
        let found = lists.flat_map(|list| {
            let elements = elements_of(&list.written).unwrap_or_default().into_iter();
            elements.map(move |element| (list.line, element))
        });
        found
            .filter(|(_, element)| element.ends_with(".overlays"))
            .collect()
    });
    if let Some((place, overlays)) = of_flake {
        return Some(format!(
            "{}{place}: {overlays} is the set of all overlays of a flake. Write {overlays}.default, or another of its names",
            context.shown_dir
        ));
    }
    let (place, set) = files.only_place(|text| {
        let found = sets_in_list(text, "overlays").into_iter();
        found.map(|set| (set.line, set)).collect()
    })?;
    let function = as_function(&set.written)?;
    Some(format!("{}{place}: {function}", context.shown_dir))
}

/// What to write in place of a value of `nixpkgs.overlays` that is no list.
pub(super) fn no_list(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let of_overlays = "A definition for option `nixpkgs.overlays' is not of type `list of";
    let files = context.files.filter(|_| summary.starts_with(of_overlays))?;
    let found = files.only_place(|text| {
        let values = named(text, "overlays", &[NODE_ATTR_SET, NODE_LAMBDA, NODE_PAREN]).into_iter();
        let values = values.map(|value| (value.line, shown_function(&value.written)));
        values.collect()
    });
    let (place, function) = match found {
        Some((place, function)) => (format!("{}{place}: ", context.shown_dir), function),
        None => (String::new(), None),
    };
    let function = function.unwrap_or_else(|| "(final: prev: { … })".to_owned());
    Some(format!(
        "{place}nixpkgs.overlays is a list of functions: nixpkgs.overlays = [ {function} ];"
    ))
}

/// The function `written` in parentheses, if it is one and short enough to be repeated.
fn shown_function(written: &str) -> Option<String> {
    let mut function = parse(written).syntax().first_child()?;
    if function.kind() == NODE_PAREN {
        function = function.first_child()?;
    }
    let is_short = written.chars().count() <= MAX_CHARS && !written.contains('\n');
    (function.kind() == NODE_LAMBDA && is_short).then(|| format!("({})", function.text()))
}

/// The definition in `nixpkgs` that uses `pkgs`, which is made with it, and where it is.
pub(super) fn with_pkgs(context: &ExitContext<'_>) -> Option<String> {
    let (place, option) = context.files?.only_place(|text| {
        let mut found = values_below(text, "nixpkgs");
        found.retain(|value| {
            parse(&value.written)
                .syntax()
                .descendants()
                .any(|node| is_pkgs(&node))
        });
        let found = found.into_iter();
        found.map(|value| (value.line, value.defines)).collect()
    })?;
    let instead = if option == "nixpkgs.overlays" {
        ". Write the overlay as a function, (final: prev: { … }), where prev is pkgs without it"
    } else {
        ""
    };
    Some(format!(
        "{}{place}: {option} uses pkgs, which is made with it{instead}",
        context.shown_dir
    ))
}

/// Whether `node` is the name `pkgs`.
fn is_pkgs(node: &SyntaxNode) -> bool {
    node.kind() == NODE_IDENT && node.text() == "pkgs"
}

/// Whether `written`, in parentheses, is a function of one argument, which returns a set.
fn has_one_argument(written: &str) -> bool {
    let node = parse(written).syntax().first_child();
    let function = node.and_then(|node| node.first_child());
    let function = function.filter(|function| function.kind() == NODE_LAMBDA);
    let returned = function.and_then(|function| function.last_child());
    returned.is_some_and(|returned| returned.kind() == NODE_ATTR_SET)
}

/// How the set or the path `written` becomes an overlay; `None` for anything else, and for a set without plain names.
pub(super) fn as_function(written: &str) -> Option<String> {
    let set: SyntaxNode = parse(written).syntax().first_child()?;
    if set.kind() == NODE_PATH_REL {
        return Some(format!(
            "an overlay is a function, and the file has one. Write (import {written}) instead of {written}"
        ));
    }
    let is_recursive = set
        .children_with_tokens()
        .any(|part| part.kind() == TOKEN_REC);
    let is_set = set.kind() == NODE_ATTR_SET && !is_recursive;
    let mut names = set.children().filter_map(|part| defined_path(&part));
    let name = names.next().filter(|_| is_set)?;
    let is_short = written.chars().count() <= MAX_CHARS && !written.contains('\n');
    let has_pkgs = set.descendants().any(|node| is_pkgs(&node));
    let body = if is_short && !has_pkgs {
        written.to_owned()
    } else {
        format!("{{ {name} = …; }}")
    };
    // The packages with the overlay would need themselves.
    let inside = if has_pkgs {
        ", and prev instead of pkgs inside it"
    } else {
        ""
    };
    Some(format!(
        "an overlay is a function of two sets of packages. Write (final: prev: {body}) instead of the set{inside}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nixos::user_files::UserFiles;

    #[test]
    fn an_overlay_is_a_function_of_two_arguments() {
        for (element, has_one) in [
            ("(self: { a = 1; })", true),
            ("(final: prev: { a = 1; })", false),
            ("(import ./a.nix)", false),
            ("{ a = 1; }", false),
        ] {
            assert_eq!(has_one_argument(element), has_one, "{element}");
        }
        let of_path = as_function("./overlay.nix").unwrap();
        assert!(
            of_path.contains("Write (import ./overlay.nix)"),
            "{of_path}"
        );
    }

    #[test]
    fn what_makes_the_packages_does_not_use_them() {
        for (nix, part) in [
            (
                "{ nixpkgs.overlays = { a = pkgs.a; }; }",
                Some(
                    "c.nix:1: nixpkgs.overlays uses pkgs, which is made with it. Write the overlay",
                ),
            ),
            (
                "{ nixpkgs.config.x = pkgs.a; }",
                Some("c.nix:1: nixpkgs.config.x uses pkgs"),
            ),
            ("{ nixpkgs.overlays = [ (f: p: { a = p.a; }) ]; }", None),
        ] {
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("c.nix"), nix).unwrap();
            let context = ExitContext {
                files: Some(&UserFiles::new(dir.path())),
                ..ExitContext::default()
            };
            let told = with_pkgs(&context);
            match part {
                Some(part) => assert!(told.is_some_and(|told| told.starts_with(part)), "{nix}"),
                None => assert_eq!(told, None, "{nix}"),
            }
        }
    }
}
