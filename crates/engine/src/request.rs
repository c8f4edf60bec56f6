//! Requests to the engine with a timeout.
//!
//! bollard's own timeouts cover only the head of a response and also count the time in which this process was
//! stopped (Ctrl-Z), so its clients are given a timeout that never elapses and every request goes through here.
//! Requests that last as long as a process or a large removal use [`crate::keepalive::KeepAlive`] instead.

use std::time::Duration;

use crate::error::{EngineError, at};
use sdbuild_core::timeout::timeout;

/// For requests that an engine answers from memory; the rest is for a busy disk.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// The pause before a request is repeated.
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The timeout of bollard's clients: longer than any run.
pub(super) const NEVER: Duration = Duration::from_secs(30 * 24 * 3600);

/// Attempts of a request that needs a directory of a volume while another container makes the engine create the same one.
const RACE_ATTEMPTS: u32 = 5;
/// The pause between two of them.
const RACE_PAUSE: Duration = Duration::from_millis(300);

type Answer<T> = Result<T, bollard::errors::Error>;

/// The response to `call`, which must come within [`REQUEST_TIMEOUT`]. `operation` is the verb and the object for
/// error messages.
pub(super) fn request<T>(
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    request_within(REQUEST_TIMEOUT, operation, call)
}

/// The response to `call`, which must come within `limit`.
pub(super) fn request_within<T>(
    limit: Duration,
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    // bollard's futures are large, and every future that awaits one would contain it.
    let (operation, call) = (operation.into(), Box::pin(call));
    async move {
        let answer = within(limit, &operation, call).await?;
        answer.map_err(at(operation))
    }
}

/// The output of `work`, or [`EngineError::Silent`] after `limit`. The limit covers the body of a response too, which
/// may have no end.
pub(super) async fn within<T>(
    limit: Duration,
    operation: &str,
    work: impl Future<Output = T>,
) -> Result<T, EngineError> {
    let operation = operation.to_owned();
    let output = timeout(limit, work).await;
    output.ok_or(EngineError::Silent { operation })
}

/// The result of `attempt`, which is repeated while the engine was creating the same directory for another container.
pub(super) async fn repeat_after_race<T, F>(attempt: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 1..RACE_ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_race_for_a_directory() => tokio::time::sleep(RACE_PAUSE).await,
            result => return result,
        }
    }
    attempt().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_timeout_names_the_operation() {
        let limit = Duration::from_millis(50);
        let error = request_within::<()>(limit, "remove container x", std::future::pending()).await;
        let text = error.unwrap_err().to_string();
        assert_eq!(
            text,
            "remove container x: the engine did not answer in time"
        );
    }
}
