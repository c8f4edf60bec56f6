//! What every kind of boot shares: the request, the tools, and how QEMU is started.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::num::NonZeroUsize;
use std::thread;

use crate::boot::container::{self, ContainerMachine, ContainerOptions};
use crate::boot::disk::Disk;
use crate::boot::machine::{Backend, RunningMachine};
use crate::boot::port::local_port;
use crate::boot::process::QemuProcess;
use crate::boot::qemu::{Forward, Machine, Serial};
use crate::boot::request::BootRequest;
use crate::boot::seed_disk::SeedDisk;
use crate::boot::start_files::StartFiles;
use crate::boot::tools::BootTools;
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::program::{OPENSSH_PACKAGES, missing_program};
use crate::engine::HostPort;

/// One boot.
#[derive(Clone, Copy)]
pub(super) struct BootSession<'a> {
    pub(super) request: &'a BootRequest,
    /// A disk, or an archive with what QEMU starts.
    pub(super) disk: &'a Disk,
    pub(super) tools: &'a BootTools,
    /// What a board's firmware would have loaded, for a machine without firmware.
    pub(super) start: Option<&'a StartFiles>,
    /// The seed of cloud-init.
    pub(super) seed: Option<&'a SeedDisk>,
    /// The container to run QEMU in; `None` runs QEMU on the host.
    pub(super) container: Option<&'a ContainerOptions>,
    pub(super) context: &'a Context,
}

impl BootSession<'_> {
    /// A port on 127.0.0.1 for the machine's SSH; `None` where the engine's ports are on another machine.
    pub(super) fn port(&self) -> Result<Option<HostPort>, Failure> {
        match (self.container, self.request.port) {
            (Some(options), _) if !options.engine.endpoint().publishes_ports_here() => Ok(None),
            (Some(_), None) => Ok(Some(HostPort::Free)),
            (_, requested) => local_port(requested).map(HostPort::Fixed).map(Some),
        }
    }

    /// The reason why a login over SSH is impossible; `None` if it can be attempted.
    pub(super) fn no_login(&self) -> Result<Option<Failure>, Failure> {
        if self.tools.ssh.is_none() {
            return Ok(Some(missing_program("ssh", OPENSSH_PACKAGES)));
        }
        let elsewhere = "the engine is on another machine";
        Ok(self
            .port()?
            .is_none()
            .then(|| Failure::environment(elsewhere)))
    }

    /// Tells that a boot that should log in only waits for the prompt, because of `failure`.
    pub(super) fn explain_prompt(&self, failure: &Failure) {
        let notice = format!("{failure}: waiting for the prompt on the console instead of a login");
        self.context.events.notice(notice);
    }

    /// Whether the machine's network adapter is a USB device, which is plugged in when the kernel has started.
    pub(super) fn needs_adapter(&self) -> bool {
        self.start.is_some() && self.request.model.has_network()
    }

    fn in_container(&self, port: Option<HostPort>, serial: Serial) -> ContainerMachine<'_> {
        ContainerMachine {
            request: self.request,
            disk: self.disk,
            start: self.start,
            seed: self.seed,
            port,
            serial,
        }
    }

    /// Starts the machine, whose port for SSH is its `ssh_port`.
    pub(super) async fn start(
        &self,
        port: Option<HostPort>,
        serial: Serial,
    ) -> Result<RunningMachine, Failure> {
        let (backend, ssh_port) = Box::pin(self.start_qemu(port, serial)).await?;
        Ok(RunningMachine::new(backend, ssh_port, &self.context.events))
    }

    async fn start_qemu(
        &self,
        port: Option<HostPort>,
        serial: Serial,
    ) -> Result<(Backend, Option<u16>), Failure> {
        match (self.container, &self.tools.qemu) {
            (Some(options), _) => {
                let machine = self.in_container(port, serial);
                let qemu = container::start(options, &machine, self.context).await?;
                let ssh_port = qemu.ssh_port;
                Ok((Backend::Container(qemu), ssh_port))
            }
            (None, Some(qemu)) => {
                let ssh_port = port.and_then(HostPort::fixed);
                let machine = Machine {
                    model: self.request.model,
                    kvm: qemu.kvm,
                    host_cores: host_cores(),
                    firmware: qemu.firmware.clone(),
                    memory_mib: self.request.memory_mib,
                    disk: self.disk.path(),
                    form: self.disk.form(),
                    start: self.start.map(StartFiles::on_host),
                    seed: self.seed.map(SeedDisk::on_host),
                    ssh: ssh_port.map(|port| Forward {
                        from: SocketAddrV4::new(Ipv4Addr::LOCALHOST, port),
                        to: self.request.ssh_port,
                    }),
                    serial,
                };
                let process = QemuProcess::start(&machine, &qemu.program, &self.request.scratch)?;
                Ok((Backend::Process(process), ssh_port))
            }
            (None, None) => Err(Failure::environment("QEMU is not on this machine")),
        }
    }
}

/// Cores that this process may use.
fn host_cores() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}
