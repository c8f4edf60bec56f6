//! An engine on another machine by the system's `ssh`, with its configuration, agent and known hosts.
//!
//! One `ssh` per engine, so that a passphrase is asked for once. It forwards a local socket to the engine's, so no
//! Docker client has to be installed at either end, and every request and every attached stream works as with a local
//! socket.
//!
//! `ssh` to a machine of which the host key is known beforehand.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::timeout::timeout;
use sdbuild_core::{plain_file, scratch_dir, ssh_key};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::endpoint::{ConnectError, Endpoint, SshTarget};
use crate::ssh_machine::SshMachine;

/// Executes `ssh` with the signals ignored that a terminal sends to its whole foreground process group: after Ctrl-C the
/// cleanup on the engine still needs the tunnel.
const EXEC_SSH: &str = r#"trap '' HUP INT QUIT TSTP; exec ssh "$@""#;
/// Runs on the remote machine: prints the path of the engine's socket, then waits until its input ends. One argument, so
/// that any login shell can run it.
const REMOTE_SCRIPT: &str = r#"exec sh -c '
for socket in "${DOCKER_HOST#unix://}" /var/run/docker.sock "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/docker.sock" \
  "${XDG_RUNTIME_DIR:-/run/user/$(id -u)}/podman/podman.sock" /run/podman/podman.sock; do
  [ -S "$socket" ] && [ -w "$socket" ] && break
  socket=
done
echo "sdbuild-socket:$socket"
exec cat >/dev/null'"#;
/// Begins the line with the socket: a login shell may print other lines.
const SOCKET_LINE: &str = "sdbuild-socket:";
/// For every `ssh`. `ServerAlive…`: a connection without a response ends after fifteen seconds, where TCP alone takes two
/// hours.
const OPTIONS: [&str; 7] = [
    "ConnectTimeout=20",
    "ServerAliveInterval=5",
    "ServerAliveCountMax=3",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RemoteCommand=none",
];
const TUNNEL_OPTIONS: [&str; 2] = ["ControlPersist=no", "StreamLocalBindMask=0177"];
/// What `ssh` writes at last when it refuses a host key, with the name of the host before it.
const REFUSED: &str = "Host key verification failed";
/// What it writes when the server has no key of the expected type.
const OTHER_TYPE: &str = "no matching host key type";
/// Limit for the remote shell's output before the socket's line, and for the messages of `ssh`.
const MAX_MESSAGE_BYTES: u64 = 64 << 10;
/// For a request to the running `ssh`, on a busy machine.
const FORWARD_TIMEOUT: Duration = Duration::from_secs(20);

/// A forwarded socket. Dropping it ends `ssh`; if this process is killed, `ssh` ends because its standard input does.
#[derive(Debug)]
pub(super) struct Tunnel {
    dir: ScratchDir,
    child: Child,
}

impl Tunnel {
    /// Opens a tunnel. No timeout once `ssh` has connected, because it may prompt on the terminal.
    pub(super) async fn open(target: &SshTarget) -> Result<Self, ConnectError> {
        let failed = |reason: String| ConnectError::Ssh(Endpoint::Ssh(target.clone()), reason);
        let mut tunnel = Self::start(target).map_err(|e| failed(format!("start ssh: {e}")))?;
        let stdout = tunnel.child.stdout.take();
        let found = match stdout {
            Some(stdout) => read_socket(stdout).await,
            None => None,
        };
        let found = found.ok_or_else(|| {
            let message = tunnel.last_message();
            tunnel.refused_host_key(target).unwrap_or_else(|| {
                failed(message.unwrap_or_else(|| "it ended without a message".to_owned()))
            })
        })?;
        let socket = target.socket.clone().unwrap_or(found);
        // `ssh -L` separates the two sockets by a colon.
        if socket.is_empty() || socket.contains(':') {
            let text = "there is no engine socket that this user may write to";
            return Err(failed(text.to_owned()));
        }
        tunnel.forward(target, &socket).await.map_err(failed)?;
        Ok(tunnel)
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.dir.path().join("engine")
    }

    /// The last line that `ssh` wrote to its standard error.
    pub(super) fn last_message(&self) -> Option<String> {
        last_line(&self.log()?)
    }

    fn log(&self) -> Option<String> {
        plain_file::read_text(&self.dir.path().join("log"), MAX_MESSAGE_BYTES).ok()
    }

    /// The error of a server that has another host key than the expected one.
    fn refused_host_key(&self, target: &SshTarget) -> Option<ConnectError> {
        let log = self.log()?;
        let (_, expected) = target.host_key.as_deref()?.split_once(' ')?;
        // A jump host's is not a key of the machine.
        let is_refused = log.contains(REFUSED) && log.contains(PINNED_NAME);
        let is_refused = is_refused || log.contains(OTHER_TYPE);
        is_refused.then(|| {
            let found =
                sent_fingerprint(&log).unwrap_or_else(|| "a key of another type".to_owned());
            let expected = ssh_key::fingerprint(expected);
            ConnectError::OtherHostKey(Endpoint::Ssh(target.clone()), found, expected)
        })
    }

