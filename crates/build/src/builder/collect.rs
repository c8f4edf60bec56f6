//! Collects garbage on a store volume: what only older results of its configurations need.
//!
//! No builder uses the volume meanwhile: the results of Nix's steps have no roots before the last one, and the files by
//! which processes of Nix announce what they need have the process id as their name, which is not unique among
//! containers. A collector and a builder that begin at the same time see each other's containers: the collector gives
//! up, the builder waits.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::Containers;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::event::Events;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::timeout::finish_within;
use sdbuild_engine::{
    ContainerGuard, ContainerInfo, ContainerSpec, Engine, EngineError, Exit, Role, RunId,
};

/// Nix's garbage collection, and what has to be removed before it.
const SCRIPT: &str = include_str!("../../../../containers/builder/collect");
/// Lines of output that are read: three of the result, or messages of Nix.
const MAX_LINES: usize = 20;
/// Timeout for a store of some hundred thousand files on a slow disk.
const COLLECT_TIMEOUT: Duration = Duration::from_mins(30);
/// How often a builder looks whether a collector has ended.
const POLL_INTERVAL: Duration = Duration::from_secs(1);
/// A collector is started right after its creation. One that is not belongs to a process that is gone, and is removed.
const START_TIMEOUT: Duration = Duration::from_mins(1);

/// What is done to the store volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// Finds out what would be removed, and changes nothing.
    Forecast,
    /// Removes it.
    Remove,
}

/// What a collector found or did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Results that are removed.
    pub results: u64,
    /// Bytes that are freed by that; 0 once they are removed.
    pub freed: u64,
    /// Bytes on the volume: before a forecast, after a removal.
    pub total: u64,
}

/// A store volume, and what Nix is run with there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Collector<'a> {
    /// What its container is made of: sdbuild's own builder image.
    pub containers: Containers<'a>,
    /// Name of the volume, which exists.
    pub store: &'a str,
}

impl Collector<'_> {
    /// Keeps the newest `keep` results of each configuration on the volume, and does `task` to the others. `None` if a
    /// builder uses the volume; those of the runs in `stale` do not count. The container is removed before this returns,
    /// or is among the leftovers of the failure.
    pub(crate) async fn run(
        &self,
        task: Task,
        keep: u32,
        stale: &BTreeSet<RunId>,
        cancel: &Cancel,
    ) -> Result<Option<Collected>, Failure> {
        let Containers { engine, .. } = self.containers;
        let spec = self.spec(task, keep);
        let guard = ContainerGuard::arm(engine, &spec.name).grace(0);
        let collect = async |guard: &mut ContainerGuard| {
            let work = async {
                let container = guard.create(&spec).await?;
                // From here on builders that begin see this container.
                if has_builder(engine, self.store, stale).await? {
                    return Ok(None);
                }
                let (exit, lines) = container.output(MAX_LINES).await?;
                result(exit, &lines).map(Some)
            };
            finish_within(COLLECT_TIMEOUT, work).await.flatten()
        };
        let operation = format!("collect garbage on the store volume {}", self.store);
        guard.run(&operation, cancel, collect).await
    }

    fn spec(&self, task: Task, keep: u32) -> ContainerSpec {
        let task = match task {
            Task::Forecast => "forecast",
            Task::Remove => "remove",
        };
        let keep = keep.to_string();
        let command = ["/bin/sh", "-c", SCRIPT, "collect", task, &keep];
        let command = command.map(str::to_owned).to_vec();
        let (role, store) = (Role::Collector, Some(self.store));
        ContainerSpec {
            tmpfs: vec![("/tmp".to_owned(), "mode=1777".to_owned())],
            read_only: true,
            ..self.containers.spec(role, command, [], store)
        }
        .until_client_ends(&["/bin/sh"])
    }
}

/// Whether a builder uses the volume `store`, whatever it does there; those of the runs in `stale` do not count.
pub(crate) async fn has_builder(
    engine: &Engine,
    store: &str,
    stale: &BTreeSet<RunId>,
) -> Result<bool, EngineError> {
    let users = engine.our_containers_with_volume(store).await?;
    Ok(users
        .iter()
        .any(|user| user.role == Role::Builder && !stale.contains(&user.run)))
}

