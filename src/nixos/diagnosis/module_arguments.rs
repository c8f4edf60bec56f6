//! The arguments of a module, found in its text without a parser of Nix.

/// What every module may ask for, in the order in which modules name it.
pub(super) const ARGUMENTS: [&str; 5] = ["config", "lib", "pkgs", "options", "modulesPath"];

/// The `{ … }:` at the beginning of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header<'a> {
    /// The line in which it ends, counted from 1: that of the `}:`.
    pub(super) line: usize,
    /// What stands between its braces.
    arguments: &'a str,
    /// What is before and after the braces, such as `@args`.
    around: (&'a str, &'a str),
}

impl<'a> Header<'a> {
    /// The header of the module with `text`; `None` when the module takes no arguments, or all of them by one name.
    pub(super) fn find(text: &'a str) -> Option<Self> {
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let start = text.len() - without_comments(text).len();
        let (before, rest) = text.get(start..)?.split_once('{')?;
        // `args@{ … }:`
        let named = before.trim_end().strip_suffix('@').unwrap_or(before);
        let is_header = before.is_empty() || named.len() < before.trim_end().len();
        if !is_header || !named.trim().chars().all(is_name) {
            return None;
        }
        // Defaults, which may have braces of their own, are rare in a module.
        let end = rest.find(['{', '}', ';', '='])?;
        let arguments = rest.get(..end)?;
        let after = rest.get(end..)?.strip_prefix('}')?;
        // `{ … }@args:`
        let (behind, _) = after.split_once(':')?;
        let behind = behind.trim();
        let named = behind.strip_prefix('@').map(str::trim_start);
        let is_header = behind.is_empty() || named.is_some_and(|name| name.chars().all(is_name));
        is_header.then(|| Self {
            line: text.get(..start).unwrap_or_default().matches('\n').count()
                + before.matches('\n').count()
                + arguments.matches('\n').count()
                + 1,
            arguments,
            around: (before, behind),
        })
    }

    /// The same with the arguments `more`, and with `...`, as it is written; `None` if it has comments.
    pub(super) fn with(&self, more: &[&str]) -> Option<String> {
        let has_comment = self.arguments.contains(['#', '/']);
        let asked = self.arguments.split(',').map(str::trim);
        let asked = asked.filter(|argument| !["", "..."].contains(argument));
        let all: Vec<&str> = asked.chain(more.iter().copied()).chain(["..."]).collect();
        let (before, behind) = self.around;
        (!has_comment).then(|| format!("{before}{{ {} }}{behind}:", all.join(", ")))
    }

    /// The header as it is written, if it is in one line.
    pub(super) fn written(&self) -> Option<String> {
        let (before, behind) = self.around;
        let written = format!("{before}{{{}}}{behind}:", self.arguments);
        (!written.contains('\n')).then_some(written)
    }

    /// The same for a text that begins in `line` of its file, counted from 1.
    pub(super) fn beginning_in(self, line: usize) -> Self {
        Self {
            line: self.line + line - 1,
            ..self
        }
    }

    /// Whether the module asks for the argument `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        let mut arguments = self.arguments.split(',');
        arguments.any(|argument| argument.trim() == name)
    }
}

/// The first line of `text`, counted from 1, that defines the module's `imports`.
pub(super) fn imports_line(text: &str) -> Option<usize> {
    let defines = |line: &str| {
        let rest = line.trim_start().strip_prefix("imports");
        rest.is_some_and(|rest| rest.trim_start().starts_with('='))
    };
    text.lines().position(defines).map(|index| index + 1)
}

/// `text` without blanks and comments at its beginning.
fn without_comments(text: &str) -> &str {
    let mut text = text.trim_start();
    loop {
        let after = if text.starts_with('#') {
            text.split_once('\n').map(|(_, after)| after)
        } else {
            text.strip_prefix("/*")
                .and_then(|rest| rest.split_once("*/"))
                .map(|(_, after)| after)
        };
        match after {
            Some(after) => text = after.trim_start(),
            None => return text,
        }
    }
}

