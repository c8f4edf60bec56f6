//! Orphaned programs of a rental, because their holder was killed or they are left of a `create` that has ended: they
//! could make a machine after it was destroyed. They are found where the kernel has a `/proc`.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::machine::call::{PROGRAM_GRACE, RUN};
use sdbuild_core::timeout::timeout;

/// Between two looks at them.
const ORPHAN_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Ends every process of this user that was started for the rental `run`, by TERM, and after a while by KILL.
pub(super) async fn end(run: &str) {
    send(&processes(run), Signal::SIGTERM);
    let until_none = async {
        while !processes(run).is_empty() {
            tokio::time::sleep(ORPHAN_POLL_INTERVAL).await;
        }
    };
    if timeout(PROGRAM_GRACE, until_none).await.is_none() {
        send(&processes(run), Signal::SIGKILL);
    }
}

fn send(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended just now.
        kill(*process, signal).ok();
    }
}

/// The processes of this user that have the variable of `run`, as far as the kernel shows them. An ended one that its parent has not noticed
/// has no variables any more.
fn processes(run: &str) -> Vec<Pid> {
    let variable = format!("{RUN}={run}");
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let user = nix::unistd::geteuid().as_raw();
    let is_own = |entry: &fs::DirEntry| entry.metadata().is_ok_and(|found| found.uid() == user);
    let has_variable = |entry: &fs::DirEntry| {
        let variables = fs::read(entry.path().join("environ")).unwrap_or_default();
        let mut variables = variables.split(|byte| *byte == 0);
        variables.any(|one| one == variable.as_bytes())
    };
    let found = entries.filter(is_own).filter(has_variable);
    let pids = found.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = pids.map(Pid::from_raw);
    pids.filter(|pid| *pid != Pid::this()).collect()
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[tokio::test]
    async fn programs_of_one_rental_are_ended() {
        let start = |run: &str| {
            let mut program = Command::new("sleep");
            program.arg("300").env(RUN, run).stdin(Stdio::null());
            program.spawn().unwrap()
        };
        let (mut orphan, mut other) = (start("fedcba987654"), start("fedcba987655"));
        tokio::join!(end("fedcba987654"), async {
            use std::os::unix::process::ExitStatusExt as _;
            let status = tokio::task::spawn_blocking(move || orphan.wait());
            let status = status.await.unwrap().unwrap();
            assert_eq!(status.signal(), Some(Signal::SIGTERM as i32));
        });
        assert!(other.try_wait().unwrap().is_none());
        other.kill().unwrap();
        other.wait().unwrap();
    }
}
