//! Amazon EC2 as a provider: one machine for one build.
//!
//! Guarantees: whatever is made has the tags of its run from its beginning, and is found, used and removed by them alone. The machine is
//! destroyed when it switches itself off, which it does when its lease ends. It has a host key and a login key of its own, and is
//! reached from the address of this machine only.

mod cleanup;
mod create;

use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use sdbuild_core::aws_machine::{self, AwsMachine};
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_core::new_ssh_key::KeyPair;
use sdbuild_core::timeout::timeout;
use sdbuild_engine::run_by_ssh;
use serde_json::json;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::aws::{Access, Client, Tag, tag_value};
use crate::machine::command::RUN;
use crate::machine::order::{Price, RentalRequest};
use crate::machine::provider::{CreatedMachine, Extension, LogSink, Rate};

pub use crate::machine::aws::cleanup::CloudLeftovers;

/// Duration of a lease. It bounds the cost of a machine that cannot be given back.
pub(super) const LEASE: Duration = Duration::from_mins(15);
/// Attempts to extend a lease before it ends.
pub(super) const EXTENSIONS: u32 = 4;
/// Timeout of one command that extends the lease.
const EXTEND_LIMIT: Duration = Duration::from_mins(1);
/// For the tag with the end of the lease.
const TAG_LIMIT: Duration = Duration::from_secs(30);

/// The account and region.
#[derive(Debug)]
pub(super) struct AwsProvider {
    machine: AwsMachine,
    access: Access,
    /// What was made by this process: lists of EC2 may not have it yet.
    made: Mutex<Vec<String>>,
    /// What the last machine costs, and since when it runs.
    running: Mutex<Option<(Rate, Instant)>>,
}

impl AwsProvider {
    /// A provider of machines as `machine` says.
    pub(super) fn new(machine: &AwsMachine, access: &Access) -> Self {
        Self {
            machine: machine.clone(),
            access: access.clone(),
            made: Mutex::default(),
            running: Mutex::default(),
        }
    }

    /// A client for the account of `order`. The same settings may name another account by now, where nothing of `order` is found.
    async fn client(&self, order: &RentalRequest) -> Result<Client, Failure> {
        let client = client_of(&self.machine, &self.access).await?;
        if let Some(expected) = &order.account {
            let account = client.account_id().await?;
            check_account(expected, &account)?;
        }
        Ok(client)
    }

    fn made(&self) -> Vec<String> {
        self.made
            .lock()
            .map_or_else(|_| Vec::new(), |made| made.clone())
    }

    fn started(&self, rate: Rate) {
        if let Ok(mut running) = self.running.lock() {
            *running = Some((rate, Instant::now()));
        }
    }

    fn note(&self, id: &str) {
        if let Ok(mut made) = self.made.lock() {
            made.push(id.to_owned());
        }
    }
}

async fn client_of(machine: &AwsMachine, access: &Access) -> Result<Client, Failure> {
    let (region, profile) = (machine.region.as_deref(), machine.profile.as_deref());
    // The caller ends it by dropping the future, or waits.
    access.client(region, profile, &Cancel::new()).await
}

fn check_account(expected: &str, account: &str) -> Result<(), Failure> {
    if account == expected {
        return Ok(());
    }
    Err(Failure::environment(format!(
        "the machine was rented with the AWS account {expected}, but the credentials are those of {account}; use \
         credentials of {expected}"
    )))
}

/// `machine` with the region and the profile that AWS's own settings name, where it has none, and the id of the account: a later run
/// that gives it back may have other settings.
pub(super) async fn located(
    machine: &AwsMachine,
    access: &Access,
) -> Result<(AwsMachine, String), Failure> {
    let variables = &access.variables;
    let named = variables.profile.as_deref();
    // Keys in the environment have precedence over the profile that it names.
    let named = named.filter(|_| variables.access_key_id.is_none());
    let named = named.map(aws_machine::profile).transpose();
    let machine = AwsMachine {
        profile: machine.profile.clone().or(named.map_err(Failure::usage)?),
        ..machine.clone()
    };
    let client = client_of(&machine, access).await?;
    let region = Some(client.region().to_owned());
    Ok((AwsMachine { region, ..machine }, client.account_id().await?))
}

