//! A manual page in the language of troff, with the macros of man(7).

use std::fmt::Write as _;

/// The text of a page.
pub(super) struct Page(String);

impl Page {
    /// The page `name` of section 1, with its title and the section NAME.
    pub(super) fn new(name: &str, about: &str) -> Self {
        let title = escaped(&name.to_uppercase());
        let version = env!("CARGO_PKG_VERSION");
        let mut page = Self(format!(
            ".TH \"{title}\" 1 \"\" \"sdbuild {version}\" \"Manual of sdbuild\"\n.nh\n.ad l\n.nr HY 0\n.ds AD l\n"
        ));
        page.section("NAME");
        page.line(&format!("{} \\- {}", escaped(name), prose(about)));
        page
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        self.0
    }

    /// Begins a section.
    pub(super) fn section(&mut self, title: &str) {
        self.line(&format!(".SH \"{}\"", escaped(title)));
    }

    /// Begins a part of a section.
    pub(super) fn part(&mut self, title: &str) {
        self.line(&format!(".SS \"{}\"", escaped(title)));
    }

    /// A command and its arguments, which are in troff's language already; further lines begin below the first argument.
    pub(super) fn synopsis(&mut self, command: &str, arguments: &[String]) {
        self.line(&format!(".SY \"{}\"", escaped(command)));
        for argument in arguments {
            self.line(argument);
        }
        self.line(".YS");
    }

    /// Paragraphs, which an empty line separates.
    pub(super) fn paragraphs(&mut self, text: &str) {
        for paragraph in paragraphs(text) {
            self.line(".PP");
            self.line(&prose(paragraph));
        }
    }

    /// A term, in troff's language already, and below it the paragraphs that explain it, all of them indented.
    pub(super) fn entry(&mut self, term: &str, text: &str) {
        self.line(".TP");
        self.line(term);
        for (number, paragraph) in paragraphs(text).enumerate() {
            if number > 0 {
                self.line(".IP");
            }
            self.line(&prose(paragraph));
        }
    }

    /// Values and what each means, indented below an entry.
    pub(super) fn values(&mut self, values: &[(String, String)]) {
        self.line(".RS");
        for (value, meaning) in values {
            self.entry(&bold(value), meaning);
        }
        self.line(".RE");
    }

    /// A command in a line of its own, however long it is.
    pub(super) fn command(&mut self, command: &str) {
        self.line(".PP");
        self.line(".EX");
        self.line(&bold(command));
        self.line(".EE");
    }

    /// Paragraphs below a command, indented.
    pub(super) fn below(&mut self, text: &str) {
        for paragraph in paragraphs(text) {
            self.line(".IP");
            self.line(&prose(paragraph));
        }
    }

    fn line(&mut self, line: &str) {
        self.0.push_str(line);
        self.0.push('\n');
    }
}

/// The paragraphs of `text` that have words.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let trimmed = text.split("\n\n").map(str::trim);
    trimmed.filter(|paragraph| !paragraph.is_empty())
}

/// `text` in bold letters, without a break.
pub(super) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text).replace(' ', "\\ "))
}

/// `text` in italics: a name that stands for a value.
pub(super) fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", escaped(text).replace(' ', "\\ "))
}

/// One paragraph, whose words between backticks are in bold letters.
fn prose(text: &str) -> String {
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let text = escaped(&lines.join("\n"));
    let mut parts = text.split("\\(ga");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for (number, part) in parts.enumerate() {
        out.push_str(if number % 2 == 0 { "\\fB" } else { "\\fR" });
        out.push_str(part);
    }
    out
}

/// `text` as characters that troff neither interprets nor replaces. Other characters than ASCII get a name: troff reads Latin-1.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    let mut begins_line = true;
    for c in text.chars() {
        if begins_line && matches!(c, '.' | '\'') {
            out.push_str("\\&");
        }
        begins_line = c == '\n';
        match c {
            '\\' => out.push_str("\\e"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '"' => out.push_str("\\(dq"),
            '`' => out.push_str("\\(ga"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c if c.is_ascii() => out.push(c),
            c => write!(out, "\\[u{:04X}]", u32::from(c)).unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_troff_interprets_is_escaped() {
        assert_eq!(escaped(".x"), "\\&.x");
        assert_eq!(escaped("a 'b'\n'c"), "a \\(aqb\\(aq\n\\&\\(aqc");
        assert_eq!(
            escaped("~/a-b\\c \"✓\""),
            "\\(ti/a\\-b\\ec \\(dq\\[u2713]\\(dq"
        );
        assert_eq!(
            prose("run `sdbuild x` or `y`."),
            "run \\fBsdbuild x\\fR or \\fBy\\fR."
        );
    }

    #[test]
    fn further_paragraphs_of_an_entry_stay_indented() {
        let mut page = Page::new("tool", "Does it");
        page.entry(&bold("--a b"), "First.\n\nSecond.");
        let text = page.into_text();
        let entry = ".TP\n\\fB\\-\\-a\\ b\\fR\nFirst.\n.IP\nSecond.\n";
        assert!(text.ends_with(entry), "{text}");
    }
}
