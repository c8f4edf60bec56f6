//! Converts a container's specification to the engine's API.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, PortBinding,
    ResourcesUlimits,
};

use crate::labels::{Role, labels, labels_of_now};
use crate::spec::{ContainerSpec, Input, Lifetime, Network, PublishedPort};

/// Limit for the open files of a process and the processes of a user on Podman: enough for a build, and within the limits
/// of the users that run Podman.
const PODMAN_ULIMIT: i64 = 16_384;

impl ContainerSpec {
    /// The body of the request that creates it.
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
            ulimits: podman.then(podman_ulimits),
            memory,
            memory_swap: memory,
            auto_remove: Some(self.lifetime == Lifetime::UntilEnded),
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

/// Podman's defaults are a million and more, and it fails where it may not set those: in a container, without root.
fn podman_ulimits() -> Vec<ResourcesUlimits> {
    let limit = |name: &str| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(PODMAN_ULIMIT),
        hard: Some(PODMAN_ULIMIT),
    };
    ["nofile", "nproc"].map(limit).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::HostPort;

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
