//! Parses the address of an engine as Docker's own client does. Pure.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

use crate::ssh_machine::SshMachine;

/// Docker's port for unencrypted TCP.
const PLAIN_PORT: u16 = 2375;
/// Docker's port for TLS.
const TLS_PORT: u16 = 2376;

/// Address of an engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// `host:port`, unencrypted.
    Tcp(String),
    /// `host:port`, by TLS.
    Tls {
        /// Host and port.
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
