//! What a container is created from, and how the engine's API expresses it.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    PortBinding, ResourcesUlimits,
};

use crate::container::Container;
use crate::error::EngineError;
use crate::labels::{Role, RunId, labels, labels_of_now};

/// A shell script that runs its arguments until they or standard input end, and exits with their status. The kernel
/// exempts PID 1, which is the script, from a signal to all processes; it ends because its command has. What follows the
/// command keeps the shell from replacing itself with it. Outside a container all processes would be everybody's.
const UNTIL_CLIENT_ENDS: &str = r#"exec 3<&0 </dev/null
(while read -r line; do :; done; [ $$ -ne 1 ] || kill -KILL -1) <&3 &
exec 3<&-
"$@"
exit $?"#;

/// A directory of the engine's host inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    pub source: String,
    pub target: String,
    pub read_only: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    None,
    Default,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    UntilRemoved,
    /// The engine removes it as soon as it has ended, together with its exit status.
    UntilEnded,
}

/// A TCP port of a container that is published on 127.0.0.1 of the engine's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    pub host: HostPort,
    pub container: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostPort {
    /// This one; the container does not start if it is taken.
    Fixed(u16),
    /// A free one, which the engine chooses when it starts the container: only the engine can tell which ports are
    /// free on its host. [`Container::host_port`](crate::Container::host_port) returns it.
    Free,
}

impl HostPort {
    /// The port, where it is known before the container starts.
    pub fn fixed(self) -> Option<u16> {
        match self {
            Self::Fixed(port) => Some(port),
            Self::Free => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    None,
    /// What the attached client sends. It ends when that client disconnects.
    Pipe,
    /// A terminal for a user. It does not end when the client disconnects.
    Terminal,
}

/// A container to create. Start from [`ContainerSpec::new`], which grants nothing.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    pub role: Role,
    pub run: RunId,
    /// Its name, `role.container_name(run)` by default.
    pub name: String,
    /// Reference or id of the container image.
    pub image: String,
    /// Program and arguments; the image's own entry point is never used.
    pub command: Vec<String>,
    /// Environment variables in addition to the image's.
    pub environment: Vec<(String, String)>,
    /// `uid`, `uid:gid` or a name; the image's when `None`.
    pub user: Option<String>,
    /// Working directory; the image's when `None`.
    pub working_dir: Option<String>,
    pub input: Input,
    pub network: Network,
    pub read_only: bool,
    pub binds: Vec<Bind>,
    /// Names of volumes and the paths where they are mounted.
    pub volumes: Vec<(String, String)>,
    /// Paths and mount options of file systems in memory.
    pub tmpfs: Vec<(String, String)>,
    /// Whether it has every capability and device.
    pub privileged: bool,
    /// A seccomp profile in place of the engine's, as JSON, for a program that creates namespaces. Not sent to
    /// Podman, which reads profiles only from files of its own machine; its default profile allows namespaces.
    pub seccomp: Option<&'static str>,
    pub ports: Vec<PublishedPort>,
    pub lifetime: Lifetime,
    /// Maximum number of threads and processes.
    pub pids_limit: Option<i64>,
    /// Maximum memory in bytes, including swap.
    pub memory: Option<u64>,
}

impl ContainerSpec {
    /// A container without network, mounts, standard input or limits.
    pub fn new(role: Role, run: &RunId, image: impl Into<String>, command: Vec<String>) -> Self {
        Self {
            role,
            run: run.clone(),
            name: role.container_name(run),
            image: image.into(),
            command,
            environment: Vec::new(),
            user: None,
            working_dir: None,
            input: Input::None,
            network: Network::None,
            read_only: false,
            binds: Vec::new(),
            volumes: Vec::new(),
            tmpfs: Vec::new(),
            privileged: false,
            seccomp: None,
            ports: Vec::new(),
            lifetime: Lifetime::UntilRemoved,
            pids_limit: None,
            memory: None,
        }
    }

