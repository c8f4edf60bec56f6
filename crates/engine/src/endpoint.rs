//! Addresses of engines, Docker's contexts, and why there is no usable engine at an address.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::{fmt, io};

use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::untrusted;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use url::Url;

use crate::ssh_machine::SshMachine;

const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    Unix(PathBuf),
    /// `host:port`, unencrypted.
    Tcp(String),
    /// `host:port`, by TLS.
    Tls {
        address: String,
        /// The directory with `ca.pem`, and with `cert.pem` and `key.pem` if the engine requires them.
        certificates: PathBuf,
    },
    /// A socket on another machine, reached by the system's `ssh`.
    Ssh(SshTarget),
}

/// The machine that `ssh` connects to, and the engine's socket there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshTarget {
    /// `ssh://[user@]host[:port]`, an argument of `ssh`.
    pub(super) destination: String,
    /// The path of the engine's socket there; looked for at the default paths when `None`.
    pub(super) socket: Option<String>,
    /// Type and key of the only host key that is accepted; the user's known hosts decide when `None`.
    pub(super) host_key: Option<String>,
    /// The file with the only key to log in with; the user's configuration decides when `None`.
    pub(super) identity: Option<PathBuf>,
}

impl Endpoint {
    /// The engine of `machine`; `None` if its place is none that `ssh` takes as it is.
    pub fn by_ssh(machine: &SshMachine) -> Option<Self> {
        let target = ssh_target(&format!("ssh://{}", machine.place))?;
        let host_key = Some(machine.host_key.clone());
        let is_machine_alone = target.socket.is_none();
        let identity = machine.identity.clone();
        is_machine_alone.then_some(Self::Ssh(SshTarget {
            host_key,
            identity,
            ..target
        }))
    }

    /// Whether it is a socket of this machine, so that there is no network that can fail silently.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether a published port of the engine's host can be reached on 127.0.0.1: the engine runs on this machine, or
    /// in a virtual machine (Docker Desktop) that forwards ports.
    pub fn publishes_ports_here(&self) -> bool {
        let address = match self {
            Self::Unix(_) => return true,
            Self::Ssh(_) => return false,
            Self::Tcp(address) | Self::Tls { address, .. } => address,
        };
        let host = address
            .rsplit_once(':')
            .map_or(address.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }

    /// Parses an address; with `certificates`, TCP is encrypted. `None` for an invalid or unsupported address.
    pub(super) fn parse(address: &str, certificates: Option<PathBuf>) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        match (scheme, certificates) {
            ("unix", _) if rest.starts_with('/') => Some(Self::Unix(rest.into())),
            ("ssh", _) => ssh_target(address).map(Self::Ssh),
            ("tcp" | "https", Some(certificates)) => Some(Self::Tls {
                address: host_and_port(rest, TLS_PORT)?,
                certificates,
            }),
            ("tcp" | "http", _) => host_and_port(rest, PLAIN_PORT).map(Self::Tcp),
            _ => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
            Self::Tcp(address) | Self::Tls { address, .. } => write!(f, "tcp://{address}"),
            Self::Ssh(target) => {
                let socket = target.socket.as_deref().unwrap_or_default();
                write!(f, "{}{socket}", target.destination)
            }
        }
    }
}

/// The host and the port of a URL without path and user; `port` is the default.
fn host_and_port(rest: &str, port: u16) -> Option<String> {
    let authority = rest.trim_end_matches('/');
    if authority.is_empty() || authority.contains(['/', '@', ' ']) {
        return None;
    }
    // A colon inside brackets belongs to an IPv6 address.
    let after_brackets = authority.rsplit(']').next().unwrap_or(authority);
    Some(if after_brackets.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    })
}

/// Refuses a password, which the process list would show, and every character that `ssh` or a command in its configuration
/// could interpret.
fn ssh_target(address: &str) -> Option<SshTarget> {
    let url = Url::parse(address).ok()?;
    let is_plain = |text: &str| {
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || "._-+:[]".contains(c);
        !text.starts_with('-') && text.chars().all(is_allowed)
    };
    let host = url.host_str().filter(|host| is_plain(host))?;
    let user = Some(url.username()).filter(|user| is_plain(user))?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let at = if user.is_empty() { "" } else { "@" };
    let port = url.port().map(|port| format!(":{port}"));
    let socket = Some(url.path()).filter(|path| !matches!(*path, "" | "/"));
    // `ssh -L` separates paths by a colon, and does not decode escapes.
    if socket.is_some_and(|path| path.contains([':', '%'])) {
        return None;
    }
    Some(SshTarget {
        destination: format!("ssh://{user}{at}{host}{}", port.unwrap_or_default()),
        socket: socket.map(str::to_owned),
        host_key: None,
        identity: None,
    })
}

/// Limit for `config.json` and context files, which have a few hundred bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// The name of the current context. A missing or invalid `config.json` counts as empty.
pub(super) fn current(docker_config: &Path) -> Option<String> {
    let text = plain_file::read_text(&docker_config.join("config.json"), MAX_FILE_BYTES).ok()?;
    let config: Value = untrusted::json(&text).ok()?;
    let name = config.get("currentContext")?.as_str()?;
    Some(name.to_owned()).filter(|name| !name.is_empty())
}

