//! Packages whose name begins with a digit: Nix reads `7zip` in a list as a number and a name.

use rnix::SyntaxKind::{NODE_LIST, NODE_STRING, TOKEN_COMMENT, TOKEN_WHITESPACE};
use rnix::{NodeOrToken, Root};

use super::evidence::ExitContext;
use super::listed_definitions::list_element;
use super::names::quoted_after;
use super::unquoted_name::is_list_of_packages;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::defines;

/// Where packages are searched, up to the name.
const SEARCH: &str = "https://search.nixos.org/packages?query=";

/// What to do about the number, or about the name behind it, of which `error` speaks.
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let summary = error.summary.as_str();
    let name = quoted_after(summary, "undefined variable");
    let is_element = || {
        let path = summary.strip_prefix("A definition for option `")?;
        let (option, rest) = path.split_once("' is not of type `package'")?;
        let (list, _) = list_element(option)?;
        let shown = rest.rsplit(": ").next()?;
        let is_number = shown.starts_with(|c: char| c.is_ascii_digit());
        (is_number && is_list_of_packages(list.rsplit('.').next()?)).then_some(())
    };
    if name.is_none() && is_element().is_none() {
        return None;
    }
    let (place, written) = context.files?.only_place(names_with_digit)?;
    if name.is_some_and(|name| !written.ends_with(name)) {
        return None;
    }
    let plain = written.strip_prefix("pkgs.").unwrap_or(&written);
    let of_pkgs = if plain == written { "" } else { "pkgs." };
    let instead = match plain {
        "7zip" | "7z" | "7zz" => format!("write {of_pkgs}_7zz"),
        _ => format!("in nixpkgs such names begin with `_`: {SEARCH}{plain}"),
    };
    let place = if error.position.is_some() {
        String::new()
    } else {
        format!("{}{place}: ", context.shown_dir)
    };
    Some(format!(
        "{place}no name begins with a digit, and {written} is read as a number and a name: {instead}"
    ))
}

/// The lines of what begins with a digit, also behind `pkgs.`, and goes on with letters, as an element of a list of packages.
fn names_with_digit(text: &str) -> Vec<(usize, String)> {
    let root = Root::parse(text).syntax();
    let lists = root.descendants().filter(|node| {
        node.kind() == NODE_LIST
            && is_list_of_packages(defines(node).rsplit('.').next().unwrap_or_default())
    });
    let mut found = Vec::new();
    for list in lists {
        let tokens = list.descendants_with_tokens();
        let tokens = tokens.filter_map(NodeOrToken::into_token);
        let mut line = text
            .get(..usize::from(list.text_range().start()))
            .unwrap_or_default()
            .matches('\n')
            .count()
            + 1;
        let mut word = String::new();
        for token in tokens {
            let in_string = token
                .parent()
                .is_some_and(|node| node.kind() == NODE_STRING);
            let is_part = !in_string
                && ![TOKEN_COMMENT, TOKEN_WHITESPACE].contains(&token.kind())
                && token
                    .text()
                    .chars()
                    .all(|c| c.is_alphanumeric() || "_-'.".contains(c));
            if is_part {
                word.push_str(token.text());
                continue;
            }
            found.extend(name_with_digit(&word).map(|name| (line, name)));
            word.clear();
            line += token.text().matches('\n').count();
        }
    }
    found
}

/// `word`, if it is such a name.
fn name_with_digit(word: &str) -> Option<String> {
    let name = word.strip_prefix("pkgs.").unwrap_or(word);
    let begins = name.starts_with(|c: char| c.is_ascii_digit());
    let has_letter = name.contains(|c: char| c.is_alphabetic());
    (begins && has_letter && !name.contains('.')).then(|| word.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_with_a_digit_are_found() {
        for (text, expected) in [
            (
                "{ a.packages = with pkgs; [ vim\n 7zip ]; }",
                Some((2, "7zip")),
            ),
            ("{ a.packages = [ pkgs.7zip ]; }", Some((1, "pkgs.7zip"))),
            (
                "{ a.packages = [ 1password-cli # 7zip\n ]; }",
                Some((1, "1password-cli")),
            ),
            ("{ a.packages = [ vim7 7 0.7 \"7zip\" ]; }", None),
            ("{ a.ports = [ 7zip ]; }", None),
        ] {
            let found = names_with_digit(text).into_iter().next();
            let expected = expected.map(|(line, name)| (line, name.to_owned()));
            assert_eq!(found, expected, "{text}");
        }
    }
}
