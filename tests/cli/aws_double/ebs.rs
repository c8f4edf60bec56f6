//! EBS direct: blocks of snapshots.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::http::{Reply, reply};
use super::signature::sha256;
use super::{AwsState, BLOCK, Done, StoredSnapshot, invalid, region};
use crate::support::Request;

pub(super) fn start(call: &Request, state: &mut AwsState) -> Done {
    let json: serde_json::Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let known = [
        "VolumeSize",
        "ParentSnapshotId",
        "Tags",
        "Description",
        "ClientToken",
        "Encrypted",
        "KmsKeyArn",
        "Timeout",
    ];
    if let Some(other) =
        json.as_object().and_then(|map| map.keys().find(|key| !known.contains(&key.as_str())))
    {
        return invalid(format!("{other} is no parameter"));
    }
    let (Some(gib @ 1..=65536), Some(10..=4320)) =
        (json["VolumeSize"].as_u64(), json["Timeout"].as_u64())
    else {
        return invalid("VolumeSize or Timeout");
    };
    let token = json["ClientToken"].as_str().unwrap_or_default().to_owned();
    let described = json["Description"].as_str().map_or(0, str::len);
    if token.is_empty() || token.len() > 255 || described > 255 {
        return invalid("ClientToken or Description");
    }
    let tag = |tag: &serde_json::Value| {
        Some((tag["Key"].as_str()?.to_owned(), tag["Value"].as_str()?.to_owned()))
    };
    let given = json["Tags"].as_array().cloned().unwrap_or_default();
    let tags: Option<Vec<_>> = given.iter().map(tag).collect();
    let Some(tags) = tags else {
        return invalid("Tags");
    };
    let before = state.snapshots.iter().find(|(_, snapshot)| snapshot.token == token);
    let id = if let Some((id, _)) = before {
        id.clone()
    } else {
        let id = state.id("snap");
        let new = StoredSnapshot {
            token,
            gib,
            tags,
            state: "pending".into(),
            region: region(call),
            ..StoredSnapshot::default()
        };
        state.snapshots.insert(id.clone(), new);
        id
    };
    let started = serde_json::json!({ "SnapshotId": id, "BlockSize": BLOCK, "VolumeSize": gib, "Status": "pending" });
    Ok(reply(201, started.to_string()))
}

pub(super) fn put(call: &Request, state: &mut AwsState) -> Done {
    let parts: Vec<&str> = call.target.split('/').collect();
    let (Some(id), Some(index)) =
        (parts.get(2), parts.get(4).and_then(|text| text.parse::<u64>().ok()))
    else {
        return invalid("path");
    };
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let hash = sha256(&call.body);
    let stated = BASE64_STANDARD.encode(&hash);
    if call.body.len() != BLOCK || header("x-amz-data-length") != BLOCK.to_string() {
        return invalid("the block's length");
    }
    if header("x-amz-checksum") != stated || header("x-amz-checksum-algorithm") != "SHA256" {
        return invalid("the checksum");
    }
    let Some(snapshot) = state
        .snapshots
        .get_mut(*id)
        .filter(|snapshot| snapshot.state == "pending" && snapshot.completes_after.is_none())
    else {
        return Err(("ResourceNotFoundException", "the snapshot is not pending".into()));
    };
    if index >= snapshot.gib * 2048 {
        return invalid("the block is outside the volume");
    }
    let entry = snapshot.blocks.entry(index).or_default();
    *entry = (entry.0 + 1, hash);
    let headers = vec![
        ("x-amz-checksum".to_owned(), stated),
        ("x-amz-checksum-algorithm".to_owned(), "SHA256".to_owned()),
    ];
    Ok(Reply { status: 201, headers, body: String::new() })
}

impl StoredSnapshot {
    /// A list is the time that passes.
    pub(super) fn advance(&mut self) {
        match self.completes_after {
            Some(0) => self.state = "completed".into(),
            Some(lists) => self.completes_after = Some(lists - 1),
            None => {}
        }
    }
}

pub(super) fn complete(call: &Request, state: &mut AwsState) -> Done {
    let id = call.target.rsplit('/').next().unwrap_or_default();
    let lists = state.faults.slow_completion;
    let Some(snapshot) = state.snapshots.get_mut(id) else {
        return Err(("ResourceNotFoundException", "no such snapshot".into()));
    };
    if snapshot.state != "pending" || snapshot.completes_after.is_some() {
        return invalid("the snapshot is not pending");
    }
    let header = |name: &str| call.headers.get(name).map_or("", String::as_str);
    let all: Vec<u8> = snapshot.blocks.values().flat_map(|(_, hash)| hash.clone()).collect();
    if header("x-amz-changedblockscount") != snapshot.blocks.len().to_string() {
        return invalid("the number of blocks");
    }
    let linear = header("x-amz-checksum-aggregation-method") == "LINEAR"
        && header("x-amz-checksum-algorithm") == "SHA256";
    if !linear || header("x-amz-checksum") != BASE64_STANDARD.encode(sha256(&all)) {
        return invalid("the checksum of all blocks");
    }
    snapshot.completes_after = Some(lists);
    snapshot.advance();
    let status = serde_json::json!({ "Status": snapshot.state });
    Ok(reply(202, status.to_string()))
}
