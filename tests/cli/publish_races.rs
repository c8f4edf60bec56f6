//! `sdbuild publish aws` of one disk on two machines, and copies that are removed and made again.

use std::fs;

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, Faults};
use crate::publish::{publish, publisher};
use crate::support::*;

/// The first machine has a complete snapshot, the second one the image of another snapshot.
#[test]
fn the_slower_machine_removes_its_own_snapshot() {
    // The image is seen at once, or not before the first machine registers its own one.
    for late in [0, 2] {
        let double = AwsDouble::start();
        let (first, disk) = publisher(&double);
        double.state().faults.hang_after = Some(("RegisterImage", 0));
        let running = Running::start(&mut first.sdbuild(&["publish", "aws", "--yes"]));
        double.wait_until(|state| state.count("RegisterImage") == 1);
        running.signal(Signal::SIGKILL);
        running.finish();
        double.state().faults = Faults::default();
        // The second one began at the same time and did not see it.
        let own = std::mem::take(&mut double.state().snapshots);
        let (second, other_disk) = publisher(&double);
        fs::copy(&disk, other_disk).unwrap();
        let image = publish(&second, &[]).assert_exit_code(0).stdout;
        double.state().snapshots.extend(own);
        double.state().faults.late_lists = late;
        let again = publish(&first, &["--json"]).assert_exit_code(0);
        let again = again.json();
        let state = double.state();
        let left: Vec<_> = state.snapshots.keys().map(String::as_str).collect();
        assert_eq!(again["image"], image.trim(), "{late}");
        assert_eq!(vec![again["snapshot"].as_str().unwrap()], left, "{late}");
        assert_eq!(state.count("RegisterImage"), if late == 0 { 2 } else { 3 });
        let records = first.state.path().join(".local/state/sdbuild/snapshots");
        assert_eq!(fs::read_dir(records).unwrap().count(), 0);
    }
}
