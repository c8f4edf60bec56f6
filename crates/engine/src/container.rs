//! One container: create it, attach to it, start it, wait for its end, and remove it whatever happens.
//!
//! Dropping both halves of [`Attached`] closes the connection, which ends the container's input; dropping
//! [`AttachedInput`] alone closes nothing. Output must be read, or the container's process blocks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::container::{AttachContainerResults, LogOutput};
use bollard::exec::StartExecResults;
use bollard::models::{ContainerInspectResponse, ExecConfig, PortMap};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, ResizeContainerTTYOptionsBuilder,
    StartContainerOptions, WaitContainerOptionsBuilder,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Failure, Leftover};
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::task::JoinSet;

use crate::client::{Engine, repeat_after_race, request, request_within};
use crate::connect::KeepAlive;
use crate::error::{EngineError, MayBeMissing as _, at};
use crate::inventory::REMOVAL_TIMEOUT;
use crate::spec::{ContainerSpec, tcp};

/// Time between two attempts to inspect a container: for a moment Podman reports the state `stopped`, which bollard
/// cannot parse.
const INSPECT_INTERVAL: Duration = Duration::from_millis(200);
const INSPECT_ATTEMPTS: u32 = 10;

/// Exit state of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit status of its first process; 128 + n after signal n.
    pub code: i64,
    /// Whether the kernel killed a process in it because memory ran out.
    pub oom_killed: bool,
}

impl Exit {
    /// The signal that ended the first process, by its exit status.
    pub fn signal(self) -> Option<i64> {
        matches!(self.code, 129..=192).then(|| self.code - 128)
    }
}

/// A container that sdbuild created.
#[derive(Clone, Debug)]
pub struct Container {
    pub(super) engine: Engine,
    name: String,
    id: String,
}

/// For creating a container, which copies the image's content into a new volume.
const CREATE_TIMEOUT: Duration = Duration::from_mins(10);

impl Engine {
    /// Creates a container without starting it. [`crate::ContainerGuard::create`] also removes it in any case.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let options = CreateContainerOptionsBuilder::default()
            .name(&spec.name)
            .build();
        let operation = format!("create container {}", spec.name);
        let body = spec.body(self.facts.podman);
        let create = || {
            let (options, body) = (options.clone(), body.clone());
            let create = self.docker.create_container(Some(options), body);
            request_within(CREATE_TIMEOUT, operation.clone(), create)
        };
        // Docker copies what the image has into a new volume, for two containers at once if they are created together.
        let created = repeat_after_race(create).await?;
        Ok(Container {
            engine: self.clone(),
            name: spec.name.clone(),
            id: created.id,
        })
    }
}

impl Container {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// Connects to its standard input, output and error. Call it before [`Container::start`]: what a process writes
    /// before is only in the container's log.
    pub async fn attach(&self) -> Result<Attached, EngineError> {
        let options = AttachContainerOptionsBuilder::default()
            .stream(true)
            .stdin(true)
            .stdout(true)
            .stderr(true)
            .build();
        let operation = format!("attach to container {}", self.name);
        let docker = &self.engine.docker;
        let attach = docker.attach_container(&self.id, Some(options));
        let attached = request(operation.clone(), attach).await?;
        Ok(Attached::new(attached, operation))
    }

    pub async fn start(&self) -> Result<(), EngineError> {
        let docker = &self.engine.docker;
        let start = docker.start_container(&self.id, None::<StartContainerOptions>);
        request(format!("start container {}", self.name), start).await
    }

    /// Waits until the container does not run, also if it has ended already.
    pub async fn wait(&self) -> Result<Exit, EngineError> {
        let operation = format!("wait for container {}", self.name);
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let docker = &self.engine.docker;
        let mut answers = docker.wait_container(&self.id, Some(options));
        // Also with a local socket, which may lead to another machine (`ssh -L`).
        let watched = KeepAlive::LONG_REQUEST.watch(answers.next(), || self.engine.responds());
        let Some(answer) = watched.await else {
            return Err(EngineError::Silent { operation });
        };
        let code = exit_code(answer, operation)?;
        // That is not known any more if another run has removed the container.
        let state = self.inspect().await?.and_then(|answer| answer.state);
        let oom_killed = state.and_then(|state| state.oom_killed).unwrap_or(false);
        Ok(Exit { code, oom_killed })
    }

