//! The calls of EC2 about images, and what becomes of snapshots.

use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::client::Client;
use super::error::Error;
use super::instances::{ROOT_DEVICE, add_tags};
use super::query::{Params, unless_gone};
use super::tag::Tag;
use super::xml::{child, items, parsed, single, tags, text};

/// Between two questions whether a snapshot or an image is complete.
const POLL: Duration = Duration::from_secs(2);
/// How often it is asked: for an hour.
const POLLS: u32 = 1800;

/// How often a snapshot is tried that AWS takes for one in use.
const IN_USE_TRIES: u32 = 10;

/// An image of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Ami {
    /// Its id, `ami-…`.
    pub id: String,
    /// Its name, which no other image of the account and region has.
    pub name: String,
    /// `available`, or why it is not.
    pub state: String,
    /// `arm64` or `x86_64`.
    pub architecture: String,
    /// Time of registration, in ISO 8601.
    pub created: String,
    /// The snapshots that it is made of.
    pub snapshots: Vec<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// A snapshot of the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Its id, `snap-…`.
    pub id: String,
    /// `pending`, `completed` or `error`.
    pub state: String,
    /// How much of it is there, such as `45%`; empty where AWS does not say.
    pub progress: String,
    /// What was said when it was started.
    pub description: String,
    /// When it was started, as AWS writes instants.
    pub started: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// An image that is about to be registered.
#[derive(Clone, Debug)]
pub struct NewImage<'a> {
    /// 3 to 128 letters, digits, and ( ) . - / _
    pub name: &'a str,
    /// At most 255 characters.
    pub description: &'a str,
    /// `arm64` or `x86_64`.
    pub architecture: &'a str,
    /// The disk that its machines start with.
    pub snapshot: &'a str,
    /// Its tags.
    pub tags: &'a [Tag],
}

/// A copy that is about to be made.
#[derive(Clone, Debug)]
pub struct ImageCopy<'a> {
    /// The image that is copied, and its region.
    pub source: &'a str,
    /// The region of the source.
    pub region: &'a str,
    /// As for [`NewImage`].
    pub name: &'a str,
    /// The same token gives the same copy again; at most 64 characters.
    pub token: &'a str,
    /// The tags of the copy and its snapshot.
    pub tags: &'a [Tag],
}

/// Whether an image with this state cannot be used, and never will be by itself.
pub fn has_failed(state: &str) -> bool {
    !["available", "pending", "transient"].contains(&state)
}

impl Client {
    /// The account's own images that pass `filter`, a name of EC2's filters and its value.
    pub async fn images(&self, filter: (&str, &str)) -> Result<Vec<Ami>, Error> {
        let params = [
            ("Owner.1", "self"),
            // They have their names and snapshots still.
            ("IncludeDisabled", "true"),
            ("Filter.1.Name", filter.0),
            ("Filter.1.Value.1", filter.1),
        ];
        let body = self.query("DescribeImages", &params).await?;
        parsed("DescribeImages", &body, "imagesSet", |item| {
            Some(Ami {
                id: text(item, "imageId")?,
                name: text(item, "name")?,
                state: text(item, "imageState")?,
                architecture: text(item, "architecture").unwrap_or_default(),
                created: text(item, "creationDate").unwrap_or_default(),
                snapshots: items(item, "blockDeviceMapping")
                    .filter_map(|device| text(child(device, "ebs")?, "snapshotId"))
                    .collect(),
                tags: tags(item),
            })
        })
    }

    /// The account's own snapshots that pass `filter`.
    pub async fn snapshots(&self, filter: (&str, &str)) -> Result<Vec<Snapshot>, Error> {
        let params = [
            ("Owner.1", "self"),
            ("Filter.1.Name", filter.0),
            ("Filter.1.Value.1", filter.1),
        ];
        let body = self.query("DescribeSnapshots", &params).await?;
        parsed("DescribeSnapshots", &body, "snapshotSet", |item| {
            Some(Snapshot {
                id: text(item, "snapshotId")?,
                state: text(item, "status")?,
                progress: text(item, "progress").unwrap_or_default(),
                description: text(item, "description").unwrap_or_default(),
                started: text(item, "startTime").unwrap_or_default(),
                tags: tags(item),
            })
        })
    }

    /// Waits until the snapshot `id` is complete, for at most `limit`.
    pub async fn wait_for_snapshot(&self, id: &str, limit: Duration) -> Result<(), Error> {
        let action = "DescribeSnapshots";
        let unexpected = |what: String| Error::Unexpected { action, what };
        let start = Instant::now();
        loop {
            let found = self.snapshots(("snapshot-id", id)).await?;
            match found.first().map(|snapshot| snapshot.state.as_str()) {
                Some("completed") => return Ok(()),
                Some("error") => return Err(unexpected(format!("the snapshot {id} failed"))),
                _ if start.elapsed() >= limit => {
                    let minutes = limit.as_secs() / 60;
                    let what = format!("the snapshot {id} is not complete after {minutes} min");
                    return Err(unexpected(what));
                }
                _ => self.pause(POLL).await?,
            }
        }
    }

