//! The user's own `ssh`, with its configuration, agent and known hosts: one connection that all programs share, so that a password is
//! asked for once, and new connections that show whether the machine still lets in.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::io::{
    AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWriteExt as _, BufReader,
};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::board::Elevation;
use crate::host::Host;
use crate::script;
use crate::serve::Store;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::{Event, Events};
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;
use sdbuild_core::scratch_dir;
use sdbuild_core::scratch_dir::ScratchDir;
use sdbuild_core::timeout::timeout;

/// Executes `ssh` with the signals ignored that a terminal sends to its whole foreground process group: this process ends it.
const EXEC_SSH: &str = r#"trap '' HUP INT QUIT TSTP; exec "$@""#;
/// For every `ssh`. A connection without a response ends after a minute, because a small board may be busy for long.
const OPTIONS: [&str; 8] = [
    "ConnectTimeout=20",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=6",
    "ClearAllForwardings=yes",
    "ForwardAgent=no",
    "ForwardX11=no",
    "RemoteCommand=none",
    "RequestTTY=no",
];
/// For the connection that is shared. The archives are not compressed otherwise.
const SHARED_OPTIONS: [&str; 2] = ["ControlPersist=no", "Compression=yes"];
/// Runs there as long as the connection is needed: words that mean the same in every login shell.
const STAY: &str = "echo sdbuild-ready; cat >/dev/null";
const READY: &str = "sdbuild-ready";
/// Reads a script from its input.
const SHELL: &str = "/bin/sh -s";
/// Serves the store. What is registered is on the disk, so that a loss of power leaves no path that seems to be there.
const SERVE: &str = "nix-store --serve --write --option fsync-store-paths true";
/// Bytes of what a script says, and of messages.
const MAX_OUTPUT: u64 = 32 << 20;
const MAX_MESSAGES: u64 = 64 << 10;
/// How long a script may take that only looks. A board may be busy, and its card slow.
const LOOK_TIMEOUT: Duration = Duration::from_mins(5);
/// The same of a script of root, which may read or remove all that is on the card.
const WORK_TIMEOUT: Duration = Duration::from_hours(2);
/// How long anything may take on a new connection, with an answer of the user.
const ATTEMPT: Duration = Duration::from_mins(1);
/// The status of `ssh` when it is not the program there that failed.
const SSH_FAILED: i32 = 255;
/// How often the holder of the lock hears from this process.
const HEARTBEAT: Duration = Duration::from_secs(10);

/// The `ssh` of this machine.
#[derive(Clone, Debug)]
pub struct SshProgram(pub PathBuf);

/// The terminal on which `ssh` may ask, of all connections of a run: one of them has it at a time.
#[derive(Clone, Debug)]
pub struct Terminal {
    lock: Arc<Mutex<()>>,
    events: Events,
}

impl Terminal {
    /// The terminal that shows `events`.
    pub fn new(events: Events) -> Self {
        Self {
            lock: Arc::default(),
            events,
        }
    }

    /// Waits until no other connection has it.
    pub async fn alone(&self) -> OwnedMutexGuard<()> {
        Arc::clone(&self.lock).lock_owned().await
    }

    /// Gives it to `ssh` until the result is dropped.
    async fn given(&self) -> Given<'_> {
        let alone = self.alone().await;
        self.events.emit(Event::Suspended);
        Given {
            events: &self.events,
            _alone: alone,
        }
    }
}

/// A terminal that `ssh` has.
struct Given<'a> {
    events: &'a Events,
    _alone: OwnedMutexGuard<()>,
}

impl Drop for Given<'_> {
    fn drop(&mut self) {
        self.events.emit(Event::Resumed);
    }
}

/// Which connection a program uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link<'a> {
    /// The one that is shared.
    Shared,
    /// A new one.
    New,
    /// A new one to another address of the machine, whose host key is known under the first name.
    Moved(&'a str, &'a str),
}

/// A connection to a machine. Dropping it ends it; so does the end of this process.
#[derive(Debug)]
pub struct Connection {
    host: Host,
    program: SshProgram,
    terminal: Terminal,
    dir: ScratchDir,
    master: Child,
    /// The process on the machine that holds the lock of deployments.
    holder: OnceLock<String>,
    /// How long a new connection takes, with the login.
    took: Duration,
    /// Whether it takes an answer of the user.
    asks: bool,
}

