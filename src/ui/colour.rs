//! Colours, where they are wanted: only the words that begin a line of ours, never foreign text.

/// Whether colours are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colour {
    /// On a terminal.
    #[default]
    Auto,
    /// Everywhere (`CLICOLOR_FORCE`).
    Always,
    /// Nowhere (`NO_COLOR`, `TERM=dumb`).
    Never,
}

impl Colour {
    /// Whether to colour what goes to a terminal or to something else.
    pub(super) fn on(self, terminal: bool) -> bool {
        match self {
            Self::Auto => terminal,
            Self::Always => true,
            Self::Never => false,
        }
    }
}

/// The beginnings of lines and their colours: bold red, yellow, cyan.
const WORDS: [(&str, &str); 3] = [("error:", "1;31"), ("warning:", "33"), ("hint:", "36")];

/// `text` with the first word of each of its lines coloured, when it is one that has a colour. At column 0
/// only we begin lines ([`super::sanitize::message`]).
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
    fn only_first_words_have_a_colour() {
        assert_eq!(
            paint("error: a\n  error: b\nhint: c"),
            "\u{1b}[1;31merror:\u{1b}[0m a\n  error: b\n\u{1b}[36mhint:\u{1b}[0m c"
        );
        assert_eq!(paint("build with Nix: done"), "build with Nix: done");
    }

    #[test]
    fn who_wants_colours() {
        let on = |colour: Colour| (colour.on(true), colour.on(false));
        assert_eq!(on(Colour::Auto), (true, false));
        assert_eq!(on(Colour::Always), (true, true));
        assert_eq!(on(Colour::Never), (false, false));
    }
}
