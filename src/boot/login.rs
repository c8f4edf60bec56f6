//! The way into the machine: the system's OpenSSH client, with nothing of the user's own settings
//! but the keys.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::boot::pdeathsig::leashed;
use crate::common::timeout::timeout;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(500);
/// One attempt; a machine that accepts and then says nothing must not stop us for good.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How often in a row a key is refused before it counts: the server may be up before the keys are in
/// place. With the pauses and what an attempt takes, these are ten seconds and more.
const REFUSALS: u32 = 16;
/// A port that an engine publishes is open at once, or as soon as QEMU runs.
const OPENS: Duration = Duration::from_secs(15);
/// The most that is kept of what ssh says: the machine decides how much that is.
const SAID: usize = 64 * 1024;

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
pub(super) struct SshProbe<'a> {
    ssh: &'a Path,
    login: &'a Login,
    port: u16,
    published: bool,
    answer: Mutex<Option<String>>,
}

/// How knocking ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProbeResult {
    /// Somebody is let in.
    LoggedIn,
    /// The server is there, and does not want this key.
    Refused,
    /// The port is not one of this machine.
    NotLocal,
}

impl<'a> SshProbe<'a> {
    /// At `port` of this machine; `published` when it is an engine that opens it.
    pub(super) fn new(ssh: &'a Path, login: &'a Login, (port, published): (u16, bool)) -> Self {
        Self {
            ssh,
            login,
            port,
            published,
            answer: Mutex::new(None),
        }
    }

    /// What ssh said last.
    pub(super) fn answer(&self) -> Option<String> {
        let answer = self.answer.lock();
        answer.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Knocks until the answer is clear.
    pub(super) async fn poll(&self) -> io::Result<ProbeResult> {
        if self.published && timeout(OPENS, self.opens()).await.is_none() {
            return Ok(ProbeResult::NotLocal);
        }
        let mut refusals = 0;
        loop {
            let answer = match timeout(ATTEMPT, self.attempt()).await.transpose()? {
                Some(None) => return Ok(ProbeResult::LoggedIn),
                Some(Some(answer)) => answer,
                None => format!("no answer within {} s", ATTEMPT.as_secs()),
            };
            refusals = if is_refusal(&answer) { refusals + 1 } else { 0 };
            *self.answer.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
            if refusals >= REFUSALS {
                return Ok(ProbeResult::Refused);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Waits until somebody listens on the port.
    async fn opens(&self) {
        while TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Knocks once; what ssh said last when nobody opened.
    async fn attempt(&self) -> io::Result<Option<String>> {
        let mut ssh = self.run("true");
        let mut ssh = ssh.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
        let said = ssh.stderr.take();
        let said = async {
            match said {
                Some(said) => end_of(said).await,
                None => Ok(Vec::new()),
            }
        };
        let (status, said) = tokio::try_join!(ssh.wait(), said)?;
        Ok((!status.success()).then(|| last_line(status, &said)))
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

/// The last of what comes out of `pipe`, all of which is read.
async fn end_of(mut pipe: impl AsyncRead + Unpin) -> io::Result<Vec<u8>> {
    let (mut end, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        let n = pipe.read(&mut piece).await?;
        let Some(bytes @ [_, ..]) = piece.get(..n) else {
            return Ok(end);
        };
        end.extend(bytes);
        end.drain(..end.len().saturating_sub(SAID));
        // Others have their turn, whoever floods us.
        tokio::task::yield_now().await;
    }
}

fn last_line(status: ExitStatus, said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let line = text.lines().rfind(|line| !line.trim().is_empty());
    line.map_or_else(|| format!("ssh ended with {status}"), str::to_owned)
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

    #[tokio::test]
    async fn a_flood_is_read_and_only_its_end_is_kept() {
        let flood = tokio::io::repeat(b'x').take(3_000_000);
        let said = end_of(flood.chain(&b"\nthe end\n"[..])).await.unwrap();
        assert_eq!(said.len(), SAID);
        let status = ExitStatus::default();
        assert_eq!(last_line(status, &said), "the end");
        assert_eq!(last_line(status, b" \n"), "ssh ended with exit status: 0");
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
