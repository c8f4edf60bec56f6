//! Brackets and quotes that are not closed, found in the tokens of a file that Nix cannot parse.

use rnix::SyntaxKind::{
    self, TOKEN_ERROR, TOKEN_INTERPOL_END, TOKEN_INTERPOL_START, TOKEN_L_BRACE, TOKEN_L_BRACK,
    TOKEN_L_PAREN, TOKEN_R_BRACE, TOKEN_R_BRACK, TOKEN_R_PAREN, TOKEN_STRING_CONTENT,
    TOKEN_STRING_END, TOKEN_STRING_START,
};

use crate::nix_syntax::tokens;
use sdbuild_core::text::line_of;

/// A bracket, quote or begin of a comment without its counterpart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Its characters, such as `{`, `${`, `"`, `''` or `/*`.
    pub token: &'static str,
    /// Its line, from 1.
    pub line: u64,
    /// Whether it opens what nothing closes; otherwise it closes what nothing opens.
    pub opens: bool,
}

impl Imbalance {
    const fn opened((token, line): Open) -> Self {
        let opens = true;
        Self { token, line, opens }
    }
}

/// A bracket or quote that is open, and its line.
type Open = (&'static str, u64);

/// Tokens that open something, and what.
const OPENING: [(SyntaxKind, &str); 4] = [
    (TOKEN_INTERPOL_START, "${"),
    (TOKEN_L_BRACE, "{"),
    (TOKEN_L_BRACK, "["),
    (TOKEN_L_PAREN, "("),
];
/// Tokens that close something, and their counterparts.
const CLOSING: [(SyntaxKind, &str, &[&str]); 4] = [
    (TOKEN_INTERPOL_END, "}", &["{", "${"]),
    (TOKEN_R_BRACE, "}", &["{", "${"]),
    (TOKEN_R_BRACK, "]", &["["]),
    (TOKEN_R_PAREN, ")", &["("]),
];

struct Scanner<'a> {
    text: &'a str,
    /// Where the next token begins, in bytes.
    at: usize,
    line: u64,
    /// What is open, the innermost last.
    open: Vec<Open>,
    /// The first line of an indented string that something follows which cannot follow a string: its end is missing.
    without_end: Option<u64>,
    /// The first bracket whose counterpart begins a line that is indented less: it closes another one.
    closed_outside: Option<Open>,
}

/// The first imbalance of `text`, if there is one.
pub fn imbalance(text: &str) -> Option<Imbalance> {
    match scan(text) {
        Ok(scanner) => scanner.open_end(),
        Err(found) => Some(found),
    }
}

/// What is open at the end of `text`, the outermost first. Nothing if brackets do not match before.
pub fn open_brackets(text: &str) -> Vec<&'static str> {
    let open = scan(text).map_or_else(|_| Vec::new(), |scanner| scanner.open);
    open.into_iter().map(|(bracket, _)| bracket).collect()
}

/// The state at the end of `text`, or the first imbalance before.
fn scan(text: &str) -> Result<Scanner<'_>, Imbalance> {
    let mut scanner = Scanner {
        text,
        at: 0,
        line: 1,
        open: Vec::new(),
        without_end: None,
        closed_outside: None,
    };
    for (kind, token) in tokens(text) {
        scanner.note(kind, token)?;
        scanner.at += token.len();
        scanner.line += token.bytes().map(|b| u64::from(b == b'\n')).sum::<u64>();
    }
    Ok(scanner)
}

