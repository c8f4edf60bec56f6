//! Makes an image of a cloud of an image file: the disk becomes a snapshot, of which machines are started.
//!
//! What was sent is kept in a record (`record`), so that the same command goes on after an interruption.

mod blocks;
mod plan;
mod publication;
mod record;
mod upload;

pub use plan::{HASH_TAG, Plan, PublishRequest};
pub use publication::{Published, publish, published_before};
pub use record::{Unfinished, forget, unfinished};
