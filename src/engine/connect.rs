//! Which engine: the endpoint that Docker's own client would take, and what to say when none answers.
//!
//! [`choose`] reads at most two small files below `~/.docker` and knocks at the usual sockets;
//! everything else comes in as values.

use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use crate::engine::docker_context;
use crate::engine::endpoint::Endpoint;
use crate::engine::error::EngineError;

/// The oldest API that we speak: Docker 20.10, Podman 4.
pub(crate) const OLDEST_API: (u32, u32) = (1, 41);
/// Where Docker listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What the choice depends on; `settings` fills it in.
#[derive(Clone, Debug)]
pub struct EndpointInputs<'a> {
    /// `DOCKER_HOST`.
    pub docker_host: Option<&'a str>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<&'a str>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
    /// `DOCKER_TLS_VERIFY`: TCP is to be encrypted.
    pub docker_tls_verify: bool,
    /// `DOCKER_CERT_PATH`: the certificates, else they are in `docker_config`.
    pub docker_cert_path: Option<PathBuf>,
    /// `XDG_RUNTIME_DIR`: where rootless engines listen.
    pub runtime_dir: Option<PathBuf>,
}

/// No usable engine.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens.
    #[error("no engine answers at {endpoint}: {reason}")]
    Absent {
        /// Where we asked.
        endpoint: Endpoint,
        /// What the system said.
        reason: String,
    },
    /// The socket is there and we may not use it.
    #[error("the engine's socket {} is not open to this user", .socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// It is an engine, of another age.
    #[error("the engine at {endpoint} speaks API {api}, sdbuild needs {}.{} or later", OLDEST_API.0, OLDEST_API.1)]
    TooOld {
        /// Where we asked.
        endpoint: Endpoint,
        /// What it speaks at most.
        api: String,
    },
    /// Something answers that is no Docker-compatible engine.
    #[error("what answers at {endpoint} is not a Docker-compatible engine: {answer}")]
    NotAnEngine {
        /// Where we asked.
        endpoint: Endpoint,
        /// What was wrong with the answer.
        answer: String,
    },
    /// The other side wants TLS.
    #[error("the engine at {endpoint} wants TLS")]
    WantsTls {
        /// Where we asked.
        endpoint: Endpoint,
    },
    /// TLS came to nothing.
    #[error("TLS with the engine at {endpoint}: {reason}")]
    Tls {
        /// Where we asked.
        endpoint: Endpoint,
        /// Why.
        reason: String,
    },
    /// `ssh` came to nothing.
    #[error("reach the engine at {endpoint} by ssh: {reason}")]
    Ssh {
        /// Where we asked.
        endpoint: Endpoint,
        /// Why, in the words of `ssh` where it has any.
        reason: String,
    },
    /// An address of a kind that we do not speak.
    #[error("engine address `{address}` is not supported")]
    Unsupported {
        /// As given, without user and password.
        address: String,
    },
    /// A Docker context that cannot be read.
    #[error("docker context `{name}`: {reason}")]
    Context {
        /// Its name.
        name: String,
        /// Why not.
        reason: String,
    },
}

impl ConnectError {
    /// What a user can do, most likely first.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Absent { endpoint, .. } => vec![absent_hint(endpoint).into()],
            Self::Denied { .. } => vec![
                "join the docker group with `sudo usermod -aG docker $USER`, then log in again".into(),
                "or use a rootless engine and point DOCKER_HOST at its socket".into(),
            ],
            Self::TooOld { .. } => vec!["update the engine to Docker 20.10, Podman 4, or later".into()],
            Self::NotAnEngine { .. } => {
                vec!["check DOCKER_HOST and `docker context ls`: is that address the engine's?".into()]
            }
            Self::WantsTls { .. } => vec![
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem"
                    .into(),
            ],
            Self::Tls { .. } => vec![
                "ca.pem must be of whoever signed the engine's certificate, and that certificate for this \
                 address; cert.pem and key.pem yours: they are looked for in DOCKER_CERT_PATH, else in ~/.docker"
                    .into(),
            ],
            Self::Ssh { .. } => vec![
                "see that plain `ssh` to that machine works, and may forward sockets".into(),
                "a socket in an unusual place has to be named: DOCKER_HOST=ssh://HOST/run/user/1000/docker.sock"
                    .into(),
            ],
            Self::Unsupported { .. } => vec![
                "take unix:///PATH, ssh://[USER@]HOST[:PORT][/SOCKET] or tcp://HOST[:PORT]; a password \
                 cannot be in it, and https:// takes DOCKER_TLS_VERIFY=1"
                    .into(),
            ],
            Self::Context { .. } => {
                vec!["`docker context ls` lists the contexts; DOCKER_HOST overrides them".into()]
            }
        }
    }
}

