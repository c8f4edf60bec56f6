//! A second program in a running container, and the size of a container's terminal.

use std::time::Duration;

use bollard::exec::StartExecResults;
use bollard::models::ExecConfig;
use bollard::query_parameters::ResizeContainerTTYOptionsBuilder;

use crate::container::Container;
use crate::error::EngineError;
use crate::request::{request, request_within};
use crate::stdio::Attached;

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

    /// Sets the size of the container's terminal, in columns and rows.
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
