//! Copies the image out of the engine in one pass, and publishes it with its sidecars: all of them or nothing.
//!
//! What the builder says about its result is untrusted: it is parsed strictly, confined to the result's own
//! path and bounded, and no link is followed. All cores work at the same time, and memory stays below 200 MiB
//! for an image of any size. Holes stay holes. An early end leaves nothing, and existing files are replaced
//! only on request.

mod archive;
mod binary_cache;
mod copy;
pub mod copy_out;
mod earlier;
mod encode;
mod failures;
mod gzip;
mod head_tail;
mod image_form;
mod image_owner;
mod image_writer;
mod imager;
mod interruptible;
pub mod manifest;
mod pending_file;
mod pieces;
mod preflight;
pub mod product;
mod publish;
mod put_together;
mod replaceable;
mod request;
mod stages;
mod store_archive;
mod writeback;
mod xz;

pub use binary_cache::CacheDir;
pub use copy_out::{check_name, copy_out};
pub use earlier::{UnchangedImage, older_images, unchanged};
pub use image_owner::ImageOwnerId;
pub use imager::imager_url;
pub use preflight::{new_directories, preflight};
pub use request::{CopyRequest, Image, ImagerUrl, OutputSettings};