    /// The same with a program that ends when its client disconnects, for whatever reason: `shell`, a POSIX shell of the
    /// container, runs the command. For commands that cannot kill their way out, and need no heartbeat.
    #[must_use]
    pub fn until_client_ends(mut self, shell: &[&str]) -> Self {
        let wrapper = [shell, &["-c", UNTIL_CLIENT_ENDS, "sdbuild"]].concat();
        let wrapper = wrapper.into_iter().map(str::to_owned);
        self.command = wrapper.chain(self.command).collect();
        self.input = Input::Pipe;
        self
    }
}

/// Limit for the open files of a process and the processes of a user on Podman: enough for a build, and within the limits
/// of the users that run Podman.
const PODMAN_ULIMIT: i64 = 16_384;

impl ContainerSpec {
    pub(crate) fn body(&self, podman: bool) -> ContainerCreateBody {
        let (program, arguments) = self.command.split_at(self.command.len().min(1));
        let has_input = matches!(self.input, Input::Pipe | Input::Terminal);
        ContainerCreateBody {
            image: Some(self.image.clone()),
            entrypoint: Some(program.to_vec()),
            cmd: Some(arguments.to_vec()),
            env: Some(
                self.environment
                    .iter()
                    .map(|(key, value)| format!("{key}={value}"))
                    .collect(),
            ),
            user: self.user.clone(),
            working_dir: self.working_dir.clone(),
            tty: Some(self.input == Input::Terminal),
            open_stdin: Some(has_input),
            attach_stdin: Some(has_input),
            // Without it the process never sees the end of its input when the client disconnects.
            stdin_once: Some(has_input),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            labels: Some(labels_of_now(self.role, &self.run)),
            exposed_ports: Some(self.ports.iter().map(|port| tcp(port.container)).collect()),
            network_disabled: (self.has_no_use_for_a_network() && !podman).then_some(true),
            host_config: Some(self.host_config(podman)),
            ..ContainerCreateBody::default()
        }
    }

    fn host_config(&self, podman: bool) -> HostConfig {
        let memory = self.memory.and_then(|bytes| i64::try_from(bytes).ok());
        let confined = (!self.privileged).then(|| vec!["ALL".to_owned()]);
        HostConfig {
            privileged: Some(self.privileged),
            cap_drop: confined,
            security_opt: Some(self.security_options(podman)),
            network_mode: self.is_isolated().then(|| "none".to_owned()),
            readonly_rootfs: Some(self.read_only),
            mounts: Some(self.mounts()),
            tmpfs: Some(self.tmpfs.iter().cloned().collect::<HashMap<_, _>>()),
            pids_limit: self.pids_limit,
            ulimits: Some(self.ulimits(podman)),
            memory,
            memory_swap: memory,
            auto_remove: Some(self.lifetime == Lifetime::UntilEnded),
            log_config: self.has_secret_output().then(no_log),
            port_bindings: Some(self.port_bindings()),
            ..HostConfig::default()
        }
    }

    fn is_isolated(&self) -> bool {
        self.network == Network::None
    }

    /// Whether Docker may leave out the network of an isolated container. With the network mode `none` alone it starts itself twice
    /// to set one up: a tenth of a second of computing. Podman knows the mode only. A builder's programs may look for `localhost` in
    /// `/etc/hosts`, which Docker writes only beside a network.
    fn has_no_use_for_a_network(&self) -> bool {
        self.is_isolated() && self.role != Role::Builder
    }

    /// Whether it writes files of the user's to its standard output, of which the engine's log would be a copy on its disk.
    fn has_secret_output(&self) -> bool {
        self.role == Role::Card
    }

    fn ulimits(&self, podman: bool) -> Vec<ResourcesUlimits> {
        let limit = |name: &str, most| ResourcesUlimits {
            name: Some(name.to_owned()),
            soft: Some(most),
            hard: Some(most),
        };
        // Podman's defaults are a million and more, and it fails where it may not set those: in a container, without root.
        let of_podman = podman.then(|| ["nofile", "nproc"].map(|name| limit(name, PODMAN_ULIMIT)));
        let mut limits: Vec<_> = of_podman.into_iter().flatten().collect();
        // The memory of a program that crashes would be a copy of the files on the host's disk.
        limits.extend(self.has_secret_output().then(|| limit("core", 0)));
        limits
    }