/// The address of the engine of the context `name`, and the directory with its certificates if it has any. Fails for a
/// context that disables the verification of the engine's certificate.
pub(super) fn read(
    docker_config: &Path,
    name: &str,
) -> Result<(String, Option<PathBuf>), ConnectError> {
    let error = |reason: String| ConnectError::Context(name.to_owned(), reason);
    let digest = hex::encode(Sha256::digest(name.as_bytes()));
    let contexts = docker_config.join("contexts");
    let file = contexts.join("meta").join(&digest).join("meta.json");
    let text = plain_file::read_text(&file, MAX_FILE_BYTES).map_err(|e| {
        error(if e.kind() == io::ErrorKind::NotFound {
            "there is no context of this name".to_owned()
        } else {
            format!("cannot read {}: {e}", file.display())
        })
    })?;
    let context: Value =
        untrusted::json(&text).map_err(|e| error(format!("{}: {e}", file.display())))?;
    let docker = |key: &str| context.pointer(&format!("/Endpoints/docker/{key}"));
    if !matches!(docker("SkipTLSVerify"), None | Some(Value::Bool(false))) {
        return Err(error(
            "it disables the verification of the engine's certificate, which sdbuild requires"
                .into(),
        ));
    }
    let host = docker("Host").and_then(Value::as_str);
    let host = host.filter(|host| !host.is_empty());
    let host = host.ok_or_else(|| error(format!("{} names no docker host", file.display())))?;
    let dir = contexts.join("tls").join(&digest).join("docker");
    let certificates = certificates(dir).map_err(error)?;
    Ok((host.to_owned(), certificates))
}

/// `dir` if it contains anything, which means that the engine requires TLS. A directory that cannot be read, or without
/// `ca.pem`, is an error: it must never lead to an unencrypted connection.
fn certificates(dir: PathBuf) -> Result<Option<PathBuf>, String> {
    let look = |e: io::Error| format!("look for its certificates in {}: {e}", dir.display());
    let found = match dir.read_dir() {
        Ok(mut entries) => entries.next().transpose().map_err(look)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => None,
        Err(e) => return Err(look(e)),
    };
    if found.is_none() {
        return Ok(None);
    }
    let authority = dir.join("ca.pem");
    match plain_file::open(&authority) {
        Ok(_) => Ok(Some(dir)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Err(format!(
            "it has certificates but no ca.pem in {}, which sdbuild needs to verify the engine",
            dir.display()
        )),
        Err(e) => Err(format!("read {}: {e}", authority.display())),
    }
}

/// The oldest supported API: that of Docker 20.10 and Podman 4.
pub(crate) const OLDEST_API: (u32, u32) = (1, 41);

/// Why there is no usable engine at an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens; with the system's error.
    #[error("no engine answers at {0}: {1}")]
    Absent(Endpoint, String),
    #[error("no permission to use the engine's socket {}", .0.display())]
    Denied(PathBuf),
    /// With the newest API that it supports.
    #[error("the engine at {0} has API {1}, but sdbuild needs {major}.{minor} or later", major = OLDEST_API.0, minor = OLDEST_API.1)]
    TooOld(Endpoint, String),
    /// With what is wrong with its answer.
    #[error("the server at {0} is not a Docker-compatible engine: {1}")]
    NotAnEngine(Endpoint, String),
    #[error("the engine at {0} requires TLS")]
    RequiresTls(Endpoint),
    #[error("connect by TLS to the engine at {0}: {1}")]
    Tls(Endpoint, String),
    #[error("connect by ssh to the engine at {0}: {1}")]
    Ssh(Endpoint, String),
    /// With the fingerprints of the key that the machine has, and of the expected one.
    #[error("{0} presents a different host key than the provider reported: {1} instead of {2}")]
    OtherHostKey(Endpoint, String, String),
    /// Without the address, which may have a password.
    #[error("the engine's address in DOCKER_HOST or the Docker context is not supported")]
    Unsupported,
    /// The name of the Docker context and the reason.
    #[error("docker context `{0}`: {1}")]
    Context(String, String),
}

impl ConnectError {
    /// Whether the message begins with what was tried.
    pub(crate) fn names_operation(&self) -> bool {
        matches!(self, Self::Tls(..) | Self::Ssh(..))
    }

