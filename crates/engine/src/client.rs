//! The connection to an engine, its requests with their timeouts, and commands with which a user reaches it.
//!
//! bollard's own timeouts cover only the head of a response and also count the time in which this process was
//! stopped (Ctrl-Z), so its clients are given a timeout that never elapses and every request goes through here.
//! Requests that last as long as a process or a large removal use [`crate::connect::KeepAlive`] instead.

use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, ClientVersion, Docker};
use nix::sys::utsname::{UtsName, uname};
use sdbuild_core::shell_word::quoted;
use sdbuild_core::timeout::timeout;

use crate::connect;
use crate::connect::KeepAlive;
use crate::endpoint::Endpoint;
use crate::error::{EngineError, at};
use crate::facts::EngineFacts;
use crate::tunnel::Tunnel;

/// A connected engine. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) docker: Docker,
    endpoint: Endpoint,
    pub(super) facts: Arc<EngineFacts>,
    // Closed with the last clone.
    _tunnel: Option<Arc<Tunnel>>,
}

/// The API version to speak with an engine whose newest one is `newest`. Not by bollard's negotiation, which asks for the
/// version once more: Podman asks the package manager about its helpers each time, for half a second.
fn spoken((major, minor): (u32, u32)) -> ClientVersion {
    let newest = (major as usize, minor as usize);
    let ours = API_DEFAULT_VERSION;
    let (major_version, minor_version) = newest.min((ours.major_version, ours.minor_version));
    ClientVersion {
        major_version,
        minor_version,
    }
}

impl Engine {
    /// Connects, negotiates the API version and reads what kind of engine it is.
    pub async fn connect(endpoint: &Endpoint) -> Result<Self, EngineError> {
        connect::handshake(endpoint).await?;
        let (near, tunnel) = Box::pin(connect::near_end(endpoint)).await?;
        let docker = connect::client(&near, API_DEFAULT_VERSION)?;
        let (version, api) = Box::pin(connect::version(&docker, endpoint))
            .await
            .map_err(|error| {
                let ssh_message = tunnel.as_ref().and_then(Tunnel::last_message);
                connect::explain_by_ssh(endpoint, error, ssh_message)
            })?;
        let docker = connect::client(&near, &spoken(api))?;
        let info = Box::pin(docker.info());
        let info = request("ask the engine about its host", info).await?;
        let facts = Arc::new(EngineFacts::new(version, info, api));
        Ok(Self {
            docker,
            endpoint: endpoint.clone(),
            facts,
            _tunnel: tunnel.map(Arc::new),
        })
    }

    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Whether the engine answers a ping within `limit`, be it with an error.
    pub async fn answers(&self, limit: Duration) -> bool {
        timeout(limit, self.responds()).await == Some(true)
    }

    /// Whether a ping stays without any outcome for `limit`. A connection that is refused is an outcome: nothing
    /// has to be waited for then.
    pub async fn is_silent(&self, limit: Duration) -> bool {
        timeout(limit, self.responds()).await.is_none()
    }

    /// The outcome of `work`, which may take as long as the engine responds to pings meanwhile.
    pub(super) async fn while_responsive<T>(
        &self,
        operation: &str,
        work: impl Future<Output = Result<T, EngineError>>,
    ) -> Result<T, EngineError> {
        let operation = operation.to_owned();
        let watched = KeepAlive::LONG_REQUEST.watch(Box::pin(work), || self.responds());
        let outcome = watched.await;
        outcome.unwrap_or(Err(EngineError::Silent { operation }))
    }

    /// Whether the engine answers a ping on a connection of its own, be it with an error.
    pub(super) async fn responds(&self) -> bool {
        use bollard::errors::Error::DockerResponseServerError;
        let answer = self.docker.ping().await;
        matches!(answer, Ok(_) | Err(DockerResponseServerError { .. }))
    }
}