    /// Waits until the image `id` can be used, and returns it. `report` hears how much of its disk is there, such as `45%`.
    pub async fn wait_for_image(&self, id: &str, report: impl Fn(&str)) -> Result<Ami, Error> {
        let action = "DescribeImages";
        for _ in 0..POLLS {
            let found = self.images(("image-id", id)).await?.into_iter().next();
            let image = match found {
                Some(image) if image.state == "available" => return Ok(image),
                Some(image) if !has_failed(&image.state) => image,
                Some(Ami { state, .. }) => {
                    let what = format!("the state {state} of {id}");
                    return Err(Error::Unexpected { action, what });
                }
                // It was made a moment ago.
                None => {
                    self.pause(POLL).await?;
                    continue;
                }
            };
            if let Some(snapshot) = image.snapshots.first() {
                let snapshot = self.snapshots(("snapshot-id", snapshot)).await?;
                report(snapshot.first().map_or("", |snapshot| &snapshot.progress));
            }
            self.pause(POLL).await?;
        }
        let what = format!("the image {id} is not available after an hour");
        Err(Error::Unexpected { action, what })
    }

    /// Registers an image of a disk that UEFI starts, and returns its id.
    pub async fn register_image(&self, new: &NewImage<'_>) -> Result<String, Error> {
        let action = "RegisterImage";
        let mut params = owned(&[
            ("Name", new.name),
            ("Description", new.description),
            ("Architecture", new.architecture),
            ("RootDeviceName", ROOT_DEVICE),
            ("BlockDeviceMapping.1.DeviceName", ROOT_DEVICE),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", new.snapshot),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("VirtualizationType", "hvm"),
            ("BootMode", "uefi"),
            ("EnaSupport", "true"),
            ("SriovNetSupport", "simple"),
            ("ImdsSupport", "v2.0"),
        ]);
        add_tags(&mut params, &["image"], new.tags);
        let body = self.query_list(action, &params).await?;
        single(action, &body, "imageId")
    }

    /// Whether new snapshots are encrypted without being asked for, in the region of this client.
    pub async fn encrypts_by_default(&self) -> Result<bool, Error> {
        let action = "GetEbsEncryptionByDefault";
        let body = self.query(action, &[]).await?;
        Ok(single(action, &body, "ebsEncryptionByDefault")? == "true")
    }

    /// Lets another account, or `all`, start machines of the image `id`.
    pub async fn share_image(&self, id: &str, with: &str) -> Result<(), Error> {
        let key = if with == "all" {
            "LaunchPermission.Add.1.Group"
        } else {
            "LaunchPermission.Add.1.UserId"
        };
        let params = [("ImageId", id), (key, with)];
        self.query("ModifyImageAttribute", &params).await.map(drop)
    }

    /// Lets another account make volumes of the snapshot `id`, and thereby copy its image.
    pub async fn share_snapshot(&self, id: &str, with: &str) -> Result<(), Error> {
        let params = [
            ("SnapshotId", id),
            ("Attribute", "createVolumePermission"),
            ("CreateVolumePermission.Add.1.UserId", with),
        ];
        self.query("ModifySnapshotAttribute", &params)
            .await
            .map(drop)
    }

    /// Copies an image to the region of this client, and returns the copy's id.
    pub async fn copy_image(&self, copy: &ImageCopy<'_>) -> Result<String, Error> {
        let action = "CopyImage";
        let mut params = owned(&[
            ("SourceImageId", copy.source),
            ("SourceRegion", copy.region),
            ("Name", copy.name),
            ("ClientToken", copy.token),
        ]);
        // AWS copies no tags to the snapshot itself.
        add_tags(&mut params, &["image", "snapshot"], copy.tags);
        let body = self.query_list(action, &params).await?;
        single(action, &body, "imageId")
    }

    /// From `at` on, an instant in ISO 8601, the image `id` is deprecated: others no longer see it.
    pub async fn deprecate_image(&self, id: &str, at: &str) -> Result<(), Error> {
        let params = [("ImageId", id), ("DeprecateAt", at)];
        self.query("EnableImageDeprecation", &params)
            .await
            .map(drop)
    }

    /// Removes the image `id`, if it is there; its snapshots stay.
    pub async fn deregister_image(&self, id: &str) -> Result<(), Error> {
        match self.query("DeregisterImage", &[("ImageId", id)]).await {
            Err(error) if error.is_gone() => Ok(()),
            removed => removed.map(drop),
        }
    }

    /// Removes the snapshot `id` of an image that was removed just now: for a moment AWS may take it for one that is in use.
    pub async fn delete_freed_snapshot(&self, id: &str) -> Result<(), Error> {
        for _ in 0..IN_USE_TRIES {
            match self.delete_snapshot(id).await {
                Err(error) if error.has_code("InvalidSnapshot.InUse") => self.pause(POLL).await?,
                deleted => return deleted,
            }
        }
        self.delete_snapshot(id).await
    }

    /// Removes the snapshot `id`, if it is there.
    pub async fn delete_snapshot(&self, id: &str) -> Result<(), Error> {
        let removed = self.query("DeleteSnapshot", &[("SnapshotId", id)]).await;
        unless_gone(removed, "InvalidSnapshot.NotFound")
    }
}

fn owned(params: &[(&str, &str)]) -> Params {
    let params = params.iter();
    params
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}
