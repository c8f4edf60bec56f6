//! Sends the blocks of an image to a snapshot, many at a time.

use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::sync::mpsc;

use crate::aws::{BLOCK_BYTES, Client, Error, NewSnapshot, Tag};
use crate::publish::blocks;
use crate::publish::blocks::Block;
use crate::publish::pace;
use crate::publish::pace::Pace;
use crate::publish::plan::{HASH_TAG, NAME_TAG, Plan};
use crate::publish::record::Record;
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::Sha256Hash;

/// Until a snapshot is complete whose completion AWS refused: it was asked for before, or the refusal counts.
const COMPLETION_LIMIT: Duration = Duration::from_secs(120);
/// Blocks that are read ahead.
const READ_AHEAD: usize = 16;

/// Completes a snapshot of the disk, or goes on with the one in `record`; returns its id.
pub(super) async fn snapshot(
    plan: &Plan,
    client: &Client,
    record: &mut Record,
    context: &Context,
) -> Result<String, Failure> {
    let id = match earlier(client, record).await? {
        Some(id) => id,
        None => match adopted(plan, client, record).await? {
            Some(id) => id,
            None => start(plan, client, record).await?,
        },
    };
    if record.is_complete {
        return Ok(id);
    }
    if record.is_completing {
        complete(client, &id, record).await?;
        return Ok(id);
    }
    let read = send_blocks(plan, client, &id, record, context).await?;
    if read != plan.disk.sha256 {
        // It has blocks of two images.
        record.renew()?;
        client.delete_snapshot(&id).await?;
        return Err(Failure::environment("the image changed while it was sent"));
    }
    record.completing()?;
    complete(client, &id, record).await?;
    Ok(id)
}

/// Has the snapshot completed, which has all blocks of `record`.
async fn complete(client: &Client, id: &str, record: &mut Record) -> Result<(), Failure> {
    let hashes: Vec<Sha256Hash> = record.sent.values().copied().collect();
    match client.complete_snapshot(id, &hashes).await {
        // The answer to an earlier attempt was lost: AWS completes it, which takes a while.
        Err(error) if may_be_completing(&error) => {
            match client.wait_for_snapshot(id, COMPLETION_LIMIT).await {
                Err(Error::Interrupted) => return Err(Error::Interrupted.into()),
                waited => waited.map_err(|_| error)?,
            }
        }
        completed => completed?,
    }
    record.completed()
}

/// Whether `error` is what AWS says, or may say, about a snapshot whose completion was asked for before.
fn may_be_completing(error: &Error) -> bool {
    let codes = ["ValidationException", "ResourceNotFoundException"];
    matches!(error, Error::Unreachable { .. }) || codes.iter().any(|code| error.has_code(code))
}

/// The state of the snapshot `id`, if there is one.
async fn state(client: &Client, id: &str) -> Result<Option<String>, Failure> {
    let found = client.snapshots(("snapshot-id", id)).await?;
    Ok(found.into_iter().next().map(|snapshot| snapshot.state))
}

/// The snapshot of an earlier run, if it can be resumed: AWS discards one that is not completed within a day.
async fn earlier(client: &Client, record: &mut Record) -> Result<Option<String>, Failure> {
    let Some(id) = record.snapshot.clone() else {
        return Ok(None);
    };
    match state(client, &id).await?.as_deref() {
        Some("pending") => {}
        Some("completed") => record.completed()?,
        _ => {
            record.renew()?;
            return Ok(None);
        }
    }
    Ok(Some(id))
}

/// A snapshot of the same disk and name that was begun with another record, by its tags: on another machine, or the record is lost. What it
/// has is not known, so that all blocks are sent again: they are the same, and AWS overwrites one that is there.
async fn adopted(
    plan: &Plan,
    client: &Client,
    record: &mut Record,
) -> Result<Option<String>, Failure> {
    let hash = plan.disk.sha256.to_string();
    let mut found = client
        .snapshots((&format!("tag:{HASH_TAG}"), &hash))
        .await?;
    found.retain(|snapshot| {
        let has_name = |tag: &Tag| tag.key == NAME_TAG && tag.value == plan.name;
        snapshot.tags.iter().any(has_name)
    });
    let with_state = |state: &str| found.iter().find(|snapshot| snapshot.state == state);
    let Some(snapshot) = with_state("completed").or_else(|| with_state("pending")) else {
        return Ok(None);
    };
    record.token()?;
    record.started(&snapshot.id)?;
    if snapshot.state == "completed" {
        record.completed()?;
    }
    Ok(Some(snapshot.id.clone()))
}

async fn start(plan: &Plan, client: &Client, record: &mut Record) -> Result<String, Failure> {
    let (tags, token) = (plan.tags(), record.token()?);
    let id = client
        .start_snapshot(&NewSnapshot {
            volume_gib: plan.volume_gib(),
            token: &token,
            description: &format!("{} (sdbuild)", plan.name),
            tags: &tags,
        })
        .await?;
    record.started(&id)?;
    Ok(id)
}

/// Sends what the snapshot `id` lacks (`Phase::Publish`), and returns the hash of the disk that was read.
async fn send_blocks(
    plan: &Plan,
    client: &Client,
    id: &str,
    record: &mut Record,
    context: &Context,
) -> Result<Sha256Hash, Failure> {
    let before = record.sent.clone();
    let (to, from) = mpsc::channel(READ_AHEAD);
    let (path, inner) = (plan.request.image.clone(), context.clone());
    let reading = tokio::task::spawn_blocking(move || blocks::send(&path, &to, &inner));
    let next =
        |mut from: mpsc::Receiver<Block>| async { from.recv().await.map(|block| (block, from)) };
    let lacking = stream::unfold(from, next)
        .filter(|block| std::future::ready(before.get(&block.index) != Some(&block.hash)));
    let pace = Pace::new(pace::SLOW);
    let sending = lacking.map(async |block: Block| {
        let put = client.put_block(id, block.index, block.data, block.hash);
        pace.run(put).await.map(|()| (block.index, block.hash))
    });
    let mut sending = std::pin::pin!(sending.buffer_unordered(pace::AT_MOST));
    let report = |blocks: usize| {
        let done = (blocks as u64).saturating_mul(BLOCK_BYTES as u64);
        context
            .events
            .bytes(Phase::Publish, done, Some(plan.bytes()));
    };
    report(before.len());
    while let Some(sent) = sending.next().await {
        let (index, hash) = sent?;
        record.sent(index, hash)?;
        report(record.sent.len());
    }
    let read = reading.await.or_internal("read the image")?;
    read.map_err(|error| error.fail("read the image"))
}
