//! The calls of EC2 about images, and what becomes of snapshots.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use crate::aws::client::{
    Client, Error, Params, child, items, parsed, single, tags, text, unless_gone,
};

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
        let body = self.query(action, &params).await?;
        single(action, &body, "imageId")
    }

    /// Whether new snapshots are encrypted without being asked for, in the region of this client.
    pub async fn encrypts_by_default(&self) -> Result<bool, Error> {
        let action = "GetEbsEncryptionByDefault";
        let body = self.query::<&str>(action, &[]).await?;
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
        let body = self.query(action, &params).await?;
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

/// The disk that machines start from: Amazon Linux and NixOS's own images name it so; Linux calls it as it likes.
pub(super) const ROOT_DEVICE: &str = "/dev/xvda";
/// Types of resources that get the tags at launch.
const TAGGED: [&str; 3] = ["instance", "volume", "network-interface"];

/// A machine that is about to be started.
#[derive(Clone, Debug)]
pub struct NewInstance<'a> {
    /// The image that it starts from.
    pub image: &'a str,
    /// For instance `c7g.xlarge`.
    pub instance_type: &'a str,
    /// The availability zone; `None` leaves it to AWS.
    pub zone: Option<&'a str>,
    /// Whether it is a spot instance, which costs less and may be taken away.
    pub is_spot: bool,
    /// The most that a spot instance may cost, in US dollars an hour; the list price of the type if there is none.
    pub max_price: Option<&'a str>,
    /// The security group.
    pub group: &'a str,
    /// Size of its disk.
    pub disk_gib: u32,
    /// The user data that cloud-init reads.
    pub user_data: &'a str,
    /// The same call with the same token starts nothing more. At most 64 characters.
    pub token: &'a str,
    /// Its tags.
    pub tags: &'a [Tag],
}

/// A machine of the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// Its id, `i-…`.
    pub id: String,
    /// `pending`, `running`, `shutting-down`, `terminated`, `stopping` or `stopped`.
    pub state: String,
    /// Its public address, once it has one.
    pub address: Option<String>,
    /// Why it has this state, in AWS's words.
    pub reason: Option<String>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Instance {
    /// Whether nothing of it is left but its name in a list.
    pub fn is_gone(&self) -> bool {
        self.state == "terminated"
    }

    /// Whether it is gone, or about to be.
    pub fn is_ending(&self) -> bool {
        matches!(self.state.as_str(), "terminated" | "shutting-down")
    }
}

impl Client {
    /// Starts a machine that is destroyed when it switches itself off, and whose disk is destroyed with it. Returns its id.
    pub async fn run_instance(&self, new: &NewInstance<'_>) -> Result<String, Error> {
        let action = "RunInstances";
        let body = self.query(action, &params_of(new)).await?;
        let started = parsed(action, &body, "instancesSet", |item| {
            text(item, "instanceId")
        })?;
        started.into_iter().next().ok_or_else(|| Error::Unexpected {
            action,
            what: "no instanceId".to_owned(),
        })
    }

    /// The machines that pass `filter`, a name of EC2's filters and its value.
    pub async fn instances(&self, filter: (&str, &str)) -> Result<Vec<Instance>, Error> {
        let action = "DescribeInstances";
        let mut found = Vec::new();
        let mut pages = self.pages(action, filter_params(filter));
        while let Some(body) = pages.next().await? {
            let reservations = parsed(action, &body, "reservationSet", |reservation| {
                items(reservation, "instancesSet")
                    .map(|item| {
                        Some(Instance {
                            id: text(item, "instanceId")?,
                            state: text(child(item, "instanceState")?, "name")?,
                            address: text(item, "ipAddress"),
                            reason: child(item, "stateReason")
                                .and_then(|reason| text(reason, "message")),
                            tags: tags(item),
                        })
                    })
                    .collect::<Option<Vec<_>>>()
            })?;
            found.extend(reservations.into_iter().flatten());
        }
        Ok(found)
    }

    /// Destroys the machine `id`; nothing is there to do if it is being destroyed, or gone.
    pub async fn terminate_instance(&self, id: &str) -> Result<(), Error> {
        let params = [("InstanceId.1", id)];
        let ended = self.query("TerminateInstances", &params).await;
        unless_gone(ended, "InvalidInstanceID.NotFound")
    }

    /// Sets the tag `tag` of the objects `ids`.
    pub async fn tag(&self, ids: &[String], tag: &Tag) -> Result<(), Error> {
        let ids = (1..).zip(ids);
        let mut params: Params = ids
            .map(|(n, id)| (format!("ResourceId.{n}"), id.clone()))
            .collect();
        params.push(("Tag.1.Key".to_owned(), tag.key.clone()));
        params.push(("Tag.1.Value".to_owned(), tag.value.clone()));
        self.query("CreateTags", &params).await.map(drop)
    }
}

