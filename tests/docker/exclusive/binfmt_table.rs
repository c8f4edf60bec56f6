//! A lease beside handlers of other programs; the age of abandoned handlers; the probe without a handler.

use std::fs;
use std::time::{Duration, Instant};

use crate::single_run::SingleRun;
use crate::support::*;

#[test]
fn held_handler_stays_young_and_abandoned_one_ages() {
    with_engine(async {
        let (single, other) = (SingleRun::new().await, SingleRun::new().await);
        let lease = single.lease().await;
        let mut registrar = other.registrar().await;
        let entry = fs::File::open(format!("{BINFMT}/{}", single.handler())).unwrap();
        let mut ages = Vec::new();
        for pause in [7, 0] {
            entry.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
            tokio::time::sleep(Duration::from_secs(pause)).await;
            let entries = registrar.entries().await.unwrap();
            let held = entries.iter().find(|e| e.name == single.handler()).unwrap();
            ages.push((held.age.unwrap(), held.is_kept()));
            if ages.len() == 1 {
                docker(&["kill", &single.container()]);
            }
        }
        assert!(ages[0].0 < 7 && ages[0].1, "its agent touches it: {ages:?}");
        assert!(ages[1].0 > 60 && !ages[1].1, "nobody does: {ages:?}");
        assert_eq!(lease.release(&single.cancel).await, []);
        assert_eq!(registrar.release(&other.cancel).await, []);
    });
}

#[test]
fn foreign_handler_is_untouched_and_no_obstacle() {
    with_engine(async {
        let foreign = Handler::register("engine-dev-foreign", "/bin/false");
        let lookalike = Handler::register("sdbuild-aarch64-00000000beef", "/bin/false");
        // Handlers of other builds on this machine come and go.
        let theirs = || {
            let mut all = handlers();
            all.retain(|name, _| !name.starts_with("sdbuild-") || *name == lookalike.0);
            all
        };
        let before = theirs();
        let single = SingleRun::new().await;
        let mut registrar = single.registrar().await;
        for entry in registrar.entries().await.unwrap() {
            if entry.name == foreign.0 || entry.name == lookalike.0 {
                registrar.remove(&entry).await.unwrap_err();
            }
        }
        let lease = registrar.hold(&single.cancel).await.unwrap();
        single.probe().await.unwrap();
        assert_eq!(lease.release(&single.cancel).await, []);
        assert_eq!(theirs(), before, "byte for byte");
    });
}

#[test]
fn probe_needs_a_handler() {
    with_engine(async {
        let single = SingleRun::new().await;
        if machine_emulates() {
            single.probe().await.unwrap();
        } else {
            let failure = single.probe().await.unwrap_err().to_string();
            assert!(failure.contains("no working binfmt_misc entry"), "{failure}");
        }
        let lease = single.lease().await;
        let start = Instant::now();
        single.probe().await.unwrap();
        eprintln!("probed in {:?}", start.elapsed());
        assert_eq!(lease.release(&single.cancel).await, []);
        single.left_nothing();
    });
}
