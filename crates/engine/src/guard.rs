//! Removes a container, whatever happens after its creation.

use std::time::Duration;

use tokio::task::JoinSet;

use crate::client::Engine;
use crate::container::{Container, Exit};
use crate::error::EngineError;
use crate::inventory::REMOVAL_TIMEOUT;
use crate::spec::ContainerSpec;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Class, Failure, Leftover};

/// How long the removal waits for a creation that was cancelled: creating a volume copies files.
const CREATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Default time between TERM and KILL, in seconds.
const DEFAULT_GRACE: u32 = 3;

/// Removes its container on [`ContainerGuard::release`]. It is armed before the container is created, so that the container
/// is never unguarded. `Drop` does nothing: the next run recognizes leftovers by their labels and removes them.
#[derive(Debug)]
#[must_use = "release it, or the container stays until the next sweep"]
pub struct ContainerGuard {
    engine: Engine,
    name: String,
    grace: u32,
    // In a task of its own: if the request were dropped halfway, the container could appear after its removal.
    creating: JoinSet<Result<Container, EngineError>>,
}

impl ContainerGuard {
    /// A guard for the container `name`, which may not exist yet.
    pub fn arm(engine: &Engine, name: impl Into<String>) -> Self {
        let (engine, name) = (engine.clone(), name.into());
        Self {
            engine,
            name,
            grace: DEFAULT_GRACE,
            creating: JoinSet::new(),
        }
    }

    /// Sets how many seconds the container's program has between TERM and KILL.
    pub fn grace(mut self, seconds: u32) -> Self {
        self.grace = seconds;
        self
    }

    /// The container's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Creates the container. Cancel safe: the release waits for the creation.
    pub async fn create(&mut self, spec: &ContainerSpec) -> Result<Container, EngineError> {
        let spec = ContainerSpec {
            name: self.name.clone(),
            ..spec.clone()
        };
        let engine = self.engine.clone();
        self.creating
            .spawn(async move { engine.create(&spec).await });
        match self.creating.join_next().await {
            Some(Ok(created)) => created,
            Some(Err(_)) | None => Err(EngineError::Unexpected {
                operation: format!("create container {}", self.name),
                message: "the request was aborted".into(),
            }),
        }
    }

    /// Creates the container and runs it to its end; returns how it ended and its first `max_lines` lines of output.
    pub async fn output(
        &mut self,
        spec: &ContainerSpec,
        max_lines: usize,
    ) -> Result<(Exit, Vec<String>), EngineError> {
        self.create(spec).await?.output(max_lines).await
    }

    /// Runs `work` with the container and removes it, whether `work` ends, fails, or is dropped because the run is cancelled. A
    /// failure says that it happened in `operation`, unless it is an interruption; the container is among its leftovers if it could not be removed.
    pub async fn run<T>(
        mut self,
        operation: &str,
        cancel: &Cancel,
        work: impl AsyncFnOnce(&mut Self) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let done = cancel.race(Box::pin(work(&mut self))).await.flatten();
        let leftovers: Vec<_> = self.remove(cancel).await.into_iter().collect();
        let failure = match done {
            Ok(value) if leftovers.is_empty() => return Ok(value),
            Ok(_) => Failure::environment("its container could not be removed"),
            Err(failure) => failure,
        };
        // Where a run was interrupted is of no interest.
        let failure = if failure.class == Class::Interrupted {
            failure
        } else {
            failure.context(operation)
        };
        Err(failure.with_teardown(leftovers))
    }

    /// Stops and removes the container, each step bounded in time; a shortened teardown removes it at once. Returns the
    /// container if it could not be removed.
    pub async fn release(self, cancel: &Cancel) -> Option<Leftover> {
        if self.creating.is_empty() {
            let limit = Duration::from_secs(u64::from(self.grace) + 5);
            let stop = Box::pin(self.engine.stop_container(&self.name, self.grace));
            // The removal kills a program that did not stop.
            drop(cancel.unless_shortened(limit, stop).await);
        }
        self.remove(cancel).await
    }

    /// Removes the container and kills its program. Returns the container if it could not be removed.
    pub async fn remove(mut self, cancel: &Cancel) -> Option<Leftover> {
        let creation = async { while self.creating.join_next().await.is_some() {} };
        let is_settled = cancel.bounded(CREATION_TIMEOUT, creation).await.is_some();
        let removal = Box::pin(self.engine.remove_container(&self.name));
        let why = match cancel.bounded(REMOVAL_TIMEOUT, removal).await {
            Some(Ok(())) if is_settled => return None,
            // There was nothing to remove yet, perhaps.
            Some(Ok(())) => "the engine did not finish its creation in time".to_owned(),
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