/// Parses the output of the collector's script.
fn result(exit: Exit, lines: &[String]) -> Result<Collected, Failure> {
    if exit.code != 0 {
        let figures = ["results ", "freed ", "total "];
        let is_message = |line: &&String| !figures.iter().any(|figure| line.starts_with(figure));
        let mut text: Vec<_> = lines.iter().filter(is_message).cloned().collect();
        text.push(if exit.oom_killed {
            "the container ran out of memory".to_owned()
        } else {
            format!("exit status {}", exit.code)
        });
        // Nothing is wrong with a store whose collector was killed.
        let hint = if exit.oom_killed || exit.signal().is_some() {
            "run it again: what was removed so far stays removed, and all else is as it was"
        } else {
            "`sdbuild clean` removes the whole volume; the next build creates a new one"
        };
        return Err(Failure::environment(text.join("\n")).hint(hint));
    }
    parse(lines).or_internal("read what the collector wrote")
}

/// The lines `results N`, `freed N` and `total N`.
fn parse(lines: &[String]) -> Result<Collected, std::num::ParseIntError> {
    let mut collected = Collected::default();
    for line in lines {
        match line.split_once(' ') {
            Some(("results", number)) => collected.results = number.parse()?,
            Some(("freed", number)) => collected.freed = number.parse()?,
            Some(("total", number)) => collected.total = number.parse()?,
            _ => {}
        }
    }
    Ok(collected)
}

/// Waits until no process collects garbage on the volume `store`. Called once the builder's container exists, so that a collector
/// that begins later sees it.
pub(super) async fn await_collector(
    engine: &Engine,
    store: &str,
    events: &Events,
) -> Result<(), Failure> {
    let start = Instant::now();
    let mut is_announced = false;
    loop {
        let users = engine.our_containers_with_volume(store).await?;
        let Some(collector) = users.into_iter().find(is_collecting) else {
            return Ok(());
        };
        if collector.never_started && start.elapsed() > START_TIMEOUT {
            engine.remove_listed(&collector).await?;
        } else if !is_announced {
            is_announced = true;
            events.notice(format!(
                "waiting for run {}, which removes old results from the store volume {store}",
                collector.run
            ));
        }
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

/// Whether `container` collects garbage, or may do so in a moment.
fn is_collecting(container: &ContainerInfo) -> bool {
    container.role == Role::Collector && (container.running || container.never_started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_script_says() {
        let lines = ["results 2", "noise", "freed 4096", "total 81920"].map(str::to_owned);
        let expected = Collected {
            results: 2,
            freed: 4096,
            total: 81_920,
        };
        assert_eq!(parse(&lines).unwrap(), expected);
        assert!(parse(&["freed much".to_owned()]).is_err());
    }

    #[test]
    fn a_failure_has_messages_and_exit_status() {
        let lines = ["results 2", "error: disk I/O error"].map(str::to_owned);
        let failure = |code, oom_killed, lines: &[String]| {
            let exit = Exit { code, oom_killed };
            result(exit, lines).unwrap_err()
        };
        let failed = failure(1, false, &lines);
        assert_eq!(failed.to_string(), "error: disk I/O error\nexit status 1");
        assert!(failed.hints[0].contains("removes the whole volume"));
        let exhausted = failure(137, true, &[]);
        assert_eq!(exhausted.to_string(), "the container ran out of memory");
        let killed = failure(137, false, &[]);
        assert_eq!(killed.to_string(), "exit status 137");
        for failure in [exhausted, killed] {
            assert!(failure.hints[0].starts_with("run it again"), "{failure:?}");
        }
    }

    #[test]
    fn a_collector_that_ended_is_not_waited_for() {
        let run = "0123456789ab".parse().unwrap();
        let ended = ContainerInfo::of(Role::Collector, &run);
        let running = ContainerInfo {
            running: true,
            ..ended.clone()
        };
        let created = ContainerInfo {
            never_started: true,
            ..ended.clone()
        };
        assert!(!is_collecting(&ended));
        assert!(is_collecting(&running) && is_collecting(&created));
        let builder = ContainerInfo {
            running: true,
            ..ContainerInfo::of(Role::Builder, &run)
        };
        assert!(!is_collecting(&builder));
    }
}
