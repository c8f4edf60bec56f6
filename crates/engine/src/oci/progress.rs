//! How far the container images of a run are on their way into the engine, in bytes: of each image the packages that are read, and the archive
//! that the engine receives and unpacks.

use std::sync::{Arc, Mutex, PoisonError};

use super::definition::Definition;
use crate::{EngineFacts, Loading};
use sdbuild_core::event::{Events, Phase};
use sdbuild_core::human_bytes::human_bytes;

/// The progress of all images that are provided at the same time.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    images: Arc<Mutex<Images>>,
    events: Events,
}

/// The images, and the last text about them.
#[derive(Debug, Default)]
struct Images {
    works: Vec<Work>,
    text: String,
}

#[derive(Clone, Debug)]
pub(super) struct ImageProgress {
    all: Progress,
    engine: &'static str,
    index: usize,
}

/// Bytes of one image. The archive counts with the size of the packages, since its own is not known before it is written.
#[derive(Debug, Default)]
struct Work {
    packages: u64,
    read: u64,
    /// The size of the archive; 0 until it is written.
    archive: u64,
    /// Whether it goes into an engine, and whether that reports what it unpacks.
    is_sent: bool,
    reports_unpacking: bool,
    sent: u64,
    unpacked: u64,
    stage: Stage,
}

/// What happens with an image, in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    #[default]
    Assembling,
    Loading,
    Loaded,
}

impl Work {
    fn total(&self) -> u64 {
        self.packages * if self.is_sent { 2 } else { 1 }
    }

    fn done(&self) -> u64 {
        let read = self.read.min(self.packages);
        if !self.is_sent || self.archive == 0 {
            return read;
        }
        let (done, of) = if self.reports_unpacking {
            (
                u128::from(self.sent) + u128::from(self.unpacked),
                u128::from(self.archive) * 2,
            )
        } else {
            (self.sent.into(), self.archive.into())
        };
        let part = u128::from(self.packages) * done.min(of) / of;
        read + u64::try_from(part).unwrap_or(self.packages)
    }
}

impl Progress {
    /// Nothing is done yet; changes go to `events`.
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
        let mut images = self.images.lock().unwrap_or_else(PoisonError::into_inner);
        images.works.push(Work {
            packages: definition.lock.packages.iter().map(|pin| pin.size).sum(),
            is_sent: engine.is_some(),
            reports_unpacking: engine.is_some_and(|engine| engine.reports_unpacking),
            ..Work::default()
        });
        ImageProgress {
            all: self.clone(),
            engine: engine.map_or("", EngineFacts::kind),
            index: images.works.len() - 1,
        }
    }
}

impl ImageProgress {
    /// The engine seems to have the image: it is not sent.
    pub(super) fn is_held(&self) {
        self.change(|work| work.is_sent = false);
    }

    /// So many more bytes of its packages were read.
    pub(super) fn read(&self, bytes: u64) {
        self.change(|work| work.read = work.read.saturating_add(bytes));
    }

    /// The archive is written, and has so many bytes.
    pub(super) fn is_packed(&self, size: u64) {
        self.change(|work| {
            (work.read, work.archive) = (work.packages, size);
            work.stage = Stage::Loading;
        });
    }

    /// The engine has so much of it.
    pub(super) fn loading(&self, loading: Loading) {
        self.change(|work| match loading {
            Loading::Sent(bytes) => work.sent = bytes,
            Loading::Unpacked(bytes) => (work.sent, work.unpacked) = (work.archive, bytes),
        });
    }

    /// The engine has it.
    pub(super) fn is_loaded(&self) {
        self.change(|work| {
            (work.sent, work.unpacked) = (work.archive, work.archive);
            work.stage = Stage::Loaded;
        });
    }

    /// Notes a change and reports the sum. Under the lock, so that later sums are reported later.
    fn change(&self, change: impl FnOnce(&mut Work)) {
        let images = self.all.images.lock();
        let mut images = images.unwrap_or_else(PoisonError::into_inner);
        if let Some(work) = images.works.get_mut(self.index) {
            change(work);
        }
        let total = images.works.iter().map(Work::total).sum();
        let done = images.works.iter().map(Work::done).sum();
        let events = &self.all.events;
        events.bytes(Phase::ContainerImages, done, Some(total));
        let text = match images.works.iter().map(|work| work.stage).min() {
            Some(Stage::Loaded) => {
                let size = images.works.iter().map(|work| work.archive).sum();
                format!("{} from Debian packages", human_bytes(size))
            }
            Some(Stage::Loading) => format!("loading into {}", self.engine),
            Some(Stage::Assembling) | None => "assembling from Debian packages".to_owned(),
        };
        if images.text != text {
            images.text.clone_from(&text);
            events.detail(Phase::ContainerImages, text);
        }
    }
}

#[cfg(test)]
mod tests;
