//! Chooses the engine's endpoint as Docker's own client does, and makes the first requests to it.
//!
//! [`choose`] reads at most two small files below `~/.docker` and connects to the default sockets; everything else comes
//! in as values.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use bollard::models::SystemVersion;
use bollard::{ClientVersion, Docker};
use sdbuild_core::timeout::timeout;

use crate::client::{NEVER, within};
use crate::endpoint::{ConnectError, Endpoint, OLDEST_API};
use crate::error::{EngineError, at};
use crate::tunnel::Tunnel;
use crate::{endpoint, facts, unix_socket};

const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

#[derive(Clone, Debug)]
pub struct EndpointInputs<'a> {
    pub docker_host: Option<&'a str>,
    pub docker_context: Option<&'a str>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`: whether TCP is encrypted.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`: the directory of the certificates, `docker_config` when unset.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: the directory of the sockets of rootless engines.
    pub runtime_dir: Option<PathBuf>,
}

/// The endpoint of `DOCKER_HOST` (empty is unset), else of `DOCKER_CONTEXT` or the current context, else the first of these
/// sockets that accepts a connection: Docker's, the user's own Docker's and Podman's, Podman's.
pub fn choose(inputs: &EndpointInputs<'_>) -> Result<Endpoint, EngineError> {
    let given = |value: Option<&str>| {
        value
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    if let Some(host) = given(inputs.docker_host) {
        let cert_path = inputs.docker_cert_path.as_ref();
        let certificates = cert_path.unwrap_or(&inputs.docker_config).clone();
        return parse(&host, inputs.docker_tls_verify.then_some(certificates));
    }
    let named = given(inputs.docker_context).or_else(|| endpoint::current(&inputs.docker_config));
    match named.filter(|name| name != "default") {
        Some(name) => {
            let (host, certificates) = endpoint::read(&inputs.docker_config, &name)?;
            parse(&host, certificates)
        }
        None => default_endpoint(inputs.runtime_dir.as_deref()),
    }
}

fn parse(address: &str, certificates: Option<PathBuf>) -> Result<Endpoint, EngineError> {
    Endpoint::parse(address, certificates).ok_or(ConnectError::Unsupported.into())
}

/// The first default socket that accepts a connection; when there is none, Docker's socket if it exists, because
/// connecting to it fails with the reason.
fn default_endpoint(runtime_dir: Option<&Path>) -> Result<Endpoint, EngineError> {
    let rootless =
        runtime_dir.map(|dir| ["docker.sock", "podman/podman.sock"].map(|s| dir.join(s)));
    let sockets: Vec<PathBuf> = [DEFAULT_SOCKET.into()]
        .into_iter()
        .chain(rootless.into_iter().flatten())
        .chain(["/run/podman/podman.sock".into()])
        .collect();
    if let Some(socket) = first_listening(&sockets) {
        return Ok(Endpoint::Unix(socket.to_owned()));
    }
    let endpoint = Endpoint::Unix(DEFAULT_SOCKET.into());
    if !matches!(Path::new(DEFAULT_SOCKET).try_exists(), Ok(false)) {
        return Ok(endpoint);
    }
    let reason = "there is no such socket".to_owned();
    Err(ConnectError::Absent(endpoint, reason).into())
}

fn first_listening(sockets: &[PathBuf]) -> Option<&Path> {
    let listens = |socket: &&PathBuf| unix_socket::has_listener(socket).unwrap_or(false);
    sockets.iter().find(listens).map(PathBuf::as_path)
}

/// For the connection alone, before any request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
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
        (Endpoint::Unix(socket), std::io::ErrorKind::PermissionDenied) => {
            ConnectError::Denied(socket.clone())
        }
        _ => ConnectError::Absent(endpoint.clone(), error.to_string()),
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
            Ok(docker.map_err(|error| ConnectError::Tls(near.clone(), error.to_string()))?)
        }
        Endpoint::Ssh(_) => {
            let error = std::io::Error::other("it is reached by a tunnel only");
            return Err(connection_error(near, &error).into());
        }
    };
    docker.map_err(at(format!("connect to {near}")))
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
        None => Err(ConnectError::NotAnEngine(endpoint, "it names no API version".into()).into()),
        Some(parsed) if parsed < OLDEST_API => Err(ConnectError::TooOld(endpoint, api).into()),
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
    let is_closed = matches!(error, EngineError::Connect(ConnectError::NotAnEngine(..)));
    let is_not_forwarded =
        matches!(error, EngineError::Silent { .. }) && reason.contains("open failed");
    if is_closed || is_not_forwarded {
        ConnectError::Ssh(endpoint.clone(), reason).into()
    } else {
        error
    }
}

/// The error for a connection that was accepted and returned something else than a version.
fn version_error(endpoint: &Endpoint, error: bollard::errors::Error) -> EngineError {
    let at_endpoint = endpoint.clone();
    let error = match at(format!("ask {endpoint} for its version"))(error) {
        EngineError::Refused { message, .. } if message.contains("HTTPS") => {
            ConnectError::RequiresTls(at_endpoint)
        }
        EngineError::Lost { reason, .. } if matches!(endpoint, Endpoint::Tls { .. }) => {
            ConnectError::Tls(at_endpoint, reason)
        }
        EngineError::Refused {
            message: answer, ..
        }
        | EngineError::Unexpected {
            message: answer, ..
        }
        | EngineError::Lost { reason: answer, .. } => {
            ConnectError::NotAnEngine(at_endpoint, answer)
        }
        other @ (EngineError::Connect(_)
        | EngineError::Silent { .. }
        | EngineError::NotOurs { .. }
        | EngineError::Local { .. }) => return other,
    };
    error.into()
}

/// How the other end is probed during a long wait.
#[derive(Clone, Copy)]
pub(super) struct KeepAlive {
    pub(super) interval: Duration,
    pub(super) timeout: Duration,
    /// Number of failed probes in a row after which the other end counts as gone.
    pub(super) max_failures: u32,
}

impl KeepAlive {
    /// For a wait of hours: the other end counts as gone after two to three minutes without a response.
    pub(super) const LONG_REQUEST: Self = Self {
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(30),
        max_failures: 3,
    };

    /// The output of `work`; `None` when too many probes in a row have failed.
    pub(super) async fn watch<T, P: Future<Output = bool>>(
        self,
        work: impl Future<Output = T>,
        probe: impl Fn() -> P,
    ) -> Option<T> {
        let mut work = pin!(work);
        let mut failures = 0;
        while failures < self.max_failures {
            let probed = async {
                tokio::time::sleep(self.interval).await;
                timeout(self.timeout, probe()).await
            };
            tokio::select! {
                biased;
                output = &mut work => return Some(output),
                responded = probed => failures = match responded {
                    Some(true) => 0,
                    Some(false) | None => failures + 1,
                },
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
