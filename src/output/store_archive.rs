//! The engine's archive of one file in the store, for a thread that reads.

use std::io::{self, Read};

use tokio::runtime::Handle;
use tokio_util::io::SyncIoBridge;

use super::interruptible::Interruptible;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::Failure;
use sdbuild_engine::Container;

/// Asks the engine for the archive.
type Open = Box<dyn FnOnce() -> io::Result<Box<dyn Read + Send>> + Send>;

/// An archive that the engine is asked for when it is read first: it sends one of a container at a time.
pub(super) struct StoreArchive {
    open: Option<Open>,
    archive: Option<Box<dyn Read + Send>>,
}

impl StoreArchive {
    /// The archive of the file at `path`, which the engine has begun to send.
    pub(super) async fn begun(
        container: &Container,
        path: &str,
        cancel: &Cancel,
    ) -> Result<Self, Failure> {
        let stream = cancel.race(container.download(path)).await??;
        let stream = Interruptible::new(stream, cancel.token().clone());
        Ok(Self {
            open: None,
            archive: Some(Box::new(SyncIoBridge::new(stream))),
        })
    }

    /// The archive of the file at `path`, which is asked for later. To be called in the runtime, and read on another thread.
    pub(super) fn later(container: &Container, path: String, cancel: &Cancel) -> Self {
        let (container, cancel, runtime) = (container.clone(), cancel.clone(), Handle::current());
        let open = move || {
            let begun = Self::begun(&container, &path, &cancel);
            let begun = runtime.block_on(begun);
            let begun = begun.map_err(|failure| io::Error::other(failure.to_string()))?;
            Ok(Box::new(begun) as Box<dyn Read + Send>)
        };
        Self {
            open: Some(Box::new(open)),
            archive: None,
        }
    }
}

impl Read for StoreArchive {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some(open) = self.open.take() {
            self.archive = Some(open()?);
        }
        match &mut self.archive {
            Some(archive) => archive.read(buffer),
            None => Ok(0),
        }
    }
}
