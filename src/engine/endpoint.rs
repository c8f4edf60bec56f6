//! Where an engine listens, out of an address as Docker's own client takes it. Pure.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;

use url::Url;

/// Docker's ports for plain and for encrypted TCP.
const PLAIN: u16 = 2375;
const ENCRYPTED: u16 = 2376;

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A Unix socket.
    Unix(PathBuf),
    /// `host:port`, plain HTTP.
    Tcp(String),
    /// `host:port`, by TLS.
    Tls {
        /// Host and port.
        address: String,
        /// The directory with `ca.pem`, and with `cert.pem` and `key.pem` where the engine wants them.
        certificates: PathBuf,
    },
    /// A socket on another machine, by the system's `ssh`.
    Ssh(SshTarget),
}

/// What `ssh` connects to, and what there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshTarget {
    /// `ssh://[user@]host[:port]`, which `ssh` takes as it is.
    pub(super) destination: String,
    /// The engine's socket there; where it usually is when nobody says.
    pub(super) socket: Option<String>,
}

impl Endpoint {
    /// Whether it is a file of this machine: then nothing on the way to it can fail silently.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::Unix(_))
    }

    /// Whether a port of the engine's host is one of this machine: a socket's engine is here, or, in a
    /// virtual machine of a desktop's, does as if.
    pub fn is_here(&self) -> bool {
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

    /// Reads an address; `certificates` say that TCP is to be encrypted. `None` for what we do not speak.
    pub(super) fn parse(address: &str, certificates: Option<PathBuf>) -> Option<Self> {
        let (scheme, rest) = address.split_once("://")?;
        match (scheme, certificates) {
            ("unix", _) if rest.starts_with('/') => Some(Self::Unix(rest.into())),
            ("ssh", _) => ssh_target(address).map(Self::Ssh),
            ("tcp" | "https", Some(certificates)) => Some(Self::Tls {
                address: host_and_port(rest, ENCRYPTED)?,
                certificates,
            }),
            ("tcp" | "http", _) => host_and_port(rest, PLAIN).map(Self::Tcp),
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

/// A colon inside brackets belongs to an IPv6 address.
fn host_and_port(rest: &str, port: u16) -> Option<String> {
    let authority = rest.trim_end_matches('/');
    if authority.is_empty() || authority.contains(['/', '@', ' ']) {
        return None;
    }
    let after_brackets = authority.rsplit(']').next().unwrap_or(authority);
    Some(if after_brackets.contains(':') {
        authority.to_owned()
    } else {
        format!("{authority}:{port}")
    })
}

/// No password (it would be seen in the list of processes), and nothing that `ssh` or a command in its
/// configuration could take for something else.
fn ssh_target(address: &str) -> Option<SshTarget> {
    let url = Url::parse(address).ok()?;
    let plain = |text: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "._-+:[]".contains(c);
        !text.starts_with('-') && text.chars().all(known)
    };
    let host = url.host_str().filter(|host| plain(host))?;
    let user = Some(url.username()).filter(|user| plain(user))?;
    if url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return None;
    }
    let at = if user.is_empty() { "" } else { "@" };
    let port = url.port().map(|port| format!(":{port}"));
    let socket = Some(url.path()).filter(|path| !matches!(*path, "" | "/"));
    // A colon ends the path in what `ssh` is told to forward, and an escape would go there as it is.
    if socket.is_some_and(|path| path.contains([':', '%'])) {
        return None;
    }
    Some(SshTarget {
        destination: format!("ssh://{user}{at}{host}{}", port.unwrap_or_default()),
        socket: socket.map(str::to_owned),
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
    fn ssh_addresses_are_taken_apart() {
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
    fn nothing_in_an_ssh_address_becomes_an_option_or_a_command() {
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
    fn certificates_make_tcp_encrypted_and_change_its_port() {
        let parse = |address| Endpoint::parse(address, Some("/certs".into())).unwrap();
        let tls = |address: &str| Endpoint::Tls {
            address: address.to_owned(),
            certificates: "/certs".into(),
        };
        assert_eq!(parse("tcp://pi"), tls("pi:2376"));
        assert_eq!(parse("https://pi:1"), tls("pi:1"));
        assert_eq!(parse("http://pi"), Endpoint::Tcp("pi:2375".into()));
        assert_eq!(Endpoint::parse("https://pi", None), None, "never without");
    }
}
