//! What a user types to remove what we could not: into a client that finds this engine, or on its machine.

use nix::sys::utsname::{UtsName, uname};
use nix::unistd::geteuid;

use crate::common::shell_word::quoted;
use crate::engine::client::Engine;
use crate::engine::endpoint::Endpoint;

/// Where Docker's client looks when nobody says otherwise.
const DOCKERS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// An engine as a user's commands find it.
#[derive(Clone, Debug)]
pub struct EngineAddress {
    endpoint: Endpoint,
    podman: bool,
    /// Who types: without a socket's name, Podman works on that user's own storage.
    user: u32,
    /// Whether the engine runs on this very kernel.
    here: bool,
    /// What the engine calls its machine.
    machine: String,
}

impl Engine {
    /// Where commands find it.
    pub fn address(&self) -> EngineAddress {
        EngineAddress {
            endpoint: self.endpoint().clone(),
            podman: self.facts().podman,
            user: geteuid().as_raw(),
            here: self.is_on_this_kernel(),
            machine: self.facts().name.clone(),
        }
    }

    /// Whether the engine runs on this very kernel. A virtual machine behind a local socket has a kernel
    /// or at least a name of its own.
    pub fn is_on_this_kernel(&self) -> bool {
        let facts = self.facts();
        let same = |uname: UtsName| {
            uname.release() == facts.kernel.as_str() && uname.nodename() == facts.name.as_str()
        };
        self.endpoint().is_local() && uname().is_ok_and(same)
    }
}

impl EngineAddress {
    /// The client's command, with the engine's address where it would not take this one by itself.
    pub fn client(&self) -> String {
        let address = self.endpoint.to_string();
        let shown = quoted(&address);
        match &self.endpoint {
            _ if self.podman && address == self.podmans() => "podman".to_owned(),
            _ if self.podman => format!("podman --url {shown}"),
            Endpoint::Tls { certificates, .. } => {
                let certificates = quoted(&certificates.to_string_lossy());
                format!("DOCKER_CERT_PATH={certificates} docker --tlsverify --host {shown}")
            }
            _ if DOCKERS.contains(&address.as_str()) => "docker".to_owned(),
            Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::Ssh(_) => {
                format!("docker --host {shown}")
            }
        }
    }

    /// The command that removes the container `name`.
    pub fn removal(&self, name: &str) -> String {
        format!("{} rm --force {}", self.client(), quoted(name))
    }

    /// How root of the engine's machine runs `command`, which is of letters, digits and `'->/` alone: it is
    /// put between quotes as it is.
    pub fn as_root(&self, command: &str) -> String {
        let command = format!("sudo {command}");
        match &self.endpoint {
            _ if self.here => command,
            Endpoint::Ssh(target) => {
                format!("ssh -t {} \"{command}\"", quoted(&target.destination))
            }
            Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::Tls { .. } => {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                let named =
                    Some(&self.machine).filter(|name| !name.is_empty() && name.chars().all(plain));
                let named = named.map(|name| format!(", {name}")).unwrap_or_default();
                format!("{command} (on the engine's machine{named})")
            }
        }
    }

    /// The socket of the engine that has this user's own storage.
    fn podmans(&self) -> String {
        match self.user {
            0 => "unix:///run/podman/podman.sock".to_owned(),
            user => format!("unix:///run/user/{user}/podman/podman.sock"),
        }
    }

    /// Docker's usual one on this machine.
    #[cfg(test)]
    pub(crate) fn usual() -> Self {
        Self {
            endpoint: Endpoint::Unix("/var/run/docker.sock".into()),
            podman: false,
            user: 1000,
            here: true,
            machine: "laptop".into(),
        }
    }

    /// Docker on a board.
    #[cfg(test)]
    pub(crate) fn behind_ssh() -> Self {
        Self {
            endpoint: tests::endpoint("ssh://pi@board:2222"),
            here: false,
            machine: "board".into(),
            ..Self::usual()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn endpoint(address: &str) -> Endpoint {
        Endpoint::parse(address, None).unwrap()
    }

    fn docker(endpoint: Endpoint) -> String {
        let usual = EngineAddress::usual();
        EngineAddress { endpoint, ..usual }.removal("c")
    }

    fn podman(user: u32, address: &str) -> String {
        let place = EngineAddress {
            endpoint: endpoint(address),
            podman: true,
            user,
            ..EngineAddress::usual()
        };
        place.removal("c")
    }

    #[test]
    fn docker_is_told_where_when_it_would_look_elsewhere() {
        assert_eq!(EngineAddress::usual().removal("c"), "docker rm --force c");
        for address in [
            "unix:///run/user/1000/docker.sock",
            "ssh://pi@board",
            "ssh://board:2222/run/x.sock",
            "tcp://board:2375",
        ] {
            let removal = format!("docker --host {address} rm --force c");
            assert_eq!(docker(endpoint(address)), removal);
        }
        assert_eq!(
            docker(endpoint("unix:///home/a b/it's.sock")),
            r"docker --host 'unix:///home/a b/it'\''s.sock' rm --force c"
        );
        let tls = Endpoint::parse("tcp://board", Some("/home/me/my certs".into()));
        assert_eq!(
            docker(tls.unwrap()),
            "DOCKER_CERT_PATH='/home/me/my certs' docker --tlsverify --host tcp://board:2376 rm --force c"
        );
    }

    #[test]
    fn podman_is_told_where_when_it_is_not_the_users_own() {
        let [system, own] =
            ["/run/podman", "/run/user/1000/podman"].map(|dir| format!("unix://{dir}/podman.sock"));
        assert_eq!(podman(0, &system), "podman rm --force c");
        assert_eq!(podman(1000, &own), "podman rm --force c");
        for (user, address) in [(1000, &system), (0, &own), (1001, &own)] {
            let removal = format!("podman --url {address} rm --force c");
            assert_eq!(podman(user, address), removal);
        }
        let docker = "unix:///var/run/docker.sock";
        assert_eq!(
            podman(0, docker),
            format!("podman --url {docker} rm --force c")
        );
    }

    #[test]
    fn root_is_that_of_the_engines_machine() {
        let root = |endpoint: &str, here, machine: &str| {
            let place = EngineAddress {
                endpoint: self::endpoint(endpoint),
                here,
                machine: machine.to_owned(),
                ..EngineAddress::usual()
            };
            place.as_root("sh -c 'echo 1'")
        };
        let socket = "unix:///var/run/docker.sock";
        assert_eq!(root(socket, true, "laptop"), "sudo sh -c 'echo 1'");
        assert_eq!(
            root(socket, false, "vm"),
            "sudo sh -c 'echo 1' (on the engine's machine, vm)"
        );
        assert_eq!(
            root("tcp://board", false, "board; x"),
            "sudo sh -c 'echo 1' (on the engine's machine)"
        );
        assert_eq!(
            root("ssh://pi@board/x.sock", false, "board"),
            "ssh -t ssh://pi@board \"sudo sh -c 'echo 1'\""
        );
    }
}
