//! The calls of EC2 (its query API of 2016-11-15): images, and what becomes of snapshots.

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use roxmltree::{Document, Node};
use serde::Serialize;

use super::client::{Call, Client};
use super::error::Error;

/// The version of the API.
const VERSION: &str = "2016-11-15";
/// Between two questions whether a snapshot is complete.
const POLL: Duration = Duration::from_secs(2);
/// How often it is asked: for an hour.
const POLLS: u32 = 1800;

/// A tag of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// At most 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

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
    /// When it was registered.
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
    /// What was said when it was started.
    pub description: String,
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

impl Client {
    /// The account's own images that pass `filter`, a name of EC2's filters and its value.
    pub async fn images(&self, filter: (&str, &str)) -> Result<Vec<Ami>, Error> {
        let params = [
            ("Owner.1", "self"),
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
                description: text(item, "description").unwrap_or_default(),
                tags: tags(item),
            })
        })
    }

    /// Waits until the snapshot `id` is complete.
    pub async fn wait_for_snapshot(&self, id: &str) -> Result<(), Error> {
        let action = "DescribeSnapshots";
        for _ in 0..POLLS {
            let found = self.snapshots(("snapshot-id", id)).await?;
            match found.first().map(|snapshot| snapshot.state.as_str()) {
                Some("completed") => return Ok(()),
                Some("error") => {
                    let what = format!("the snapshot {id} failed");
                    return Err(Error::Unexpected { action, what });
                }
                _ => self.pause(POLL).await?,
            }
        }
        let what = format!("the snapshot {id} is not complete after an hour");
        Err(Error::Unexpected { action, what })
    }

    /// Registers an image of a disk that UEFI starts, and returns its id.
    pub async fn register_image(&self, new: &NewImage<'_>) -> Result<String, Error> {
        let action = "RegisterImage";
        let mut params = vec![
            ("Name".to_owned(), new.name),
            ("Description".to_owned(), new.description),
            ("Architecture".to_owned(), new.architecture),
            ("RootDeviceName".to_owned(), ROOT_DEVICE),
            ("BlockDeviceMapping.1.DeviceName".to_owned(), ROOT_DEVICE),
            (
                "BlockDeviceMapping.1.Ebs.SnapshotId".to_owned(),
                new.snapshot,
            ),
            ("BlockDeviceMapping.1.Ebs.VolumeType".to_owned(), "gp3"),
            (
                "BlockDeviceMapping.1.Ebs.DeleteOnTermination".to_owned(),
                "true",
            ),
            ("VirtualizationType".to_owned(), "hvm"),
            ("BootMode".to_owned(), "uefi"),
            ("EnaSupport".to_owned(), "true"),
            ("SriovNetSupport".to_owned(), "simple"),
            ("ImdsSupport".to_owned(), "v2.0"),
            ("TagSpecification.1.ResourceType".to_owned(), "image"),
        ];
        for (n, tag) in (1..).zip(new.tags) {
            params.push((format!("TagSpecification.1.Tag.{n}.Key"), &tag.key));
            params.push((format!("TagSpecification.1.Tag.{n}.Value"), &tag.value));
        }
        let params: Vec<_> = params
            .iter()
            .map(|(key, value)| (key.as_str(), *value))
            .collect();
        let body = self.query(action, &params).await?;
        single(action, &body, "imageId")
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

    /// Copies the image `id` of the region `from` to the region of this client, with its tags, and returns the copy's id.
    pub async fn copy_image(
        &self,
        id: &str,
        from: &str,
        name: &str,
        token: &str,
    ) -> Result<String, Error> {
        let params = [
            ("SourceImageId", id),
            ("SourceRegion", from),
            ("Name", name),
            ("ClientToken", token),
            ("CopyImageTags", "true"),
        ];
        let body = self.query("CopyImage", &params).await?;
        single("CopyImage", &body, "imageId")
    }

    /// From `at` on, an instant in ISO 8601, the image `id` is shown to nobody but its owner.
    pub async fn deprecate_image(&self, id: &str, at: &str) -> Result<(), Error> {
        let params = [("ImageId", id), ("DeprecateAt", at)];
        self.query("EnableImageDeprecation", &params)
            .await
            .map(drop)
    }

    /// Removes the image `id`; its snapshots stay.
    pub async fn deregister_image(&self, id: &str) -> Result<(), Error> {
        self.query("DeregisterImage", &[("ImageId", id)])
            .await
            .map(drop)
    }

    /// Removes the snapshot `id`.
    pub async fn delete_snapshot(&self, id: &str) -> Result<(), Error> {
        self.query("DeleteSnapshot", &[("SnapshotId", id)])
            .await
            .map(drop)
    }

    async fn query(&self, action: &'static str, params: &[(&str, &str)]) -> Result<String, Error> {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", action)
            .append_pair("Version", VERSION);
        form.extend_pairs(params);
        let content = "application/x-www-form-urlencoded; charset=utf-8";
        let call = Call {
            service: "ec2",
            action,
            method: Method::POST,
            target: "/".to_owned(),
            headers: vec![("content-type", content.to_owned())],
            body: Bytes::from(form.finish()),
            signs_body: true,
        };
        Ok(self.send(&call).await?.body)
    }
}

/// NixOS's own images name it so; Linux calls the disk as it likes.
const ROOT_DEVICE: &str = "/dev/xvda";

/// What `read` makes of each item of the list `set`.
fn parsed<T>(
    action: &'static str,
    body: &str,
    set: &str,
    read: impl Fn(Node<'_, '_>) -> Option<T>,
) -> Result<Vec<T>, Error> {
    let unexpected = |what: String| Error::Unexpected { action, what };
    let document = Document::parse(body).map_err(|error| unexpected(error.to_string()))?;
    let read =
        |item| read(item).ok_or_else(|| unexpected("an item without a name or a state".to_owned()));
    items(document.root_element(), set).map(read).collect()
}

/// The text of the element `name`.
fn single(action: &'static str, body: &str, name: &str) -> Result<String, Error> {
    let document = Document::parse(body).ok();
    let found = document
        .as_ref()
        .and_then(|document| text(document.root_element(), name));
    found.ok_or_else(|| Error::Unexpected {
        action,
        what: format!("no {name}"),
    })
}

fn items<'a, 'b>(node: Node<'a, 'b>, set: &str) -> impl Iterator<Item = Node<'a, 'b>> {
    let set = child(node, set);
    set.into_iter().flat_map(|set| {
        set.children()
            .filter(|node| node.tag_name().name() == "item")
    })
}

fn child<'a, 'b>(node: Node<'a, 'b>, name: &str) -> Option<Node<'a, 'b>> {
    node.children()
        .find(|child| child.tag_name().name() == name)
}

fn text(node: Node<'_, '_>, name: &str) -> Option<String> {
    Some(child(node, name)?.text()?.to_owned())
}

fn tags(node: Node<'_, '_>) -> Vec<Tag> {
    let tag = |item| {
        Some(Tag {
            key: text(item, "key")?,
            value: text(item, "value").unwrap_or_default(),
        })
    };
    items(node, "tagSet").filter_map(tag).collect()
}