fn absent_hint(endpoint: &Endpoint) -> &'static str {
    match endpoint {
        Endpoint::Unix(_) => {
            "install Docker (package `docker.io` or `docker`) and start it with \
             `sudo systemctl start docker`; Podman works too, with \
             `systemctl --user start podman.socket`"
        }
        Endpoint::Tcp(_) | Endpoint::Tls { .. } | Endpoint::Ssh(_) => {
            "check DOCKER_HOST and that the engine there listens on this port"
        }
    }
}

/// `DOCKER_HOST` (empty is unset), else the context that is named or current, else the first socket
/// that somebody listens at: Docker's, the user's own Docker or Podman, Podman's.
pub fn choose(inputs: &EndpointInputs<'_>) -> Result<Endpoint, EngineError> {
    let given = |value: Option<&str>| {
        value
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    if let Some(host) = given(inputs.docker_host) {
        let own = inputs.docker_cert_path.as_ref();
        let certificates = own.unwrap_or(&inputs.docker_config).clone();
        return parse(&host, inputs.docker_tls_verify.then_some(certificates));
    }
    let named =
        given(inputs.docker_context).or_else(|| docker_context::current(&inputs.docker_config));
    match named.filter(|name| name != "default") {
        Some(name) => {
            let context = docker_context::read(&inputs.docker_config, &name)?;
            parse(&context.host, context.certificates)
        }
        None => default_endpoint(inputs.runtime_dir.as_deref()),
    }
}

fn parse(address: &str, certificates: Option<PathBuf>) -> Result<Endpoint, EngineError> {
    Endpoint::parse(address, certificates).ok_or_else(|| {
        let address = without_credentials(address);
        ConnectError::Unsupported { address }.into()
    })
}

/// The first engine that listens where engines do when nobody says otherwise; Docker's own place when
/// none does, and then connecting tells why.
fn default_endpoint(runtime_dir: Option<&Path>) -> Result<Endpoint, EngineError> {
    let own = runtime_dir.map(|dir| ["docker.sock", "podman/podman.sock"].map(|s| dir.join(s)));
    let sockets: Vec<PathBuf> = [DEFAULT_SOCKET.into()]
        .into_iter()
        .chain(own.into_iter().flatten())
        .chain(["/run/podman/podman.sock".into()])
        .collect();
    if let Some(socket) = first_that_listens(&sockets) {
        return Ok(Endpoint::Unix(socket.to_owned()));
    }
    let endpoint = Endpoint::Unix(DEFAULT_SOCKET.into());
    if !matches!(Path::new(DEFAULT_SOCKET).try_exists(), Ok(false)) {
        return Ok(endpoint);
    }
    let reason = "there is no such socket".to_owned();
    Err(ConnectError::Absent { endpoint, reason }.into())
}

fn first_that_listens(sockets: &[PathBuf]) -> Option<&Path> {
    let listens = |socket: &&PathBuf| UnixStream::connect(socket).is_ok();
    sockets.iter().find(listens).map(PathBuf::as_path)
}

/// `address` without the user and the password that it may carry: it goes into messages.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    // The last `@`, wherever it is: a password may hold any character, `/` and `@` among them.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests;
