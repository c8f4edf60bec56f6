//! Mistakes in the form of the user's `flake.nix`. Nix reads its inputs without evaluating the file, and reports where they are wrong
//! only by a path in the store, without the line.

use rnix::SyntaxKind::{NODE_ATTR_SET, NODE_LAMBDA, NODE_LIST, NODE_STRING};
use rnix::{Root, SyntaxKind};

use super::evidence::ExitContext;
use super::source_lines;
use super::syntax_at::Definition;
use crate::common::configuration_file::FLAKE_FILE;
use crate::nixos::layout::CONFIG_DIR;
use crate::nixos::log::{NixError, Position};

/// In Nix's message about a file that is no set.
const NO_SET: &str = "' must be an attribute set";

/// `error` with its place in the user's `flake.nix`, and the lines there, if it is about that file's form.
pub(super) fn located(context: &ExitContext<'_>, error: &NixError) -> Option<NixError> {
    let text = context.files?.text(&format!("{CONFIG_DIR}{FLAKE_FILE}"))?;
    let summary = error.summary.as_str();
    let (summary, line, column) = if summary.ends_with(NO_SET) && root_kind(&text)? != NODE_ATTR_SET
    {
        let (line, column) = first_token(&text)?;
        (
            "the file is not a set: { inputs = …; outputs = …; }",
            line,
            column,
        )
    } else {
        let (words, file, line, column) = stated_place(summary)?;
        let is_flake = file.rsplit('/').next() == Some(FLAKE_FILE);
        let position = position(line, column);
        if !is_flake || !is_about(words, &text, &position) {
            return None;
        }
        (words, line, column)
    };
    let before = usize::try_from(column).ok()?.checked_sub(1)?;
    let lines = source_lines::around(&text, usize::try_from(line).ok()?, Some(before));
    Some(NixError {
        summary: summary.to_owned(),
        text: format!("error: {summary}\n{}", lines.join("\n")),
        position: Some(position(line, column)),
    })
}

/// What to write in a `flake.nix` whose form is wrong: `error` is one of [`located`].
pub(super) fn hint(context: &ExitContext<'_>, error: &NixError) -> Option<String> {
    let place = error.position.as_ref()?;
    if place.file != format!("{CONFIG_DIR}{FLAKE_FILE}") {
        return None;
    }
    let text = context.files?.text(&place.file)?;
    if error.summary.starts_with("the file is not a set") {
        let hint = if root_kind(&text)? == NODE_LAMBDA {
            "write { inputs.nixpkgs.url = \"…\"; outputs = { self, nixpkgs, ... }: { … }; }"
        } else {
            "the file begins with its `{`: what is in front of it belongs behind `outputs = { self, nixpkgs, ... }:`"
        };
        return Some(hint.to_owned());
    }
    if !error.summary.starts_with("expected ") {
        return None;
    }
    let Definition { path, .. } = Definition::find(&text, place)?;
    let names: Vec<&str> = path.split('.').collect();
    let hint = match names.as_slice() {
        ["outputs", ..] => {
            "outputs is a function of the inputs: outputs = { self, nixpkgs, ... }: { … };"
        }
        ["description"] => "the description is a string: description = \"…\";",
        [.., "url"] => "the URL of an input is a single string: url = \"github:OWNER/REPOSITORY\";",
        [.., "follows"] => "follows is the name of another input, a string: follows = \"nixpkgs\";",
        [.., "flake"] => "flake is true or false, without quotes",
        ["inputs"] | ["inputs", _] => "an input is a set: inputs.NAME.url = \"…\";",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// The place in a `flake.nix` of the user.
fn position(line: u64, column: u64) -> Position {
    Position {
        file: format!("{CONFIG_DIR}{FLAKE_FILE}"),
        line,
        column,
    }
}

/// The words of `summary`, and the file, line and column at its end: `… at FILE:LINE:COLUMN`.
fn stated_place(summary: &str) -> Option<(&str, &str, u64, u64)> {
    let (words, place) = summary.rsplit_once(" at ")?;
    let mut parts = place.rsplitn(3, ':');
    let column = parts.next()?.parse().ok()?;
    let line = parts.next()?.parse().ok()?;
    Some((words.trim_end_matches(','), parts.next()?, line, column))
}

/// Whether the message with these `words` fits what `text` has at `position`: otherwise it is about another flake's file.
fn is_about(words: &str, text: &str, position: &Position) -> bool {
    let Some(Definition { path, value, .. }) = Definition::find(text, position) else {
        return false;
    };
    let named = words.rsplit('\'').nth(1);
    match (words.rsplit_once(" but got a "), named) {
        (Some((_, "string")), _) => value == NODE_STRING,
        (Some((_, "list")), _) => value == NODE_LIST,
        // Of a path with several names, the first ones are sets.
        (Some((_, "set")), _) => value == NODE_ATTR_SET || path.contains('.'),
        (Some((_, "function")), _) => value == NODE_LAMBDA,
        (Some(_), _) => ![NODE_STRING, NODE_LIST, NODE_LAMBDA].contains(&value),
        (None, Some(name)) => position
            .offset(text)
            .and_then(|start| text.get(start..))
            .is_some_and(|rest| rest.contains(name)),
        (None, None) => false,
    }
}

/// What the whole file is.
fn root_kind(text: &str) -> Option<SyntaxKind> {
    Some(Root::parse(text).syntax().last_child()?.kind())
}

/// Line and column of the first token that is no comment, counted from 1.
fn first_token(text: &str) -> Option<(u64, u64)> {
    let root = Root::parse(text).syntax();
    let start = usize::from(root.first_child()?.text_range().start());
    let before = text.get(..start)?;
    let column = before.rsplit('\n').next()?.chars().count() + 1;
    let line = before.matches('\n').count() + 1;
    Some((u64::try_from(line).ok()?, u64::try_from(column).ok()?))
}
