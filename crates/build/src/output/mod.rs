//! Copies the image out of the engine in one pass, and publishes it with its sidecars: all of them or nothing.
//!
//! What the builder says about its result is untrusted: it is parsed strictly, confined to the result's own
//! path and bounded, and no link is followed. All cores work at the same time, and memory stays below 200 MiB
//! for an image of any size. Holes stay holes. An early end leaves nothing, and existing files are replaced
//! only on request.

mod binary_cache;
mod copy;
mod copy_out;
mod earlier;
mod encode;
pub mod manifest;
mod pending_file;
mod product;
mod publish;
mod request;
mod stages;

pub(crate) use binary_cache::CacheDir;
pub use copy_out::copy_out;
pub(crate) use copy_out::read_small_file;
pub use earlier::older_images;
pub(crate) use earlier::{UnchangedImage, unchanged};
pub(crate) use manifest::imager_url;
pub(crate) use pending_file::unfinished;
pub use request::{CopyRequest, Image, ImagerUrl, OutputSettings};
pub(crate) use request::{preflight, try_to_write};
