//! Our containers and volumes, by label and name: list, stop, remove. Others are never touched.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{ContainerSummary, VolumeCreateRequest};
use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder,
    RemoveVolumeOptions, StopContainerOptionsBuilder,
};
use jiff::Timestamp;

use crate::client::{Engine, REQUEST_TIMEOUT, RETRY_PAUSE, request, request_within};
use crate::error::{EngineError, MayBeMissing as _, at};
use crate::labels;
use crate::labels::{Role, RunId, is_container_name, owner_of};
use crate::moment::Moment;

/// A removal under way has 20 seconds to finish.
const REMOVE_TRIES: u32 = 200;
/// How long the engine may take to remove a container while it answers pings: it unmounts file systems and deletes files,
/// on a board's SD card perhaps. One that does not answer them is waited for much shorter (`Cancel::shorten_teardown`).
pub(super) const REMOVAL_TIMEOUT: Duration = Duration::from_mins(2);
/// A container has a second to leave a state that bollard cannot parse.
const LIST_RETRIES: u32 = 10;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerInfo {
    pub id: String,
    /// Its name, which a later container of the same run may have too.
    pub name: String,
    pub role: Role,
    pub run: RunId,
    /// Whether a process of it runs; a paused one counts.
    pub running: bool,
    pub never_started: bool,
    /// Bytes that it wrote, where they were counted.
    pub size: Option<u64>,
    /// When it was created, by the engine's clock, in seconds since 1970.
    pub created: Option<i64>,
    /// How long ago its creator asked for it, by the clocks of that client and this one, not the engine's; zero if that is
    /// in the future, `None` where it is not known.
    pub age: Option<Duration>,
}

impl Engine {
    /// Our containers, running or not, without their sizes.
    pub async fn our_containers(&self) -> Result<Vec<ContainerInfo>, EngineError> {
        self.list_containers(all(), false).await
    }

    /// Our containers, running or not, with their sizes, which may take an engine seconds to count.
    pub async fn our_containers_with_size(&self) -> Result<Vec<ContainerInfo>, EngineError> {
        self.list_containers(all(), true).await
    }

    /// Our containers that use `volume`, running or not.
    pub async fn our_containers_with_volume(
        &self,
        volume: &str,
    ) -> Result<Vec<ContainerInfo>, EngineError> {
        let filters = HashMap::from([("label", vec![labels::RUN]), ("volume", vec![volume])]);
        self.list_containers(filters, false).await
    }

    /// How long ago `container` ended, or was created if it never ran, by the engine's own clock.
    /// `None` while it runs or changes its state, and when it is gone or has no valid time.
    pub async fn container_idle(
        &self,
        container: &ContainerInfo,
    ) -> Result<Option<Duration>, EngineError> {
        let operation = format!("inspect container {}", container.name);
        let inspect = self.docker.inspect_container(&container.id, None);
        let found = match request(operation, inspect).await {
            Err(EngineError::Unexpected { .. }) => None,
            found => found.if_exists()?,
        };
        let Some(found) = found else { return Ok(None) };
        let state = found.state.unwrap_or_default();
        if state.running == Some(true) {
            return Ok(None);
        }
        // The time of a container that never ended is before 1970.
        let ended = state
            .finished_at
            .as_deref()
            .and_then(unix_seconds)
            .filter(|ended| *ended > 0);
        let since = ended.or_else(|| found.created.as_deref().and_then(unix_seconds));
        let Some(since) = since else { return Ok(None) };
        let info = request("ask the engine for its time", self.docker.info()).await?;
        let now = info.system_time.as_deref().and_then(unix_seconds);
        let seconds = now.and_then(|now| u64::try_from(now.checked_sub(since)?).ok());
        Ok(seconds.map(Duration::from_secs))
    }

    async fn list_containers(
        &self,
        filters: HashMap<&str, Vec<&str>>,
        size: bool,
    ) -> Result<Vec<ContainerInfo>, EngineError> {
        let found = self.summaries(filters, size, "list containers").await?;
        let now = Moment::now();
        let ours = found
            .into_iter()
            .filter_map(|c| container_info(c, now.as_ref()));
        Ok(ours.collect())
    }

    /// The containers that match `filters`, running or not.
    pub(super) async fn summaries(
        &self,
        mut filters: HashMap<&str, Vec<&str>>,
        size: bool,
        operation: &str,
    ) -> Result<Vec<ContainerSummary>, EngineError> {
        for _ in 0..LIST_RETRIES {
            match self.summaries_once(&filters, size, operation).await {
                // bollard cannot parse Podman's state `stopped`, which is transient.
                Err(EngineError::Unexpected { .. }) => tokio::time::sleep(RETRY_PAUSE).await,
                listed => return listed,
            }
        }
        // A container that a crash left in that state must not hide the others.
        filters.insert("status", vec!["created", "running", "paused", "exited"]);
        self.summaries_once(&filters, size, operation).await
    }