/// The parameter for the filter `filter`.
pub(super) fn filter_params(filter: (&str, &str)) -> Params {
    vec![
        ("Filter.1.Name".to_owned(), filter.0.to_owned()),
        ("Filter.1.Value.1".to_owned(), filter.1.to_owned()),
    ]
}

/// Adds parameters that give `tags` to new objects of the kinds `kinds`.
pub(super) fn add_tags(params: &mut Params, kinds: &[&str], tags: &[Tag]) {
    for (n, kind) in (1..).zip(kinds) {
        let name = format!("TagSpecification.{n}");
        params.push((format!("{name}.ResourceType"), (*kind).to_owned()));
        for (m, tag) in (1..).zip(tags) {
            params.push((format!("{name}.Tag.{m}.Key"), tag.key.clone()));
            params.push((format!("{name}.Tag.{m}.Value"), tag.value.clone()));
        }
    }
}

fn params_of(new: &NewInstance<'_>) -> Params {
    let disk = |name: &str| format!("BlockDeviceMapping.1.{name}");
    let mut params: Params = [
        ("ImageId".to_owned(), new.image),
        ("InstanceType".to_owned(), new.instance_type),
        ("MinCount".to_owned(), "1"),
        ("MaxCount".to_owned(), "1"),
        ("ClientToken".to_owned(), new.token),
        ("SecurityGroupId.1".to_owned(), new.group),
        // The default is to keep it, switched off.
        ("InstanceInitiatedShutdownBehavior".to_owned(), "terminate"),
        // IMDSv2, which programs in containers do not reach.
        ("MetadataOptions.HttpTokens".to_owned(), "required"),
        ("MetadataOptions.HttpPutResponseHopLimit".to_owned(), "1"),
        (disk("DeviceName"), ROOT_DEVICE),
        (disk("Ebs.VolumeSize"), &new.disk_gib.to_string()),
        (disk("Ebs.VolumeType"), "gp3"),
        (disk("Ebs.DeleteOnTermination"), "true"),
        (disk("Ebs.Encrypted"), "true"),
        (
            "UserData".to_owned(),
            &BASE64_STANDARD.encode(new.user_data),
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.to_owned()))
    .collect();
    if let Some(zone) = new.zone {
        params.push(("Placement.AvailabilityZone".to_owned(), zone.to_owned()));
    }
    let mut kinds = TAGGED.to_vec();
    if new.is_spot {
        kinds.push("spot-instances-request");
        let max_price = new.max_price.map(|usd| ("SpotOptions.MaxPrice", usd));
        let market = [
            ("MarketType", "spot"),
            ("SpotOptions.SpotInstanceType", "one-time"),
            ("SpotOptions.InstanceInterruptionBehavior", "terminate"),
        ];
        for (name, value) in market.into_iter().chain(max_price) {
            params.push((format!("InstanceMarketOptions.{name}"), value.to_owned()));
        }
    }
    add_tags(&mut params, &kinds, new.tags);
    params
}

/// The price of a spot instance.
#[derive(Clone, Debug, PartialEq)]
pub struct SpotPrice {
    /// For instance `c7g.xlarge`.
    pub instance_type: String,
    /// The availability zone.
    pub zone: String,
    /// US dollars an hour.
    pub usd: f64,
}

impl Client {
    /// What spot instances of the types `types` cost now, in each zone where there are some.
    pub async fn spot_prices(&self, types: &[String]) -> Result<Vec<SpotPrice>, Error> {
        let action = "DescribeSpotPriceHistory";
        let mut params: Params = (1..)
            .zip(types)
            .map(|(n, name)| (format!("InstanceType.{n}"), name.clone()))
            .collect();
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        // A history that begins now has the prices that are valid now.
        params.push(("StartTime".to_owned(), now));
        params.push(("ProductDescription.1".to_owned(), "Linux/UNIX".to_owned()));
        let mut found = Vec::new();
        let mut pages = self.pages(action, params);
        while let Some(body) = pages.next().await? {
            let page = parsed(action, &body, "spotPriceHistorySet", |item| {
                Some(SpotPrice {
                    instance_type: text(item, "instanceType")?,
                    zone: text(item, "availabilityZone")?,
                    usd: price(&text(item, "spotPrice")?)?,
                })
            })?;
            found.extend(page);
        }
        Ok(found)
    }

