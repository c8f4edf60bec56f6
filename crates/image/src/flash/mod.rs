//! Flash: writes an image to a removable disk and reads it back.
//!
//! Never writes to a disk that this machine, its swap or the image itself depends on, whatever the user
//! allowed. A disk is opened so that the kernel refuses one that is in use, and nothing is changed before
//! the user agreed. At the end what the disk reads is compared with the image by hashes, except zeros that
//! the disk already had. A failure states what the card holds. Partitions, mappings and arrays are refused.

mod disks;
mod pieces;
mod prepared;
mod source;
mod write;

pub use disks::{DeviceLookup, Disk, DiskInventory, DiskKind, Part, SysRoot};
pub use prepared::{
    Allowed, Change, FlashRequest, PreparedFlash, check, check_reach, find, prepare, whole_disk,
};
pub use source::FlashSource;
pub use write::{DiskBlock, SharedWriteState, Target, WriteState, verify, write};