    async fn summaries_once(
        &self,
        filters: &HashMap<&str, Vec<&str>>,
        size: bool,
        operation: &str,
    ) -> Result<Vec<ContainerSummary>, EngineError> {
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .size(size)
            .filters(filters);
        let list = self.docker.list_containers(Some(options.build()));
        request(operation, list).await
    }

    /// Stops our container `name`: TERM, then KILL after `grace_seconds`. Succeeds when it does not exist.
    pub async fn stop_container(&self, name: &str, grace_seconds: u32) -> Result<(), EngineError> {
        let operation = format!("stop container {name}");
        match self.our_container(name, &operation).await? {
            Some(id) => self.stop_by_id(&id, operation, grace_seconds).await,
            None => Ok(()),
        }
    }

    /// Stops the listed `container` by its id: another one may have its name by now. Succeeds when it does not exist.
    pub async fn stop_listed(
        &self,
        container: &ContainerInfo,
        grace_seconds: u32,
    ) -> Result<(), EngineError> {
        let operation = format!("stop container {}", container.name);
        self.stop_by_id(&container.id, operation, grace_seconds)
            .await
    }

    async fn stop_by_id(
        &self,
        id: &str,
        operation: String,
        grace_seconds: u32,
    ) -> Result<(), EngineError> {
        let grace = i32::try_from(grace_seconds).unwrap_or(i32::MAX);
        let options = StopContainerOptionsBuilder::default().t(grace).build();
        let limit = REQUEST_TIMEOUT + Duration::from_secs(u64::from(grace_seconds));
        let stop = self.docker.stop_container(id, Some(options));
        request_within(limit, operation, stop).await.if_exists()?;
        Ok(())
    }

    /// Removes our container `name`, running or not. Succeeds when it does not exist; waits while it is
    /// being removed or stopped already.
    pub async fn remove_container(&self, name: &str) -> Result<(), EngineError> {
        let operation = format!("remove container {name}");
        match self.our_container(name, &operation).await? {
            Some(id) => self.remove_by_id(&id, operation).await,
            None => Ok(()),
        }
    }

    /// Removes the listed `container`, running or not, by its id: the run that it belongs to may have removed it since, and have
    /// created another one with its name. Succeeds when it does not exist.
    pub async fn remove_listed(&self, container: &ContainerInfo) -> Result<(), EngineError> {
        let operation = format!("remove container {}", container.name);
        self.remove_by_id(&container.id, operation).await
    }

    async fn remove_by_id(&self, id: &str, operation: String) -> Result<(), EngineError> {
        let options = RemoveContainerOptionsBuilder::default()
            .force(true)
            .v(true)
            .build();
        let mut refusal = None;
        for _ in 0..REMOVE_TRIES {
            let remove = self.docker.remove_container(id, Some(options.clone()));
            match request_within(REMOVAL_TIMEOUT, operation.clone(), remove).await {
                Err(error) if error.is_temporary() => refusal = Some(error),
                removed => return removed.if_exists().map(drop),
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Err(refusal.unwrap_or(EngineError::Silent { operation }))
    }

    /// The id of container `name`; `None` if it does not exist, an error when it is not ours.
    async fn our_container(
        &self,
        name: &str,
        operation: &str,
    ) -> Result<Option<String>, EngineError> {
        let inspect = self.docker.inspect_container(name, None);
        let found = match request(operation, inspect).await {
            // A transient state of Podman's: the container exists, and its name shows that it is ours. Only the run that created it
            // asks by name, and creates no other one meanwhile.
            Err(EngineError::Unexpected { .. }) if is_container_name(name) => {
                return Ok(Some(name.to_owned()));
            }
            found => found.if_exists()?,
        };
        let Some(found) = found else { return Ok(None) };
        let labels = found
            .config
            .and_then(|config| config.labels)
            .unwrap_or_default();
        if owner_of(name, &labels).is_none() {
            return Err(EngineError::NotOurs {
                operation: operation.to_owned(),
            });
        }
        Ok(Some(found.id.unwrap_or_else(|| name.to_owned())))
    }
}

/// The filter for containers of runs: those that others create from our container images inherit the role label only.
fn all() -> HashMap<&'static str, Vec<&'static str>> {
    HashMap::from([("label", vec![labels::RUN])])
}

/// `None` for a container that is not ours.
fn container_info(found: ContainerSummary, now: Option<&Moment>) -> Option<ContainerInfo> {
    use bollard::models::ContainerSummaryStateEnum as State;
    let found_labels = found.labels.unwrap_or_default();
    // Docker adds the names that other containers use for it.
    let (name, (role, run)) = found.names.unwrap_or_default().iter().find_map(|name| {
        let name = name.trim_start_matches('/');
        Some((name.to_owned(), owner_of(name, &found_labels)?))
    })?;
    let id = found.id?;
    let running = matches!(
        found.state,
        Some(State::RUNNING | State::PAUSED | State::RESTARTING | State::STOPPING)
    );
    Some(ContainerInfo {
        id,
        name,
        role,
        run,
        running,
        never_started: found.state == Some(State::CREATED),
        size: found.size_rw.and_then(|n| u64::try_from(n).ok()),
        created: found.created,
        age: labels::age(&found_labels, now),
    })
}

/// A volume that is in use has ten seconds to become free: `status` counts the bytes of all volumes in a few.
const IN_USE_TRIES: u32 = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    pub name: String,
    /// Names of the containers that use it, running or not.
    pub users: Vec<String>,
    /// When it was created, in seconds since 1970.
    pub created: Option<i64>,
}

impl Engine {
    /// Creates the volume unless it exists; whether it was created. Fails if a volume of that name without sdbuild's labels exists.
    pub async fn ensure_volume(
        &self,
        name: &str,
        labels: HashMap<String, String>,
    ) -> Result<bool, EngineError> {
        if self
            .volume_is_ours(name, &format!("use volume {name}"))
            .await?
        {
            return Ok(false);
        }
        let options = VolumeCreateRequest {
            name: Some(name.to_owned()),
            labels: Some(labels),
            ..VolumeCreateRequest::default()
        };
        let create = self.docker.create_volume(options);
        request(format!("create volume {name}"), create)
            .await
            .map(|_| true)
    }

