//! A booted image for container engines: a copy of it in the engine, and a container that runs its init with the rights that the
//! engine gives by default. Both are removed however sdbuild ends.

use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;

use crate::boot::container::ContainerOptions;
use crate::boot::container_archive::ContainerArchive;
use crate::boot::container_holder::Holder;
use crate::boot::qemu_output::QemuOutput;
use crate::common::cancel::Cancel;
use crate::common::context::Context;
use crate::common::event::Phase;
use crate::common::failure::{Failure, Leftover, OrFail as _};
use crate::engine::labels::{booted_image_name, labels};
use crate::engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Engine, EngineFacts, HostPort, Init, Input,
    Network, OutputChunk, PublishedPort, Role,
};

/// The first API version of Docker that gives a container its control groups to write (Docker 28.0).
const WRITABLE_CGROUPS_SINCE: (u32, u32) = (1, 48);
/// How long an engine may take to end a transfer that was interrupted, and to remove an image.
const ENGINE_TIMEOUT: Duration = Duration::from_secs(60);
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
    /// The port on 127.0.0.1 that leads to its SSH server; `None` without one, and when the container ended at once.
    pub(super) ssh_port: Option<u16>,
}

/// What has to be removed.
#[derive(Debug)]
struct Objects {
    engine: Engine,
    guard: ContainerGuard,
    image: String,
    holder: Holder,
}

impl Objects {
    /// Removes the container and the image. Returns the first that could not be removed; then the second process tries once more.
    async fn remove(self, cancel: &Cancel) -> Option<Leftover> {
        let container = self.guard.remove(cancel).await;
        let removal = Box::pin(self.engine.remove_image(&self.image));
        let why = match cancel.bounded(ENGINE_TIMEOUT, removal).await {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.to_string()),
            None => Some("the engine did not answer in time".to_owned()),
        };
        let image = why.map(|why| Leftover {
            what: format!("container image {}", self.image),
            why,
            remedy: self.engine.address().image_removal(&self.image),
        });
        let leftover = container.or(image);
        if leftover.is_none() {
            self.holder.nothing_is_left();
        }
        leftover
    }
}

/// Loads a copy of the image into the engine (`Phase::ContainerImages`) and starts its program.
pub(super) async fn start(
    options: &ContainerOptions,
    archive: &Arc<ContainerArchive>,
    port: Option<HostPort>,
    context: &Context,
) -> Result<BootedContainer, Failure> {
    let spec = spec(options, archive.command(), port);
    let holder = Holder::start(options.engine.endpoint(), &options.run)
        .or_environment("start the process that removes the container")?;
    let mut objects = Objects {
        engine: options.engine.clone(),
        guard: ContainerGuard::arm(&options.engine, &spec.name).grace(0),
        image: spec.image.clone(),
        holder,
    };
    let cancel = &context.cancel;
    let started = async {
        let load = load(options, archive, context);
        context.events.phase(Phase::ContainerImages, load).await?;
        let run = run(&mut objects.guard, &spec, port);
        cancel.race(Box::pin(run)).await?
    };
    match Box::pin(started).await {
        Ok((container, attached, ssh_port)) => Ok(BootedContainer {
            objects,
            container: Box::new(container),
            attached,
            ssh_port,
        }),
        Err(failure) => {
            let leftover = objects.remove(cancel).await.into_iter().collect();
            let failure = failure.context("start the container");
            Err(failure.with_teardown(leftover))
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

/// Loads a copy of the image. An interruption ends the transfer, so that the engine has nothing of it.
async fn load(
    options: &ContainerOptions,
    archive: &Arc<ContainerArchive>,
    context: &Context,
) -> Result<(), Failure> {
    let name = booted_image_name(&options.run);
    let labels = labels(Role::Booted, &options.run);
    let (archive, Context { cancel, events }) = (Arc::clone(archive), context.clone());
    let pack = move |out: &mut dyn std::io::Write| {
        let size = archive.size();
        let progress = |read| events.bytes(Phase::ContainerImages, read, Some(size));
        archive.pack(&name, &labels, &cancel, &progress, out)
    };
    let cancel = &context.cancel;
    let load = options.engine.load_packed_image(pack, |_| ());
    let given_up = async {
        cancel.cancelled().await;
        let never = std::future::pending::<()>();
        cancel.bounded(ENGINE_TIMEOUT, never).await;
    };
    tokio::select! {
        biased;
        loaded = Box::pin(load) => match loaded {
            Err(_) if cancel.is_cancelled() => Err(Failure::interrupted()),
            loaded => Ok(loaded?),
        },
        () = given_up => Err(Failure::interrupted()),
    }
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

    /// Kills and removes the container, and removes the copy of the image.
    pub(super) async fn remove(self, cancel: &Cancel) -> Option<Leftover> {
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
