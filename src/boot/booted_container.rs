//! A booted image for container engines: a copy of it in the engine, and a container that runs its init with the rights that the
//! engine gives by default. Both are removed however sdbuild ends.

use std::fs;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use futures_util::StreamExt as _;

use crate::boot::container::ContainerOptions;
use crate::boot::container_archive::ContainerArchive;
use crate::boot::container_holder::Holder;
use crate::boot::container_keys;
use crate::boot::qemu_output::QemuOutput;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover, OrFail as _};
use crate::engine::labels::{booted_image_name, labels_of_now};
use crate::engine::{
    Attached, Container, ContainerGuard, ContainerSpec, EngineError, EngineFacts, HostPort,
    ImageGuard, Init, Input, Network, OutputChunk, PublishedPort, Role,
};

/// The first API version of Docker that gives a container its control groups to write (Docker 28.0).
const WRITABLE_CGROUPS_SINCE: (u32, u32) = (1, 48);
/// File systems in memory, with their options. An init mounts them unless they are there, for which it needs more rights; NixOS has its
/// programs with the rights of others in the second.
const IN_MEMORY: [(&str, &str); 2] = [
    ("/run", "rw,nosuid,nodev,exec,mode=755"),
    ("/run/wrappers", "rw,nodev,suid,exec,mode=755"),
];
/// The port of its SSH server.
const SSH_PORT: u16 = 22;

/// A running container of the image.
#[derive(Debug)]
pub(super) struct BootedContainer {
    objects: Objects,
    container: Box<Container>,
    // It has no input.
    attached: Attached,
    /// The program that it was started with.
    init: String,
    /// The port on 127.0.0.1 that leads to its SSH server; `None` without one, and when the container ended at once.
    pub(super) ssh_port: Option<u16>,
}

/// The container and the container image to remove.
#[derive(Debug)]
struct Objects {
    container: ContainerGuard,
    image: ImageGuard,
    holder: Holder,
    load_mark: Option<PathBuf>,
}

impl Objects {
    /// Loads a copy of the image. An interruption ends the transfer, so that the engine has nothing of it, unless it has everything
    /// already.
    async fn load(
        &mut self,
        options: &ContainerOptions,
        archive: &Arc<ContainerArchive>,
        context: &Context,
    ) -> Result<(), Failure> {
        let name = booted_image_name(&options.run);
        let labels = labels_of_now(Role::Booted, &options.run);
        let (archive, Context { cancel, events }) = (Arc::clone(archive), context.clone());
        let pack = move |out: &mut dyn std::io::Write| {
            let size = archive.size();
            let progress = |read| events.bytes(Phase::ContainerImages, read, Some(size));
            archive.pack(&name, &labels, &cancel, &progress, out)
        };
        self.load_begun()
            .or_environment("note that an image is being loaded")?;
        let loaded = context.cancel.race(Box::pin(self.image.load(pack))).await;
        self.load_ended();
        Ok(loaded??)
    }

    /// Makes the removal look for the image until it can have appeared.
    fn load_begun(&mut self) -> io::Result<()> {
        if let Some(mark) = &self.load_mark {
            fs::write(mark, "")?;
        }
        self.holder.load_begun();
        Ok(())
    }

    /// To be called when a load has ended, or is waited for no longer: in that case nothing changes.
    fn load_ended(&mut self) {
        if self.image.is_settled() {
            if let Some(mark) = &self.load_mark {
                // A run that leaves nothing removes it too.
                fs::remove_file(mark).ok();
            }
            self.holder.load_ended();
        }
    }

    /// Removes the container and the image. Returns what could not be removed; then the second process tries once more.
    async fn remove(self, cancel: &Cancel) -> Vec<Leftover> {
        let container = self.container.remove(cancel).await;
        let image = self.image.remove(cancel).await;
        let leftovers: Vec<_> = container.into_iter().chain(image).collect();
        if leftovers.is_empty() {
            self.holder.nothing_is_left();
        }
        leftovers
    }
}