impl AwsProvider {
    pub(super) async fn price(&self, order: &RentalRequest) -> Result<Price, Failure> {
        let client = client_of(&self.machine, &self.access).await?;
        let offers = create::offers(&client, &self.machine, order).await?;
        Ok(Price {
            words: create::price_words(&offers, client.region()),
            highest: create::highest(&offers),
        })
    }

    pub(super) async fn create(
        &self,
        order: &RentalRequest,
        stop: &CancellationToken,
        log: LogSink<'_>,
    ) -> Result<CreatedMachine, Failure> {
        let creation = create::Creation {
            client: self.client(order).await?,
            machine: &self.machine,
            order,
            stop,
            log,
            note: &|id| self.note(id),
            started: &|rate| self.started(rate),
        };
        creation.run().await
    }

    pub(super) async fn extend(
        &self,
        order: &RentalRequest,
        made: &CreatedMachine,
        log: LogSink<'_>,
    ) -> Result<Extension, Failure> {
        let variable = (RUN, order.run.as_str());
        run_by_ssh(&made.machine, EXTEND, variable, EXTEND_LIMIT).await?;
        // The machine is kept from here on: the tag only informs others of the end of the lease.
        let tagged = async {
            let expires = expires(order.lease);
            let client = self.client(order).await?;
            let tagged = client.tag(std::slice::from_ref(&made.id), &expires).await;
            tagged.map_err(Failure::from)
        };
        // The next extension must not wait for it.
        let limit = TAG_LIMIT.min(order.lease / EXTENSIONS);
        let late = || Err(Failure::environment("AWS does not answer"));
        if let Err(failure) = timeout(limit, tagged).await.unwrap_or_else(late) {
            log(&format!(
                "cannot write the new time limit into the machine's tag: {failure}"
            ));
        }
        Ok(Extension::Granted)
    }

    pub(super) fn receipt(&self) -> Option<String> {
        let running = self.running.lock().ok()?;
        let (rate, since) = running.as_ref()?;
        Some(rate.receipt(since.elapsed()))
    }

    pub(super) async fn destroy(
        &self,
        order: &RentalRequest,
        id: Option<&str>,
        log: LogSink<'_>,
    ) -> Result<(), Failure> {
        let client = self.client(order).await?;
        let mut made = self.made();
        made.extend(id.map(str::to_owned));
        cleanup::destroy(&client, &order.run, &made, log).await
    }
}

/// The tag with the run that something was made for.
pub(super) const RUN_TAG: &str = "sdbuild:run";
/// The tag with the end of its lease.
const EXPIRES_TAG: &str = "sdbuild:expires";

/// The name of everything of the run `run`.
pub(super) fn resource_name(run: &str) -> String {
    format!("sdbuild-{run}")
}

/// EC2's filter for everything of a run.
pub(super) fn filter_name() -> String {
    format!("tag:{RUN_TAG}")
}

/// The tags of what is made for the run `run` with the lease `lease` from now on.
pub(super) fn run_tags(run: &str, lease: Duration) -> Vec<Tag> {
    let tag = |key: &str, value: String| Tag {
        key: key.to_owned(),
        value,
    };
    vec![
        tag("Name", resource_name(run)),
        tag(RUN_TAG, run.to_owned()),
        expires(lease),
    ]
}

