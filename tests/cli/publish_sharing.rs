//! `sdbuild publish aws`: who may use what was published and where, and what becomes of uploads whose record is lost.

use nix::sys::signal::Signal;

use crate::aws_double::{AwsDouble, Faults, IN_REGION};
use crate::publish::{expected, publish, publisher};
use crate::support::*;

#[test]
fn copies_are_waited_for_and_shared_like_the_image() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    let words = ["--share", "123456789012", "--share", "all", "--copy-to", "us-east-1"];
    let first =
        publish(&user, &[&words[..], &["--deprecate-after", "9"]].concat()).assert_exit_code(0);
    let image = first.stdout.trim().to_owned();
    let (copy, copied, shared) = {
        let state = double.state();
        assert_eq!(state.mistakes, [""; 0]);
        assert_eq!((state.images.len(), state.count("EnableImageDeprecation")), (2, 2));
        let (copy, copied) = state.images.iter().find(|(id, _)| **id != image).unwrap();
        (copy.clone(), copied.clone(), state.shared.clone())
    };
    assert!(first.stderr.contains(&format!("copied to us-east-1: {copy}")), "{}", first.stderr);
    assert_eq!(copied[IN_REGION], "us-east-1");
    for (n, kind) in [(1, "image"), (2, "snapshot")] {
        assert_eq!(copied[&format!("TagSpecification.{n}.ResourceType")], kind);
        assert_eq!(copied[&format!("TagSpecification.{n}.Tag.2.Key")], "sdbuild:sha256");
    }
    let snapshot = double.state().snapshots.keys().next().unwrap().clone();
    let copied = &copied["BlockDeviceMapping.1.Ebs.SnapshotId"];
    let expected = [
        format!("{image} 123456789012"),
        format!("{snapshot} 123456789012"),
        format!("{image} all"),
        format!("{copy} 123456789012"),
        format!("{copied} 123456789012"),
        format!("{copy} all"),
    ];
    assert_eq!(shared, expected);
    let more = ["--copy-to", "us-east-1", "--no-wait", "--name", "other"];
    let more = publish(&user, &more).assert_exit_code(0);
    let follow = "sdbuild publish list --region us-east-1";
    assert!(more.stderr.contains(follow), "{}", more.stderr);
    assert_eq!(double.state().count("CopyImage"), 2);
}

/// Killed before the snapshot was complete, and after; each time with the state directory.
#[test]
fn a_lost_record_costs_no_second_snapshot() {
    let double = AwsDouble::start();
    let (user, _) = publisher(&double);
    for call in ["CompleteSnapshot", "RegisterImage"] {
        double.state().faults.hang_after = Some((call, 0));
        let running = Running::start(&mut user.sdbuild(&["publish", "aws", "--yes"]));
        double.wait_until(|state| state.count(call) == 1);
        running.signal(Signal::SIGKILL);
        running.finish();
        double.state().faults = Faults::default();
        std::fs::remove_dir_all(user.state.path().join(".local/state")).unwrap();
    }
    publish(&user, &[]).assert_exit_code(0);
    let state = double.state();
    assert_eq!(state.mistakes, [""; 0]);
    assert_eq!((state.count("StartSnapshot"), state.images.len()), (1, 1));
    let snapshot = state.snapshots.values().next().unwrap();
    let sent: Vec<u64> = snapshot.blocks.keys().copied().collect();
    assert_eq!((snapshot.state.as_str(), sent), ("completed", expected()));
}
