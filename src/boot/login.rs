//! The way into the machine: the system's OpenSSH client, with nothing of the person's own settings
//! but the keys.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::process::Command;

use crate::boot::leash::leashed;
use crate::waiting::at_most;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// One attempt; a machine that accepts and then says nothing must not stop us for good.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How long a refused key is tried again: the server may be up before the keys are in place.
const REFUSALS: Duration = Duration::from_secs(10);

/// The login to wait for.
#[derive(Clone, Debug)]
pub struct Login {
    /// The private key; `None` for those that ssh finds itself.
    pub key: Option<PathBuf>,
    /// Who logs in.
    pub user: String,
    /// How long to wait for the login, and then for the command.
    pub timeout: Duration,
    /// What to run there.
    pub command: Option<String>,
}

/// A door that can be knocked at.
#[derive(Debug)]
pub(super) struct Door<'a> {
    ssh: &'a Path,
    login: &'a Login,
    port: u16,
    answer: Mutex<Option<String>>,
}

/// How knocking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Knocked {
    /// Somebody is let in.
    In,
    /// The server is there, and does not want this key.
    Refused,
}

impl<'a> Door<'a> {
    pub(super) fn new(ssh: &'a Path, login: &'a Login, port: u16) -> Self {
        Self {
            ssh,
            login,
            port,
            answer: Mutex::new(None),
        }
    }

    /// What ssh said last.
    pub(super) fn answer(&self) -> Option<String> {
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Knocks until the answer is clear.
    pub(super) async fn knock(&self) -> std::io::Result<Knocked> {
        let mut refused_since = None;
        loop {
            let mut ssh = self.run("true");
            ssh.stdout(Stdio::null()).stderr(Stdio::piped());
            let attempt = at_most(ATTEMPT, ssh.output()).await;
            let answer = match attempt.transpose()? {
                Some(output) if output.status.success() => return Ok(Knocked::In),
                Some(output) => last_line(&output),
                None => format!("no answer within {} s", ATTEMPT.as_secs()),
            };
            let refused = is_refusal(&answer);
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            if !refused {
                refused_since = None;
            } else if refused_since.get_or_insert_with(Instant::now).elapsed() >= REFUSALS {
                return Ok(Knocked::Refused);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A command that runs `command` on the machine; without standard input.
    pub(super) fn run(&self, command: &str) -> Command {
        let mut ssh = leashed(self.ssh);
        ssh.args(argv(self.login, self.port, command))
            .stdin(Stdio::null());
        ssh
    }
}

/// Whether ssh's answer means that the key is not the right one.
pub(super) fn is_refusal(answer: &str) -> bool {
    answer.contains("Permission denied (") || answer.contains("Too many authentication failures")
}

fn last_line(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(
        || format!("ssh ended with {}", output.status),
        str::to_owned,
    )
}

/// ssh's words: no question is asked, nothing is remembered, no other host is known.
fn argv(login: &Login, port: u16, command: &str) -> Vec<OsString> {
    let mut words: Vec<OsString> = Vec::new();
    words.extend(["-F", "/dev/null", "-T", "-p"].map(OsString::from));
    words.push(port.to_string().into());
    for option in [
        "BatchMode=yes",
        "ConnectTimeout=5",
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "GlobalKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
        // A machine that died must not be waited for.
        "ServerAliveInterval=10",
        "ServerAliveCountMax=6",
    ] {
        words.extend(["-o".into(), option.into()]);
    }
    if let Some(key) = &login.key {
        words.extend(["-o", "IdentitiesOnly=yes", "-i"].map(OsString::from));
        words.push(key.into());
    }
    words.extend(["-l".into(), OsString::from(&login.user)]);
    // What comes after is no option, whatever it looks like.
    words.extend(["--", "127.0.0.1", command].map(OsString::from));
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_words_of_their_own() {
        let login = Login {
            key: Some("/k ey".into()),
            user: "-oProxyCommand=evil".into(),
            timeout: Duration::from_secs(1),
            command: None,
        };
        let words = argv(&login, 2222, "-v; rm x");
        let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
        let from = |word| words.iter().position(|w| *w == word).unwrap();
        assert_eq!(words[from("-i") + 1], "/k ey");
        assert_eq!(words[from("-p") + 1], "2222");
        assert_eq!(words[from("-l") + 1], "-oProxyCommand=evil");
        assert_eq!(words[from("--") + 1..], ["127.0.0.1", "-v; rm x"]);
        assert!(words.contains(&"BatchMode=yes"));
    }

    #[test]
    fn refusals_are_told_from_doors_that_are_not_there_yet() {
        assert!(is_refusal("root@127.0.0.1: Permission denied (publickey)."));
        assert!(!is_refusal(
            "kex_exchange_identification: read: Connection reset by peer"
        ));
        assert!(!is_refusal("bash: /x: Permission denied"));
    }
}
