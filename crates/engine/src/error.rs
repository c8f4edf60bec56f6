//! Errors of requests to the engine: the operation, then the engine's message.
//!
//! The engine's text is untrusted: it is trimmed and truncated here, and escaped by `ui`.

use std::error::Error;
use std::io;

use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::text::truncate;

use crate::endpoint::ConnectError;

/// What to do after the engine has ended a connection.
pub const STILL_RUNS: &str = "if `docker info` answers, the engine runs. Run the command again";

/// What to do after the engine has not answered in time.
const BUSY: &str = "if `docker info` answers, the engine was busy. Run the command again";

/// Limit for an engine's message: some engines return whole configurations.
const MAX_MESSAGE_CHARS: usize = 1000;

/// Why a request to the engine failed. `operation` is always the verb and the object: "create container x".
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No usable engine at the endpoint.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{operation}: {message}")]
    Refused {
        operation: String,
        /// HTTP status; 200 when the refusal came inside a stream.
        status: u16,
        message: String,
    },
    #[error("{operation}: the connection to the engine was lost: {reason}")]
    Lost { operation: String, reason: String },
    #[error("{operation}: the engine did not answer in time")]
    Silent { operation: String },
    #[error("{operation}: unexpected answer of the engine: {message}")]
    Unexpected {
        operation: String,
        /// The defect of the answer.
        message: String,
    },
    #[error("{operation}: its labels or its name are not sdbuild's, so it is left unchanged")]
    NotOurs { operation: String },
    #[error("{operation}: {cause}")]
    Local { operation: String, cause: io::Error },
}

impl EngineError {
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status: 404, .. })
    }

    /// Whether the machine has another host key than the expected one, which no retry changes.
    pub fn is_other_host_key(&self) -> bool {
        matches!(self, Self::Connect(ConnectError::OtherHostKey(..)))
    }

    /// Whether the object is in use or is already being removed.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Refused { status: 409, .. })
    }

    /// Whether a retry may succeed in a moment: the object is in use or being removed, or a container ended while Podman
    /// or Docker was about to signal it.
    pub(super) fn is_temporary(&self) -> bool {
        const ENDED: [&str; 2] = ["container state improper", "is not running"];
        matches!(self, Self::Refused { message, .. } if ENDED.iter().any(|text| message.contains(text)))
            || self.is_conflict()
    }

    /// Whether Docker was creating the same directory of a volume for another container. The next attempt finds it.
    pub(super) fn is_race_for_a_directory(&self) -> bool {
        matches!(self, Self::Refused { message, .. }
            if message.contains("mkdir ") && message.contains("file exists"))
    }

    /// The message of an engine that refused, in lower case; `None` for every other error.
    pub fn refusal(&self) -> Option<String> {
        let Self::Refused { message, .. } = self else {
            return None;
        };
        Some(message.to_lowercase())
    }

    /// Whether a policy or a missing permission of the engine or its machine is the reason.
    pub(crate) fn is_forbidden(&self) -> bool {
        const PHRASES: [&str; 4] = ["denied", "not permitted", "not allowed", "forbidden"];
        let matches = |message: String| PHRASES.iter().any(|phrase| message.contains(phrase));
        matches!(self, Self::Refused { status: 403, .. }) || self.refusal().is_some_and(matches)
    }

    fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { message, .. } if message.contains("no space left on device") => Some(
                "the engine's disk is full. `sdbuild clean` removes what sdbuild created, and `docker system df` shows \
                 what else uses space",
            ),
            Self::Lost { .. } => Some(STILL_RUNS),
            Self::Silent { .. } => Some(BUSY),
            Self::NotOurs { .. } => {
                Some("something else uses a name that sdbuild needs; rename or remove it")
            }
            Self::Connect(_)
            | Self::Refused { .. }
            | Self::Unexpected { .. }
            | Self::Local { .. } => None,
        }
    }
}

/// What an engine answers about an object that may not exist.
pub(super) trait MayBeMissing<T> {
    /// `None` for an object that does not exist.
    fn if_exists(self) -> Result<Option<T>, EngineError>;
}

impl<T> MayBeMissing<T> for Result<T, EngineError> {
    fn if_exists(self) -> Result<Option<T>, EngineError> {
        match self {
            Err(error) if error.is_not_found() => Ok(None),
            answer => answer.map(Some),
        }
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        let (hints, names_operation) = if let EngineError::Connect(error) = &error {
            (error.hints(), error.names_operation())
        } else {
            (error.hint().map(str::to_owned).into_iter().collect(), true)
        };
        let failure = Self {
            names_operation,
            ..Self::new(Class::Environment, error)
        };
        hints.into_iter().fold(failure, Self::hint)
    }
}

