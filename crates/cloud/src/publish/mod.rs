//! Creates an image of a cloud from an image file: the disk becomes a snapshot, which machines start from. Or an OCI image layout of an image
//! for container engines (`oci`).
//!
//! What was sent is kept in a record (`record`), so that the same command goes on after an interruption.

mod blocks;
mod copies;
mod existing;
mod oci;
mod orphans;
mod pace;
mod plan;
mod publication;
mod record;
mod sidecars;
mod token;
mod upload;

pub use copies::RegionCopy;
pub use existing::is_in_all_regions;
pub use oci::{OciImage, write_oci_layout};
pub use orphans::{discarded, snapshots_without_image};
pub use plan::{HASH_TAG, Plan, PublishRequest};
pub use publication::{Published, publish};
pub use record::{Unfinished, forget, unfinished, uploads};
