//! Image: reads what is on a finished SD card image, without root and without mounting.
//!
//! Every byte of an image is untrusted. Nothing here panics on it, loops forever, or allocates what the
//! image claims: reads are counted ([`disk`]), directories and links are bounded, and an error names the
//! damaged object. Images are opened in one place ([`ImageFile`]), with the same limits for all readers.
//! Never writes to an image and never mounts one.

mod authorized_keys;
pub mod blockmap;
pub mod board;
pub mod boards;
pub mod boot;
mod bytes;
pub mod checksum;
pub mod cluster_disk;
mod config_txt;
mod content;
mod decoder;
pub mod disk;
mod disk_form;
pub mod entry;
mod error;
mod ext;
mod ext_blocks;
mod ext_files;
mod extlinux;
mod fat;
mod fat_entry;
mod fat_files;
pub mod files;
pub mod flash;
mod gpt;
mod grub;
pub mod image_format;
pub mod image_name;
mod installed_system;
pub mod iso;
mod iso_entry;
mod iso_files;
pub mod kernel;
mod key_sources;
pub mod manifest;
mod mbr;
mod open;
pub mod partition;
mod pi_boot;
mod pi_start;
pub mod place;
mod probe;
pub mod report;
pub mod seed;
pub mod sparse_writer;
mod ssh_port;
mod start;
mod stated_size;
mod systemd_boot;
pub mod table;
mod u_boot;
mod uefi_start;
mod unicode;
mod unpack;

pub use authorized_keys::{MAX_KEY_LIST_BYTES, key_list_path};
pub use content::{ImageFacts, OpenOptions, OpenedImage, open};
pub use decoder::{decoder, zstd_content_size};
pub use disk_form::DiskForm;
pub use error::{Error, NEWEST_IS_TAKEN};
pub use files::FileSystem;
pub use installed_system::InstalledSystem;
pub use open::{ImageFile, ImageKind, ImageReader, MAX_IMAGE_BYTES, ReadProgress};
pub use pi_start::{PiStart, pi_start};
pub use report::{Report, examine, judge_for};
pub use start::begins_archive;
pub use start::check_end;
pub use unpack::{ImageHashes, UnpackedImage};
