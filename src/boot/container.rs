//! QEMU in a container: for hosts that have none of their own.
//!
//! The container has no path of the host: image and firmware go in as copies. Its standard input is
//! its leash and nothing else; when it ends, the container does, and removes itself.

use std::collections::VecDeque;
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;

use futures_util::StreamExt as _;

use crate::boot::BootRequest;
use crate::boot::copy_in::{CARD, DIR, FIRMWARE, USER, copy_in};
use crate::boot::disk::Disk;
use crate::boot::keyboard::Keyboard;
use crate::boot::machine::QemuOutput;
use crate::boot::qemu::{self, Serial};
use crate::common::cancel::Cancel;
use crate::common::event::Events;
use crate::common::failure::{Failure, Leftover};
use crate::common::system::Architecture;
use crate::engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Engine, Input, Lifetime, Lines, Network,
    OutputChunk, Role, RunId,
};

/// What the image has of U-Boot.
const U_BOOT: &str = "/usr/lib/u-boot/qemu_arm64/u-boot.bin";
/// Leads to the machine's SSH, inside.
const SSH: u16 = 2222;
/// QEMU's threads, and room for more.
const PIDS: i64 = 256;
/// What QEMU takes beside the machine's memory: up to 1 GiB of it for what it has translated.
const OF_QEMU: u64 = 1536 << 20;
/// The script's last word.
const ENDED: &str = "sdbuild: ended with ";
/// A container image with QEMU in it, on an engine that holds it.
#[derive(Debug)]
pub struct Emulator {
    /// The engine.
    pub engine: Engine,
    /// Whose the container will be.
    pub run: RunId,
    /// Reference of the container image.
    pub image: String,
    /// Where the engine keeps containers, when that is a directory of this machine.
    pub disk: Option<PathBuf>,
    /// Where the console goes when a user has it.
    pub screen: File,
}

impl Emulator {
    /// The most that the container may take, where the engine can see to that.
    fn memory(&self, request: &BootRequest) -> Option<u64> {
        let can = self.engine.facts().limits_memory;
        can.then(|| (u64::from(request.memory_mib) << 20) + OF_QEMU)
    }

    fn spec(&self, request: &BootRequest, (port, serial): (Option<u16>, Serial)) -> ContainerSpec {
        let machine = qemu::Machine {
            architecture: request.architecture,
            kvm: false,
            firmware: match (&request.firmware, request.architecture) {
                (Some(_), _) => Some(format!("{DIR}/{FIRMWARE}").into()),
                (None, Architecture::Aarch64) => Some(U_BOOT.into()),
                (None, Architecture::X86_64) => None,
            },
            memory_mib: request.memory_mib,
            disk: format!("{DIR}/{CARD}").into(),
            ssh: port.map(|_| SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, SSH)),
            serial,
        };
        let program = format!(
            "/usr/bin/qemu-system-{}",
            request.architecture.kernel_name()
        );
        let mut command = ["/bin/busybox", "sh", "/sdbuild/machine", &program]
            .map(str::to_owned)
            .to_vec();
        let words = qemu::argv(&machine);
        command.extend(words.iter().map(|word| word.to_string_lossy().into_owned()));
        ContainerSpec {
            user: Some(format!("{USER}:{USER}")),
            input: Input::Pipe,
            // Like every QEMU's machine it may reach what its host can.
            network: Network::Default,
            ports: port.map(|port| (port, SSH)).into_iter().collect(),
            lifetime: Lifetime::UntilEnded,
            pids_limit: Some(PIDS),
            memory: self.memory(request),
            ..ContainerSpec::new(Role::Emulator, &self.run, &self.image, command)
        }
    }
}

/// QEMU in its container.
#[derive(Debug)]
pub(super) struct ContainerQemu {
    guard: ContainerGuard,
    container: Box<Container>,
    // Nothing is written to its input: that is the leash.
    attached: Attached,
    complaints: Lines,
    pieces: VecDeque<QemuOutput>,
    status: Option<ExitStatus>,
}

