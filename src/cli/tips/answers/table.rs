//! The shape of the answers.

/// Flags without their dashes, and what is said of them. `{}` is the word after the flag, `{mib}` the amount of memory in
/// it, and `{engine}` the command line with the engine in a variable.
pub(super) type Answers = &'static [(&'static [&'static str], &'static str)];
