//! QEMU in a container, for hosts without QEMU: the container, the files that are copied into it, and its keyboard.
//!
//! The container mounts no path of the host: image and firmware are copied into it, decompressed, in one stream of any size. Its
//! standard input carries nothing; when it is closed, because sdbuild ended, the container ends and removes itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::io::{Read, Seek as _, SeekFrom, Write};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use futures_util::StreamExt as _;
use tokio::sync::mpsc;

use crate::process::QemuOutput;
use crate::qemu;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::disk_space;
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::failure::{Failure, Leftover, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Engine, EngineError, HostPort, Input,
    Lifetime, Lines, Network, OutputChunk, PublishedPort, Role, RunId,
};
use sdbuild_image::MAX_IMAGE_BYTES;

/// The port inside the container that leads to the machine's SSH.
pub(super) const SSH_PORT: u16 = 2222;
/// The limit of processes: QEMU's threads, of which it starts a few dozen, and some room.
const PIDS_LIMIT: i64 = 256;
/// What QEMU needs besides the machine's memory, in bytes: up to 1 GiB of it for translated code.
const QEMU_MEMORY_BYTES: u64 = 1536 << 20;
/// The start of the last line that the container's script writes; QEMU's exit code follows.
const ENDED_PREFIX: &str = "sdbuild: ended with ";

/// How to run QEMU in a container.
#[derive(Debug)]
pub struct ContainerOptions {
    /// The engine.
    pub engine: Engine,
    /// The run that the container belongs to.
    pub run: RunId,
    /// The reference of the container image, which the engine has.
    pub image: String,
    /// Where the engine stores containers, when that is a directory of this machine.
    pub disk: Option<PathBuf>,
    /// The terminal that shows the console.
    pub screen: File,
}

impl ContainerOptions {
    /// The memory limit of the container in bytes, where the engine can enforce one.
    fn memory_limit(&self, machine: &qemu::Machine) -> Option<u64> {
        let can_limit = self.engine.facts().limits_memory;
        can_limit.then(|| (u64::from(machine.memory_mib) << 20) + QEMU_MEMORY_BYTES)
    }

    fn spec(&self, machine: &qemu::Machine, port: Option<HostPort>) -> ContainerSpec {
        let program = format!("/usr/bin/{}", qemu::program_name(machine.model));
        let mut command = ["/bin/busybox", "sh", "/sdbuild/machine", &program]
            .map(str::to_owned)
            .to_vec();
        let argv = qemu::argv(machine);
        command.extend(argv.iter().map(|word| word.to_string_lossy().into_owned()));
        ContainerSpec {
            user: Some(format!("{QEMU_UID}:{QEMU_UID}")),
            input: Input::Pipe,
            // As with QEMU on the host, the machine reaches the networks of its host.
            network: Network::Default,
            ports: port.map(published).into_iter().collect(),
            lifetime: Lifetime::UntilEnded,
            pids_limit: Some(PIDS_LIMIT),
            memory: self.memory_limit(machine),
            ..ContainerSpec::new(Role::Emulator, &self.run, &self.image, command)
        }
    }
}

fn published(host: HostPort) -> PublishedPort {
    PublishedPort {
        host,
        container: SSH_PORT,
    }
}

/// A running QEMU in its container.
#[derive(Debug)]
pub(super) struct ContainerQemu {
    guard: ContainerGuard,
    container: Box<Container>,
    // Nothing is written to its input: closing it ends the container.
    attached: Attached,
    stderr: Lines,
    pending: VecDeque<QemuOutput>,
    status: Option<ExitStatus>,
    /// The port on 127.0.0.1 that leads to the machine's SSH; `None` without one, and when the container ended at once.
    pub(super) ssh_port: Option<u16>,
}

