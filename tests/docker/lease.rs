//! The lease alone, against a real engine and the real kernel table: whatever ends it, the handler goes.

#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "helpers of tests fail by panicking; a helper process is told what to do by its environment"
)]

use std::fs;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use sdbuild::binfmt::{
    HandlerName, Lease, Owner, Registrar, RegistrarImage, RegistrarOptions, classify, probe,
};
use sdbuild::cancel::Cancel;
use sdbuild::engine::{Engine, Role, RunId};
use sdbuild::event::{Event, Events};

use crate::registrar::registrar_image;
use crate::support::*;

/// Set for the helper process: the run whose handler it holds.
const HOLD: &str = "SDBUILD_TEST_HOLD";
/// Set for the helper process: it asks for patience first.
const PATIENTLY: &str = "SDBUILD_TEST_PATIENTLY";
/// Means nothing to it.
const PLAINLY: &str = "SDBUILD_TEST_PLAINLY";
/// "In milliseconds", on a machine that others load as well.
const AT_ONCE: Duration = Duration::from_secs(1);
/// Longer than the keeper bears silence.
const SILENCE: Duration = Duration::from_secs(20);

/// One run on the machine's engine, with the events that it emitted.
struct Bench {
    engine: Engine,
    image: RegistrarImage,
    run: RunId,
    cancel: Cancel,
    events: Events,
    heard: Arc<Mutex<Vec<Event>>>,
}

impl Bench {
    async fn new() -> Self {
        Self::of(RunId::random().unwrap()).await
    }

    async fn of(run: RunId) -> Self {
        let engine = crate::registrar::engine().await;
        let image = registrar_image(&engine).await;
        let heard = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&heard);
        let events = Events::new(move |event| sink.lock().unwrap().push(event));
        Self {
            engine,
            image,
            run,
            cancel: Cancel::new(),
            events,
            heard,
        }
    }

    fn options(&self) -> RegistrarOptions {
        RegistrarOptions::new(&self.engine, &self.image, &self.run)
    }

    async fn registrar(&self) -> Registrar {
        Registrar::start(self.options(), &self.cancel, &self.events)
            .await
            .unwrap()
    }

    async fn lease(&self) -> Lease {
        let lease = self.registrar().await.hold(&self.cancel).await.unwrap();
        assert!(self.is_registered(), "held, and in the table");
        lease
    }

    fn handler(&self) -> String {
        HandlerName::new(&self.run).to_string()
    }

    fn is_registered(&self) -> bool {
        handlers().contains_key(&self.handler())
    }

    fn container(&self) -> String {
        Role::Registrar.container_name(&self.run)
    }

    /// Asserts that nothing of this run is on the machine. (Others may be at work on it.)
    #[track_caller]
    fn left_nothing(&self) {
        assert!(!self.is_registered(), "the handler is gone");
        let of_run = format!("label=dev.sdbuild.run={}", self.run);
        let left = docker(&["ps", "--all", "--quiet", "--filter", &of_run]);
        assert_eq!(left, "", "no container is left");
    }

    fn warned(&self, part: &str) -> bool {
        let heard = self.heard.lock().unwrap();
        heard
            .iter()
            .any(|event| matches!(event, Event::Warning(text) if text.contains(part)))
    }

    /// What a killed client leaves for the next run: its container.
    fn remove_container(&self) {
        docker(&["rm", "--force", &self.container()]);
    }
}

/// Runs `test` unless this tier cannot run here.
fn with_engine(test: impl Future<Output = ()>) {
    if engine_is_here() {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(test);
    }
}

#[test]
fn a_lease_registers_and_releases() {
    with_engine(async {
        let bench = Bench::new().await;
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
fn the_registrar_has_no_more_than_it_needs() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        let format = "{{.HostConfig.Privileged}} {{.HostConfig.CapDrop}} {{.HostConfig.NetworkMode}} \
            {{.HostConfig.ReadonlyRootfs}} {{len .Mounts}} {{(index .Mounts 0).Destination}}";
        let facts = docker(&["inspect", "--format", format, &bench.container()]);
        assert_eq!(facts.trim(), "false [ALL] none true 1 /binfmt_misc");
        assert_eq!(lease.release(&bench.cancel).await, []);
    });
}

#[test]
fn a_release_works_after_cancellation() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        bench.cancel.received(2);
        bench.cancel.received(2);
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

