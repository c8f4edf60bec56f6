//! Brackets and quotes that are not closed, found in the text of a file that Nix cannot parse.

use crate::nix_name::is_of_name;

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
    const fn opened(token: &'static str, line: u64) -> Self {
        let opens = true;
        Self { token, line, opens }
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
    /// The brackets that are open, with their lines.
    open: Vec<(&'static str, u64)>,
    /// The first bracket whose counterpart begins a line that is indented less: it closes another one.
    closed_outside: Option<(&'static str, u64)>,
}

/// The first imbalance of `text`, if there is one.
pub fn imbalance(text: &str) -> Option<Imbalance> {
    match scan(text) {
        Ok(scanner) => scanner.open_end(),
        Err(found) => Some(found),
    }
}

/// The brackets that are open at the end of `text`, the outermost first. None if they do not match before.
pub fn open_brackets(text: &str) -> Vec<&'static str> {
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
            Some(Part::String(line)) if self.open.last() == Some(&("${", *line)) => {
                Some(Imbalance::opened("${", *line))
            }
            Some(Part::String(line)) => Some(Imbalance::opened("\"", *line)),
            Some(Part::IndentedString(line)) => {
                Some(Imbalance::opened("''", self.without_end.unwrap_or(*line)))
            }
            Some(Part::Code) | None => {
                let last = self.open.last()?;
                let (bracket, line) = self.closed_outside.unwrap_or(*last);
                Some(Imbalance::opened(bracket, line))
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
            return Some(Imbalance::opened("${", line));
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
        } else if let Some(bracket) = self.one_of(["{", "[", "("]) {
            self.open.push((bracket, self.line));
            self.skip(1);
        } else if let Some(bracket) = self.one_of(["}", "]", ")"]) {
            return self.close(bracket);
        } else {
            self.skip_char();
        }
        None
    }

    fn one_of(&self, brackets: [&'static str; 3]) -> Option<&'static str> {
        let mut brackets = brackets.into_iter();
        brackets.find(|bracket| self.rest.starts_with(bracket))
    }

    /// The line of the `${` whose string ends here, before its `}`: at a quote after a name, with nothing that a string may have
    /// after it, or at a `''` that begins its line.
    fn without_brace(&self) -> Option<u64> {
        let Some(("${", line)) = self.open.last() else {
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
        self.skip(2);
        if self.rest.contains("*/") {
            self.skip_to("*/");
            return None;
        }
        Some(Imbalance::opened("/*", line))
    }

    fn close(&mut self, token: &'static str) -> Option<Imbalance> {
        let line = self.line;
        if let Some(opened) = self.open.last()
            && self.begins_a_line()
            && self.closes_another(line, opened.1)
        {
            self.closed_outside.get_or_insert(*opened);
        }
        self.skip(1);
        match (self.open.pop(), token) {
            (Some(("${", _)), "}") => {
                self.parts.pop();
                None
            }
            (Some(("{", _)), "}") | (Some(("[", _)), "]") | (Some(("(", _)), ")") => None,
            (Some((opened, line)), _) => Some(Imbalance::opened(opened, line)),
            (None, _) => Some(Imbalance {
                token,
                line,
                opens: false,
            }),
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
        self.open.push(("${", self.line));
        self.parts.push(Part::Code);
        self.skip(2);
    }

    fn string(&mut self, line: u64) -> Option<Imbalance> {
        if self.line > line {
            return Some(Imbalance::opened("\"", line));
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
        let is_in_brackets = matches!(self.open.last(), Some(("[" | "(", _)));
        let may_follow = word.is_empty() || ["else", "in", "or", "then"].contains(&word);
        if end.trim().is_empty() && !is_in_brackets && !may_follow {
            self.without_end.get_or_insert(line);
        }
    }
}

#[cfg(test)]
mod tests;
