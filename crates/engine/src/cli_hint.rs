//! Commands that a user can run on an engine: with its command line client, or on its host.

use nix::sys::utsname::{UtsName, uname};
use nix::unistd::geteuid;

use crate::client::Engine;
use crate::endpoint::Endpoint;
use sdbuild_core::shell_word::quoted;

/// The sockets that Docker's client finds without `--host`.
const DOCKER_DEFAULTS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// How a user's commands reach an engine.
#[derive(Clone, Debug)]
pub struct EngineAddress {
    endpoint: Endpoint,
    podman: bool,
    /// The id of the user, whose own engine Podman's client uses without `--url`.
    user: u32,
    /// Whether the engine runs on this kernel.
    is_local: bool,
    /// The host name that the engine reports.
    host_name: String,
}

impl Engine {
    /// How a user's commands reach it.
    pub fn address(&self) -> EngineAddress {
        EngineAddress {
            endpoint: self.endpoint().clone(),
            podman: self.facts().podman,
            user: geteuid().as_raw(),
            is_local: self.is_on_this_kernel(),
            host_name: self.facts().name.clone(),
        }
    }

    /// Whether the engine runs on this kernel: its socket is local, and it reports the same kernel version and host name.
    /// A virtual machine behind a local socket differs in one of them.
    pub fn is_on_this_kernel(&self) -> bool {
        let facts = self.facts();
        let same = |uname: UtsName| {
            uname.release() == facts.kernel.as_str() && uname.nodename() == facts.name.as_str()
        };
        self.endpoint().is_local() && uname().is_ok_and(same)
    }
}

impl EngineAddress {
    /// The client's command, with the engine's address unless the client uses that one by default.
    pub fn client(&self) -> String {
        let address = self.endpoint.to_string();
        let shown = quoted(&address);
        match &self.endpoint {
            _ if self.podman && address == self.podman_default() => "podman".to_owned(),
            _ if self.podman => format!("podman --url {shown}"),
            Endpoint::Tls { certificates, .. } => {
                let certificates = quoted(&certificates.to_string_lossy());
                format!("DOCKER_CERT_PATH={certificates} docker --tlsverify --host {shown}")
            }
            _ if DOCKER_DEFAULTS.contains(&address.as_str()) => "docker".to_owned(),
            Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::Ssh(_) => {
                format!("docker --host {shown}")
            }
        }
    }

    /// The command that removes the container `name`.
    pub fn removal(&self, name: &str) -> String {
        format!("{} rm --force {}", self.client(), quoted(name))
    }

    /// The command that removes the container image `name`.
    pub fn image_removal(&self, name: &str) -> String {
        format!("{} image rm {}", self.client(), quoted(name))
    }

    /// The command that runs `command` as root on the engine's host. `command` is put between double quotes unescaped, so
    /// it must not contain `"`, `$`, a backtick or a backslash.
    pub fn as_root(&self, command: &str) -> String {
        let command = format!("sudo {command}");
        match &self.endpoint {
            _ if self.is_local => command,
            Endpoint::Ssh(target) => {
                format!("ssh -t {} \"{command}\"", quoted(&target.destination))
            }
            Endpoint::Unix(_) | Endpoint::Tcp(_) | Endpoint::Tls { .. } => {
                let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                let name = &self.host_name;
                if !name.is_empty() && name.chars().all(is_plain) {
                    format!("{command} (on the engine's machine, {name})")
                } else {
                    format!("{command} (on the engine's machine)")
                }
            }
        }
    }

    /// The socket that Podman's client uses without `--url`.
    fn podman_default(&self) -> String {
        match self.user {
            0 => "unix:///run/podman/podman.sock".to_owned(),
            user => format!("unix:///run/user/{user}/podman/podman.sock"),
        }
    }

    /// Docker's default on this machine.
    #[cfg(test)]
    pub(crate) fn local_docker() -> Self {
        Self {
            endpoint: Endpoint::Unix("/var/run/docker.sock".into()),
            podman: false,
            user: 1000,
            is_local: true,
            host_name: "laptop".into(),
        }
    }

    /// Docker on a board.
    #[cfg(test)]
    pub(crate) fn behind_ssh() -> Self {
        Self {
            endpoint: tests::endpoint("ssh://pi@board:2222"),
            is_local: false,
            host_name: "board".into(),
            ..Self::local_docker()
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
        let local = EngineAddress::local_docker();
        EngineAddress { endpoint, ..local }.removal("c")
    }

    fn podman(user: u32, address: &str) -> String {
        let address = EngineAddress {
            endpoint: endpoint(address),
            podman: true,
            user,
            ..EngineAddress::local_docker()
        };
        address.removal("c")
    }

    #[test]
    fn docker_gets_an_address_that_is_not_its_default() {
        let local = EngineAddress::local_docker();
        assert_eq!(local.removal("c"), "docker rm --force c");
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
    fn podman_gets_an_address_that_is_not_its_default() {
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
    fn a_root_command_names_the_machine_it_is_for() {
        let root = |endpoint: &str, is_local, host_name: &str| {
            let address = EngineAddress {
                endpoint: self::endpoint(endpoint),
                is_local,
                host_name: host_name.to_owned(),
                ..EngineAddress::local_docker()
            };
            address.as_root("sh -c 'echo 1'")
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
