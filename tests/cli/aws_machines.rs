//! `--on aws` against a double of EC2: what is asked for, what it costs, and that nothing stays there whatever happens.

use std::fs;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::aws_double::instances::StoredInstance;
use crate::aws_double::machines::CALLER;
use crate::aws_double::{AwsDouble, SECRET};
use crate::machines::holder_of;
use crate::support::*;
use crate::{GOOD, user};

/// What `ssh` says of another host key: the end of a build without an engine.
const REFUSES: &str = "echo 'Host key verification failed for sdbuild-machine.' >&2; exit 255";
/// Nobody answers.
pub const SILENT: &str = "echo 'connect to host: Connection refused' >&2; exit 255";

/// A user of the account of a double; `ssh` notes its arguments, and does what `script` says.
pub struct Renter {
    pub double: AwsDouble,
    pub user: TestUser,
}

impl Renter {
    pub fn new(script: &str) -> Self {
        let double = AwsDouble::start();
        let mut user = user();
        for (name, value) in double.variables() {
            user = user.with(name, value);
        }
        user.write("sd-card.nix", GOOD);
        let log = user.home.path().join("ssh-calls");
        let text = format!(
            "#!/bin/sh\necho \"${{AWS_SECRET_ACCESS_KEY-without keys}} $*\" >>'{}'\n{script}\n",
            log.display()
        );
        let ssh = user.write_program("bin/ssh", &text);
        let path = format!("{}:{}", ssh.parent().unwrap().display(), user.environment["PATH"]);
        Self { double, user: user.with("PATH", path) }
    }

    fn build_on(&self, on: &str, more: &[&str]) -> Command {
        let words = [&["build", "--on", on], more].concat();
        self.user.sdbuild(&words)
    }

    pub fn build(&self) -> Command {
        self.build_on("aws", &["--yes"])
    }

    /// The files about rentals.
    pub fn records(&self) -> Vec<String> {
        let dir = self.user.state.path().join(".local/state/sdbuild/machines");
        if dir.exists() { file_names(&dir) } else { Vec::new() }
    }

    /// What is at AWS.
    pub fn left(&self) -> Vec<String> {
        self.double.state().machines.left()
    }

    pub fn assert_nothing_left(&self) {
        assert_eq!(self.left(), [""; 0]);
        assert_eq!(self.records(), [""; 0]);
        assert_eq!(self.double.state().mistakes, [""; 0]);
    }

    pub fn ssh_calls(&self) -> Vec<String> {
        let log = self.user.home.path().join("ssh-calls");
        let calls = fs::read_to_string(log).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    /// The type and zone of each machine that was started.
    pub fn started(&self) -> Vec<String> {
        let state = self.double.state();
        let started = state.machines.instances.values();
        started.map(StoredInstance::place).collect()
    }

    pub fn wait_until_given_back(&self) {
        let limit = Duration::from_mins(1);
        wait_until(limit, "the machine is given back", || self.records().is_empty());
    }

    /// The process that holds the machine.
    pub fn holder(&self) -> Option<Pid> {
        holder_of(&self.user)
    }

    /// Kills sdbuild, and what holds the machine: nobody is left to give it back.
    pub fn kill_all(&self, running: Running) {
        running.signal(Signal::SIGSTOP);
        let holder = self.holder();
        if let Some(holder) = holder {
            kill(holder, Signal::SIGKILL).unwrap();
        }
        running.signal(Signal::SIGKILL);
        running.finish();
        // A process that ends has no command line before it has let go of its locks, and its first thread may have ended before
        // the others, which share its open files: by state and threads all are gone.
        let has_ended = |pid: Pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let threads = std::fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count);
            let is_dead = stat.contains(") Z ") || stat.contains(") X ");
            stat.is_empty() || is_dead && threads <= 1
        };
        wait_until(Duration::from_secs(20), "the holder is gone", || {
            holder.is_none_or(has_ended) && self.holder().is_none()
        });
    }

    /// Starts a build, and waits until its machine runs and is connected to.
    pub fn connecting(&self) -> Running {
        let mut running = Running::start(&mut self.build());
        running.wait_until("it connects", || !self.ssh_calls().is_empty());
        running
    }
}

