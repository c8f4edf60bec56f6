//! The lease alone, with a real engine and the kernel's table: however it ends, the handler is removed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sdbuild_core::failure::Failure;
use sdbuild_engine::RunId;
use sdbuild_engine::binfmt::Registrar;

use crate::single_run::{AT_ONCE, SingleRun};
use crate::support::*;

/// Set for the helper process: the run whose handler it holds.
const HOLD: &str = "SDBUILD_TEST_HOLD";
/// Set for the helper process that pauses the heartbeat.
const PAUSE: &str = "SDBUILD_TEST_PAUSE";
/// Longer than the agent's heartbeat timeout.
const SILENCE: Duration = Duration::from_secs(20);

#[test]
fn lease_registers_and_releases() {
    with_engine(async {
        let single = SingleRun::new().await;
        let start = Instant::now();
        let registrar = single.registrar().await;
        let ready = start.elapsed();
        let lease = registrar.hold(&single.cancel).await.unwrap();
        let held = start.elapsed();
        let text = handlers().remove(&single.handler()).unwrap();
        assert!(
            text.starts_with("enabled\ninterpreter /sdbuild/qemu-aarch64\nflags: PF\n"),
            "{text}"
        );
        let start = Instant::now();
        assert_eq!(lease.release(&single.cancel).await, []);
        eprintln!("ready {ready:?}, held {held:?}, released {:?}", start.elapsed());
        single.left_nothing();
    });
}

#[test]
fn registrar_has_least_privilege() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}} \
            {{.HostConfig.ReadonlyRootfs}} {{len .Mounts}} {{(index .Mounts 0).Destination}}";
        let facts = docker(&["inspect", "--format", format, &single.container()]);
        assert_eq!(facts.trim(), "false [ALL] none true 1 /binfmt_misc");
        assert_eq!(lease.release(&single.cancel).await, []);
    });
}

#[test]
fn release_works_after_cancellation() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        single.cancel.received(2);
        single.cancel.received(2);
        assert_eq!(lease.release(&single.cancel).await, []);
        single.left_nothing();
    });
}

#[test]
fn cancelled_registrar_start_leaves_nothing() {
    with_engine(async {
        // Before, while and after the container is created.
        for delay in [0, 20, 60, 120, 200, 300] {
            let single = SingleRun::new().await;
            let cancel = single.cancel.clone();
            let canceller = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                cancel.received(2);
            };
            let options = single.options();
            let start = Registrar::start(options, &single.cancel, &single.events);
            let (started, ()) = tokio::join!(start, canceller);
            match started {
                Ok(registrar) => assert_eq!(registrar.release(&single.cancel).await, []),
                Err(refused) => assert_eq!(refused.failure.teardown, []),
            }
            single.left_nothing();
        }
    });
}

#[test]
fn dropping_the_lease_removes_the_handler() {
    with_engine(async {
        let single = SingleRun::new().await;
        drop(single.lease().await);
        let took = wait_until(AT_ONCE, "the handler goes", || !single.is_registered());
        eprintln!("dropped: gone after {took:?}");
        single.remove_container();
    });
}

/// Not a test of its own: the process that the tests below kill or stop.
#[test]
fn holder() {
    let Ok(run) = std::env::var(HOLD) else { return };
    with_engine(async {
        let single = SingleRun::of(run.parse().unwrap()).await;
        let lease = single.lease().await;
        if std::env::var_os(PAUSE).is_some() {
            lease.pause_handle().pause().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        eprintln!("holding");
        drop((lease.lost().await, lease));
    });
}

/// A process that holds the handler of `run`.
fn holder_of(run: &RunId) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("{}::holder", module_path!().split_once("::").unwrap().1);
    command.args([&name, "--exact", "--nocapture"]).env(HOLD, run.as_str()).stdin(Stdio::null());
    command
}

/// Starts it, and returns when it holds the handler.
fn started(command: &mut Command) -> Running {
    let mut running = Running::start(command);
    running.wait_for("holding");
    running
}

#[test]
fn killed_client_loses_the_handler_at_once() {
    with_engine(async {
        let single = SingleRun::new().await;
        let holder = started(&mut holder_of(&single.run));
        assert!(single.is_registered());
        holder.signal(Signal::SIGKILL);
        let took = wait_until(AT_ONCE, "the handler goes", || !single.is_registered());
        eprintln!("client killed: gone after {took:?}");
        holder.finish();
        single.remove_container();
    });
}

