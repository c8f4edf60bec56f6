//! Signs of life for the builder's leash (`containers/builder/watchdog`): a line a second for as long as this
//! process runs. A connection whose other end is gone without a word gives none, and the builder ends.

use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::common::timeout::timeout;
use crate::engine::AttachedInput;

/// How often the builder is told.
const BEAT: Duration = Duration::from_secs(1);
/// The builder is told something in a moment, or its leash is broken already.
const MOMENT: Duration = Duration::from_secs(1);

/// Asks the builder for patience.
#[derive(Clone, Debug)]
pub struct PauseHandle(mpsc::Sender<oneshot::Sender<()>>);

impl PauseHandle {
    /// Keeps the builder while this process is about to be stopped (Ctrl-Z): until it is heard again
    /// silence is no reason to end.
    pub async fn pause(&self) {
        timeout(MOMENT, async {
            let (told, heard) = oneshot::channel();
            // One that is not held yet, or not any more, needs no patience.
            if self.0.send(told).await.is_ok() {
                heard.await.ok();
            }
        })
        .await;
    }
}

#[cfg(test)]
impl PauseHandle {
    /// One of nobody's, and how often it was asked for.
    pub(crate) fn counted() -> (Self, tokio::task::JoinHandle<usize>) {
        let (sender, mut asked) = mpsc::channel::<oneshot::Sender<()>>(1);
        #[expect(clippy::disallowed_methods, reason = "the handle is returned")]
        let count = tokio::spawn(async move {
            let mut count = 0;
            while let Some(told) = asked.recv().await {
                told.send(()).unwrap();
                count += 1;
            }
            count
        });
        (Self(sender), count)
    }
}

/// What a builder is kept alive with once it has started.
#[derive(Debug)]
pub(super) struct Heartbeat {
    patience: PauseHandle,
    asked: Option<mpsc::Receiver<oneshot::Sender<()>>>,
}

/// A leash that is held. It is let go of with the value.
#[derive(Debug)]
#[must_use = "the builder ends when this is dropped"]
pub(super) struct HeartbeatGuard {
    // A task of its own: it beats while the log is read, and while somebody waits for patience.
    _task: JoinSet<()>,
}

impl Heartbeat {
    pub(super) fn new() -> Self {
        let (sender, asked) = mpsc::channel(1);
        Self {
            patience: PauseHandle(sender),
            asked: Some(asked),
        }
    }

    pub(super) fn pause_handle(&self) -> PauseHandle {
        self.patience.clone()
    }

    /// Holds the leash whose end `input` is.
    pub(super) fn hold(&mut self, input: AttachedInput) -> HeartbeatGuard {
        // A builder is started once; a second leash of it would only be without patience.
        let asked = self.asked.take().unwrap_or_else(|| mpsc::channel(1).1);
        let mut task = JoinSet::new();
        task.spawn(beat(input, asked));
        HeartbeatGuard { _task: task }
    }
}

