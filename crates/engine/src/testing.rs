//! Engine objects for tests.

use std::collections::HashMap;

use futures_util::Stream;
use tokio::io::AsyncWrite;

use crate::endpoint::SshTarget;
use crate::{
    AttachedInput, AttachedOutput, ContainerInfo, Endpoint, EngineAddress, EngineError,
    EngineFacts, ImageInfo, OutputChunk, Role, RunId,
};

impl ContainerInfo {
    /// A container that has ended.
    pub fn of(role: Role, run: &RunId) -> Self {
        let name = role.container_name(run);
        Self {
            id: format!("id-of-{name}"),
            name,
            role,
            run: run.clone(),
            running: false,
            never_started: false,
            size: None,
            created: None,
            age: None,
        }
    }
}

impl EngineFacts {
    /// The facts of a suitable engine, of which a test changes some.
    pub fn sound() -> Self {
        Self {
            name: "here".into(),
            version: "20.10".into(),
            api: (1, 41),
            os: "linux".into(),
            architecture: "x86_64".into(),
            rootless: false,
            podman: false,
            desktop: false,
            kernel: "6.18.4-rc1".into(),
            memory: 16_000_000_000,
            cpus: 4,
            security_options: Vec::new(),
            root_dir: String::new(),
            limits_memory: true,
            cgroup_v2: false,
            reports_unpacking: true,
        }
    }
}

impl ImageInfo {
    /// An image of which only the user is known.
    pub fn of_user(user: Option<&str>) -> Self {
        Self {
            id: "sha256:1".into(),
            tags: vec![],
            layers: vec![],
            labels: HashMap::new(),
            size: 0,
            user: user.map(str::to_owned),
            architecture: None,
            env: vec![],
            loaded: None,
        }
    }
}

impl EngineAddress {
    /// Docker's default on this machine.
    pub fn local_docker() -> Self {
        Self {
            endpoint: Endpoint::Unix("/var/run/docker.sock".into()),
            podman: false,
            is_local: true,
            host_name: "laptop".into(),
        }
    }

    /// Docker on a board.
    pub fn behind_ssh() -> Self {
        Self {
            endpoint: Endpoint::Ssh(SshTarget {
                destination: "ssh://pi@board:2222".into(),
                socket: None,
                host_key: None,
                identity: None,
            }),
            is_local: false,
            host_name: "board".into(),
            ..Self::local_docker()
        }
    }
}

impl AttachedInput {
    /// An input that is not a container's.
    pub fn to(inner: impl AsyncWrite + Send + 'static) -> Self {
        let operation = "attach to nothing".to_owned();
        let inner = Box::pin(inner);
        Self { inner, operation }
    }
}

impl AttachedOutput {
    /// An output that is not a container's.
    pub fn of(
        inner: impl Stream<Item = Result<OutputChunk, EngineError>> + Send + 'static,
    ) -> Self {
        let inner = Box::pin(inner);
        Self { inner }
    }
}

#[cfg(test)]
impl crate::ContainerSpec {
    /// A registrar's container with the program `command`.
    pub(crate) fn example(command: &[&str]) -> Self {
        let run = "0123456789ab".parse().unwrap();
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self::new(Role::Registrar, &run, "image", command)
    }
}