/// For requests that an engine answers from memory; the rest is for a busy disk.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
pub(super) const RETRY_PAUSE: Duration = Duration::from_millis(100);
/// The timeout of bollard's clients: longer than any run.
pub(super) const NEVER: Duration = Duration::from_hours(720);

/// Attempts of a request that needs a directory of a volume while another container makes the engine create the same one.
const RACE_ATTEMPTS: u32 = 5;
const RACE_PAUSE: Duration = Duration::from_millis(300);

type Answer<T> = Result<T, bollard::errors::Error>;

/// The response to `call`, which must come within [`REQUEST_TIMEOUT`]. `operation` is the verb and the object for
/// error messages.
pub(super) fn request<T>(
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    request_within(REQUEST_TIMEOUT, operation, call)
}

pub(super) fn request_within<T>(
    limit: Duration,
    operation: impl Into<String>,
    call: impl Future<Output = Answer<T>>,
) -> impl Future<Output = Result<T, EngineError>> {
    // bollard's futures are large, and every future that awaits one would contain it.
    let (operation, call) = (operation.into(), Box::pin(call));
    async move {
        let answer = within(limit, &operation, call).await?;
        answer.map_err(at(operation))
    }
}

/// The output of `work`, or [`EngineError::Silent`] after `limit`. The limit covers the body of a response too, which
/// may have no end.
pub(super) async fn within<T>(
    limit: Duration,
    operation: &str,
    work: impl Future<Output = T>,
) -> Result<T, EngineError> {
    let operation = operation.to_owned();
    let output = timeout(limit, work).await;
    output.ok_or(EngineError::Silent { operation })
}

/// The result of `attempt`, which is repeated while the engine was creating the same directory for another container.
pub(super) async fn repeat_after_race<T, F>(attempt: impl Fn() -> F) -> Result<T, EngineError>
where
    F: Future<Output = Result<T, EngineError>>,
{
    for _ in 1..RACE_ATTEMPTS {
        match attempt().await {
            Err(error) if error.is_race_for_a_directory() => tokio::time::sleep(RACE_PAUSE).await,
            result => return result,
        }
    }
    attempt().await
}

/// The sockets that Docker's client finds without `--host`.
const DOCKER_DEFAULTS: [&str; 2] = ["unix:///var/run/docker.sock", "unix:///run/docker.sock"];

/// How a user's commands reach an engine.
#[derive(Clone, Debug)]
pub struct EngineAddress {
    pub(crate) endpoint: Endpoint,
    pub(crate) podman: bool,
    /// Whether the engine runs on this kernel.
    pub(crate) is_local: bool,
    pub(crate) host_name: String,
}

impl Engine {
    pub fn address(&self) -> EngineAddress {
        EngineAddress {
            endpoint: self.endpoint().clone(),
            podman: self.facts().podman,
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
    /// The client's command, with the engine's address unless Docker's client uses that one by default.
    pub fn client(&self) -> String {
        let address = self.endpoint.to_string();
        let shown = quoted(&address);
        match &self.endpoint {
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

    pub fn removal(&self, name: &str) -> String {
        format!("{} rm --force {}", self.client(), quoted(name))
    }

    /// The command that runs `command` as root on the engine's host. `command` is put between double quotes unescaped, so
    /// it must not contain `"`, `$`, a backtick or a backslash.
    pub(crate) fn as_root(&self, command: &str) -> String {
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
}

#[cfg(test)]
mod tests {
    mod cli_hint {
        use super::super::*;

        pub(super) fn endpoint(address: &str) -> Endpoint {
            Endpoint::parse(address, None).unwrap()
        }

        fn docker(endpoint: Endpoint) -> String {
            let local = EngineAddress::local_docker();
            EngineAddress { endpoint, ..local }.removal("c")
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
        fn podman_gets_its_address() {
            let podman = EngineAddress {
                endpoint: endpoint("unix:///run/podman/podman.sock"),
                podman: true,
                ..EngineAddress::local_docker()
            };
            assert_eq!(
                podman.removal("c"),
                "podman --url unix:///run/podman/podman.sock rm --force c"
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
}