#[test]
fn stopped_client_loses_the_handler() {
    with_engine(async {
        let single = SingleRun::new().await;
        let holder = started(&mut holder_of(&single.run));
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(single.is_registered(), "not for a short stop");
        let took = wait_until(SILENCE, "the handler goes", || !single.is_registered());
        eprintln!("client stopped: gone {took:?} after five seconds");
        holder.signal(Signal::SIGKILL);
        holder.finish();
        single.remove_container();
    });
}

#[test]
fn stopped_client_keeps_the_handler_during_a_pause() {
    with_engine(async {
        let single = SingleRun::new().await;
        let holder = started(holder_of(&single.run).env(PAUSE, "yes"));
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(SILENCE).await;
        assert!(single.is_registered(), "longer than the heartbeat timeout");
        holder.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(single.is_registered());
        holder.signal(Signal::SIGSTOP);
        wait_until(SILENCE, "the pause ended with the next heartbeat", || !single.is_registered());
        holder.signal(Signal::SIGKILL);
        holder.finish();
        single.remove_container();
    });
}

/// After Ctrl-Z and a lost connection, the handler once stayed for as long as the connection seemed to live.
#[test]
fn a_pause_of_the_registrar_has_an_end() {
    with_engine(async {
        let single = SingleRun::new().await;
        let mut agent = Command::new("docker")
            .args(["run", "--rm", "--interactive", "--network", "none"])
            .args(["--volume", "/dev/null:/binfmt_misc/register"])
            .args(["--env", "SDBUILD_MAX_PAUSED=2", &single.image.reference])
            .args(["/bin/busybox", "sh", "/sdbuild/binfmt-agent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = agent.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, b"pause\n").unwrap();
        // The pipe stays open, without heartbeats.
        let output = tokio::task::spawn_blocking(|| agent.wait_with_output().unwrap());
        let output = tokio::time::timeout(SILENCE, output).await.unwrap().unwrap();
        drop(input);
        let ended = Outcome::of(&output).assert_exit_code(0);
        assert_eq!(ended.stdout, "ready\nreleased -\n");
    });
}

#[test]
fn killed_registrar_is_replaced_for_cleanup() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        let lost = lease.lost();
        docker(&["kill", &single.container()]);
        let failure = tokio::time::timeout(AT_ONCE, lost).await.unwrap();
        assert!(failure.to_string().contains(&single.handler()), "{failure}");
        assert!(single.is_registered(), "nobody was there to remove it");
        let start = Instant::now();
        assert_eq!(lease.release(&single.cancel).await, []);
        eprintln!("registrar killed: cleaned up in {:?}", start.elapsed());
        single.left_nothing();
    });
}

#[test]
fn paused_registrar_does_not_block_release() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        pause(&single.container());
        let start = Instant::now();
        assert_eq!(lease.release(&single.cancel).await, []);
        eprintln!("registrar paused: released in {:?}", start.elapsed());
        single.left_nothing();
    });
}

#[test]
fn removed_registrar_is_replaced() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        single.remove_container();
        assert!(single.is_registered(), "nobody was there to remove it");
        assert_eq!(lease.release(&single.cancel).await, []);
        single.left_nothing();
    });
}

/// When the registrar was stopped before the probe, the error once blamed the kernel.
#[test]
fn lost_registrar_is_reported_as_the_first_cause() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        let failed = || Failure::environment("exec format error").into();
        let other = lease.blame(failed()).await.failure.to_string();
        assert_eq!(other, "exec format error", "the registrar is there");
        docker(&["stop", &single.container()]);
        let blamed = lease.blame(failed()).await.failure.to_string();
        assert!(blamed.contains("the container that registers QEMU was stopped"), "{blamed}");
        lease.release(&single.cancel).await;
        single.left_nothing();
    });
}

#[test]
fn stopped_registrar_removes_its_handler() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        let lost = lease.lost();
        docker(&["stop", &single.container()]);
        assert!(!single.is_registered());
        tokio::time::timeout(AT_ONCE, lost).await.unwrap();
        assert_eq!(lease.release(&single.cancel).await, []);
        single.left_nothing();
    });
}
