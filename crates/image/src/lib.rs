//! Image: reads what is on a finished SD card image, without root and without mounting.
//!
//! Every byte of an image is untrusted. Nothing here panics on it, loops forever, or allocates what the
//! image claims: reads are counted ([`disk`]), directories and links are bounded, and an error names the
//! damaged object. Images are opened in one place ([`ImageFile`]), with the same limits for all readers.
//! Never writes to an image and never mounts one.

pub mod blockmap;
pub mod board;
pub mod boards;
pub mod boot;
mod bytes;
pub mod card;
pub mod cluster_disk;
mod cpio;
mod decoder;
pub mod device_tree;
pub mod disk;
mod error;
mod ext;
mod fat;
pub mod files;
pub mod flash;
pub mod image_format;
pub mod image_name;
mod installed_system;
pub mod iso;
mod open;
mod pi;
mod ranges;
pub mod report;
pub mod seed;
pub mod sidecars;
pub mod sparse_writer;
mod start;
pub mod table;
mod tree_parameters;

pub use cluster_disk::DiskForm;
pub use decoder::{decoder, zstd_content_size};
pub use error::{Error, NEWEST_IS_TAKEN};
pub use files::FileSystem;
pub use installed_system::InstalledSystem;
pub use installed_system::{MAX_KEY_LIST_BYTES, key_list_path};
pub use open::{ImageFacts, OpenOptions, OpenedImage, open};
pub use open::{ImageFile, ImageKind, ImageReader, MAX_IMAGE_BYTES, ReadProgress};
pub use open::{ImageHashes, UnpackedImage};
pub use pi::{PiStart, ineffective_overlays, missing_kernel, pi_start};
pub use report::{Report, examine, judge_for, start_problems};
pub use start::begins_archive;
pub use start::check_end;
