//! Brackets and quotes that are not closed, found in the text of a file that Nix cannot parse.

use crate::nix_name::is_of_name;

/// What is wrong with the brackets and quotes of a text. Lines are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imbalance {
    /// A string in double quotes goes on to another line, which is rare on purpose, or to the end.
    OpenString {
        /// The line of its first quote.
        line: u64,
    },
    /// A comment that begins with `/*` is not closed.
    OpenComment {
        /// Its first line.
        line: u64,
    },
    /// A wildcard in the name of a file, as in `./*.nix`, which Nix does not have.
    Wildcard {
        /// Its line.
        line: u64,
    },
    /// An indented string (`''`) is not closed.
    OpenIndentedString {
        /// Its first line.
        line: u64,
    },
    /// A bracket is closed by one of another kind, or not at all.
    NotClosed {
        /// The bracket that opens.
        bracket: char,
        /// Line of the bracket, from 1.
        line: u64,
    },
    /// Nothing is open that a bracket could close.
    NotOpened {
        /// The bracket that closes.
        bracket: char,
        /// Line of the bracket, from 1.
        line: u64,
    },
}

impl Imbalance {
    /// Its line, counted from 1.
    pub fn line(self) -> u64 {
        match self {
            Self::OpenString { line }
            | Self::OpenComment { line }
            | Self::Wildcard { line }
            | Self::OpenIndentedString { line }
            | Self::NotClosed { line, .. }
            | Self::NotOpened { line, .. } => line,
        }
    }
}

/// What the characters are part of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Code,
    /// A string in double quotes that begins in the line.
    String(u64),
    /// An indented string that begins in the line.
    IndentedString(u64),
}

#[derive(Debug)]
struct Scanner<'a> {
    text: &'a str,
    /// The part of `text` that is not scanned yet.
    rest: &'a str,
    line: u64,
    /// Strings and the code inside them, the innermost last. The first is always code.
    parts: Vec<Part>,
    /// The first line of an indented string that something follows which cannot follow a string: its end is missing.
    without_end: Option<u64>,
    /// The brackets that are open, with their lines. That of `${` is `$`.
    open: Vec<(char, u64)>,
    /// The first bracket whose counterpart begins a line that is indented less: it closes another one.
    closed_outside: Option<(char, u64)>,
}

/// The first imbalance of `text`, if there is one.
pub fn imbalance(text: &str) -> Option<Imbalance> {
    match scan(text) {
        Ok(scanner) => scanner.open_end(),
        Err(found) => Some(found),
    }
}

/// The brackets that are open at the end of `text`, the outermost first; that of `${` is `$`. None if they do not match before.
pub fn open_brackets(text: &str) -> Vec<char> {
    let open = scan(text).map_or_else(|_| Vec::new(), |scanner| scanner.open);
    open.into_iter().map(|(bracket, _)| bracket).collect()
}

/// The state at the end of `text`, or the first imbalance before.
fn scan(text: &str) -> Result<Scanner<'_>, Imbalance> {
    let mut scanner = Scanner::new(text);
    while !scanner.rest.is_empty() {
        if let Some(found) = scanner.step() {
            return Err(found);
        }
    }
    Ok(scanner)
}

impl<'a> Scanner<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            text,
            rest: text,
            line: 1,
            parts: vec![Part::Code],
            without_end: None,
            open: Vec::new(),
            closed_outside: None,
        }
    }

    /// What is scanned already.
    fn before(&self) -> &'a str {
        let scanned = self.text.len() - self.rest.len();
        self.text.get(..scanned).unwrap_or_default()
    }

    /// Goes on by one token or character. Returns the imbalance that it shows.
    fn step(&mut self) -> Option<Imbalance> {
        match self.parts.last().copied().unwrap_or(Part::Code) {
            Part::Code => self.code(),
            Part::String(line) => self.string(line),
            Part::IndentedString(line) => {
                self.indented_string(line);
                None
            }
        }
    }
}

