//! Card: puts files into the file systems of an image or a card, without mounting and without root.
//!
//! ext4 and FAT are written by `debugfs` and `mtools` in a container, never by code of ours. Only what these programs read of a file
//! system travels to it, with the contents of the files, on its standard input: neither a label nor an argument nor a log has them. What comes back is
//! compared with what was sent, and read by our own reader before any of it is written.

mod blocks;
mod container;
mod copy;
mod plan;
mod put;
#[cfg(test)]
mod tests;
mod wifi;

pub use container::Tools;
pub use copy::ImageCopy;
pub use plan::{Changes, Plan};
pub use put::{MAX_CONTENT_BYTES, Put, check};
pub use wifi::Wifi;
