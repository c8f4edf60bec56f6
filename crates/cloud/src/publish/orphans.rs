//! Snapshots that no image is made of, and records of snapshots that AWS has discarded.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::aws::{Ami, Client, Error, Snapshot};
use crate::publish::plan::HASH_TAG;
use crate::publish::record::{Unfinished, unfinished};

/// AWS discards a snapshot that is not completed within a day of its last block.
const KEPT_BY_AWS: Duration = Duration::from_secs(25 * 60 * 60);

/// Unfinished uploads whose snapshot AWS has discarded, by their age. One that was completed is found by its tags without its record.
pub fn discarded(state_dir: &Path) -> Vec<Unfinished> {
    let now = SystemTime::now();
    let mut all = unfinished(state_dir);
    all.retain(|upload| now.duration_since(upload.changed).unwrap_or_default() > KEPT_BY_AWS);
    all
}

/// Snapshots that sdbuild sent, and that neither belong to one of `images` nor to one of the `uploads` of this machine.
pub async fn snapshots_without_image(
    client: &Client,
    images: &[Ami],
    uploads: &[Unfinished],
) -> Result<Vec<Snapshot>, Error> {
    let mut snapshots = client.snapshots(("tag-key", HASH_TAG)).await?;
    let of_image = |id: &String| images.iter().any(|image| image.snapshots.contains(id));
    let of_upload = |id: &String| {
        let mut snapshots = uploads.iter().filter_map(|one| one.snapshot.as_ref());
        snapshots.any(|snapshot| snapshot == id)
    };
    snapshots.retain(|one| !of_image(&one.id) && !of_upload(&one.id));
    Ok(snapshots)
}
