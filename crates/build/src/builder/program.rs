//! Containers of the builder's image, and how a program of sdbuild's runs to its end in one.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;

use bytes::Bytes;
use tokio::sync::mpsc;

use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_engine::{
    Attached, Container, ContainerGuard, ContainerSpec, Drain, Engine, EngineError, Exit,
    Heartbeat, HeartbeatGuard, Input, Lines, OutputChunk, Role, RunId,
};
use sdbuild_nix::layout;
use sdbuild_nix::log::clean;

use super::collect::await_collector;
use super::upload;
use super::{BuilderImage, empty_home};
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

/// Lines of its messages that a failure of a program shows.
const MAX_MESSAGES: usize = 20;

/// A program that reads a store volume. It counts as a builder: no garbage is collected on the volume meanwhile.
#[derive(Clone, Debug)]
pub(super) struct StoreProgram<'a> {
    /// What its container is made of.
    pub containers: Containers<'a>,
    /// Name of the store volume, which exists.
    pub store: &'a str,
    /// Its network and secrets.
    pub access: &'a NetworkAccess,
    /// Path of the program in the container, and its text.
    pub program: (&'static str, &'static str),
    /// Its arguments.
    pub arguments: &'a [&'a str],
    /// Variables of its own.
    pub environment: Vec<(&'static str, String)>,
    /// Path and text of the file that it reads.
    pub input: (&'static str, String),
}

impl StoreProgram<'_> {
    /// Runs it to its end; its output goes to `output`, an early end of whose receiver ends it too, with `None`. `line` gets what it
    /// writes to its standard error. The container is removed before this returns, or is among the leftovers of the failure.
    pub(super) async fn run(
        &self,
        operation: &str,
        output: mpsc::Sender<Bytes>,
        mut line: impl FnMut(&str),
        context: &Context,
    ) -> Result<Option<Exit>, Failure> {
        let engine = self.containers.engine;
        let spec = self.spec().await?;
        let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let work = async |guard: &mut ContainerGuard| {
            let container = guard.create(&spec).await?;
            await_collector(engine, self.store, &context.events).await?;
            let (path, text) = self.program;
            let files = vec![
                (layout::WATCHDOG, upload::WATCHDOG.to_owned()),
                (layout::ENTRY, upload::ENTRY.to_owned()),
                (path, text.to_owned()),
                self.input.clone(),
            ];
            let mut stderr = Lines::default();
            let sink = async |chunk| match chunk {
                OutputChunk::Stdout(bytes) => match output.send(bytes).await {
                    Ok(()) => ControlFlow::Continue(()),
                    Err(_) => ControlFlow::Break(()),
                },
                OutputChunk::Stderr(bytes) => {
                    stderr.push(&bytes).iter().for_each(|text| line(text));
                    ControlFlow::Continue(())
                }
            };
            let ended = self
                .containers
                .run_program(&container, files, self.access, sink);
            let ended = ended.await?;
            stderr.finish().iter().for_each(|text| line(text));
            Ok(ended.continue_value())
        };
        guard.run(operation, &context.cancel, work).await
    }

    async fn spec(&self) -> Result<ContainerSpec, Failure> {
        let words = ["/bin/sh", self.program.0].into_iter();
        let words = words.chain(self.arguments.iter().copied());
        let command = layout::COMMAND.into_iter().chain(words);
        let run = self.containers.run.to_string();
        let mut environment = self.environment.clone();
        environment.extend([
            ("NIX_REMOTE", "local".to_owned()),
            ("HOME", layout::HOME_OF_NIX.to_owned()),
            ("TMPDIR", layout::build_dir(&run)),
            ("SDBUILD_RUN", run),
            ("SDBUILD_LIVE", self.containers.live_runs().await?.join(" ")),
            ("LANG", "C.UTF-8".to_owned()),
        ]);
        let (role, store) = (Role::Builder, Some(self.store));
        let command = command.map(str::to_owned).collect();
        let mut spec = self.containers.spec(role, command, environment, store);
        spec.tmpfs.push(empty_home());
        self.access.apply_to(&mut spec);
        Ok(spec)
    }
}

/// The last messages of a program.
#[derive(Debug, Default)]
pub(super) struct LastMessages(VecDeque<String>);

impl LastMessages {
    pub(super) fn add(&mut self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        if self.0.len() == MAX_MESSAGES {
            self.0.pop_front();
        }
        self.0.push_back(clean(line));
    }

    /// The last one.
    pub(super) fn last(&self) -> &str {
        self.0.back().map_or("it said nothing", |line| line.trim())
    }

    /// `failure` with them as its log.
    pub(super) fn of(self, failure: Failure) -> Failure {
        Failure {
            log_tail: self.0.into(),
            ..failure
        }
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
