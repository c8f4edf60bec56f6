//! Further engines, each with its own images, containers and volumes.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::debian::{self, DebianRelease};
use super::{Account, NetworkUplink, Outcome, TestUser, kill_processes_of, run};

/// The path of the script in Debian's packages.
const ROOTLESS: &str = "/usr/share/docker.io/contrib/dockerd-rootless.sh";
/// With runc, because crun refuses the mixed cgroup hierarchy that some machines have.
const PODMAN: [&str; 5] = ["podman", "--cgroup-manager", "cgroupfs", "--runtime", "runc"];

/// A kind of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    RootlessDocker,
    RootlessPodman,
    RootfulPodman,
    /// Docker of a release of Debian, as root.
    Docker(DebianRelease),
    /// The same with the containerd image store, the default of Docker 29.
    ContainerdStore(DebianRelease),
}

impl EngineKind {
    /// The release of Debian, for engines that run in a network namespace of their own.
    pub fn release(self) -> Option<DebianRelease> {
        match self {
            Self::Docker(release) | Self::ContainerdStore(release) => Some(release),
            Self::RootlessDocker | Self::RootlessPodman | Self::RootfulPodman => None,
        }
    }

    /// Whether the account runs it.
    pub fn is_rootless(self) -> bool {
        matches!(self, Self::RootlessDocker | Self::RootlessPodman)
    }

    /// The engine's name, and the user whom it runs as.
    pub fn title(self) -> &'static str {
        match self {
            Self::RootlessDocker => "Docker, rootless",
            Self::RootlessPodman => "Podman, rootless",
            Self::RootfulPodman => "Podman, as root",
            Self::Docker(_) => "Docker, as root",
            Self::ContainerdStore(_) => "Docker, as root, images in containerd",
        }
    }
}

/// A running engine, which is stopped when the value is dropped.
pub struct EngineService {
    account: Account,
    child: Child,
    kind: EngineKind,
    _way_out: Option<NetworkUplink>,
}

impl EngineService {
    pub fn start(kind: EngineKind) -> Self {
        let account = Account::new();
        let socket = format!("unix://{}", account.at("run/docker.sock").display());
        let service = ["system", "service", "--time", "0", &socket];
        let mut command = match kind {
            EngineKind::RootlessDocker => account.command(&["sh", ROOTLESS, "--host", &socket]),
            EngineKind::RootlessPodman => account.command(&[&PODMAN[..], &service].concat()),
            EngineKind::RootfulPodman => {
                let [podman, more @ ..] = PODMAN;
                let mut command = Command::new(podman);
                command.args(more).arg("--root").arg(account.at("root"));
                command.arg("--runroot").arg(account.at("runroot"));
                command.args(service);
                command
            }
            EngineKind::Docker(release) => debian::engine(release, account.dir(), &[]),
            EngineKind::ContainerdStore(release) => {
                let feature = ["--feature", "containerd-snapshotter=true"];
                debian::engine(release, account.dir(), &feature)
            }
        };
        let log = fs::File::create(account.at("log")).unwrap();
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let service = Self {
            account,
            _way_out: kind.release().map(|_| NetworkUplink::of(child.id())),
            child,
            kind,
        };
        service.wait_until_up();
        // The account uses the engine, whoever runs it.
        service.account.chown(&service.socket());
        service
    }

    fn wait_until_up(&self) {
        let start = std::time::Instant::now();
        while self.docker(&["version"]).code != Some(0) {
            let log = || fs::read_to_string(self.account.at("log")).unwrap();
            assert!(start.elapsed() < Duration::from_mins(1), "{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The path of its socket.
    pub fn socket(&self) -> PathBuf {
        self.account.at("run/docker.sock")
    }

    /// Its address for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The kind of this engine.
    pub fn kind(&self) -> EngineKind {
        self.kind
    }

    /// The account that uses the engine.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// `command` as the account, in the network namespace in which the engine publishes ports.
    pub fn command_in_network(&self, command: &Command, user: &TestUser) -> Command {
        let network = match self.kind.release() {
            Some(_) => self.child.id().to_string(),
            None => "self".to_owned(),
        };
        let [uid, gid] = [self.account.uid(), self.account.gid()].map(|id| id.to_string());
        let mut beside = Command::new("nsenter");
        beside.arg(format!("--net=/proc/{network}/ns/net"));
        beside.args(["--setuid", &uid, "--setgid", &gid]);
        beside.arg(command.get_program()).args(command.get_args());
        beside.env_clear().envs(&user.environment);
        beside.current_dir(user.home.path()).stdin(Stdio::null());
        beside
    }

    /// Runs Docker's client on this engine.
    pub fn docker(&self, words: &[&str]) -> Outcome {
        run(Command::new("docker").args(words).env("DOCKER_HOST", self.host()))
    }

    /// The lines that Docker's client prints.
    #[track_caller]
    pub fn docker_lines(&self, words: &[&str]) -> Vec<String> {
        let listed = self.docker(words).assert_exit_code(0).stdout;
        listed.lines().map(str::to_owned).collect()
    }
}

impl Drop for EngineService {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap_or(());
        self.child.wait().unwrap();
        // The process that holds rootless Podman's namespaces.
        let pause = fs::read_to_string(self.account.at("run/libpod/tmp/pause.pid"));
        if let Ok(pid) = pause.unwrap_or_default().trim().parse() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or(());
        }
        // Rootless Podman's service is a child that its parent does not end.
        kill_processes_of(self.account.dir());
        if self.kind == EngineKind::RootfulPodman {
            // Its mount would prevent the removal of the directory.
            let root = self.account.at("root/overlay");
            Command::new("umount").arg(root).output().unwrap();
        }
    }
}
