//! The container in which `debugfs` and `mtools` run: one for each file system, which is removed whatever happens.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::timeout;
use sdbuild_engine::{
    Attached, ContainerGuard, ContainerSpec, Drained, Engine, Input, Lines, OutputChunk, Role,
    RunId,
};

use crate::blocks::{self, Blocks, append_file};
use crate::plan::Partition;

/// The user of the container.
const USER: &str = "1000:1000";
/// The limit of processes: the script and one program.
const PIDS_LIMIT: i64 = 32;
/// Memory of the programs, besides the file system in memory, in bytes.
const PROGRAM_BYTES: u64 = 256 << 20;
/// Bytes by which a file system's own structures may grow: copies of descriptors, new directories.
const GROWTH_BYTES: u64 = 64 << 20;
/// The last lines of the programs' messages that are kept, and characters of each.
const MAX_LINES: usize = 8;
const MAX_LINE_CHARS: usize = 1000;
/// How long the programs may neither take nor give anything.
const SILENCE: Duration = Duration::from_mins(2);
/// Bytes that are sent at once.
const SENT_BYTES: usize = 1 << 20;

/// The engine that runs the programs.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The engine.
    pub engine: Engine,
    /// The run that the container belongs to.
    pub run: RunId,
    /// The reference of the container image, which the engine has.
    pub image: String,
}

impl Tools {
    /// Puts the files of `partition` into its skeleton; returns that.
    pub(super) async fn put(
        &self,
        partition: &Partition,
        context: &Context,
    ) -> Result<Blocks, Failure> {
        let archive = archive(partition).or_internal("pack the files")?;
        let lengths = partition.files.values().map(|put| put.content.len() as u64);
        let sent = archive.len() as u64;
        let max = sent
            .saturating_add(lengths.sum())
            .saturating_add(GROWTH_BYTES);
        let memory = max.saturating_mul(2);
        let command = ["/bin/busybox", "sh", "/sdbuild/put"].map(str::to_owned);
        let spec = ContainerSpec {
            user: Some(USER.to_owned()),
            input: Input::Pipe,
            read_only: true,
            tmpfs: vec![("/work".to_owned(), format!("size={memory},mode=1777"))],
            pids_limit: Some(PIDS_LIMIT),
            memory: self
                .engine
                .facts()
                .limits_memory
                .then(|| memory + PROGRAM_BYTES),
            ..ContainerSpec::new(Role::Card, &self.run, &self.image, command.to_vec())
        };
        let guard = ContainerGuard::arm(&self.engine, &spec.name).grace(0);
        let work = async |guard: &mut ContainerGuard| {
            let answer = exchange(guard, &spec, archive, max).await?;
            partition
                .skeleton
                .changed(answer.as_slice(), max)
                .or_environment("read the container's answer")
        };
        guard
            .run("put the files onto the card", &context.cancel, work)
            .await
    }
}

/// What is sent to the container.
pub(super) fn archive(partition: &Partition) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    partition.skeleton.append_to(&mut out)?;
    let lines = |paths: &mut dyn Iterator<Item = &String>| {
        paths
            .flat_map(|path| [path.as_str(), "\n"])
            .collect::<String>()
    };
    if partition.is_fat {
        append_file(
            &mut out,
            "directories",
            lines(&mut partition.dirs.iter()).as_bytes(),
        )?;
        append_file(
            &mut out,
            "files",
            lines(&mut partition.files.keys()).as_bytes(),
        )?;
    } else {
        append_file(&mut out, "commands", partition.commands().as_bytes())?;
    }
    for (number, put) in partition.files.values().enumerate() {
        append_file(&mut out, &number.to_string(), &put.content)?;
    }
    blocks::end(&mut out)?;
    Ok(out)
}