/// The tag that a lease `lease` from now on has.
pub(super) fn expires(lease: Duration) -> Tag {
    let now = Timestamp::now();
    let end = now.checked_add(lease).unwrap_or(now);
    Tag {
        key: EXPIRES_TAG.to_owned(),
        value: end.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// When the lease in `tags` ends; `None` if they do not say.
pub(super) fn lease_end(tags: &[Tag]) -> Option<Timestamp> {
    tag_value(tags, EXPIRES_TAG)?.parse().ok()
}

/// Switches the machine off at the end of its lease.
const LEASE_SCRIPT: &str = include_str!("lease.sh");
/// Where that script puts others.
const DIR: &str = "/run/sdbuild";
const UNITS: &str = "/run/systemd/system";
/// The account of Amazon Linux that may log in.
pub(super) const USER: &str = "ec2-user";
/// Command on the machine that extends the lease.
pub(super) const EXTEND: &str = "sudo sh /run/sdbuild/extend";

/// The user data of a machine with the host key `host`, where `login` may log in. JSON is YAML too.
pub(super) fn user_data(host: &KeyPair, login: &KeyPair, lease: Duration) -> String {
    let lease = lease.as_secs().to_string();
    let config = json!({
        // Runs before all that follows.
        "bootcmd": [["sh", "-c", LEASE_SCRIPT, "sdbuild-lease", lease, DIR, UNITS]],
        "ssh_deletekeys": true,
        "ssh_keys": { "ed25519_private": host.private, "ed25519_public": host.public },
        "ssh_pwauth": false,
        "ssh_authorized_keys": [login.public],
        "packages": ["docker"],
        "runcmd": [
            ["systemctl", "enable", "--now", "docker"],
            ["usermod", "--append", "--groups", "docker", USER],
        ],
    });
    format!("#cloud-config\n{config}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_as_it_was_written() {
        let tags = run_tags("0123456789ab", Duration::from_mins(15));
        let left = lease_end(&tags).unwrap().as_second() - Timestamp::now().as_second();
        assert!((890..=900).contains(&left), "{left}");
        assert_eq!(tag_value(&tags, RUN_TAG), Some("0123456789ab"));
        assert_eq!(lease_end(&[]), None);
        // Keys and values are within EC2's limits.
        assert!(
            tags.iter()
                .all(|tag| tag.key.len() <= 128 && tag.value.len() <= 256)
        );
    }
}

#[cfg(test)]
mod user_data_tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::process::Command;

    use super::*;

    fn run(dir: &Path, words: &[&str]) {
        let path = format!("{}:/usr/bin:/bin", dir.join("bin").display());
        let mut command = Command::new("sh");
        let done = command.args(words).env("PATH", path).output().unwrap();
        assert!(done.status.success(), "{done:?}");
    }

    #[test]
    fn a_machine_is_switched_off_when_its_lease_has_ended() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("bin")).unwrap();
        let calls = at("calls").display().to_string();
        fs::write(
            at("bin/systemctl"),
            format!("#!/bin/sh\necho \"$*\" >>{calls}\n"),
        )
        .unwrap();
        fs::set_permissions(at("bin/systemctl"), fs::Permissions::from_mode(0o755)).unwrap();
        let calls = || fs::read_to_string(at("calls")).unwrap();
        let [scripts, units, check, extend] =
            ["run", "units", "run/check", "run/extend"].map(|name| at(name).display().to_string());
        let words = ["-c", LEASE_SCRIPT, "lease", "600", &scripts, &units];
        run(dir.path(), &words);
        let started = "daemon-reload\n--no-block start sdbuild-lease.timer\n";
        assert_eq!(calls(), started);
        let unit = fs::read_to_string(at("units/sdbuild-lease.service")).unwrap();
        assert!(
            unit.contains(&format!("ExecStart=/bin/sh {check}\n")),
            "{unit}"
        );
        run(dir.path(), &[&check]);
        assert_eq!(calls(), started, "nobody has come so far");
        for end in ["1", "", "x"] {
            fs::write(at("run/end"), end).unwrap();
            run(dir.path(), &[&check]);
            let switched_off = format!("{started}--force --force poweroff\n");
            assert_eq!(calls(), switched_off, "{end}");
            fs::write(at("calls"), started).unwrap();
            run(dir.path(), &[&extend]);
            run(dir.path(), &[&check]);
            assert_eq!(calls(), started, "extended");
        }
    }

    #[test]
    fn user_data_has_the_keys_and_the_lease() {
        let [host, login] = ["host", "login"].map(|name| KeyPair::generate(name).unwrap());
        let text = user_data(&host, &login, Duration::from_mins(15));
        let json = text.strip_prefix("#cloud-config\n").unwrap();
        let json: serde_json::Value = sdbuild_core::untrusted::json(json).unwrap();
        assert_eq!(json["ssh_keys"]["ed25519_private"], host.private.as_str());
        assert_eq!(json["ssh_authorized_keys"][0], login.public.as_str());
        assert_eq!(json["bootcmd"][0][4], "900");
        // The first lines of both say what they are.
        assert!(!text.contains(login.private.lines().nth(3).unwrap()));
        // EC2 takes 16 KiB.
        assert!(text.len() < 8 << 10, "{}", text.len());
        assert_eq!(EXTEND, format!("sudo sh {DIR}/extend"));
    }
}
