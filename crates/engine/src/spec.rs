//! What a container is created from.

use crate::labels::{Role, RunId};

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
    /// Path on the engine's host; it must exist.
    pub source: String,
    /// Path inside the container.
    pub target: String,
    /// Whether the container may only read it.
    pub read_only: bool,
}

/// The network of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// No network.
    None,
    /// The engine's default network.
    Default,
}

/// Lifetime of a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// Until it is removed.
    UntilRemoved,
    /// The engine removes it as soon as it has ended, together with its exit status.
    UntilEnded,
}

/// A TCP port of a container that is published on 127.0.0.1 of the engine's host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPort {
    /// The port on the engine's host.
    pub host: HostPort,
    /// The container's port.
    pub container: u16,
}

/// A port of the engine's host.
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

/// The standard input of a container's program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// No input.
    None,
    /// What the attached client sends. It ends when that client disconnects.
    Pipe,
    /// A terminal for a user. It does not end when the client disconnects.
    Terminal,
}

/// A container to create. Start from [`ContainerSpec::new`], which grants nothing.
#[derive(Clone, Debug)]
pub struct ContainerSpec {
    /// Label: what it is for.
    pub role: Role,
    /// Label: the run that creates it.
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
    /// Its program's standard input.
    pub input: Input,
    /// Its network.
    pub network: Network,
    /// Whether its root file system is read-only.
    pub read_only: bool,
    /// Directories of the engine's host.
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
    /// The container's published TCP ports.
    pub ports: Vec<PublishedPort>,
    /// Lifetime of the container.
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

#[cfg(test)]
impl ContainerSpec {
    /// A registrar's container with the program `command`.
    pub(super) fn example(command: &[&str]) -> Self {
        let run = "0123456789ab".parse().unwrap();
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        Self::new(Role::Registrar, &run, "image", command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
