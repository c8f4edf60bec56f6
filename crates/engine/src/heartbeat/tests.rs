use std::io::{Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};

use futures_util::FutureExt as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::*;

const WATCHDOG: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../containers/builder/watchdog"
);
/// The silence that the watchdogs of these tests tolerate: longer than a busy machine holds a process up.
const TOLERATED: Duration = Duration::from_secs(2);
/// Upper bound for what a busy machine does at once.
const TEST_DEADLINE: Duration = Duration::from_secs(20);

/// Everything that arrives within `limit`.
async fn read_for(stream: &mut DuplexStream, limit: Duration) -> String {
    let mut all = Vec::new();
    timeout(limit, stream.read_to_end(&mut all)).await;
    String::from_utf8(all).unwrap()
}

#[tokio::test]
async fn writes_a_line_a_second_until_it_is_dropped() {
    let (input, mut output) = tokio::io::duplex(64);
    let guard = Heartbeat::default().keep_alive(AttachedInput::to(input));
    let lines = read_for(&mut output, HEARTBEAT_INTERVAL * 4).await.len();
    assert!((2..=4).contains(&lines), "{lines} in four seconds");
    drop(guard);
    let end = timeout(TEST_DEADLINE, output.read_to_end(&mut Vec::new())).await;
    assert!(matches!(end, Some(Ok(_))), "the input ends with it");
}

#[tokio::test]
async fn a_pause_delays_the_next_line() {
    let (input, mut output) = tokio::io::duplex(64);
    let heartbeat = Heartbeat::default();
    let handle = heartbeat.pause_handle();
    let _guard = heartbeat.keep_alive(AttachedInput::to(input));
    handle.pause().await;
    assert_eq!(read_for(&mut output, HEARTBEAT_INTERVAL).await, "pause\n");
    assert_eq!(read_for(&mut output, TEST_DEADLINE / 4).await.trim(), "");
}

#[tokio::test]
async fn a_heartbeat_that_has_ended_delays_no_stop() {
    let heartbeat = Heartbeat::default();
    let handle = heartbeat.pause_handle();
    let is_delayed = || handle.pause().now_or_never().is_none();
    assert!(is_delayed(), "not started: the first line will be `pause`");
    let (input, output) = tokio::io::duplex(64);
    drop(output);
    // The first line cannot be written.
    let _guard = heartbeat.keep_alive(AttachedInput::to(input));
    wait_until(async || !is_delayed()).await;
}

/// Those shells of other container images that this machine has.
fn shells() -> Vec<&'static [&'static str]> {
    let all: [&[&str]; 4] = [&["sh"], &["bash"], &["dash"], &["busybox", "sh"]];
    let is_installed = |shell: &&[&str]| {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", "exit 0"]);
        command.status().is_ok_and(|status| status.success())
    };
    let installed: Vec<_> = all.into_iter().filter(is_installed).collect();
    assert!(!installed.is_empty());
    installed
}

/// A watchdog with its command.
struct Watched {
    watchdog: Child,
    input: Option<ChildStdin>,
}

impl Watched {
    fn start(shell: &[&str], command: &[&str]) -> Self {
        Self::start_tolerating(TOLERATED, shell, command)
    }

    /// Of a watchdog that tolerates another silence.
    fn start_tolerating(silence: Duration, shell: &[&str], command: &[&str]) -> Self {
        let tick = TOLERATED / 10;
        let silent = silence.as_millis() / tick.as_millis();
        let seconds = |time: Duration| time.as_secs_f64().to_string();
        let mut watchdog = Command::new(shell[0])
            .args(&shell[1..])
            .arg(WATCHDOG)
            .args(command)
            .env("SDBUILD_WATCHDOG_TICK", seconds(tick))
            .env("SDBUILD_WATCHDOG_SILENT", silent.to_string())
            .env("SDBUILD_WATCHDOG_PAUSED", "50")
            .env_remove("SDBUILD_SHELL")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = watchdog.stdin.take();
        Self { watchdog, input }
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        // It may have ended.
        writeln!(input, "{line}").ok();
    }

    /// Whether it still runs after `time`.
    async fn outlives(&mut self, time: Duration) -> bool {
        tokio::time::sleep(time).await;
        self.watchdog.try_wait().unwrap().is_none()
    }

