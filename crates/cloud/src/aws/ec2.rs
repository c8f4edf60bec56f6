//! The calls of EC2 about images, and what becomes of snapshots.

use std::net::IpAddr;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use roxmltree::Node;
use serde::Serialize;
use serde_json::json;
use tokio::time::Instant;

use crate::aws::client::{Client, Error, Params, child, items, single, tags, text, unless_gone};

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
    /// What was said when it was started.
    pub description: String,
    /// When it was started, as AWS writes instants.
    pub started: String,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Whether an image with this state cannot be used, and never will be by itself.
pub fn has_failed(state: &str) -> bool {
    !["available", "pending", "transient"].contains(&state)
}

impl Client {
    /// The account's own images that pass `filter`, a name of EC2's filters and its value.
    pub async fn images(&self, filter: (&str, &str)) -> Result<Vec<Ami>, Error> {
        let params = owned(&[
            ("Owner.1", "self"),
            // They have their names and snapshots still.
            ("IncludeDisabled", "true"),
            ("Filter.1.Name", filter.0),
            ("Filter.1.Value.1", filter.1),
        ]);
        let image = |item: Node<'_, '_>| {
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
        };
        self.list("DescribeImages", params, "imagesSet", image)
            .await
    }

    /// The account's own snapshots that pass `filter`.
    pub async fn snapshots(&self, filter: (&str, &str)) -> Result<Vec<Snapshot>, Error> {
        let params = owned(&[
            ("Owner.1", "self"),
            ("Filter.1.Name", filter.0),
            ("Filter.1.Value.1", filter.1),
        ]);
        let snapshot = |item: Node<'_, '_>| {
            Some(Snapshot {
                id: text(item, "snapshotId")?,
                state: text(item, "status")?,
                description: text(item, "description").unwrap_or_default(),
                started: text(item, "startTime").unwrap_or_default(),
                tags: tags(item),
            })
        };
        self.list("DescribeSnapshots", params, "snapshotSet", snapshot)
            .await
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

    /// Waits until the image `id` can be used, and returns it.
    pub async fn wait_for_image(&self, id: &str) -> Result<Ami, Error> {
        let action = "DescribeImages";
        for _ in 0..POLLS {
            match self.images(("image-id", id)).await?.into_iter().next() {
                Some(image) if image.state == "available" => return Ok(image),
                Some(Ami { state, .. }) if has_failed(&state) => {
                    let what = format!("the state {state} of {id}");
                    return Err(Error::Unexpected { action, what });
                }
                // One that was made a moment ago is not in the list yet.
                Some(_) | None => self.pause(POLL).await?,
            }
        }
        let what = format!("the image {id} is not available after an hour");
        Err(Error::Unexpected { action, what })
    }

    /// Registers an image of the disk `snapshot`, which UEFI starts, and returns its id. `name` has 3 to 128 letters, digits, and
    /// ( ) . - / _; `architecture` is `arm64` or `x86_64`.
    pub async fn register_image(
        &self,
        name: &str,
        architecture: &str,
        snapshot: &str,
        tags: &[Tag],
    ) -> Result<String, Error> {
        let action = "RegisterImage";
        let mut params = owned(&[
            ("Name", name),
            ("Description", "NixOS, made by sdbuild"),
            ("Architecture", architecture),
            ("RootDeviceName", ROOT_DEVICE),
            ("BlockDeviceMapping.1.DeviceName", ROOT_DEVICE),
            ("BlockDeviceMapping.1.Ebs.SnapshotId", snapshot),
            ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
            ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
            ("VirtualizationType", "hvm"),
            ("BootMode", "uefi"),
            ("EnaSupport", "true"),
            ("SriovNetSupport", "simple"),
            ("ImdsSupport", "v2.0"),
        ]);
        add_tags(&mut params, &["image"], tags);
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

    /// Copies the image `source` of `region` to the region of this client as `name`, and returns the copy's id. The same `token`, of at most
    /// 64 characters, gives the same copy again. The copy and its snapshot get `tags`.
    pub async fn copy_image(
        &self,
        source: &str,
        region: &str,
        name: &str,
        token: &str,
        tags: &[Tag],
    ) -> Result<String, Error> {
        let action = "CopyImage";
        let mut params = owned(&[
            ("SourceImageId", source),
            ("SourceRegion", region),
            ("Name", name),
            ("ClientToken", token),
        ]);
        // AWS copies no tags to the snapshot itself.
        add_tags(&mut params, &["image", "snapshot"], tags);
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
const ROOT_DEVICE: &str = "/dev/xvda";
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
        single(action, &body, "instanceId")
    }

    /// The machines that pass `filter`, a name of EC2's filters and its value.
    pub async fn instances(&self, filter: (&str, &str)) -> Result<Vec<Instance>, Error> {
        let instance = |item: Node<'_, '_>| {
            Some(Instance {
                id: text(item, "instanceId")?,
                state: text(child(item, "instanceState")?, "name")?,
                address: text(item, "ipAddress"),
                reason: child(item, "stateReason").and_then(|reason| text(reason, "message")),
                tags: tags(item),
            })
        };
        let reservation = |reservation: Node<'_, '_>| {
            let instances = items(reservation, "instancesSet").map(instance);
            instances.collect::<Option<Vec<_>>>()
        };
        let params = filter_params(filter);
        let found = self.list("DescribeInstances", params, "reservationSet", reservation);
        Ok(found.await?.into_iter().flatten().collect())
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
fn filter_params(filter: (&str, &str)) -> Params {
    owned(&[("Filter.1.Name", filter.0), ("Filter.1.Value.1", filter.1)])
}

/// Adds parameters that give `tags` to new objects of the kinds `kinds`.
fn add_tags(params: &mut Params, kinds: &[&str], tags: &[Tag]) {
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
    let mut params = owned(&[
        ("ImageId", new.image),
        ("InstanceType", new.instance_type),
        ("MinCount", "1"),
        ("MaxCount", "1"),
        ("ClientToken", new.token),
        ("SecurityGroupId.1", new.group),
        // The default is to keep it, switched off.
        ("InstanceInitiatedShutdownBehavior", "terminate"),
        // IMDSv2, which programs in containers do not reach.
        ("MetadataOptions.HttpTokens", "required"),
        ("MetadataOptions.HttpPutResponseHopLimit", "1"),
        ("BlockDeviceMapping.1.DeviceName", ROOT_DEVICE),
        (
            "BlockDeviceMapping.1.Ebs.VolumeSize",
            &new.disk_gib.to_string(),
        ),
        ("BlockDeviceMapping.1.Ebs.VolumeType", "gp3"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
        ("BlockDeviceMapping.1.Ebs.Encrypted", "true"),
        ("UserData", &BASE64_STANDARD.encode(new.user_data)),
    ]);
    let zone = new.zone.map(|zone| ("Placement.AvailabilityZone", zone));
    params.extend(owned(zone.as_slice()));
    let mut kinds = TAGGED.to_vec();
    if new.is_spot {
        kinds.push("spot-instances-request");
        params.extend(owned(&[
            ("InstanceMarketOptions.MarketType", "spot"),
            (
                "InstanceMarketOptions.SpotOptions.SpotInstanceType",
                "one-time",
            ),
            (
                "InstanceMarketOptions.SpotOptions.InstanceInterruptionBehavior",
                "terminate",
            ),
        ]));
        let max_price = new
            .max_price
            .map(|usd| ("InstanceMarketOptions.SpotOptions.MaxPrice", usd));
        params.extend(owned(max_price.as_slice()));
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
        // A history that begins now has the prices that are valid now.
        let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        let mut params = owned(&[("StartTime", &now), ("ProductDescription.1", "Linux/UNIX")]);
        let types = (1..).zip(types);
        params.extend(types.map(|(n, name)| (format!("InstanceType.{n}"), name.clone())));
        let price = |item: Node<'_, '_>| {
            Some(SpotPrice {
                instance_type: text(item, "instanceType")?,
                zone: text(item, "availabilityZone")?,
                usd: price(&text(item, "spotPrice")?)?,
            })
        };
        let action = "DescribeSpotPriceHistory";
        self.list(action, params, "spotPriceHistorySet", price)
            .await
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
        let mut params = owned(&[("GroupName", name), ("GroupDescription", description)]);
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
        params.extend(owned(&[
            ("Filter.2.Name", "status"),
            ("Filter.2.Value.1", "available"),
        ]));
        let call = ("DescribeVolumes", "volumeSet", "volumeId");
        self.tagged(call, params).await
    }

    /// All objects that the call `action` lists in `set`, by their element `id`.
    async fn tagged(
        &self,
        (action, set, id): (&'static str, &str, &str),
        params: Params,
    ) -> Result<Vec<Tagged>, Error> {
        let tagged = |item: Node<'_, '_>| {
            Some(Tagged {
                id: text(item, id)?,
                tags: tags(item),
            })
        };
        self.list(action, params, set, tagged).await
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
