//! One question to the engine: how long its answer may take, and what its absence means.
//!
//! bollard's own time-outs end with an answer's head and count a stop of ours as a silence of the engine's, so
//! its clients have none that matters, and everything that is asked goes through here. What answers when a
//! stream or a process ends is watched elsewhere.

use std::time::Duration;

use crate::engine::error::{EngineError, at};
use crate::waiting::at_most;

/// For calls that an engine answers from memory, and a little more for a busy disk.
pub(super) const QUICK: Duration = Duration::from_secs(60);
/// The time-out of bollard's clients.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

type Answer<T> = Result<T, bollard::errors::Error>;

/// The answer to a quick question.
pub(super) fn ask<T>(
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    ask_for(QUICK, operation, call)
}

/// The answer to a question that may take `limit`.
pub(super) fn ask_for<T>(
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

/// What `work` gives, if it does so in time: the body of an answer included, which may have no end.
pub(super) async fn within<T>(
    limit: Duration,
    operation: &str,
    work: impl Future<Output = T>,
) -> Result<T, EngineError> {
    let operation = operation.to_owned();
    let ended = at_most(limit, work).await;
    ended.ok_or(EngineError::Silent { operation })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silence_is_told_with_what_was_asked() {
        let limit = Duration::from_millis(50);
        let error = ask_for::<()>(limit, "remove container x", std::future::pending()).await;
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "remove container x: the engine did not answer in time"
        );
    }
}
