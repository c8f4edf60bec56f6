//! One container: create it, attach to it, start it, wait for its end.

use std::time::Duration;

use bollard::models::{ContainerInspectResponse, PortMap};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;

use crate::client::Engine;
use crate::create_body::tcp;
use crate::error::{EngineError, at};
use crate::keepalive::KeepAlive;
use crate::request::{repeat_after_race, request, request_within};
use crate::spec::ContainerSpec;
use crate::stdio::Attached;

/// Time between two attempts to inspect a container: for a moment Podman reports the state `stopped`, which bollard
/// cannot parse.
const INSPECT_INTERVAL: Duration = Duration::from_millis(200);
/// Number of attempts.
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
const CREATE_TIMEOUT: Duration = Duration::from_secs(600);

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
    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's id for it.
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

    /// Starts the container.
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
        Ok(Exit {
            code,
            oom_killed: self.oom_killed().await?,
        })
    }

    /// Whether memory ran out in the container that has ended; false if that is not known any more, because another run removed
    /// the container.
    async fn oom_killed(&self) -> Result<bool, EngineError> {
        let answer = match self.inspect().await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(false),
            Err(error) => return Err(error),
        };
        let state = answer.and_then(|answer| answer.state);
        Ok(state.and_then(|state| state.oom_killed).unwrap_or(false))
    }

    /// The port on 127.0.0.1 of the engine's host that leads to TCP port `inside` of the running container. `None` when it
    /// has ended, or does not publish that port.
    pub async fn host_port(&self, inside: u16) -> Result<Option<u16>, EngineError> {
        let answer = match self.inspect().await {
            Ok(answer) => answer,
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let ports = answer
            .and_then(|answer| answer.network_settings)
            .and_then(|network| network.ports);
        Ok(ports.and_then(|ports| published_at(ports, inside)))
    }

    /// The engine's description of the container; `None` while Podman describes it in a way that bollard cannot parse.
    async fn inspect(&self) -> Result<Option<ContainerInspectResponse>, EngineError> {
        let operation = format!("inspect container {}", self.name);
        for _ in 0..INSPECT_ATTEMPTS {
            let inspect = self.engine.docker.inspect_container(&self.id, None);
            match request(operation.clone(), inspect).await {
                Ok(answer) => return Ok(Some(answer)),
                Err(EngineError::Unexpected { .. }) => tokio::time::sleep(INSPECT_INTERVAL).await,
                Err(error) => return Err(error),
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
