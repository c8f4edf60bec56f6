//! Rented machines whose provider is a script: what it is asked, and that a machine is given back whatever happens.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use nix::unistd::Pid;

use crate::support::*;
use crate::{GOOD, user};

/// A user whose program `rent` notes each call and does what `create`, `destroy` and `price` say.
pub struct Renter {
    pub user: TestUser,
}

impl Renter {
    /// Its program asks for no price; each script of a verb may be replaced.
    pub fn new(scripts: &[(&str, &str)]) -> Self {
        let user = user();
        user.write("sd-card.nix", GOOD);
        user.write("rent/price", "exit 64");
        user.write("rent/destroy", "exit 0");
        for (verb, script) in scripts {
            user.write(&format!("rent/{verb}"), script);
        }
        let text = "#!/bin/sh\necho \"$1 ${2-}\" >>calls\n. \"./$1\"\n";
        user.write_program("rent/rent", text);
        Self { user }
    }

    pub fn build(&self, more: &[&str]) -> std::process::Command {
        let words = [&["build", "--on", "command:rent/rent"], more].concat();
        self.user.sdbuild(&words)
    }

    pub fn at(&self, name: &str) -> PathBuf {
        self.user.home.path().join("rent").join(name)
    }

    /// Each call: the verb, and the machine that it is about.
    pub fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.at("calls")).unwrap_or_default();
        calls.lines().map(|line| line.trim().to_owned()).collect()
    }

    /// The verbs of the calls.
    pub fn verbs(&self) -> Vec<String> {
        let verb = |call: String| call.split(' ').next().unwrap().to_owned();
        self.calls().into_iter().map(verb).collect()
    }

    /// The ids of the rentals that have a record.
    pub fn records(&self) -> Vec<String> {
        let dir = self.user.state.path().join(".local/state/sdbuild/machines");
        if dir.exists() { file_names(&dir) } else { Vec::new() }
    }

    pub fn wait_until_given_back(&self) {
        wait_until(Duration::from_secs(20), "the machine is given back", || {
            self.records().is_empty()
        });
    }

    /// The process that holds the machine.
    pub fn holder(&self) -> Option<Pid> {
        holder_of(&self.user)
    }
}

/// The process that holds a machine for `user`.
pub fn holder_of(user: &TestUser) -> Option<Pid> {
    let home = format!("HOME={}", user.state.path().display());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let holds = |dir: &PathBuf| {
        let read = |name: &str| fs::read(dir.join(name)).unwrap_or_default();
        let words = String::from_utf8_lossy(&read("cmdline")).into_owned();
        let is_ours = String::from_utf8_lossy(&read("environ")).contains(&home);
        words.ends_with("\0hold-machine\0") && is_ours
    };
    let found = processes.map(|entry| entry.path()).find(holds)?;
    let pid = found.file_name().unwrap().to_str().unwrap().parse();
    Some(Pid::from_raw(pid.unwrap()))
}

/// Says that it has begun, and then takes its time.
pub const HANGS: &str = "touch begun; sleep 300";

#[test]
fn no_machine_is_made_for_a_build_that_cannot_begin() {
    let renter = Renter::new(&[("create", "exit 1")]);
    fs::remove_file(renter.user.home.path().join("sd-card.nix")).unwrap();
    run(&mut renter.build(&[])).assert_exit_code(2);
    assert_eq!(renter.calls(), [""; 0]);
    renter.user.write("sd-card.nix", GOOD);
    let described = run(&mut renter.build(&["--dry-run=plan"])).assert_exit_code(3);
    assert!(described.stderr.contains("a dry run does not rent a machine"), "{}", described.stderr);
    assert_eq!(renter.calls(), [""; 0]);
}

#[test]
fn a_machine_that_is_not_made_is_explained_and_given_back() {
    for (script, words) in [
        (
            "echo no capacity in this zone >&2; exit 3",
            &["rent/rent create ended with exit code 3", "no capacity in this zone"][..],
        ),
        ("echo Creating the machine …", &["is not KEY=VALUE", "Print messages to standard error"]),
        ("echo host=pi", &["it has no line host-key="]),
        (
            "echo 'host=-oProxyCommand=touch x'; echo 'host-key=ssh-ed25519 AAAA'",
            &["is not a host key"],
        ),
        ("printf 'host=\\033[2J'", &["it has control characters"]),
        ("yes", &["printed more than 65536 bytes"]),
    ] {
        let renter = Renter::new(&[("create", script)]);
        run(&mut renter.build(&[])).assert_exit_code(3).assert_stderr_contains(words);
        assert_eq!(renter.verbs(), ["price", "create", "destroy"], "{script}");
        assert_eq!(renter.calls()[2].len(), "destroy 0123456789ab".len());
        assert_eq!(renter.records(), [""; 0], "{script}");
    }
}