/// Makes the container, copies the image into it (`Phase::CopyIn`) and starts it.
pub(super) async fn start(
    emulator: &Emulator,
    (request, disk, serial): (&BootRequest, &Disk, Serial),
    port: Option<u16>,
    (cancel, events): (&Cancel, &Events),
) -> Result<ContainerQemu, Failure> {
    let spec = emulator.spec(request, (port, serial));
    let mut guard = ContainerGuard::arm(&emulator.engine, &spec.name).grace(0);
    let started = async {
        let container = guard.create(&spec).await?;
        let there = emulator.disk.as_deref();
        copy_in(&container, (request, disk, there), events).await?;
        let attached = container.attach().await?;
        container.start().await?;
        Ok::<_, Failure>((container, attached))
    };
    match cancel.race(Box::pin(started)).await.and_then(|inner| inner) {
        Ok((container, attached)) => Ok(ContainerQemu {
            guard,
            container: Box::new(container),
            attached,
            complaints: Lines::default(),
            pieces: VecDeque::new(),
            status: None,
        }),
        Err(failure) => {
            let left = guard.remove(cancel).await.into_iter().collect();
            Err(told(failure).with_teardown(left))
        }
    }
}

/// A start that failed; engines have two ways to say that the port is not free any more.
fn told(failure: Failure) -> Failure {
    let text = failure.to_string();
    let taken = ["port is already allocated", "address already in use"];
    let failure = failure.context("start the emulator");
    if taken.iter().any(|words| text.contains(words)) {
        return failure.hint("another program took the port just now: try again");
    }
    failure
}

impl ContainerQemu {
    /// What comes next. May be dropped at any time.
    pub(super) async fn piece(&mut self) -> Result<QemuOutput, Failure> {
        loop {
            if let Some(piece) = self.pieces.pop_front() {
                return Ok(piece);
            }
            match self.attached.output.next().await.transpose()? {
                Some(OutputChunk::Stdout(bytes)) => return Ok(QemuOutput::Console(bytes.to_vec())),
                Some(OutputChunk::Stderr(bytes)) => {
                    let lines = self.complaints.push(&bytes);
                    for line in lines {
                        self.said(&line);
                    }
                }
                None => return self.ended(),
            }
        }
    }

    fn said(&mut self, line: &str) {
        if let Some(code) = line.strip_prefix(ENDED).and_then(|code| code.parse().ok()) {
            self.status = Some(status(code));
        } else {
            let line = format!("{line}\n").into_bytes();
            self.pieces.push_back(QemuOutput::Stderr(line));
        }
    }

    fn ended(&self) -> Result<QemuOutput, Failure> {
        let status = self.status.ok_or_else(|| {
            Failure::environment("somebody removed the emulator's container, or its engine ended")
        })?;
        Ok(QemuOutput::Ended(status))
    }

    /// What leads to the machine's console.
    pub(super) fn keyboard(&self) -> Keyboard {
        Keyboard::of(&self.container)
    }

    /// Removes the container, whatever it does.
    pub(super) async fn remove(self, cancel: &Cancel) -> Option<Leftover> {
        drop(self.attached);
        self.guard.remove(cancel).await
    }
}

/// What a shell calls the end of a program: 128 + n is signal n.
fn status(code: u8) -> ExitStatus {
    ExitStatus::from_raw(match code {
        129..=192 => i32::from(code - 128),
        code => i32::from(code) << 8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_was_taken_meanwhile_is_worth_another_try() {
        let hints = |text: &str| told(Failure::environment(text)).hints;
        for taken in [
            "driver failed: Bind for 127.0.0.1:2222 failed: port is already allocated",
            "rootlessport listen tcp 127.0.0.1:2222: bind: address already in use",
        ] {
            assert!(hints(taken).iter().any(|hint| hint.contains("try again")));
        }
        assert!(hints("no such image").is_empty());
    }

    #[test]
    fn the_programs_end_is_told_as_its_own() {
        assert!(status(0).success());
        assert_eq!(status(3).to_string(), "exit status: 3");
        assert_eq!(status(137).signal(), Some(9));
    }
}