    fn security_options(&self, podman: bool) -> Vec<String> {
        let mut options = vec!["no-new-privileges".to_owned()];
        if let Some(profile) = self.seccomp {
            // The engines' AppArmor profile denies every mount, even in a user namespace.
            options.push("apparmor=unconfined".to_owned());
            options.extend((!podman).then(|| format!("seccomp={profile}")));
        }
        if !self.binds.is_empty() {
            // SELinux denies confined containers access to the host's directories; other hosts ignore this.
            options.push("label=disable".to_owned());
        }
        options
    }

    fn port_bindings(&self) -> HashMap<String, Option<Vec<PortBinding>>> {
        let binding = |port: &PublishedPort| {
            // Port 0 is any free one.
            let host_port = port.host.fixed().unwrap_or(0).to_string();
            let binding = PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(host_port),
            };
            (tcp(port.container), Some(vec![binding]))
        };
        self.ports.iter().map(binding).collect()
    }

    /// Mounts, not the older `Binds`, which create a missing directory on the host as root.
    fn mounts(&self) -> Vec<Mount> {
        let binds = self.binds.iter().map(|bind| Mount {
            typ: Some(MountType::BIND),
            source: Some(bind.source.clone()),
            target: Some(bind.target.clone()),
            read_only: Some(bind.read_only),
            ..Mount::default()
        });
        let volumes = self.volumes.iter().map(|(volume, target)| Mount {
            typ: Some(MountType::VOLUME),
            source: Some(volume.clone()),
            target: Some(target.clone()),
            // If the volume was removed a moment ago, the engine creates it again.
            volume_options: Some(MountVolumeOptions {
                labels: Some(labels(Role::Store, &self.run)),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        });
        binds.chain(volumes).collect()
    }
}

pub(super) fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

fn no_log() -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: Some("none".to_owned()),
        config: None,
    }
}

/// A wrapper around the program of a container with any image.
#[derive(Clone, Debug)]
pub struct EntryWrapper {
    /// Program and first arguments; the container's own command follows.
    pub command: Vec<String>,
    pub environment: Vec<(String, String)>,
    /// The seccomp profile in place of the engine's, as JSON.
    pub seccomp: &'static str,
    /// Its files: their paths in the container that they are copied from, and their target directories.
    pub files: Vec<(&'static str, &'static str)>,
    /// Further files that sdbuild's own container images already have.
    pub tools: Vec<(&'static str, &'static str)>,
}

impl EntryWrapper {
    pub fn apply_to(&self, spec: &mut ContainerSpec) {
        spec.command = [&*self.command, &*spec.command].concat();
        spec.environment.extend(self.environment.iter().cloned());
        spec.seccomp = Some(self.seccomp);
    }

