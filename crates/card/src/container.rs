//! The container in which `debugfs` and `mtools` run: one for each file system, which is removed whatever happens.

use futures_util::future::join;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
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
/// The last lines of the programs' messages that are kept.
const MAX_LINES: usize = 8;

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
            let answer = exchange(guard, &spec, &archive, max).await?;
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
    archive: &[u8],
    max: u64,
) -> Result<Vec<u8>, Failure> {
    let container = guard.create(spec).await?;
    let Attached { mut input, output } = container.attach().await?;
    container.start().await?;
    let send = async {
        input.write(archive).await?;
        input.end().await
    };
    let receive = async {
        let mut drain = container.drain(output);
        let (mut answer, mut lines, mut last) = (Vec::new(), Lines::default(), Vec::new());
        loop {
            match drain.next().await? {
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
                    let old = last.len().saturating_sub(MAX_LINES);
                    last.drain(..old);
                }
                Drained::End { exit, incomplete } => {
                    if exit.code != 0 {
                        last.extend(lines.finish());
                        let text = format!(
                            "the programs that write file systems failed ({}): {}",
                            exit.code,
                            last.join("; ")
                        );
                        return Err(Failure::environment(text));
                    }
                    return match incomplete {
                        Some(error) => Err(error.into()),
                        None => Ok(answer),
                    };
                }
            }
        }
    };
    // A container that ended early takes no more input, and what it says is the reason.
    let (written, answer) = join(Box::pin(send), Box::pin(receive)).await;
    let answer = answer?;
    written?;
    Ok(answer)
}