#[test]
fn a_price_is_paid_only_if_somebody_agrees() {
    let renter = Renter::new(&[("price", "echo 0.04 EUR an hour"), ("create", "exit 1")]);
    run(&mut renter.build(&[]))
        .assert_exit_code(2)
        .assert_stderr_contains(&["It costs 0.04 EUR an hour", "--yes"]);
    assert_eq!(renter.verbs(), ["price"]);
    run(&mut renter.build(&["--yes"]))
        .assert_exit_code(3)
        .assert_stderr_contains(&["the machine costs 0.04 EUR an hour"]);
    assert_eq!(renter.verbs(), ["price", "price", "create", "destroy"]);
}

#[test]
fn a_machine_that_stays_is_reported_until_it_is_gone() {
    let renter =
        Renter::new(&[("create", "exit 1"), ("destroy", "echo the network is down >&2; exit 7")]);
    let failed = run(&mut renter.build(&[])).assert_exit_code(5);
    let run_id = &renter.records()[0];
    let remedy = format!("destroy {run_id}");
    for part in [remedy.as_str(), "exit code 7: the network is down"] {
        assert!(failed.stderr.contains(part), "{part}\n{}", failed.stderr);
    }
    let shown = run(&mut renter.user.sdbuild(&["status"])).assert_exit_code(0);
    for part in ["machines", run_id.as_str(), "left over", "not given back"] {
        assert!(shown.stdout.contains(part), "{part}\n{}", shown.stdout);
    }
    let again = run(&mut renter.user.sdbuild(&["build"]));
    let again = again.assert_stderr_contains(&["a stale run left"]);
    let told_as_failure = again.stderr.contains(": failed after");
    assert!(!told_as_failure, "the run goes on: {}", again.stderr);
    assert_eq!(renter.records().len(), 1);
    renter.user.write("rent/destroy", "exit 0");
    // There is no engine.
    let cache = renter.user.state.path().join("cache");
    let mut clean = renter.user.sdbuild(&["clean", "--yes"]);
    let cleaned = run(clean.env("XDG_CACHE_HOME", cache)).assert_exit_code(3);
    assert!(cleaned.stdout.contains(run_id), "{}", cleaned.stdout);
    assert_eq!(renter.records(), [""; 0]);
}

/// Nothing is made, and the engine that is not here is not held against a build.
#[test]
fn doctor_tries_a_provider_as_far_as_that_costs_nothing() {
    let doctor = |renter: &Renter| {
        let words = ["doctor", "--json", "--on", "command:rent/rent"];
        let shown = run(&mut renter.user.sdbuild(&words));
        let report = shown.json();
        let checks = report["checks"].as_array().unwrap().clone();
        let of = move |topic: &str| {
            let check = checks.iter().find(|check| check["topic"] == topic).unwrap();
            let part = |name: &str| check[name].as_str().unwrap().to_owned();
            (part("verdict"), part("text"))
        };
        (of("rented machine"), of("engine"))
    };
    for (price, verdict, words) in [
        ("echo 0.04 EUR an hour", "good", "rent/rent: 0.04 EUR an hour. build asks"),
        ("exit 64", "good", "rent/rent states no price; build rents"),
        ("echo no account >&2; exit 1", "bad", "rent/rent price ended with exit code 1"),
        ("echo a; echo b", "bad", "rent/rent price printed"),
    ] {
        let renter = Renter::new(&[("price", price)]);
        let ((found, text), engine) = doctor(&renter);
        assert_eq!((found.as_str(), engine.0.as_str()), (verdict, "warning"), "{text}");
        assert!(text.contains(words), "{text}");
        assert_eq!(renter.verbs(), ["price"]);
        assert_eq!(renter.records(), [""; 0]);
    }
    let renter = Renter::new(&[]);
    fs::set_permissions(renter.at("rent"), fs::Permissions::from_mode(0o644)).unwrap();
    let ((found, text), _) = doctor(&renter);
    assert_eq!(found, "bad");
    assert!(text.contains("Permission denied"), "{text}");
    fs::remove_file(renter.at("rent")).unwrap();
    assert!(doctor(&renter).0.1.contains("No such file"));
}