/// Loads a copy of the image into the engine (`Phase::ContainerImages`) and starts its program.
pub(super) async fn start(
    options: &ContainerOptions,
    archive: &Arc<ContainerArchive>,
    port: Option<HostPort>,
    context: &Context,
) -> Result<BootedContainer, Failure> {
    let command = archive.command();
    let init = command.first().cloned().unwrap_or_default();
    let spec = spec(options, command, port);
    let holder = Holder::start(options.engine.endpoint(), &options.run)
        .or_environment("start the process that removes the container")?;
    let mut objects = Objects {
        container: ContainerGuard::arm(&options.engine, &spec.name).grace(0),
        image: ImageGuard::arm(&options.engine, &spec.image),
        holder,
        load_mark: options.load_mark.clone(),
    };
    let cancel = &context.cancel;
    let started = async {
        let load = objects.load(options, archive, context);
        context.phase(Phase::ContainerImages, load).await?;
        let run = run(&mut objects.container, &spec, port);
        cancel.race(Box::pin(run)).await?
    };
    match Box::pin(started).await {
        Ok((container, attached, ssh_port)) => Ok(BootedContainer {
            objects,
            container: Box::new(container),
            attached,
            init,
            ssh_port,
        }),
        Err(failure) => {
            let leftovers = objects.remove(cancel).await;
            let failure = failure.context("start the container");
            Err(failure.with_teardown(leftovers))
        }
    }
}

/// Creates the container and starts it.
async fn run(
    guard: &mut ContainerGuard,
    spec: &ContainerSpec,
    port: Option<HostPort>,
) -> Result<(Container, Attached, Option<u16>), Failure> {
    let container = guard.create(spec).await?;
    let attached = container.attach().await?;
    container.start().await?;
    let ssh_port = match port {
        Some(_) => container.host_port(SSH_PORT).await?,
        None => None,
    };
    Ok((container, attached, ssh_port))
}

/// The container: the program of the image as the image says, in place of the engine's defaults for a program of ours.
fn spec(options: &ContainerOptions, command: Vec<String>, port: Option<HostPort>) -> ContainerSpec {
    let published = |host| PublishedPort {
        host,
        container: SSH_PORT,
    };
    let in_memory = IN_MEMORY.map(|(path, options)| (path.to_owned(), options.to_owned()));
    let init = Some(Init {
        writable_cgroups: has_writable_cgroups(options.engine.facts()),
    });
    ContainerSpec {
        input: Input::Console,
        network: Network::Default,
        ports: port.map(published).into_iter().collect(),
        tmpfs: in_memory.to_vec(),
        init,
        ..ContainerSpec::new(
            Role::Booted,
            &options.run,
            booted_image_name(&options.run),
            command,
        )
    }
}

/// Whether the engine has to be asked to let a container write to its own control groups, and can do so.
fn has_writable_cgroups(facts: &EngineFacts) -> bool {
    !facts.podman && facts.cgroup_v2 && facts.api >= WRITABLE_CGROUPS_SINCE
}

impl BootedContainer {
    /// The next output. Cancel safe.
    pub(super) async fn next_output(&mut self) -> Result<QemuOutput, Failure> {
        match self.attached.output.next().await.transpose()? {
            Some(OutputChunk::Stdout(bytes) | OutputChunk::Stderr(bytes)) => {
                Ok(QemuOutput::Console(bytes.to_vec()))
            }
            None => {
                let exit = self.container.wait().await?;
                let code = i32::try_from(exit.code).unwrap_or(1);
                Ok(QemuOutput::Ended(ExitStatus::from_raw(code << 8)))
            }
        }
    }

    /// The lines of NixOS's list of keys for `user`; `None` if there is no such list.
    pub(super) async fn authorized_keys(&self, user: &str) -> Result<Option<String>, EngineError> {
        container_keys::authorized_keys(&self.container, &self.init, user).await
    }

    /// Kills and removes the container, and removes the copy of the image.
    pub(super) async fn remove(self, cancel: &Cancel) -> Vec<Leftover> {
        drop(self.attached);
        self.objects.remove(cancel).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_docker_that_can_is_asked_for_control_groups() {
        let facts = |api, podman, cgroup_v2| {
            has_writable_cgroups(&EngineFacts {
                api,
                podman,
                cgroup_v2,
                ..EngineFacts::sound()
            })
        };
        assert!(facts((1, 48), false, true));
        assert!(!facts((1, 47), false, true));
        assert!(!facts((1, 48), true, true));
        assert!(!facts((1, 48), false, false));
    }
}