/// Runs the container with `archive` as its input; returns its output, of at most `max` bytes and the headers of an archive.
async fn exchange(
    guard: &mut ContainerGuard,
    spec: &ContainerSpec,
    archive: Vec<u8>,
    max: u64,
) -> Result<Vec<u8>, Failure> {
    let container = guard.create(spec).await?;
    let Attached { mut input, output } = container.attach().await?;
    container.start().await?;
    let pieces = AtomicUsize::new(0);
    let send = async {
        for piece in archive.chunks(SENT_BYTES) {
            input.write(piece).await?;
            pieces.fetch_add(1, Ordering::Relaxed);
        }
        input.end().await
    };
    let receive = async {
        let mut drain = container.drain(output);
        let (mut answer, mut lines, mut last) = (Vec::new(), Lines::default(), Vec::new());
        loop {
            let next = unless_silent(SILENCE, &pieces, drain.next()).await;
            let next = next.ok_or_else(|| silent(spec));
            match next?? {
                Drained::Chunk(OutputChunk::Stdout(bytes)) => {
                    answer.extend_from_slice(&bytes);
                    if answer.len() as u64 > max.saturating_add(max / 8) {
                        return Err(Failure::environment(
                            "its container wrote more than can have changed",
                        ));
                    }
                }
                Drained::Chunk(OutputChunk::Stderr(bytes)) => {
                    last.extend(lines.push(&bytes));
                    keep_last(&mut last);
                }
                Drained::End { exit, incomplete } => {
                    if exit.code != 0 {
                        last.extend(lines.finish());
                        keep_last(&mut last);
                        return Err(failed(exit.code, &last));
                    }
                    return match incomplete {
                        Some(error) => Err(error.into()),
                        None => Ok(answer),
                    };
                }
            }
        }
    };
    // A container that ended early takes no more input, and what it says is the reason; one that hangs takes none either.
    match select(Box::pin(receive), Box::pin(send)).await {
        Either::Left((answer, _)) => answer,
        Either::Right((written, receive)) => {
            let answer = receive.await?;
            written?;
            Ok(answer)
        }
    }
}

fn silent(spec: &ContainerSpec) -> Failure {
    let (name, limit) = (&spec.name, SILENCE.as_secs());
    let text = format!("the container {name} neither took nor gave anything for {limit} s");
    Failure::environment(text)
}

fn failed(code: i64, last: &[String]) -> Failure {
    let said = last.join("; ");
    let text = format!("the programs that write file systems failed ({code}): {said}");
    Failure::environment(text)
}

/// The output of `work`; `None` if for `limit` neither that ended nor `sent` changed.
async fn unless_silent<T>(
    limit: Duration,
    sent: &AtomicUsize,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    loop {
        let before = sent.load(Ordering::Relaxed);
        let output = timeout(limit, work.as_mut()).await;
        if output.is_some() || sent.load(Ordering::Relaxed) == before {
            return output;
        }
    }
}

/// Keeps the end of `lines`, and the start of each.
fn keep_last(lines: &mut Vec<String>) {
    lines.drain(..lines.len().saturating_sub(MAX_LINES));
    for line in lines {
        if let Some((end, _)) = line.char_indices().nth(MAX_LINE_CHARS) {
            line.truncate(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn a_container_that_neither_takes_nor_gives_anything_is_not_waited_for() {
        let sent = AtomicUsize::new(0);
        assert_eq!(unless_silent(LIMIT, &sent, pending::<()>()).await, None);
        let slow = async {
            for _ in 0..8 {
                sleep(LIMIT / 4).await;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            3
        };
        assert_eq!(unless_silent(LIMIT, &sent, slow).await, Some(3));
    }

    #[test]
    fn of_what_the_programs_say_little_is_kept() {
        let mut lines: Vec<_> = (0..20)
            .map(|n| format!("{n}{}", "\u{e9}".repeat(5000)))
            .collect();
        keep_last(&mut lines);
        assert!(lines.len() == MAX_LINES && lines[0].starts_with("12"));
        assert!(
            lines
                .iter()
                .all(|line| line.chars().count() == MAX_LINE_CHARS)
        );
    }
}
