//! EC2's images, and what becomes of snapshots.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::form::tag_set;
use super::{AwsState, Form, IN_REGION, Refusal, STATE, StoredSnapshot};

/// The key with the number of calls after which a copy is there.
const AVAILABLE_AFTER: &str = " available after";

/// Does what `action` says, and returns what is in the answer.
pub(super) fn carry_out(
    action: &str,
    form: &BTreeMap<String, String>,
    state: &mut AwsState,
) -> Result<String, Refusal> {
    let get = |name: &str| form.get(name).cloned().unwrap_or_default();
    Ok(match action {
        "DescribeImages" if state.faults.late_lists > 0 => {
            state.faults.late_lists -= 1;
            "<imagesSet/>".into()
        }
        "GetEbsEncryptionByDefault" => {
            let encrypts = state.encrypts;
            format!("<ebsEncryptionByDefault>{encrypts}</ebsEncryptionByDefault>")
        }
        "DescribeImages" => images(form, state),
        "DescribeSnapshots" => {
            let found = snapshots(form, state);
            state.snapshots.values_mut().for_each(StoredSnapshot::advance);
            found
        }
        "RegisterImage" => {
            if state
                .images
                .values()
                .any(|image| image["Name"] == get("Name") && image[IN_REGION] == get(IN_REGION))
            {
                return Err(("InvalidAMIName.Duplicate", "the name is taken".into()));
            }
            let snapshot = state.snapshots.get(&get("BlockDeviceMapping.1.Ebs.SnapshotId"));
            if snapshot.is_none_or(|snapshot| snapshot.state != "completed") {
                return Err(("InvalidSnapshot.NotFound", "no complete snapshot".into()));
            }
            let id = state.id("ami");
            state.images.insert(id.clone(), form.clone());
            format!("<imageId>{id}</imageId>")
        }
        "CopyImage" => return copy(form, state),
        "ModifyImageAttribute" | "ModifySnapshotAttribute" => {
            let whose = form.iter().find(|(name, _)| name.contains(".Add.1."));
            let what = get("ImageId") + &get("SnapshotId");
            state.shared.push(format!("{what} {}", whose.unwrap().1));
            "<return>true</return>".into()
        }
        "DeregisterImage" => match state.images.remove(&get("ImageId")) {
            Some(_) => "<return>true</return>".into(),
            None => return Err(("InvalidAMIID.NotFound", "no such image".into())),
        },
        "DeleteSnapshot" if is_in_use(&get("SnapshotId"), state) => {
            return Err(("InvalidSnapshot.InUse", get("SnapshotId")));
        }
        "DeleteSnapshot" => match state.snapshots.remove(&get("SnapshotId")) {
            Some(_) => "<return>true</return>".into(),
            None => return Err(("InvalidSnapshot.NotFound", "no such snapshot".into())),
        },
        _ => "<return>true</return>".into(),
    })
}

/// Whether an image is made of the snapshot, or AWS has not noticed yet that none is.
fn is_in_use(snapshot: &str, state: &mut AwsState) -> bool {
    let late = state.faults.late_release;
    state.faults.late_release = late.saturating_sub(1);
    let mut images = state.images.values();
    late > 0 || images.any(|image| image["BlockDeviceMapping.1.Ebs.SnapshotId"] == snapshot)
}

fn copy(form: &Form, state: &mut AwsState) -> Result<String, Refusal> {
    let parameters = format!("{} {} {}", form["SourceImageId"], form[IN_REGION], form["Name"]);
    let token = form["ClientToken"].clone();
    match state.copies.get(&token) {
        Some((same, id)) if *same == parameters => {
            return Ok(format!("<imageId>{id}</imageId>"));
        }
        Some(_) => return Err(("IdempotentParameterMismatch", "another copy".into())),
        None => {}
    }
    let (id, snapshot) = (state.id("ami"), state.id("snap"));
    let mut copy = state.images[&form["SourceImageId"]].clone();
    copy.extend(form.clone());
    copy.insert("BlockDeviceMapping.1.Ebs.SnapshotId".into(), snapshot);
    // AWS takes its time: for two questions.
    copy.insert(AVAILABLE_AFTER.into(), (state.calls.len() + 2).to_string());
    state.images.insert(id.clone(), copy);
    state.copies.insert(token, (parameters, id.clone()));
    Ok(format!("<imageId>{id}</imageId>"))
}

fn images(form: &BTreeMap<String, String>, state: &AwsState) -> String {
    let (filter, value) = (form["Filter.1.Name"].as_str(), form["Filter.1.Value.1"].as_str());
    let mut items = String::new();
    for (id, image) in &state.images {
        let tags: Vec<(String, String)> = (1..10)
            .filter_map(|n| {
                let part =
                    |what: &str| image.get(&format!("TagSpecification.1.Tag.{n}.{what}")).cloned();
                Some((part("Key")?, part("Value")?))
            })
            .collect();
        let passes = match filter {
            "name" => image["Name"] == value,
            "image-id" => id == value,
            "block-device-mapping.snapshot-id" => {
                image["BlockDeviceMapping.1.Ebs.SnapshotId"] == value
            }
            "tag-key" => tags.iter().any(|(key, _)| key == value),
            other => panic!("no filter {other}"),
        };
        let available = image
            .get(AVAILABLE_AFTER)
            .is_none_or(|after| state.calls.len() > after.parse().unwrap());
        let status = if available { "available" } else { "pending" };
        let status = image.get(STATE).map_or(status, String::as_str);
        let is_listed = status != "disabled" || form.contains_key("IncludeDisabled");
        if passes && is_listed && image[IN_REGION] == form[IN_REGION] {
            write!(
                items,
                "<item><imageId>{id}</imageId><name>{}</name><imageState>{status}</imageState><architecture>{}</architecture>\
                 <creationDate>2026-11-23T00:00:00.000Z</creationDate><blockDeviceMapping><item><ebs><snapshotId>{}</snapshotId></ebs></item>\
                 </blockDeviceMapping>{}</item>",
                image["Name"], image["Architecture"], image["BlockDeviceMapping.1.Ebs.SnapshotId"], tag_set(&tags)
            )
            .unwrap();
        }
    }
    format!("<imagesSet>{items}</imagesSet>")
}

fn snapshots(form: &BTreeMap<String, String>, state: &AwsState) -> String {
    let (filter, value) = (&form["Filter.1.Name"], &form["Filter.1.Value.1"]);
    let mut items = String::new();
    for (id, snapshot) in &state.snapshots {
        let passes = match filter.as_str() {
            "snapshot-id" => id == value,
            "tag-key" => snapshot.tags.iter().any(|(key, _)| key == value),
            other if other.starts_with("tag:") => {
                snapshot.tags.iter().any(|(key, tag)| other.ends_with(key) && tag == value)
            }
            other => panic!("no filter {other}"),
        };
        let is_here = ["", &form[IN_REGION]].contains(&snapshot.region.as_str());
        if passes && is_here {
            let (status, tags) = (&snapshot.state, tag_set(&snapshot.tags));
            write!(
                items,
                "<item><snapshotId>{id}</snapshotId><status>{status}</status><startTime>{}</startTime>{tags}</item>",
                snapshot.started
            )
            .unwrap();
        }
    }
    format!("<snapshotSet>{items}</snapshotSet>")
}
