use std::io::Write as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use tokio::io::{AsyncReadExt as _, DuplexStream};

use super::*;

const WATCHDOG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/containers/builder/watchdog");
/// The silence that a watchdog tolerates whose tick is a tenth of this.
const TOLERATED: Duration = Duration::from_secs(1);
/// Upper bound for what a busy machine does at once.
const SOON: Duration = Duration::from_secs(20);

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
    let lines = read_for(&mut output, INTERVAL * 4).await.len();
    assert!((2..=4).contains(&lines), "{lines} in four seconds");
    drop(guard);
    let end = timeout(SOON, output.read_to_end(&mut Vec::new())).await;
    assert!(matches!(end, Some(Ok(_))), "the input ends with it");
}

#[tokio::test]
async fn a_pause_delays_the_next_line() {
    let (input, mut output) = tokio::io::duplex(64);
    let heartbeat = Heartbeat::default();
    let handle = heartbeat.pause_handle();
    let _guard = heartbeat.keep_alive(AttachedInput::to(input));
    handle.pause().await;
    assert_eq!(read_for(&mut output, INTERVAL).await, "pause\n");
    assert_eq!(read_for(&mut output, SOON / 4).await.trim(), "");
}

#[tokio::test]
async fn a_heartbeat_that_does_not_run_delays_no_stop() {
    let heartbeat = Heartbeat::default();
    let handle = heartbeat.pause_handle();
    assert!(timeout(SOON, handle.pause()).await.is_some());
    let (input, output) = tokio::io::duplex(64);
    let _guard = heartbeat.keep_alive(AttachedInput::to(input));
    drop(output);
    assert!(timeout(SOON, handle.pause()).await.is_some());
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

/// A process and the watchdog that ends it.
struct Watched {
    process: Child,
    watchdog: Child,
    input: Option<ChildStdin>,
}

impl Watched {
    fn start(shell: &[&str]) -> Self {
        let process = Command::new("sleep").arg("600").spawn().unwrap();
        let mut watchdog = Command::new(shell[0])
            .args(&shell[1..])
            .args([WATCHDOG, &process.id().to_string()])
            .env(
                "SDBUILD_WATCHDOG_TICK",
                (TOLERATED / 10).as_secs_f64().to_string(),
            )
            .env_remove("SDBUILD_SHELL")
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = watchdog.stdin.take();
        Self {
            process,
            watchdog,
            input,
        }
    }

    fn send(&mut self, line: &str) {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
    }

    /// Whether the process still runs after `time`.
    async fn outlives(&mut self, time: Duration) -> bool {
        tokio::time::sleep(time).await;
        self.process.try_wait().unwrap().is_none()
    }

    /// Asserts that the watchdog sends TERM to the process soon.
    async fn assert_terminated(mut self) {
        let exit = async {
            loop {
                if let Some(status) = self.process.try_wait().unwrap() {
                    return status.signal();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let signal = timeout(SOON, exit).await;
        self.process.kill().ok();
        self.watchdog.kill().ok();
        self.process.wait().unwrap();
        self.watchdog.wait().unwrap();
        assert_eq!(signal, Some(Some(15)));
    }
}

/// Runs the watchdog in each of the shells, all at once: `act`, after which the process must be terminated.
async fn in_each_shell(act: impl AsyncFn(&mut Watched)) {
    let each = shells().into_iter().map(async |shell| {
        let mut watched = Watched::start(shell);
        act(&mut watched).await;
        watched.assert_terminated().await;
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

#[tokio::test]
async fn heartbeats_keep_the_builder_alive() {
    in_each_shell(async |watched| {
        for beat in 0..15 {
            watched.send("");
            assert!(watched.outlives(TOLERATED / 5).await, "{beat}");
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
    })
    .await;
}
