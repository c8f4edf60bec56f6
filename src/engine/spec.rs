//! What a container is made of, in our words, and its translation into the engine's.

use std::collections::HashMap;

use bollard::models::{
    ContainerCreateBody, HostConfig, Mount, MountType, MountVolumeOptions, PortBinding,
    ResourcesUlimits,
};

use crate::engine::labels::{Role, RunId, labels};

/// Open files of a process, processes of a user: plenty for a build, and allowed wherever Podman runs.
const PODMANS_LIMIT: i64 = 16_384;

/// A directory of the engine's host inside the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bind {
    /// On the engine's host; it must exist.
    pub source: String,
    /// Inside the container.
    pub target: String,
    /// Whether the container may only look.
    pub read_only: bool,
}

/// What the container can reach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    None,
    /// What the engine gives by default.
    Default,
}

/// How long a container is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until we remove it.
    UntilRemoved,
    /// The engine removes it as soon as it has ended, and its exit code with it.
    UntilEnded,
}

/// What a container's program reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Nothing.
    None,
    /// What the attached client sends; it ends with that one.
    Pipe,
    /// A terminal of the container's own, for a user to sit at. It does not end with the client.
    Terminal,
}

/// A container to be made. Start from [`ContainerSpec::new`], which gives it nothing.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// What it is for: a label.
    pub role: Role,
    /// Whose it is: a label.
    pub run: RunId,
    /// Its name, `role.container_name(run)` unless said otherwise.
    pub name: String,
    /// Reference or id of the container image.
    pub image: String,
    /// Program and arguments; the image's own entry point is never used.
    pub command: Vec<String>,
    /// Environment beyond the image's.
    pub environment: Vec<(String, String)>,
    /// `uid`, `uid:gid` or a name; the image's when `None`.
    pub user: Option<String>,
    /// The image's when `None`.
    pub working_dir: Option<String>,
    /// What its program reads.
    pub input: Input,
    /// What it can reach.
    pub network: Network,
    /// Whether its root is read-only.
    pub read_only: bool,
    /// Directories of the host.
    pub binds: Vec<Bind>,
    /// Volume and the path where it appears.
    pub volumes: Vec<(String, String)>,
    /// Path and mount options of file systems in memory.
    pub tmpfs: Vec<(String, String)>,
    /// Every capability and device: the last resort.
    pub privileged: bool,
    /// A seccomp profile in place of the engine's, as JSON, for a program that makes namespaces of its
    /// own. It is not for Podman, which reads profiles from its own machine's files only; the one that
    /// it has by default lets namespaces be made.
    pub seccomp: Option<&'static str>,
    /// Ports of 127.0.0.1 on the engine's host and those inside that they lead to.
    pub ports: Vec<(u16, u16)>,
    /// How long it is there.
    pub lifetime: Lifetime,
    /// Threads and processes at most.
    pub pids_limit: Option<i64>,
    /// Bytes of memory at most, swap included.
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

    /// For the engine: Podman or not.
    pub(crate) fn body(&self, podman: bool) -> ContainerCreateBody {
        let (program, arguments) = self.command.split_at(self.command.len().min(1));
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
            open_stdin: Some(self.input != Input::None),
            attach_stdin: Some(self.input != Input::None),
            // Without it the process never sees the end of its input when the client goes away.
            stdin_once: Some(self.input != Input::None),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            labels: Some(labels(self.role, &self.run)),
            exposed_ports: Some(self.ports.iter().map(|(_, inside)| tcp(*inside)).collect()),
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
            network_mode: (self.network == Network::None).then(|| "none".to_owned()),
            readonly_rootfs: Some(self.read_only),
            mounts: Some(self.mounts()),
            tmpfs: Some(self.tmpfs.iter().cloned().collect::<HashMap<_, _>>()),
            pids_limit: self.pids_limit,
            ulimits: podman.then(podmans_limits),
            memory,
            memory_swap: memory,
            auto_remove: Some(self.lifetime == Lifetime::UntilEnded),
            port_bindings: Some(self.port_bindings()),
            ..HostConfig::default()
        }
    }

    fn security_options(&self, podman: bool) -> Vec<String> {
        let mut options = vec!["no-new-privileges".to_owned()];
        if let Some(profile) = self.seccomp {
            // The profile that engines load into AppArmor denies every mount, in a namespace as well.
            options.push("apparmor=unconfined".to_owned());
            options.extend((!podman).then(|| format!("seccomp={profile}")));
        }
        if !self.binds.is_empty() {
            // SELinux keeps confined containers from the host's directories; elsewhere it means nothing.
            options.push("label=disable".to_owned());
        }
        options
    }

    fn port_bindings(&self) -> HashMap<String, Option<Vec<PortBinding>>> {
        let binding = |(outside, inside): &(u16, u16)| {
            let binding = PortBinding {
                host_ip: Some("127.0.0.1".to_owned()),
                host_port: Some(outside.to_string()),
            };
            (tcp(*inside), Some(vec![binding]))
        };
        self.ports.iter().map(binding).collect()
    }

    /// Mounts, not the older `Binds`: those make a missing directory on the host, as root.
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
            // Should the volume have gone a moment ago the engine makes it again: as one of ours.
            volume_options: Some(MountVolumeOptions {
                labels: Some(labels(Role::Store, &self.run)),
                ..MountVolumeOptions::default()
            }),
            ..Mount::default()
        });
        binds.chain(volumes).collect()
    }
}

fn tcp(port: u16) -> String {
    format!("{port}/tcp")
}

/// Podman raises both to a million and more, and fails where it may not: in a container, without root.
fn podmans_limits() -> Vec<ResourcesUlimits> {
    let limit = |name: &str| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(PODMANS_LIMIT),
        hard: Some(PODMANS_LIMIT),
    };
    ["nofile", "nproc"].map(limit).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec() -> ContainerSpec {
        let run = "0123456789ab".parse().unwrap();
        ContainerSpec::new(
            Role::Registrar,
            &run,
            "image",
            vec!["/binfmt-agent".into(), "-x".into()],
        )
    }

    #[test]
    fn a_container_starts_with_nothing() {
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
    fn our_labels_are_on_it() {
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
    fn the_leash_ends_with_the_client() {
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
    fn a_port_is_open_on_the_hosts_own_address_alone() {
        let body = ContainerSpec {
            ports: vec![(41_022, 2222)],
            ..spec()
        }
        .body(false);
        assert_eq!(body.exposed_ports, Some(vec!["2222/tcp".to_owned()]));
        let bindings = body.host_config.unwrap().port_bindings.unwrap();
        let binding = &bindings["2222/tcp"].as_ref().unwrap()[0];
        assert_eq!(binding.host_ip.as_deref(), Some("127.0.0.1"));
        assert_eq!(binding.host_port.as_deref(), Some("41022"));
    }

    #[test]
    fn a_profile_goes_to_engines_that_take_one() {
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
