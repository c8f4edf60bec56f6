//! Commands on the booted machine by SSH, once a login has succeeded.
//!
//! The server may refuse the next connection nevertheless: OpenSSH counts what the attempts to log in left unfinished while the
//! machine was slow (`MaxStartups`, `PerSourcePenalties` in `sshd_config(5)`). Then nothing has been run, and ssh is started again.

use std::fs;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tempfile::NamedTempFile;

use crate::boot::login::SshProbe;
use crate::boot::machine::{BootEvent, RunningMachine};
use crate::boot::outcome::command_outcome;
use crate::common::context::Context;
use crate::common::event::{Event, Phase};
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::common::timeout::timeout;

/// The pause before ssh is started again.
const RETRY_PAUSE: Duration = Duration::from_millis(500);
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
            let ssh = self.probe.command_with_messages(path, command, limit);
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
                let mut ssh = self.probe.command(POWEROFF, POWEROFF_TIMEOUT);
                ssh.stdout(Stdio::null()).stderr(Stdio::null());
                let mut ssh = ssh.spawn().or_environment("start ssh")?;
                let asked = tokio::select! {
                    _ = machine.until_off() => return ssh.kill().await.or_environment("end ssh"),
                    asked = ssh.wait() => asked.or_environment("wait for ssh")?,
                };
                // Whoever may is refused as long as the system starts.
                if asked.code() == Some(NO_PERMISSION) && !self.probe.is_root() {
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
mod tests {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    /// What comes of an ssh that says the first of `messages`, then the next; each ends with the number of its run.
    async fn run(messages: &[&str]) -> (Option<i32>, String) {
        let file = NamedTempFile::new().unwrap();
        let mut writer = fs::File::options().append(true).open(file.path()).unwrap();
        let mut runs = 0;
        let ended = until_connected(&file, async || {
            writer.write_all(messages[runs].as_bytes()).unwrap();
            runs += 1;
            let code = i32::try_from(runs).unwrap();
            Ok(ExitStatus::from_raw(code << 8))
        });
        let (status, text) = ended.await.unwrap();
        (status.code(), text)
    }

    #[tokio::test]
    async fn a_connection_that_the_server_drops_is_tried_again() {
        const DROPPED: &str = "kex_exchange_identification: Connection closed by remote host\n";
        assert_eq!(run(&[DROPPED, ""]).await, (Some(2), String::new()));
        let lost = "client_loop: send disconnect: Broken pipe\n";
        assert_eq!(run(&[DROPPED, lost]).await, (Some(2), lost.to_owned()));
        assert_eq!(run(&[lost]).await, (Some(1), lost.to_owned()));
    }

    /// In a shell without both programs, with one of them that is refused, and with the right to use it.
    #[test]
    fn only_a_user_without_the_right_has_no_permission() {
        let code = |sudo: &str| {
            let dir = tempfile::tempdir().unwrap();
            for (name, text) in [("poweroff", "exit 1"), ("sudo", sudo)] {
                let file = dir.path().join(name);
                fs::write(&file, format!("#!/bin/sh\n{text}\n")).unwrap();
                let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
                fs::set_permissions(&file, mode).unwrap();
            }
            let mut shell = std::process::Command::new("/bin/sh");
            let shell = shell.args(["-c", POWEROFF]).env("PATH", dir.path());
            shell.status().unwrap().code()
        };
        assert_eq!(code("exit 1"), Some(NO_PERMISSION));
        assert_eq!(code("exit 127"), Some(NO_PERMISSION));
        assert_eq!(code("[ $2 = true ]"), Some(1), "the system starts");
        assert_eq!(code("exit 0"), Some(0));
    }

    #[test]
    fn what_ssh_says_is_a_hint() {
        let lost = ExitStatus::from_raw(255 << 8);
        let failure = command_outcome(lost, "x\nclient_loop: Broken pipe\n\n").unwrap_err();
        assert_eq!(failure.class, Class::Command(255));
        assert_eq!(failure.hints, ["ssh says: client_loop: Broken pipe"]);
    }
}
