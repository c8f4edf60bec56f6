//! The handler of a lease in the kernel's table: removed, disabled, stale, or without a table.

use std::fs;
use std::time::{Duration, Instant};

use sdbuild_engine::binfmt::{HandlerName, Owner, Registrar, classify};

use crate::single_run::{AT_ONCE, SingleRun};
use crate::support::*;

#[test]
fn removed_or_disabled_handler_is_restored() {
    with_engine(async {
        let single = SingleRun::new().await;
        let lease = single.lease().await;
        for command in ["-1", "0"] {
            single.heard.lock().unwrap().clear();
            fs::write(format!("{BINFMT}/{}", single.handler()), command).unwrap();
            let enabled =
                || handlers().get(&single.handler()).is_some_and(|t| t.starts_with("enabled"));
            wait_until(Duration::from_secs(3), "the entry is back", enabled);
            wait_until(AT_ONCE, "and said so", || single.warned("sdbuild has restored it"));
        }
        assert_eq!(lease.release(&single.cancel).await, []);
        assert!(!single.is_registered());
    });
}

#[test]
fn handler_removed_during_registration_is_restored() {
    with_engine(async {
        let single = SingleRun::new().await;
        let entry = format!("{BINFMT}/{}", single.handler());
        // Without a pause: the registrar reads back what it wrote within a millisecond.
        let remover = std::thread::spawn(move || {
            let since = Instant::now();
            while fs::write(&entry, "-1").is_err() {
                assert!(since.elapsed() < Duration::from_secs(30), "no entry came");
            }
        });
        let lease = single.registrar().await.hold(&single.cancel).await.unwrap();
        remover.join().unwrap();
        let warned = || single.warned("sdbuild has restored it");
        wait_until(Duration::from_secs(4), "the entry is back", warned);
        assert!(single.is_registered());
        assert_eq!(lease.release(&single.cancel).await, []);
        assert!(!single.is_registered());
    });
}

#[test]
fn two_leases_coexist() {
    with_engine(async {
        let (one, two) = (SingleRun::new().await, SingleRun::new().await);
        let (first, second) = tokio::join!(one.lease(), two.lease());
        assert_eq!(first.release(&one.cancel).await, []);
        assert!(!one.is_registered() && two.is_registered());
        assert_eq!(second.release(&two.cancel).await, []);
        one.left_nothing();
        two.left_nothing();
    });
}

#[test]
fn registrar_removes_the_handler_of_a_stale_run() {
    with_engine(async {
        let (dead, own) = (SingleRun::new().await, SingleRun::new().await);
        let killed = dead.lease().await;
        docker(&["kill", &dead.container()]);
        drop(killed);
        let mut registrar = own.registrar().await;
        let entries = registrar.entries().await.unwrap();
        let stale = entries.iter().find(|entry| entry.name == dead.handler()).unwrap();
        assert_eq!(classify(stale), Owner::Ours(HandlerName::new(dead.image.emulates, &dead.run)));
        registrar.remove(stale).await.unwrap();
        assert!(!dead.is_registered());
        registrar.remove(stale).await.unwrap();
        assert_eq!(registrar.release(&own.cancel).await, []);
        dead.remove_container();
        [dead, own].iter().for_each(SingleRun::left_nothing);
    });
}

#[test]
fn missing_binfmt_misc_is_mounted_or_hinted_at() {
    with_engine(async {
        let empty = tempfile::tempdir().unwrap();
        let single = SingleRun::new().await;
        let mut options = single.options();
        options.binfmt_dir = empty.path().to_str().unwrap().to_owned();
        let started = Registrar::start(options, &single.cancel, &single.events).await;
        assert!(single.warned("privileged"), "it says what it tries");
        match started {
            // Where the engine allows it, the privileged registrar has mounted the table itself.
            Ok(registrar) => {
                let lease = registrar.hold(&single.cancel).await.unwrap();
                assert_eq!(lease.release(&single.cancel).await, []);
            }
            Err(refused) => {
                let failure = refused.failure;
                assert!(failure.hints.iter().any(|h| h.contains("sudo mount -t binfmt_misc")));
                assert!(failure.teardown.is_empty());
            }
        }
        single.left_nothing();
    });
}

#[test]
fn looking_without_binfmt_misc_needs_no_privilege() {
    with_engine(async {
        let empty = tempfile::tempdir().unwrap();
        let single = SingleRun::new().await;
        let mut options = single.options();
        options.binfmt_dir = empty.path().to_str().unwrap().to_owned();
        let looked = Registrar::look(options, &single.cancel, &single.events).await;
        assert!(looked.unwrap().is_none());
        assert!(!single.warned("privileged"));
        single.left_nothing();
        let options = single.options();
        let looked = Registrar::look(options, &single.cancel, &single.events).await;
        let registrar = looked.unwrap().unwrap();
        assert_eq!(registrar.release(&single.cancel).await, []);
        single.left_nothing();
    });
}
