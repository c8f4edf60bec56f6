//! One boot from start to end.

use std::path::Path;

use crate::container;
use crate::container::{ContainerOptions, MACHINE_DIR, SSH_PORT};
use crate::disk::{Disk, open_image, open_path, prepare};
use crate::machine::{Backend, RunningMachine};
use crate::outcome::Reached;
use crate::process::QemuProcess;
use crate::qemu::{Forward, Machine, Serial};
use crate::request::{BootMethod, BootRequest, DEFAULT_SSH_PORT};
use crate::start_files::{StartFiles, unnamed};
use crate::tools;
use crate::tools::BootTools;
use crate::{console_session, keys, wait};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::program::{OPENSSH_PACKAGES, missing_program};
use sdbuild_engine::HostPort;
use sdbuild_image::board::Board;
use sdbuild_image::seed::Seed;
use sdbuild_image::{ImageFile, InstalledSystem};
use std::fs::File;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;

/// The name of the image in the emulator's container, of a firmware that the user named, and of the seed.
const IMAGE_NAME: &str = "card.img";
const FIRMWARE_NAME: &str = "firmware.bin";
const SEED_NAME: &str = "seed.img";

/// The method by which `image` is booted, from its content.
pub fn boot_method_of(image: &Path) -> Result<BootMethod, Failure> {
    let (file, cancel) = (open_image(image)?, Cancel::new());
    let by_uefi = file.starts_by_uefi(&cancel);
    Ok(if by_uefi.map_err(|error| error.fail_on("open", image))? {
        BootMethod::Uefi
    } else {
        BootMethod::Firmware
    })
}

/// Refuses an image of another system than the one that `board` boots: its firmware would find nothing to start.
fn check_system(image: &Path, installed: &InstalledSystem, board: &Board) -> Result<(), Failure> {
    match installed.systems.first() {
        Some(system) if !installed.systems.contains(&board.system) => {
            let (image, title, other) = (image.display(), board.title, board.system);
            let text = format!("{image} is for {system}, but {title} boots {other}");
            Err(Failure::usage(text).hint(format!("--system {system}, without --board, boots it")))
        }
        Some(_) | None => Ok(()),
    }
}

/// Checks everything that booting needs besides the image; with `on_host` QEMU on the host too.
pub fn check_tools(request: &BootRequest, on_host: bool) -> Result<(), Failure> {
    tools::find(request, on_host).map(drop)
}

/// Checks everything that booting needs, the image included; with `on_host` QEMU on the host too.
pub fn check_requirements(
    image: &Path,
    request: &BootRequest,
    on_host: bool,
) -> Result<(), Failure> {
    open(image, request, on_host).map(drop)
}

/// Boots `image`, compressed or not, in QEMU on the host, or in a container: shows the console until the machine is switched off, or waits for a login, runs the command there and switches the machine off.
///
/// A failure of class [`Build`](sdbuild_core::failure::Class::Build) is the image's: it does not boot or
/// refuses the login. To be awaited on the main thread: QEMU ends with the thread that started it.
pub async fn boot(
    image: &Path,
    request: &BootRequest,
    container: Option<&ContainerOptions>,
    context: &Context,
) -> Result<Reached, Failure> {
    let (file, mut tools) = open(image, request, container.is_none())?;
    let disk = prepare(file, image, &request.scratch, context).await?;
    let mut request = request.clone();
    let installed = disk.installed_system(context).await?;
    check_system(image, &installed, request.board)?;
    request.ssh_port = installed.ssh_port.unwrap_or(DEFAULT_SSH_PORT);
    keys::complete(&mut request, &mut tools.keys, &installed, context).await?;
    let request = &request;
    std::fs::create_dir_all(&request.scratch)
        .or_environment(format!("create {}", request.scratch.display()))?;
    let backing = match container {
        Some(_) => in_container(IMAGE_NAME),
        None => disk.path(),
    };
    let start = Box::pin(StartFiles::take(&disk, backing, request, context)).await?;
    if !request.model.lacks.is_empty() {
        let (title, lacks) = (request.board.title, request.model.lacks);
        let text = format!("QEMU's model of a {title} lacks {lacks}");
        context.events.notice(text);
    }
    let write = |seed: &Arc<Seed>| unnamed(&request.scratch, &seed.volume);
    let seed = request.seed.as_ref().map(write).transpose();
    let seed = seed.or_environment(format!(
        "write a temporary file in {}",
        request.scratch.display()
    ))?;
    let session = BootSession {
        request,
        disk: &disk,
        tools: &tools,
        start: start.as_ref(),
        seed: seed.as_ref(),
        container,
        context,
    };
    reach(session).await
}

/// Boots until what the request asks for: the prompt in place of a login that is impossible, if the request allows that.
async fn reach(session: BootSession<'_>) -> Result<Reached, Failure> {
    let request = session.request;
    let obstacle = match (&request.login, request.prompt) {
        (Some(_), Some(_)) => session.no_login()?,
        _ => None,
    };
    if let Some(obstacle) = &obstacle {
        session.explain_prompt(obstacle);
    }
    match (&request.login, request.prompt) {
        (Some(login), _) if obstacle.is_none() => Box::pin(wait::until_login(session, login)).await,
        (_, Some(limit)) => Box::pin(wait::until_prompt(session, limit)).await,
        (_, None) => {
            let shown = Box::pin(console_session::run(session));
            shown.await.map(|()| Reached::End)
        }
    }
}