impl Connection {
    /// Connects to `host`. No timeout once `ssh` has connected, because it may ask on the terminal.
    pub async fn open(
        program: SshProgram,
        host: Host,
        terminal: Terminal,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let operation = format!("connect to {host}");
        let given = terminal.clone();
        let given = cancel.race(given.given()).await?;
        let dir = ScratchDir::temporary(scratch_dir::DEPLOY);
        let dir = dir.or_environment(&operation)?;
        let master = start_master(&program, &host, dir.path()).or_environment(&operation)?;
        let mut connection = Self {
            host,
            program,
            terminal,
            dir,
            master,
            holder: OnceLock::new(),
            took: Duration::ZERO,
            asks: false,
        };
        let stdout = connection.master.stdout.take();
        let is_ready = cancel.race(is_ready(stdout)).await?;
        drop(given);
        if !is_ready {
            let why = connection
                .last_message()
                .unwrap_or_else(|| "ssh ended without a message".to_owned());
            let failure = Failure::environment(why).context(operation);
            return Err(failure.hint(format!("try it yourself: ssh {}", connection.host)));
        }
        Ok(connection)
    }

    /// This one, or a new one if it has ended.
    pub async fn or_new(mut self, cancel: &Cancel) -> Result<Self, Failure> {
        if let Ok(None) = self.master.try_wait() {
            return Ok(self);
        }
        let (program, terminal) = (self.program.clone(), self.terminal.clone());
        Self::open(program, self.host.clone(), terminal, cancel).await
    }

    /// Finds out what a new connection takes.
    pub async fn measure(&mut self, cancel: &Cancel) -> Result<(), Failure> {
        let begin = Instant::now();
        let empty = self.script(Link::New, "", &[], None);
        self.asks = cancel.race(empty).await?.is_err();
        self.took = begin.elapsed();
        Ok(())
    }

    /// The machine.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// How long a new connection takes, with the login.
    pub(crate) fn took(&self) -> Duration {
        self.took
    }

    /// Whether a new connection takes an answer of the user, such as a password.
    pub fn asks(&self) -> bool {
        self.asks
    }

    /// The name under which `ssh` knows the host key of the machine.
    pub(crate) async fn known_as(&self) -> Option<String> {
        let mut command = base(&self.program);
        command.args(["-G", "--", self.host.as_str()]);
        let said = command.stdin(Stdio::null()).output().await.ok()?.stdout;
        let said = String::from_utf8_lossy(&said);
        let value = |key| said.lines().find_map(|line| line.strip_prefix(key));
        let name = value("hostname ")?;
        Some(match (value("hostkeyalias "), value("port ")?) {
            (Some(alias), _) if alias != "none" => alias.to_owned(),
            (_, "22") => name.to_owned(),
            (_, port) => format!("[{name}]:{port}"),
        })
    }

    /// The process on the machine that holds the lock of [`Connection::locked`].
    pub(crate) fn holder(&self) -> &str {
        self.holder.get().map_or("", String::as_str)
    }

