//! Runs programs to their end, or watches them while they run.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{TestUser, fresh, product};

/// How a process ended, and its output.
pub struct Outcome {
    pub code: Option<i32>,
    pub signal: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// The time that [`run`] gives a command: the longest take four minutes, and a test is ended after ten, without its output.
const MAX_RUN: Duration = Duration::from_mins(8);

/// Runs `command`, without standard input, to its end. Panics with its output, and with what all processes wait for, when that takes
/// too long.
pub fn run(command: &mut Command) -> Outcome {
    run_with_input(command.stdin(Stdio::null()))
}

/// The same with the standard input that `command` has.
pub fn run_with_input(command: &mut Command) -> Outcome {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    let (send, output) = mpsc::channel();
    std::thread::spawn(move || send.send(child.wait_with_output().unwrap()));
    if let Ok(output) = output.recv_timeout(MAX_RUN) {
        return Outcome::of(&output);
    }
    let show = ["-eo", "pid,ppid,stat,wchan:24,etimes,args", "--forest"];
    let processes = Outcome::of(&Command::new("ps").args(show).output().unwrap()).stdout;
    kill(pid, Signal::SIGTERM).unwrap_or(());
    let stderr = output.recv_timeout(Duration::from_mins(1));
    let stderr = stderr.map_or_else(|e| e.to_string(), |output| Outcome::of(&output).stderr);
    panic!(
        "{command:?} has not ended within {MAX_RUN:?}\n--- stderr\n{stderr}\n--- processes\n{processes}"
    );
}

/// Kills every process with the path of `dir` in its command line: a directory that only the caller's programs use.
pub fn kill_processes_of(dir: &Path) {
    let dir = dir.to_str().unwrap().as_bytes();
    for process in fs::read_dir("/proc").unwrap().flatten() {
        let Ok(pid) = process.file_name().to_string_lossy().parse() else {
            continue;
        };
        let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
        if words.windows(dir.len()).any(|part| part == dir) {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or(());
        }
    }
}

impl Outcome {
    /// The names of the derivations whose build began, in order: what `-v` shows as `building '/nix/store/HASH-NAME.drv'`.
    pub fn built(&self) -> Vec<&str> {
        let lines = self.stderr.lines();
        let paths = lines.filter_map(|line| line.strip_prefix("building '/nix/store/"));
        paths.filter_map(|path| path.split_once(".drv'")?.0.get(33..)).collect()
    }

    /// The outcome of a process that has ended.
    pub fn of(output: &Output) -> Self {
        use std::os::unix::process::ExitStatusExt as _;
        Self {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts the exit code; prints all output when it is another.
    #[track_caller]
    pub fn assert_exit_code(self, code: i32) -> Self {
        assert_eq!(
            self.code,
            Some(code),
            "signal {:?}\n--- stdout\n{}--- stderr\n{}",
            self.signal,
            self.stdout,
            self.stderr
        );
        self
    }

    /// Asserts that standard error contains each of `parts`.
    #[track_caller]
    pub fn assert_stderr_contains(self, parts: &[&str]) -> Self {
        for part in parts {
            assert!(self.stderr.contains(part), "`{part}` is not in:\n{}", self.stderr);
        }
        self
    }

    /// The JSON on standard output.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|e| panic!("{e}: {}\n{}", self.stdout, self.stderr))
    }

    /// The manifest beside the image.
    #[track_caller]
    pub fn manifest(&self) -> serde_json::Value {
        manifest(&self.image())
    }

    /// The path of the image: the last line of standard output.
    #[track_caller]
    pub fn image(&self) -> PathBuf {
        PathBuf::from(self.stdout.lines().last().expect("a line on standard output"))
    }
}

/// The manifest beside `image`.
pub fn manifest(image: &Path) -> serde_json::Value {
    let text = fs::read_to_string(format!("{}.json", image.display())).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A process under way whose standard error is read line by line. It is terminated when the value is dropped.
pub struct Running {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, lines, seen: Vec::new() }
    }

    /// Starts a build and returns while its derivation sleeps for ten minutes.
    pub fn in_mid_build(user: &TestUser, more: &[&str]) -> Self {
        let script = fresh("    echo in the middle\n    sleep 600");
        user.write("sd-card.nix", &product(&script));
        let mut running = Self::start(&mut user.build(&[&["-v"], more].concat()));
        running.wait_for("in the middle");
        running
    }

    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }

    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).unwrap();
    }

    /// The process's standard input, which must be a pipe.
    pub fn input(&mut self) -> ChildStdin {
        self.child.stdin.take().unwrap()
    }

    /// Whether the process is stopped (state `T`).
    pub fn is_stopped(&self) -> bool {
        self.has_state('T')
    }

    /// Whether the process has ended (state `Z` until somebody waits for it).
    pub fn is_ended(&self) -> bool {
        self.has_state('Z')
    }

    fn has_state(&self, state: char) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().starts_with(state)
    }

    /// Waits until a line of standard error contains `part`, for at most two minutes.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + Duration::from_mins(2);
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left);
            let Ok(line) = line else {
                panic!("`{part}` did not come; what came:\n{}", self.seen.join("\n"));
            };
            let found = line.contains(part);
            self.seen.push(line);
            if found {
                return;
            }
        }
    }

    /// Waits until `condition` holds, for at most a minute; fails when the process has ended before.
    #[track_caller]
    pub fn wait_until(&mut self, what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_mins(1);
        while !condition() {
            self.seen.extend(self.lines.try_iter());
            let ended = self.child.try_wait().unwrap();
            assert!(
                ended.is_none() && Instant::now() < deadline,
                "{what}: not before {ended:?} or within a minute; what came:\n{}",
                self.seen.join("\n")
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the process to end.
    pub fn finish(mut self) -> Outcome {
        use std::os::unix::process::ExitStatusExt as _;
        let mut stdout = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        self.seen.extend(self.lines.iter().collect::<Vec<_>>());
        Outcome {
            code: status.code(),
            signal: status.signal(),
            stdout,
            stderr: self.seen.join("\n") + "\n",
        }
    }
}

impl Drop for Running {
    /// A test that panics must not leave its process behind.
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::SIGTERM);
            self.child.wait().unwrap();
        }
    }
}
