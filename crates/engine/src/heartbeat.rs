//! A heartbeat on a container's standard input: one line a second for as long as this process runs.
//!
//! The program at the other end (`containers/registrar/binfmt-agent`, `containers/builder/watchdog`) cleans up and
//! exits when its input ends or stays silent for too long. An empty line is a heartbeat; the line `pause` says that
//! silence is expected until the next line, because this process is about to be stopped (Ctrl-Z).

use std::time::Duration;

use sdbuild_core::timeout::timeout;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::container::AttachedInput;

/// Time between two heartbeats. Both programs at the other end tolerate many times as much silence.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(1);
/// Time from a pause to the next heartbeat, which ends the pause: this process must be stopped by then.
const RESUME_AFTER: Duration = Duration::from_secs(3);
/// How long [`PauseHandle::pause`] waits. Shorter than [`RESUME_AFTER`]: of two heartbeats that are paused
/// together, the one that answers first must still be paused when the other one has timed out.
const PAUSE_TIMEOUT: Duration = Duration::from_secs(1);

type PauseRequest = oneshot::Sender<()>;

/// Pauses a heartbeat before this process is stopped.
#[derive(Clone, Debug)]
pub struct PauseHandle(mpsc::Sender<PauseRequest>);

impl PauseHandle {
    /// Returns once the pause line is written, or could not be: from then until the next heartbeat, silence has no consequence.
    /// Returns at once for a heartbeat that has ended, and after one second in any case.
    pub async fn pause(&self) {
        timeout(PAUSE_TIMEOUT, async {
            let (request, written) = oneshot::channel();
            if self.0.send(request).await.is_ok() {
                written.await.ok();
            }
        })
        .await;
    }
}

/// Decides when the next line is due, and which one. Its owner writes the line: [`Heartbeat::next`] is for an owner
/// that also writes other lines, [`Heartbeat::keep_alive`] is for an input that carries nothing else.
#[derive(Debug)]
pub struct Heartbeat {
    handle: PauseHandle,
    requests: mpsc::Receiver<PauseRequest>,
    interval: Interval,
}

/// A line that is due.
#[derive(Debug)]
#[must_use = "the line is to be written, then acknowledged"]
pub struct Beat {
    line: &'static str,
    request: Option<PauseRequest>,
}

impl Beat {
    /// The line to write, without its line end.
    pub fn line(&self) -> &'static str {
        self.line
    }

    /// Answers a pause request once the line was written, or could not be.
    pub(crate) fn acknowledge(self) {
        if let Some(request) = self.request {
            // The caller of `pause` may have timed out.
            request.send(()).ok();
        }
    }
}

impl Default for Heartbeat {
    fn default() -> Self {
        let (sender, requests) = mpsc::channel(1);
        let mut interval = interval_at(Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            handle: PauseHandle(sender),
            requests,
            interval,
        }
    }
}

impl Heartbeat {
    /// The handle that pauses it. A pause that is requested before the heartbeat started is the first line.
    pub fn pause_handle(&self) -> PauseHandle {
        self.handle.clone()
    }

    /// Waits until a line is due. Cancel safe.
    pub async fn next(&mut self) -> Beat {
        tokio::select! {
            _ = self.interval.tick() => Beat { line: "", request: None },
            Some(request) = self.requests.recv() => {
                self.interval.reset_after(RESUME_AFTER);
                Beat { line: "pause", request: Some(request) }
            }
        }
    }

    /// Writes the lines to `input` until the guard is dropped, which ends the input.
    pub fn keep_alive(mut self, input: AttachedInput) -> HeartbeatGuard {
        self.interval.reset();
        let mut task = JoinSet::new();
        task.spawn(self.write_to(input));
        HeartbeatGuard { _task: task }
    }

    async fn write_to(mut self, mut input: AttachedInput) {
        loop {
            let beat = self.next().await;
            let written = input.write_line(beat.line()).await;
            beat.acknowledge();
            if written.is_err() {
                break;
            }
        }
        self.requests.close();
        // The container's output says why. The input is kept: dropping it would end that output too.
        std::future::pending::<()>().await;
    }
}

#[derive(Debug)]
#[must_use = "the input ends when this is dropped"]
pub struct HeartbeatGuard {
    // A task of its own: it writes while its owner reads output, and while the owner waits for a pause.
    _task: JoinSet<()>,
}

#[cfg(test)]
mod tests;