    /// What `script` says, which is run with `arguments`; as root with an elevation.
    pub(crate) async fn script(
        &self,
        link: Link<'_>,
        script: &str,
        arguments: &[&str],
        elevation: Option<&Elevation>,
    ) -> Result<String, Failure> {
        let words = elevation.map_or("", Elevation::words);
        let mut command = self.command(link, &format!("{words}{SHELL}"));
        let input = elevation.map(Elevation::input).unwrap_or_default();
        let input = input + &script::input(script, arguments);
        let work = async {
            let mut child = command.stderr(Stdio::piped()).spawn()?;
            let (stdin, stdout, stderr) =
                (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let ((), said, messages) = tokio::join!(
                write(stdin, input.as_bytes()),
                read(stdout, MAX_OUTPUT),
                read(stderr, MAX_MESSAGES)
            );
            Ok::<_, io::Error>((child.wait().await?, said?, messages?))
        };
        let host = &self.host;
        let limit = match link {
            Link::New | Link::Moved(..) => ATTEMPT,
            Link::Shared => elevation.map_or(LOOK_TIMEOUT, |_| WORK_TIMEOUT),
        };
        let asks = link != Link::Shared && self.asks;
        let _given = if asks {
            Some(self.terminal.given().await)
        } else {
            None
        };
        let done = timeout(limit, work).await;
        let late = || Failure::environment(format!("{host} does not answer"));
        let (status, said, messages) = done.ok_or_else(late)?.or_environment("run ssh")?;
        if status.success() {
            return Ok(said);
        }
        Err(self.failed(status, &messages))
    }

    /// Whether the account becomes root that way. It gets the password once and nothing after it: `sudo` would take the next line for
    /// another attempt, and accounts may be locked after some.
    pub async fn becomes_root(&self, elevation: &Elevation) -> Result<bool, Failure> {
        let mut command = self.command(Link::Shared, &format!("{}{SHELL}", elevation.words()));
        let work = async {
            let mut child = command.stderr(Stdio::null()).spawn()?;
            write(child.stdin.take(), elevation.input().as_bytes()).await;
            child.wait().await
        };
        let late = || Failure::environment(format!("{} does not answer", self.host));
        let done = timeout(LOOK_TIMEOUT, work).await.ok_or_else(late)?;
        let status = done.or_environment("run ssh")?;
        if status.code() == Some(SSH_FAILED) {
            return Err(self.failed(status, &self.last_message().unwrap_or_default()));
        }
        Ok(status.success())
    }

    fn failed(&self, status: ExitStatus, messages: &str) -> Failure {
        let (host, last) = (&self.host, last_line(messages));
        let last = last.unwrap_or_else(|| "it said nothing".to_owned());
        if status.code() == Some(SSH_FAILED) {
            return Failure::environment(format!("the connection to {host} failed: {last}"));
        }
        Failure::environment(format!("a program on {host} failed ({status}): {last}"))
    }

    /// Runs `work` with the lock of deployments on the machine. A usage error if somebody else has it.
    pub async fn locked<T>(
        &self,
        elevation: &Elevation,
        cancel: &Cancel,
        work: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        let host = &self.host;
        let operation = format!("lock {host} for this deployment");
        let mut command = self.command(Link::Shared, &format!("{}{SHELL}", elevation.words()));
        command.stderr(self.log("lock").or_environment(&operation)?);
        let mut holder = command.spawn().or_environment(&operation)?;
        let (stdin, stdout) = (holder.stdin.take(), holder.stdout.take());
        let (Some(mut stdin), Some(stdout)) = (stdin, stdout) else {
            return Err(Failure::environment("ssh has no input").context(operation));
        };
        let input = elevation.input() + &script::input(script::HOLD, &[]);
        stdin
            .write_all(input.as_bytes())
            .await
            .or_environment(&operation)?;
        let mut lines = BufReader::new(stdout.take(MAX_MESSAGES)).lines();
        let answer = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(holder) = script::fact(&line, "locked") {
                    self.holder.set(holder.to_owned()).ok();
                    return Some(true);
                } else if script::fact(&line, "busy").is_some() {
                    return Some(false);
                }
            }
            None
        };
        match cancel.race(answer).await? {
            Some(true) => {}
            Some(false) => {
                let text = format!("another deployment to {host} is running");
                return Err(Failure::usage(text).hint(
                    "wait until it has ended; its lock does not outlive it by more than a minute",
                ));
            }
            None => {
                let why = self
                    .message("lock")
                    .unwrap_or_else(|| "it said nothing".to_owned());
                return Err(Failure::environment(why).context(operation));
            }
        }
        let beat = async {
            loop {
                tokio::time::sleep(HEARTBEAT).await;
                // If the connection is gone, the work finds that out.
                if stdin.write_all(b".\n").await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::select! {
            biased;
            done = Box::pin(work) => done,
            () = beat => Err(Failure::interrupted()),
        }
    }

    /// The store of the machine, for as long as the result lasts.
    pub(crate) async fn store(&self, elevation: &Elevation) -> Result<StoreSession, Failure> {
        let operation = format!("open the store of {}", self.host);
        let mut command = self.command(Link::Shared, &format!("{}{SERVE}", elevation.words()));
        command.stderr(self.log("store").or_environment(&operation)?);
        let mut child = command.spawn().or_environment(&operation)?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failure::environment("ssh has no input").context(operation));
        };
        let opened = async {
            stdin.write_all(elevation.input().as_bytes()).await?;
            Store::open(stdout, stdin).await
        };
        let store = opened.await.map_err(|error| {
            let why = self.store_message().unwrap_or_else(|| error.to_string());
            Failure::environment(why).context(operation)
        })?;
        Ok(StoreSession {
            store,
            _child: child,
        })
    }

    /// What the store's server said last.
    pub(crate) fn store_message(&self) -> Option<String> {
        self.message("store")
    }

    fn last_message(&self) -> Option<String> {
        self.message("log")
    }

    fn message(&self, name: &str) -> Option<String> {
        let text = plain_file::read_text(&self.dir.path().join(name), MAX_MESSAGES);
        last_line(&text.ok()?)
    }

    fn log(&self, name: &str) -> io::Result<File> {
        File::create(self.dir.path().join(name))
    }

    /// `ssh` that runs `words`, the same in every login shell; its input and output are pipes.
    fn command(&self, link: Link<'_>, words: &str) -> Command {
        let mut command = base(&self.program);
        match link {
            Link::Shared => {
                command.arg("-S").arg(control(self.dir.path()));
                command.args(["-o", "ControlMaster=no"]);
            }
            Link::New | Link::Moved(..) => {
                if let Link::Moved(known_as, address) = link {
                    command.args(["-o", &format!("HostKeyAlias={known_as}")]);
                    command.args(["-o", &format!("HostName={address}")]);
                }
                command.args(["-o", "ControlMaster=no", "-o", "ControlPath=none"]);
                // What can be answered without a question is not asked again and again.
                if !self.asks {
                    command.args(["-o", "BatchMode=yes"]);
                }
            }
        }
        command
            .args(["--", self.host.as_str(), words])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

impl Drop for Connection {
    /// The program there ends with its input, and with it the connection.
    fn drop(&mut self) {
        drop(self.master.stdin.take());
        self.master.start_kill().ok();
    }
}

/// The store of a machine, over a connection.
#[derive(Debug)]
pub(crate) struct StoreSession {
    pub(crate) store: Store<ChildStdout, ChildStdin>,
    _child: Child,
}

fn control(dir: &Path) -> PathBuf {
    dir.join("control")
}

/// `ssh` with the options of every one.
fn base(program: &SshProgram) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", EXEC_SSH, "sh"])
        .arg(&program.0)
        .arg("-T");
    for option in OPTIONS {
        command.args(["-o", option]);
    }
    command
}

