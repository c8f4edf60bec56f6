//! What is left at AWS of runs whose lease has ended, wherever they ran: `sdbuild clean --cloud`.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::aws::{Client, Tag, tag_value};
use crate::machine::aws::cleanup;
use crate::machine::aws::names;
use crate::machine::aws::names::RUN_TAG;
use sdbuild_core::failure::Failure;
use sdbuild_engine::RunId;

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
        of_run.until = of_run.until.max(names::lease_end(tags));
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
            if let Err(failure) = cleanup::destroy(&self.client, run, &[], &|_| ()).await {
                failures.push((run.clone(), failure));
            }
        }
        failures
    }
}
