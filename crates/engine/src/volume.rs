//! Named volumes that carry sdbuild's labels.

use std::collections::HashMap;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListVolumesOptionsBuilder, RemoveVolumeOptions};

use crate::client::Engine;
use crate::error::{EngineError, at};
use crate::labels;
use crate::labels::RunId;
use crate::request::{RETRY_PAUSE, request};
use crate::timestamp::unix_seconds;

/// A volume that is in use has ten seconds to become free: `status` counts the bytes of all volumes in a few.
const IN_USE_TRIES: u32 = 100;

/// A volume that sdbuild created.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeInfo {
    /// Its name.
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
        match removed.map_err(at(operation)) {
            Err(error) if !error.is_not_found() => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
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
        let found = match request(&operation, self.docker.inspect_volume(name)).await {
            Err(error) if error.is_not_found() => return Ok(false),
            found => found?,
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
        match request(operation, self.docker.inspect_volume(name)).await {
            Ok(found) if found.labels.contains_key(labels::ROLE) => Ok(true),
            Ok(_) => Err(EngineError::NotOurs {
                operation: operation.to_owned(),
            }),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}