fn start_master(program: &SshProgram, host: &Host, dir: &Path) -> io::Result<Child> {
    let mut command = base(program);
    command.arg("-M").arg("-S").arg(control(dir));
    for option in SHARED_OPTIONS {
        command.args(["-o", option]);
    }
    command
        .args(["--", host.as_str(), STAY])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(dir.join("log"))?)
        .kill_on_drop(true)
        .spawn()
}

/// Whether the program that stays has begun.
async fn is_ready(stdout: Option<ChildStdout>) -> bool {
    let Some(stdout) = stdout else { return false };
    let mut lines = BufReader::new(stdout.take(MAX_MESSAGES)).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.trim_end().ends_with(READY) {
            return true;
        }
    }
    false
}

/// Writes all of `input`, whose reader may end before.
async fn write(stdin: Option<ChildStdin>, input: &[u8]) {
    if let Some(mut stdin) = stdin {
        stdin.write_all(input).await.ok();
    }
}

/// Reads a text of at most `limit` bytes.
async fn read(from: Option<impl AsyncRead + Unpin>, limit: u64) -> io::Result<String> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        from.take(limit).read_to_end(&mut bytes).await?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn last_line(messages: &str) -> Option<String> {
    let mut lines = messages.lines().map(str::trim);
    let last = lines.rfind(|line| !line.is_empty())?;
    Some(last.chars().filter(|c| !c.is_control()).collect())
}
