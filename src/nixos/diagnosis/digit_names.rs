//! Packages whose name begins with a digit, and addresses without quotes: Nix reads `7zip` in a list as a number and a name.

use std::net::IpAddr;

use rnix::SyntaxKind::{NODE_LIST, NODE_STRING, NODE_WITH, TOKEN_COMMENT, TOKEN_WHITESPACE};
use rnix::{NodeOrToken, SyntaxNode};

use super::evidence::ExitContext;
use super::listed_definitions::list_element;
use super::names::{SEARCH, quoted_after};
use super::unquoted_name::is_list_of_packages;
use crate::common::nix_name::is_of_path;
use crate::nixos::log::NixError;
use crate::nixos::nix_definitions::{defines, line_number_of};
use crate::nixos::nix_syntax::parse;

/// What to do about the number, or about the name after it, of which `error` speaks.
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
    let instead = match name_in_nixpkgs(plain) {
        Some(name) => format!("Write {of_pkgs}{name}"),
        None => format!("In nixpkgs most such names begin with `_`: {SEARCH}{plain}"),
    };
    let place = if error.position.is_some() {
        String::new()
    } else {
        format!("{}{place}: ", context.shown_dir)
    };
    Some(format!(
        "{place}no name begins with a digit, so Nix reads {written} as a number and a name. {instead}"
    ))
}

/// What nixpkgs calls the package `name`, which begins with a digit; `None` if that is not known.
pub(super) fn name_in_nixpkgs(name: &str) -> Option<&'static str> {
    match name {
        "7zip" | "7z" | "7zz" => Some("_7zz"),
        "0ad" => Some("zeroad"),
        _ => None,
    }
}

/// The lines of what begins with a digit, also after `pkgs.`, and goes on with letters, as an element of a list of packages.
fn names_with_digit(text: &str) -> Vec<(usize, String)> {
    let of_packages = |list: &SyntaxNode| {
        let path = defines(list);
        let with = list.parent().filter(|parent| parent.kind() == NODE_WITH);
        let set = with.and_then(|with| with.first_child());
        is_list_of_packages(path.rsplit('.').next().unwrap_or_default())
            || set.is_some_and(|set| set.text() == "pkgs")
    };
    let words = words_in_lists(text, of_packages).into_iter();
    words
        .filter_map(|(line, word)| Some((line, name_with_digit(&word)?)))
        .collect()
}

/// What stands together without a space in lists that `is_of` says to look at, without strings, and its line.
fn words_in_lists(text: &str, is_of: impl Fn(&SyntaxNode) -> bool) -> Vec<(usize, String)> {
    let root = parse(text).syntax();
    let is_meant = |node: &SyntaxNode| node.kind() == NODE_LIST && is_of(node);
    let lists = root.descendants().filter(is_meant);
    lists.flat_map(|list| words_of(text, &list)).collect()
}

fn words_of(text: &str, list: &SyntaxNode) -> Vec<(usize, String)> {
    let mut line = line_number_of(text, list);
    let mut words = Vec::new();
    let mut word = String::new();
    let tokens = list.descendants_with_tokens();
    for token in tokens.filter_map(NodeOrToken::into_token) {
        let of_string = token
            .parent()
            .is_some_and(|node| node.kind() == NODE_STRING);
        let is_blank = [TOKEN_COMMENT, TOKEN_WHITESPACE].contains(&token.kind());
        if !of_string && !is_blank && token.text().chars().all(is_of_path) {
            word.push_str(token.text());
            continue;
        }
        words.push((line, std::mem::take(&mut word)));
        line += token.text().matches('\n').count();
    }
    words
}

/// What to write in place of an address without quotes, whose parts Nix takes for numbers, of which `error` speaks.
pub(super) fn address(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let (option, rest) = error
        .summary
        .strip_prefix("A definition for option `")?
        .split_once("' is not of type `")?;
    let (list, _) = list_element(option)?;
    let shown = rest.rsplit(": ").next()?;
    let is_number = shown.contains('.') && shown.chars().all(|c| c.is_ascii_digit() || c == '.');
    let is_address = |(_, word): &(usize, String)| word.parse::<IpAddr>().is_ok();
    let (place, written) = context.files.filter(|_| is_number)?.only_place(|text| {
        let mut words = words_in_lists(text, |node| defines(node) == list);
        words.retain(is_address);
        // One is as wrong as the others.
        words.truncate(1);
        words
    })?;
    Some(format!(
        "{}{place}: put the address in double quotes: \"{written}\"",
        context.shown_dir
    ))
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
            ("let a = with pkgs; [ 7zip ]; in b", Some((1, "7zip"))),
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
