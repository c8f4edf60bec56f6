//! Sends the blocks of an image to a snapshot, many at a time.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hashed, Hasher, Sha256Hash};
use sdbuild_image::{ImageFile, ImageKind};
use tokio::sync::mpsc::{self, Sender};

use crate::aws::{BLOCK_BYTES, Client, Error, Tag};
use crate::publish::plan::{HASH_TAG, NAME_TAG, Plan};
use crate::publish::record::Record;

/// Until a snapshot is complete whose completion AWS refused: it was asked for before, or the refusal counts.
const COMPLETION_LIMIT: Duration = Duration::from_mins(2);
/// Blocks of 512 KiB that are sent at a time: together they take the two minutes of a call on a line of 0.6 Mbit/s.
const AT_A_TIME: usize = 16;
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
    if record.progress().is_complete {
        return Ok(id);
    }
    if record.progress().is_completing {
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
    let hashes: Vec<Sha256Hash> = record.progress().sent.values().copied().collect();
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
    let Some(id) = record.progress().snapshot.clone() else {
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
    let description = format!("{} (sdbuild)", plan.name);
    let started = client.start_snapshot(plan.volume_gib(), &token, &description, &tags);
    let id = started.await?;
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
    let before = record.progress().sent.clone();
    let (to, from) = mpsc::channel(READ_AHEAD);
    let (path, inner) = (plan.request.image.clone(), context.clone());
    let reading = tokio::task::spawn_blocking(move || send(&path, &to, &inner));
    let next =
        |mut from: mpsc::Receiver<Block>| async { from.recv().await.map(|block| (block, from)) };
    let lacking = stream::unfold(from, next)
        .filter(|block| std::future::ready(before.get(&block.index) != Some(&block.hash)));
    let sending = lacking.map(async |block: Block| {
        let put = client.put_block(id, block.index, block.data, block.hash);
        put.await.map(|()| (block.index, block.hash))
    });
    let mut sending = std::pin::pin!(sending.buffer_unordered(AT_A_TIME));
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
        report(record.progress().sent.len());
    }
    let read = reading.await.or_internal("read the image")?;
    read.map_err(|error| error.fail("read the image"))
}

/// A block that is not all zeros.
#[derive(Clone, Debug)]
pub(super) struct Block {
    /// Its place in the disk, in blocks.
    pub(super) index: u64,
    /// Its bytes; the last one of an image is filled up with zeros.
    pub(super) data: Bytes,
    /// The hash of `data`.
    pub(super) hash: Sha256Hash,
}

/// What a whole image comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskFacts {
    /// The SHA-256 of the disk.
    pub sha256: Sha256Hash,
    /// Its length in bytes.
    pub size: u64,
    /// Blocks that are not all zeros.
    pub blocks: u64,
}

/// Reads the image at `path` once (`Phase::ReadImage`). Blocks its thread.
pub(super) fn facts(path: &Path, context: &Context) -> Result<DiskFacts, sdbuild_image::Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let report = |done| {
        let events = &context.events;
        events.bytes(Phase::ReadImage, done, Some(image.size));
    };
    let mut blocks = 0;
    let read = read_blocks(&image, context, &report, |_, _| {
        blocks += 1;
        true
    })?;
    Ok(DiskFacts {
        sha256: read.sha256,
        size: read.size,
        blocks,
    })
}

/// Sends the blocks of the image at `path` that are not all zeros, in order, until the receiver is closed, and returns the hash of what
/// was read. Blocks its thread.
pub(super) fn send(
    path: &Path,
    to: &Sender<Block>,
    context: &Context,
) -> Result<Sha256Hash, sdbuild_image::Error> {
    let image = ImageFile::open(path, ImageKind::File)?;
    let read = read_blocks(&image, context, &|_| (), |index, bytes| {
        let block = Block {
            index,
            hash: Sha256Hash::of(&bytes),
            data: Bytes::from(bytes),
        };
        to.blocking_send(block).is_ok()
    });
    Ok(read?.sha256)
}

/// Calls `take` with each block of `image` that is not all zeros, and its place, until it returns `false`. Returns the hash and the length
/// of what was read.
fn read_blocks(
    image: &ImageFile,
    context: &Context,
    report: &dyn Fn(u64),
    mut take: impl FnMut(u64, Vec<u8>) -> bool,
) -> Result<Hashed, sdbuild_image::Error> {
    let mut reader = image.reader(&context.cancel, &report)?;
    let mut hasher = Hasher::new();
    for index in 0.. {
        let mut buffer = vec![0; BLOCK_BYTES];
        let length = reader.fill(&mut buffer)?;
        hasher.update(buffer.get(..length).unwrap_or_default());
        let goes_on = is_zero(&buffer) || take(index, buffer);
        if !goes_on || length < BLOCK_BYTES {
            break;
        }
    }
    Ok(hasher.finish())
}

/// Whether a block, or a shorter rest, has nothing but zeros. Comparing is many times as fast as looking at each byte, and as many
/// zeros as a block has would be half a megabyte of the program.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block
        .chunks(ZEROS.len())
        .all(|chunk| ZEROS.starts_with(chunk))
}

/// A random token: 32 hexadecimal digits.
pub(super) fn random() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| {
        Failure::environment(format!("the system has no random numbers: {error}"))
    })?;
    Ok(hex::encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_zero_to_its_last_byte() {
        let mut block = vec![0; BLOCK_BYTES];
        for length in [0, 100, 4096, 5000, BLOCK_BYTES] {
            assert!(is_zero(&block[..length]));
        }
        block[BLOCK_BYTES - 1] = 1;
        assert!(!is_zero(&block) && is_zero(&block[..BLOCK_BYTES - 1]));
    }
}
