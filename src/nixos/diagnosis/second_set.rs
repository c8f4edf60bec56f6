//! A second `{ … }` below the one that a file holds. Pure.

use rnix::SyntaxKind::{NODE_APPLY, NODE_ATTR_SET, NODE_LAMBDA, NODE_LET_IN, NODE_WITH};
use rnix::SyntaxNode;

use super::brackets::imbalance;
use crate::nixos::nix_syntax::parse;

/// Where the two stand. Lines are counted from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SecondSet {
    /// The line with the end of the first one.
    end: u64,
    /// The line in which the second one begins.
    pub(super) line: u64,
    /// The arguments of the second one that the first one lacks.
    arguments: Vec<String>,
}

impl SecondSet {
    /// The second one in a file that Nix can parse: it takes the first one for a function.
    pub(super) fn called(text: &str) -> Option<Self> {
        let is_around = |kind| [NODE_LAMBDA, NODE_LET_IN, NODE_WITH].contains(&kind);
        let mut body = parse(text).syntax().first_child()?;
        while is_around(body.kind()) {
            body = body.last_child()?;
        }
        let is_set = |node: &SyntaxNode| node.kind() == NODE_ATTR_SET;
        // The call of the third one is around that of the second one.
        while body.kind() == NODE_APPLY {
            let second = body.last_child().filter(is_set)?;
            let function = body.first_child()?;
            if is_set(&function) {
                return Some(Self {
                    end: line_at(text, usize::from(function.text_range().end()))?,
                    line: line_at(text, usize::from(second.text_range().start()))?,
                    arguments: Vec::new(),
                });
            }
            body = function;
        }
        None
    }

    /// The second one that begins before or at `offset` of `text`, where Nix cannot parse it: its arguments, or the `;` before it.
    pub(super) fn unexpected(text: &str, offset: usize) -> Option<Self> {
        let (before, here) = text.split_at_checked(offset)?;
        let begin = if here.starts_with(';') {
            let after = here.get(1..)?;
            offset + 1 + (after.len() - without_comments(after).len())
        } else {
            before.rfind('{')?
        };
        let (first, second) = text.split_at_checked(begin)?;
        let first = up_to_last_bracket(first)?;
        let is_header = here.starts_with(';') && second.starts_with('{') || is_header(second);
        (is_header && imbalance(first).is_none()).then_some(())?;
        Some(Self {
            end: line_at(text, first.len())?,
            line: line_at(text, begin)?,
            arguments: missing_arguments(first, second),
        })
    }

    /// What to do about it.
    pub(super) fn hint(&self) -> String {
        let Self {
            end,
            line,
            arguments,
        } = self;
        let names = arguments.join(", ");
        let arguments = match arguments.len() {
            0 => String::new(),
            1 => format!(", and its argument {names} into those of the first"),
            _ => format!(", and its arguments {names} into those of the first"),
        };
        format!(
            "a second {{ … }} begins in line {line}, but a file holds only one. Move its definitions into the first, \
             above the `}}` of line {end}{arguments}"
        )
    }
}

/// The names of the arguments that the file `second` takes, and `first` does not.
fn missing_arguments(first: &str, second: &str) -> Vec<String> {
    let names = |text: &str| {
        let text = without_comments(text);
        let header = text.strip_prefix('{').filter(|_| is_header(text));
        let header = header.and_then(|rest| rest.split('}').next());
        let names = header.unwrap_or_default().split(',');
        let names = names.filter_map(|name| name.split('?').next());
        let names = names.map(|name| name.trim().to_owned());
        let names = names.filter(|name| !["", "..."].contains(&name.as_str()));
        names.collect::<Vec<String>>()
    };
    let has = names(first);
    let mut wanted = names(second);
    wanted.retain(|name| !has.contains(name));
    wanted
}

/// Whether `text` begins with the arguments of a module, `{ pkgs, ... }:`.
fn is_header(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_-',.?".contains(c);
    let header = text.strip_prefix('{').and_then(|rest| rest.split_once('}'));
    header.is_some_and(|(names, rest)| {
        names.chars().all(is_part) && rest.trim_start().starts_with(':')
    })
}

/// `text` up to its last `}`, if only comments or a `;` follow.
fn up_to_last_bracket(text: &str) -> Option<&str> {
    let (before, after) = text.split_at_checked(text.rfind('}')? + 1)?;
    let after = after.strip_prefix(';').unwrap_or(after);
    without_comments(after).is_empty().then_some(before)
}

/// `text` without the blanks and the lines of comments that it begins with.
fn without_comments(text: &str) -> &str {
    let mut rest = text.trim_start();
    while rest.starts_with('#') {
        rest = rest
            .split_once('\n')
            .map_or("", |(_, rest)| rest)
            .trim_start();
    }
    rest
}

/// The line of the character in front of, or at, `offset`.
fn line_at(text: &str, offset: usize) -> Option<u64> {
    let lines = text.get(..offset)?.matches('\n').count();
    u64::try_from(lines + 1).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_is_called_is_the_first_of_two() {
        let called = |text: &str| SecondSet::called(text).map(|found| (found.end, found.line));
        assert_eq!(
            called("{ ... }:\n{\n  a = 1;\n}\n\n{\n  b = 2;\n}\n"),
            Some((4, 6))
        );
        assert_eq!(called("{ a = 1; }\n{ b = 2; }\n{ c = 3; }"), Some((1, 2)));
        assert_eq!(called("let x = 1; in { }\n# b\n{ }"), Some((1, 3)));
        for other in [
            "f { } { }",
            "{ a = { } { }; }",
            "{ } [ ]",
            "{ }",
            "{ } // { }",
        ] {
            assert_eq!(called(other), None, "{other}");
        }
    }

    #[test]
    fn a_second_module_is_no_part_of_the_first() {
        let found = |text: &str, sign: &str| {
            let offset = text.rfind(sign).unwrap();
            SecondSet::unexpected(text, offset).map(|found| (found.end, found.line))
        };
        let module = "{ ... }:\n{\n  a = { };\n}\n# more\n{ pkgs, lib }:\n{ }\n";
        assert_eq!(found(module, ","), Some((4, 6)));
        assert_eq!(found("{ a = 1; }\n{ ... }: { }\n", "..."), Some((1, 2)));
        assert_eq!(found("{ a = 1; };\n# b\n{ c = 1; }\n", ";\n"), Some((1, 3)));
        for (other, sign) in [
            ("{ a = 1;\n{ pkgs, lib }: { }", ","),
            ("[ { } { pkgs, lib }: { } ]", ","),
            ("{ a = 1; }\n{ b, c = 1; }", ","),
            ("{ a = 1; };\n  b = 2;\n", ";\n  "),
        ] {
            assert_eq!(found(other, sign), None, "{other}");
        }
    }
}
