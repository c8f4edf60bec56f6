//! Removes what was made for a run.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use sdbuild_core::failure::Failure;
use sdbuild_engine::RunId;
use tokio::time::Instant;

use crate::aws::{Client, Error, Instance, Tag, tag_value};
use crate::machine::aws::{self, RUN_TAG};
use crate::machine::provider::LogSink;

/// For all of it: a machine takes a minute or two to end, and its security group can be removed after that only.
const CLEANUP_LIMIT: Duration = Duration::from_mins(5);
/// Between two looks, at first and later.
const FIRST_POLL: Duration = Duration::from_millis(250);
const LAST_POLL: Duration = Duration::from_secs(5);
/// Until EC2 knows what was made just now, and lists it.
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
    let (since, mut pause) = (Instant::now(), FIRST_POLL);
    let mut cleanup = Cleanup {
        client,
        run,
        unseen: made.iter().cloned().collect(),
        log,
    };
    while let Some(why) = cleanup.step(since.elapsed()).await? {
        log(&why);
        if since.elapsed() >= CLEANUP_LIMIT {
            let minutes = CLEANUP_LIMIT.as_secs() / 60;
            return Err(Failure::environment(format!("{why}, after {minutes} min")));
        }
        tokio::time::sleep(pause).await;
        pause = LAST_POLL.min(pause * 2);
    }
    Ok(())
}

/// The removal of what one run has.
struct Cleanup<'a> {
    client: &'a Client,
    run: &'a str,
    /// Ids of what was made, and was neither in a list nor removed so far.
    unseen: BTreeSet<String>,
    log: LogSink<'a>,
}

impl Cleanup<'_> {
    /// Removes what can be removed `since` the beginning; why not all of it is gone, if it is not.
    async fn step(&mut self, since: Duration) -> Result<Option<String>, Failure> {
        // A machine costs money: first of all by its id, which no list has to have.
        for id in self.unseen_with(INSTANCE) {
            self.client.terminate_instance(&id).await?;
        }
        let live = self.end_machines().await?;
        if let Some(instance) = live.first() {
            return Ok(Some(format!("{} is {}", instance.id, instance.state)));
        }
        let may_appear = since < UNSEEN_LIMIT;
        if let Some(id) = self.unseen_with(INSTANCE).first().filter(|_| may_appear) {
            return Ok(Some(format!("{id} is not in EC2's list yet")));
        }
        match self.remove_rest().await {
            Err(error) if IN_USE.iter().any(|code| error.has_code(code)) => {
                return Ok(Some(error.to_string()));
            }
            removed => removed?,
        }
        let unknown = self.unseen_with(GROUP).into_iter().next();
        let unknown = unknown.filter(|_| may_appear);
        Ok(unknown.map(|id| format!("EC2 does not know {id} yet")))
    }

    /// Terminates the machines of the run, and returns those that are not gone.
    async fn end_machines(&mut self) -> Result<Vec<Instance>, Error> {
        let mut found = self
            .client
            .instances((&aws::filter_name(), self.run))
            .await?;
        found.retain(|one| self.is_ours(&one.tags));
        for instance in &found {
            self.unseen.remove(&instance.id);
        }
        found.retain(|one| !one.is_gone());
        for instance in found.iter().filter(|one| !one.is_ending()) {
            (self.log)(&format!("terminating {}", instance.id));
            self.client.terminate_instance(&instance.id).await?;
        }
        Ok(found)
    }

    /// Removes what machines that are gone may have left.
    async fn remove_rest(&mut self) -> Result<(), Error> {
        let filter = aws::filter_name();
        for volume in self.client.free_volumes((&filter, self.run)).await? {
            if !self.is_ours(&volume.tags) {
                continue;
            }
            self.client.delete_volume(&volume.id).await?;
        }
        for group in self.client.groups((&filter, self.run)).await? {
            if !self.is_ours(&group.tags) {
                continue;
            }
            self.client.delete_group(&group.id).await?;
            self.unseen.remove(&group.id);
        }
        for id in self.unseen_with(GROUP) {
            if self.client.delete_group(&id).await? {
                self.unseen.remove(&id);
            }
        }
        Ok(())
    }

    /// Whether an object with `tags` is of the run: whoever answers may disregard a filter.
    fn is_ours(&self, tags: &[Tag]) -> bool {
        tag_value(tags, RUN_TAG) == Some(self.run)
    }

    fn unseen_with(&self, prefix: &str) -> Vec<String> {
        let ids = self.unseen.iter().filter(|id| id.starts_with(prefix));
        ids.cloned().collect()
    }
}

/// The resources of one run in the region.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct OfRun {
    /// The kind of each object, and its id.
    objects: Vec<(&'static str, String)>,
    /// The latest end of a lease.
    until: Option<Timestamp>,
}

/// The resources of all runs in the region.
#[derive(Clone, Debug)]
pub struct CloudLeftovers {
    client: Client,
    runs: BTreeMap<String, OfRun>,
    now: Timestamp,
}

impl CloudLeftovers {
    /// Everything in the region of `client` that has the tag of a run.
    pub async fn find(client: Client) -> Result<Self, Failure> {
        let mut left = Self {
            client,
            runs: BTreeMap::new(),
            now: Timestamp::now(),
        };
        let filter = ("tag-key", RUN_TAG);
        for instance in left.client.instances(filter).await? {
            if !instance.is_gone() {
                left.add("machine", instance.id, &instance.tags);
            }
        }
        for volume in left.client.free_volumes(filter).await? {
            left.add("volume", volume.id, &volume.tags);
        }
        for group in left.client.groups(filter).await? {
            left.add("security group", group.id, &group.tags);
        }
        Ok(left)
    }

    fn add(&mut self, kind: &'static str, id: String, tags: &[Tag]) {
        // EC2 takes the characters * and ? in a filter for any others.
        let Some(run) = tag_value(tags, RUN_TAG).filter(|run| run.parse::<RunId>().is_ok()) else {
            return;
        };
        let of_run = self.runs.entry(run.to_owned()).or_default();
        of_run.objects.push((kind, id));
        of_run.until = of_run.until.max(aws::lease_end(tags));
    }

    /// The runs whose lease has ended.
    fn ended(&self) -> impl Iterator<Item = (&String, &OfRun)> {
        let has_ended = |run: &OfRun| run.until.is_none_or(|until| until <= self.now);
        self.runs.iter().filter(move |(_, run)| has_ended(run))
    }

    /// What can be removed: the kind and the name of each object.
    pub fn removable(&self) -> Vec<(&'static str, String)> {
        let of_run = |(run, of_run): (&String, &OfRun)| {
            let run = run.clone();
            let objects = of_run.objects.clone().into_iter();
            objects.map(move |(kind, id)| (kind, format!("{id} of run {run}")))
        };
        self.ended().flat_map(of_run).collect()
    }

    /// Runs that are going on, or may be, with the end of their lease.
    pub fn live(&self) -> Vec<(String, Timestamp)> {
        let live = self.runs.iter().filter_map(|(run, of_run)| {
            let until = of_run.until.filter(|until| *until > self.now)?;
            Some((run.clone(), until))
        });
        live.collect()
    }

    /// Removes what can be removed; the failures, with the run of each.
    pub async fn remove(&self) -> Vec<(String, Failure)> {
        let mut failures = Vec::new();
        for (run, _) in self.ended() {
            if let Err(failure) = destroy(&self.client, run, &[], &|_| ()).await {
                failures.push((run.clone(), failure));
            }
        }
        failures
    }
}
