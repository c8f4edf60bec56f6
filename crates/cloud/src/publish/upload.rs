//! Sends the blocks of an image to a snapshot, many at a time.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::stream::{self, StreamExt as _};
use sdbuild_core::context::Context;
use sdbuild_core::event::Phase;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::hash::{Hasher, Sha256Hash};
use sdbuild_image::{ImageFile, ImageKind};
use tokio::sync::Semaphore;
use tokio::sync::mpsc::{self, Sender};

use crate::aws::{BLOCK_BYTES, Client, Error, NewSnapshot, Tag};
use crate::publish::plan::{HASH_TAG, NAME_TAG, Plan};
use crate::publish::record::Record;

/// Until a snapshot is complete whose completion AWS refused: it was asked for before, or the refusal counts.
const COMPLETION_LIMIT: Duration = Duration::from_mins(2);
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
    let reading = tokio::task::spawn_blocking(move || send(&path, &to, &inner));
    let next =
        |mut from: mpsc::Receiver<Block>| async { from.recv().await.map(|block| (block, from)) };
    let lacking = stream::unfold(from, next)
        .filter(|block| std::future::ready(before.get(&block.index) != Some(&block.hash)));
    let pace = Pace::new(SLOW);
    let sending = lacking.map(async |block: Block| {
        let put = client.put_block(id, block.index, block.data, block.hash);
        pace.run(put).await.map(|()| (block.index, block.hash))
    });
    let mut sending = std::pin::pin!(sending.buffer_unordered(AT_MOST));
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
    let progress = |done| {
        context
            .events
            .bytes(Phase::ReadImage, done, Some(image.size));
    };
    let mut reader = image.reader(&context.cancel, &progress)?;
    let (mut hasher, mut size, mut blocks) = (Hasher::new(), 0_u64, 0);
    let mut buffer = vec![0; BLOCK_BYTES];
    loop {
        let length = reader.fill(&mut buffer)?;
        let filled = buffer.get(..length).unwrap_or_default();
        hasher.update(filled);
        size = size.saturating_add(length as u64);
        blocks += u64::from(!is_zero(filled));
        if length < BLOCK_BYTES {
            break;
        }
    }
    let sha256 = hasher.finish().sha256;
    Ok(DiskFacts {
        sha256,
        size,
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
    let mut reader = image.reader(&context.cancel, &|_| ())?;
    let mut hasher = Hasher::new();
    for index in 0.. {
        let mut buffer = vec![0; BLOCK_BYTES];
        let length = reader.fill(&mut buffer)?;
        hasher.update(buffer.get(..length).unwrap_or_default());
        if !is_zero(&buffer) {
            let block = Block {
                index,
                hash: Sha256Hash::of(&buffer),
                data: Bytes::from(buffer),
            };
            if to.blocking_send(block).is_err() {
                break;
            }
        }
        if length < BLOCK_BYTES {
            break;
        }
    }
    Ok(hasher.finish().sha256)
}

/// Whether a block, or a shorter rest, has nothing but zeros. Comparing is many times as fast as looking at each byte, and as many
/// zeros as a block has would be half a megabyte of the program.
fn is_zero(block: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    block
        .chunks(ZEROS.len())
        .all(|chunk| ZEROS.starts_with(chunk))
}

/// At the beginning: a call may take two minutes, and four blocks of 512 KiB take as long at 140 kbit/s.
const AT_FIRST: usize = 4;
/// AWS advises some 100 connections for its full speed; each holds half a MiB here.
pub(super) const AT_MOST: usize = 48;
/// A call that takes longer shows that the line is full.
pub(super) const SLOW: Duration = Duration::from_secs(20);

/// Lets more calls run at a time while they are fast, and fewer while they are slow: if many shared a slow line, all of them
/// would reach the time limit of a call together, and be sent again.
#[derive(Debug)]
pub(super) struct Pace {
    free: Semaphore,
    allowed: AtomicUsize,
    slow: Duration,
}

impl Pace {
    /// Fewer calls run at a time after one that took `slow` or longer.
    pub(super) fn new(slow: Duration) -> Self {
        Self {
            slow,
            free: Semaphore::new(AT_FIRST),
            allowed: AtomicUsize::new(AT_FIRST),
        }
    }

    /// Runs `call` as soon as one more may run.
    pub(super) async fn run<T>(&self, call: impl Future<Output = T>) -> T {
        let permit = self.free.acquire().await;
        let started = Instant::now();
        let result = call.await;
        let change = |next: fn(usize) -> Option<usize>| {
            let order = Ordering::Relaxed;
            self.allowed.fetch_update(order, order, next).is_ok()
        };
        if started.elapsed() < self.slow {
            if change(|allowed| (allowed < AT_MOST).then_some(allowed + 1)) {
                self.free.add_permits(1);
            }
        } else if change(|allowed| (allowed > 1).then_some(allowed - 1))
            && let Ok(permit) = permit
        {
            permit.forget();
        }
        result
    }
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

#[cfg(test)]
mod pace_tests {
    use futures_util::future::join_all;

    use super::*;

    /// The most calls that ran at a time, of `calls` that take `took` each.
    async fn most_at_a_time(pace: &Pace, calls: usize, took: Duration) -> usize {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let call = async || {
            let now = running.fetch_add(1, Ordering::Relaxed) + 1;
            most.fetch_max(now, Ordering::Relaxed);
            tokio::time::sleep(took).await;
            running.fetch_sub(1, Ordering::Relaxed);
        };
        join_all((0..calls).map(|_| pace.run(call()))).await;
        most.into_inner()
    }

    #[tokio::test]
    async fn fast_calls_become_more_and_are_bounded() {
        let pace = Pace::new(Duration::from_mins(1));
        let fast = Duration::from_millis(1);
        assert_eq!(most_at_a_time(&pace, 4, fast).await, 4);
        assert_eq!(most_at_a_time(&pace, 300, fast).await, AT_MOST);
    }

    #[tokio::test]
    async fn after_slow_calls_one_at_a_time_is_left() {
        let pace = Pace::new(Duration::ZERO);
        let took = Duration::from_millis(1);
        assert_eq!(most_at_a_time(&pace, 9, took).await, 4);
        assert_eq!(most_at_a_time(&pace, 9, took).await, 1);
    }
}