#[test]
fn the_cheapest_machine_is_rented_and_given_back() {
    let renter = Renter::new(REFUSES);
    let refused =
        run(&mut renter.build_on("aws", &[])).assert_exit_code(2).assert_stderr_contains(&[
            "about 0.0534 USD an hour",
            "eu-central-1b",
            "0.018 USD for 20 minutes",
            "--yes",
        ]);
    assert!(!refused.stderr.contains(SECRET));
    assert_eq!(renter.double.state().calls.last().unwrap(), "DescribeSpotPriceHistory");
    let failed = run(&mut renter.build()).assert_exit_code(3);
    let words = failed.stderr.replace('\n', " ");
    for part in [
        "the machine costs about 0.0534 USD an hour",
        "presents a different host key than the provider reported",
        "the rented machine (c7g.xlarge, spot, in eu-central-1b) ran for",
    ] {
        assert!(words.contains(part), "{part}\n{}", failed.stderr);
    }
    renter.assert_nothing_left();
    assert_eq!(renter.started(), ["c7g.xlarge/eu-central-1b"]);
    let call = &renter.ssh_calls()[0];
    for part in [
        "IdentitiesOnly=yes",
        "StrictHostKeyChecking=yes",
        "ssh://ec2-user@127.0.0.1",
        "without keys",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
}

#[test]
fn a_machine_is_asked_for_so_that_nothing_of_it_stays() {
    let renter = Renter::new(REFUSES);
    run(&mut renter.build()).assert_exit_code(3);
    let state = renter.double.state();
    let instance = state.machines.instances.values().next().unwrap();
    for (name, value) in [
        ("InstanceInitiatedShutdownBehavior", "terminate"),
        ("MetadataOptions.HttpTokens", "required"),
        ("InstanceMarketOptions.MarketType", "spot"),
        ("InstanceMarketOptions.SpotOptions.SpotInstanceType", "one-time"),
        ("InstanceMarketOptions.SpotOptions.MaxPrice", "0.1200"),
        ("BlockDeviceMapping.1.Ebs.VolumeSize", "16"),
        ("BlockDeviceMapping.1.Ebs.DeleteOnTermination", "true"),
    ] {
        assert_eq!(instance.parameter(name), value, "{name}");
    }
    for kind in ["instance", "volume", "network-interface", "spot-instances-request"] {
        let tagged =
            instance.form.iter().any(|(key, value)| key.ends_with("ResourceType") && value == kind);
        assert!(tagged, "{kind}");
    }
    assert!(instance.ends_by_itself() || instance.state == "terminated");
    let data = instance.user_data();
    let private = data["ssh_keys"]["ed25519_private"].as_str().unwrap();
    assert!(private.contains("OPENSSH PRIVATE KEY"));
}

#[test]
fn only_this_machine_may_connect() {
    let renter = Renter::new(REFUSES);
    let running = Running::start(&mut renter.build());
    renter.double.wait_until(|state| state.count("RunInstances") == 1);
    let groups = renter.double.state().machines.groups.clone();
    let group = groups.into_values().next().unwrap();
    assert_eq!(group.rules.len(), 1);
    let rule = &group.rules[0];
    for (name, value) in [
        ("IpProtocol", "tcp"),
        ("FromPort", "22"),
        ("ToPort", "22"),
        ("IpRanges.1.CidrIp", &format!("{CALLER}/32")),
    ] {
        assert_eq!(rule[&format!("IpPermissions.1.{name}")], value);
    }
    assert!(group.tags["sdbuild:expires"].starts_with("20"), "{group:?}");
    running.finish().assert_exit_code(3);
    renter.assert_nothing_left();
}

#[test]
fn the_next_offer_is_taken_where_there_is_no_capacity() {
    let renter = Renter::new(REFUSES);
    {
        let mut state = renter.double.state();
        let machines = &mut state.machines;
        machines.missing.insert("c7g.xlarge/eu-central-1b".into(), "InsufficientInstanceCapacity");
        machines.lost_at_start.insert("c7g.xlarge/eu-central-1a".into());
        // What AWS has just made is not in its lists at once, and what ends takes its time.
        (machines.unseen, machines.slow_end) = (2, 2);
        machines.unknown_group = 3;
    }
    let failed = run(&mut renter.build()).assert_exit_code(3);
    renter.assert_nothing_left();
    assert_eq!(renter.started(), ["c7g.xlarge/eu-central-1a", "c8g.xlarge/eu-central-1a"]);
    assert!(
        failed.stderr.replace('\n', " ").contains("(c8g.xlarge, spot, in eu-central-1a)"),
        "{}",
        failed.stderr
    );
    // Where there is none, nobody waits for one.
    assert_eq!(renter.double.state().count("RunInstances"), 3);
    renter.double.state().machines.missing.insert("*".into(), "MaxSpotInstanceCountExceeded");
    run(&mut renter.build()).assert_exit_code(3).assert_stderr_contains(&[
        "none of 5 types and zones is available",
        "MaxSpotInstanceCountExceeded",
        "--on aws:on-demand",
    ]);
    renter.assert_nothing_left();
}

/// The user has agreed to what was shown.
#[test]
fn nothing_is_started_that_costs_more_than_was_agreed_to() {
    let renter = Renter::new(REFUSES);
    // Of two pages.
    renter.double.state().machines.dearer_after = Some(2);
    run(&mut renter.build())
        .assert_exit_code(3)
        .assert_stderr_contains(&["prices have risen", "0.1200 USD an hour or less"]);
    assert!(renter.started().is_empty());
    renter.assert_nothing_left();
}

#[test]
fn a_machine_that_cannot_be_reached_is_given_back() {
    let renter = Renter::new(REFUSES);
    renter.double.state().machines.is_private = true;
    run(&mut renter.build()).assert_exit_code(3).assert_stderr_contains(&[
        "the machine has no public address",
        "auto-assign",
        "the rented machine (c7g.xlarge, spot",
    ]);
    assert_eq!(renter.started().len(), 1);
    renter.assert_nothing_left();
}

#[test]
fn a_lost_answer_makes_nothing_twice() {
    for call in ["CreateSecurityGroup", "RunInstances", "TerminateInstances", "DeleteSecurityGroup"]
    {
        let renter = Renter::new(REFUSES);
        renter.double.state().faults.lose_answer_to = Some(call);
        run(&mut renter.build()).assert_exit_code(3);
        renter.assert_nothing_left();
        assert_eq!(renter.started().len(), 1, "{call}");
    }
}