/// Creates a container for `machine`, copies its `files` into [`MACHINE_DIR`] (`Phase::CopyIn`) and starts it. `port` is the port
/// on 127.0.0.1 that leads to [`SSH_PORT`].
pub(super) async fn start(
    options: &ContainerOptions,
    machine: &qemu::Machine,
    files: MachineFiles,
    port: Option<HostPort>,
    context: &Context,
) -> Result<ContainerQemu, Failure> {
    let spec = options.spec(machine, port);
    let mut guard = ContainerGuard::arm(&options.engine, &spec.name).grace(0);
    let start = async {
        let container = guard.create(&spec).await?;
        copy_in(&container, files, options.disk.as_deref(), context).await?;
        let attached = container.attach().await?;
        container.start().await?;
        let ssh_port = match port {
            Some(_) => container.host_port(SSH_PORT).await?,
            None => None,
        };
        Ok::<_, Failure>((container, attached, ssh_port))
    };
    let cancel = &context.cancel;
    match cancel.race(Box::pin(start)).await.and_then(|inner| inner) {
        Ok((container, attached, ssh_port)) => Ok(ContainerQemu {
            guard,
            container: Box::new(container),
            attached,
            stderr: Lines::default(),
            pending: VecDeque::new(),
            status: None,
            ssh_port,
        }),
        Err(failure) => {
            let leftover = guard.remove(cancel).await.into_iter().collect();
            Err(start_failure(failure).with_teardown(leftover))
        }
    }
}

/// Adds a hint when the requested port was taken meanwhile, for which engines have two messages.
fn start_failure(failure: Failure) -> Failure {
    let text = failure.to_string();
    let messages = ["port is already allocated", "address already in use"];
    let failure = failure.context("start the emulator");
    if messages.iter().any(|message| text.contains(message)) {
        return failure.hint("another program has just taken the port: try again");
    }
    failure
}

impl ContainerQemu {
    /// The next output. Cancel safe.
    pub(super) async fn next_output(&mut self) -> Result<QemuOutput, Failure> {
        loop {
            if let Some(output) = self.pending.pop_front() {
                return Ok(output);
            }
            match self.attached.output.next().await.transpose()? {
                Some(OutputChunk::Stdout(bytes)) => return Ok(QemuOutput::Console(bytes.to_vec())),
                Some(OutputChunk::Stderr(bytes)) => {
                    for line in self.stderr.push(&bytes) {
                        self.keep_line(&line);
                    }
                }
                None => return self.ended(),
            }
        }
    }

    /// Takes a line of standard error: QEMU's, or the exit code from the script.
    fn keep_line(&mut self, line: &str) {
        if let Some(code) = line
            .strip_prefix(ENDED_PREFIX)
            .and_then(|code| code.parse().ok())
        {
            self.status = Some(exit_status(code));
        } else {
            let line = format!("{line}\n").into_bytes();
            self.pending.push_back(QemuOutput::Stderr(line));
        }
    }

    fn ended(&self) -> Result<QemuOutput, Failure> {
        let status = self.status.ok_or_else(|| {
            Failure::environment("the emulator's container was removed, or its engine ended")
        })?;
        Ok(QemuOutput::Ended(status))
    }

    /// The keyboard of the machine's console.
    pub(super) fn keyboard(&self) -> Keyboard {
        Keyboard(Container::clone(&self.container))
    }

    /// Kills and removes the container.
    pub(super) async fn remove(self, cancel: &Cancel) -> Option<Leftover> {
        drop(self.attached);
        self.guard.remove(cancel).await
    }
}

/// The exit status behind a shell's exit code, in which 128 + n is signal n.
fn exit_status(code: u8) -> ExitStatus {
    ExitStatus::from_raw(match code {
        129..=192 => i32::from(code - 128),
        code => i32::from(code) << 8,
    })
}

/// The directory in the container for the copies and for what the machine writes.
pub(super) const MACHINE_DIR: &str = "/machine";
/// The user that runs QEMU in the container.
const QEMU_UID: u64 = 1000;

/// Files for QEMU, with their names in [`MACHINE_DIR`].
pub(super) type MachineFiles = Vec<(&'static str, File)>;

const SPACE_HINT: &str = "the engine's disk needs room for the whole image, unpacked";

/// Copies `files` (`Phase::CopyIn`). `storage` is the directory where the engine stores containers, when it is on this machine:
/// its free space is checked first.
async fn copy_in(
    container: &Container,
    mut files: MachineFiles,
    storage: Option<&Path>,
    context: &Context,
) -> Result<(), Failure> {
    check_space(files.iter_mut().map(|(_, file)| file), storage)?;
    let progress = context.events.clone();
    let pack = move |out: &mut dyn Write| {
        let mut tar = tar::Builder::new(out);
        for (name, file) in files {
            append(&mut tar, name, file, &progress)?;
        }
        tar.finish()
    };
    let upload = async {
        let uploaded = container.upload(MACHINE_DIR, pack).await;
        uploaded.map_err(upload_failure)
    };
    context.phase(Phase::CopyIn, upload).await
}

/// Checks that the disk of `storage` has space for `files`, whose holes are not preserved there.
fn check_space<'a>(
    files: impl Iterator<Item = &'a mut File>,
    storage: Option<&Path>,
) -> Result<(), Failure> {
    let Some(free) = storage.and_then(disk_space::free_space) else {
        return Ok(());
    };
    let sizes = files.map(|file| file.seek(SeekFrom::End(0)));
    let size: u64 = sizes
        .sum::<io::Result<u64>>()
        .or_environment("read the image")?;
    if size <= free {
        return Ok(());
    }
    let (size, free) = (human_bytes(size), human_bytes(free));
    let text = format!("the unpacked image has {size}, but the engine's disk has only {free} free");
    Err(Failure::environment(text).hint(SPACE_HINT))
}

