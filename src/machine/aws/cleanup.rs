//! Removes what was made for a run.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use crate::aws::{Client, Error};
use crate::common::failure::Failure;
use crate::machine::aws::names;
use crate::machine::provider::LogSink;

/// For all of it: a machine takes a minute or two to end, and its security group can be removed after that only.
const CLEANUP_LIMIT: Duration = Duration::from_secs(300);
/// Between two looks, at first and later.
const FIRST_POLL: Duration = Duration::from_millis(250);
const LAST_POLL: Duration = Duration::from_secs(5);
/// Until a machine that was started just now is in the lists of EC2.
const UNSEEN_LIMIT: Duration = Duration::from_secs(15);
/// How ids of machines and of groups begin.
const INSTANCE: &str = "i-";
const GROUP: &str = "sg-";
/// Something still uses it.
const IN_USE: [&str; 2] = ["DependencyViolation", "VolumeInUse"];

/// Removes everything of the run `run`, and waits until it is gone. `made` are ids of what this process has made of it: lists of EC2 may
/// not have it yet.
pub(super) async fn destroy(
    client: &Client,
    run: &str,
    made: &[String],
    log: LogSink<'_>,
) -> Result<(), Failure> {
    let mut waiting = Waiting::new();
    let mut unseen: BTreeSet<&str> = made
        .iter()
        .map(String::as_str)
        .filter(|id| id.starts_with(INSTANCE))
        .collect();
    loop {
        let found = client.instances((&names::filter_name(), run)).await?;
        for instance in &found {
            unseen.remove(instance.id.as_str());
        }
        let live: Vec<_> = found.iter().filter(|one| !one.is_gone()).collect();
        for instance in live.iter().filter(|one| !one.is_ending()) {
            log(&format!("terminating {}", instance.id));
            client.terminate_instance(&instance.id).await?;
        }
        let may_appear = !unseen.is_empty() && waiting.since.elapsed() < UNSEEN_LIMIT;
        if live.is_empty() && !may_appear {
            break;
        }
        if let Some(instance) = live.first() {
            log(&format!("{} is {}", instance.id, instance.state));
        }
        waiting.pause("the machine still exists").await?;
    }
    loop {
        match remove_rest(client, run, made).await {
            Err(error) if IN_USE.iter().any(|code| error.has_code(code)) => {
                waiting.pause(&error.to_string()).await?;
            }
            other => return Ok(other?),
        }
    }
}

/// Removes what a machine that is gone may have left.
async fn remove_rest(client: &Client, run: &str, made: &[String]) -> Result<(), Error> {
    let filter = names::filter_name();
    for volume in client.free_volumes((&filter, run)).await? {
        client.delete_volume(&volume.id).await?;
    }
    let found = client.groups((&filter, run)).await?;
    let mut groups: BTreeSet<&str> = found.iter().map(|group| group.id.as_str()).collect();
    groups.extend(
        made.iter()
            .map(String::as_str)
            .filter(|id| id.starts_with(GROUP)),
    );
    for group in groups {
        client.delete_group(group).await?;
    }
    Ok(())
}

/// Pauses that become longer, for a limited time.
struct Waiting {
    since: Instant,
    pause: Duration,
}

impl Waiting {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            pause: FIRST_POLL,
        }
    }

    /// Waits; fails with the reason `why` if the time is over.
    async fn pause(&mut self, why: &str) -> Result<(), Failure> {
        if self.since.elapsed() >= CLEANUP_LIMIT {
            let minutes = CLEANUP_LIMIT.as_secs() / 60;
            return Err(Failure::environment(format!("{why}, after {minutes} min")));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = LAST_POLL.min(self.pause * 2);
        Ok(())
    }
}
