//! Engines beside this machine's: each with its own images, containers and volumes.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::debian::{self, DebianRelease};
use super::{Account, NetworkUplink, Outcome, TestUser, run};

/// Debian's packages have the script here, others in the path.
const ROOTLESS: &str = "/usr/share/docker.io/contrib/dockerd-rootless.sh";
/// crun refuses the mixed hierarchy of control groups that some machines have.
const PODMAN: [&str; 5] = [
    "podman",
    "--cgroup-manager",
    "cgroupfs",
    "--runtime",
    "runc",
];

/// A kind of engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EngineKind {
    RootlessDocker,
    RootlessPodman,
    RootfulPodman,
    /// Docker of a release of Debian, as root.
    Docker(DebianRelease),
    /// The same with the image store that is Docker's own choice from 29 on.
    ContainerdStore(DebianRelease),
}

impl EngineKind {
    /// The release of Debian whose engine has a network for itself.
    pub fn suite(self) -> Option<DebianRelease> {
        match self {
            Self::Docker(suite) | Self::ContainerdStore(suite) => Some(suite),
            Self::RootlessDocker | Self::RootlessPodman | Self::RootfulPodman => None,
        }
    }

    /// What it is called, and whom it runs as.
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

/// A running engine; it ends with the value.
pub struct EngineService {
    account: Account,
    child: Child,
    make: EngineKind,
    _way_out: Option<NetworkUplink>,
}

impl EngineService {
    pub fn start(make: EngineKind) -> Self {
        let account = Account::new();
        let socket = format!("unix://{}", account.at("run/docker.sock").display());
        let service = ["system", "service", "--time", "0", &socket];
        let mut command = match make {
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
            EngineKind::Docker(suite) => debian::engine(suite, account.dir(), &[]),
            EngineKind::ContainerdStore(suite) => {
                let feature = ["--feature", "containerd-snapshotter=true"];
                debian::engine(suite, account.dir(), &feature)
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
            _way_out: make.suite().map(|_| NetworkUplink::of(child.id())),
            child,
            make,
        };
        service.wait_until_up();
        // The account is its user's, whoever runs the engine.
        service.account.own(&service.socket());
        service
    }

    fn wait_until_up(&self) {
        let start = std::time::Instant::now();
        while self.docker(&["version"]).code != Some(0) {
            let log = || fs::read_to_string(self.account.at("log")).unwrap();
            assert!(start.elapsed() < Duration::from_secs(60), "{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn socket(&self) -> PathBuf {
        self.account.at("run/docker.sock")
    }

    /// Its address for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// What it is.
    pub fn make(&self) -> EngineKind {
        self.make
    }

    /// The account that it is for.
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// `command` as the account, where the ports of its containers are.
    pub fn beside(&self, command: &Command, user: &TestUser) -> Command {
        let network = match self.make.suite() {
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

    /// What Docker's own client says of it.
    pub fn docker(&self, words: &[&str]) -> Outcome {
        run(Command::new("docker")
            .args(words)
            .env("DOCKER_HOST", self.host()))
    }

    /// What Docker's own client lists.
    #[track_caller]
    pub fn lists(&self, words: &[&str]) -> Vec<String> {
        let listed = self.docker(words).assert_exit_code(0).stdout;
        listed.lines().map(str::to_owned).collect()
    }
}

impl Drop for EngineService {
    fn drop(&mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, Signal::SIGTERM).unwrap_or(());
        self.child.wait().unwrap();
        // What holds rootless Podman's namespaces.
        let pause = fs::read_to_string(self.account.at("run/libpod/tmp/pause.pid"));
        if let Ok(pid) = pause.unwrap_or_default().trim().parse() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or(());
        }
        if self.make == EngineKind::RootfulPodman {
            // What it has mounted there would be in the way of the directory's removal.
            let root = self.account.at("root/overlay");
            Command::new("umount").arg(root).output().unwrap();
        }
    }
}
