//! The lease alone, with a real engine and the kernel's table: however it ends, the handler is removed.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sdbuild::binfmt::Registrar;
use sdbuild::common::failure::Failure;
use sdbuild::engine::RunId;

use crate::single_run::{AT_ONCE, SingleRun};
use crate::support::*;

/// Set for the helper process: the run whose handler it holds.
const HOLD: &str = "SDBUILD_TEST_HOLD";
/// Set for the helper process: it pauses the heartbeat first.
const PATIENTLY: &str = "SDBUILD_TEST_PATIENTLY";
/// A variable without effect.
const PLAINLY: &str = "SDBUILD_TEST_PLAINLY";
/// Longer than the agent's heartbeat timeout.
const SILENCE: Duration = Duration::from_secs(20);

#[test]
fn lease_registers_and_releases() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let start = Instant::now();
        let registrar = bench.registrar().await;
        let ready = start.elapsed();
        let lease = registrar.hold(&bench.cancel).await.unwrap();
        let held = start.elapsed();
        let text = handlers().remove(&bench.handler()).unwrap();
        assert!(
            text.starts_with("enabled\ninterpreter /sdbuild/qemu-aarch64\nflags: PF\n"),
            "{text}"
        );
        let start = Instant::now();
        assert_eq!(lease.release(&bench.cancel).await, []);
        eprintln!(
            "ready {ready:?}, held {held:?}, released {:?}",
            start.elapsed()
        );
        bench.left_nothing();
    });
}

#[test]
fn registrar_has_least_privilege() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}} \
            {{.HostConfig.ReadonlyRootfs}} {{len .Mounts}} {{(index .Mounts 0).Destination}}";
        let facts = docker(&["inspect", "--format", format, &bench.container()]);
        assert_eq!(facts.trim(), "false [ALL] none true 1 /binfmt_misc");
        assert_eq!(lease.release(&bench.cancel).await, []);
    });
}

#[test]
fn release_works_after_cancellation() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        bench.cancel.received(2);
        bench.cancel.received(2);
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

#[test]
fn cancelled_registrar_start_leaves_nothing() {
    with_engine(async {
        // Before, while and after the container is created.
        for delay in [0, 20, 60, 120, 200, 300] {
            let bench = SingleRun::new().await;
            let cancel = bench.cancel.clone();
            let canceller = async {
                tokio::time::sleep(Duration::from_millis(delay)).await;
                cancel.received(2);
            };
            let options = bench.options();
            let start = Registrar::start(options, &bench.cancel, &bench.events);
            let (started, ()) = tokio::join!(start, canceller);
            match started {
                Ok(registrar) => assert_eq!(registrar.release(&bench.cancel).await, []),
                Err(failure) => assert!(failure.teardown.is_empty(), "{failure}"),
            }
            bench.left_nothing();
        }
    });
}

#[test]
fn dropping_the_lease_removes_the_handler() {
    with_engine(async {
        let bench = SingleRun::new().await;
        drop(bench.lease().await);
        let took = wait_until(AT_ONCE, "the handler goes", || !bench.is_registered());
        eprintln!("dropped: gone after {took:?}");
        bench.remove_container();
    });
}

/// Not a test of its own: the process that the tests below kill or stop.
#[test]
fn holder() {
    let Ok(run) = std::env::var(HOLD) else { return };
    with_engine(async {
        let bench = SingleRun::of(run.parse().unwrap()).await;
        let lease = bench.lease().await;
        if std::env::var_os(PATIENTLY).is_some() {
            lease.pause_handle().pause().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        eprintln!("holding");
        drop((lease.lost().await, lease));
    });
}

/// Starts a process that holds the handler of `run`.
fn hold_elsewhere(run: &RunId, how: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("{}::holder", module_path!().split_once("::").unwrap().1);
    command
        .args([&name, "--exact", "--nocapture"])
        .env(HOLD, run.as_str())
        .env(how, "yes")
        .stdin(Stdio::null());
    let mut running = Running::start(&mut command);
    running.wait_for("holding");
    running
}

#[test]
fn killed_client_loses_the_handler_at_once() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let holder = hold_elsewhere(&bench.run, PLAINLY);
        assert!(bench.is_registered());
        holder.signal(Signal::SIGKILL);
        let took = wait_until(AT_ONCE, "the handler goes", || !bench.is_registered());
        eprintln!("client killed: gone after {took:?}");
        holder.finish();
        bench.remove_container();
    });
}

