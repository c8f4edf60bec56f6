//! A program in a session of its own: it has no terminal, so that nothing it starts can ask there, and all that it has started
//! ends with it.

use std::io;
use std::process::ExitStatus;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;

/// What a program wrote, to one byte more than the limit, and how it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) status: ExitStatus,
}

/// Runs `command`, whose output is piped, to its end. When the future is dropped, the program and what it has started are killed.
pub(super) async fn run(command: Command, max_bytes: u64) -> io::Result<Ended> {
    let mut wrapped = CommandWrap::from(command);
    // The child itself: the wrapper would also wait for processes that git leaves behind.
    let mut session = Session(wrapped.wrap(ProcessSession).spawn()?.into_inner());
    let (stdout, stderr) = (session.0.stdout().take(), session.0.stderr().take());
    let (stdout, stderr) = (start_of(stdout, max_bytes), start_of(stderr, max_bytes));
    let (stdout, stderr, status) = tokio::join!(stdout, stderr, session.0.wait());
    Ok(Ended {
        stdout: stdout?,
        stderr: stderr.unwrap_or_default(),
        status: status?,
    })
}

/// The leader of a session.
struct Session(Box<dyn ChildWrapper>);

impl Drop for Session {
    fn drop(&mut self) {
        // `None` once it has been waited for.
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(leader) = leader {
            // All of them may have ended.
            killpg(Pid::from_raw(leader), Signal::SIGKILL).ok();
        }
    }
}

/// What comes out of `pipe`, to one byte more than `max_bytes`.
async fn start_of(pipe: Option<impl AsyncRead + Unpin>, max_bytes: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let mut pipe = pipe.take(max_bytes + 1);
        pipe.read_to_end(&mut bytes).await?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]).stdin(Stdio::null());
        shell.stdout(Stdio::piped()).stderr(Stdio::piped());
        shell
    }

    #[tokio::test]
    async fn a_session_has_no_terminal() {
        // Enough for the shell's complaint too: a pipe that is read no further would kill it.
        let ended = run(shell("printf x; true </dev/tty || exit 3"), 999);
        let ended = ended.await.unwrap();
        assert_eq!(
            (ended.stdout.as_slice(), ended.status.code()),
            (&b"x"[..], Some(3))
        );
        // Session and leader are the same process.
        let ended = run(shell("echo $$; cut -d ' ' -f 6 /proc/$$/stat"), 99);
        let text = String::from_utf8(ended.await.unwrap().stdout).unwrap();
        let (process, session) = text.trim().split_once('\n').unwrap();
        assert_eq!(process, session);
    }

    #[tokio::test]
    async fn what_a_program_has_started_ends_with_it() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        let script = format!(
            "sleep 300 & echo $! >'{0}.new'; mv '{0}.new' '{0}'; wait",
            pid.display()
        );
        let mut running = tokio::task::JoinSet::new();
        running.spawn(run(shell(&script), 9));
        while !pid.exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let pid: i32 = std::fs::read_to_string(pid)
            .unwrap()
            .trim()
            .parse()
            .unwrap();
        running.shutdown().await;
        // Its new parent may need a moment to collect it.
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while !state().is_empty() && !state().contains(") Z") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}