async fn beat(mut input: AttachedInput, mut asked: mpsc::Receiver<oneshot::Sender<()>>) {
    let mut beat = interval_at(Instant::now() + BEAT, BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let said = tokio::select! {
            _ = beat.tick() => input.write_line("").await,
            Some(told) = asked.recv() => {
                // The next beat would end the patience at once if it came before we are stopped.
                beat.reset_after(BEAT * 3);
                let said = input.write_line("patient").await;
                told.send(()).ok();
                said
            }
        };
        if said.is_err() {
            break;
        }
    }
    // The output tells why. The input is not let go of: that would be the end of the output, too.
    asked.close();
    std::future::pending::<()>().await;
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::{Child, ChildStdin, Command, Stdio};

    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;

    const PROGRAM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/containers/builder/watchdog");
    /// The patience of a leash whose tick is a tenth of it.
    const SHORT: Duration = Duration::from_secs(1);
    /// For what a busy machine does at once.
    const SOON: Duration = Duration::from_secs(20);

    /// What is heard within `limit`.
    async fn heard(stream: &mut DuplexStream, limit: Duration) -> String {
        let mut all = Vec::new();
        timeout(limit, stream.read_to_end(&mut all)).await;
        String::from_utf8(all).unwrap()
    }

    #[tokio::test]
    async fn it_beats_once_a_second_until_it_is_let_go() {
        let (input, mut there) = tokio::io::duplex(64);
        let held = Heartbeat::new().hold(AttachedInput::to(input));
        let beats = heard(&mut there, BEAT * 4).await.len();
        assert!((2..=4).contains(&beats), "{beats} in four seconds");
        drop(held);
        let end = timeout(SOON, there.read_to_end(&mut Vec::new())).await;
        assert!(matches!(end, Some(Ok(_))), "the input ends with it");
    }

    #[tokio::test]
    async fn patience_is_asked_for_before_a_stop_and_lasts_that_long() {
        let (input, mut there) = tokio::io::duplex(64);
        let mut pulse = Heartbeat::new();
        let patience = pulse.pause_handle();
        let _held = pulse.hold(AttachedInput::to(input));
        patience.pause().await;
        assert_eq!(heard(&mut there, BEAT).await, "patient\n");
        assert_eq!(heard(&mut there, SOON / 4).await.trim(), "");
    }

    #[tokio::test]
    async fn a_builder_that_is_not_held_delays_no_stop() {
        let mut pulse = Heartbeat::new();
        let patience = pulse.pause_handle();
        assert!(timeout(SOON, patience.pause()).await.is_some());
        let (input, there) = tokio::io::duplex(64);
        let _held = pulse.hold(AttachedInput::to(input));
        drop(there);
        assert!(timeout(SOON, patience.pause()).await.is_some());
    }

    /// The shells of foreign images that are here as well.
    fn shells() -> Vec<&'static [&'static str]> {
        let all: [&[&str]; 4] = [&["sh"], &["bash"], &["dash"], &["busybox", "sh"]];
        let here = |shell: &&[&str]| {
            let mut true_ = Command::new(shell[0]);
            true_.args(&shell[1..]).args(["-c", "exit 0"]);
            true_.status().is_ok_and(|status| status.success())
        };
        let here: Vec<_> = all.into_iter().filter(here).collect();
        assert!(!here.is_empty());
        here
    }

    /// A process that is held by the leash.
    struct Builder {
        process: Child,
        leash: Child,
        input: Option<ChildStdin>,
    }

    impl Builder {
        fn start(shell: &[&str]) -> Self {
            let process = Command::new("sleep").arg("600").spawn().unwrap();
            let mut leash = Command::new(shell[0])
                .args(&shell[1..])
                .args([PROGRAM, &process.id().to_string()])
                .env(
                    "SDBUILD_WATCHDOG_TICK",
                    (SHORT / 10).as_secs_f64().to_string(),
                )
                .env_remove("SDBUILD_SHELL")
                .stdin(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let input = leash.stdin.take();
            Self {
                process,
                leash,
                input,
            }
        }

        fn say(&mut self, line: &str) {
            let input = self.input.as_mut().unwrap();
            writeln!(input, "{line}").unwrap();
        }

        /// Whether it still runs after `time`.
        async fn outlives(&mut self, time: Duration) -> bool {
            tokio::time::sleep(time).await;
            self.process.try_wait().unwrap().is_none()
        }

        /// It was told to end, in good time.
        async fn ends(mut self) {
            let told = async {
                loop {
                    if let Some(status) = self.process.try_wait().unwrap() {
                        return status.signal();
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let signal = timeout(SOON, told).await;
            self.process.kill().ok();
            self.leash.kill().ok();
            self.process.wait().unwrap();
            self.leash.wait().unwrap();
            assert_eq!(signal, Some(Some(15)));
        }
    }

    /// Does the same with a builder below each of the shells, all at once.
    async fn below_each_shell(hold: impl AsyncFn(&mut Builder)) {
        let each = shells().into_iter().map(async |shell| {
            let mut builder = Builder::start(shell);
            hold(&mut builder).await;
            builder.ends().await;
        });
        futures_util::future::join_all(each).await;
    }

    #[tokio::test]
    async fn a_leash_that_is_silent_ends_the_builder() {
        below_each_shell(async |builder| assert!(builder.outlives(SHORT / 2).await)).await;
    }

    #[tokio::test]
    async fn a_leash_that_ends_does_so_at_once() {
        below_each_shell(async |builder| {
            builder.say("patient");
            builder.input = None;
        })
        .await;
    }

    #[tokio::test]
    async fn lines_keep_a_builder_alive() {
        below_each_shell(async |builder| {
            for beat in 0..15 {
                builder.say("");
                assert!(builder.outlives(SHORT / 5).await, "{beat}");
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_patient_leash_waits_for_the_next_line() {
        below_each_shell(async |builder| {
            builder.say("patient");
            assert!(builder.outlives(SHORT * 3).await);
            builder.say("");
        })
        .await;
    }
}
