//! Removes an image of ours, whatever happens after its load has begun.

use std::io::{self, Write};
use std::time::Duration;

use tokio::task::JoinSet;

use crate::common::cancel::Cancel;
use crate::common::failure::Leftover;
use crate::engine::client::Engine;
use crate::engine::error::EngineError;

/// How long the removal waits for a load that was interrupted, and for the engine to remove the image.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Removes its image on [`ImageGuard::remove`]. It is armed before the image is loaded. `Drop` does nothing: the next run
/// recognizes leftovers by their labels and removes them.
#[derive(Debug)]
#[must_use = "remove it, or the image stays until the next sweep"]
pub struct ImageGuard {
    engine: Engine,
    name: String,
    // In a task of its own: if the request were dropped, the image could appear after its removal.
    loading: JoinSet<Result<(), EngineError>>,
    /// Whether no load goes on in the engine.
    is_settled: bool,
}

impl ImageGuard {
    /// A guard for the image `name`, which may not exist yet.
    pub fn arm(engine: &Engine, name: impl Into<String>) -> Self {
        let (engine, name) = (engine.clone(), name.into());
        Self {
            engine,
            name,
            loading: JoinSet::new(),
            is_settled: true,
        }
    }

    /// Loads the archive that `pack` writes on a blocking thread, whose error aborts the request. Cancel safe: the removal
    /// waits for the load.
    pub async fn load(
        &mut self,
        pack: impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static,
    ) -> Result<(), EngineError> {
        let engine = self.engine.clone();
        self.is_settled = false;
        self.loading
            .spawn(async move { engine.load_packed_image(pack, |_| ()).await });
        let loaded = self.loaded().await;
        loaded.unwrap_or_else(|| {
            Err(EngineError::Unexpected {
                operation: format!("load container image {}", self.name),
                message: "the request was aborted".into(),
            })
        })
    }

    /// Whether no load goes on in the engine, as far as it has said.
    pub fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// The outcome of the load that goes on; `None` without one.
    async fn loaded(&mut self) -> Option<Result<(), EngineError>> {
        let loaded = self.loading.join_next().await?.ok()?;
        self.is_settled = loaded
            .as_ref()
            .map_or_else(EngineError::is_settled, |()| true);
        Some(loaded)
    }

    /// Removes the image. Returns it if it could not be removed, or may still appear: an engine may go on with a load after its
    /// client is gone.
    pub async fn remove(mut self, cancel: &Cancel) -> Option<Leftover> {
        let load = async { while self.loaded().await.is_some() {} };
        cancel.bounded(TIMEOUT, load).await;
        let removal = Box::pin(self.engine.remove_image(&self.name));
        let why = match cancel.bounded(TIMEOUT, removal).await {
            Some(Ok(())) if self.is_settled => return None,
            // There was nothing to remove yet, perhaps.
            Some(Ok(())) => "the engine may still be loading it".to_owned(),
            Some(Err(error)) => error.to_string(),
            None => "the engine did not answer in time".to_owned(),
        };
        Some(Leftover {
            what: format!("container image {}", self.name),
            why,
            remedy: self.engine.address().image_removal(&self.name),
        })
    }
}