    /// What a user can do, most likely first.
    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Absent(Endpoint::Unix(path), _)
                if !path.ends_with("docker.sock") && !path.ends_with("podman.sock") =>
            {
                "correct the socket's address in DOCKER_HOST or the Docker context. Without either, sdbuild tries the \
                 usual sockets"
            }
            Self::Absent(Endpoint::Unix(_), _) => {
                "install Docker (package `docker.io` or `docker`) and start it with \
                 `sudo systemctl start docker`; Podman works too, with `systemctl --user start podman.socket`"
            }
            Self::Absent(..) => "check DOCKER_HOST and that the engine there listens on this port",
            Self::Denied(_) => {
                "join the docker group with `sudo usermod -aG docker $USER`, then log in again; or \
                 use a rootless engine and point DOCKER_HOST at its socket"
            }
            Self::TooOld(..) => "update the engine to Docker 20.10, Podman 4, or later",
            Self::NotAnEngine(..) => {
                "check that DOCKER_HOST or the context of `docker context ls` has the engine's address"
            }
            Self::RequiresTls(_) => {
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem"
            }
            Self::Tls(..) => {
                "check the files in DOCKER_CERT_PATH, or ~/.docker by default. ca.pem must be the authority that \
                 signed the engine's certificate for this address, and cert.pem and key.pem are yours"
            }
            Self::Ssh(endpoint, reason) if never_connected(reason) => {
                return vec![format!("`{}` must work first", ssh_command(endpoint))];
            }
            Self::Ssh(endpoint, _) => {
                return vec![
                    format!(
                        "check that `{}` works and that the server there allows forwarding of sockets",
                        ssh_command(endpoint)
                    ),
                    "name a socket at another path, as in DOCKER_HOST=ssh://HOST/run/user/1000/docker.sock"
                        .to_owned(),
                ];
            }
            Self::OtherHostKey(..) => {
                "the provider reported another machine's key, or another server is answering"
            }
            Self::Unsupported => {
                "DOCKER_HOST is unix:///PATH, ssh://[USER@]HOST[:PORT][/SOCKET] or tcp://HOST[:PORT], without a \
                 password; https:// needs DOCKER_TLS_VERIFY=1"
            }
            Self::Context(..) => {
                "`docker context ls` lists the contexts; DOCKER_HOST overrides them"
            }
        };
        vec![hint.to_owned()]
    }
}

/// Whether `reason`, the last line of `ssh`, tells that it did not reach the server.
fn never_connected(reason: &str) -> bool {
    reason.contains("Could not resolve hostname")
        || reason.starts_with("ssh: connect to host ") && reason.contains(" port ")
}

/// The command that logs in to the machine of `endpoint`, to paste.
fn ssh_command(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Ssh(target) => format!("ssh {}", quoted(&target.destination)),
        Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::Tls { .. } => "ssh".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ssh(address: &str) -> Option<(String, Option<String>)> {
        let Endpoint::Ssh(target) = Endpoint::parse(address, None)? else {
            panic!("{address}")
        };
        Some((target.destination, target.socket))
    }

    #[test]
    fn parses_ssh_addresses() {
        for (address, destination, socket) in [
            ("ssh://pi", "ssh://pi", None),
            ("ssh://me@pi:2222/", "ssh://me@pi:2222", None),
            ("ssh://me@[::1]:22", "ssh://me@[::1]:22", None),
            (
                "ssh://pi/run/x.sock",
                "ssh://pi",
                Some("/run/x.sock".to_owned()),
            ),
        ] {
            assert_eq!(
                ssh(address),
                Some((destination.to_owned(), socket)),
                "{address}"
            );
        }
    }

    #[test]
    fn an_ssh_address_cannot_inject_an_option_or_a_command() {
        for address in [
            "ssh://-oProxyCommand=x",
            "ssh://-lroot@pi",
            "ssh://me:pass@pi",
            "ssh://$(x)@pi",
            "ssh://a`b`",
            "ssh://pi/a:b",
            "ssh://pi/a%20b",
            "ssh://pi?x",
            "ssh://",
        ] {
            assert_eq!(ssh(address), None, "{address}");
        }
    }

    #[test]
    fn a_machine_is_a_place_without_a_path() {
        let by_ssh = |place: &str| {
            Endpoint::by_ssh(&SshMachine {
                place: place.to_owned(),
                host_key: "ssh-ed25519 AAAA".to_owned(),
                identity: None,
            })
        };
        let Some(Endpoint::Ssh(target)) = by_ssh("me@pi:2222") else {
            panic!("refused")
        };
        assert_eq!(target.destination, "ssh://me@pi:2222");
        assert_eq!(target.host_key.as_deref(), Some("ssh-ed25519 AAAA"));
        for place in [
            "",
            "-oProxyCommand=x",
            "pi/run/x.sock",
            "a b",
            "a,b",
            "me:x@pi",
        ] {
            assert_eq!(by_ssh(place), None, "{place}");
        }
    }

    #[test]
    fn certificates_select_tls_and_its_port() {
        let parse = |address| Endpoint::parse(address, Some("/certs".into())).unwrap();
        let tls = |address: &str| Endpoint::Tls {
            address: address.to_owned(),
            certificates: "/certs".into(),
        };
        assert_eq!(parse("tcp://pi"), tls("pi:2376"));
        assert_eq!(parse("https://pi:1"), tls("pi:1"));
        assert_eq!(parse("http://pi"), Endpoint::Tcp("pi:2375".into()));
        assert_eq!(Endpoint::parse("https://pi", None), None, "no certificates");
    }
}