/// The open image and the tools; all that is missing is one failure.
fn open(
    image: &Path,
    request: &BootRequest,
    on_host: bool,
) -> Result<(ImageFile, BootTools), Failure> {
    match (open_image(image), tools::find(request, on_host)) {
        (Ok(image), Ok(tools)) => Ok((image, tools)),
        (Ok(_), Err(failure)) | (Err(failure), Ok(_)) => Err(failure),
        (Err(mut failure), Err(mut other)) => {
            let more = std::mem::take(&mut other.others);
            failure.others.push(other);
            failure.others.extend(more);
            Err(failure)
        }
    }
}

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
    pub(super) seed: Option<&'a File>,
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
        let request = self.request;
        let forward = |address, port| Forward {
            from: SocketAddrV4::new(address, port),
            to: request.ssh_port,
        };
        match (self.container, &self.tools.qemu) {
            (Some(options), _) => {
                let mut files = Vec::new();
                let firmware = match (&request.firmware, request.own_firmware()) {
                    (Some(path), _) => {
                        let opened = plain_file::open(path);
                        let what = || format!("open the firmware {}", path.display());
                        files.push((FIRMWARE_NAME, opened.or_usage(what())?));
                        Some(in_container(FIRMWARE_NAME))
                    }
                    (None, Some(firmware)) => Some(firmware.container_path.into()),
                    (None, None) => None,
                };
                let mut opened = Ok(());
                let mut open = |name, file: &File| {
                    match file.try_clone() {
                        Ok(file) => files.push((name, file)),
                        Err(error) => opened = Err(error),
                    }
                    in_container(name)
                };
                let machine = Machine {
                    kvm: false,
                    host_cores: options.engine.facts().cpus,
                    firmware,
                    ssh: port.map(|_| forward(Ipv4Addr::UNSPECIFIED, SSH_PORT)),
                    ..self.machine(&mut open, serial)
                };
                opened.or_environment("open the files of the machine again")?;
                let qemu = container::start(options, &machine, files, port, self.context).await?;
                let ssh_port = qemu.ssh_port;
                Ok((Backend::Container(qemu), ssh_port))
            }
            (None, Some(qemu)) => {
                let ssh_port = port.and_then(HostPort::fixed);
                let machine = Machine {
                    kvm: qemu.kvm,
                    host_cores: host_cores(),
                    firmware: qemu.firmware.clone(),
                    ssh: ssh_port.map(|port| forward(Ipv4Addr::LOCALHOST, port)),
                    ..self.machine(&mut |_, file| open_path(file), serial)
                };
                let process = QemuProcess::start(&machine, &qemu.program, &request.scratch)?;
                Ok((Backend::Process(process), ssh_port))
            }
            (None, None) => Err(Failure::environment("QEMU is not on this machine")),
        }
    }

    /// The machine without what depends on where QEMU runs. `open` gives the path by which QEMU opens a file, by its name in the
    /// emulator's container.
    fn machine(
        &self,
        open: &mut dyn FnMut(&'static str, &File) -> PathBuf,
        serial: Serial,
    ) -> Machine {
        Machine {
            model: self.request.model,
            kvm: false,
            host_cores: 1,
            firmware: None,
            memory_mib: self.request.memory_mib,
            disk: open(IMAGE_NAME, &self.disk.file),
            form: self.disk.form,
            start: self.start.map(|start| start.direct_start(open)),
            seed: self.seed.map(|seed| open(SEED_NAME, seed)),
            ssh: None,
            serial,
        }
    }
}

/// The path of a file in the emulator's container.
fn in_container(name: &str) -> PathBuf {
    format!("{MACHINE_DIR}/{name}").into()
}

/// Cores that this process may use.
fn host_cores() -> u32 {
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    u32::try_from(cores).unwrap_or(u32::MAX)
}

/// The port that the user requested, or a free one. It is only tested, not held: another program may take
/// it before QEMU does.
pub(super) fn local_port(requested: Option<u16>) -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", requested.unwrap_or(0)));
    let listener = match requested {
        Some(port) => listener
            .or_usage(format!("listen on 127.0.0.1:{port}"))
            .map_err(|failure| failure.hint("use another --port, or omit it for a free one"))?,
        None => listener.or_environment("find a free port")?,
    };
    let address = listener.local_addr().or_environment("find a free port")?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::failure::Class;
    use sdbuild_core::system::System;
    use sdbuild_image::board::generic_machine;

    #[test]
    fn an_image_of_another_system_is_refused() {
        let board = generic_machine(System::X8664Linux);
        let check = |systems: &[System]| {
            let installed = InstalledSystem {
                systems: systems.iter().copied().collect(),
                ..InstalledSystem::default()
            };
            check_system(Path::new("a.img"), &installed, board)
        };
        let refused = check(&[System::Aarch64Linux]).unwrap_err();
        assert_eq!(
            refused.hints,
            ["--system aarch64-linux, without --board, boots it"]
        );
        let text = refused.to_string();
        assert!(text.contains("a.img is for aarch64-linux, but "), "{text}");
        check(&[System::Aarch64Linux, System::X8664Linux]).unwrap();
        check(&[]).unwrap();
    }

    #[test]
    fn taken_port_is_a_usage_error() {
        let held = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let taken = held.local_addr().unwrap().port();
        assert_eq!(local_port(Some(taken)).unwrap_err().class, Class::Usage);
        assert_ne!(local_port(None).unwrap(), taken);
    }
}
