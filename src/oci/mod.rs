//! Container images out of hash-locked Debian packages, without a registry.
//!
//! Promises: one definition gives the same bytes wherever and whenever it is assembled; what an
//! engine holds already is recognised and neither fetched, nor assembled, nor sent again; memory
//! stays small whatever the image's size. Refuses: packages with paths that leave them, two owners
//! for one path, and an engine's image that bears our name but is not what we would make.

mod assemble;
mod deb;
mod definition;
mod extra_file;
mod images;
mod layer;
mod missing;
mod unpack;

pub use assemble::{AssembleError, ContainerImage};
pub use deb::DebError;
pub use definition::{BUILD_USER, Defaults, Definition};
pub use extra_file::{ExtraFile, ExtraFileContent};
pub use images::Images;
pub use layer::LayerError;
pub use missing::MissingImages;

#[cfg(test)]
mod tests;
