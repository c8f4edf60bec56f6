//! QEMU in a container, for hosts without QEMU.
//!
//! The container mounts no path of the host: image and firmware are copied into it. Its standard input
//! carries nothing; when it is closed, because sdbuild ended, the container ends and removes itself.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use futures_util::StreamExt as _;

use crate::boot::copy_in::{FIRMWARE_NAME, MACHINE_DIR, QEMU_UID, copy_in, image_in_container};
use crate::boot::disk::Disk;
use crate::boot::keyboard::Keyboard;
use crate::boot::qemu::{self, Forward, Serial};
use crate::boot::qemu_output::QemuOutput;
use crate::boot::request::BootRequest;
use crate::boot::seed_disk::SeedDisk;
use crate::boot::start_files::StartFiles;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::failure::{Failure, Leftover, OrFail as _};
use crate::engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Engine, HostPort, Input, Lifetime, Lines,
    Network, OutputChunk, PublishedPort, Role, RunId,
};

/// The port inside the container that leads to the machine's SSH.
const SSH_PORT: u16 = 2222;
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
    fn memory_limit(&self, request: &BootRequest) -> Option<u64> {
        let can_limit = self.engine.facts().limits_memory;
        can_limit.then(|| (u64::from(request.memory_mib) << 20) + QEMU_MEMORY_BYTES)
    }

    fn spec(&self, wanted: &ContainerMachine<'_>) -> ContainerSpec {
        let (request, port) = (wanted.request, wanted.port);
        let firmware = match (&request.firmware, request.own_firmware()) {
            (Some(_), _) => Some(format!("{MACHINE_DIR}/{FIRMWARE_NAME}").into()),
            (None, Some(firmware)) => Some(firmware.container_path.into()),
            (None, None) => None,
        };
        let machine = qemu::Machine {
            model: request.model,
            kvm: false,
            host_cores: self.engine.facts().cpus,
            firmware,
            memory_mib: request.memory_mib,
            disk: image_in_container(),
            form: wanted.disk.form(),
            start: wanted.start.map(StartFiles::in_container),
            seed: wanted.seed.map(|_| SeedDisk::in_container()),
            ssh: port.map(|_| Forward {
                from: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SSH_PORT),
                to: request.ssh_port,
            }),
            serial: wanted.serial,
        };
        let program = format!("/usr/bin/{}", qemu::program_name(request.model));
        let mut command = ["/bin/busybox", "sh", "/sdbuild/machine", &program]
            .map(str::to_owned)
            .to_vec();
        let argv = qemu::argv(&machine);
        command.extend(argv.iter().map(|word| word.to_string_lossy().into_owned()));
        ContainerSpec {
            user: Some(format!("{QEMU_UID}:{QEMU_UID}")),
            input: Input::Pipe,
            // As with QEMU on the host, the machine reaches the networks of its host.
            network: Network::Default,
            ports: port.map(published).into_iter().collect(),
            lifetime: Lifetime::UntilEnded,
            pids_limit: Some(PIDS_LIMIT),
            memory: self.memory_limit(request),
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

/// A machine for a container to run.
#[derive(Debug)]
pub(super) struct ContainerMachine<'a> {
    pub(super) request: &'a BootRequest,
    pub(super) disk: &'a Disk,
    /// What a board's firmware would have loaded, for a machine without firmware.
    pub(super) start: Option<&'a StartFiles>,
    /// The seed of cloud-init.
    pub(super) seed: Option<&'a SeedDisk>,
    /// The port on 127.0.0.1 that leads to the machine's SSH.
    pub(super) port: Option<HostPort>,
    pub(super) serial: Serial,
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

/// Creates the container, copies the image into it (`Phase::CopyIn`) and starts it.
pub(super) async fn start(
    options: &ContainerOptions,
    wanted: &ContainerMachine<'_>,
    context: &Context,
) -> Result<ContainerQemu, Failure> {
    let spec = options.spec(wanted);
    let more = more_files(wanted).or_environment("open the files of the machine again")?;
    let mut guard = ContainerGuard::arm(&options.engine, &spec.name).grace(0);
    let start = async {
        let container = guard.create(&spec).await?;
        let storage = options.disk.as_deref();
        copy_in(
            &container,
            wanted.request,
            wanted.disk,
            more,
            storage,
            context,
        )
        .await?;
        let attached = container.attach().await?;
        container.start().await?;
        let ssh_port = match wanted.port {
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

/// The files of the machine besides the image and the firmware, with their names in the container.
fn more_files(wanted: &ContainerMachine<'_>) -> io::Result<Vec<(&'static str, File)>> {
    let start = wanted.start.map(StartFiles::named_files).transpose()?;
    let seed = wanted.seed.map(SeedDisk::named_file).transpose()?;
    Ok(start.into_iter().flatten().chain(seed).collect())
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
        Keyboard::of(&self.container)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn port_taken_meanwhile_hints_at_a_retry() {
        let hints = |text: &str| start_failure(Failure::environment(text)).hints;
        for message in [
            "driver failed: Bind for 127.0.0.1:2222 failed: port is already allocated",
            "rootlessport listen tcp 127.0.0.1:2222: bind: address already in use",
        ] {
            assert!(hints(message).iter().any(|hint| hint.contains("try again")));
        }
        assert!(hints("no such image").is_empty());
    }

    #[test]
    fn exit_code_of_the_script_is_that_of_qemu() {
        assert!(exit_status(0).success());
        assert_eq!(exit_status(3).to_string(), "exit status: 3");
        assert_eq!(exit_status(137).signal(), Some(9));
    }
}