    /// The port on 127.0.0.1 of the engine's host that leads to TCP port `inside` of the running container. `None` when it
    /// has ended, or does not publish that port.
    pub async fn host_port(&self, inside: u16) -> Result<Option<u16>, EngineError> {
        let network = self
            .inspect()
            .await?
            .and_then(|answer| answer.network_settings);
        let ports = network.and_then(|network| network.ports);
        Ok(ports.and_then(|ports| published_at(ports, inside)))
    }

    /// The engine's description of the container; `None` if it is gone, and while Podman describes it in a way that bollard
    /// cannot parse.
    async fn inspect(&self) -> Result<Option<ContainerInspectResponse>, EngineError> {
        let operation = format!("inspect container {}", self.name);
        for _ in 0..INSPECT_ATTEMPTS {
            let inspect = self.engine.docker.inspect_container(&self.id, None);
            match request(operation.clone(), inspect).await {
                Err(EngineError::Unexpected { .. }) => tokio::time::sleep(INSPECT_INTERVAL).await,
                answer => return answer.if_exists(),
            }
        }
        Ok(None)
    }
}

/// The first port of the host at which the container's TCP port `inside` is published.
fn published_at(mut ports: PortMap, inside: u16) -> Option<u16> {
    let bindings = ports.remove(&tcp(inside)).flatten()?;
    let mut numbers = bindings.into_iter().filter_map(|binding| binding.host_port);
    numbers.find_map(|number| number.parse().ok())
}

type WaitAnswer = Result<bollard::models::ContainerWaitResponse, bollard::errors::Error>;

/// The exit status in an answer. bollard turns a status above 0 into an error, unless the engine adds an empty error object,
/// and an engine may report status 0 together with an error message. The end of the stream means that the engine is gone.
fn exit_code(answer: Option<WaitAnswer>, operation: String) -> Result<i64, EngineError> {
    use bollard::errors::Error::DockerContainerWaitError;
    let (code, message) = match answer {
        None => {
            let reason = "the stream ended before the container".to_owned();
            return Err(EngineError::Lost { operation, reason });
        }
        Some(Ok(answer)) => (
            answer.status_code,
            answer.error.and_then(|e| e.message).unwrap_or_default(),
        ),
        Some(Err(DockerContainerWaitError { error, code })) => (code, error),
        Some(Err(other)) => return Err(at(operation)(other)),
    };
    if message.is_empty() {
        Ok(code)
    } else {
        Err(EngineError::Unexpected { operation, message })
    }
}

/// How long the removal waits for a creation that was cancelled: creating a volume copies files.
const CREATION_TIMEOUT: Duration = Duration::from_mins(1);
/// Default time between TERM and KILL, in seconds.
const DEFAULT_GRACE: u32 = 3;

/// Removes its container on [`ContainerGuard::release`]. It is armed before the container is created, so that the container
/// is never unguarded. `Drop` does nothing: the next run recognizes leftovers by their labels and removes them.
#[derive(Debug)]
#[must_use = "release it, or the container stays until the next sweep"]
pub struct ContainerGuard {
    engine: Engine,
    name: String,
    grace: u32,
    // In a task of its own: if the request were dropped halfway, the container could appear after its removal.
    creating: JoinSet<Result<Container, EngineError>>,
}

impl ContainerGuard {
    /// A guard for the container `name`, which may not exist yet.
    pub fn arm(engine: &Engine, name: impl Into<String>) -> Self {
        let (engine, name) = (engine.clone(), name.into());
        Self {
            engine,
            name,
            grace: DEFAULT_GRACE,
            creating: JoinSet::new(),
        }
    }

    /// Sets how many seconds the container's program has between TERM and KILL.
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates the container. Cancel safe: the release waits for the creation.
    pub async fn create(&mut self, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let spec = ContainerSpec {
            name: self.name.clone(),
            ..spec.clone()
        };
        let engine = self.engine.clone();
        self.creating
            .spawn(async move { engine.create(&spec).await });
        match self.creating.join_next().await {
            Some(Ok(created)) => created,
            Some(Err(_)) | None => Err(EngineError::Unexpected {
                operation: format!("create container {}", self.name),
                message: "the request was aborted".into(),
            }),
        }
    }

