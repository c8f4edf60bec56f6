//! One question to the engine: how long its answer may take, and what its absence means.
//!
//! bollard's own time-outs end with an answer's head and count a stop of ours as a silence of the engine's, so
//! its clients have none that matters, and everything that is asked goes through here. What ends with a process
//! or with a large removal has its end watched by whoever waits for it.

use std::time::Duration;

use crate::common::timeout::timeout;
use crate::engine::Engine;
use crate::engine::error::{EngineError, at};
use crate::engine::keepalive::KeepAlive;

/// For calls that an engine answers from memory, and a little more for a busy disk.
pub(super) const QUICK: Duration = Duration::from_secs(60);
/// The time-out of bollard's clients.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

type Answer<T> = Result<T, bollard::errors::Error>;

/// The answer to a quick question.
pub(super) fn request<T>(
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    request_within(QUICK, operation, call)
}

/// The answer to a question that may take `limit`.
pub(super) fn request_within<T>(
    limit: Duration,
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    // bollard's futures are large, and each of them would lie in all that wait for it.
    let (operation, call) = (operation.into(), Box::pin(call));
    async move {
        let answer = within(limit, &operation, call).await?;
        answer.map_err(at(operation))
    }
}

impl Engine {
    /// What comes of work that takes as long as a stream: it goes on for as long as the engine still says anything
    /// to others.
    pub(super) async fn working<T>(
        &self,
        operation: &str,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let operation = operation.to_owned();
        let watched = KeepAlive::LONG.watch(Box::pin(work), || self.says_anything());
        let ended = watched.await;
        ended.unwrap_or(Err(EngineError::Silent { operation }))
    }

    /// Whether the engine says anything at all, on a connection of its own.
    pub(super) async fn says_anything(&self) -> bool {
        use bollard::errors::Error::DockerResponseServerError;
        let answer = self.docker.ping().await;
        matches!(answer, Ok(_) | Err(DockerResponseServerError { .. }))
    }
}

/// What `work` gives, if it does so in time: the body of an answer included, which may have no end.
pub(super) async fn within<T>(
    limit: Duration,
    operation: &str,
    work: impl Future<Output = T>,
) -> Result<T, EngineError> {
    let operation = operation.to_owned();
    let ended = timeout(limit, work).await;
    ended.ok_or(EngineError::Silent { operation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_told_with_what_was_asked() {
        let limit = Duration::from_millis(50);
        let error = request_within::<()>(limit, "remove container x", std::future::pending()).await;
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "remove container x: the engine did not answer in time"
        );
    }
}
