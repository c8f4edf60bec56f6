//! The shape of the answers.

/// Flags without their dashes, and what is said of them. `{}` is the word behind the flag.
pub(super) type Answers = &'static [(&'static [&'static str], &'static str)];