fn upload_failure(error: EngineError) -> Failure {
    let is_full = error.to_string().contains("no space left on device");
    let failure = Failure::from(error);
    if is_full {
        failure.hint(SPACE_HINT)
    } else {
        failure
    }
}

fn append(
    tar: &mut tar::Builder<&mut dyn Write>,
    name: &str,
    mut file: File,
    events: &Events,
) -> io::Result<()> {
    // The metadata of a block device do not have its size.
    let total = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if total > MAX_IMAGE_BYTES {
        let text = format!("the image is longer than {MAX_IMAGE_BYTES} bytes");
        return Err(io::Error::other(text));
    }
    let mut header = tar::Header::new_gnu();
    header.set_mode(0o600);
    header.set_uid(QEMU_UID);
    header.set_gid(QEMU_UID);
    header.set_mtime(1);
    header.set_size(total);
    let exact = ExactReader {
        file,
        done: 0,
        total,
        events,
    };
    tar.append_data(&mut header, name, exact)
}

/// Reads exactly `total` bytes of a file: one that shrinks meanwhile is an error, not a broken archive.
struct ExactReader<'a> {
    file: File,
    done: u64,
    total: u64,
    events: &'a Events,
}

impl Read for ExactReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let rest = self.total - self.done;
        let n = Read::by_ref(&mut self.file).take(rest).read(buffer)?;
        if n == 0 && rest > 0 && !buffer.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.done += n as u64;
        self.events
            .bytes(Phase::CopyIn, self.done, Some(self.total));
        Ok(n)
    }
}

/// Ctrl-A, the prefix of QEMU's own commands.
const ESCAPE_PREFIX: u8 = 1;

/// The keyboard of a machine in a container: a second program in it, because a machine that reads no keys
/// would block a shared standard input, and with it the detection of its end.
#[derive(Clone, Debug)]
pub(super) struct Keyboard(Container);

impl Keyboard {
    /// Connects; dropping the result disconnects.
    pub(super) async fn connect(&self) -> Result<Attached, EngineError> {
        let program = ["/bin/busybox", "sh", "/sdbuild/keys"];
        self.0.exec(program.map(str::to_owned).to_vec()).await
    }
}

/// Forwards `keys` with `press` until Ctrl-A X. That is detected here: QEMU reads no further, and does not
/// see it, while the machine leaves earlier keys unread.
pub(super) async fn forward_keys<E>(
    mut keys: mpsc::Receiver<Vec<u8>>,
    mut press: impl AsyncFnMut(&[u8]) -> Result<(), E>,
) {
    let (mut escape, mut is_connected) = (EscapeDetector::default(), true);
    while let Some(typed) = keys.recv().await {
        if escape.ends_in(&typed) {
            return;
        }
        // A lost connection means that the machine or the engine ended; the console reports which.
        is_connected = is_connected && press(&typed).await.is_ok();
    }
    std::future::pending::<()>().await;
}

/// Detects Ctrl-A X in pieces of any size.
#[derive(Debug, Default)]
struct EscapeDetector {
    has_prefix: bool,
}

impl EscapeDetector {
    fn ends_in(&mut self, typed: &[u8]) -> bool {
        typed.iter().any(|key| {
            let ends = self.has_prefix && key.eq_ignore_ascii_case(&b'x');
            // A second prefix is sent to the machine.
            self.has_prefix = !self.has_prefix && *key == ESCAPE_PREFIX;
            ends
        })
    }
}

#[cfg(test)]
mod tests;
