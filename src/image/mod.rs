//! Image: what is on a finished SD card image, read without root and without mounting.
//!
//! Promises: every byte of an image is untrusted. Nothing here panics on it, follows a loop for
//! ever, or takes memory by what it claims: reads are counted ([`disk`]), directories and links are
//! bounded, and what is wrong is said with the object's name. Compressed images are decompressed
//! once, hashed on the way, into a file without a name. Refuses: to write to an image, to mount.

pub mod boot;
mod bytes;
pub mod checksum;
mod content;
mod decode;
pub mod disk;
mod error;
mod ext;
mod ext_blocks;
mod ext_files;
mod extlinux;
mod fat;
mod fat_files;
pub mod files;
mod gpt;
mod kernel;
pub mod manifest;
mod mbr;
pub mod place;
mod probe;
pub mod report;
pub mod table;
mod unicode;

pub use content::{ImageFacts, OpenOptions, OpenedImage, open};
pub(crate) use decode::{compression, decoder, wants_memory};
pub use error::Error;
pub use files::FileSystem;
pub use report::{Report, examine};