    fn start(target: &SshTarget) -> io::Result<Self> {
        let dir = ScratchDir::temporary(scratch_dir::TUNNEL)?;
        let log = File::create(dir.path().join("log"))?;
        let mut command = Command::new("sh");
        command.args(["-c", EXEC_SSH, "ssh", "-T", "-M", "-S"]);
        command.arg(control(dir.path()));
        for option in OPTIONS.into_iter().chain(TUNNEL_OPTIONS) {
            command.args(["-o", option]);
        }
        command.args(options(target, dir.path())?);
        without_secrets(&mut command, target);
        let child = command
            .args(["--", &target.destination, REMOTE_SCRIPT])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()?;
        Ok(Self { dir, child })
    }

    /// Has the running `ssh` forward the local socket to the remote path `socket`.
    async fn forward(&self, target: &SshTarget, socket: &str) -> Result<(), String> {
        let local = self.socket();
        let mut command = Command::new("ssh");
        // Without the user's configuration, whose forwardings would be requested as well.
        command
            .args(["-F", "none", "-S"])
            .arg(control(self.dir.path()))
            .args(["-O", "forward", "-L"])
            .arg(format!("{}:{socket}", local.display()))
            .args(["--", &target.destination])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        let output = timeout(FORWARD_TIMEOUT, command.output()).await;
        let output = output.ok_or_else(|| "it did not forward a socket in time".to_owned())?;
        let output = output.map_err(|e| format!("start ssh: {e}"))?;
        if output.status.success() {
            Ok(())
        } else {
            // The running `ssh` has reported the reason.
            let message = self.last_message();
            Err(message.unwrap_or_else(|| "it does not forward sockets".to_owned()))
        }
    }
}

impl Drop for Tunnel {
    /// TERM, not KILL, so that an `ssh` at a prompt restores the terminal's settings.
    fn drop(&mut self) {
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            // It may have ended already.
            kill(Pid::from_raw(pid), Signal::SIGTERM).ok();
        }
    }
}

/// The fingerprint of the key that a server sent in place of the expected one, by the warning of `ssh`.
fn sent_fingerprint(log: &str) -> Option<String> {
    let (_, rest) = log.split_once("sent by the remote host is")?;
    let word = rest.split_whitespace().next()?;
    Some(word.trim_end_matches('.').to_owned())
}

fn control(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// The path of the remote socket, empty if there is none; `None` when `ssh` ends before it prints one.
async fn read_socket(stdout: ChildStdout) -> Option<String> {
    let mut lines = BufReader::new(stdout.take(MAX_MESSAGE_BYTES)).lines();
    while let Some(line) = lines.next_line().await.ok()? {
        if let Some(socket) = line.strip_prefix(SOCKET_LINE) {
            return Some(socket.trim().to_owned());
        }
    }
    None
}

/// With a host key that is expected: only that one counts, whatever the user's configuration says but for `KnownHostsCommand`, which
/// releases of ssh before 8.5 do not know, and a message has the fingerprint of another one. The file of known hosts has the key
/// under a name of its own.
const PINNED_OPTIONS: [&str; 7] = [
    "StrictHostKeyChecking=yes",
    "NoHostAuthenticationForLocalhost=no",
    "UpdateHostKeys=no",
    "GlobalKnownHostsFile=/dev/null",
    "VerifyHostKeyDNS=no",
    "FingerprintHash=sha256",
    "LogLevel=INFO",
];
/// The name of the host in that file.
pub(super) const PINNED_NAME: &str = "sdbuild-machine";
/// With a key that was made for the machine: no other one is offered, and nothing is asked.
const IDENTITY_OPTIONS: [&str; 3] = ["IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes"];
/// Keeps secrets from `command`, an `ssh` to `target` that has a login key of its own: the machine was made for this run, and the user's
/// configuration must not send them there. For others a program of that configuration may need them, for instance to connect through AWS.
pub(super) fn without_secrets(command: &mut Command, target: &SshTarget) {
    if target.identity.is_none() {
        return;
    }
    for secret in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(secret);
    }
}

