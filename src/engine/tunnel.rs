//! An engine on another machine by the system's `ssh`, with its configuration, agent and known hosts.
//!
//! One `ssh` per engine: whoever it asks for a passphrase is asked once. It forwards a socket of ours
//! to the engine's, so nothing of Docker's has to be installed at either end, and every call, stream and
//! leash goes through it as through a local socket.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::common::plain_file;
use crate::common::timeout::timeout;
use crate::engine::connect::ConnectError;
use crate::engine::endpoint::{Endpoint, SshTarget};
use crate::engine::labels::SSH_DIR_PREFIX;

/// Becomes `ssh` with the signals ignored that a terminal sends to everybody: what must be undone there
/// after Ctrl-C goes through it.
const BECOME: &str = r#"trap '' HUP INT QUIT TSTP; exec ssh "$@""#;
/// Says where the engine listens there, and waits for our end. One argument for whatever shell is there.
const THERE: &str = r#"exec sh -c '
for socket in "${DOCKER_HOST#unix://}" /var/run/docker.sock "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/docker.sock" \
  "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/podman/podman.sock" /run/podman/podman.sock; do
  [ -S "$socket" ] && [ -w "$socket" ] && break
  socket=
done
echo "sdbuild-socket:$socket"
exec cat >/dev/null'"#;
/// What comes before the answer; shells there may greet as well.
const SAID: &str = "sdbuild-socket:";
/// Without a word from the other side it is gone after fifteen seconds, not after two hours.
const OPTIONS: [&str; 9] = [
    "ConnectTimeout=20",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ControlPersist=no",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RemoteCommand=none",
    "StreamLocalBindMask=0177",
];
/// An `ssh` that has no socket by then never came to it.
const AGE: Duration = Duration::from_secs(24 * 3600);
/// A greeting longer than this is not listened to.
const GREETING: u64 = 64 << 10;
/// For a word between two processes of this machine.
const MOMENT: Duration = Duration::from_secs(20);

/// A forwarded socket. `ssh` ends with the value; should this process be killed, it ends by itself,
/// because its standard input does.
#[derive(Debug)]
pub(super) struct Tunnel {
    dir: tempfile::TempDir,
    child: Child,
}

impl Tunnel {
    /// Opens one. `ssh` may ask on the terminal, so there is no limit of time once it has connected.
    pub(super) async fn open(target: &SshTarget) -> Result<Self, ConnectError> {
        let failed = |reason: String| ConnectError::Ssh {
            endpoint: Endpoint::Ssh(target.clone()),
            reason,
        };
        let mut tunnel = Self::start(target).map_err(|e| failed(format!("start ssh: {e}")))?;
        let out = tunnel.child.stdout.take();
        let found = match out {
            Some(out) => answer(out).await,
            None => None,
        };
        let found = found.ok_or_else(|| failed(tunnel.said("it ended without a word")))?;
        let socket = target.socket.clone().unwrap_or(found);
        if socket.is_empty() || socket.contains(':') {
            let text = "no engine's socket is there that this user may write to";
            return Err(failed(text.to_owned()));
        }
        tunnel.forward(target, &socket).await.map_err(failed)?;
        Ok(tunnel)
    }

    /// Where the engine seems to listen.
    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("engine")
    }

    /// The last that `ssh` said, or `otherwise`.
    pub(super) fn said(&self, otherwise: &str) -> String {
        let log = plain_file::read_text(&self.dir.path().join("log"), GREETING);
        let log = log.unwrap_or_default();
        let last = log.lines().map(str::trim).rfind(|line| !line.is_empty());
        last.unwrap_or(otherwise).to_owned()
    }

    fn start(target: &SshTarget) -> io::Result<Self> {
        let above = tempfile::env::temp_dir();
        sweep(&above);
        let dir = tempfile::Builder::new()
            .prefix(SSH_DIR_PREFIX)
            .tempdir_in(above)?;
        let log = File::create(dir.path().join("log"))?;
        let mut command = Command::new("sh");
        command.args(["-c", BECOME, "ssh", "-T", "-M", "-S"]);
        command.arg(control(dir.path()));
        for option in OPTIONS {
            command.args(["-o", option]);
        }
        let child = command
            .args(["--", &target.destination, THERE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        Ok(Self { dir, child })
    }

    /// Has the running `ssh` forward our socket to the one that is called `socket` there.
    async fn forward(&self, target: &SshTarget, socket: &str) -> Result<(), String> {
        let ours = self.socket();
        let mut command = Command::new("ssh");
        // Without the user's configuration: it would ask for the forwardings that stand there as well.
        command
            .args(["-F", "none", "-S"])
            .arg(control(self.dir.path()))
            .args(["-O", "forward", "-L"])
            .arg(format!("{}:{socket}", ours.display()))
            .args(["--", &target.destination])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let asked = timeout(MOMENT, command.output()).await;
        let asked = asked.ok_or_else(|| "it did not forward a socket in time".to_owned())?;
        match asked.map_err(|e| format!("start ssh: {e}"))? {
            output if output.status.success() => Ok(()),
            // The running one knows why.
            _ => Err(self.said("it does not forward sockets")),
        }
    }
}

impl Drop for Tunnel {
    /// TERM, not KILL: it then gives the terminal its settings back, should it be asking for something.
    fn drop(&mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // One that has ended already needs no signal.
            kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap_or(());
        }
    }
}

/// Removes the directories of this user's killed runs: a socket that nobody listens at, and a log.
fn sweep(above: &Path) {
    for entry in above.read_dir().into_iter().flatten().flatten() {
        let ours = entry
            .file_name()
            .to_string_lossy()
            .starts_with(SSH_DIR_PREFIX);
        // Not through a link.
        let Some(meta) = entry.metadata().ok().filter(|meta| ours && meta.is_dir()) else {
            continue;
        };
        let engine = entry.path().join("engine");
        let dead = match UnixStream::connect(&engine) {
            Ok(_) => false,
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => true,
            Err(_) => {
                let made = meta.modified().ok().and_then(|made| made.elapsed().ok());
                made.is_some_and(|age| age > AGE)
            }
        };
        if dead && meta.uid() == geteuid().as_raw() {
            // What cannot be removed now is tried again by the next.
            std::fs::remove_dir_all(entry.path()).unwrap_or(());
        }
    }
}

fn control(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// The socket that was found there, perhaps none; `None` when no answer comes.
async fn answer(out: ChildStdout) -> Option<String> {
    let mut lines = BufReader::new(out.take(GREETING)).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        if let Some(socket) = line.strip_prefix(SAID) {
            return Some(socket.trim().to_owned());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn dirs_of_killed_runs_go_and_those_of_living_ones_stay() {
        let above = tempfile::tempdir().unwrap();
        let dir = |name: &str| {
            let dir = above.path().join(name);
            std::fs::create_dir(&dir).unwrap();
            dir
        };
        let [dead, live, new, other] =
            ["sdbuild-ssh-1", "sdbuild-ssh-2", "sdbuild-ssh-3", "x"].map(dir);
        let listens = UnixListener::bind(live.join("engine")).unwrap();
        for dir in [&dead, &other] {
            drop(UnixListener::bind(dir.join("engine")).unwrap());
        }
        std::os::unix::fs::symlink(&other, above.path().join("sdbuild-ssh-4")).unwrap();
        sweep(above.path());
        assert!(!dead.exists());
        assert!(live.exists() && new.exists() && other.join("engine").exists());
        drop(listens);
    }
}
