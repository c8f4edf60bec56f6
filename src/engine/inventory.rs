//! The containers that carry our labels: list, stop, remove. Others are never touched.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::ContainerSummary;
use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, StopContainerOptionsBuilder,
};

use crate::engine::client::Engine;
use crate::engine::error::EngineError;
use crate::engine::labels::{self, Role, RunId, role_of, run_of};
use crate::engine::request::{REQUEST_TIMEOUT, request, request_within};
use crate::engine::timestamp::unix_seconds;

/// How often we look whether a removal under way is done.
const RECHECK: Duration = Duration::from_millis(100);
/// How often in all.
const RECHECKS: u32 = 200;
/// How often a list that we cannot read is asked for again.
const LOOKS: u32 = 10;

/// A container of ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerInfo {
    /// The engine's id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What it is for, by its label.
    pub role: Option<Role>,
    /// The run that made it, by its label.
    pub run: Option<RunId>,
    /// Whether a process of it runs (paused counts).
    pub running: bool,
    /// Whether it was made and never started.
    pub never_started: bool,
    /// The engine's words: `Exited (0) 2 hours ago`.
    pub status: String,
    /// Bytes that it wrote, when asked for.
    pub size: Option<u64>,
    /// Its container image.
    pub image: String,
    /// When it was made, in seconds since 1970.
    pub created: Option<i64>,
}

impl Engine {
    /// Our containers, running or not, without their sizes.
    pub async fn our_containers(&self) -> Result<Vec<ContainerInfo>, EngineError> {
        self.list_containers(false).await
    }

    /// Our containers with their sizes, which engines take their time to count.
    pub async fn our_containers_with_size(&self) -> Result<Vec<ContainerInfo>, EngineError> {
        self.list_containers(true).await
    }

    /// How long ago our container `name` ended, or was made if it never ran, by the engine's own
    /// clock. `None` while it runs, and when it is gone or has no readable time.
    pub async fn container_idle(&self, name: &str) -> Result<Option<Duration>, EngineError> {
        let operation = format!("inspect container {name}");
        let inspect = self.docker.inspect_container(name, None);
        let found = match request(operation, inspect).await {
            Ok(found) => found,
            Err(EngineError::Unexpected { .. }) => return Ok(None),
            Err(error) if error.is_not_found() => return Ok(None),
            Err(error) => return Err(error),
        };
        let info = request("ask the engine for its time", self.docker.info()).await?;
        let state = found.state.unwrap_or_default();
        if state.running == Some(true) {
            return Ok(None);
        }
        let now = info.system_time.as_deref().and_then(unix_seconds);
        // A container that never ended has a time before 1970 there.
        let ended = state
            .finished_at
            .as_deref()
            .and_then(unix_seconds)
            .filter(|ended| *ended > 0);
        let since = ended.or_else(|| found.created.as_deref().and_then(unix_seconds));
        Ok(now
            .zip(since)
            .and_then(|(now, since)| u64::try_from(now - since).ok())
            .map(Duration::from_secs))
    }

    async fn list_containers(&self, size: bool) -> Result<Vec<ContainerInfo>, EngineError> {
        // By run: the role label is also on what somebody else makes from our container images.
        let ours = HashMap::from([("label", vec![labels::RUN])]);
        let found = self.summaries(ours, size, "list containers").await?;
        Ok(found.into_iter().map(container_info).collect())
    }

    /// The containers that `filters` let through, running or not.
    pub(super) async fn summaries(
        &self,
        mut filters: HashMap<&str, Vec<&str>>,
        size: bool,
        operation: &str,
    ) -> Result<Vec<ContainerSummary>, EngineError> {
        // Podman has a state `stopped` that bollard cannot read. It lasts a moment; one that a crash
        // left in it for good must not keep us from seeing the others.
        for look in 0..=LOOKS {
            if look == LOOKS {
                filters.insert("status", vec!["created", "running", "paused", "exited"]);
            }
            let options = ListContainersOptionsBuilder::default()
                .all(true)
                .size(size)
                .filters(&filters);
            let list = self.docker.list_containers(Some(options.build()));
            match request(operation, list).await {
                Err(EngineError::Unexpected { .. }) if look < LOOKS => {
                    tokio::time::sleep(RECHECK).await;
                }
                other => return other,
            }
        }
        Ok(Vec::new())
    }

    /// Stops our container `name`: TERM, then KILL after `grace_seconds`. Not there is a success.
    pub async fn stop_container(&self, name: &str, grace_seconds: u32) -> Result<(), EngineError> {
        let operation = format!("stop container {name}");
        if !self.container_is_ours(name, &operation).await? {
            return Ok(());
        }
        let grace = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(grace).build();
        let limit = REQUEST_TIMEOUT + Duration::from_secs(u64::from(grace_seconds));
        let stop = self.docker.stop_container(name, Some(options));
        match request_within(limit, operation, stop).await {
            Err(error) if !error.is_not_found() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Removes our container `name`, running or not. Not there is a success; a removal that is under
    /// way already is waited for, and so is an end.
    pub async fn remove_container(&self, name: &str) -> Result<(), EngineError> {
        let operation = format!("remove container {name}");
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let mut refusal = None;
        for _ in 0..RECHECKS {
            if !self.container_is_ours(name, &operation).await? {
                return Ok(());
            }
            let remove = self.docker.remove_container(name, Some(options.clone()));
            match request(operation.clone(), remove).await {
                Ok(()) => return Ok(()),
                Err(error) if error.is_not_found() => return Ok(()),
                Err(error) if error.is_temporary() => refusal = Some(error),
                Err(error) => return Err(error),
            }
            tokio::time::sleep(RECHECK).await;
        }
        Err(refusal.unwrap_or(EngineError::Silent { operation }))
    }

    /// Whether it is there; an error when it is there and not ours.
    async fn container_is_ours(&self, name: &str, operation: &str) -> Result<bool, EngineError> {
        let inspect = self.docker.inspect_container(name, None);
        let found = match request(operation, inspect).await {
            Ok(found) => found,
            Err(error) if error.is_not_found() => return Ok(false),
            // Podman's states of a moment: it is there, and its name says whose it is.
            Err(EngineError::Unexpected { .. }) if name.starts_with("sdbuild-") => return Ok(true),
            Err(error) => return Err(error),
        };
        let labels = found
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default();
        if labels.contains_key(labels::RUN) {
            Ok(true)
        } else {
            Err(EngineError::NotOurs {
                operation: operation.to_owned(),
            })
        }
    }
}

fn container_info(found: ContainerSummary) -> ContainerInfo {
    use bollard::models::ContainerSummaryStateEnum as State;
    let labels = found.labels.unwrap_or_default();
    let name = found
        .names
        .unwrap_or_default()
        .into_iter()
        .next()
        .unwrap_or_default();
    let running = matches!(
        found.state,
        Some(State::RUNNING | State::PAUSED | State::RESTARTING | State::STOPPING)
    );
    ContainerInfo {
        id: found.id.unwrap_or_default(),
        name: name.trim_start_matches('/').to_owned(),
        role: role_of(&labels),
        run: run_of(&labels),
        running,
        never_started: found.state == Some(State::CREATED),
        status: found.status.unwrap_or_default(),
        size: found.size_rw.and_then(|n| u64::try_from(n).ok()),
        image: found.image.unwrap_or_default(),
        created: found.created,
    }
}
