//! Where in the user's files an error is.

use rnix::SyntaxKind::{NODE_ATTRPATH_VALUE, TOKEN_COMMENT};
use rnix::{NodeOrToken, SyntaxNode, TextSize};

use super::evidence::ExitContext;
use crate::attribute_path;
use crate::layout::CONFIG_DIR;
use crate::log::Position;
use crate::nix_definitions::{defines, option_at, plain_name};
use crate::nix_name::is_of_name;
use crate::nix_syntax::parse;

/// A place in a file of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The file's path below the directory that was uploaded.
    pub(super) file: String,
    /// The line, from 1.
    pub(super) line: usize,
    /// The column, from 1, if it is known.
    pub(super) column: Option<usize>,
}

impl Place {
    /// `position`, if it is in a file of the user.
    pub(super) fn of(position: &Position) -> Option<Self> {
        Some(Self {
            file: position.file.strip_prefix(CONFIG_DIR)?.to_owned(),
            line: usize::try_from(position.line).ok()?,
            column: usize::try_from(position.column)
                .ok()
                .filter(|column| *column > 0),
        })
    }

    /// The place as the user reads it: `pi/sd-card.nix:4:3`.
    pub(super) fn shown(&self, context: &ExitContext<'_>) -> String {
        let Self { file, line, .. } = self;
        match self.column {
            Some(column) => format!("{}{file}:{line}:{column}", context.shown_dir),
            None => format!("{}{file}:{line}", context.shown_dir),
        }
    }

    /// The text of its file.
    pub(super) fn text(&self, context: &ExitContext<'_>) -> Option<String> {
        context.files?.text(&format!("{CONFIG_DIR}{}", self.file))
    }
}

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// Its line, from 1.
    pub(super) line: usize,
    /// Its column, from 1.
    pub(super) column: usize,
    /// Its source text.
    pub(super) text: String,
    /// The attribute path of the definition that it is in; empty outside of definitions.
    pub(super) defines: String,
}

impl Span {
    /// The span of `node` in `text`.
    pub(super) fn of(text: &str, node: &SyntaxNode) -> Self {
        let before = text.get(..usize::from(node.text_range().start()));
        let before = before.unwrap_or_default();
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: before.matches('\n').count() + 1,
            column: line.chars().count() + 1,
            text: node.text().to_string(),
            defines: defines(node),
        }
    }

    /// The place of the span in `file`.
    pub(super) fn place(&self, file: &str) -> Place {
        Place {
            file: file.to_owned(),
            line: self.line,
            column: Some(self.column),
        }
    }
}

/// The spans of the nodes of `text` that `is_it` selects.
pub(super) fn spans(text: &str, is_it: impl Fn(&SyntaxNode) -> bool) -> Vec<Span> {
    let root = parse(text).syntax();
    let found = root.descendants().filter(is_it);
    found.map(|node| Span::of(text, &node)).collect()
}

/// Whether `node` is the whole value of a definition.
pub(super) fn is_value(node: &SyntaxNode) -> bool {
    let definition = node.parent();
    definition.is_some_and(|definition| {
        definition.kind() == NODE_ATTRPATH_VALUE && definition.last_child().as_ref() == Some(node)
    })
}

/// The values of the definitions of `option` in `text`.
pub(super) fn definitions_of(text: &str, option: &str) -> Vec<Span> {
    let wanted = attribute_path::parse(option).unwrap_or_default();
    spans(text, |node| {
        is_value(node) && !wanted.is_empty() && names_of_option(node).is_some_and(|it| it == wanted)
    })
}

/// The values of the outermost definitions of options below `option`.
pub(super) fn definitions_below(text: &str, option: &str) -> Vec<Span> {
    let wanted = attribute_path::parse(option).unwrap_or_default();
    let is_below = |node: &SyntaxNode| {
        let names = names_of_option(node).unwrap_or_default();
        is_value(node) && names.len() > wanted.len() && names.starts_with(&wanted)
    };
    spans(text, |node| {
        let definition = node.parent();
        let mut around = definition.iter().flat_map(SyntaxNode::ancestors).skip(1);
        is_below(node) && !around.any(|outer| is_below(&outer))
    })
}

