//! An `sdbuild` process under way: its output with times, the ids of its runs, and how and when it ended.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Write as _};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{BINFMT, file_names};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Code(i32),
    Signal(i32),
}

/// Where an output stream goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamTarget {
    /// Into a pipe that the harness reads.
    Harness,
    /// To `/dev/full`.
    Full,
}

#[derive(Default)]
struct Observed {
    lines: Vec<(Duration, String)>,
    runs: BTreeSet<String>,
    handlers: BTreeSet<String>,
    ended: Option<(End, Duration)>,
}

struct Shared {
    start: Mutex<Instant>,
    /// Whether standard output (0) and standard error (1) are not read any more.
    closed: [AtomicBool; 2],
    observed: Mutex<Observed>,
}

impl Shared {
    fn age(&self) -> Duration {
        self.start.lock().unwrap().elapsed()
    }
}

/// The process, and the threads that watch it.
pub struct LiveRun {
    pid: Pid,
    /// A value in the environment of the process and of everything that it starts.
    mark: String,
    state: PathBuf,
    shared: Arc<Shared>,
    /// Its standard input, when that is a pipe.
    keyboard: Option<ChildStdin>,
    readers: [Option<JoinHandle<()>>; 2],
    watcher: Option<JoinHandle<()>>,
}

impl LiveRun {
    /// Starts `command`; `state` is its home directory, below which it keeps its run locks.
    pub fn start(command: &mut Command, state: &Path, streams: [StreamTarget; 2]) -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let mark = format!("{}-{count}", std::process::id());
        let [out, err] = streams.map(|to| match to {
            StreamTarget::Harness => Stdio::piped(),
            StreamTarget::Full => {
                Stdio::from(File::options().write(true).open("/dev/full").unwrap())
            }
        });
        let start = Instant::now();
        let mut child =
            command.env("SDBUILD_FAULT_RUN", &mark).stdout(out).stderr(err).spawn().unwrap();
        let shared = Arc::new(Shared {
            start: Mutex::new(start),
            closed: [AtomicBool::new(false), AtomicBool::new(false)],
            observed: Mutex::default(),
        });
        let runs = state.join(".local/state/sdbuild/runs");
        let readers = read(&mut child, &shared);
        let keyboard = child.stdin.take();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
        let theirs = Arc::clone(&shared);
        let watcher = std::thread::spawn(move || watch(child, &runs, &theirs));
        Self {
            pid,
            mark,
            state: state.to_owned(),
            shared,
            keyboard,
            readers,
            watcher: Some(watcher),
        }
    }

    pub fn age(&self) -> Duration {
        self.shared.age()
    }

    /// Sets the age to zero: until now only its shell ran.
    pub fn reset_age(&self) {
        *self.shared.start.lock().unwrap() = Instant::now();
    }

    /// The home directory.
    pub fn state(&self) -> &Path {
        &self.state
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.ended().is_none() {
            kill(self.pid, signal).unwrap_or(());
        }
    }

    /// Types `text`, unless the process has ended.
    pub fn type_keys(&mut self, text: &str) {
        if let Some(keyboard) = &mut self.keyboard {
            keyboard.write_all(text.as_bytes()).unwrap_or(());
        }
    }

    /// Closes our end of standard output (0) or standard error (1).
    pub fn close(&mut self, stream: usize) {
        self.shared.closed[stream].store(true, Ordering::SeqCst);
        if let Some(reader) = self.readers[stream].take() {
            reader.join().unwrap();
        }
    }

    /// The lines of standard error so far, and how old the run was when each came.
    pub fn lines(&self) -> Vec<(Duration, String)> {
        self.shared.observed.lock().unwrap().lines.clone()
    }

    /// Standard error so far.
    pub fn stderr(&self) -> String {
        let lines = self.lines();
        let lines = lines.iter().map(|(_, line)| line.as_str());
        lines.flat_map(|line| [line, "\n"]).collect()
    }

    /// The ids of its runs, by their run locks.
    pub fn runs(&self) -> BTreeSet<String> {
        self.shared.observed.lock().unwrap().runs.clone()
    }

    /// The handlers of those runs that were seen in the kernel's table.
    pub fn handlers(&self) -> BTreeSet<String> {
        self.shared.observed.lock().unwrap().handlers.clone()
    }

    /// How and when it ended, if it did.
    pub fn ended(&self) -> Option<(End, Duration)> {
        self.shared.observed.lock().unwrap().ended
    }

    /// Waits for the end for at most `limit`. A process that hangs is killed; then the result is `None`.
    pub fn wait(&mut self, limit: Duration) -> Option<(End, Duration)> {
        let deadline = Instant::now() + limit;
        while self.ended().is_none() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(3));
        }
        let ended = self.ended();
        self.finish();
        ended
    }

    /// The ids of all processes that have our mark in their environment.
    pub fn processes(&self) -> Vec<String> {
        let mark = format!("SDBUILD_FAULT_RUN={}\0", self.mark);
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let pids = entries.filter(|e| e.file_name().to_string_lossy().parse::<u32>().is_ok());
        pids.filter(|entry| {
            let environ = fs::read(entry.path().join("environ")).unwrap_or_default();
            environ.windows(mark.len()).any(|w| w == mark.as_bytes())
        })
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
    }

    fn finish(&mut self) {
        for signal in [Signal::SIGCONT, Signal::SIGKILL] {
            self.signal(signal);
        }
        if let Some(watcher) = self.watcher.take() {
            watcher.join().unwrap();
        }
        // A process that still holds the other end of a stream is a violation of its own.
        for stream in [0, 1] {
            let deadline = Instant::now() + Duration::from_secs(1);
            let reader = self.readers[stream].as_ref();
            while reader.is_some_and(|r| !r.is_finished()) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(1));
            }
            self.close(stream);
        }
    }
}

