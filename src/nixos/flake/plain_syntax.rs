//! Reads what is written plainly in a `flake.nix`, by its tokens: sets, attributes and the arguments of functions.

use std::collections::BTreeMap;

use rnix::SyntaxKind as Kind;

/// A token and its text.
pub(super) type Token<'a> = (Kind, &'a str);

/// The attributes of the `flake.nix` with this text that are plain text, or true or false, in the order of their paths.
pub(super) fn plain_values(text: &str) -> BTreeMap<Vec<&str>, &str> {
    let tokens = tokens(text);
    let values = leaves(&tokens).into_iter();
    let plain = values.filter_map(|(path, value)| match value {
        [
            (Kind::TOKEN_STRING_START, _),
            (Kind::TOKEN_STRING_CONTENT, text),
            (Kind::TOKEN_STRING_END, _),
        ]
        | [(Kind::TOKEN_URI, text) | (Kind::TOKEN_IDENT, text @ ("true" | "false"))] => {
            Some((path, *text))
        }
        _ => None,
    });
    plain.collect()
}

/// The tokens of a text without spaces and comments.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let tokens = rnix::tokenize(text);
    tokens.filter(|(kind, _)| !kind.is_trivia()).collect()
}

/// The attributes of a set and of the sets in it that are not sets themselves.
fn leaves<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<(Vec<&'a str>, &'t [Token<'a>])> {
    let mut leaves = Vec::new();
    let mut open = attributes(tokens);
    while let Some((path, value)) = open.pop() {
        let inner = attributes(value);
        if inner.is_empty() {
            leaves.push((path, value));
            continue;
        }
        for (name, value) in inner {
            open.push(([&path[..], &name].concat(), value));
        }
    }
    leaves
}

/// The attributes of a set, each with the tokens of its value; none if `tokens` are not exactly a set.
pub(super) fn attributes<'t, 'a>(tokens: &'t [Token<'a>]) -> Vec<(Vec<&'a str>, &'t [Token<'a>])> {
    let [
        (Kind::TOKEN_L_BRACE, _),
        inner @ ..,
        (Kind::TOKEN_R_BRACE, _),
    ] = tokens
    else {
        return Vec::new();
    };
    let definitions = split(inner, Kind::TOKEN_SEMICOLON).into_iter();
    let attributes = definitions.filter_map(|definition| {
        let is_assignment = |(kind, _): &Token<'_>| *kind == Kind::TOKEN_ASSIGN;
        let at = definition.iter().position(is_assignment)?;
        let (path, value) = (definition.get(..at)?, definition.get(at + 1..)?);
        Some((attribute_path(path)?, value))
    });
    attributes.collect()
}

/// The names of an attribute path, without quotes; `None` if one is computed.
fn attribute_path<'a>(tokens: &[Token<'a>]) -> Option<Vec<&'a str>> {
    let mut names = Vec::new();
    for (kind, text) in tokens {
        let joins = matches!(
            kind,
            Kind::TOKEN_DOT | Kind::TOKEN_STRING_START | Kind::TOKEN_STRING_END
        );
        if matches!(kind, Kind::TOKEN_IDENT | Kind::TOKEN_STRING_CONTENT) {
            names.push(*text);
        } else if !joins {
            return None;
        }
    }
    Some(names)
}

/// The names that the function `{ self, NAME, ... }: …` takes.
pub(super) fn arguments<'a>(function: &[Token<'a>]) -> Vec<&'a str> {
    let pattern = match function {
        [(Kind::TOKEN_IDENT, _), (Kind::TOKEN_AT, _), rest @ ..] => rest,
        _ => function,
    };
    let [(Kind::TOKEN_L_BRACE, _), rest @ ..] = pattern else {
        return Vec::new();
    };
    let inner = split(rest, Kind::TOKEN_R_BRACE).into_iter().next();
    let inner = inner.unwrap_or_default();
    // Otherwise it is a set.
    let is_function = matches!(
        rest.get(inner.len() + 1),
        Some((Kind::TOKEN_COLON | Kind::TOKEN_AT, _))
    );
    let arguments = split(inner, Kind::TOKEN_COMMA).into_iter();
    let name = |argument: &[Token<'a>]| match argument.first() {
        Some((Kind::TOKEN_IDENT, name)) => Some(*name),
        _ => None,
    };
    arguments.filter(|_| is_function).filter_map(name).collect()
}

/// The name of the argument of a function that is the whole set: of `NAME: …`, `NAME@{ … }: …` and `{ … }@NAME: …`.
pub(super) fn argument_with_all<'a>(function: &[Token<'a>]) -> Option<&'a str> {
    match function {
        [
            (Kind::TOKEN_IDENT, name),
            (Kind::TOKEN_COLON | Kind::TOKEN_AT, _),
            ..,
        ] => Some(name),
        [(Kind::TOKEN_L_BRACE, _), rest @ ..] => {
            let inner = split(rest, Kind::TOKEN_R_BRACE).into_iter().next()?;
            match rest.get(inner.len() + 1..)? {
                [(Kind::TOKEN_AT, _), (Kind::TOKEN_IDENT, name), ..] => Some(name),
                _ => None,
            }
        }
        _ => None,
    }
}

/// `tokens` divided at each `separator` that is in no brackets and belongs to no `let`, `with` or `assert`.
fn split<'t, 'a>(tokens: &'t [Token<'a>], separator: Kind) -> Vec<&'t [Token<'a>]> {
    // For each open bracket and `let` how many semicolons `with` and `assert` still need.
    let mut open = vec![0_usize];
    let pieces = tokens.split(|(kind, _)| {
        if *kind == separator && open.as_slice() == [0] {
            return true;
        }
        if opens(*kind) {
            open.push(0);
        } else if closes(*kind) {
            open.pop();
        } else if let Some(needed) = open.last_mut() {
            if matches!(kind, Kind::TOKEN_WITH | Kind::TOKEN_ASSERT) {
                *needed += 1;
            } else if *kind == Kind::TOKEN_SEMICOLON {
                *needed = needed.saturating_sub(1);
            }
        }
        false
    });
    pieces.collect()
}

fn opens(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TOKEN_L_BRACE
            | Kind::TOKEN_L_BRACK
            | Kind::TOKEN_L_PAREN
            | Kind::TOKEN_INTERPOL_START
            | Kind::TOKEN_LET
    )
}

fn closes(kind: Kind) -> bool {
    matches!(
        kind,
        Kind::TOKEN_R_BRACE
            | Kind::TOKEN_R_BRACK
            | Kind::TOKEN_R_PAREN
            | Kind::TOKEN_INTERPOL_END
            | Kind::TOKEN_IN
    )
}
