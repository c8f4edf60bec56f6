//! Colour for the first word of a line that sdbuild writes; never for text from elsewhere.

/// When output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// Only on a terminal.
    #[default]
    Auto,
    /// Always (`CLICOLOR_FORCE`).
    Always,
    /// Never (`NO_COLOR`, `TERM=dumb`).
    Never,
}

impl Colour {
    /// Whether to colour output; `terminal` is whether it goes to a terminal.
    pub(super) fn on(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// Styles of what sdbuild itself writes; does nothing when output is not coloured. No colour means anything alone: a mark
/// or a word says the same.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint(pub(super) bool);

impl Paint {
    /// What succeeded.
    pub(super) fn good(self, text: &str) -> String {
        self.style("32", text)
    }

    /// What failed.
    pub(super) fn bad(self, text: &str) -> String {
        self.style("1;31", text)
    }

    /// What may need the user.
    pub(super) fn attention(self, text: &str) -> String {
        self.style("33", text)
    }

    /// What is in progress, and commands to type.
    pub(super) fn active(self, text: &str) -> String {
        self.style("36", text)
    }

    /// Names.
    pub(super) fn strong(self, text: &str) -> String {
        self.style("1", text)
    }

    /// What matters less.
    pub(super) fn faint(self, text: &str) -> String {
        self.style("2", text)
    }

    fn style(self, code: &str, text: &str) -> String {
        if self.0 && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }
}

/// Line prefixes and their ANSI colours: bold red, yellow, cyan.
const WORDS: [(&str, &str); 3] = [("error:", "1;31"), ("warning:", "33"), ("hint:", "36")];

/// Colours the known prefixes at the start of each line of `text`. Text from elsewhere never starts at column 0:
/// [`super::sanitize::message`] indents it.
pub(super) fn paint(text: &str) -> String {
    text.split_inclusive('\n').map(line).collect()
}

fn line(line: &str) -> String {
    for (word, code) in WORDS {
        if let Some(rest) = line.strip_prefix(word) {
            return format!("\u{1b}[{code}m{word}\u{1b}[0m{rest}");
        }
    }
    line.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_line_prefixes_are_coloured() {
        assert_eq!(
            paint("error: a\n  error: b\nhint: c"),
            "\u{1b}[1;31merror:\u{1b}[0m a\n  error: b\n\u{1b}[36mhint:\u{1b}[0m c"
        );
        assert_eq!(paint("build with Nix: done"), "build with Nix: done");
    }
}