impl Drop for LiveRun {
    fn drop(&mut self) {
        self.finish();
    }
}

fn read(child: &mut Child, shared: &Arc<Shared>) -> [Option<JoinHandle<()>>; 2] {
    let out = child.stdout.take().map(|pipe| {
        unblock(&pipe);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            // Only drained.
            pump(pipe, &shared.closed[0], |_| ());
        })
    });
    let err = child.stderr.take().map(|pipe| {
        unblock(&pipe);
        let shared = Arc::clone(shared);
        std::thread::spawn(move || {
            let mut rest = Vec::new();
            pump(pipe, &shared.closed[1], |bytes| {
                take_lines(&shared, &mut rest, bytes);
            });
        })
    });
    [out, err]
}

fn take_lines(shared: &Shared, rest: &mut Vec<u8>, bytes: &[u8]) {
    rest.extend(bytes);
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line: Vec<u8> = rest.drain(..=end).collect();
        let line = String::from_utf8_lossy(&line).trim_end().to_owned();
        let mut observed = shared.observed.lock().unwrap();
        observed.lines.push((shared.age(), line));
    }
}

/// Makes `pipe` nonblocking, so that its reader can be stopped at any moment.
fn unblock(pipe: &impl std::os::fd::AsFd) {
    fcntl(pipe, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).unwrap();
}

fn pump(mut pipe: impl Read, closed: &AtomicBool, mut take: impl FnMut(&[u8])) {
    let mut buffer = [0; 8192];
    while !closed.load(Ordering::SeqCst) {
        match pipe.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => take(&buffer[..n]),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(_) => return,
        }
    }
}

/// Waits for the child, and records which run locks and which of their handlers exist meanwhile.
fn watch(mut child: Child, runs: &Path, shared: &Shared) {
    loop {
        let status = child.try_wait().unwrap();
        let locks = fs::read_dir(runs).into_iter().flatten().flatten();
        let locks = locks.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let ids: Vec<String> = locks.filter(|name| name.len() == 12).collect();
        let table = file_names(Path::new(BINFMT));
        let mut observed = shared.observed.lock().unwrap();
        observed.runs.extend(ids);
        let of_ours = |name: &String| observed.runs.iter().any(|id| name.ends_with(id.as_str()));
        let handlers: Vec<String> = table.into_iter().filter(of_ours).collect();
        observed.handlers.extend(handlers);
        if let Some(status) = status {
            let end =
                status.signal().map_or_else(|| End::Code(status.code().unwrap_or(-1)), End::Signal);
            observed.ended = Some((end, shared.age()));
            return;
        }
        drop(observed);
        std::thread::sleep(Duration::from_millis(4));
    }
}
