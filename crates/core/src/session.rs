//! A program in a session of its own: it has no terminal, so that nothing it starts can ask there, and all that it has started
//! ends with it.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use process_wrap::tokio::{ChildWrapper, CommandWrap, ProcessSession};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{ChildStderr, ChildStdout, Command};

/// Runs `command`, whose output is piped, to its end: what it wrote, to one byte more than `max_bytes`, and how it ended. When the future is dropped, the program and what it has started are killed.
pub async fn run(command: Command, max_bytes: u64) -> io::Result<Output> {
    let mut session = Session::start(command)?;
    let (stdout, stderr) = (session.stdout(), session.stderr());
    let (stdout, stderr) = (start_of(stdout, max_bytes), start_of(stderr, max_bytes));
    let (stdout, stderr, status) = tokio::join!(stdout, stderr, session.wait());
    Ok(Output {
        stdout: stdout?,
        stderr: stderr.unwrap_or_default(),
        status: status?,
    })
}

/// Starts `command` in a session of its own that goes on when this process ends. The result is the leader alone: the wrapper
/// would also wait for processes that it leaves behind.
fn start_detached(command: Command) -> io::Result<Box<dyn ChildWrapper>> {
    let mut wrapped = CommandWrap::from(command);
    Ok(wrapped.wrap(ProcessSession).spawn()?.into_inner())
}

/// Starts sdbuild's hidden command `word` with `socket` as its standard input, in a session of its own: no signal of the terminal
/// reaches it, and it outlives this process if it has to.
pub fn start_own(word: &str, variables: &[(&str, &Path)], socket: UnixStream) -> io::Result<()> {
    let program = if cfg!(target_os = "linux") {
        // The running executable, even when its file was replaced meanwhile.
        Path::new("/proc/self/exe").to_owned()
    } else {
        std::env::current_exe()?
    };
    let mut command = Command::new(program);
    command
        // In lists of processes; otherwise it would be called `exe`.
        .arg0(env!("CARGO_PKG_NAME"))
        .arg(word)
        .envs(variables.iter().copied())
        .current_dir("/")
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    // It is not waited for.
    start_detached(command).map(drop)
}

/// The leader of a session. When it is dropped before it has ended, it and what it has started are killed.
#[derive(Debug)]
pub struct Session(Box<dyn ChildWrapper>);

impl Session {
    /// Starts `command`.
    pub fn start(command: Command) -> io::Result<Self> {
        start_detached(command).map(Self)
    }

    /// Its standard output, if that is piped; the first time only.
    pub fn stdout(&mut self) -> Option<ChildStdout> {
        self.0.stdout().take()
    }

    /// The same for its standard error.
    pub fn stderr(&mut self) -> Option<ChildStderr> {
        self.0.stderr().take()
    }

    /// Waits for the end of the leader. Cancel safe.
    pub async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.0.wait().await
    }

    /// The leader, which names the group of all that it has started; `None` once it has been waited for.
    pub fn leader(&self) -> Option<Pid> {
        let leader = self.0.id().and_then(|id| i32::try_from(id).ok());
        leader.map(Pid::from_raw)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(leader) = self.leader() {
            // All of them may have ended.
            killpg(leader, Signal::SIGKILL).ok();
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
