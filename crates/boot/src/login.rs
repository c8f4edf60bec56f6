//! The SSH login and the commands after it: the system's OpenSSH client, with nothing of the user's configuration but the keys.
//!
//! After a login the server may refuse the next connection nevertheless: OpenSSH counts what the attempts to log in left unfinished
//! while the machine was slow (`MaxStartups`, `PerSourcePenalties` in `sshd_config(5)`). Then nothing has been run, and ssh is started
//! again.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use std::{fs, io};

use tempfile::NamedTempFile;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::machine::{BootEvent, RunningMachine};
use crate::outcome::command_outcome;
use crate::process::command_with_parent;
use crate::request::Login;
use sdbuild_core::context::Context;
use sdbuild_core::event::{Event, Phase};
use sdbuild_core::failure::{Class, Failure, OrFail as _};
use sdbuild_core::timeout::timeout;

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
    /// The login that is tried.
    pub(super) login: &'a Login,
    /// The private keys that are tried; empty if ssh looks for them itself.
    pub(super) keys: &'a [PathBuf],
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
        let mut ssh = self.command(None, "true", CONNECT_TIMEOUT);
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
    /// answers. Once a login has succeeded, a server that is slow is no reason to give up before the command's own limit. Its own messages
    /// are added to the file `messages`, if there is one, and do not mix with those of the command.
    pub(super) fn command(
        &self,
        messages: Option<&Path>,
        command: &str,
        connect_timeout: Duration,
    ) -> Command {
        let mut ssh = command_with_parent(self.ssh);
        if let Some(messages) = messages {
            ssh.arg("-E").arg(messages);
        }
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

/// How long the machine may take to switch itself off.
const POWEROFF_TIMEOUT: Duration = Duration::from_secs(30);
/// How long after an ssh that has ended the machine is asked again to switch itself off.
const POWEROFF_PAUSE: Duration = Duration::from_secs(5);

/// Switches the machine off, of a user who may only do that with sudo too.
const POWEROFF: &str = "poweroff || sudo -n poweroff || { sudo -n true || exit 77; exit 1; }";
/// The exit code of a user who may not do that at all (`EX_NOPERM` in sysexits.h).
const NO_PERMISSION: i32 = 77;

/// Commands on a machine that accepts logins.
#[derive(Clone, Copy)]
pub(super) struct RemoteCommands<'a> {
    pub(super) probe: &'a SshProbe<'a>,
    pub(super) context: &'a Context,
}

impl RemoteCommands<'_> {
    /// Runs the user's command for at most `limit`, with its output on the terminal. Fails unless its exit status is 0.
    pub(super) async fn run(
        &self,
        machine: &mut RunningMachine,
        command: &str,
        limit: Duration,
    ) -> Result<(), Failure> {
        let events = &self.context.events;
        // It may be silent for long.
        let limit_seconds = limit.as_secs();
        events.notice(format!("running the command, {limit_seconds} s at most"));
        let messages = NamedTempFile::new().or_environment("create a temporary file")?;
        let path = messages.path();
        let run = until_connected(&messages, async || {
            let ssh = self.probe.command(Some(path), command, limit);
            run_to_end(ssh, machine).await
        });
        // A live line would be drawn over what the command writes.
        events.emit(Event::Suspended);
        let done = self.context.cancel.race(timeout(limit, run)).await;
        events.emit(Event::Resumed);
        match done? {
            Some(done) => {
                let (status, messages) = done?;
                command_outcome(status, &messages)
            }
            None => Err(Failure::message(
                Class::Build,
                format!("the command did not end within {} s", limit.as_secs()),
            )
            .hint("give it more time with --timeout")),
        }
    }

    /// Makes the machine switch itself off, if the user may do that. A machine that does not is not a failure: nothing that it
    /// writes is kept.
    pub(super) async fn power_off(&self, machine: &mut RunningMachine) -> Result<(), Failure> {
        let off = async {
            loop {
                let mut ssh = self.probe.command(None, POWEROFF, POWEROFF_TIMEOUT);
                ssh.stdout(Stdio::null()).stderr(Stdio::null());
                let mut ssh = ssh.spawn().or_environment("start ssh")?;
                let asked = tokio::select! {
                    _ = machine.until_off() => return ssh.kill().await.or_environment("end ssh"),
                    asked = ssh.wait() => asked.or_environment("wait for ssh")?,
                };
                // Whoever may is refused as long as the system starts.
                if asked.code() == Some(NO_PERMISSION) && self.probe.login.user != "root" {
                    return Ok(());
                }
                let off = timeout(POWEROFF_PAUSE, machine.until_off());
                if off.await.is_some() {
                    return Ok(());
                }
            }
        };
        let events = &self.context.events;
        let limit = POWEROFF_TIMEOUT.as_secs();
        let waited = format!("until the machine is off, {limit} s at most");
        events.detail(Phase::PowerOff, waited);
        let off = self.context.cancel.race(timeout(POWEROFF_TIMEOUT, off));
        let off = off.await?;
        // It is no result.
        events.detail(Phase::PowerOff, "");
        off.unwrap_or_else(|| {
            events.warn(format!(
                "the machine did not switch itself off within {limit} s: QEMU was stopped"
            ));
            Ok(())
        })
    }
}

/// Runs `ssh`, which adds its own messages to the file, again until the server does not drop the connection. Returns its exit
/// status and these messages.
async fn until_connected(
    messages: &NamedTempFile,
    mut ssh: impl AsyncFnMut() -> Result<ExitStatus, Failure>,
) -> Result<(ExitStatus, String), Failure> {
    loop {
        let status = ssh().await?;
        let text = fs::read(messages.path()).or_environment("read ssh's messages")?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if !is_not_connected(&text) {
            return Ok((status, text));
        }
        let cleared = messages.as_file().set_len(0);
        cleared.or_environment("clear ssh's messages")?;
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// Runs `ssh` to its end, and reads the console meanwhile.
async fn run_to_end(
    mut ssh: tokio::process::Command,
    machine: &mut RunningMachine,
) -> Result<ExitStatus, Failure> {
    let ssh = ssh.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    let mut ssh = ssh.spawn().or_environment("start ssh")?;
    let mut qemu_ended = false;
    loop {
        tokio::select! {
            biased;
            status = ssh.wait() => return status.or_environment("wait for ssh"),
            // When QEMU has ended, ssh notices that the connection is lost and ends too.
            event = machine.next_event(), if !qemu_ended => {
                qemu_ended = matches!(event?, BootEvent::Ended(_));
            }
        }
    }
}

/// Whether ssh's own messages say that the server ended the connection before it began to speak SSH.
fn is_not_connected(messages: &str) -> bool {
    messages.contains("kex_exchange_identification: ")
}

#[cfg(test)]
mod tests;
