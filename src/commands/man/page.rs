//! A manual page, with the macros of man(7).

use std::fmt::Write as _;

use roff::{Inline, Roff, roman};

/// Between words that stay on one line.
pub(super) const NO_BREAK: &str = "\u{a0}";

/// The text of a page.
pub(super) struct Page(Roff);

impl Page {
    /// The page `name` of section 1, with its title and the section NAME.
    pub(super) fn new(name: &str, about: &str) -> Self {
        // `roff` escapes texts, but not what follows a macro, and leaves out the quotes of an empty date.
        let title = name.to_uppercase().replace('-', "\\-");
        let version = format!("sdbuild {}", env!("CARGO_PKG_VERSION"));
        let mut roff = Roff::new();
        roff.control("TH", [&title, "1", "\"\"", &version, "Manual of sdbuild"])
            .control("nh", [])
            .control("ad", ["l"])
            .control("nr", ["HY", "0"])
            .control("ds", ["AD", "l"]);
        let mut page = Self(roff);
        page.section("NAME");
        let name = roman(format!("{name} - "));
        page.0.text([vec![name], prose(about)].concat());
        page
    }

    /// The whole text.
    pub(super) fn into_text(self) -> String {
        as_ascii(&self.0.render())
    }

    /// Begins a section.
    pub(super) fn section(&mut self, title: &str) {
        self.0.control("SH", [title]);
    }

    /// Begins a part of a section.
    pub(super) fn part(&mut self, title: &str) {
        self.0.control("SS", [title]);
    }

    /// A command and its arguments; further lines begin below the first argument.
    pub(super) fn synopsis(&mut self, command: &str, arguments: &[Vec<Inline>]) {
        self.0.control("SY", [command]);
        // In one line: at the end of one, the dots of an argument would end a sentence, which a wider space follows.
        self.0.text(arguments.join(&roman(" ")));
        self.0.control("YS", []);
    }

    /// Paragraphs, which an empty line separates.
    pub(super) fn paragraphs(&mut self, text: &str) {
        for paragraph in paragraphs(text) {
            self.0.control("PP", []).text(prose(paragraph));
        }
    }

    /// A term, and below it the paragraphs that explain it, all of them indented.
    pub(super) fn entry(&mut self, term: impl Into<Vec<Inline>>, text: &str) {
        self.0.control("TP", []).text(term);
        for (number, paragraph) in paragraphs(text).enumerate() {
            if number > 0 {
                self.0.control("IP", []);
            }
            self.0.text(prose(paragraph));
        }
    }

    /// Values and what each means, indented below an entry.
    pub(super) fn values(&mut self, values: &[(String, String)]) {
        self.0.control("RS", []);
        for (value, meaning) in values {
            self.entry([bold(value)], meaning);
        }
        self.0.control("RE", []);
    }

    /// A command in a line of its own, however long it is.
    pub(super) fn command(&mut self, command: &str) {
        self.0.control("PP", []).control("EX", []);
        self.0.text([bold(command)]).control("EE", []);
    }

    /// Paragraphs below a command, indented.
    pub(super) fn below(&mut self, text: &str) {
        for paragraph in paragraphs(text) {
            self.0.control("IP", []).text(prose(paragraph));
        }
    }
}

/// The paragraphs of `text` that have words.
fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let trimmed = text.split("\n\n").map(str::trim);
    trimmed.filter(|paragraph| !paragraph.is_empty())
}

/// `text` in bold letters, without a break.
pub(super) fn bold(text: &str) -> Inline {
    roff::bold(text.replace(' ', NO_BREAK))
}

/// `text` in italics, without a break: a name that stands for a value.
pub(super) fn italic(text: &str) -> Inline {
    roff::italic(text.replace(' ', NO_BREAK))
}

/// One paragraph, whose words between backticks are in bold letters.
fn prose(text: &str) -> Vec<Inline> {
    let lines: Vec<_> = text.lines().map(str::trim_start).collect();
    let text = lines.join("\n");
    let parts = text.split('`').enumerate();
    let parts = parts.filter(|(_, part)| !part.is_empty());
    parts
        .map(|(number, part)| {
            if number % 2 == 0 {
                roman(part)
            } else {
                roff::bold(part)
            }
        })
        .collect()
}

/// Names for the characters that `roff` leaves as they are: troff reads Latin-1, and shows `~`, `^` and a backtick as other ones.
fn as_ascii(page: &str) -> String {
    let mut out = String::new();
    for c in page.chars() {
        match c {
            '\u{a0}' => out.push_str("\\ "),
            '~' => out.push_str("\\(ti"),
            '^' => out.push_str("\\(ha"),
            '`' => out.push_str("\\(ga"),
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
        let mut page = Page::new("a-tool", "Does 'it'");
        page.paragraphs(".x\n  'c ~/a-b\\c ^ \"✓\"\n\nrun `a b` or `c`.");
        page.below(".y");
        let text = page.into_text();
        let (_, text) = text.split_once(".TH A\\-TOOL 1 \"\" ").unwrap();
        let (_, text) = text.split_once(".SH NAME\n").unwrap();
        let expected = [
            "a\\-tool \\- Does \\*(Aqit\\*(Aq\n",
            ".PP\n\\&.x\n\\*(Aqc \\(ti/a\\-b\\\\c \\(ha \"\\[u2713]\"\n",
            ".PP\nrun \\fBa b\\fR or \\fBc\\fR.\n",
            ".IP\n\\&.y\n",
        ];
        assert_eq!(text, expected.concat());
    }

    #[test]
    fn further_paragraphs_of_an_entry_stay_indented() {
        let mut page = Page::new("tool", "Does it");
        page.entry([bold("--a b")], "First.\n\nSecond.");
        let text = page.into_text();
        let entry = ".TP\n\\fB\\-\\-a\\ b\\fR\nFirst.\n.IP\nSecond.\n";
        assert!(text.ends_with(entry), "{text}");
    }
}
