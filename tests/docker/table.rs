//! The kernel's table: what a lease's entry looks like from outside, and what is not ours in it.

use std::fs;
use std::time::{Duration, Instant};

use sdbuild::binfmt::{HandlerKind, Owner, Registrar, classify, probe};

use crate::bench::{AT_ONCE, Bench};
use crate::support::*;

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
            wait_until(Duration::from_secs(3), "the entry is back", enabled);
            wait_until(AT_ONCE, "and said so", || bench.warned("it is back"));
        }
        assert_eq!(lease.release(&bench.cancel).await, []);
        assert!(!bench.is_registered());
    });
}

#[test]
fn an_entry_that_somebody_removes_in_the_moment_it_is_registered_comes_back() {
    with_engine(async {
        let bench = Bench::new().await;
        let entry = format!("{BINFMT}/{}", bench.handler());
        // Without a pause: the registrar reads back what it wrote within a millisecond.
        let remover = std::thread::spawn(move || {
            let since = Instant::now();
            while fs::write(&entry, "-1").is_err() {
                assert!(since.elapsed() < Duration::from_secs(30), "no entry came");
            }
        });
        let lease = bench.registrar().await.hold(&bench.cancel).await.unwrap();
        remover.join().unwrap();
        let warned = || bench.warned("it is back");
        wait_until(Duration::from_secs(4), "the entry is back", warned);
        assert!(bench.is_registered());
        assert_eq!(lease.release(&bench.cancel).await, []);
        assert!(!bench.is_registered());
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

#[test]
fn a_look_at_a_host_without_the_table_finds_nothing_and_asks_for_no_privilege() {
    with_engine(async {
        let empty = tempfile::tempdir().unwrap();
        let bench = Bench::new().await;
        let mut options = bench.options();
        options.binfmt_dir = empty.path().to_str().unwrap().to_owned();
        let looked = Registrar::look(options, &bench.cancel, &bench.events).await;
        assert!(looked.unwrap().is_none());
        assert!(!bench.warned("privileged"));
        bench.left_nothing();
        let options = bench.options();
        let looked = Registrar::look(options, &bench.cancel, &bench.events).await;
        let registrar = looked.unwrap().unwrap();
        assert_eq!(registrar.release(&bench.cancel).await, []);
        bench.left_nothing();
    });
}
