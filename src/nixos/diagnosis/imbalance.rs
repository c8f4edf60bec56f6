//! What may be wrong with the brackets and quotes of a text. Pure.

/// What is wrong with the brackets and quotes of a text. Lines are counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::nixos) enum Imbalance {
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
    /// A `''` in the middle of a word, which ends an indented string that was to go on.
    EndInWord {
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
    pub(super) fn line(self) -> u64 {
        match self {
            Self::OpenString { line }
            | Self::OpenComment { line }
            | Self::Wildcard { line }
            | Self::EndInWord { line }
            | Self::OpenIndentedString { line }
            | Self::NotClosed { line, .. }
            | Self::NotOpened { line, .. } => line,
        }
    }
}