    /// Waits for its end, which must come soon; returns its exit code.
    async fn end(mut self) -> Option<i32> {
        let exit = async {
            loop {
                if let Some(status) = self.watchdog.try_wait().unwrap() {
                    return status.code();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let code = timeout(TEST_DEADLINE, exit).await;
        self.kill(|_| true);
        self.watchdog.kill().ok();
        self.watchdog.wait().unwrap();
        code.flatten()
    }

    /// Whether a descendant has the command line `command`.
    fn has(&self, command: &str) -> bool {
        let all = descendants(self.watchdog.id());
        all.iter().any(|(_, words)| words.trim_end() == command)
    }

    /// Kills what `is_victim` finds among the watchdog's descendants, by their command lines; returns how many.
    fn kill(&self, is_victim: impl Fn(&str) -> bool) -> usize {
        let victims = descendants(self.watchdog.id()).into_iter();
        let victims = victims.filter(|(_, command)| is_victim(command));
        let pids = victims.map(|(pid, _)| Pid::from_raw(i32::try_from(pid).unwrap()));
        // The process may have ended by itself.
        pids.filter(|pid| kill(*pid, Signal::SIGKILL).is_ok())
            .count()
    }
}

/// Processes below `parent`, with their command lines.
fn descendants(parent: u32) -> Vec<(u32, String)> {
    let mut all = Vec::new();
    let list = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children"));
    for pid in list.unwrap_or_default().split_whitespace() {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&words).replace('\0', " ");
        let pid = pid.parse().unwrap();
        all.push((pid, command));
        all.extend(descendants(pid));
    }
    all
}

/// Those shells without `read -t`, where the watchdog needs a process for its clock.
fn shells_with_a_clock() -> Vec<&'static [&'static str]> {
    let lacks_timeout = |shell: &&[&str]| {
        let mut command = Command::new(shell[0]);
        command.args(&shell[1..]).args(["-c", "read -t 1 line"]);
        command.stdin(Stdio::null()).stderr(Stdio::null());
        command.status().unwrap().code() != Some(1)
    };
    shells().into_iter().filter(lacks_timeout).collect()
}

/// Runs the watchdog in each of the shells, all at once: `act`, after which it must end the command.
async fn in_each_shell(act: impl AsyncFn(&mut Watched)) {
    in_each_of(shells(), act).await;
}

async fn in_each_of(shells: Vec<&[&str]>, act: impl AsyncFn(&mut Watched)) {
    let each = shells.into_iter().map(async |shell| {
        let mut watched = Watched::start(shell, &["sleep", "600"]);
        act(&mut watched).await;
        assert_eq!(watched.end().await, Some(143), "{shell:?}");
    });
    futures_util::future::join_all(each).await;
}

#[tokio::test]
async fn silence_ends_the_builder() {
    in_each_shell(async |watched| assert!(watched.outlives(TOLERATED / 2).await)).await;
}

#[tokio::test]
async fn end_of_input_ends_the_builder_at_once() {
    in_each_shell(async |watched| {
        watched.send("pause");
        watched.input = None;
    })
    .await;
}

/// Several heartbeats come between two ticks, as in a builder: bash loses a line that comes in the moment in which its
/// `read -t` ends, and when heartbeats took twice as long as a tick, one after the other came in that moment.
#[tokio::test]
async fn heartbeats_keep_the_builder_alive() {
    in_each_shell(async |watched| {
        for beat in 0..60 {
            watched.send("");
            assert!(watched.outlives(TOLERATED / 20).await, "{beat}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_pause_lasts_until_the_next_line() {
    in_each_shell(async |watched| {
        watched.send("pause");
        assert!(watched.outlives(TOLERATED * 3).await);
        watched.send("");
        tokio::time::sleep(TOLERATED / 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_pause_has_an_end() {
    in_each_shell(async |watched| watched.send("pause")).await;
}

/// A build that runs `killall sleep` once stopped the clock, and the builder outlived a lost connection.
#[tokio::test]
async fn killed_sleeps_do_not_stop_the_clock() {
    in_each_of(shells_with_a_clock(), async |watched| {
        let is_tick = |command: &str| command.starts_with("sleep 0.2");
        wait_until(async || watched.kill(is_tick) > 0).await;
    })
    .await;
}

#[tokio::test]
async fn a_killed_clock_is_started_again() {
    in_each_of(shells_with_a_clock(), async |watched| {
        let is_clock = |command: &str| command.contains("watchdog");
        // Until the command has replaced it, its process looks like the clock.
        wait_until(async || watched.has("sleep 600")).await;
        wait_until(async || watched.kill(is_clock) > 0).await;
        // The first line may come before its end.
        for _ in 0..3 {
            watched.send("");
            tokio::time::sleep(TOLERATED / 5).await;
        }
    })
    .await;
}

async fn wait_until(mut done: impl AsyncFnMut() -> bool) {
    let wait = async {
        while !done().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(TEST_DEADLINE, wait).await.is_some());
}

#[tokio::test]
async fn the_exit_status_is_the_commands() {
    // Only the first one announces its end, once the watchdog has had time to set its trap.
    let ends = [
        ("sleep 1.5; kill -USR1 $PPID; exit 7", 7),
        ("sleep 1.5; kill -KILL $$", 137),
    ];
    for (script, code) in ends {
        let each = shells().into_iter().map(async |shell| {
            // No silence ends it first, however long the machine holds this test up.
            let mut watched =
                Watched::start_tolerating(TEST_DEADLINE * 2, shell, &["sh", "-c", script]);
            watched.send("");
            if code == 137 {
                // As sdbuild's heartbeats, which do not end.
                wait_until(async || {
                    watched.send("");
                    !watched.outlives(TOLERATED / 20).await
                })
                .await;
            }
            assert_eq!(watched.end().await, Some(code), "{shell:?}");
        });
        futures_util::future::join_all(each).await;
    }
}

#[tokio::test]
async fn a_shells_heartbeats_are_relayed() {
    let each = shells().into_iter().map(async |shell| {
        let dir = tempfile::tempdir().unwrap();
        let program = |arguments: &[&str], input| {
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).arg(WATCHDOG).args(arguments);
            command.env("TMPDIR", dir.path()).env("SDBUILD_SHELL", "");
            command.stdin(input).stdout(Stdio::piped());
            command.spawn().unwrap()
        };
        let mut relay = program(&["--relay"], Stdio::piped());
        let mut watchdog = program(&["cat"], Stdio::piped());
        let mut user = watchdog.stdin.take().unwrap();
        let mut output = watchdog.stdout.take().unwrap();
        user.write_all(b"typed by the user").unwrap();
        tokio::time::sleep(TOLERATED / 2).await;
        assert_eq!(watchdog.try_wait().unwrap(), None, "{shell:?}");
        let mut heartbeats = relay.stdin.take().unwrap();
        writeln!(heartbeats).unwrap();
        let mut typed = [0; 17];
        let read = tokio::task::spawn_blocking(move || {
            output.read_exact(&mut typed).unwrap();
            typed
        });
        assert_eq!(&read.await.unwrap(), b"typed by the user");
        // A program in the container kills the relay.
        relay.kill().unwrap();
        relay.wait().unwrap();
        let watched = Watched {
            watchdog,
            input: None,
        };
        assert_eq!(watched.end().await, Some(143), "{shell:?}");
        drop((user, heartbeats));
    });
    futures_util::future::join_all(each).await;
}

/// A build once took the last process that the builder may have, and the shell that is PID 1 ended when it needed one.
#[tokio::test]
async fn a_watchdog_that_waits_starts_no_process() {
    let clocked = shells_with_a_clock();
    for shell in shells()
        .into_iter()
        .filter(|shell| !clocked.contains(shell))
    {
        let mut watched = Watched::start(shell, &["sleep", "600"]);
        wait_until(async || watched.has("sleep 600")).await;
        for _ in 0..20 {
            watched.send("");
            tokio::time::sleep(TOLERATED / 20).await;
            let all = descendants(watched.watchdog.id());
            assert_eq!(all.len(), 1, "{shell:?}: {all:?}");
        }
        watched.input = None;
        assert_eq!(watched.end().await, Some(143), "{shell:?}");
    }
}
