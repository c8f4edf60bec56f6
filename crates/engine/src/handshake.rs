//! The first requests to an endpoint, and errors that say what listens there if it is not a usable engine.

use std::path::Path;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{ClientVersion, Docker};

use crate::connect_error::{ConnectError, OLDEST_API};
use crate::endpoint::Endpoint;
use crate::error::{EngineError, at};
use crate::facts;
use crate::request::{NEVER, within};
use crate::tunnel::Tunnel;
use sdbuild_core::timeout::timeout;

/// For the connection alone, before any request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The pause before a connection is tried again.
const RETRY_INTERVAL: Duration = Duration::from_millis(100);
/// For the first requests: an engine asks its own helpers for their versions then, which took 15 s on one that loaded
/// container images for six builds at once.
const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Opens and closes one connection, because the system's error is clearer than hyper's.
pub(super) async fn handshake(endpoint: &Endpoint) -> Result<(), ConnectError> {
    let opened = timeout(CONNECT_TIMEOUT, async {
        match endpoint {
            Endpoint::Unix(path) => connect_unix(path).await,
            Endpoint::Tcp(address) | Endpoint::Tls { address, .. } => {
                tokio::net::TcpStream::connect(address).await.map(drop)
            }
            // The tunnel reports errors of `ssh`.
            Endpoint::Ssh(_) => Ok(()),
        }
    });
    let error = match opened.await {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => error,
        None => std::io::ErrorKind::TimedOut.into(),
    };
    Err(connection_error(endpoint, &error))
}

/// Connects to the socket `path`, again and again while the queue of its listener is full.
async fn connect_unix(path: &Path) -> std::io::Result<()> {
    loop {
        match tokio::net::UnixStream::connect(path).await {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                tokio::time::sleep(RETRY_INTERVAL).await;
            }
            connected => return connected.map(drop),
        }
    }
}

pub(super) fn connection_error(endpoint: &Endpoint, error: &std::io::Error) -> ConnectError {
    match (endpoint, error.kind()) {
        (Endpoint::Unix(socket), std::io::ErrorKind::PermissionDenied) => ConnectError::Denied {
            socket: socket.clone(),
        },
        _ => ConnectError::Absent {
            endpoint: endpoint.clone(),
            reason: error.to_string(),
        },
    }
}

/// Where a client connects to for `endpoint`: its own address, or the near end of the tunnel that is opened for `ssh://`.
pub(super) async fn near_end(
    endpoint: &Endpoint,
) -> Result<(Endpoint, Option<Tunnel>), EngineError> {
    let Endpoint::Ssh(target) = endpoint else {
        return Ok((endpoint.clone(), None));
    };
    let tunnel = Tunnel::open(target).await?;
    Ok((Endpoint::Unix(tunnel.socket()), Some(tunnel)))
}

/// A client of the API `version` for a [`near_end`]. Not by `connect_with_host`, which reads `DOCKER_TLS_VERIFY` from the
/// environment.
pub(super) fn client(near: &Endpoint, version: &ClientVersion) -> Result<Docker, EngineError> {
    let seconds = NEVER.as_secs();
    let docker = match near {
        Endpoint::Unix(path) => {
            Docker::connect_with_unix(&path.to_string_lossy(), seconds, version)
        }
        Endpoint::Tcp(address) => Docker::connect_with_http(address, seconds, version),
        Endpoint::Tls {
            address,
            certificates,
        } => {
            let [key, cert, ca] = ["key.pem", "cert.pem", "ca.pem"].map(|n| certificates.join(n));
            let docker = Docker::connect_with_ssl(address, &key, &cert, &ca, seconds, version);
            Ok(docker.map_err(|error| tls_error(near, error.to_string()))?)
        }
        Endpoint::Ssh(_) => {
            let error = std::io::Error::other("it is reached by a tunnel only");
            return Err(connection_error(near, &error).into());
        }
    };
    docker.map_err(at(format!("connect to {near}")))
}

fn tls_error(endpoint: &Endpoint, reason: String) -> ConnectError {
    ConnectError::Tls {
        endpoint: endpoint.clone(),
        reason,
    }
}

