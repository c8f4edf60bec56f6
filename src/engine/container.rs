//! One container: make it, attach, start it, wait for its end, look at its last words.

use std::time::Duration;

use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptionsBuilder, StartContainerOptions,
    WaitContainerOptionsBuilder,
};
use futures_util::StreamExt;

use crate::engine::client::Engine;
use crate::engine::error::{EngineError, at};
use crate::engine::keepalive::KeepAlive;
use crate::engine::request::{request, request_within};
use crate::engine::spec::ContainerSpec;
use crate::engine::stdio::Attached;

/// Podman calls a container `stopped` for a moment, a state that bollard cannot read.
const SETTLES: Duration = Duration::from_millis(200);
/// How often we look again until it has settled.
const LOOKS: u32 = 10;

/// How a container ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Exit status of its first process; 128 + n after signal n.
    pub code: i64,
    /// Whether the kernel killed something in it for want of memory.
    pub oom_killed: bool,
}

/// A container that we made.
#[derive(Clone, Debug)]
pub struct Container {
    pub(super) engine: Engine,
    name: String,
    id: String,
}

/// The first use of a volume copies the image's content into it, inside the container's creation.
const FILLING: Duration = Duration::from_secs(600);

impl Engine {
    /// Makes a container without starting it. See [`crate::engine::ContainerGuard::create`] for the
    /// way that removes it again whatever happens.
    pub async fn create(&self, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let options = CreateContainerOptionsBuilder::default()
            .name(&spec.name)
            .build();
        let operation = format!("create container {}", spec.name);
        let body = spec.body(self.facts.podman);
        let create = self.docker.create_container(Some(options), body);
        let made = request_within(FILLING, operation, create).await?;
        Ok(Container {
            engine: self.clone(),
            name: spec.name.clone(),
            id: made.id,
        })
    }
}

impl Container {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The engine's id of it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Connects to its standard input, output and error. Call it before [`Container::start`]: what
    /// a process writes before somebody is attached is only in the log.
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

    /// Starts it.
    pub async fn start(&self) -> Result<(), EngineError> {
        let docker = &self.engine.docker;
        let start = docker.start_container(&self.id, None::<StartContainerOptions>);
        request(format!("start container {}", self.name), start).await
    }

    /// Waits until it is not running. A started container that has ended already is fine.
    pub async fn wait(&self) -> Result<Exit, EngineError> {
        let operation = format!("wait for container {}", self.name);
        let options = WaitContainerOptionsBuilder::default()
            .condition("not-running")
            .build();
        let docker = &self.engine.docker;
        let mut answers = docker.wait_container(&self.id, Some(options));
        // A socket here may lead to an engine elsewhere as well (`ssh -L`).
        let watched = KeepAlive::LONG.watch(answers.next(), || self.engine.responds());
        let Some(answer) = watched.await else {
            return Err(EngineError::Silent { operation });
        };
        let code = exit_code(answer, operation)?;
        Ok(Exit {
            code,
            oom_killed: self.oom_killed().await?,
        })
    }

    async fn oom_killed(&self) -> Result<bool, EngineError> {
        let operation = format!("inspect container {}", self.name);
        for _ in 0..LOOKS {
            let inspect = self.engine.docker.inspect_container(&self.id, None);
            match request(operation.clone(), inspect).await {
                Ok(answer) => return Ok(answer.state.and_then(|s| s.oom_killed).unwrap_or(false)),
                Err(EngineError::Unexpected { .. }) => tokio::time::sleep(SETTLES).await,
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }
}

type WaitAnswer = Result<bollard::models::ContainerWaitResponse, bollard::errors::Error>;

/// bollard turns a status above 0 into an error, unless the engine adds an empty error object; and
/// an engine may say 0 with an error message. The end of the stream is a lost engine.
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
    fn every_shape_of_an_exit_is_folded() {
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
    fn an_error_message_is_no_success() {
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
    fn the_end_of_the_stream_is_a_lost_engine() {
        assert!(matches!(fold(None), Err(EngineError::Lost { .. })));
    }
}
