//! A container that is removed again, whatever happens.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::common::cancel::Cancel;
use crate::common::failure::Leftover;
use crate::engine::client::Engine;
use crate::engine::container::{Container, Exit};
use crate::engine::error::EngineError;
use crate::engine::spec::ContainerSpec;

/// How long a creation that nobody waits for any more may still take: a first use copies a volume.
const CREATION: Duration = Duration::from_secs(60);
/// How long the engine may take to remove a container.
const REMOVAL: Duration = Duration::from_secs(30);

/// Removes its container on [`ContainerGuard::release`]. Armed before the container exists, so there
/// is no moment in which one exists unguarded. `Drop` does nothing: what a crash leaves behind is
/// recognised by its labels and swept by the next run.
#[derive(Debug)]
#[must_use = "release it, or the container stays until the next sweep"]
pub struct ContainerGuard {
    engine: Engine,
    name: String,
    grace: u32,
    // The request lives in a task of its own: dropping a creation halfway would leave a container
    // that appears after the removal.
    creating: JoinSet<Result<Container, EngineError>>,
}

impl ContainerGuard {
    /// Arms the guard for the container `name`, which need not exist.
    pub fn arm(engine: &Engine, name: impl Into<String>) -> Self {
        let (engine, name) = (engine.clone(), name.into());
        Self {
            engine,
            name,
            grace: 3,
            creating: JoinSet::new(),
        }
    }

    /// How many seconds the container's process has between TERM and KILL.
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Makes the container. Safe to cancel: the release waits for a creation under way.
    pub async fn create(&mut self, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let spec = ContainerSpec {
            name: self.name.clone(),
            ..spec.clone()
        };
        let engine = self.engine.clone();
        self.creating
            .spawn(async move { engine.create(&spec).await });
        match self.creating.join_next().await {
            Some(Ok(made)) => made,
            Some(Err(_)) | None => Err(EngineError::Unexpected {
                operation: format!("create container {}", self.name),
                message: "the request was aborted".into(),
            }),
        }
    }

    /// Makes the container, runs it to its end, and gives the first `most` lines that it said.
    pub async fn output(
        &mut self,
        spec: &ContainerSpec,
        most: usize,
    ) -> Result<(Exit, Vec<String>), EngineError> {
        self.create(spec).await?.output(most).await
    }

    /// Stops and removes the container, each step bounded in time; what remains is reported.
    pub async fn release(self, cancel: &Cancel) -> Option<Leftover> {
        // The removal kills what does not stop, so the outcome of stopping does not matter.
        if self.creating.is_empty() {
            let patience = Duration::from_secs(u64::from(self.grace) + 5);
            let stop = Box::pin(self.engine.stop_container(&self.name, self.grace));
            cancel.bounded(patience, stop).await.map(Result::ok);
        }
        self.remove(cancel).await
    }

    /// Removes the container without giving its process time to end.
    pub async fn remove(mut self, cancel: &Cancel) -> Option<Leftover> {
        cancel
            .bounded(CREATION, async {
                while self.creating.join_next().await.is_some() {}
            })
            .await;
        let removed = cancel
            .bounded(REMOVAL, Box::pin(self.engine.remove_container(&self.name)))
            .await;
        let why = match removed {
            Some(Ok(())) => return None,
            Some(Err(error)) => error.to_string(),
            None => "the engine did not answer in time".to_owned(),
        };
        Some(container_leftover(&self.engine, &self.name, why))
    }
}

/// The leftover for a container that could not be removed.
pub(crate) fn container_leftover(engine: &Engine, name: &str, why: String) -> Leftover {
    Leftover {
        what: format!("container {name}"),
        why,
        remedy: engine.address().removal(name),
    }
}