/// Whether the name at `line` and `column` of `text`, counted from 1, is inside `with pkgs;`.
pub(super) fn is_in_with_pkgs(text: &str, line: u64, column: u64) -> bool {
    let (Ok(line), Ok(column)) = (usize::try_from(line), usize::try_from(column)) else {
        return false;
    };
    let mut lines = text.lines();
    let before: Vec<&str> = lines.by_ref().take(line.saturating_sub(1)).collect();
    let last = lines
        .next()
        .and_then(|text| text.get(..column.saturating_sub(1)));
    let before = format!("{}\n{}", before.join("\n"), last.unwrap_or_default());
    let Some((_, inside)) = before.rsplit_once("with pkgs;") else {
        return false;
    };
    // The names of another `with` inside come first.
    let mut others = inside.match_indices("with ").filter_map(|(at, _)| {
        let (_, other) = inside.split_at_checked(at)?;
        Some(other.split_once(';')?.1)
    });
    reaches_end(inside) && !others.any(reaches_end)
}

/// Whether the scope of a `with` that `inside` follows is still open at its end: it ends with the brackets around it, or at a `;` of
/// its own level.
fn reaches_end(inside: &str) -> bool {
    let mut depth = 0i64;
    for c in inside.chars() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth -= 1,
            ';' if depth == 0 => return false,
            _ => {}
        }
        if depth < 0 {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_found_behind_comments() {
        let line = |text| Header::find(text).map(|header| header.line);
        assert_eq!(line("{ lib, ... }:\n{ }"), Some(1));
        assert_eq!(line("# a {\n/* b\n*/ { lib, pkgs }: { }"), Some(3));
        assert_eq!(line("{\n  pkgs,\n  ...\n}:\n{ }"), Some(4));
        assert_eq!(line("{ lib, ... }@args: { }"), Some(1));
        assert_eq!(line("\nargs@{\nlib, ... }: { }"), Some(3));
        for none in [
            "",
            "{ a = 1; }",
            "{ a.b = { x }: x; }",
            "inputs: { }",
            "{ }",
            "#",
            "/* {",
            "{ lib",
            "let x = 1; in { lib }: { }",
            "f { lib }: 1",
            "{ lib } x: 1",
        ] {
            assert_eq!(line(none), None, "{none}");
        }
    }

    #[test]
    fn a_header_is_written_out_with_more_arguments() {
        let with = |text, more: &[&str]| Header::find(text).unwrap().with(more);
        for (text, written) in [
            ("{ pkgs, ... }: { }", "{ pkgs, lib, ... }:"),
            ("{ pkgs }: { }", "{ pkgs, lib, ... }:"),
            (
                "{\n  pkgs,\n  x ? 1,\n  ...\n}@args: { }",
                "{ pkgs, x ? 1, lib, ... }@args:",
            ),
            ("args@{ ... }:\n{ }", "args@{ lib, ... }:"),
            ("{ }: { }", "{ lib, ... }:"),
        ] {
            assert_eq!(with(text, &["lib"]).as_deref(), Some(written));
        }
        assert_eq!(with("{ pkgs, # mine\n ... }: { }", &["lib"]), None);
    }

    #[test]
    fn the_scope_of_with_pkgs_ends_with_its_expression() {
        let text = "{ pkgs, ... }: {\n  a = with pkgs; [ vim htopp ];\n  b = htopp;\n  c = [ (with pkgs; x) htopp ];\n  \
                    d = with pkgs;\n    [ htopp ];\n  e = with pkgs; [ (f (ps: with ps; [ htopp ])) ];\n  \
                    g = with pkgs; [ (f (ps: with ps; [ x ])) htopp ]; }";
        let at = |line: u64| {
            let mut lines = (1..).zip(text.lines());
            let (_, found) = lines.find(|(number, _)| *number == line).unwrap();
            is_in_with_pkgs(text, line, 1 + found.find("htopp").unwrap() as u64)
        };
        assert!(at(2) && at(6));
        assert!(!at(3) && !at(4));
        assert!(!at(7) && at(8), "another with");
        assert!(!is_in_with_pkgs("", 0, 0) && !is_in_with_pkgs("ä", 1, 2));
    }
}