#[test]
fn stopped_client_loses_the_handler() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let holder = hold_elsewhere(&bench.run, PLAINLY);
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(bench.is_registered(), "not for a short stop");
        let took = wait_until(SILENCE, "the handler goes", || !bench.is_registered());
        eprintln!("client stopped: gone {took:?} after five seconds");
        holder.signal(Signal::SIGKILL);
        holder.finish();
        bench.remove_container();
    });
}

#[test]
fn stopped_client_keeps_the_handler_during_a_pause() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let holder = hold_elsewhere(&bench.run, PATIENTLY);
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(SILENCE).await;
        assert!(bench.is_registered(), "longer than silence is borne");
        holder.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(bench.is_registered());
        holder.signal(Signal::SIGSTOP);
        wait_until(SILENCE, "patience ended with the next heartbeat", || {
            !bench.is_registered()
        });
        holder.signal(Signal::SIGKILL);
        holder.finish();
        bench.remove_container();
    });
}

/// After Ctrl-Z and a lost connection, the handler once stayed for as long as the connection seemed to live.
#[test]
fn a_pause_of_the_registrar_has_an_end() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let mut agent = Command::new("docker")
            .args(["run", "--rm", "--interactive", "--network", "none"])
            .args(["--volume", "/dev/null:/binfmt_misc/register"])
            .args(["--env", "SDBUILD_MAX_PAUSED=2", &bench.image.reference])
            .args(["/bin/busybox", "sh", "/sdbuild/binfmt-agent"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = agent.stdin.take().unwrap();
        std::io::Write::write_all(&mut input, b"pause\n").unwrap();
        // The pipe stays open, without heartbeats.
        let output = tokio::task::spawn_blocking(|| agent.wait_with_output().unwrap());
        let output = tokio::time::timeout(SILENCE, output)
            .await
            .unwrap()
            .unwrap();
        drop(input);
        let ended = Outcome::of(&output).assert_exit_code(0);
        assert_eq!(ended.stdout, "ready\nreleased -\n");
    });
}

#[test]
fn killed_registrar_is_replaced_for_cleanup() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        let lost = lease.lost();
        docker(&["kill", &bench.container()]);
        let failure = tokio::time::timeout(AT_ONCE, lost).await.unwrap();
        assert!(failure.to_string().contains(&bench.handler()), "{failure}");
        assert!(bench.is_registered(), "nobody was there to remove it");
        let start = Instant::now();
        assert_eq!(lease.release(&bench.cancel).await, []);
        eprintln!("registrar killed: cleaned up in {:?}", start.elapsed());
        bench.left_nothing();
    });
}

#[test]
fn paused_registrar_does_not_block_release() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        docker(&["pause", &bench.container()]);
        let start = Instant::now();
        assert_eq!(lease.release(&bench.cancel).await, []);
        eprintln!("registrar paused: released in {:?}", start.elapsed());
        bench.left_nothing();
    });
}

#[test]
fn removed_registrar_is_replaced() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        bench.remove_container();
        assert!(bench.is_registered(), "nobody was there to remove it");
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

/// When the registrar was stopped before the probe, the error once blamed the kernel.
#[test]
fn lost_registrar_is_reported_as_the_first_cause() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        let failed = || Failure::environment("exec format error");
        let other = lease.blame(failed()).await.to_string();
        assert_eq!(other, "exec format error", "the registrar is there");
        docker(&["stop", &bench.container()]);
        let told = lease.blame(failed()).await.to_string();
        assert!(told.contains("the registrar was stopped"), "{told}");
        lease.release(&bench.cancel).await;
        bench.left_nothing();
    });
}

#[test]
fn stopped_registrar_removes_its_handler() {
    with_engine(async {
        let bench = SingleRun::new().await;
        let lease = bench.lease().await;
        let lost = lease.lost();
        docker(&["stop", &bench.container()]);
        assert!(!bench.is_registered());
        tokio::time::timeout(AT_ONCE, lost).await.unwrap();
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}