/// The attribute path of the option that the definition around `node` defines.
fn names_of_option(node: &SyntaxNode) -> Option<Vec<String>> {
    let names = option_at(node, None)?;
    names.iter().map(|name| plain_name(name)).collect()
}

/// The innermost syntax node at `position` of `text`.
pub(super) fn node_at(text: &str, position: &Position) -> Option<SyntaxNode> {
    let offset = TextSize::try_from(position.offset(text)?).ok()?;
    let root = parse(text).syntax();
    if offset >= root.text_range().end() {
        return None;
    }
    root.token_at_offset(offset).right_biased()?.parent()
}

/// The only span that `find` finds in the user's files, with its place.
pub(super) fn only(
    context: &ExitContext<'_>,
    find: impl Fn(&str) -> Vec<Span>,
) -> Option<(Place, Span)> {
    let (file, _, span) = context.files?.only_place(|text| {
        let found = find(text).into_iter();
        found.map(|span| (span.line, span)).collect()
    })?;
    Some((span.place(&file), span))
}

/// The only definition of `option` in the user's files, or of options below it.
pub(super) fn only_definition(context: &ExitContext<'_>, option: &str) -> Option<(Place, Span)> {
    only(context, |text| definitions_of(text, option))
        .or_else(|| only(context, |text| definitions_below(text, option)))
}

/// The only definition of `option`, or of options below it, in the builder's `file`. If there are several, the one with this `value`.
pub(super) fn definition_in(
    context: &ExitContext<'_>,
    file: &str,
    option: &str,
    value: &str,
) -> Option<(Place, Span)> {
    let name = file.strip_prefix(CONFIG_DIR)?;
    let text = context.files?.text(file)?;
    let mut found = definitions_of(&text, option);
    if found.is_empty() {
        found = definitions_below(&text, option);
    }
    if found.len() > 1 {
        found.retain(|span| span.text == value);
    }
    match found.as_slice() {
        [span] => Some((span.place(name), span.clone())),
        _ => None,
    }
}

/// The only line of the user's files whose code has `word`, such as an address, a hash or a path.
pub(super) fn only_word(context: &ExitContext<'_>, word: &str) -> Option<Place> {
    let is_around = |c: char| c.is_whitespace() || "\"';()[]".contains(c);
    let is_word = |part: &str| part.trim_end_matches('/') == word.trim_end_matches('/');
    only_line(context, |line| line.split(is_around).any(is_word))
}

/// The only line of the user's files whose code has `name` as a whole name.
pub(super) fn only_name(context: &ExitContext<'_>, name: &str) -> Option<Place> {
    only_line(context, |line| {
        line.split(|c| !is_of_name(c)).any(|word| word == name)
    })
}

/// The only line of the user's files whose code `is_it`.
pub(super) fn only_line(context: &ExitContext<'_>, is_it: impl Fn(&str) -> bool) -> Option<Place> {
    let (file, line, ()) = context.files?.only_place(|text| {
        let code = without_comments(text);
        let lines = (1..).zip(code.lines());
        let lines = lines.filter(|(_, line)| !line.trim_start().starts_with('#') && is_it(line));
        lines.map(|(line, _)| (line, ())).collect()
    })?;
    Some(Place {
        file,
        line,
        column: None,
    })
}

/// `text` without its comments, on the same lines.
fn without_comments(text: &str) -> String {
    let root = parse(text).syntax();
    let parts = root.descendants_with_tokens();
    let tokens = parts.filter_map(NodeOrToken::into_token);
    let code = tokens.map(|token| {
        if token.kind() == TOKEN_COMMENT {
            "\n".repeat(token.text().matches('\n').count())
        } else {
            token.text().to_owned()
        }
    });
    code.collect()
}
