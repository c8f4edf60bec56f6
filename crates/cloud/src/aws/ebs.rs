//! EBS direct: snapshots that are written block by block, without a volume and a machine.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use reqwest::Method;
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_core::untrusted;
use serde::Deserialize;
use serde_json::json;

use crate::aws::client::{Call, Client, Error};
use crate::aws::ec2::Tag;

/// Bytes of a block, the only size that the service has.
pub const BLOCK_BYTES: usize = 512 << 10;
/// Minutes after the last block in which a snapshot must be completed; AWS discards it then. A day, to go on after an interruption; at
/// most 4320.
const TIMEOUT_MINUTES: u32 = 24 * 60;
/// The one algorithm that the service has.
const ALGORITHM: &str = "SHA256";

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    snapshot_id: String,
    block_size: usize,
}

impl Client {
    /// Starts a snapshot with `tags` for volumes of `volume_gib` GiB, and returns its id. The same `token`, of at most 64 characters, gives
    /// the same snapshot again.
    pub async fn start_snapshot(
        &self,
        volume_gib: u64,
        token: &str,
        description: &str,
        tags: &[Tag],
    ) -> Result<String, Error> {
        let action = "StartSnapshot";
        let tags: Vec<_> = tags
            .iter()
            .map(|tag| json!({ "Key": tag.key, "Value": tag.value }))
            .collect();
        let body = json!({
            "VolumeSize": volume_gib,
            "ClientToken": token,
            "Description": description,
            "Timeout": TIMEOUT_MINUTES,
            "Tags": tags,
        });
        let mut call = ebs(action, Method::POST, "/snapshots".to_owned());
        call.headers
            .push(("content-type", "application/json".to_owned()));
        call.body = Bytes::from(body.to_string());
        let answer = self.send(&call).await?;
        let unexpected = |what: String| Error::Unexpected { action, what };
        let started: Started =
            untrusted::json(&answer.body).map_err(|error| unexpected(error.to_string()))?;
        if started.block_size != BLOCK_BYTES {
            return Err(unexpected(format!(
                "blocks of {} bytes",
                started.block_size
            )));
        }
        checked_id(&started.snapshot_id).ok_or_else(|| unexpected("no snapshot ID".to_owned()))
    }

    /// Writes the block `index` of the snapshot `id`. `data` are [`BLOCK_BYTES`] with the hash `hash`.
    pub async fn put_block(
        &self,
        id: &str,
        index: u64,
        data: Bytes,
        hash: Sha256Hash,
    ) -> Result<(), Error> {
        let action = "PutSnapshotBlock";
        let target = format!("/snapshots/{id}/blocks/{index}");
        let checksum = BASE64_STANDARD.encode(<[u8; 32]>::from(hash));
        let mut call = ebs(action, Method::PUT, target);
        call.headers.extend([
            ("content-type", "application/octet-stream".to_owned()),
            ("x-amz-data-length", data.len().to_string()),
            ("x-amz-checksum", checksum.clone()),
            ("x-amz-checksum-algorithm", ALGORITHM.to_owned()),
        ]);
        call.body = data;
        // As the service's model says; the checksum covers it.
        call.signs_body = false;
        let answer = self.send(&call).await?;
        let stated = answer.headers.get("x-amz-checksum");
        if stated.is_some_and(|stated| stated.as_bytes() != checksum.as_bytes()) {
            let what = format!("the checksum of block {index} differs from the one that was sent");
            return Err(Error::Unexpected { action, what });
        }
        Ok(())
    }

    /// Completes the snapshot `id`, which has blocks with these hashes, in the order of their indices.
    pub async fn complete_snapshot(&self, id: &str, hashes: &[Sha256Hash]) -> Result<(), Error> {
        let mut whole = Hasher::new();
        for hash in hashes {
            whole.update(<[u8; 32]>::from(*hash));
        }
        let checksum = BASE64_STANDARD.encode(<[u8; 32]>::from(whole.finish().sha256));
        let target = format!("/snapshots/completion/{id}");
        let mut call = ebs("CompleteSnapshot", Method::POST, target);
        call.headers.extend([
            ("x-amz-changedblockscount", hashes.len().to_string()),
            ("x-amz-checksum", checksum),
            ("x-amz-checksum-algorithm", ALGORITHM.to_owned()),
            ("x-amz-checksum-aggregation-method", "LINEAR".to_owned()),
        ]);
        self.send(&call).await.map(drop)
    }
}

fn ebs(action: &'static str, method: Method, target: String) -> Call {
    Call {
        service: "ebs",
        action,
        method,
        target,
        headers: Vec::new(),
        body: Bytes::new(),
        signs_body: true,
    }
}

/// The id of a snapshot, which becomes a part of addresses.
fn checked_id(id: &str) -> Option<String> {
    let digits = id.strip_prefix("snap-")?;
    let is_plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_alphanumeric());
    is_plain.then(|| id.to_owned())
}
