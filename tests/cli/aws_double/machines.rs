//! EC2's machines, as far as a build rents them: prices, security groups, volumes, tags.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::form::tag_set;
use super::instances::{self, StoredInstance};
use super::{AwsState, Form, Refusal};

/// The address that the user's calls come from.
pub const CALLER: &str = "192.0.2.7";
/// The image that machines start from.
pub const IMAGE: &str = "ami-0123456789abcdef0";
/// Errors that no caller can avoid.
pub const NO_MISTAKES: [&str; 10] = [
    "InsufficientFreeAddressesInSubnet",
    "AuthFailure.ServiceLinkedRoleCreationNotPermitted",
    "InvalidSnapshot.InUse",
    "InvalidGroup.NotFound",
    "DependencyViolation",
    "InvalidGroup.Duplicate",
    "InvalidInstanceID.NotFound",
    "InsufficientInstanceCapacity",
    "MaxSpotInstanceCountExceeded",
    "UnauthorizedOperation",
];
/// Prices on a page of the history.
const PAGE: usize = 3;

/// Tags by key.
pub type Tags = BTreeMap<String, String>;

/// A security group.
#[derive(Clone, Debug, Default)]
pub struct StoredGroup {
    pub name: String,
    pub tags: Tags,
    /// The parameters of each rule.
    pub rules: Vec<Form>,
}

/// A volume.
#[derive(Clone, Debug, Default)]
pub struct StoredVolume {
    pub tags: Tags,
    /// Whether no machine has it.
    pub is_free: bool,
}

/// Makes a machine when one starts (`true`), and returns its address; removes it when it ends.
pub type Hook = Box<dyn Fn(&StoredInstance, bool) -> Option<String> + Send>;

/// What there is, by id.
#[derive(Default)]
pub struct Machines {
    pub instances: BTreeMap<String, StoredInstance>,
    pub groups: BTreeMap<String, StoredGroup>,
    pub volumes: BTreeMap<String, StoredVolume>,
    /// Types and zones of which there are none, as `c7g.xlarge/eu-central-1a`, with the error.
    pub missing: BTreeMap<String, &'static str>,
    /// Types that start, and are taken away before they run.
    pub lost_at_start: BTreeSet<String>,
    /// Whether machines get no public address.
    pub is_private: bool,
    /// So many calls do not know a new group yet.
    pub unknown_group: usize,
    /// So many lists and removals do not know a new group yet.
    pub late_group: usize,
    /// So many lists do not have a new machine yet.
    pub unseen: usize,
    /// So many lists have a machine that is about to end.
    pub slow_end: usize,
    /// After so many answers with prices they are higher by a dollar.
    pub dearer_after: Option<usize>,
    pub hook: Option<Hook>,
}

impl std::fmt::Debug for Machines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (instances, groups) = (&self.instances, &self.groups);
        write!(f, "{instances:?} {groups:?} {:?}", self.volumes)
    }
}

/// Type, zone and price.
const PRICES: [(&str, &str, &str); 7] = [
    ("c7g.xlarge", "eu-central-1a", "0.061400"),
    ("c8g.xlarge", "eu-central-1a", "0.070000"),
    ("c7g.xlarge", "eu-central-1b", "0.053400"),
    ("m7g.xlarge", "eu-central-1b", "0.082300"),
    ("c6g.2xlarge", "eu-central-1c", "0.120000"),
    ("c6a.xlarge", "eu-central-1c", "0.055000"),
    ("t4g.xlarge", "eu-central-1c", "0.020000"),
];

impl Machines {
    /// Names of all that costs money, or is in the way: everything but machines that are terminated.
    pub fn left(&self) -> Vec<String> {
        let live = self.instances.iter().filter(|(_, one)| one.state != "terminated");
        let mut left: Vec<String> = live.map(|(id, _)| id.clone()).collect();
        left.extend(self.groups.keys().chain(self.volumes.keys()).cloned());
        left
    }

    /// The machines that are not terminated.
    pub fn live(&self) -> usize {
        let live = self.instances.values().filter(|one| one.state != "terminated");
        live.count()
    }

    /// So much time passes that all leases end: a machine that was told to ends by itself.
    pub fn let_leases_end(&mut self) {
        let past = ("sdbuild:expires".to_owned(), "2026-01-01T00:00:00Z".to_owned());
        for instance in self.instances.values_mut() {
            instance.tags.extend([past.clone()]);
            if instance.ends_by_itself() {
                instance.state = "shutting-down";
            }
        }
        for group in self.groups.values_mut() {
            group.tags.extend([past.clone()]);
        }
        for volume in self.volumes.values_mut() {
            volume.tags.extend([past.clone()]);
        }
    }