/// Reads the engine's version and its newest API, which must be [`OLDEST_API`] or later.
pub(super) async fn version(
    docker: &Docker,
    endpoint: &Endpoint,
) -> Result<(SystemVersion, (u32, u32)), EngineError> {
    let operation = format!("ask {endpoint} for its version");
    let version = within(FIRST_ANSWER_TIMEOUT, &operation, Box::pin(docker.version()))
        .await?
        .map_err(|e| version_error(endpoint, e))?;
    let api = version.api_version.clone().unwrap_or_default();
    let endpoint = endpoint.clone();
    match facts::api_version(&api) {
        None => Err(ConnectError::NotAnEngine {
            endpoint,
            answer: "it names no API version".into(),
        }
        .into()),
        Some(parsed) if parsed < OLDEST_API => Err(ConnectError::TooOld { endpoint, api }.into()),
        Some(parsed) => Ok((version, parsed)),
    }
}

/// Replaces an error on a forwarded connection by the last message of `ssh`, if that explains it: why it closed the
/// connection, or why it could not forward it, which it may leave open without a response.
pub(super) fn explain_by_ssh(
    endpoint: &Endpoint,
    error: EngineError,
    ssh_message: Option<String>,
) -> EngineError {
    let Some(reason) = ssh_message else {
        return error;
    };
    let is_closed = matches!(
        error,
        EngineError::Connect(ConnectError::NotAnEngine { .. })
    );
    let is_not_forwarded =
        matches!(error, EngineError::Silent { .. }) && reason.contains("open failed");
    if is_closed || is_not_forwarded {
        let endpoint = endpoint.clone();
        ConnectError::Ssh { endpoint, reason }.into()
    } else {
        error
    }
}

/// The error for a connection that was accepted and returned something else than a version.
fn version_error(endpoint: &Endpoint, error: bollard::errors::Error) -> EngineError {
    let endpoint = endpoint.clone();
    match at(format!("ask {endpoint} for its version"))(error) {
        EngineError::Refused { message, .. } if message.contains("HTTPS") => {
            ConnectError::RequiresTls { endpoint }.into()
        }
        EngineError::Refused { message, .. } | EngineError::Unexpected { message, .. } => {
            ConnectError::NotAnEngine {
                endpoint,
                answer: message,
            }
            .into()
        }
        EngineError::Lost { reason, .. } if matches!(endpoint, Endpoint::Tls { .. }) => {
            tls_error(&endpoint, reason).into()
        }
        EngineError::Lost { reason, .. } => ConnectError::NotAnEngine {
            endpoint,
            answer: reason,
        }
        .into(),
        other @ (EngineError::Connect(_)
        | EngineError::Silent { .. }
        | EngineError::NotOurs { .. }
        | EngineError::Local { .. }) => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use bollard::API_DEFAULT_VERSION;

    use super::*;

    /// bollard's timeout counts the time in which this process is stopped: after a stop of a minute an engine that was
    /// removing a container was reported as silent, and the container was left (fault injection, seed 86189).
    #[tokio::test]
    async fn the_timeout_of_bollard_never_elapses() {
        let endpoint = Endpoint::Tcp("127.0.0.1:1".into());
        let client = client(&endpoint, API_DEFAULT_VERSION).unwrap();
        assert_eq!(client.timeout(), NEVER);
    }

    #[test]
    fn a_forwarding_that_failed_is_reported_by_ssh() {
        let endpoint = Endpoint::Tcp("x".into());
        let explained = |message: &str| {
            let operation = "ask x for its version".into();
            let silent = EngineError::Silent { operation };
            explain_by_ssh(&endpoint, silent, Some(message.into())).to_string()
        };
        let refused = "channel 2: open failed: connect failed: open failed";
        assert!(explained(refused).contains(refused));
        let warning = "Warning: Permanently added 'x' to the list of known hosts.";
        assert!(explained(warning).contains("did not answer in time"));
    }

    /// A server that answers with a body without end.
    fn endless_server() -> Endpoint {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap().to_string());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let mut sent = stream.write_all(head.as_bytes());
            while sent.is_ok() {
                std::thread::yield_now();
                sent = stream.write_all(b"1\r\n \r\n");
            }
        });
        endpoint
    }

    #[tokio::test]
    async fn the_timeout_covers_a_body_without_end() {
        let docker = client(&endless_server(), API_DEFAULT_VERSION).unwrap();
        let version = within(Duration::from_millis(300), "ask", docker.version());
        let version = timeout(Duration::from_secs(20), version);
        let error = version.await.unwrap().unwrap_err();
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }
}
