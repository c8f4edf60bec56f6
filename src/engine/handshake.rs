//! The first contact with an endpoint, and what it tells about who is there.

use std::path::Path;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{API_DEFAULT_VERSION, Docker};

use crate::common::timeout::timeout;
use crate::engine::connect::{ConnectError, OLDEST_API};
use crate::engine::endpoint::Endpoint;
use crate::engine::error::{EngineError, at};
use crate::engine::request::{NEVER, within};
use crate::engine::tunnel::Tunnel;
use crate::engine::{FIRST_ANSWER, facts};

/// An engine that takes longer to accept a connection is not there.
const DIAL: Duration = Duration::from_secs(10);

/// Opens and closes one connection: the system's own error says what is wrong better than hyper's.
pub(super) async fn handshake(endpoint: &Endpoint) -> Result<(), ConnectError> {
    let opened = timeout(DIAL, async {
        match endpoint {
            Endpoint::Unix(path) => tokio::net::UnixStream::connect(path).await.map(drop),
            Endpoint::Tcp(address) | Endpoint::Tls { address, .. } => {
                tokio::net::TcpStream::connect(address).await.map(drop)
            }
            // `ssh` itself tells what is wrong.
            Endpoint::Ssh(_) => Ok(()),
        }
    });
    let error = match opened.await {
        Some(Ok(())) => return Ok(()),
        Some(Err(error)) => error,
        None => std::io::ErrorKind::TimedOut.into(),
    };
    Err(refusal(endpoint, &error))
}

pub(super) fn refusal(endpoint: &Endpoint, error: &std::io::Error) -> ConnectError {
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

/// A client, and the way that it takes where that is ours. Never `connect_with_host`: that one reads
/// `DOCKER_TLS_VERIFY` behind our back.
pub(super) async fn client(endpoint: &Endpoint) -> Result<(Docker, Option<Tunnel>), EngineError> {
    let seconds = NEVER.as_secs();
    let unix = |path: &Path| {
        Docker::connect_with_unix(&path.to_string_lossy(), seconds, API_DEFAULT_VERSION)
    };
    let (docker, tunnel) = match endpoint {
        Endpoint::Unix(path) => (unix(path), None),
        Endpoint::Tcp(address) => {
            let docker = Docker::connect_with_http(address, seconds, API_DEFAULT_VERSION);
            (docker, None)
        }
        Endpoint::Tls {
            address,
            certificates,
        } => {
            let [key, cert, ca] = ["key.pem", "cert.pem", "ca.pem"].map(|n| certificates.join(n));
            let docker =
                Docker::connect_with_ssl(address, &key, &cert, &ca, seconds, API_DEFAULT_VERSION);
            let docker = docker.map_err(|error| tls(endpoint, error.to_string()))?;
            (Ok(docker), None)
        }
        Endpoint::Ssh(target) => {
            let tunnel = Tunnel::open(target).await?;
            (unix(&tunnel.socket()), Some(tunnel))
        }
    };
    let docker = docker.map_err(at(format!("connect to {endpoint}")))?;
    Ok((docker, tunnel))
}

fn tls(endpoint: &Endpoint, reason: String) -> ConnectError {
    ConnectError::Tls {
        endpoint: endpoint.clone(),
        reason,
    }
}

/// Asks for the version, which must be one that we speak.
pub(super) async fn version(
    docker: &Docker,
    endpoint: &Endpoint,
) -> Result<(SystemVersion, (u32, u32)), EngineError> {
    let operation = format!("ask {endpoint} for its version");
    // Something that accepts and says nothing is no engine, and not worth a minute.
    let version = within(FIRST_ANSWER, &operation, Box::pin(docker.version()))
        .await?
        .map_err(|e| first_answer(endpoint, e))?;
    let said = version.api_version.clone().unwrap_or_default();
    let endpoint = endpoint.clone();
    match facts::api_version(&said) {
        None => Err(ConnectError::NotAnEngine {
            endpoint,
            answer: "it names no API version".into(),
        }
        .into()),
        Some(api) if api < OLDEST_API => Err(ConnectError::TooOld {
            endpoint,
            api: said,
        }
        .into()),
        Some(api) => Ok((version, api)),
    }
}

/// What ended a connection that `ssh` forwards, `ssh` knows better. It may leave one open that it could not
/// forward: then the engine is silent, and `ssh` has said why.
pub(super) fn by_ssh(endpoint: &Endpoint, error: EngineError, said: Option<String>) -> EngineError {
    let not_forwarded = |said: &str| said.contains("open failed");
    match (&error, said.filter(|said| !said.is_empty())) {
        (EngineError::Connect(ConnectError::NotAnEngine { .. }), Some(reason)) => {
            by(endpoint, reason)
        }
        (EngineError::Silent { .. }, Some(reason)) if not_forwarded(&reason) => {
            by(endpoint, reason)
        }
        _ => error,
    }
}

fn by(endpoint: &Endpoint, reason: String) -> EngineError {
    let endpoint = endpoint.clone();
    ConnectError::Ssh { endpoint, reason }.into()
}

/// The connection was accepted; what came back instead of a version tells what listens there.
fn first_answer(endpoint: &Endpoint, error: bollard::errors::Error) -> EngineError {
    let endpoint = endpoint.clone();
    match at(format!("ask {endpoint} for its version"))(error) {
        EngineError::Refused { message, .. } if message.contains("HTTPS") => {
            ConnectError::WantsTls { endpoint }.into()
        }
        EngineError::Refused { message, .. } | EngineError::Unexpected { message, .. } => {
            ConnectError::NotAnEngine {
                endpoint,
                answer: message,
            }
            .into()
        }
        EngineError::Lost { reason, .. } if matches!(endpoint, Endpoint::Tls { .. }) => {
            tls(&endpoint, reason).into()
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

    use super::*;

    /// bollard's count a stop of ours: after a minute of it an engine that was asked to remove a container was
    /// called silent, and the container left (fault injection, seed 86189).
    #[tokio::test]
    async fn bollards_own_time_outs_end_nothing() {
        let endpoint = Endpoint::Tcp("127.0.0.1:1".into());
        let (client, _) = client(&endpoint).await.unwrap();
        assert_eq!(client.timeout(), NEVER);
    }

    #[test]
    fn a_silent_engine_behind_ssh_is_what_ssh_says_of_it() {
        let endpoint = Endpoint::Tcp("x".into());
        let told = |said: &str| {
            let operation = "ask x for its version".into();
            let silent = EngineError::Silent { operation };
            by_ssh(&endpoint, silent, Some(said.into())).to_string()
        };
        let refused = "channel 2: open failed: connect failed: open failed";
        assert!(told(refused).contains(refused));
        let greeting = "Warning: Permanently added 'x' to the list of known hosts.";
        assert!(told(greeting).contains("did not answer in time"));
    }

    /// Answers everything with a body that goes on and on.
    fn endless() -> Endpoint {
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
    async fn a_first_answer_without_end_is_not_waited_for() {
        let (docker, _) = client(&endless()).await.unwrap();
        let asked = within(Duration::from_millis(300), "ask", docker.version());
        let asked = timeout(Duration::from_secs(20), asked);
        let error = asked.await.unwrap().unwrap_err();
        assert!(matches!(error, EngineError::Silent { .. }), "{error}");
    }
}