    fn tags_of(&mut self, id: &str) -> Option<&mut Tags> {
        let instance = self.instances.get_mut(id).map(|one| &mut one.tags);
        let group = self.groups.get_mut(id).map(|one| &mut one.tags);
        let volume = self.volumes.get_mut(id).map(|one| &mut one.tags);
        instance.or(group).or(volume)
    }
}

/// Does what `action` says, if it is about machines, and returns what is in the answer.
pub(super) fn carry_out(
    action: &str,
    form: &Form,
    state: &mut AwsState,
) -> Option<Result<String, Refusal>> {
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    let groups = &mut state.machines.groups;
    Some(match action {
        "DescribeSpotPriceHistory" => {
            let answers = state.calls.iter().filter(|call| *call == action).count();
            let rises = state.machines.dearer_after.is_some_and(|after| answers > after);
            spot_prices(form, rises)
        }
        "DescribeInstances" => instances::describe(form, &mut state.machines),
        "TerminateInstances" => instances::terminate(&get("InstanceId.1"), &mut state.machines),
        "CreateTags" => create_tags(form, state),
        "CreateSecurityGroup" => create_group(form, state),
        "AuthorizeSecurityGroupIngress" | "RunInstances" if state.machines.unknown_group > 0 => {
            state.machines.unknown_group -= 1;
            Err(("InvalidGroup.NotFound", "it is new".into()))
        }
        "RunInstances" => instances::run(form, state),
        "AuthorizeSecurityGroupIngress" => match groups.get_mut(&get("GroupId")) {
            Some(group) => {
                group.rules.push(form.clone());
                Ok("<return>true</return>".into())
            }
            None => Err(("InvalidGroup.NotFound", get("GroupId"))),
        },
        "DescribeSecurityGroups" if state.machines.late_group > 0 => {
            state.machines.late_group -= 1;
            Ok("<securityGroupInfo/>".into())
        }
        "DeleteSecurityGroup" if state.machines.late_group > 0 => {
            state.machines.late_group -= 1;
            Err(("InvalidGroup.NotFound", "it is new".into()))
        }
        "DescribeSecurityGroups" => describe(
            form,
            "securityGroupInfo",
            "groupId",
            groups.iter().map(|(id, group)| (id, &group.tags)),
        ),
        "DeleteSecurityGroup" => delete_group(&get("GroupId"), &mut state.machines),
        "DescribeVolumes" => {
            let volumes = state.machines.volumes.iter().filter(|(_, one)| one.is_free);
            describe(form, "volumeSet", "volumeId", volumes.map(|(id, one)| (id, &one.tags)))
        }
        "DeleteVolume" => match state.machines.volumes.remove(&get("VolumeId")) {
            Some(_) => Ok("<return>true</return>".into()),
            None => Err(("InvalidVolume.NotFound", get("VolumeId"))),
        },
        _ => return None,
    })
}

/// The tags for new objects of the kind `kind`.
pub(super) fn new_tags(form: &Form, kind: &str) -> Result<Tags, Refusal> {
    let known =
        ["instance", "volume", "network-interface", "spot-instances-request", "security-group"];
    for n in 1.. {
        let name = format!("TagSpecification.{n}");
        let Some(found) = form.get(&format!("{name}.ResourceType")) else {
            break;
        };
        if !known.contains(&found.as_str()) {
            return Err(("InvalidParameterValue", found.clone()));
        }
        if found == kind {
            return Ok(numbered_tags(form, &format!("{name}.Tag")));
        }
    }
    Ok(Tags::new())
}

fn numbered_tags(form: &Form, name: &str) -> Tags {
    let tag = |n| {
        let part = |what: &str| form.get(&format!("{name}.{n}.{what}")).cloned();
        part("Key").zip(part("Value"))
    };
    (1..20).map_while(tag).collect()
}

/// Whether an object with `tags` passes the filter of tags in `form`; other filters have been looked at.
pub(super) fn passes(form: &Form, tags: &Tags) -> Result<bool, Refusal> {
    let (Some(name), Some(value)) = (form.get("Filter.1.Name"), form.get("Filter.1.Value.1"))
    else {
        return Ok(true);
    };
    match name.split_once(':') {
        Some(("tag", key)) => Ok(tags.get(key) == Some(value)),
        _ if name == "tag-key" => Ok(tags.contains_key(value)),
        _ => Err(("InvalidParameterValue", format!("no filter {name}"))),
    }
}