impl Scanner<'_> {
    /// What is still open.
    fn open_end(&self) -> Option<Imbalance> {
        match self.parts.last() {
            // Its quote was meant to end the string around it.
            Some(Part::String(line)) if self.open.last() == Some(&('$', *line)) => {
                Some(Imbalance::NotClosed {
                    bracket: '$',
                    line: *line,
                })
            }
            Some(Part::String(line)) => Some(Imbalance::OpenString { line: *line }),
            Some(Part::IndentedString(line)) => Some(Imbalance::OpenIndentedString {
                line: self.without_end.unwrap_or(*line),
            }),
            Some(Part::Code) | None => {
                let last = self.open.last()?;
                let (bracket, line) = self.closed_outside.unwrap_or(*last);
                Some(Imbalance::NotClosed { bracket, line })
            }
        }
    }

    /// Goes on by `bytes`, which end at a character.
    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.line += skipped
            .bytes()
            .map(|byte| u64::from(byte == b'\n'))
            .sum::<u64>();
        self.rest = rest;
    }

    /// Goes on after the next `end`.
    fn skip_to(&mut self, end: &str) {
        let bytes = self
            .rest
            .find(end)
            .map_or(self.rest.len(), |at| at + end.len());
        self.skip(bytes);
    }

    fn skip_char(&mut self) {
        self.skip(self.rest.chars().next().map_or(0, char::len_utf8));
    }

    fn code(&mut self) -> Option<Imbalance> {
        let name = self
            .rest
            .find(|c| !is_of_name(c))
            .unwrap_or(self.rest.len());
        let first = self.rest.chars().next()?;
        if let Some(line) = self.without_brace() {
            return Some(Imbalance::NotClosed { bracket: '$', line });
        }
        if self.rest.starts_with("''") {
            self.parts.push(Part::IndentedString(self.line));
            self.skip(2);
        } else if name > 0 {
            // Names may have an apostrophe, as `foldl'`.
            self.skip(name);
        } else if first == '#' {
            self.skip_to("\n");
        } else if self.rest.starts_with("/*") {
            return self.comment();
        } else if first == '"' {
            self.parts.push(Part::String(self.line));
            self.skip(1);
        } else if "{[(".contains(first) {
            self.open.push((first, self.line));
            self.skip(1);
        } else if "}])".contains(first) {
            return self.close(first);
        } else {
            self.skip_char();
        }
        None
    }

    /// The line of the `${` whose string ends here, before its `}`: at a quote after a name, with nothing that a string may have
    /// after it, or at a `''` that begins its line.
    fn without_brace(&self) -> Option<u64> {
        let Some(('$', line)) = self.open.last() else {
            return None;
        };
        let is_end =
            |behind: &str| behind.is_empty() || behind.starts_with([';', ')', ']', ' ', '\n']);
        let before = self.before();
        let follows_name = before.ends_with(|c: char| c.is_alphanumeric() || "_'-".contains(c));
        let quote = self
            .rest
            .strip_prefix('"')
            .filter(|_| follows_name && self.line == *line);
        let end = self
            .rest
            .strip_prefix("''")
            .filter(|_| self.begins_a_line());
        let is_indented = end.is_some_and(|behind| behind.starts_with([';', ')']));
        (quote.is_some_and(is_end) || is_indented).then_some(*line)
    }

    fn comment(&mut self) -> Option<Imbalance> {
        let line = self.line;
        let before = self.before();
        let word = before.rsplit([' ', '\n', '\t', '[', '(', '{']).next();
        let begins_path = |word: &str| {
            let begin = word.split('/').next().unwrap_or_default();
            [".", "..", "~"].contains(&begin)
        };
        if word.is_some_and(begins_path) {
            return Some(Imbalance::Wildcard { line });
        }
        self.skip(2);
        if self.rest.contains("*/") {
            self.skip_to("*/");
            return None;
        }
        Some(Imbalance::OpenComment { line })
    }

    fn close(&mut self, bracket: char) -> Option<Imbalance> {
        let line = self.line;
        if let Some(opened) = self.open.last()
            && self.begins_a_line()
            && self.closes_another(line, opened.1)
        {
            self.closed_outside.get_or_insert(*opened);
        }
        self.skip(1);
        match (self.open.pop(), bracket) {
            (Some(('$', _)), '}') => {
                self.parts.pop();
                None
            }
            (Some(('{', _)), '}') | (Some(('[', _)), ']') | (Some(('(', _)), ')') => None,
            (Some((bracket, line)), _) => Some(Imbalance::NotClosed { bracket, line }),
            (None, _) => Some(Imbalance::NotOpened { bracket, line }),
        }
    }

    /// Whether the bracket at the begin of `line` seems to be meant for another one than that of the line `opened`: it is indented less,
    /// or a whole definition follows that one in its line.
    fn closes_another(&self, line: u64, opened: u64) -> bool {
        let (indentation, outer) = (self.indentation(line), self.indentation(opened));
        let mut lines = (1..).zip(self.text.lines());
        let written = lines.find(|(number, _)| *number == opened);
        let has_definition = written.is_some_and(|(_, text)| text.trim_end().ends_with(';'));
        indentation < outer || indentation == outer && has_definition
    }

    /// Whether only blanks are before the next character in its line.
    fn begins_a_line(&self) -> bool {
        let before = self.before();
        let line = before.rsplit('\n').next().unwrap_or_default();
        line.trim().is_empty()
    }

    /// The number of blanks that `line` begins with.
    fn indentation(&self, line: u64) -> usize {
        let lines = (1..).zip(self.text.lines());
        let found = lines.into_iter().find(|(number, _)| *number == line);
        found.map_or(0, |(_, text)| text.len() - text.trim_start().len())
    }

    /// The code inside a string, from its `${`.
    fn begin_code(&mut self) {
        self.open.push(('$', self.line));
        self.parts.push(Part::Code);
        self.skip(2);
    }

    fn string(&mut self, line: u64) -> Option<Imbalance> {
        if self.line > line {
            return Some(Imbalance::OpenString { line });
        }
        match self.rest.chars().next() {
            Some('"') => {
                self.parts.pop();
                self.skip(1);
            }
            Some('\\') => {
                self.skip(1);
                self.skip_char();
            }
            _ if self.rest.starts_with("$$") => self.skip(2),
            _ if self.rest.starts_with("${") => self.begin_code(),
            _ => self.skip_char(),
        }
        None
    }

    fn indented_string(&mut self, line: u64) {
        if self.rest.starts_with("''\\") {
            self.skip(3);
            self.skip_char();
        } else if ["'''", "''$"].iter().any(|it| self.rest.starts_with(it)) {
            self.skip(3);
        } else if self.rest.starts_with("''") {
            self.parts.pop();
            self.skip(2);
            self.note_end(line);
        } else if self.rest.starts_with("$$") {
            self.skip(2);
        } else if self.rest.starts_with("${") {
            self.begin_code();
        } else {
            self.skip_char();
        }
    }

    /// Notes whether the indented string that began in `line` ends where the next one was meant to begin.
    fn note_end(&mut self, line: u64) {
        let (end, next) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        let next = next.trim_start();
        let word = next.split(|c| !is_name(c)).next().unwrap_or_default();
        let is_in_brackets = matches!(self.open.last(), Some(('[' | '(', _)));
        let may_follow = word.is_empty() || ["else", "in", "or", "then"].contains(&word);
        if end.trim().is_empty() && !is_in_brackets && !may_follow {
            self.without_end.get_or_insert(line);
        }
    }
}

#[cfg(test)]
mod tests;
