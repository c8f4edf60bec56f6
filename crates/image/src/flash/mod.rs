//! Flash: writes an image to a removable disk and reads it back.
//!
//! Never writes to a disk that this machine, its swap or the image itself depends on, whatever the user
//! allowed. A disk is opened so that the kernel refuses one that is in use, and nothing is changed before
//! the user agreed. At the end what the disk reads is compared with the image by hashes, except zeros that
//! the disk already had. A failure states what the card holds. Partitions, mappings and arrays are refused.

mod buffer;
mod check;
mod contents;
pub mod devices;
pub mod disk_inventory;
mod mounts;
mod pieces;
mod prepared;
pub mod refusal;
mod runs;
mod sidecars;
pub mod source;
pub mod state;
mod sys_root;
pub mod target;
mod tools;
pub mod verify;
pub mod write;

pub use devices::Disk;
pub use disk_inventory::DiskInventory;
pub use prepared::{FlashRequest, PreparedFlash, prepare};
pub use refusal::Allowed;
pub use source::FlashSource;
pub use state::SharedWriteState;
pub use sys_root::SysRoot;
