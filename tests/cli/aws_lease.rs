//! The process that holds a machine of EC2, by itself: it keeps the lease from ending.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Child;

use serde_json::json;

use crate::aws_machines::Renter;

/// Starts the process for a machine of `renter` with a lease of `seconds`, with the connection that ends it.
fn holder(renter: &Renter, seconds: u64) -> (Child, UnixStream) {
    let (mut here, there) = UnixStream::pair().unwrap();
    let state_dir = renter.user.state.path().join(".local/state/sdbuild");
    let order = json!({
        "source": "aws:region=eu-central-1",
        "run": "0123456789ab",
        "system": "aarch64-linux",
        "lease": { "secs": seconds, "nanos": 0 },
        "state_dir": state_dir,
    });
    writeln!(here, "{order}").unwrap();
    let mut hold = renter.user.sdbuild(&["hold-machine"]);
    let holder = hold.stdin(OwnedFd::from(there)).spawn().unwrap();
    (holder, here)
}

#[test]
fn a_lease_is_extended_while_the_machine_is_used() {
    let renter = Renter::new("exit 0");
    let (mut holder, connection) = holder(&renter, 2);
    renter.double.wait_until(|state| {
        let mut instances = state.machines.instances.values();
        instances.next().is_some_and(|one| {
            // Instants have seconds.
            let first = one.parameter("TagSpecification.1.Tag.3.Value");
            state.count("CreateTags") >= 2 && one.tags["sdbuild:expires"].as_str() > first
        })
    });
    let call = &renter.ssh_calls()[0];
    for part in [
        "-- ssh://ec2-user@127.0.0.1 sudo sh /run/sdbuild/extend",
        "StrictHostKeyChecking=yes",
        "machines/0123456789ab.key",
        "without keys",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
    connection.shutdown(Shutdown::Both).unwrap();
    assert!(holder.wait().unwrap().success());
    renter.assert_nothing_left();
}

/// The tag only tells others until when: the machine is kept without it.
#[test]
fn a_lease_is_extended_while_aws_does_not_answer() {
    let renter = Renter::new("exit 0");
    renter.double.state().faults.hang_after = Some(("CreateTags", 0));
    let (mut holder, connection) = holder(&renter, 2);
    renter.double.wait_until(|state| state.count("CreateTags") >= 3);
    assert!(renter.ssh_calls().len() >= 3);
    connection.shutdown(Shutdown::Both).unwrap();
    assert!(holder.wait().unwrap().success());
    renter.assert_nothing_left();
}