/// The options with which `ssh` accepts only the host key of `target`, which is written to a file in `dir`, and logs in with its key
/// only; none without such keys.
pub(super) fn options(target: &SshTarget, dir: &Path) -> io::Result<Vec<String>> {
    let mut options: Vec<String> = Vec::new();
    if let Some(key) = &target.host_key {
        let known_hosts = dir.join("known_hosts");
        fs::write(&known_hosts, format!("{PINNED_NAME} {key}\n"))?;
        options.extend(PINNED_OPTIONS.map(str::to_owned));
        options.push(format!("HostKeyAlias={PINNED_NAME}"));
        options.push(format!("UserKnownHostsFile=\"{}\"", known_hosts.display()));
        options.push(format!("HostKeyAlgorithms={}", algorithms(key)));
    }
    if let Some(identity) = &target.identity {
        options.extend(IDENTITY_OPTIONS.map(str::to_owned));
        options.push(format!("IdentityFile=\"{}\"", identity.display()));
    }
    let words = options.into_iter();
    Ok(words.flat_map(|option| ["-o".to_owned(), option]).collect())
}

/// Runs the fixed command `words` on `machine`, with `variable` in the environment of `ssh` here, for at most `limit`.
pub async fn run_by_ssh(
    machine: &SshMachine,
    words: &'static str,
    variable: (&str, &str),
    limit: Duration,
) -> Result<(), Failure> {
    let operation = format!("run a command on {}", machine.place);
    let Some(Endpoint::Ssh(target)) = Endpoint::by_ssh(machine) else {
        return Err(Failure::environment("it is not an SSH address").context(operation));
    };
    let dir = ScratchDir::temporary(scratch_dir::TUNNEL);
    let dir = dir.or_environment(&operation)?;
    let mut command = Command::new("ssh");
    without_secrets(&mut command, &target);
    command.arg("-T");
    for option in OPTIONS.into_iter().chain(["ControlPath=none"]) {
        command.args(["-o", option]);
    }
    command
        .args(options(&target, dir.path()).or_environment(&operation)?)
        .args(["--", &target.destination, words])
        .env(variable.0, variable.1)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let output = timeout(limit, command.output()).await;
    let late = || Failure::environment(format!("it has not ended after {} s", limit.as_secs()));
    let output = output.ok_or_else(|| late().context(&operation))?;
    let output = output.or_environment(&operation)?;
    if output.status.success() {
        return Ok(());
    }
    let why = last_line(&String::from_utf8_lossy(&output.stderr));
    let why = why.unwrap_or_else(|| "it failed without a message".to_owned());
    Err(Failure::environment(why).context(operation))
}

fn last_line(messages: &str) -> Option<String> {
    let mut lines = messages.lines().map(str::trim);
    lines.rfind(|line| !line.is_empty()).map(str::to_owned)
}

/// The signature algorithms of a host key, which begins with its type.
fn algorithms(key: &str) -> &str {
    match key.split(' ').next().unwrap_or_default() {
        "ssh-rsa" => "rsa-sha2-512,rsa-sha2-256",
        kind => kind,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As OpenSSH 9.2 wrote it.
    #[test]
    fn the_fingerprint_of_another_key_is_found() {
        let log = "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\n\
            The fingerprint for the ED25519 key sent by the remote host is\r\n\
            SHA256:Dxh+NEyn8+MZCcNPVI/K0FHc0ZI22ChXmJTyGUGoz2Q.\r\n\
            Please contact your system administrator.\r\nHost key verification failed.\r\n";
        let found = sent_fingerprint(log);
        let sent = "SHA256:Dxh+NEyn8+MZCcNPVI/K0FHc0ZI22ChXmJTyGUGoz2Q";
        assert_eq!(found.as_deref(), Some(sent));
        assert_eq!(sent_fingerprint("Host key verification failed."), None);
    }

    #[test]
    fn only_the_keys_of_the_machine_count() {
        assert_eq!(algorithms("ssh-rsa AAAA"), "rsa-sha2-512,rsa-sha2-256");
        assert_eq!(algorithms("ssh-ed25519 AAAA"), "ssh-ed25519");
        let dir = tempfile::tempdir().unwrap();
        let machine = |identity: Option<&str>| SshMachine {
            place: "me@pi".to_owned(),
            host_key: "ssh-ed25519 AAAA".to_owned(),
            identity: identity.map(Into::into),
        };
        let options = |identity| {
            let Some(Endpoint::Ssh(target)) = Endpoint::by_ssh(&machine(identity)) else {
                panic!("refused")
            };
            super::options(&target, dir.path()).unwrap()
        };
        let pinned = options(None);
        assert!(pinned.contains(&"StrictHostKeyChecking=yes".to_owned()));
        assert!(!pinned.iter().any(|option| option.contains("Identit")));
        let text = fs::read_to_string(dir.path().join("known_hosts")).unwrap();
        assert_eq!(text, "sdbuild-machine ssh-ed25519 AAAA\n");
        let own = options(Some("/k/a b"));
        assert!(own.contains(&"IdentitiesOnly=yes".to_owned()), "{own:?}");
        assert_eq!(own.last().unwrap(), "IdentityFile=\"/k/a b\"");
    }
}
