//! What the files of a flake or an input are for.

/// What a tree is used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// A flake.
    Flake,
    /// Plain files: an input with `flake = false`.
    Files,
}
