//! Output: the image comes out of the engine once, in one pass, and appears whole or not at all, with
//! its sidecars.
//!
//! Promises: what the builder says about its result is data from an untrusted place: parsed
//! strictly, confined to the result's own path, bounded, no link followed. All cores work at the same
//! time, and memory stays below 200 MiB whatever the image's size; holes stay holes; nothing is left
//! when it ends early, and nothing that was there is replaced unasked. Refuses: to read the environment.

mod bridge;
mod copy;
pub mod copy_out;
mod encode;
mod gzip;
mod head_tail;
mod image_writer;
mod imager;
pub mod manifest;
mod pending_file;
mod preflight;
pub mod product;
mod publish;
mod sidecar;
mod sparse;
mod stages;
mod wording;
mod writeback;

pub use copy::{CopyRequest, Image, OutputSettings};
pub use copy_out::copy_out;
pub use imager::Imager;
pub use preflight::preflight;