    /// The volumes that sdbuild created.
    pub async fn our_volumes(&self) -> Result<Vec<VolumeInfo>, EngineError> {
        let filters = HashMap::from([("label", vec![labels::ROLE])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = request("list volumes", self.docker.list_volumes(Some(options))).await?;
        let mut volumes = Vec::new();
        for found in listed.volumes.unwrap_or_default() {
            volumes.push(VolumeInfo {
                users: self.volume_users(&found.name).await?,
                name: found.name,
                created: found.created_at.as_deref().and_then(unix_seconds),
            });
        }
        Ok(volumes)
    }

    async fn volume_users(&self, name: &str) -> Result<Vec<String>, EngineError> {
        let filters = HashMap::from([("volume", vec![name])]);
        let operation = format!("list the users of volume {name}");
        let users = self.summaries(filters, false, &operation).await?;
        let names = users.into_iter().filter_map(|user| user.names);
        Ok(names
            .flatten()
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect())
    }

    /// Removes the volume `name`. A missing volume is a success, one that stays in use for ten seconds an error. Without a
    /// timeout: a large volume on a slow disk takes minutes.
    pub async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        for _ in 0..IN_USE_TRIES {
            match self.remove_unused_volume(name).await {
                Err(error) if error.is_conflict() => tokio::time::sleep(RETRY_PAUSE).await,
                removed => return removed,
            }
        }
        self.remove_unused_volume(name).await
    }

    /// The same without waiting: a volume in use is an error.
    async fn remove_unused_volume(&self, name: &str) -> Result<(), EngineError> {
        let operation = format!("remove volume {name}");
        if !self.volume_is_ours(name, &operation).await? {
            return Ok(());
        }
        let removed = self
            .docker
            .remove_volume(name, None::<RemoveVolumeOptions>)
            .await;
        removed.map_err(at(operation)).if_exists()?;
        Ok(())
    }

    /// Removes the volume `name` if the engine created it for a container of `run`, because it had been removed before
    /// the container was created; an unused volume of that kind would never go. Returns whether it was one. A volume that
    /// another container uses by now stays.
    pub async fn remove_recreated_volume(
        &self,
        name: &str,
        run: &RunId,
    ) -> Result<bool, EngineError> {
        let operation = format!("remove volume {name}");
        let found = request(&operation, self.docker.inspect_volume(name)).await;
        let Some(found) = found.if_exists()? else {
            return Ok(false);
        };
        if found.labels.get(labels::RUN).map(String::as_str) != Some(run.as_str()) {
            return Ok(false);
        }
        match self.remove_unused_volume(name).await {
            Err(error) if !error.is_conflict() => Err(error),
            Ok(()) | Err(_) => Ok(true),
        }
    }

    /// Whether the volume exists. Fails if it exists without sdbuild's labels.
    async fn volume_is_ours(&self, name: &str, operation: &str) -> Result<bool, EngineError> {
        let found = request(operation, self.docker.inspect_volume(name)).await;
        match found.if_exists()? {
            Some(found) if !found.labels.contains_key(labels::ROLE) => Err(EngineError::NotOurs {
                operation: operation.to_owned(),
            }),
            found => Ok(found.is_some()),
        }
    }
}

/// Seconds since 1970 of `2026-11-20T08:07:13.123Z` or `…+01:00`, without the fraction. Negative for the year 1, which
/// engines write for something that has not happened. `None` for any other text.
pub(super) fn unix_seconds(text: &str) -> Option<i64> {
    let timestamp: Timestamp = text.trim().parse().ok()?;
    Some(timestamp.as_second())
}
