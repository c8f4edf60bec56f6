//! An engine with its own socket, data and network namespace, so that a test can kill it.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{BINFMT, kill_processes_of, run, wait_until};

/// A running engine, which is stopped when the value is dropped.
pub struct OwnEngine {
    dir: tempfile::TempDir,
    child: Child,
    hide_binfmt: bool,
    more: Vec<String>,
}

impl OwnEngine {
    /// Starts an engine in a network namespace of its own, because two engines in one delete each other's bridge.
    /// With `hide_binfmt`, `binfmt_misc` is not mounted on its host.
    pub fn start(hide_binfmt: bool) -> Self {
        Self::launch(hide_binfmt, &[])
    }

    /// Starts an engine with `more` arguments.
    pub fn start_with(more: &[&str]) -> Self {
        Self::launch(false, more)
    }

    fn launch(hide_binfmt: bool, more: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("sdbuild-engine").tempdir().unwrap();
        let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
        let child = spawn(&dir, hide_binfmt, &more);
        let engine = Self { dir, child, hide_binfmt, more };
        engine.wait_until_up();
        engine
    }

    /// Its address for `DOCKER_HOST`.
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket().display())
    }

    /// The engine's process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("docker.sock")
    }

    /// The number of containers on the engine's disk, even while it does not answer.
    pub fn containers(&self) -> usize {
        let dir = fs::read_dir(self.dir.path().join("data/containers"));
        dir.map_or(0, Iterator::count)
    }

    fn wait_until_up(&self) {
        wait_until(Duration::from_mins(1), "the engine of the tests answers", || {
            self.docker(&["version"]).code == Some(0)
        });
    }

    /// Runs Docker's client on this engine.
    pub fn docker(&self, words: &[&str]) -> super::Outcome {
        run(Command::new("docker").args(words).env("DOCKER_HOST", self.host()))
    }

    /// Sends the engine a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap();
    }

    /// Sends the engine a signal and waits for its end.
    pub fn end(&mut self, signal: Signal) {
        self.signal(signal);
        self.child.wait().unwrap();
    }

    /// Starts the engine again unless it runs.
    pub fn ensure_up(&mut self) {
        if self.child.try_wait().unwrap().is_some() {
            self.restart();
        }
    }

    /// Starts the engine again with the same data.
    pub fn restart(&mut self) {
        // A killed engine leaves its pid files behind, and the next one would wait for that process.
        for name in ["pid", "exec/containerd/containerd.pid"] {
            fs::remove_file(self.dir.path().join(name)).unwrap_or(());
        }
        self.child = spawn(&self.dir, self.hide_binfmt, &self.more);
        self.wait_until_up();
    }
}

fn spawn(dir: &tempfile::TempDir, hide_binfmt: bool, more: &[String]) -> Child {
    // Fixed text; the directory is an argument, never part of the script.
    let script = format!(
        "[ \"$2\" = keep ] || umount {BINFMT} || exit 1\n\
         directory=$1\nshift 2\nip link set lo up\n\
         exec dockerd --host \"unix://$directory/docker.sock\" --data-root \"$directory/data\" \
         --exec-root \"$directory/exec\" --pidfile \"$directory/pid\" \"$@\" >>\"$directory/log\" 2>&1"
    );
    Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"])
        .arg(dir.path())
        .arg(if hide_binfmt { "hide" } else { "keep" })
        .args(more)
        .stdin(Stdio::null())
        .spawn()
        .unwrap()
}

impl Drop for OwnEngine {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.end(Signal::SIGTERM);
        }
        // The containerd of a killed engine may outlive it; its pid is in the exec directory.
        let pid = fs::read_to_string(self.dir.path().join("exec/containerd/containerd.pid"));
        if let Ok(pid) = pid.unwrap_or_default().trim().parse() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or(());
        }
        // The shims of its containers may outlive it.
        kill_processes_of(self.dir.path());
    }
}
