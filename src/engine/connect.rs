//! Which engine: the endpoint that Docker's own client would take, and what to say when none answers.
//!
//! [`choose`] reads at most two small files below `~/.docker` and knocks at the usual sockets;
//! everything else comes in as values.

use std::fmt;
use std::net::IpAddr;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::engine::error::EngineError;
use crate::plain_file;

/// The oldest API that we speak: Docker 20.10, Podman 4.
pub(crate) const OLDEST_API: (u32, u32) = (1, 41);
/// Where Docker listens when nobody says otherwise.
const DEFAULT_SOCKET: &str = "/var/run/docker.sock";
/// A context file is a few hundred bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
}

impl Endpoint {
    /// Whether a port of the engine's host is one of this machine: a socket's engine is here, or, in a
    /// virtual machine of a desktop's, does as if.
    pub fn is_here(&self) -> bool {
        let Self::Tcp(address) = self else {
            return true;
        };
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// What the choice depends on; `settings` fills it in.
#[derive(Clone, Debug)]
pub struct EndpointInputs<'a> {
    /// `DOCKER_HOST`.
    pub docker_host: Option<&'a str>,
    /// `DOCKER_CONTEXT`.
    pub docker_context: Option<&'a str>,
    /// `~/.docker`, or `DOCKER_CONFIG`.
    pub docker_config: PathBuf,
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
    #[error("the engine at {endpoint} wants TLS, which sdbuild does not speak yet")]
    WantsTls {
        /// Where we asked.
        endpoint: Endpoint,
    },
    /// An address of a kind that we do not speak.
    #[error("engine address `{address}` is not supported yet")]
    Unsupported {
        /// As given, without user and pass word.
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
    /// What a person can do, most likely first.
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
            Self::WantsTls { .. } | Self::Unsupported { .. } => vec![
                "forward the socket instead: `ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST`, \
                 then set DOCKER_HOST=unix:///tmp/engine.sock"
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
        Endpoint::Tcp(_) => "check DOCKER_HOST and that the engine there listens on this port",
    }
}

/// `DOCKER_HOST` (empty is unset), else the context that is named or current, else the first socket
/// that somebody listens at: Docker's, the person's own Docker or Podman, Podman's.
pub fn choose(inputs: &EndpointInputs<'_>) -> Result<Endpoint, EngineError> {
    let given = |value: Option<&str>| {
        value
            .map(str::trim)
            .filter(|v| !v.is_empty())
            .map(str::to_owned)
    };
    if let Some(host) = given(inputs.docker_host) {
        return Ok(parse(&host)?);
    }
    let context = given(inputs.docker_context).or_else(|| current_context(&inputs.docker_config));
    match context.filter(|name| name != "default") {
        Some(name) => Ok(parse(&context_host(&inputs.docker_config, &name)?)?),
        None => default_endpoint(inputs.runtime_dir.as_deref()),
    }
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

/// `address` without the user and the pass word that it may carry: it goes into messages.
fn without_credentials(address: &str) -> String {
    let (scheme, rest) = match address.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), address),
    };
    // The last `@`, wherever it is: a pass word may hold any character, `/` and `@` among them.
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}***@{host}"),
        None => address.to_owned(),
    }
}

fn parse(address: &str) -> Result<Endpoint, ConnectError> {
    let unsupported = || ConnectError::Unsupported {
        address: without_credentials(address),
    };
    let (scheme, rest) = address.split_once("://").ok_or_else(unsupported)?;
    let authority = rest.trim_end_matches('/');
    match scheme {
        "unix" if rest.starts_with('/') => Ok(Endpoint::Unix(rest.into())),
        "tcp" | "http" if authority.is_empty() || authority.contains(['/', '@', ' ']) => {
            Err(unsupported())
        }
        "tcp" | "http" => Ok(Endpoint::Tcp(with_port(authority))),
        _ => Err(unsupported()),
    }
}

/// Docker's own default for plain TCP is 2375; a colon inside brackets belongs to an IPv6 address.
fn with_port(authority: &str) -> String {
    let after_brackets = authority.rsplit(']').next().unwrap_or(authority);
    if after_brackets.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:2375")
    }
}

#[derive(Deserialize)]
struct ConfigFile {
    #[serde(rename = "currentContext")]
    current_context: Option<String>,
}

#[derive(Deserialize)]
struct ContextFile {
    #[serde(rename = "Endpoints")]
    endpoints: Endpoints,
}

#[derive(Deserialize)]
struct Endpoints {
    docker: Option<DockerEndpoint>,
}

#[derive(Deserialize)]
struct DockerEndpoint {
    #[serde(rename = "Host")]
    host: Option<String>,
}

/// A config.json that is missing or broken is Docker's problem, not ours: it counts as empty.
fn current_context(docker_config: &Path) -> Option<String> {
    let text = plain_file::read_text(&docker_config.join("config.json"), LARGEST_FILE).ok()?;
    serde_json::from_str::<ConfigFile>(&text)
        .ok()?
        .current_context
        .filter(|name| !name.is_empty())
}

fn context_host(docker_config: &Path, name: &str) -> Result<String, ConnectError> {
    let error = |reason: String| ConnectError::Context {
        name: name.to_owned(),
        reason,
    };
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let file = docker_config
        .join("contexts/meta")
        .join(digest)
        .join("meta.json");
    let text = plain_file::read_text(&file, LARGEST_FILE)
        .map_err(|e| error(format!("read {}: {e}", file.display())))?;
    let context: ContextFile =
        serde_json::from_str(&text).map_err(|e| error(format!("{}: {e}", file.display())))?;
    let host = context
        .endpoints
        .docker
        .and_then(|docker| docker.host)
        .filter(|host| !host.is_empty());
    host.ok_or_else(|| error(format!("{} names no docker host", file.display())))
}

#[cfg(test)]
mod tests;
