//! Copies the image out of the engine in one pass, and publishes it with its sidecars: all of them or nothing.
//!
//! What the builder says about its result is untrusted: it is parsed strictly, confined to the result's own
//! path and bounded, and no link is followed. All cores work at the same time, and memory stays below 200 MiB
//! for an image of any size. Holes stay holes. An early end leaves nothing, and existing files are replaced
//! only on request.

mod binary_cache;
mod copy;
pub mod copy_out;
mod earlier;
mod encode;
pub mod manifest;
mod pending_file;
pub mod product;
mod publish;
mod request;
mod stages;

pub use binary_cache::CacheDir;
pub(crate) use copy_out::read_small_file;
pub use copy_out::{check_name, copy_out};
pub use earlier::{UnchangedImage, older_images, unchanged};
pub use manifest::{ImageOwnerId, imager_url};
pub(crate) use request::try_to_write;
pub use request::{CopyRequest, Image, ImagerUrl, OutputSettings, preflight};