/// Converts an error of bollard's in `operation` ("create container sdbuild-…").
pub(crate) fn at(operation: impl Into<String>) -> impl Fn(bollard::errors::Error) -> EngineError {
    let operation = operation.into();
    move |error| convert(operation.clone(), error)
}

fn convert(operation: String, error: bollard::errors::Error) -> EngineError {
    use bollard::errors::Error as E;
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "bollard's error grows with its features"
    )]
    match error {
        E::DockerResponseServerError {
            status_code: status,
            message,
        } => EngineError::Refused {
            operation,
            status,
            message: refusal_message(&message, status),
        },
        E::DockerStreamError { error } | E::DockerContainerWaitError { error, .. } => {
            EngineError::Refused {
                operation,
                status: 200,
                message: refusal_message(&error, 200),
            }
        }
        E::RequestTimeoutError => EngineError::Silent { operation },
        E::IOError { .. } | E::HyperResponseError { .. } | E::HyperLegacyError { .. } => {
            EngineError::Lost {
                operation,
                reason: reason(&error),
            }
        }
        other => EngineError::Unexpected {
            operation,
            message: bounded(&other.to_string()),
        },
    }
}

/// The engine's message, or the status if it is empty.
fn refusal_message(message: &str, status: u16) -> String {
    match bounded(message) {
        text if text.is_empty() => format!("refused without a reason (HTTP status {status})"),
        text => text,
    }
}

/// `text` trimmed, and truncated after [`MAX_MESSAGE_CHARS`].
pub(crate) fn bounded(text: &str) -> String {
    truncate(text.trim(), MAX_MESSAGE_CHARS).into_owned()
}

/// The operating system's error below hyper's "client error (Connect)", else the innermost text.
fn reason(error: &(dyn Error + 'static)) -> String {
    let mut cause = error;
    loop {
        if let Some(io) = cause.downcast_ref::<io::Error>()
            && io.raw_os_error().is_some()
        {
            return io.to_string();
        }
        match cause.source() {
            Some(next) => cause = next,
            None => return bounded(&cause.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status_code: u16, message: &str) -> EngineError {
        convert(
            "remove volume x".into(),
            bollard::errors::Error::DockerResponseServerError {
                status_code,
                message: message.into(),
            },
        )
    }

    #[test]
    fn the_operation_is_named_once() {
        let error = refused(409, "volume is in use\n");
        assert_eq!(error.to_string(), "remove volume x: volume is in use");
        assert!(error.is_conflict());
        assert_eq!(
            Failure::from(error).to_string(),
            "remove volume x: volume is in use"
        );
    }

    #[test]
    fn a_removal_is_tried_again_where_the_container_ended_meanwhile() {
        for (status, message, is_temporary) in [
            (409, "removal is already in progress", true),
            (500, "container state improper", true),
            (
                500,
                "Could not kill running container a, cannot remove - Container a is not running",
                true,
            ),
            (500, "driver failed to remove root filesystem", false),
        ] {
            let error = refused(status, message);
            assert_eq!(error.is_temporary(), is_temporary, "{message}");
        }
    }

    #[test]
    fn long_messages_are_truncated_between_characters() {
        let text = refused(500, &"ü".repeat(5000)).to_string();
        assert_eq!(
            text.chars().count(),
            "remove volume x: ".len() + MAX_MESSAGE_CHARS + 1
        );
    }

    #[test]
    fn the_innermost_system_error_is_reported() {
        let io = io::Error::from_raw_os_error(111);
        let error = convert(
            "ping engine".into(),
            bollard::errors::Error::IOError { err: io },
        );
        assert!(matches!(&error, EngineError::Lost { .. }));
        assert!(error.to_string().contains("refused"), "{error}");
    }

    #[test]
    fn a_forbidden_operation_is_recognized() {
        for message in [
            "Mounts denied: \nThe path /x is not shared",
            "mount: Operation not permitted",
            "authorization denied by plugin x",
        ] {
            assert!(refused(500, message).is_forbidden(), "{message}");
        }
        assert!(refused(403, "").is_forbidden());
        assert!(!refused(500, "no space left on device").is_forbidden());
        let silent = EngineError::Silent {
            operation: "mount what was denied".into(),
        };
        assert!(!silent.is_forbidden() && silent.refusal().is_none());
    }
}
