//! The SSH login: the system's OpenSSH client, with nothing of the user's configuration but the keys.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::boot::pdeathsig::command_with_parent;
use crate::boot::request::Login;
use crate::common::timeout::timeout;

/// The pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// How long an attempt waits until the server answers: while a machine boots, a connection may lead nowhere.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The timeout of one attempt: a server that accepts a connection and then sends nothing must not block the probe.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);
/// How often in a row the key is refused before the probe gives up: the server may be up before the keys
/// are in place. With pauses and attempts that takes ten seconds and more.
const MAX_REFUSALS: u32 = 16;
/// How long a port that an engine publishes may take to open: it is open at once, or as soon as QEMU runs.
const PORT_TIMEOUT: Duration = Duration::from_secs(15);
/// Bytes of ssh's standard error that are kept: the machine decides how many there are.
const MAX_STDERR_BYTES: usize = 64 * 1024;

/// Tries to log in until the result is clear.
#[derive(Debug)]
pub(super) struct SshProbe<'a> {
    ssh: &'a Path,
    login: &'a Login,
    keys: &'a [PathBuf],
    port: u16,
    published: bool,
    last_error: Mutex<Option<String>>,
}

/// The result of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeResult {
    /// The login succeeded.
    LoggedIn,
    /// The server runs and refuses the key.
    Refused,
    /// The published port is not on this machine.
    NotLocal,
}

impl<'a> SshProbe<'a> {
    /// A probe with these `keys` of `port` on this machine, which an engine opens when it is `published`, else QEMU.
    pub(super) fn new(
        ssh: &'a Path,
        login: &'a Login,
        keys: &'a [PathBuf],
        port: u16,
        published: bool,
    ) -> Self {
        Self {
            ssh,
            login,
            keys,
            port,
            published,
            last_error: Mutex::new(None),
        }
    }

    /// The user that logs in.
    pub(super) fn user(&self) -> &str {
        &self.login.user
    }

    /// The private keys that are tried; empty if ssh looks for them itself.
    pub(super) fn keys(&self) -> &[PathBuf] {
        self.keys
    }

    /// Whether the login is root's.
    pub(super) fn is_root(&self) -> bool {
        self.login.user == "root"
    }

