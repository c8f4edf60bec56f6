//! `clean`'s second half: removes what the inventory lists, item by item, until somebody says stop.

use std::time::Duration;

use crate::artifact::Cache;
use crate::binfmt::{Registrar, RegistrarImage, RegistrarOptions};
use crate::common::failure::{Failure, Leftover};
use crate::common::shell_word::quoted;
use crate::common::timeout::timeout;
use crate::engine::EngineError;
use crate::oci::Definition;
use crate::pipeline::inventory::{Inventory, registrar_image, title};
use crate::pipeline::sweep::Sweep;
use crate::pipeline::{Context, images, logs};
use crate::settings::Common;

/// A store of some hundred thousand files on a slow disk takes its time.
const PATIENCE: Duration = Duration::from_secs(1800);

impl Inventory {
    /// Removes every item; what could not be removed. An interruption ends it between two items, and
    /// what was not reached is simply still there.
    pub async fn remove(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Vec<Leftover>, Failure> {
        let mut left = self.sweep(settings, context).await?;
        for (volume, _) in self.free_volumes() {
            let remove = self.engine.remove_volume(&volume.name);
            left.extend(self.one("volume", &volume.name, (remove, context)).await?);
        }
        for image in self.free_images() {
            let remove = self.engine.remove_image(&image.id);
            left.extend(self.one("image", &title(image), (remove, context)).await?);
        }
        if context.cancel.is_cancelled() {
            return Err(Failure::interrupted().with_teardown(left));
        }
        left.extend(self.remove_files());
        Ok(left)
    }

    async fn one(
        &self,
        kind: &str,
        name: &str,
        (remove, context): (impl Future<Output = Result<(), EngineError>>, &Context),
    ) -> Result<Option<Leftover>, Failure> {
        let removed = context.cancel.race(timeout(PATIENCE, remove)).await?;
        let why = match removed {
            Some(Ok(())) => return Ok(None),
            Some(Err(error)) => error.to_string(),
            None => "the engine is still at it".to_owned(),
        };
        Ok(Some(Leftover {
            what: format!("{kind} {name}"),
            why,
            remedy: format!(
                "{} {kind} rm {}",
                self.engine.address().client(),
                quoted(name)
            ),
        }))
    }

    /// Containers and handlers of dead runs; a registrar is started only when there is a handler.
    async fn sweep(&self, settings: &Common, context: &Context) -> Result<Vec<Leftover>, Failure> {
        let mut registrar = if self.found.handlers.is_empty() {
            None
        } else {
            self.registrar(settings, context).await?
        };
        let sweep = Sweep {
            engine: &self.engine,
            run_locks: &self.run_locks,
            own: &self.run,
        };
        let swept = context
            .cancel
            .race(sweep.remove(&self.found, registrar.as_mut()))
            .await;
        let mut left = match registrar {
            Some(registrar) => registrar.release(&context.cancel).await,
            None => Vec::new(),
        };
        match swept {
            Ok((_, more)) => left.extend(more),
            Err(interrupted) => return Err(interrupted.with_teardown(left)),
        }
        Ok(left)
    }

    /// None when there is no table any more: what was in it is gone as well.
    async fn registrar(
        &self,
        settings: &Common,
        context: &Context,
    ) -> Result<Option<Registrar>, Failure> {
        let reference = if let Some(image) = registrar_image(&self.images) {
            image.id.clone()
        } else {
            let images = images::images(settings, context)?;
            let architecture = self.engine.facts().architecture.supported()?;
            let definition = Definition::registrar(architecture, settings.locks.as_deref())?;
            images::ensure(&self.engine, &images, (&[&definition], context)).await?;
            definition.reference()
        };
        let image = RegistrarImage { reference };
        let options = RegistrarOptions::new(&self.engine, &image, &self.run);
        Registrar::look(options, &context.cancel, &context.events).await
    }

    fn remove_files(&self) -> Vec<Leftover> {
        let mut failed = Vec::new();
        if self.cache_is_free()
            && let Err(error) = Cache::remove_all(&self.cache)
        {
            failed.push((self.cache.display().to_string(), error.to_string()));
        }
        if let Err((path, error)) = logs::remove_all(&self.logs, self.live()) {
            failed.push((path.display().to_string(), error.to_string()));
        }
        let leftover = |(what, why): (String, String)| Leftover {
            remedy: format!("rm -r -- {}", quoted(&what)),
            what,
            why,
        };
        failed.into_iter().map(leftover).collect()
    }
}