    /// Creates the container and runs it to its end; returns how it ended and its first `max_lines` lines of output.
    pub async fn output(
        &mut self,
        spec: &ContainerSpec,
        max_lines: usize,
    ) -> Result<(Exit, Vec<String>), EngineError> {
        self.create(spec).await?.output(max_lines).await
    }

    /// Runs `work` with the container and removes it, whether `work` ends, fails, or is dropped because the run is cancelled. A
    /// failure says that it happened in `operation`, unless it is an interruption; the container is among its leftovers if it could not be removed.
    pub async fn run<T>(
        mut self,
        operation: &str,
        cancel: &Cancel,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = cancel.race(Box::pin(work(&mut self))).await.flatten();
        let leftovers: Vec<_> = self.remove(cancel).await.into_iter().collect();
        let failure = match done {
            Ok(value) if leftovers.is_empty() => return Ok(value),
            Ok(_) => Failure::environment("its container could not be removed"),
            Err(failure) => failure,
        };
        Err(failure.during(operation).with_teardown(leftovers))
    }

    /// Stops and removes the container, each step bounded in time; a shortened teardown removes it at once. Returns the
    /// container if it could not be removed.
    pub async fn release(self, cancel: &Cancel) -> Option<Leftover> {
        if self.creating.is_empty() {
            let limit = Duration::from_secs(u64::from(self.grace) + 5);
            let stop = Box::pin(self.engine.stop_container(&self.name, self.grace));
            // The removal kills a program that did not stop.
            drop(cancel.unless_shortened(limit, stop).await);
        }
        self.remove(cancel).await
    }

    /// Removes the container and kills its program. Returns the container if it could not be removed.
    pub async fn remove(mut self, cancel: &Cancel) -> Option<Leftover> {
        let creation = async { while self.creating.join_next().await.is_some() {} };
        let is_settled = cancel.bounded(CREATION_TIMEOUT, creation).await.is_some();
        let removal = Box::pin(self.engine.remove_container(&self.name));
        let why = match cancel.bounded(REMOVAL_TIMEOUT, removal).await {
            Some(Ok(())) if is_settled => return None,
            // There was nothing to remove yet, perhaps.
            Some(Ok(())) => "the engine did not finish its creation in time".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "the engine did not answer in time".to_owned(),
        };
        Some(container_leftover(&self.engine, &self.name, why))
    }
}

pub(crate) fn container_leftover(engine: &Engine, name: &str, why: String) -> Leftover {
    Leftover {
        what: format!("container {name}"),
        why,
        remedy: engine.address().removal(name),
    }
}

/// For a request to change the size of a terminal, which the kernel does at once: without it the program has a wrong size.
const RESIZE_TIMEOUT: Duration = Duration::from_secs(5);

impl Container {
    /// Starts `command` in the running container as the same user, without a terminal. It has an input of its own, which
    /// ends with the connection.
    pub async fn exec(&self, command: Vec<String>) -> Result<Attached, EngineError> {
        let operation = format!("run {} in container {}", command.join(" "), self.name());
        let config = ExecConfig {
            cmd: Some(command),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(false),
            ..ExecConfig::default()
        };
        let docker = &self.engine.docker;
        let created = request(operation.clone(), docker.create_exec(self.id(), config)).await?;
        let start = docker.start_exec(&created.id, None);
        match request(operation.clone(), start).await? {
            StartExecResults::Attached { output, input } => {
                let results = bollard::container::AttachContainerResults { output, input };
                Ok(Attached::new(results, operation))
            }
            StartExecResults::Detached => Err(EngineError::Unexpected {
                operation,
                message: "the program was started detached".into(),
            }),
        }
    }

    pub async fn resize(&self, (columns, rows): (u16, u16)) -> Result<(), EngineError> {
        let options = ResizeContainerTTYOptionsBuilder::default()
            .w(i32::from(columns))
            .h(i32::from(rows))
            .build();
        let resize = self.engine.docker.resize_container_tty(self.id(), options);
        let operation = format!("resize the terminal of container {}", self.name());
        request_within(RESIZE_TIMEOUT, operation, resize).await
    }
}

/// The standard streams of an attached container.
#[derive(Debug)]
pub struct Attached {
    pub input: AttachedInput,
    pub output: AttachedOutput,
}

