//! Output: the image comes out of the engine once, in one pass, and appears whole or not at all.
//!
//! Promises: what the builder says about its result is data from an untrusted place: parsed
//! strictly, confined to the result's own path, bounded, no link followed. Memory stays below a few
//! megabytes whatever the image's size; holes stay holes; nothing is left when it ends early, and
//! nothing that was there is replaced unasked. Refuses: to read the environment, to compress.

mod bridge;
pub mod copy_out;
pub mod product;
mod sparse;
pub mod target;

pub use copy_out::{Image, OutputSettings, copy_out};
pub use target::preflight;
