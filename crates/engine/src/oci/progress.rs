//! How far the container images of a run are on their way into the engine, in bytes: of each image the packages that are
//! read and, at the same weight, the archive that the engine receives and unpacks.

use std::sync::{Arc, Mutex, PoisonError};

use super::definition::Definition;
use crate::{EngineFacts, Loading};
use sdbuild_core::event::{Events, Phase};

/// The progress of all images that are provided at the same time.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    /// Of each image the bytes that are done, and all.
    images: Arc<Mutex<Vec<(u64, u64)>>>,
    events: Events,
}

#[derive(Clone, Debug)]
pub(super) struct ImageProgress {
    all: Progress,
    index: usize,
    packages: u64,
    /// How often the engine counts the bytes of the archive: when it receives them and, perhaps, when it unpacks them.
    counts: u64,
}

impl Progress {
    pub(super) fn new(events: Events) -> Self {
        let images = Arc::default();
        Self { images, events }
    }

    /// The progress of one more image, which goes to `engine`, if to any.
    pub(super) fn of(
        &self,
        definition: &Definition,
        engine: Option<&EngineFacts>,
    ) -> ImageProgress {
        let packages: u64 = definition.lock.packages.iter().map(|pin| pin.size).sum();
        let total = if engine.is_some() {
            packages * 2
        } else {
            packages
        };
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.push((0, total));
        ImageProgress {
            all: self.clone(),
            index: images.len() - 1,
            packages,
            counts: 1 + u64::from(engine.is_some_and(|engine| engine.reports_unpacking)),
        }
    }
}

impl ImageProgress {
    /// The engine seems to have the image: it is not sent.
    pub(super) fn is_held(&self) {
        self.change(|done, _| (done, self.packages));
    }

    /// So many more bytes of its packages were read.
    pub(super) fn read(&self, bytes: u64) {
        self.change(|done, total| (done.saturating_add(bytes).min(self.packages), total));
    }

    /// The engine has so much of the archive, which has `size` bytes.
    pub(super) fn loading(&self, loading: Loading, size: u64) {
        let bytes = match loading {
            Loading::Sent(bytes) => bytes,
            Loading::Unpacked(bytes) => size.saturating_add(bytes),
        };
        let all = u128::from(size) * u128::from(self.counts);
        let part = u128::from(self.packages) * u128::from(bytes).min(all) / all.max(1);
        let part = u64::try_from(part).unwrap_or(self.packages);
        self.change(|_, total| (self.packages + part, total));
    }

    pub(super) fn is_loaded(&self) {
        self.change(|_, total| (total, total));
    }

    /// Notes a change and reports the sum. Under the lock, so that later sums are reported later.
    fn change(&self, change: impl FnOnce(u64, u64) -> (u64, u64)) {
        let images = self.all.images.lock();
        let mut images = images.unwrap_or_else(PoisonError::into_inner);
        if let Some(image) = images.get_mut(self.index) {
            *image = change(image.0, image.1);
        }
        let (done, total) = images.iter().fold((0, 0), |(done, all), image| {
            (done + image.0.min(image.1), all + image.1)
        });
        let events = &self.all.events;
        events.bytes(Phase::ContainerImages, done, Some(total));
    }
}

#[cfg(test)]
mod tests;
