//! Container images made of hash-locked Debian packages, without a registry.
//!
//! One definition gives the same bytes on every machine and at any time. An image that the engine already has
//! is recognised, and not downloaded, assembled or sent again; an image with our name that has other content
//! is not used. Memory stays small for an image of any size. Packages with paths outside of themselves, and
//! packages that contain the same path, are refused.

mod assemble;
mod deb;
mod definition;
mod images;
mod layer;
mod progress;

pub use assemble::{AssembleError, ContainerImage};
pub use deb::DebError;
pub use definition::{BUILD_USER, Defaults, Definition, ExtraFile, ExtraFileContent};
pub use images::{Images, MissingImages};
pub use layer::LayerError;

#[cfg(test)]
mod tests;
