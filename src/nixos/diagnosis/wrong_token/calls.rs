//! Calls of functions with parentheses and commas.

use super::place::Place;
use crate::common::nix_name::is_of_path;
use crate::nixos::diagnosis::brackets::imbalance;
use crate::nixos::diagnosis::evidence::MAX_SHOWN;
use crate::nixos::nix_syntax::parse;
use rnix::SyntaxKind::{
    NODE_ATTR_SET, NODE_IDENT, NODE_LIST, NODE_LITERAL, NODE_PAREN, NODE_PATH_REL, NODE_SELECT,
    NODE_STRING,
};

/// Functions of which other languages have such with any number of arguments, and that take one list.
const OF_A_LIST: [&str; 3] = ["concatLists", "concatStrings", "mkMerge"];
/// The hint for the first comma of a call: `lib.max(1, 2)`.
pub(super) fn comma(place: &Place<'_>) -> Option<String> {
    let (before, first) = place.before.rsplit_once('(')?;
    let function = before.rsplit(|c| !is_of_path(c)).next()?;
    if function.is_empty() || first.contains(')') {
        return None;
    }
    let arguments = arguments(&format!("{first}{}", place.here));
    let arguments = arguments.map(|arguments| arguments.join(" "));
    let arguments = arguments.filter(|arguments| arguments.len() <= MAX_SHOWN);
    let arguments = arguments.as_deref().unwrap_or("A B");
    let name = function.rsplit('.').next().unwrap_or_default();
    let call = if OF_A_LIST.contains(&name) {
        format!("{function} [ {arguments} ]")
    } else {
        format!("{function} {arguments}")
    };
    Some(format!(
        "separate the arguments of a function by spaces, without parentheses around them: {call}"
    ))
}

/// The arguments that `text` has up to the `)` of the call, in parentheses where they need them; `None` if one is not Nix.
fn arguments(text: &str) -> Option<Vec<String>> {
    let (mut found, mut from) = (Vec::new(), 0);
    for (at, end) in text.match_indices([',', ')']) {
        let written = text.get(from..at)?;
        // Others are inside brackets or strings of the argument.
        if imbalance(written).is_some() {
            continue;
        }
        found.push(argument(written)?);
        if end == ")" {
            return Some(found);
        }
        from = at + 1;
    }
    None
}

/// What is `written` as an argument.
fn argument(written: &str) -> Option<String> {
    const SINGLE: [rnix::SyntaxKind; 8] = [
        NODE_ATTR_SET,
        NODE_IDENT,
        NODE_LIST,
        NODE_LITERAL,
        NODE_PAREN,
        NODE_PATH_REL,
        NODE_SELECT,
        NODE_STRING,
    ];
    let written = written.trim();
    let parsed = parse(written);
    let kind = parsed.syntax().first_child()?.kind();
    parsed.errors().is_empty().then(|| {
        if SINGLE.contains(&kind) {
            written.to_owned()
        } else {
            format!("({written})")
        }
    })
}