/// A list of objects that have only a name and tags.
fn describe<'a>(
    form: &Form,
    set: &str,
    id_name: &str,
    objects: impl Iterator<Item = (&'a String, &'a Tags)>,
) -> Result<String, Refusal> {
    let mut items = String::new();
    for (id, tags) in objects {
        if passes(form, tags)? {
            let tags = written(tags);
            write!(items, "<item><{id_name}>{id}</{id_name}>{tags}</item>").unwrap();
        }
    }
    Ok(format!("<{set}>{items}</{set}>"))
}

/// Tags as they are in an answer.
pub(super) fn written(tags: &Tags) -> String {
    let tags: Vec<_> = tags.iter().map(|(k, v)| (k.clone(), v.clone())).collect();
    tag_set(&tags)
}

fn spot_prices(form: &Form, rises: bool) -> Result<String, Refusal> {
    if form.get("ProductDescription.1").is_none_or(|text| text != "Linux/UNIX") {
        return Err(("InvalidParameterValue", "ProductDescription".into()));
    }
    let asked: BTreeSet<&str> = form
        .iter()
        .filter(|(key, _)| key.starts_with("InstanceType."))
        .map(|(_, value)| value.as_str())
        .collect();
    let first: usize = form.get("NextToken").map_or(0, |token| token.parse().unwrap());
    let all: Vec<_> = PRICES.iter().filter(|price| asked.contains(price.0)).collect();
    let mut items = String::new();
    for (name, zone, price) in all.iter().skip(first).take(PAGE) {
        let price = if rises { price.replace("0.", "1.") } else { (*price).into() };
        write!(
            items,
            "<item><instanceType>{name}</instanceType><productDescription>Linux/UNIX</productDescription>\
             <spotPrice>{price}</spotPrice><timestamp>2026-11-24T00:00:00.000Z</timestamp>\
             <availabilityZone>{zone}</availabilityZone></item>"
        )
        .unwrap();
    }
    let next = first + PAGE;
    let token = if next < all.len() { next.to_string() } else { String::new() };
    Ok(format!("<spotPriceHistorySet>{items}</spotPriceHistorySet><nextToken>{token}</nextToken>"))
}

fn create_tags(form: &Form, state: &mut AwsState) -> Result<String, Refusal> {
    let tags = numbered_tags(form, "Tag");
    for n in 1.. {
        let Some(id) = form.get(&format!("ResourceId.{n}")) else {
            break;
        };
        if let Some(snapshot) = state.snapshots.get_mut(id) {
            snapshot.tags.extend(tags.clone());
            continue;
        }
        if id.starts_with("snap-") {
            return Err(("InvalidSnapshot.NotFound", id.clone()));
        }
        match state.machines.tags_of(id) {
            Some(of_object) => of_object.extend(tags.clone()),
            None => return Err(("InvalidID", id.clone())),
        }
    }
    Ok("<return>true</return>".into())
}

fn create_group(form: &Form, state: &mut AwsState) -> Result<String, Refusal> {
    let name = form.get("GroupName").cloned().unwrap_or_default();
    if name.is_empty() || form.get("GroupDescription").is_none_or(String::is_empty) {
        return Err(("MissingParameter", "GroupName or GroupDescription".into()));
    }
    if state.machines.groups.values().any(|group| group.name == name) {
        return Err(("InvalidGroup.Duplicate", name));
    }
    let tags = new_tags(form, "security-group")?;
    let id = state.id("sg");
    let rules = Vec::new();
    let group = StoredGroup { name, tags, rules };
    state.machines.groups.insert(id.clone(), group);
    Ok(format!("<groupId>{id}</groupId><return>true</return>"))
}

fn delete_group(id: &str, machines: &mut Machines) -> Result<String, Refusal> {
    let mut live = machines.instances.values().filter(|one| one.state != "terminated");
    if live.any(|one| one.parameter("SecurityGroupId.1") == id) {
        return Err(("DependencyViolation", format!("{id} has a dependent object")));
    }
    match machines.groups.remove(id) {
        Some(_) => Ok("<return>true</return>".into()),
        None => Err(("InvalidGroup.NotFound", id.to_owned())),
    }
}
