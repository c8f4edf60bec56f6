//! Containers of the builder's image, and how a program of sdbuild's runs to its end in one.

use std::io::Write;
use std::ops::ControlFlow;

use sdbuild_engine::{
    Attached, Container, ContainerSpec, Drain, Engine, EngineError, Exit, Heartbeat,
    HeartbeatGuard, Input, OutputChunk, Role, RunId,
};

use super::BuilderImage;
use super::upload;
use crate::network_access::NetworkAccess;

/// What every container of the builder's image is made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Containers<'a> {
    /// The engine, which holds the image.
    pub engine: &'a Engine,
    /// The run that they belong to.
    pub run: &'a RunId,
    /// The builder's image.
    pub image: &'a BuilderImage,
}

impl Containers<'_> {
    /// The specification of a container in which `command` runs as the image's user, with the volume `store` as its `/nix`.
    pub(super) fn spec<'e>(
        &self,
        role: Role,
        command: Vec<String>,
        environment: impl IntoIterator<Item = (&'e str, String)>,
        store: Option<&str>,
    ) -> ContainerSpec {
        let environment = environment.into_iter();
        let volume = store.map(|store| (store.to_owned(), "/nix".to_owned()));
        ContainerSpec {
            environment: environment
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            user: Some(self.image.user.clone()),
            working_dir: Some("/".to_owned()),
            input: Input::Pipe,
            volumes: volume.into_iter().collect(),
            ..ContainerSpec::new(role, self.run, &self.image.reference, command)
        }
    }

    /// The runs with a builder: they may have files on the store volume, also before it is started.
    pub(super) async fn live_runs(&self) -> Result<Vec<String>, EngineError> {
        let containers = self.engine.our_containers().await?.into_iter();
        let builders = containers.filter(|one| one.role == Role::Builder);
        Ok(builders.map(|one| one.run.to_string()).collect())
    }

    /// Uploads `files` (absolute path and text) to `container`, and runs it to its end with the network and the secrets of
    /// `access`, unless `sink`, which gets its output, breaks before. Dropping the future ends the program.
    pub(super) async fn run_program<B>(
        &self,
        container: &Container,
        files: Vec<(&'static str, String)>,
        access: &NetworkAccess,
        sink: impl AsyncFnMut(OutputChunk) -> ControlFlow<B>,
    ) -> Result<ControlFlow<B, Exit>, EngineError> {
        let (owner, authorities) = (self.image.owner, access.authorities.clone());
        let pack =
            move |out: &mut dyn Write| upload::pack(out, owner, &files, authorities.as_deref());
        container.upload("/", pack).await?;
        let (_heartbeat, drain) = start(container, Heartbeat::default(), access).await?;
        drain.pass_to(sink).await
    }
}

/// Starts `container`, whose watchdog reads the secrets of `access` and then the heartbeats, until the guard is dropped. Attached
/// before the start: no output is missed, and the watchdog has an input from the beginning.
pub(super) async fn start<'a>(
    container: &'a Container,
    heartbeat: Heartbeat,
    access: &NetworkAccess,
) -> Result<(HeartbeatGuard, Drain<'a>), EngineError> {
    let Attached { mut input, output } = container.attach().await?;
    container.start().await?;
    access.send(&mut input).await?;
    Ok((heartbeat.keep_alive(input), container.drain(output)))
}
