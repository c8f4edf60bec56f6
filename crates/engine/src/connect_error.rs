//! Why there is no usable engine at an endpoint, and what a user can do about it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::endpoint::Endpoint;
use sdbuild_core::shell_word::quoted;

/// The oldest supported API: that of Docker 20.10 and Podman 4.
pub(crate) const OLDEST_API: (u32, u32) = (1, 41);

/// What messages have in place of a password.
pub(super) const HIDDEN: &str = "***";

/// Why there is no usable engine at an endpoint.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens.
    #[error("no engine answers at {endpoint}: {reason}")]
    Absent {
        /// The endpoint.
        endpoint: Endpoint,
        /// The system's error.
        reason: String,
    },
    /// This user may not connect to the socket.
    #[error("no permission to use the engine's socket {}", .socket.display())]
    Denied {
        /// The socket.
        socket: PathBuf,
    },
    /// The engine is older than Docker 20.10 or Podman 4.
    #[error("the engine at {endpoint} has API {api}, but sdbuild needs {}.{} or later", OLDEST_API.0, OLDEST_API.1)]
    TooOld {
        /// The endpoint.
        endpoint: Endpoint,
        /// The newest API that it supports.
        api: String,
    },
    /// What listens is not a Docker-compatible engine.
    #[error("the server at {endpoint} is not a Docker-compatible engine: {answer}")]
    NotAnEngine {
        /// The endpoint.
        endpoint: Endpoint,
        /// What is wrong with its answer.
        answer: String,
    },
    /// The engine accepts only TLS.
    #[error("the engine at {endpoint} requires TLS")]
    RequiresTls {
        /// The endpoint.
        endpoint: Endpoint,
    },
    /// The TLS connection failed.
    #[error("connect by TLS to the engine at {endpoint}: {reason}")]
    Tls {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason.
        reason: String,
    },
    /// The connection by `ssh` failed.
    #[error("connect by ssh to the engine at {endpoint}: {reason}")]
    Ssh {
        /// The endpoint.
        endpoint: Endpoint,
        /// The reason, as `ssh` reported it if it did.
        reason: String,
    },
    /// The machine presents a different host key than the provider reported.
    #[error(
        "{endpoint} presents a different host key than the provider reported: {found} instead of {expected}"
    )]
    OtherHostKey {
        /// The endpoint.
        endpoint: Endpoint,
        /// The fingerprint of the key that is expected.
        expected: String,
        /// The fingerprint of the key that the machine has.
        found: String,
    },
    /// The address is invalid or of an unsupported kind.
    #[error("engine address `{address}` is not supported")]
    Unsupported {
        /// The address, with [`HIDDEN`] in place of a password.
        address: String,
    },
    /// The Docker context cannot be used.
    #[error("docker context `{name}`: {reason}")]
    Context {
        /// The context's name.
        name: String,
        /// The reason.
        reason: String,
    },
}

impl ConnectError {
    /// Whether the message begins with what was tried.
    pub(crate) fn names_operation(&self) -> bool {
        matches!(self, Self::Tls { .. } | Self::Ssh { .. })
    }

    /// What a user can do, most likely first.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Absent { endpoint, .. } => {
                let hint = if is_unusual(endpoint) {
                    NAMED_SOCKET
                } else {
                    absent_hint(endpoint)
                };
                vec![hint.to_owned()]
            }
            Self::Denied { .. } => vec![
                "join the docker group with `sudo usermod -aG docker $USER`, then log in again".into(),
                "or use a rootless engine and point DOCKER_HOST at its socket".into(),
            ],
            Self::TooOld { .. } => vec!["update the engine to Docker 20.10, Podman 4, or later".into()],
            Self::NotAnEngine { .. } => {
                vec!["check that DOCKER_HOST or the context of `docker context ls` has the engine's address".into()]
            }
            Self::RequiresTls { .. } => vec![
                "set DOCKER_TLS_VERIFY=1, and DOCKER_CERT_PATH to the directory with ca.pem, cert.pem and key.pem"
                    .into(),
            ],
            Self::Tls { .. } => vec![
                "check the files in DOCKER_CERT_PATH, or ~/.docker by default. ca.pem must be the authority that signed \
                 the engine's certificate for this address, and cert.pem and key.pem are yours"
                    .into(),
            ],
            Self::Ssh { endpoint, reason } if never_connected(reason) => {
                vec![format!("`{}` must work first", ssh_command(endpoint))]
            }
            Self::Ssh { endpoint, .. } => vec![
                format!(
                    "check that `{}` works and that the server there allows forwarding of sockets",
                    ssh_command(endpoint)
                ),
                "name a socket at another path, as in DOCKER_HOST=ssh://HOST/run/user/1000/docker.sock"
                    .into(),
            ],
            Self::OtherHostKey { .. } => vec![
                "the provider reported another machine's key, or another server is answering".into(),
            ],
            Self::Unsupported { address } => vec![unsupported_hint(address)],
            Self::Context { .. } => {
                vec!["`docker context ls` lists the contexts; DOCKER_HOST overrides them".into()]
            }
        }
    }
}