    /// The last error message of ssh.
    pub(super) fn last_error(&self) -> Option<String> {
        let error = self.last_error.lock();
        error.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tries until the result is clear; has no timeout of its own.
    pub(super) async fn poll(&self) -> io::Result<ProbeResult> {
        if self.published && timeout(PORT_TIMEOUT, self.wait_for_port()).await.is_none() {
            return Ok(ProbeResult::NotLocal);
        }
        let mut refusals = 0;
        loop {
            let error = match timeout(ATTEMPT_TIMEOUT, self.attempt()).await.transpose()? {
                Some(None) => return Ok(ProbeResult::LoggedIn),
                Some(Some(error)) => error,
                None => format!("no answer within {} s", ATTEMPT_TIMEOUT.as_secs()),
            };
            refusals = if is_refusal(&error) { refusals + 1 } else { 0 };
            *self
                .last_error
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = Some(error);
            if refusals >= MAX_REFUSALS {
                return Ok(ProbeResult::Refused);
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Waits until the port accepts connections.
    async fn wait_for_port(&self) {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }

    /// Tries once; returns ssh's error message, or `None` after a login.
    async fn attempt(&self) -> io::Result<Option<String>> {
        let mut ssh = self.command("true", CONNECT_TIMEOUT);
        let mut ssh = ssh.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let stderr = ssh.stderr.take();
        let stderr = async {
            match stderr {
                Some(stderr) => read_end(stderr).await,
                None => Ok(Vec::new()),
            }
        };
        let (status, stderr) = tokio::try_join!(ssh.wait(), stderr)?;
        Ok((!status.success()).then(|| last_line(status, &stderr)))
    }

    /// An ssh that runs `command` on the machine, with an empty standard input, and has `connect_timeout` until the server
    /// answers. Once a login has succeeded, a server that is slow is no reason to give up before the command's own limit.
    pub(super) fn command(&self, command: &str, connect_timeout: Duration) -> Command {
        let mut ssh = command_with_parent(self.ssh);
        ssh.args(self.argv(command, connect_timeout))
            .stdin(Stdio::null());
        ssh
    }

    /// The same, whose own messages are added to the file `messages` and do not mix with those of the command.
    pub(super) fn command_with_messages(
        &self,
        messages: &Path,
        command: &str,
        connect_timeout: Duration,
    ) -> Command {
        let mut ssh = command_with_parent(self.ssh);
        ssh.arg("-E").arg(messages);
        ssh.args(self.argv(command, connect_timeout))
            .stdin(Stdio::null());
        ssh
    }

    /// The arguments of ssh: it asks nothing, stores nothing, and knows no other host.
    fn argv(&self, command: &str, connect_timeout: Duration) -> Vec<OsString> {
        let mut argv: Vec<OsString> = Vec::new();
        argv.extend(["-F", "/dev/null", "-T", "-p"].map(OsString::from));
        argv.push(self.port.to_string().into());
        let connect_timeout = format!("ConnectTimeout={}", connect_timeout.as_secs().max(1));
        for option in [
            "BatchMode=yes",
            &connect_timeout,
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "GlobalKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
            // ssh ends a minute after the machine stops answering.
            "ServerAliveInterval=10",
            "ServerAliveCountMax=6",
        ] {
            argv.extend(["-o".into(), option.into()]);
        }
        if !self.keys.is_empty() {
            argv.extend(["-o", "IdentitiesOnly=yes"].map(OsString::from));
        }
        for key in self.keys {
            argv.extend(["-i".into(), key.into()]);
        }
        argv.extend(["-l".into(), OsString::from(&self.login.user)]);
        // No word after `--` is an option, whatever it looks like.
        argv.extend(["--", "127.0.0.1", command].map(OsString::from));
        argv
    }
}

/// Whether ssh's error message means that the server refuses the key.
pub(super) fn is_refusal(error: &str) -> bool {
    error.contains("Permission denied (") || error.contains("Too many authentication failures")
}

/// Reads `pipe` to its end and returns the last [`MAX_STDERR_BYTES`].
async fn read_end(mut pipe: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let (mut end, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        let n = pipe.read(&mut buffer).await?;
        let Some(bytes @ [_, ..]) = buffer.get(..n) else {
            return Ok(end);
        };
        end.extend(bytes);
        end.drain(..end.len().saturating_sub(MAX_STDERR_BYTES));
        // A pipe that always has bytes must not starve other tasks.
        tokio::task::yield_now().await;
    }
}

fn last_line(status: ExitStatus, stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("ssh ended with {status}"), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_arguments_of_their_own() {
        let login = Login {
            is_default_user: false,
            key: None,
            user: "-oProxyCommand=evil".into(),
            timeout: Duration::from_secs(1),
            command: None,
        };
        let keys = ["/k ey".into()];
        let probe = SshProbe::new(Path::new("ssh"), &login, &keys, 2222, false);
        let argv = probe.argv("-v; rm x", Duration::from_secs(180));
        let words: Vec<_> = argv.iter().map(|word| word.to_str().unwrap()).collect();
        let position = |word| words.iter().position(|w| *w == word).unwrap();
        assert_eq!(words[position("-i") + 1], "/k ey");
        assert_eq!(words[position("-p") + 1], "2222");
        assert_eq!(words[position("-l") + 1], "-oProxyCommand=evil");
        assert_eq!(words[position("--") + 1..], ["127.0.0.1", "-v; rm x"]);
        assert!(words.contains(&"BatchMode=yes"));
        assert!(words.contains(&"ConnectTimeout=180"));
    }

    #[tokio::test]
    async fn only_the_end_of_a_flood_is_kept() {
        let flood = tokio::io::repeat(b'x').take(3_000_000);
        let stderr = read_end(flood.chain(&b"\nthe end\n"[..])).await.unwrap();
        assert_eq!(stderr.len(), MAX_STDERR_BYTES);
        let status = ExitStatus::default();
        assert_eq!(last_line(status, &stderr), "the end");
        assert_eq!(last_line(status, b" \n"), "ssh ended with exit status: 0");
    }

    #[test]
    fn refused_key_differs_from_a_server_that_is_not_up() {
        assert!(is_refusal("root@127.0.0.1: Permission denied (publickey)."));
        assert!(!is_refusal(
            "kex_exchange_identification: read: Connection reset by peer"
        ));
        assert!(!is_refusal("bash: /x: Permission denied"));
    }
}