impl Scanner<'_> {
    fn note(&mut self, kind: SyntaxKind, token: &str) -> Result<(), Imbalance> {
        let bracket = if kind == TOKEN_STRING_START {
            self.check_brace(token)?;
            Some(if token == "\"" { "\"" } else { "''" })
        } else {
            let opening = OPENING.iter().find(|(other, _)| *other == kind);
            opening.map(|(_, bracket)| *bracket)
        };
        if let Some(bracket) = bracket {
            self.open.push((bracket, self.line));
            return Ok(());
        }
        if let Some((_, bracket, counterparts)) = CLOSING.iter().find(|(other, ..)| *other == kind)
        {
            return self.close(bracket, counterparts);
        }
        let is_of_string = [TOKEN_STRING_CONTENT, TOKEN_STRING_END, TOKEN_ERROR].contains(&kind);
        match self.open.last().copied().filter(|_| is_of_string) {
            // Strings of more than one line are indented ones.
            Some(open @ ("\"", line)) if self.line > line || token.contains('\n') => {
                Err(Imbalance::opened(open))
            }
            Some(("\"" | "''", line)) if kind == TOKEN_STRING_END => {
                self.open.pop();
                self.note_end(token, line);
                Ok(())
            }
            _ if kind == TOKEN_ERROR && token.starts_with("/*") => {
                Err(Imbalance::opened(("/*", self.line)))
            }
            _ => Ok(()),
        }
    }

    /// What is still open.
    fn open_end(&self) -> Option<Imbalance> {
        let last = *self.open.last()?;
        Some(Imbalance::opened(
            match (last, self.open.iter().nth_back(1)) {
                // Its quote was meant to end the string around it.
                (("\"", line), Some(&("${", outer))) if outer == line => ("${", line),
                (("''", line), _) => ("''", self.without_end.unwrap_or(line)),
                (("\"", _), _) => last,
                _ => self.closed_outside.unwrap_or(last),
            },
        ))
    }

    /// The line before the next token, as far as that begins in it.
    fn begin(&self) -> &str {
        let before = self.text.get(..self.at).unwrap_or_default();
        before.rsplit('\n').next().unwrap_or_default()
    }

    /// What follows `token`, the next one.
    fn behind(&self, token: &str) -> &str {
        self.text.get(self.at + token.len()..).unwrap_or_default()
    }

    /// Fails if the string around a `${` ends at the `quote`, before its `}`: after a name, with nothing behind that a string may have
    /// after it, or at a `''` that begins its line.
    fn check_brace(&self, quote: &str) -> Result<(), Imbalance> {
        let Some(open @ ("${", line)) = self.open.last() else {
            return Ok(());
        };
        let (begin, behind) = (self.begin(), self.behind(quote));
        let ends = if quote == "\"" {
            let follows_name = begin.ends_with(|c: char| c.is_alphanumeric() || "_'-".contains(c));
            let is_last = behind.is_empty() || behind.starts_with([';', ')', ']', ' ', '\n']);
            follows_name && is_last && self.line == *line
        } else {
            begin.trim().is_empty() && behind.starts_with([';', ')'])
        };
        if ends {
            return Err(Imbalance::opened(*open));
        }
        Ok(())
    }

    fn close(&mut self, token: &'static str, counterparts: &[&str]) -> Result<(), Imbalance> {
        let line = self.line;
        let Some(opened) = self.open.pop() else {
            let opens = false;
            return Err(Imbalance { token, line, opens });
        };
        if self.begin().trim().is_empty() && self.closes_another(opened.1) {
            self.closed_outside.get_or_insert(opened);
        }
        if counterparts.contains(&opened.0) {
            Ok(())
        } else {
            Err(Imbalance::opened(opened))
        }
    }

    /// Whether the bracket at the begin of this line seems to be meant for another one than that of the line `opened`: it is indented less,
    /// or a whole definition follows that one in its line.
    fn closes_another(&self, opened: u64) -> bool {
        let of_opened = line_of(self.text, opened).unwrap_or_default();
        let indentation = self.begin().len();
        let outer = of_opened.len() - of_opened.trim_start().len();
        let has_definition = of_opened.trim_end().ends_with(';');
        indentation < outer || indentation == outer && has_definition
    }

    /// Notes whether the indented string that began in `line` ends, by `quote`, where the next one was meant to begin.
    fn note_end(&mut self, quote: &str, line: u64) {
        let behind = self.behind(quote);
        let (end, next) = behind.split_once('\n').unwrap_or((behind, ""));
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let word = next.trim_start().split(|c| !is_name(c)).next();
        let may_follow = ["", "else", "in", "or", "then"].contains(&word.unwrap_or_default());
        let is_in_brackets = matches!(self.open.last(), Some(("[" | "(", _)));
        if quote == "''" && end.trim().is_empty() && !is_in_brackets && !may_follow {
            self.without_end.get_or_insert(line);
        }
    }
}

#[cfg(test)]
mod tests;