/// Whether `reason`, the last line of `ssh`, tells that it did not reach the server.
fn never_connected(reason: &str) -> bool {
    reason.contains("Could not resolve hostname")
        || reason.starts_with("ssh: connect to host ") && reason.contains(" port ")
}

/// The command that logs in to the machine of `endpoint`, to paste.
fn ssh_command(endpoint: &Endpoint) -> String {
    let address = endpoint.to_string();
    let shown = address.strip_prefix("ssh://").unwrap_or(&address);
    let login = shown.split('/').next().unwrap_or_default();
    let (user, machine) = match login.rsplit_once('@') {
        Some((user, machine)) => (format!("{user}@"), machine),
        None => (String::new(), login),
    };
    // `ssh` takes a port by a flag, and an address of IPv6 without brackets.
    let (host, port) = match machine
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, port)) => (host, port.strip_prefix(':')),
        None => match machine.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (machine, None),
        },
    };
    let port = port.map(|port| format!("-p {port} ")).unwrap_or_default();
    format!("ssh {port}{}", quoted(&format!("{user}{host}")))
}

/// What to write in place of an `address` of no supported kind, in `DOCKER_HOST` or in a Docker context.
fn unsupported_hint(address: &str) -> String {
    let path = address.strip_prefix("unix://").unwrap_or(address);
    let is_named = address.starts_with('/') || path != address;
    let is_socket = Path::new(path).extension() == Some(OsStr::new("sock"));
    if is_named && is_socket && !path.contains(['@', '~', '$', ':']) {
        return format!("write DOCKER_HOST=unix:///{}", path.trim_start_matches('/'));
    }
    if ["localhost", "127.0.0.1", "podman", "default"].contains(&address) {
        return "leave DOCKER_HOST unset to use the engine of this machine, Docker or Podman"
            .to_owned();
    }
    if let Some(address) = with_scheme(address).filter(|_| !is_socket) {
        return format!("write DOCKER_HOST={address}");
    }
    "DOCKER_HOST is unix:///PATH, ssh://[USER@]HOST[:PORT][/SOCKET] or tcp://HOST[:PORT], without a password; https:// needs \
     DOCKER_TLS_VERIFY=1"
        .to_owned()
}

/// The `address` of a machine that is written without the kind of connection, with the one that it is likely to have.
fn with_scheme(address: &str) -> Option<String> {
    let address = &address.replacen(&format!(":{HIDDEN}@"), "@", 1);
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || ".-_@:".contains(c);
    if !address.starts_with(|c: char| c.is_ascii_alphanumeric()) || !address.chars().all(is_allowed)
    {
        return None;
    }
    // A single word may be the name of a Docker context, and what has several colons an address of IPv6.
    if !address.contains(['.', '@', ':']) || address.matches(':').count() > 1 {
        return None;
    }
    let port = address.split_once(':').map(|(_, port)| port);
    match port.map(str::parse::<u16>) {
        Some(Ok(22)) | None => Some(format!("ssh://{address}")),
        Some(Ok(_)) if address.contains('@') => Some(format!("ssh://{address}")),
        Some(Ok(_)) => Some(format!("tcp://{address}")),
        Some(Err(_)) => None,
    }
}

const NAMED_SOCKET: &str = "correct the socket's address in DOCKER_HOST or the Docker context. Without either, sdbuild \
                            tries the usual sockets";

/// Whether the socket has a custom path that no engine uses by default.
fn is_unusual(endpoint: &Endpoint) -> bool {
    let Endpoint::Unix(path) = endpoint else {
        return false;
    };
    !["docker.sock", "podman.sock"]
        .iter()
        .any(|name| path.ends_with(name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_ssh_does_not_reach_needs_ssh_first() {
        let hints = |address: &str, reason: &str| {
            let endpoint = Endpoint::parse(address, None).unwrap();
            ConnectError::Ssh {
                endpoint,
                reason: reason.to_owned(),
            }
            .hints()
        };
        let unknown = "ssh: Could not resolve hostname board: Name or service not known";
        let refused = "ssh: connect to host board port 22: Connection refused";
        for reason in [unknown, refused] {
            let told = hints("ssh://pi@board", reason);
            assert_eq!(told, ["`ssh pi@board` must work first"]);
        }
        let told = hints("ssh://pi@board:2222", refused);
        assert_eq!(told, ["`ssh -p 2222 pi@board` must work first"]);
        let told = hints("ssh://pi@[::1]:2222", refused);
        assert_eq!(told, ["`ssh -p 2222 pi@::1` must work first"]);
        let told = hints("ssh://[::1]/run/x.sock", refused);
        assert_eq!(told, ["`ssh ::1` must work first"]);
        let refused = "ssh: connect to host 127.0.0.1 port 1: Connection refused";
        let told = hints("ssh://pi@127.0.0.1:1", refused);
        assert_eq!(told, ["`ssh -p 1 pi@127.0.0.1` must work first"]);
        let told = hints("ssh://pi@board:2222", "open failed");
        assert_eq!(told.len(), 2);
        assert!(told[0].contains("`ssh -p 2222 pi@board`"), "{told:?}");
    }
}
