//! Why there is no usable engine at an endpoint, and what a user can do about it.

use std::path::PathBuf;

use crate::engine::endpoint::Endpoint;

/// The oldest API that we speak: Docker 20.10, Podman 4.
pub(crate) const OLDEST_API: (u32, u32) = (1, 41);

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