impl Attached {
    pub(super) fn new(results: AttachContainerResults, operation: String) -> Self {
        let input = AttachedInput {
            inner: results.input,
            operation: operation.clone(),
        };
        let output = results.output.map(move |frame| match frame {
            Ok(LogOutput::StdErr { message }) => Ok(OutputChunk::Stderr(message)),
            Ok(
                LogOutput::StdOut { message }
                | LogOutput::StdIn { message }
                | LogOutput::Console { message },
            ) => Ok(OutputChunk::Stdout(message)),
            Err(error) => Err(at(operation.clone())(error)),
        });
        Self {
            input,
            output: AttachedOutput {
                inner: Box::pin(output),
            },
        }
    }
}

/// Some output, not necessarily whole lines (see [`crate::Lines`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputChunk {
    Stdout(Bytes),
    Stderr(Bytes),
}

pub struct AttachedInput {
    pub(crate) inner: Pin<Box<dyn AsyncWrite + Send>>,
    pub(crate) operation: String,
}

impl AttachedInput {
    pub async fn write_line(&mut self, line: &str) -> Result<(), EngineError> {
        self.write(format!("{line}\n").as_bytes()).await
    }

    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let written = async {
            self.inner.write_all(bytes).await?;
            self.inner.flush().await
        };
        written.await.map_err(|e| self.lost(&e))
    }

    /// Ends the process's input; its output can still be read.
    pub async fn end(&mut self) -> Result<(), EngineError> {
        self.inner.shutdown().await.map_err(|e| self.lost(&e))
    }

    fn lost(&self, error: &std::io::Error) -> EngineError {
        EngineError::Lost {
            operation: self.operation.clone(),
            reason: error.to_string(),
        }
    }
}

impl fmt::Debug for AttachedInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachedInput")
    }
}

/// The container's output and error, as a stream of chunks that ends with the container.
pub struct AttachedOutput {
    pub(crate) inner: Pin<Box<dyn Stream<Item = Result<OutputChunk, EngineError>> + Send>>,
}

impl Stream for AttachedOutput {
    type Item = Result<OutputChunk, EngineError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for AttachedOutput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AttachedOutput")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bollard::models::{ContainerWaitExitError, ContainerWaitResponse};

    fn fold(answer: Option<WaitAnswer>) -> Result<i64, EngineError> {
        exit_code(answer, "wait for container x".into())
    }

    #[test]
    fn reads_the_status_of_every_answer() {
        let empty = Some(ContainerWaitExitError { message: None });
        let with_empty = ContainerWaitResponse {
            status_code: 3,
            error: empty,
        };
        let plain = ContainerWaitResponse {
            status_code: 0,
            error: None,
        };
        let as_error = bollard::errors::Error::DockerContainerWaitError {
            error: String::new(),
            code: 137,
        };
        assert_eq!(fold(Some(Ok(plain))).unwrap(), 0);
        assert_eq!(fold(Some(Ok(with_empty))).unwrap(), 3);
        assert_eq!(fold(Some(Err(as_error))).unwrap(), 137);
    }

    #[test]
    fn the_host_port_is_that_of_the_right_container_port() {
        let binding = |port: &str| bollard::models::PortBinding {
            host_ip: Some("127.0.0.1".into()),
            host_port: Some(port.into()),
        };
        let ports = PortMap::from([
            ("2222/tcp".into(), Some(vec![binding("49160")])),
            ("80/tcp".into(), Some(vec![binding("8080")])),
            ("22/tcp".into(), None),
        ]);
        assert_eq!(published_at(ports.clone(), 2222), Some(49_160));
        assert_eq!(published_at(ports.clone(), 22), None);
        assert_eq!(published_at(ports, 23), None);
    }

    #[test]
    fn an_error_message_is_an_error() {
        let error = Some(ContainerWaitExitError {
            message: Some("gone".into()),
        });
        let answer = ContainerWaitResponse {
            status_code: 0,
            error,
        };
        assert!(
            fold(Some(Ok(answer)))
                .unwrap_err()
                .to_string()
                .contains("gone")
        );
    }

    #[test]
    fn the_end_of_the_stream_is_a_lost_connection() {
        assert!(matches!(fold(None), Err(EngineError::Lost { .. })));
    }
}
