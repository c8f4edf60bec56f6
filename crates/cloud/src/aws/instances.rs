//! The calls of EC2 about machines.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::client::Client;
use super::error::Error;
use super::query::{Params, unless_gone};
use super::tag::Tag;
use super::xml::{child, items, parsed, tags, text};

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
        let body = self.query_list(action, &params_of(new)).await?;
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
        self.query_list("CreateTags", &params).await.map(drop)
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