    /// Copies the files from `source` to `container`, which must not be started yet; with the tools if its image is
    /// `foreign`, which means not sdbuild's own.
    pub async fn copy_into(
        &self,
        source: &Container,
        container: &Container,
        foreign: bool,
    ) -> Result<(), EngineError> {
        let tools = self.tools.iter().filter(|_| foreign);
        for (path, dir) in self.files.iter().chain(tools) {
            container.copy_from(source, path, dir).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::HostPort;

    #[test]
    fn a_command_that_is_watched_keeps_its_exit_status() {
        use std::process::{Command, Stdio};
        for shell in [&["sh"][..], &["bash"], &["busybox", "sh"]] {
            let spec = ContainerSpec::example(&["sh", "-c", "exit 7"]);
            let spec = spec.until_client_ends(shell);
            assert_eq!(spec.input, Input::Pipe);
            let mut command = Command::new(&spec.command[0]);
            command.args(&spec.command[1..]).stdin(Stdio::null());
            let status = command.status().unwrap();
            assert_eq!(status.code(), Some(7), "{shell:?}");
        }
    }

    fn spec() -> ContainerSpec {
        ContainerSpec::example(&["/binfmt-agent", "-x"])
    }

    #[test]
    fn a_new_container_has_no_privileges() {
        let body = spec().body(false);
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(host.network_mode.as_deref(), Some("none"));
        assert_eq!(
            host.security_opt,
            Some(vec!["no-new-privileges".to_owned()])
        );
        assert_eq!(host.privileged, Some(false));
        assert_eq!(body.entrypoint, Some(vec!["/binfmt-agent".to_owned()]));
        assert_eq!(body.cmd, Some(vec!["-x".to_owned()]));
    }

    #[test]
    fn no_log_and_no_core_dump_has_what_is_put_onto_a_card() {
        let config = |role| {
            let body = ContainerSpec { role, ..spec() }.body(false);
            body.host_config.unwrap()
        };
        let log = |role| config(role).log_config;
        assert_eq!(log(Role::Card).unwrap().typ.as_deref(), Some("none"));
        assert_eq!(log(Role::Builder), None);
        let limits = |role| config(role).ulimits.unwrap();
        let [core] = limits(Role::Card).try_into().unwrap();
        assert_eq!(
            (core.name.as_deref(), core.soft, core.hard),
            (Some("core"), Some(0), Some(0))
        );
        assert_eq!(limits(Role::Builder), []);
    }

    #[test]
    fn docker_sets_up_no_network_that_nothing_uses() {
        let disabled = |network, podman| {
            let spec = ContainerSpec { network, ..spec() };
            spec.body(podman).network_disabled
        };
        let builder = ContainerSpec {
            role: Role::Builder,
            network: Network::None,
            ..spec()
        };
        assert_eq!(builder.body(false).network_disabled, None);
        assert_eq!(disabled(Network::None, false), Some(true));
        assert_eq!(disabled(Network::None, true), None);
        assert_eq!(disabled(Network::Default, false), None);
    }

    #[test]
    fn a_container_carries_our_labels() {
        let labels = spec().body(false).labels.unwrap();
        assert_eq!(
            labels.get("dev.sdbuild.run").map(String::as_str),
            Some("0123456789ab")
        );
        assert_eq!(
            labels.get("dev.sdbuild.role").map(String::as_str),
            Some("registrar")
        );
    }

    #[test]
    fn a_piped_input_ends_with_the_client() {
        let body = ContainerSpec {
            input: Input::Pipe,
            ..spec()
        }
        .body(false);
        assert_eq!(
            (body.open_stdin, body.stdin_once, body.tty),
            (Some(true), Some(true), Some(false))
        );
    }

    #[test]
    fn a_port_is_published_on_the_loopback_address_only() {
        let published = |host| {
            let port = PublishedPort {
                host,
                container: 2222,
            };
            let body = ContainerSpec {
                ports: vec![port],
                ..spec()
            }
            .body(false);
            assert_eq!(body.exposed_ports, Some(vec!["2222/tcp".to_owned()]));
            let mut bindings = body.host_config.unwrap().port_bindings.unwrap();
            let binding = bindings.remove("2222/tcp").unwrap().unwrap().remove(0);
            assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
            binding.host_port.unwrap()
        };
        assert_eq!(published(HostPort::Fixed(41_022)), "41022");
        assert_eq!(published(HostPort::Free), "0");
    }

    #[test]
    fn a_seccomp_profile_is_not_sent_to_podman() {
        let options = |podman| {
            let spec = ContainerSpec {
                seccomp: Some("{}"),
                ..spec()
            };
            spec.body(podman).host_config.unwrap().security_opt.unwrap()
        };
        let both = ["no-new-privileges", "apparmor=unconfined"];
        assert_eq!(options(true), both);
        assert_eq!(options(false), [&both[..], &["seccomp={}"]].concat());
    }
}
