//! Creates an image of a cloud from an image file: the disk becomes a snapshot, which machines start from.
//!
//! What was sent is kept in a record (`record`), so that the same command goes on after an interruption.

mod plan;
mod publication;
mod record;
mod upload;

pub use plan::{HASH_TAG, Plan, PublishRequest};
pub use publication::{Published, RegionCopy, is_in_all_regions, publish};
pub use record::{Unfinished, discarded, forget, snapshots_without_image, unfinished, uploads};
