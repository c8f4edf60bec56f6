//! A container's standard streams over one connection.
//!
//! Dropping both halves closes the connection, which ends the container's input; dropping [`AttachedInput`] alone closes
//! nothing. Output must be read, or the container's process blocks.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bollard::container::{AttachContainerResults, LogOutput};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::error::{EngineError, at};

/// The standard streams of an attached container.
#[derive(Debug)]
pub struct Attached {
    /// The container's standard input.
    pub input: AttachedInput,
    /// The container's standard output and error.
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
    /// From standard output.
    Stdout(Bytes),
    /// From standard error.
    Stderr(Bytes),
}

/// The container's standard input.
pub struct AttachedInput {
    inner: Pin<Box<dyn AsyncWrite + Send>>,
    operation: String,
}

impl AttachedInput {
    /// An input that is not a container's.
    #[cfg(test)]
    pub(crate) fn to(inner: impl AsyncWrite + Send + 'static) -> Self {
        let operation = "attach to nothing".to_owned();
        let inner = Box::pin(inner);
        Self { inner, operation }
    }

    /// Writes `line` and a line end.
    pub async fn write_line(&mut self, line: &str) -> Result<(), EngineError> {
        self.write(format!("{line}\n").as_bytes()).await
    }

    /// Writes `bytes` as they are.
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
    inner: Pin<Box<dyn Stream<Item = Result<OutputChunk, EngineError>> + Send>>,
}

#[cfg(test)]
impl AttachedOutput {
    /// An output that is not a container's.
    pub(super) fn of(
        inner: impl Stream<Item = Result<OutputChunk, EngineError>> + Send + 'static,
    ) -> Self {
        let inner = Box::pin(inner);
        Self { inner }
    }
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