    /// The value of the parameter `name` that AWS keeps for everybody, for instance the newest image of a system.
    pub async fn public_parameter(&self, name: &str) -> Result<String, Error> {
        let action = "GetParameter";
        let parameters = json!({ "Name": name });
        let answer = self.query_json("ssm", "AmazonSSM", action, &parameters);
        let answer = answer.await?;
        let value = answer
            .pointer("/Parameter/Value")
            .and_then(|value| value.as_str());
        value.map(str::to_owned).ok_or_else(|| Error::Unexpected {
            action,
            what: "no value".to_owned(),
        })
    }
}

/// A price in US dollars; `None` for what is none.
fn price(text: &str) -> Option<f64> {
    let usd: f64 = text.parse().ok()?;
    (usd.is_finite() && usd > 0.0).then_some(usd)
}

/// A security group or a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tagged {
    /// Its id, `sg-…` or `vol-…`.
    pub id: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl Client {
    /// Makes a security group in the default network, and returns its id.
    pub async fn create_group(
        &self,
        name: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<String, Error> {
        let action = "CreateSecurityGroup";
        let mut params: Params = vec![
            ("GroupName".to_owned(), name.to_owned()),
            ("GroupDescription".to_owned(), description.to_owned()),
        ];
        add_tags(&mut params, &["security-group"], tags);
        let body = self.query(action, &params).await?;
        single(action, &body, "groupId")
    }

    /// Lets `from` connect to the port `port` of machines in the group `id`.
    pub async fn open_port(&self, id: &str, port: u16, from: IpAddr) -> Result<(), Error> {
        let port = port.to_string();
        let (range, address) = match from {
            IpAddr::V4(address) => ("IpRanges.1.CidrIp", format!("{address}/32")),
            IpAddr::V6(address) => ("Ipv6Ranges.1.CidrIpv6", format!("{address}/128")),
        };
        let range = format!("IpPermissions.1.{range}");
        let params = [
            ("GroupId", id),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", &port),
            ("IpPermissions.1.ToPort", &port),
            (&range, &address),
        ];
        let opened = self.query("AuthorizeSecurityGroupIngress", &params).await;
        match opened {
            // The answer to the first attempt was lost.
            Err(error) if error.has_code("InvalidPermission.Duplicate") => Ok(()),
            other => other.map(drop),
        }
    }

    /// The security groups that pass `filter`.
    pub async fn groups(&self, filter: (&str, &str)) -> Result<Vec<Tagged>, Error> {
        let call = ("DescribeSecurityGroups", "securityGroupInfo", "groupId");
        self.tagged(call, filter_params(filter)).await
    }

    /// The volumes that pass `filter` and belong to no machine.
    pub async fn free_volumes(&self, filter: (&str, &str)) -> Result<Vec<Tagged>, Error> {
        let mut params = filter_params(filter);
        params.push(("Filter.2.Name".to_owned(), "status".to_owned()));
        params.push(("Filter.2.Value.1".to_owned(), "available".to_owned()));
        let call = ("DescribeVolumes", "volumeSet", "volumeId");
        self.tagged(call, params).await
    }

    /// All objects that the call `action` lists in `set`, by their element `id`.
    async fn tagged(
        &self,
        (action, set, id): (&'static str, &str, &str),
        params: Params,
    ) -> Result<Vec<Tagged>, Error> {
        let mut found = Vec::new();
        let mut pages = self.pages(action, params);
        while let Some(body) = pages.next().await? {
            found.extend(parsed(action, &body, set, |item| {
                Some(Tagged {
                    id: text(item, id)?,
                    tags: tags(item),
                })
            })?);
        }
        Ok(found)
    }

    /// Removes the security group `id`. `false` if AWS knows none: it is gone, or was made a moment ago.
    pub async fn delete_group(&self, id: &str) -> Result<bool, Error> {
        match self.query("DeleteSecurityGroup", &[("GroupId", id)]).await {
            Err(error) if error.has_code("InvalidGroup.NotFound") => Ok(false),
            deleted => deleted.map(|_| true),
        }
    }

    /// Removes the volume `id`; nothing is there to do if it is gone.
    pub async fn delete_volume(&self, id: &str) -> Result<(), Error> {
        let deleted = self.query("DeleteVolume", &[("VolumeId", id)]).await;
        unless_gone(deleted, "InvalidVolume.NotFound")
    }
}

/// A tag of an object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// At most 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

/// The value of the tag `key` among `tags`.
pub fn tag_value<'a>(tags: &'a [Tag], key: &str) -> Option<&'a str> {
    let mut tags = tags.iter();
    tags.find(|tag| tag.key == key)
        .map(|tag| tag.value.as_str())
}