#[test]
fn a_cancelled_start_leaves_nothing() {
    with_engine(async {
        // Each time a little later: before, during and after the container is made.
        for delay in [0, 20, 60, 120, 200, 300] {
            let bench = Bench::new().await;
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
fn dropping_the_lease_is_enough_for_the_handler() {
    with_engine(async {
        let bench = Bench::new().await;
        drop(bench.lease().await);
        let took = within(AT_ONCE, "the handler goes", || !bench.is_registered());
        eprintln!("dropped: gone after {took:?}");
        bench.remove_container();
    });
}

/// Not a test of its own: the process that the test below kills.
#[test]
fn holder() {
    let Ok(run) = std::env::var(HOLD) else { return };
    with_engine(async {
        let bench = Bench::of(run.parse().unwrap()).await;
        let lease = bench.lease().await;
        if std::env::var_os(PATIENTLY).is_some() {
            lease.patience().ask().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        eprintln!("holding");
        drop((lease.lost().await, lease));
    });
}

/// A process that holds the handler of `run`.
fn hold_elsewhere(run: &RunId, how: &str) -> Running {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("{}::holder", module_path!().split_once("::").unwrap().1);
    command
        .args([&name, "--exact", "--nocapture"])
        .env(HOLD, run.as_str())
        .env(how, "yes")
        .stdin(Stdio::null());
    let mut running = Running::start(&mut command);
    running.until("holding");
    running
}

#[test]
fn a_killed_client_loses_the_handler_at_once() {
    with_engine(async {
        let bench = Bench::new().await;
        let holder = hold_elsewhere(&bench.run, PLAINLY);
        assert!(bench.is_registered());
        holder.signal(Signal::SIGKILL);
        let took = within(AT_ONCE, "the handler goes", || !bench.is_registered());
        eprintln!("client killed: gone after {took:?}");
        holder.finish();
        bench.remove_container();
    });
}

#[test]
fn a_stopped_client_loses_the_handler_after_a_while() {
    with_engine(async {
        let bench = Bench::new().await;
        let holder = hold_elsewhere(&bench.run, PLAINLY);
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(bench.is_registered(), "not for a short stop");
        let took = within(SILENCE, "the handler goes", || !bench.is_registered());
        eprintln!("client stopped: gone {took:?} after five seconds");
        holder.signal(Signal::SIGKILL);
        holder.finish();
        bench.remove_container();
    });
}

#[test]
fn a_stopped_client_that_asked_for_patience_keeps_the_handler() {
    with_engine(async {
        let bench = Bench::new().await;
        let holder = hold_elsewhere(&bench.run, PATIENTLY);
        holder.signal(Signal::SIGSTOP);
        tokio::time::sleep(SILENCE).await;
        assert!(bench.is_registered(), "longer than silence is borne");
        holder.signal(Signal::SIGCONT);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert!(bench.is_registered());
        holder.signal(Signal::SIGSTOP);
        within(SILENCE, "patience ended with the next heartbeat", || {
            !bench.is_registered()
        });
        holder.signal(Signal::SIGKILL);
        holder.finish();
        bench.remove_container();
    });
}

#[test]
fn a_killed_registrar_is_replaced_to_clean_up() {
    with_engine(async {
        let bench = Bench::new().await;
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
fn a_paused_registrar_is_no_obstacle() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        docker(&["pause", &bench.container()]);
        let start = Instant::now();
        assert_eq!(lease.release(&bench.cancel).await, []);
        eprintln!("registrar paused: released in {:?}", start.elapsed());
        bench.left_nothing();
    });
}

#[test]
fn a_registrar_that_was_removed_is_replaced_too() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        bench.remove_container();
        assert!(bench.is_registered(), "nobody was there to remove it");
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

#[test]
fn a_stopped_registrar_takes_its_handler_along() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        let lost = lease.lost();
        docker(&["stop", &bench.container()]);
        assert!(!bench.is_registered());
        tokio::time::timeout(AT_ONCE, lost).await.unwrap();
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

#[test]
fn an_entry_that_somebody_removes_or_disables_comes_back() {
    with_engine(async {
        let bench = Bench::new().await;
        let lease = bench.lease().await;
        for command in ["-1", "0"] {
            bench.heard.lock().unwrap().clear();
            fs::write(format!("{BINFMT}/{}", bench.handler()), command).unwrap();
            let enabled = || {
                handlers()
                    .get(&bench.handler())
                    .is_some_and(|t| t.starts_with("enabled"))
            };
            within(Duration::from_secs(3), "the entry is back", enabled);
            within(AT_ONCE, "and said so", || bench.warned("it is back"));
        }
        assert_eq!(lease.release(&bench.cancel).await, []);
        assert!(!bench.is_registered());
    });
}

#[test]
fn a_held_entry_stays_young_and_an_abandoned_one_ages() {
    with_engine(async {
        let (bench, other) = (Bench::new().await, Bench::new().await);
        let lease = bench.lease().await;
        let mut registrar = other.registrar().await;
        let entry = fs::File::open(format!("{BINFMT}/{}", bench.handler())).unwrap();
        let mut ages = Vec::new();
        for pause in [7, 0] {
            entry
                .set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let entries = registrar.entries().await.unwrap();
            let held = entries.iter().find(|e| e.name == bench.handler()).unwrap();
            ages.push((held.age.unwrap(), held.is_kept()));
            if ages.len() == 1 {
                docker(&["kill", &bench.container()]);
            }
        }
        assert!(
            ages[0].0 < 7 && ages[0].1,
            "its keeper touches it: {ages:?}"
        );
        assert!(ages[1].0 > 60 && !ages[1].1, "nobody does: {ages:?}");
        assert_eq!(lease.release(&bench.cancel).await, []);
        assert_eq!(registrar.release(&other.cancel).await, []);
    });
}

#[test]
fn two_leases_live_side_by_side() {
    with_engine(async {
        let (one, two) = (Bench::new().await, Bench::new().await);
        let (first, second) = tokio::join!(one.lease(), two.lease());
        assert_eq!(first.release(&one.cancel).await, []);
        assert!(!one.is_registered() && two.is_registered());
        assert_eq!(second.release(&two.cancel).await, []);
        one.left_nothing();
        two.left_nothing();
    });
}

/// An entry that is in the table until the value goes.
struct Planted(String);

impl Planted {
    fn new(name: &str, interpreter: &str) -> Self {
        let magic = r"\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00";
        let mask =
            r"\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff";
        let line = format!(":{name}:M::{magic}:{mask}:{interpreter}:P");
        fs::write(format!("{BINFMT}/register"), line).unwrap();
        Self(name.to_owned())
    }
}

impl Drop for Planted {
    fn drop(&mut self) {
        fs::write(format!("{BINFMT}/{}", self.0), "-1").unwrap_or(());
    }
}

#[test]
fn a_foreign_handler_is_untouched_and_does_not_get_in_the_way() {
    with_engine(async {
        let foreign = Planted::new("engine-dev-foreign", "/bin/false");
        let lookalike = Planted::new("sdbuild-aarch64-00000000beef", "/bin/false");
        // Ours come and go when somebody else builds on this machine.
        let theirs = || {
            let mut all = handlers();
            all.retain(|name, _| !name.starts_with("sdbuild-") || *name == lookalike.0);
            all
        };
        let before = theirs();
        let bench = Bench::new().await;
        let mut registrar = bench.registrar().await;
        for entry in registrar.entries().await.unwrap() {
            if entry.name == foreign.0 || entry.name == lookalike.0 {
                registrar.remove(&entry).await.unwrap_err();
            }
        }
        let lease = registrar.hold(&bench.cancel).await.unwrap();
        probe(&bench.engine, &bench.image, &bench.run, &bench.cancel)
            .await
            .unwrap();
        assert_eq!(lease.release(&bench.cancel).await, []);
        assert_eq!(theirs(), before, "byte for byte");
    });
}

#[test]
fn another_runs_registrar_removes_what_a_dead_one_left() {
    with_engine(async {
        let (dead, own) = (Bench::new().await, Bench::new().await);
        let killed = dead.lease().await;
        docker(&["kill", &dead.container()]);
        drop(killed);
        let mut registrar = own.registrar().await;
        let entries = registrar.entries().await.unwrap();
        let stale = entries
            .iter()
            .find(|entry| entry.name == dead.handler())
            .unwrap();
        assert_eq!(classify(stale), Owner::Ours(dead.run.clone()));
        registrar.remove(stale).await.unwrap();
        assert!(!dead.is_registered());
        registrar.remove(stale).await.unwrap();
        assert_eq!(registrar.release(&own.cancel).await, []);
        dead.remove_container();
        [dead, own].iter().for_each(Bench::left_nothing);
    });
}

#[test]
fn the_probe_needs_a_handler() {
    with_engine(async {
        if handlers().values().any(|text| text.contains("0200b700")) {
            return skipped("this machine has an aarch64 handler of its own");
        }
        let bench = Bench::new().await;
        let probe = || probe(&bench.engine, &bench.image, &bench.run, &bench.cancel);
        let failure = probe().await.unwrap_err();
        assert!(
            failure.to_string().contains("no working handler"),
            "{failure}"
        );
        let lease = bench.lease().await;
        let start = Instant::now();
        probe().await.unwrap();
        eprintln!("probed in {:?}", start.elapsed());
        assert_eq!(lease.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}

#[test]
fn a_host_without_the_table_is_told_how_to_mount_it() {
    with_engine(async {
        let empty = tempfile::tempdir().unwrap();
        let bench = Bench::new().await;
        let mut options = bench.options();
        options.binfmt_dir = empty.path().to_str().unwrap().to_owned();
        let started = Registrar::start(options, &bench.cancel, &bench.events).await;
        assert!(bench.warned("privileged"), "it says what it tries");
        match started {
            // Where the engine may, the privileged registrar has mounted the table itself.
            Ok(registrar) => {
                let lease = registrar.hold(&bench.cancel).await.unwrap();
                assert_eq!(lease.release(&bench.cancel).await, []);
            }
            Err(failure) => {
                assert!(
                    failure
                        .hints
                        .iter()
                        .any(|h| h.contains("sudo mount -t binfmt_misc"))
                );
                assert!(failure.teardown.is_empty());
            }
        }
        bench.left_nothing();
    });
}

fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI every tier must run: {why}"
    );
    eprintln!("SKIPPED: {why}");
}
